from __future__ import annotations

import numpy as np
import pytest

from morelike.data.descriptors import BLOCK, DIRECTIONS, blocks, describe, mirrored


def noise(count: int, side: int = 32) -> np.ndarray:
    shape = (count, side, side, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def ramp(angle: float) -> np.ndarray:
    """A picture that grows lighter in a direction: 0 degrees to the right, 90 downwards."""
    y, x = np.mgrid[:32, :32] - 15.5
    along = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    return np.rint(128 + 5 * along)[None, ..., None].repeat(3, axis=3).astype(np.uint8)


@pytest.mark.parametrize("side", [32, 64])
def test_the_mirrored_description_is_that_of_the_mirrored_picture(side: int) -> None:
    pictures = noise(20, side)
    there = describe(pictures)
    assert np.allclose(mirrored(there), describe(pictures[:, :, ::-1]), atol=1e-6)
    assert np.array_equal(mirrored(mirrored(there)), there)
    assert not np.allclose(mirrored(there), there, atol=0.01)


@pytest.mark.parametrize("turn", range(DIRECTIONS))
def test_an_edge_falls_into_the_bin_of_its_direction(turn: int) -> None:
    for angle in (22.5 * turn, 22.5 * turn + 180):  # whichever side is lighter
        shares = np.square(describe(ramp(angle))[0, 2:6, 2:6, :DIRECTIONS]).sum(axis=(0, 1))
        assert shares.argmax() == turn
        assert shares[turn] > 0.8 * shares.sum()


def test_edges_have_length_one_and_no_edges_have_none() -> None:
    edges = describe(noise(5))[..., :DIRECTIONS]
    assert np.square(edges).sum(axis=(1, 2, 3)).tolist() == pytest.approx([1] * 5)
    flat = describe(np.full((1, 32, 32, 3), 77, np.uint8))
    assert not flat[..., :DIRECTIONS].any()
    assert flat[..., DIRECTIONS:] == pytest.approx(np.full((1, 8, 8, 3), 77 / 255))


def test_edges_do_not_depend_on_the_contrast() -> None:
    pictures = noise(3) // 4
    strong, weak = describe(pictures * 4), describe(pictures)
    assert np.allclose(strong[..., :DIRECTIONS], weak[..., :DIRECTIONS], atol=1e-6)


def test_colours_are_means_by_place() -> None:
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[0, 8:12, 20:24] = (255, 51, 0)
    colours = describe(picture)[0, ..., DIRECTIONS:]
    assert colours[2, 5].tolist() == pytest.approx([1, 0.2, 0])
    assert np.count_nonzero(colours) == 2


def test_a_picture_does_not_depend_on_those_beside_it() -> None:
    pictures = noise(6)
    assert np.array_equal(describe(pictures)[4:5], describe(pictures[4:5]))


@pytest.mark.parametrize("count", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1])
def test_blocks_cover_everything_once(count: int) -> None:
    assert [i for block in blocks(count) for i in range(count)[block]] == list(range(count))
    assert all(block.stop - block.start <= BLOCK for block in blocks(count))
