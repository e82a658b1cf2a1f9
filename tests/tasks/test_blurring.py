from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.tasks.blurring import gaussian, moved


def dot(count: int, side: int = 31) -> Tensor:
    """A single bright pixel in the middle: what becomes of it is the kernel."""
    pictures = torch.zeros(count, 2, side, side, dtype=torch.float64)
    pictures[:, :, side // 2, side // 2] = 1
    return pictures


def moments(kernel: Tensor) -> tuple[float, float, np.ndarray]:
    """The sum, the distance of the centre from the middle, and the covariance, rows first."""
    line = torch.arange(len(kernel), dtype=kernel.dtype) - len(kernel) // 2
    where = torch.stack(torch.meshgrid(line, line, indexing="ij")).flatten(1)
    total, weight = kernel.sum(), kernel.flatten() / kernel.sum()
    centre = where @ weight
    spread = (where * weight) @ where.T - centre[:, None] * centre
    return total.item(), centre.norm().item(), spread.numpy()


def test_a_dot_becomes_a_gaussian_of_its_own_sigma() -> None:
    sigmas = torch.tensor([0.7, 1.0, 2.0], dtype=torch.float64)
    for blurred, sigma in zip(gaussian(dot(3), sigmas, 2.0), sigmas.tolist(), strict=True):
        total, away, spread = moments(blurred[1])
        assert total == pytest.approx(1)
        assert away == pytest.approx(0, abs=1e-9)
        # Of a Gaussian that ends after three sigmas of 2 pixels a little is missing.
        assert spread == pytest.approx(sigma**2 * np.eye(2), rel=0.04)
        assert blurred[0, 15, 16] / blurred[0, 15, 15] == pytest.approx(math.exp(-0.5 / sigma**2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_blur_pictures_stay_as_they_are(dtype: torch.dtype) -> None:
    pictures = torch.rand(2, 3, 7, 9, dtype=dtype) * 2 - 1
    nothing = torch.zeros(2)
    assert torch.allclose(gaussian(pictures, nothing, 1.2), pictures, atol=1e-6)
    assert torch.allclose(
        moved(pictures, nothing, torch.tensor([0.0, 1.0]), 9), pictures, atol=1e-6
    )


@pytest.mark.parametrize("length", [3.0, 6.0, 9.0])
@pytest.mark.parametrize("degrees", [0, 30, 90, 145])
def test_a_dot_becomes_a_line_of_its_own_length_and_angle(length: float, degrees: float) -> None:
    angle = math.radians(degrees)
    lengths, angles = torch.tensor([length, 0.0]), torch.tensor([angle, 0.0])
    blurred, untouched = moved(dot(2), lengths, angles, 9.0)[:, 0]
    total, away, spread = moments(blurred)
    assert total == pytest.approx(1)
    assert away == pytest.approx(0, abs=1e-6)
    assert torch.equal(untouched, dot(1)[0, 0])
    # A line's variance is a twelfth of its squared length; the pixels add less than a quarter.
    along = np.array([math.sin(angle), math.cos(angle)])
    across = np.array([along[1], -along[0]])
    assert along @ spread @ along == pytest.approx(length**2 / 12, rel=0.05, abs=0.25)
    assert 0 <= across @ spread @ across < 0.26


def test_beyond_the_border_the_outermost_pixels_go_on() -> None:
    flat = torch.full((1, 1, 3, 4), 0.3, dtype=torch.float64)
    assert torch.allclose(gaussian(flat, torch.tensor([2.0]), 2.0), flat)
    assert torch.allclose(moved(flat, torch.tensor([9.0]), torch.tensor([0.4]), 9.0), flat)
    edge = torch.zeros(1, 1, 1, 8, dtype=torch.float64)
    edge[..., 0] = 1
    longer = torch.cat([torch.ones(1, 1, 1, 6, dtype=torch.float64), edge], 3)
    sigma = torch.tensor([2.0])
    assert torch.allclose(gaussian(edge, sigma, 2.0), gaussian(longer, sigma, 2.0)[..., 6:])


def test_each_picture_has_its_own_kernel() -> None:
    pictures = torch.rand(3, 2, 9, 9, dtype=torch.float64)
    sigma, length, angle = torch.tensor([[0.5, 1, 2], [1, 5, 9], [0, 1, 2.0]])
    blurred, shifted = gaussian(pictures, sigma, 2.0), moved(pictures, length, angle, 9.0)
    for row in range(3):
        one = slice(row, row + 1)
        assert torch.allclose(gaussian(pictures[one], sigma[one], 2.0), blurred[one])
        assert torch.allclose(moved(pictures[one], length[one], angle[one], 9.0), shifted[one])
