from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from morelike.rng import SeedDraws
from morelike.tasks.blurring import gaussian
from morelike.tasks.degrading import NOISE, STEPS, Step, degraded, grain, out_of_focus
from morelike.tasks.jpeg import jpeg

CPU = torch.device("cpu")


def pictures(count: int, channels: int = 3, side: int = 16, within: float = 1.0) -> Tensor:
    shape = (count, channels, side, side)
    rough = torch.rand(shape, generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    return within * gaussian(rough, torch.full((count,), 0.7), 0.7)


def draws(count: int) -> SeedDraws:
    return SeedDraws(range(count), CPU)


def sharpness(values: Tensor) -> Tensor:
    return values.diff(dim=3).square().mean((1, 2, 3)) + values.diff(dim=2).square().mean((1, 2, 3))


def test_blur_is_a_gaussian_of_0_to_1_2_pixels() -> None:
    x = pictures(200, 1, 12)
    left = sharpness(degraded(x, draws(200), ["blur"])) / sharpness(x)
    most = sharpness(gaussian(x, torch.full((200,), 1.2), 1.2)) / sharpness(x)
    assert left.max() == pytest.approx(1) and (left / most).min() == pytest.approx(1, abs=0.05)
    assert ((left >= 0.99 * most) & (left <= 1.0001)).all()
    # Sigmas up to 0.3 are a quarter of all, and change next to nothing.
    assert 30 < (left > 0.97).sum() < 80


def test_noise_is_white_and_of_all_strengths_and_colours() -> None:
    x = pictures(300, 3, 16, within=0.5)
    noise = degraded(x, draws(300), ["noise"]) - x
    strength = noise.std((1, 2, 3))
    assert torch.histc(strength, 4, 0, NOISE).min() > 50 and strength.max() < 1.15 * NOISE
    assert noise.mean().abs() < 1e-3
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert neighbours.abs() < 0.02
    red, green = noise[:, 0].flatten(1), noise[:, 1].flatten(1)
    alike = (red * green).sum(1) / (red.norm(dim=1) * green.norm(dim=1))
    assert alike.mean() == pytest.approx(0.5, abs=0.05)
    assert alike.min() < 0.1 and alike.max() > 0.9


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_grain_has_variance_1_in_every_channel(channels: int) -> None:
    found = grain(torch.zeros(200, channels, 16, 16), draws(200), "purpose")
    assert found.var((0, 2, 3)).numpy() == pytest.approx(1, abs=0.05)
    other = grain(torch.zeros(200, channels, 16, 16), draws(200), "another")
    assert (found * other).mean().abs() < 0.02


def test_jpeg_is_of_qualities_30_to_95() -> None:
    x = pictures(120, 3, 16)
    away = (degraded(x, draws(120), ["jpeg"]) - x).abs().mean((1, 2, 3))
    ends = [
        (jpeg(x, torch.full((120,), quality)) - x).abs().mean((1, 2, 3)) for quality in (95.0, 30.0)
    ]
    assert (away > 0.8 * ends[0]).all() and (away < 1.25 * ends[1]).all()
    assert away.max() > 3 * away.min()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_row_depends_on_itself_alone(channels: int, dtype: torch.dtype) -> None:
    x = pictures(4, channels, 13).to(dtype)
    for change in (lambda x, d: degraded(x, d, ["blur", "noise", "jpeg"]), out_of_focus):
        found = change(x, draws(4))
        assert found.shape == x.shape and found.dtype == dtype
        assert found.isfinite().all() and found.abs().max() <= 1
        assert torch.equal(change(x, draws(4)), found)
        alone = change(x[2:3], SeedDraws([2], CPU))
        assert torch.allclose(alone, found[2:3], atol=1e-5)


def test_the_order_is_as_asked_and_nothing_is_done_unasked() -> None:
    x = pictures(6)
    assert degraded(x, draws(6), []) is x
    orders: list[list[Step]] = [list(order) for order in itertools.permutations(STEPS)]
    found = [degraded(x, draws(6), order) for order in orders]
    assert len(found) == 6
    for one, other in itertools.combinations(found, 2):
        assert not torch.allclose(one, other, atol=1e-3)
    blurred_last = degraded(degraded(x, draws(6), ["noise"]), draws(6), ["blur"])
    assert torch.equal(degraded(x, draws(6), ["noise", "blur"]), blurred_last)


def test_what_is_done_twice_is_done_by_other_numbers() -> None:
    x = pictures(50, 3, 16, within=0.5)
    once, twice = degraded(x, draws(50), ["noise"]), degraded(x, draws(50), ["noise", "noise"])
    first, second = once - x, twice - once
    alike = (first * second).mean() / (first.std() * second.std())
    assert alike.abs() < 0.03 and second.std() == pytest.approx(first.std().item(), rel=0.3)


def test_an_alpha_is_blurred_but_neither_noisy_nor_compressed() -> None:
    x = pictures(5, 4)
    for step in STEPS:
        same = torch.equal(degraded(x, draws(5), [step])[:, 3], x[:, 3])
        assert same == (step != "blur")


def test_out_of_focus_is_round_or_along_a_line() -> None:
    dots = torch.full((200, 1, 31, 31), -1.0, dtype=torch.float64)
    dots[:, :, 15, 15] = 1
    kernels = (out_of_focus(dots, draws(200))[:, 0] + 1) / 2
    assert kernels.sum((1, 2)).numpy() == pytest.approx(1)
    line = torch.arange(31).double() - 15
    rows, columns = (kernels * line[:, None] ** 2).sum((1, 2)), (kernels * line**2).sum((1, 2))
    across = (kernels * line[:, None] * line).sum((1, 2))
    # Eigenvalues of the covariance: equal for what is round, and far apart along a line.
    middle, half = (rows + columns) / 2, ((rows - columns) ** 2 / 4 + across**2).sqrt()
    wide, narrow = middle + half, middle - half
    is_round = half < 1e-6
    assert 70 < is_round.sum() < 130
    assert wide[is_round].max() == pytest.approx(4, rel=0.1)
    moved = ~is_round
    assert narrow[moved].max() < 0.26
    assert wide[moved].max() == pytest.approx(81 / 12, rel=0.1)
    angles = torch.atan2(2 * across, rows - columns)[moved]
    assert torch.histc(angles, 4, -torch.pi, torch.pi).min() > 10
