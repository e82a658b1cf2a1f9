from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from conftest import picture
from morelike.metrics.fidelity import feature_distance, psnr, ssim

TRUTH = torch.stack(
    [torch.from_numpy(picture(number, 40, 48)).permute(2, 0, 1) for number in range(6)]
)
TRUTH = TRUTH.double() / 127.5 - 1


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1


def gradients(pictures: Tensor) -> list[Tensor]:
    """What stands for a network's maps: differences to both sides, at two scales."""
    maps = []
    for level in (pictures, F.avg_pool2d(pictures, 2)):
        inner = level[:, :, :-1, :-1]
        across, down = level[:, :, :-1, 1:] - inner, level[:, :, 1:, :-1] - inner
        maps.append(torch.cat([across, down, torch.full_like(inner[:, :1], 0.1)], 1))
    return maps


def unlike(made: Tensor, truth: Tensor) -> Tensor:
    return feature_distance(gradients(made), gradients(truth))


# --- closed forms ---


@pytest.mark.parametrize(("offset", "decibels"), [(0.2, 20.0), (-0.02, 40.0), (2.0, 0.0)])
def test_psnr_of_an_offset(offset: float, decibels: float) -> None:
    truth = random(3, 2, 5, 7)
    torch.testing.assert_close(
        psnr(truth + offset, truth), torch.full((3,), decibels, dtype=torch.float64)
    )


def test_psnr_is_of_each_picture_s_own_mean_error() -> None:
    truth = torch.zeros(2, 1, 4, 5)
    made = truth.clone()
    made[1, 0, 2, 3] = 1.0  # one of 20 is wrong by half of the range
    found = psnr(made, truth)
    assert found[0] == math.inf
    assert found[1] == pytest.approx(10 * math.log10(4 * 20))


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.4), (-1.0, 1.0), (0.0, 0.3)])
def test_ssim_of_flat_pictures_is_its_luminance(a: float, b: float) -> None:
    flat = torch.ones(1, 3, 12, 13, dtype=torch.float64)
    c = (0.01 * 2) ** 2
    assert ssim(a * flat, b * flat).item() == pytest.approx((2 * a * b + c) / (a**2 + b**2 + c))


def test_ssim_of_equal_pictures_is_1() -> None:
    torch.testing.assert_close(ssim(TRUTH, TRUTH), torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize("factor", [0.5, -1.0])
def test_ssim_of_other_contrast(factor: float) -> None:
    """Fine grain of mean 0 and variance 1, and f times it: (2 f + c) / (1 + f^2 + c)."""
    place = torch.arange(32)
    grain = ((place[:, None] + place) % 2 * 2.0 - 1).double()[None, None]
    c = (0.03 * 2) ** 2
    expected = (2 * factor + c) / (1 + factor**2 + c)
    assert ssim(factor * grain, grain).item() == pytest.approx(expected, abs=1e-5)


def test_distances_of_directions() -> None:
    along = torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 5)
    across = torch.tensor([0, 1.0, 0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 5)
    assert feature_distance([along], [3 * along]) == pytest.approx(0)  # a length is no direction
    assert feature_distance([along], [7 * across]) == pytest.approx(2)
    assert feature_distance([along], [-along]) == pytest.approx(4)
    half = torch.cat([along[..., :2, :], across[..., :2, :]], dim=2)
    assert feature_distance([torch.cat([along, along], dim=2)], [half]) == pytest.approx(1)
    # Layers count alike, whatever their sizes.
    assert feature_distance([along, half], [across, -half]) == pytest.approx(6)


def test_features_that_are_0_are_no_nan() -> None:
    nothing = torch.zeros(2, 3, 4, 4, requires_grad=True)
    something = torch.ones(2, 3, 4, 4)
    torch.testing.assert_close(feature_distance([nothing], [something]), torch.ones(2))
    feature_distance([nothing], [nothing.detach()]).sum().backward()
    assert nothing.grad is not None
    assert nothing.grad.isfinite().all()


# --- independent NumPy ---


def numpy_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Of one channel: every window by itself, with the statistics as the paper sums them."""
    place = np.mgrid[-5:6, -5:6]
    window = np.exp(-(place**2).sum(axis=0) / (2 * 1.5**2))
    window /= window.sum()
    found = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            a, b = (each[top : top + 11, left : left + 11] for each in (x, y))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a = (window * (a - mean_a) ** 2).sum()
            var_b = (window * (b - mean_b) ** 2).sum()
            cov = (window * (a - mean_a) * (b - mean_b)).sum()
            above = (2 * mean_a * mean_b + 0.0004) * (2 * cov + 0.0036)
            found.append(above / ((mean_a**2 + mean_b**2 + 0.0004) * (var_a + var_b + 0.0036)))
    return float(np.mean(found))


def test_ssim_is_that_of_numpy() -> None:
    truth, made = random(2, 3, 14, 17), random(2, 3, 14, 17, seed=1)
    made = 0.7 * truth + 0.3 * made
    expected = [
        np.mean([numpy_ssim(made[n, c].numpy(), truth[n, c].numpy()) for c in range(3)])
        for n in range(2)
    ]
    np.testing.assert_allclose(ssim(made, truth).numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(ssim(made.float(), truth.float()).numpy(), expected, rtol=1e-5)


def test_feature_distance_is_that_of_numpy() -> None:
    shapes = [(2, 5, 4, 3), (2, 7, 2, 1)]
    a = [random(*shape, seed=n) for n, shape in enumerate(shapes)]
    b = [random(*shape, seed=n + 9) for n, shape in enumerate(shapes)]
    expected = np.zeros(2)
    for x, y in zip(a, b, strict=True):
        count, _, height, width = x.shape
        for n in range(count):
            for h in range(height):
                for w in range(width):
                    p, q = (each[n, :, h, w].numpy() for each in (x, y))
                    p, q = p / np.linalg.norm(p), q / np.linalg.norm(q)
                    expected[n] += ((p - q) ** 2).sum() / (height * width)
    np.testing.assert_allclose(feature_distance(a, b).numpy(), expected, rtol=1e-8)


# --- planted degradations ---


def blurred(pictures: Tensor, sigma: float) -> Tensor:
    place = torch.arange(-9, 10)
    bell = torch.exp(-(place**2) / (2 * sigma**2)).to(pictures)
    bell = (bell / bell.sum()).expand(3, 1, -1)
    padded = F.pad(pictures, (9,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, bell[..., None], groups=3), bell[:, :, None], groups=3)


def noisy(pictures: Tensor, strength: float) -> Tensor:
    return pictures + strength * random(*pictures.shape, seed=5)


def shifted(pictures: Tensor, pixels: float) -> Tensor:
    return pictures.roll(int(pixels), 3)


@pytest.mark.parametrize("nearness", [psnr, ssim, lambda made, truth: -unlike(made, truth)])
@pytest.mark.parametrize(
    ("damage", "strengths"),
    [(blurred, (0.5, 1, 2, 4)), (noisy, (0.05, 0.1, 0.2, 0.5)), (shifted, (1, 2, 4))],
)
def test_more_damage_is_farther_away(
    nearness: Callable[[Tensor, Tensor], Tensor],
    damage: Callable[[Tensor, float], Tensor],
    strengths: tuple[float, ...],
) -> None:
    truth = (TRUTH + blurred(random(*TRUTH.shape, seed=3), 2)).clamp(-1, 1)
    found = torch.stack([nearness(damage(truth, strength), truth) for strength in strengths])
    assert (found.diff(dim=0).mean(dim=1) < 0).all()


# --- what all three promise ---


@pytest.mark.parametrize("measure", [psnr, ssim, unlike])
def test_a_row_depends_on_its_pair_alone(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    made = noisy(TRUTH, 0.2)
    whole = measure(made, TRUTH)
    assert whole.shape == (6,)
    assert whole.unique().numel() == 6
    torch.testing.assert_close(measure(made[2:3], TRUTH[2:3]), whole[2:3])


@pytest.mark.parametrize("measure", [psnr, ssim, unlike])
def test_gradients_are_right(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    made, truth = random(1, 2, 12, 11).requires_grad_(), random(1, 2, 12, 11, seed=1)
    assert torch.autograd.gradcheck(lambda x: measure(x, truth), made)


@pytest.mark.parametrize("measure", [psnr, ssim, unlike])
def test_figures_are_of_float32_at_least(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    made, truth = noisy(TRUTH, 0.2).bfloat16(), TRUTH.bfloat16()
    expected = measure(made.float(), truth.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert measure(made.float(), truth.float()).dtype == torch.float32
        found = measure(made, truth)
    if measure is not unlike:  # its maps are of bfloat16 already
        torch.testing.assert_close(found, expected)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_is_no_pair_is_refused(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"the same \(N, C, H, W\) is needed"):
        measure(TRUTH, TRUTH[:, :1])
    with pytest.raises(ValueError, match=r"the same \(N, C, H, W\) is needed"):
        measure(TRUTH[0], TRUTH[0])


def test_ssim_needs_one_window() -> None:
    with pytest.raises(ValueError, match="sides of at least 11 are needed"):
        ssim(TRUTH[..., :10], TRUTH[..., :10])
    assert ssim(TRUTH[..., :11, :11], TRUTH[..., :11, :11]).shape == (6,)


def test_layers_that_do_not_fit_are_refused() -> None:
    one = torch.ones(1, 2, 3, 3)
    for a, b in ([], []), ([one], [one, one]), ([one], [one[:, :1]]):
        with pytest.raises(ValueError, match="needed"):
            feature_distance(a, b)
