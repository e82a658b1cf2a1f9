from __future__ import annotations

import pytest
import torch

from morelike.rng import SeedDraws, StepDraws
from morelike.tasks import masks
from morelike.tasks.masks import holes, with_holes

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(16, 16), (32, 64), (48, 32)])
def test_holes_cover_5_to_50_percent_and_all_shares_between(size: tuple[int, int]) -> None:
    shares = holes(size, SeedDraws(range(600), CPU)).double().mean((1, 2))
    assert shares.min() >= 0.05 and shares.max() <= 0.5
    counts = torch.histc(shares, 9, 0.05, 0.5)
    assert counts[:8].min() > 35 and counts[8] > 5  # one row of pixels is kept back of the last


def test_the_mask_comes_last_and_what_is_missing_is_0() -> None:
    pictures = torch.rand(4, 3, 24, 16, dtype=torch.float64) * 0.8 + 0.1
    found = with_holes(pictures, SeedDraws(range(4), CPU))
    assert found.shape == (4, 4, 24, 16) and found.dtype == torch.float64
    shown, mask = found[:, :3], found[:, 3:]
    assert mask.unique().tolist() == [-1, 1]
    assert (shown[(mask == 1).expand_as(shown)] == 0).all()
    assert torch.equal(shown, torch.where(mask == 1, 0, pictures))


def test_holes_are_rectangles_or_strokes_or_both() -> None:
    found = holes((64, 64), SeedDraws(range(300), CPU))
    # Of one rectangle alone the hole is as large as what encloses it.
    rows, columns = found.any(2).sum(1), found.any(1).sum(1)
    filled = found.sum((1, 2)) / (rows * columns)
    assert 20 < (filled == 1).sum() < 100
    assert (filled < 0.6).sum() > 60
    # They lie everywhere.
    often = found.double().mean(0)
    assert often.min() > 0.05 and often.max() < 0.5


def pieces(mask: torch.Tensor) -> int:
    """How many parts of a mask (H, W) do not touch."""
    left = {(int(y), int(x)) for y, x in mask.nonzero()}
    count = 0
    while left:
        count += 1
        border = [left.pop()]
        while border:
            y, x = border.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            border += near
    return count


def test_there_are_one_to_four_in_a_picture() -> None:
    found = [pieces(one) for one in holes((48, 48), SeedDraws(range(60), CPU))]
    assert set(found) == {1, 2, 3, 4}


def test_strokes_are_as_far_as_their_brush_is_wide() -> None:
    numbers = torch.full(
        (1, masks.SHAPES, masks.NUMBERS), 0.5
    )  # from the middle straight to the left
    line = (torch.arange(100) + 0.5) / 100
    distance = masks._to_stroke(numbers, line, line, torch.ones(1))[0, 0]
    radius = 0.03 + 0.05 * 0.5
    assert distance[49, 30] * radius == pytest.approx(0.0025, abs=0.004)
    assert distance[29, 30] * radius == pytest.approx(0.2, abs=0.01)
    assert distance[49, 69] * radius == pytest.approx(0.2, abs=0.01)
    assert masks._to_rectangle(numbers, line, line).isinf().all()
    numbers[..., 0] = 0.4
    assert masks._to_stroke(numbers, line, line, torch.ones(1)).isinf().all()


def test_each_picture_has_its_own_holes() -> None:
    together = holes((32, 32), SeedDraws([3, 4, 5], CPU))
    assert torch.equal(holes((32, 32), SeedDraws([4], CPU)), together[1:2])
    assert not torch.equal(together[0], together[1])
    step = StepDraws(0, 64, "generator", 6, 0, 6, CPU)
    part = StepDraws(0, 64, "generator", 6, 2, 4, CPU)
    assert torch.equal(holes((32, 32), step)[2:4], holes((32, 32), part))
