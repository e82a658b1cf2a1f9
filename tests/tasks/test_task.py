from __future__ import annotations

import pytest
import torch
from torch import Tensor

from morelike.rng import SeedDraws
from morelike.tasks.task import Task, cut, places

CPU = torch.device("cpu")


def numbered(count: int, height: int, width: int) -> Tensor:
    """Every pixel with a value of its own, so that a part tells its place."""
    whole = torch.arange(count * height * width, dtype=torch.float64).view(count, 1, height, width)
    return whole.expand(-1, 2, -1, -1)


def corner_of(part: Tensor, height: int, width: int) -> tuple[int, int, int]:
    """The picture, row and column that the first pixel of a part comes from."""
    number, inside = divmod(int(part[0, 0, 0]), height * width)
    return (number, *divmod(inside, width))


def every_other(pictures: Tensor, _: object) -> Tensor:
    return pictures[:, :, ::4, ::4]


def halves(pictures: Tensor, _: object) -> Tensor:
    return pictures


def test_whole_pictures_are_the_targets() -> None:
    pictures = numbered(3, 8, 12)
    pair = Task("some", 2, 4, every_other).pair(pictures, SeedDraws(range(3), CPU))
    assert torch.equal(pair.target, pictures)
    assert torch.equal(pair.input, pictures[:, :, ::4, ::4])


def test_crops_begin_at_multiples_of_the_scale_and_their_input_is_derived_from_them() -> None:
    pictures = numbered(200, 32, 48)
    pair = Task("some", 2, 4, every_other).pair(pictures, SeedDraws(range(200), CPU), crop=16)
    assert pair.target.shape == (200, 2, 16, 16)
    assert torch.equal(pair.input, pair.target[:, :, ::4, ::4])
    corners = [corner_of(part, 32, 48) for part in pair.target]
    assert [number for number, _, _ in corners] == list(range(200))
    # Each place there is, and about equally often.
    rows, columns = ([place[axis] for place in corners] for axis in (1, 2))
    assert sorted(set(rows)) == list(range(0, 17, 4))
    assert sorted(set(columns)) == list(range(0, 33, 4))
    assert min(rows.count(row) for row in range(0, 17, 4)) > 20
    for part, (number, row, column) in zip(pair.target, corners, strict=True):
        assert torch.equal(part, pictures[number, :, row : row + 16, column : column + 16])


@pytest.mark.parametrize(("crop", "size"), [(8, (8, 8)), (16, (12, 16)), (20, (12, 20))])
def test_crops_are_cut_only_where_pictures_are_larger(crop: int, size: tuple[int, int]) -> None:
    pair = Task("some", 2, 4, every_other).pair(numbered(2, 12, 20), SeedDraws([1, 2], CPU), crop)
    assert pair.target.shape[2:] == size


def test_both_halves_are_cut_at_the_same_place() -> None:
    left, right = numbered(50, 20, 20), numbered(50, 20, 20) + 0.5
    joined = torch.cat([left, right], 3)
    task = Task("pairs", 2, 1, halves, halves=True)
    pair = task.pair(joined, SeedDraws(range(50), CPU))
    assert torch.equal(pair.input, left) and torch.equal(pair.target, right)
    pair = task.pair(joined, SeedDraws(range(50), CPU), crop=12)
    assert pair.target.shape == (50, 2, 12, 12)
    assert torch.equal(pair.input + 0.5, pair.target)
    assert len({corner_of(part, 20, 20)[1:] for part in pair.input}) > 20


def test_a_crop_depends_on_its_own_row_alone() -> None:
    pictures, task = numbered(5, 20, 20), Task("some", 2, 1, halves)
    whole = task.pair(pictures, SeedDraws(range(5), CPU), 8)
    alone = task.pair(pictures[3:4], SeedDraws([3], CPU), 8)
    assert torch.equal(whole.target[3:4], alone.target)


def test_the_largest_number_is_no_place_beyond_the_last() -> None:
    largest = torch.tensor([[1 - 2.0**-24, 1 - 2.0**-24]])
    pictures = torch.zeros(1, 1, 1000, 4000)
    assert places(pictures, (10, 10), largest).tolist() == [[990, 3990]]
    assert places(pictures, (1000, 4000), largest).tolist() == [[0, 0]]


def test_parts_are_channels_last_in_memory() -> None:
    part = cut(torch.rand(2, 3, 9, 9), torch.tensor([[0, 1], [2, 3]]), (4, 5))
    assert part.shape == (2, 3, 4, 5)
    assert part.is_contiguous(memory_format=torch.channels_last)
