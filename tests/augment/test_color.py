from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.augment.color import Color, matrix, recolored


def what(**given: float) -> Color:
    neutral = {"brightness": 0.0, "contrast": 1.0, "flip": 1.0, "hue": 0.0, "saturation": 1.0}
    values = {k: torch.tensor([v], dtype=torch.float64) for k, v in (neutral | given).items()}
    return Color(**values)


def one_pixel(*channels: float) -> Tensor:
    return torch.tensor(channels, dtype=torch.float64).view(1, -1, 1, 1)


def changed(*channels: float, **given: float) -> list[float]:
    return recolored(one_pixel(*channels), matrix(what(**given))).flatten().tolist()


ROOT = math.sqrt(3)


@pytest.mark.parametrize(
    ("given", "before", "after"),
    [
        ({}, (0.1, -0.7, 0.4), (0.1, -0.7, 0.4)),
        ({"brightness": 0.2}, (0.1, -0.7, 0.4), (0.3, -0.5, 0.6)),
        ({"contrast": 0.5}, (0.1, -0.7, 0.4), (0.05, -0.35, 0.2)),
        # Gray is inverted; a colour's distance from gray is kept.
        ({"flip": -1.0}, (0.5, 0.5, 0.5), (-0.5, -0.5, -0.5)),
        ({"flip": -1.0}, (1, 0, 0), (1 / 3, -2 / 3, -2 / 3)),
        # A third of a turn changes places.
        ({"hue": 2 * math.pi / 3}, (1, 0.2, -0.5), (-0.5, 1, 0.2)),
        ({"hue": -2 * math.pi / 3}, (1, 0.2, -0.5), (0.2, -0.5, 1)),
        ({"hue": math.pi}, (1, 0, 0), (-1 / 3, 2 / 3, 2 / 3)),
        ({"hue": math.pi / 2}, (1, 0, 0), (1 / 3, (1 + ROOT) / 3, (1 - ROOT) / 3)),
        ({"hue": 1.0}, (0.3, 0.3, 0.3), (0.3, 0.3, 0.3)),
        ({"saturation": 0.0}, (1, 0.2, -0.6), (0.2, 0.2, 0.2)),
        ({"saturation": 2.0}, (1, 0.2, -0.6), (1.8, 0.2, -1.4)),
        # Brightness comes first, and is multiplied and turned over with the rest.
        ({"brightness": 0.2, "contrast": 2.0}, (0.1, 0, 0), (0.6, 0.4, 0.4)),
        ({"brightness": 0.2, "flip": -1.0}, (0.3, 0.3, 0.3), (-0.5, -0.5, -0.5)),
    ],
)
def test_known_colours(
    given: dict[str, float], before: tuple[float, ...], after: tuple[float, ...]
) -> None:
    assert changed(*before, **given) == pytest.approx(list(after), abs=1e-12)


def test_the_matrix_is_the_paper_s_product() -> None:
    """Five 4x4 matrices, in their order, with Rodrigues' formula and a Householder reflection."""
    numbers = np.random.default_rng(0)
    v = np.ones(3) / np.sqrt(3)
    outer = np.outer(v, v)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    for flip in (1.0, -1.0):
        b, angle = numbers.normal(0, 0.3), numbers.uniform(-np.pi, np.pi)
        c, s = np.exp(numbers.normal(0, 0.5, 2))
        steps = [np.eye(4) for _ in range(5)]
        steps[0][:3, 3] = b
        steps[1][:3, :3] *= c
        if flip < 0:
            steps[2][:3, :3] -= 2 * outer
        rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        steps[3][:3, :3] = rotation
        steps[4][:3, :3] = outer + (np.eye(3) - outer) * s
        product = steps[4] @ steps[3] @ steps[2] @ steps[1] @ steps[0]
        given = what(brightness=b, contrast=c, flip=flip, hue=angle, saturation=s)
        np.testing.assert_allclose(matrix(given)[0].numpy(), product[:3], rtol=0, atol=1e-12)


def some(channels: int) -> Tensor:
    drawn = torch.rand(2, channels, 3, 4, generator=torch.Generator().manual_seed(0))
    return drawn.double() * 2 - 1


def strong() -> Tensor:
    given = what(brightness=0.3, contrast=1.7, flip=-1.0, hue=1.0, saturation=0.4)
    return matrix(given).expand(2, -1, -1)


def test_gray_pictures_go_through_as_three_equal_channels() -> None:
    x = some(1)
    expected = recolored(x.expand(-1, 3, -1, -1), strong()).mean(1, keepdim=True)
    torch.testing.assert_close(recolored(x, strong()), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_left_alone(channels: int) -> None:
    x = some(channels)
    y = recolored(x, strong())
    assert torch.equal(y[:, -1], x[:, -1])
    assert torch.equal(y[:, :-1], recolored(x[:, :-1], strong()))
    assert (y[:, :-1] != x[:, :-1]).all()


def test_gradients_equal_finite_differences() -> None:
    x = some(4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: recolored(x, strong()), x)
    assert torch.autograd.gradgradcheck(lambda x: recolored(x, strong()) ** 2, x)
