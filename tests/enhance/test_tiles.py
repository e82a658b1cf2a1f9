from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from enhance.networks import hourglass, upright
from morelike.enhance.model import Model
from morelike.enhance.tiles import STRIP, USUAL, as_values, parts, plan, tiled
from morelike.errors import UserError

SIZES = [(1, 1), (3, 50), (37, 41), (64, 64), (97, 33), (70, 121)]


def picture(height: int, width: int, channels: int = 3) -> Tensor:
    numbers = torch.Generator().manual_seed(height * width)
    return 2 * torch.rand((channels, height, width), generator=numbers) - 1


def whole(model: Model, given: Tensor) -> Tensor:
    """What the network makes of all of it at once, continued to what it can take."""
    height, width = given.shape[1:]
    more = (0, -width % model.stride, 0, -height % model.stride)
    made = model.network(F.pad(given[None], more, "replicate"))[0]
    return made[:, : model.scale * height, : model.scale * width].float()


def together(model: Model, given: Tensor, most: int | None = None) -> Tensor:
    return torch.cat(list(tiled(model, given, most)), 1)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("most", [12, 17, 40])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_tiles_make_the_whole(size: tuple[int, int], most: int, scale: int) -> None:
    model = upright(f"enlarge:{scale}", scale=scale)
    given = picture(*size)
    torch.testing.assert_close(together(model, given, most), whole(model, given), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("most", [36, 50])
def test_tiles_make_the_whole_with_a_stride(size: tuple[int, int], most: int) -> None:
    model, given = hourglass(), picture(*size)
    torch.testing.assert_close(together(model, given, most), whole(model, given), atol=1e-6, rtol=0)


@pytest.mark.parametrize("model", [upright(), hourglass()], ids=lambda model: model.name)
def test_with_less_context_there_are_seams(model: Model) -> None:
    given = picture(97, 121)
    short = replace(model, reach=model.reach // 2)
    assert (together(short, given, 48) - whole(model, given)).abs().max() > 1e-3


@pytest.mark.parametrize("stride", [1, 4, 16])
@pytest.mark.parametrize("margin", [0, 16, 48])
@pytest.mark.parametrize("length", [16, 112, 128, 160, 992, 1008, 4000])
def test_parts_cover_a_side_with_tiles_of_one_size(length: int, margin: int, stride: int) -> None:
    most = 2 * margin + 64
    found = parts(length, 2 * margin + stride, most, margin, stride)
    kept = [pixel for part in found for pixel in range(part.first, part.last)]
    assert kept == list(range(length))
    (side,) = {part.stop - part.start for part in found}
    assert side <= max(most, 0) and side % stride == 0
    for part in found:
        assert part.start % stride == 0
        assert part.first - part.start >= margin or part.start == part.first == 0
        assert part.stop - part.last >= margin or part.stop == part.last == length
        assert part.last > part.first
    # No more tiles than are needed.
    assert len(found) == max(1, -(-(length - 2 * margin) // 64))


def test_tiles_are_as_large_as_the_reach_asks() -> None:
    near, far = upright(), upright(reach=200)
    assert {part.stop - part.start for part in plan(near, 5000, 5000).columns}.pop() <= USUAL
    sides = {part.stop - part.start for part in plan(far, 5000, 5000).columns}
    assert 700 < sides.pop() <= 800


def test_of_a_wide_picture_strips_stay_small() -> None:
    model = upright("enlarge:8", scale=8)
    cut = plan(model, 4000, 6_000)
    rows = max(part.last - part.first for part in cut.rows)
    assert 0.8 * STRIP < 3 * 8 * rows * 8 * 6_000 < 1.2 * STRIP
    assert max(part.stop - part.start for part in cut.columns) > 200


def test_strips_come_from_top_to_bottom_and_tiles_are_told() -> None:
    model, given, told = upright(), picture(60, 90), []
    strips = tiled(model, given, 40, tell=lambda: told.append(1))
    first = next(strips)
    columns = len(plan(model, 60, 90, 40).columns)
    assert len(told) == columns > 1  # nothing more was done before it is asked for
    assert first.shape[0] == 3 and first.shape[1] < 120 and first.shape[2] == 180
    rest = list(strips)
    assert first.shape[1] + sum(strip.shape[1] for strip in rest) == 120
    assert len(told) == plan(model, 60, 90, 40).tiles


def test_pixels_become_values_tile_by_tile() -> None:
    model = upright()
    pixels = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8)
    seen: list[int] = []

    def prepare(part: Tensor) -> Tensor:
        assert part.dtype == torch.uint8
        seen.append(part.shape[1])
        return as_values(part)

    made = torch.cat(list(tiled(model, pixels, 30, prepare)), 1)
    torch.testing.assert_close(made, whole(model, pixels.float() / 127.5 - 1), atol=1e-6, rtol=0)
    assert max(seen) <= 30 and len(seen) > 1


def test_small_pictures_are_continued_to_the_least_size() -> None:
    model, given = upright(least=24), picture(5, 60)
    shown: list[tuple[int, ...]] = []

    def network(some: Tensor) -> Tensor:
        shown.append(tuple(some.shape[2:]))
        return model.network(some)

    made = together(replace(model, network=network), given, 32)
    assert made.shape == (3, 10, 120)
    assert all(min(size) >= 24 for size in shown)
    more = F.pad(given[None], (0, 0, 0, 19), "replicate")
    torch.testing.assert_close(made, model.network(more)[0, :, :10].float(), atol=1e-6, rtol=0)


def test_some_networks_want_squares_or_the_whole() -> None:
    shown: list[tuple[int, ...]] = []
    model = upright()

    def network(some: Tensor) -> Tensor:
        shown.append(tuple(some.shape[2:]))
        return model.network(some)

    squares = replace(model, network=network, square=True)
    assert together(squares, picture(5, 90), 40).shape == (3, 10, 180)
    assert all(height == width for height, width in shown)
    assert len(shown) == len(plan(squares, 5, 90, 40).columns) > 1
    shown.clear()
    at_once = replace(model, network=network, whole=True)
    assert together(at_once, picture(300, 310), 40).shape == (3, 600, 620)
    assert shown == [(300, 310)]


def test_tiles_that_would_be_all_context_are_refused() -> None:
    with pytest.raises(UserError, match="tiles of 32 pixels are too small for hourglass, which"):
        plan(hourglass(), 100, 100, 32)
    assert plan(hourglass(), 32, 20, 32).tiles == 1  # nothing needs to be cut
    assert plan(hourglass(), 100, 100, 36).tiles > 1


def test_no_gradients_are_kept() -> None:
    model = upright()
    weights = torch.nn.Parameter(torch.ones(1))
    strips = tiled(
        replace(model, network=lambda some: model.network(some) * weights), picture(9, 9)
    )
    assert not any(strip.requires_grad for strip in strips)
