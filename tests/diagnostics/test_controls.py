from __future__ import annotations

import numpy as np
import pytest

from morelike.data.toys import toy
from morelike.diagnostics.controls import (
    COPIES,
    DECOYS,
    averaged,
    blurred,
    jittered,
    mirrored,
    noise,
    recompressed,
    repeated,
    shifted,
    smeared,
)
from morelike.rng import rng


def bicycles(count: int, side: int = 32) -> np.ndarray:
    return np.stack([one.draw() for one in toy("bicycles", count, side)])


def of(images: np.ndarray, channels: int) -> np.ndarray:
    """Pictures of three channels, as gray ones or with transparency that varies."""
    if channels == 1:
        return images[..., 1:2]
    if channels == 4:
        alpha = np.broadcast_to(np.arange(images.shape[2], dtype=np.uint8) * 7, images.shape[:3])
        return np.concatenate([images, alpha[..., None]], axis=-1)
    return images


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", [*COPIES, *DECOYS])
def test_shape_and_type_stay_and_equal_numbers_give_equal_pictures(
    name: str, channels: int
) -> None:
    images = of(bicycles(5)[:, 4:28], channels)
    before, make = images.copy(), (COPIES | DECOYS)[name]
    made = make(images, rng(0, "controls"))
    assert made.shape == images.shape == (5, 24, 32, channels)
    assert made.dtype == np.uint8
    assert np.array_equal(made, make(images, rng(0, "controls")))
    assert np.array_equal(images, before)
    assert name == "exact" or all((a != b).any() for a, b in zip(made, images, strict=True))


def test_mirrored_twice_is_as_before() -> None:
    images, numbers = bicycles(3), rng(0)
    once = mirrored(images, numbers)
    assert np.array_equal(once, np.flip(images, axis=2))
    assert np.array_equal(mirrored(once, numbers), images)


def test_shifts_reach_an_eighth_of_each_side_and_no_farther() -> None:
    height, width = 24, 48
    rows, columns = np.indices((height, width)).astype(np.uint8)
    one = np.stack([rows, columns, rows + columns], axis=-1)
    moved = shifted(np.repeat(one[None], 400, axis=0), rng(0, "shift"))
    # What was in the middle tells how far it came; beyond the border, the border is repeated.
    down = moved[:, 12, 24, 0].astype(int) - 12
    across = moved[:, 12, 24, 1].astype(int) - 24
    assert set(down) == set(range(-3, 4))
    assert set(across) == set(range(-6, 7))
    for picture, dy, dx in zip(moved, down, across, strict=True):
        here = np.ix_(
            (np.arange(height) + dy).clip(0, height - 1), (np.arange(width) + dx).clip(0, width - 1)
        )
        assert np.array_equal(picture, one[here])


def test_compression_loses_detail_and_no_more() -> None:
    images = of(bicycles(4, 64), 4)
    made = recompressed(images, rng(0))
    assert np.array_equal(made[..., 3], images[..., 3])
    change = np.abs(made[..., :3].astype(int) - images[..., :3]).mean(axis=(1, 2, 3))
    assert (change > 0.5).all()
    assert (change < 12).all()


def test_jitter_changes_colour_and_not_layout() -> None:
    images = bicycles(20)
    made = jittered(images, rng(0, "jitter"))
    for a, b in zip(images.mean(axis=-1), made.mean(axis=-1), strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95
    assert np.abs(made.mean(axis=(1, 2)) - images.mean(axis=(1, 2))).min(axis=1).max() > 5


def test_jitter_keeps_its_bounds() -> None:
    # Two colours around the same gray, so far from black and white that nothing is cut off.
    pair = np.array([[[150, 110, 118], [106, 146, 126]]], dtype=np.uint8)
    made = jittered(np.repeat(pair[None], 400, axis=0), rng(0, "bounds")).astype(float)
    brightness = made.mean(axis=(1, 2, 3)) - pair.mean()
    assert -26 <= brightness.min() < -20
    assert 20 < brightness.max() <= 26

    def chroma(images: np.ndarray) -> np.ndarray:
        """As complex numbers, whose angle is the hue."""
        first = images[..., 0, 0, :]
        axes = np.array([[1, -0.5, -0.5], [0, 3**0.5 / 2, -(3**0.5) / 2]])
        across, along = axes @ first.T
        return across + 1j * along

    before = chroma(pair[None].astype(float))
    turned = np.rad2deg(np.angle(chroma(made) / before))
    strength = np.abs(chroma(made) / before)
    assert -32 <= turned.min() < -25
    assert 25 < turned.max() <= 32
    assert 0.5 * 0.75 - 0.04 <= strength.min() < 0.5
    assert 1.5 < strength.max() <= 1.5 * 1.25 + 0.04


def test_jitter_leaves_transparency_alone() -> None:
    images = of(bicycles(3), 4)
    assert np.array_equal(jittered(images, rng(0))[..., 3], images[..., 3])


def test_noise_has_every_value_anywhere() -> None:
    made = noise(np.zeros((40, 16, 16, 3), np.uint8), rng(0, "noise"))
    assert np.bincount(made.ravel(), minlength=256).min() > 60
    assert abs(np.corrcoef(made[0].ravel(), made[1].ravel())[0, 1]) < 0.15


def test_blurred_loses_detail_and_keeps_light() -> None:
    images = bicycles(4)
    made = blurred(images, rng(0)).astype(float)
    assert np.abs(made.mean(axis=(1, 2)) - images.mean(axis=(1, 2))).max() < 2

    def rough(x: np.ndarray) -> float:
        return float(np.abs(np.diff(x.astype(float), axis=2)).mean())

    assert rough(made) < 0.8 * rough(images)


def test_averages_are_of_two_three_four_and_eight_by_turns() -> None:
    # Each picture lights a pixel of its own, so an average shows how many are in it.
    images = np.zeros((16, 4, 4, 1), np.uint8)
    images.reshape(16, 16)[np.arange(16), np.arange(16)] = 240
    made = averaged(images, rng(0, "averages"))
    for number, picture in enumerate(made):
        parts = (2, 3, 4, 8)[number % 4]
        assert sorted(picture[picture > 0]) == [240 // parts] * parts


def test_averages_of_a_single_picture_are_that_picture() -> None:
    one = bicycles(1)
    assert np.array_equal(averaged(one, rng(0)), one)


def test_smears_have_a_checkerboard_of_two_pixels() -> None:
    made = smeared(np.full((6, 16, 16, 3), 128, np.uint8), rng(0)).astype(int)
    board = 1 - 2 * ((np.indices((16, 16)) // 2).sum(axis=0) % 2)
    height = (made - 128) * board[..., None]
    assert (height == height[:, :1, :1]).all()
    assert 12 <= height.min() < height.max() <= 36


def test_smears_leave_transparency_without_a_checkerboard() -> None:
    made = smeared(np.full((3, 16, 16, 4), 128, np.uint8), rng(0))
    assert (made[..., 3] == 128).all()


def test_a_generator_of_few_pictures_repeats_them() -> None:
    images = bicycles(5)
    assert np.array_equal(repeated(images, 7, 3), images[[0, 1, 2, 0, 1, 2, 0]])
    assert np.array_equal(repeated(images[:2], 5, 10), images[[0, 1, 0, 1, 0]])
