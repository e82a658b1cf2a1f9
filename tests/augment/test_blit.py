from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.augment.blit import blit


def pictures(count: int, height: int = 6, width: int = 6) -> Tensor:
    """No value is there twice."""
    return torch.arange(count * 2 * height * width).double().view(count, 2, height, width) / 7


def expected(picture: np.ndarray, mirrored: bool, turns: int, down: int, right: int) -> np.ndarray:
    """(C, H, W), by what NumPy has for it."""
    picture = picture[:, :, ::-1] if mirrored else picture
    picture = np.rot90(picture, turns, (1, 2))
    _, height, width = picture.shape
    around = np.pad(picture, ((0, 0), (height, height), (width, width)), mode="symmetric")
    top, left = height - down, width - right
    return around[:, top : top + height, left : left + width]


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 5), (4, 6), (6, 3), (1, 1)])
def test_every_blit_is_exact(height: int, width: int) -> None:
    turns = range(4) if height == width else (0, 2)
    downs = sorted({-height, -1, 0, 1, height})
    rights = sorted({-width, 0, 2 % (width + 1), width})
    cases = list(itertools.product((False, True), turns, downs, rights))
    x = pictures(len(cases), height, width)
    mirrored, turned, down, right = (torch.tensor(column) for column in zip(*cases, strict=True))
    y = blit(x, mirrored, turned, down, right)
    for picture, result, case in zip(x.numpy(), y.numpy(), cases, strict=True):
        assert np.array_equal(result, expected(picture, *case)), case


def test_a_quarter_turn_is_counter_clockwise() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    none, zero = torch.tensor([False]), torch.tensor([0])
    assert blit(x, none, torch.tensor([1]), zero, zero)[0, 0].tolist() == [[2, 4], [1, 3]]
    assert blit(x, ~none, zero, zero, zero)[0, 0].tolist() == [[2, 1], [4, 3]]
    # First mirrored, then turned.
    assert blit(x, ~none, torch.tensor([1]), zero, zero)[0, 0].tolist() == [[1, 3], [2, 4]]


def test_gradients_go_back_where_the_values_came_from() -> None:
    x = pictures(2).requires_grad_()
    mirrored, turns = torch.tensor([True, False]), torch.tensor([1, 3])
    down, right = torch.tensor([2, 0]), torch.tensor([0, -1])

    def change(x: Tensor) -> Tensor:
        return blit(x, mirrored, turns, down, right)

    assert torch.autograd.gradcheck(change, x)
    assert torch.autograd.gradgradcheck(lambda x: change(x) ** 2, x)
    y = change(x)
    y.sum().backward()
    assert x.grad is not None
    # The row that is reflected stands there twice; the one that left, nowhere.
    assert set(x.grad.unique().tolist()) == {0, 1, 2}
    assert x.grad.sum() == y.numel()
