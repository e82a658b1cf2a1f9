from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.metrics.sliced_wasserstein import PATCH, sliced_wasserstein


def waves(count: int, side: int = 32, channels: int = 3, seed: int = 0) -> Tensor:
    """Coloured plane waves with a little grain, in [-1, 1]: form and texture at every scale."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.arange(side) / side
    turn = torch.rand(count, 1, 1, generator=generator)
    direction = (torch.rand(count, 2, generator=generator) - 0.5) * 12
    phase = direction[:, :1, None] * place[:, None] + direction[:, 1:, None] * place + turn
    tint = 0.6 * torch.rand(count, channels, 1, 1, generator=generator)
    grain = 0.1 * torch.randn(count, channels, side, side, generator=generator)
    return (tint * torch.sin(2 * math.pi * phase)[:, None] + grain).clamp(-1, 1)


def distance(real: Tensor, fake: Tensor, seed: int = 0, **sizes: int) -> float:
    return sliced_wasserstein(real, fake, np.random.RandomState(seed), **sizes)


REAL = waves(96)
HALF, OTHER_HALF = REAL[::2], REAL[1::2]
BASELINE = distance(HALF, OTHER_HALF)


@pytest.mark.parametrize("side", [16, 32])
def test_equal_sets_are_no_distance_apart(side: int) -> None:
    pictures = waves(32, side)
    assert distance(pictures, pictures.clone()) == pytest.approx(0, abs=1e-3)


def test_equal_flat_sets_are_no_distance_apart() -> None:
    # Here it does not matter where a patch is taken from.
    pictures = torch.linspace(-1, 1, 8)[:, None, None, None].expand(8, 3, 16, 16)
    assert distance(pictures, pictures.flip(0)) == pytest.approx(0, abs=1e-3)


def test_a_picture_s_place_in_its_set_does_not_matter() -> None:
    far = OTHER_HALF + 0.5
    assert distance(HALF, far.flip(0)) == pytest.approx(distance(HALF, far), rel=0.03)


@pytest.mark.parametrize(("side", "levels"), [(16, 1), (32, 2), (64, 3)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shift", [0.25, -0.5])
def test_a_constant_shift_in_closed_form(
    side: int, levels: int, channels: int, shift: float
) -> None:
    """Flat pictures, shifted by c: each patch, in d = 49 C numbers, moves by c/s (1, ..., 1).

    Along a random unit vector u that is |c/s| |sum u|, and E|sum u| = sqrt(d) E|u_1| with
    E|u_1| = Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)). All levels but the last are empty.
    """
    values = (torch.arange(8) - 4) / 8  # exact in binary, so that the empty levels are empty
    real = values[:, None, None, None].expand(8, channels, side, side)
    patches = 4
    spread = values.repeat_interleave(patches * PATCH**2).std().item()
    d = PATCH**2 * channels
    mean_along = math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)
    expected = 1000 * abs(shift) / spread * math.sqrt(d) * mean_along / levels
    found = distance(real, real + shift, patches=patches, directions=20_000)
    assert found == pytest.approx(expected, rel=0.03)


def test_one_level_is_linear_in_the_shift() -> None:
    real = torch.linspace(-0.5, 0.5, 8)[:, None, None, None].expand(8, 3, 16, 16)
    one, three = (distance(real, real + shift) for shift in (0.5, 1.5))
    assert three == pytest.approx(3 * one, rel=1e-4)


def blurred(pictures: Tensor, sigma: float) -> Tensor:
    reach = 6
    place = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-(place**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = F.pad(pictures, (reach,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel[:, :, :, None], groups=3)
    return F.conv2d(rows, kernel[:, :, None, :], groups=3)


def noisy(pictures: Tensor, strength: float) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return pictures + strength * torch.randn(pictures.shape, generator=generator)


def tinted(pictures: Tensor, strength: float) -> Tensor:
    return pictures + strength * torch.tensor([1.0, 0.0, -1.0])[:, None, None]


def flattened(pictures: Tensor, strength: float) -> Tensor:
    """Less contrast: what normalising each set by itself would hide."""
    return pictures * (1 - strength)


@pytest.mark.parametrize(
    ("damage", "strengths"),
    [
        (blurred, (0.5, 1.0, 2.0)),
        (noisy, (0.1, 0.2, 0.4)),
        (tinted, (0.2, 0.4, 0.8)),
        (flattened, (0.2, 0.4, 0.8)),
    ],
)
def test_it_grows_with_planted_damage(
    damage: Callable[[Tensor, float], Tensor], strengths: tuple[float, ...]
) -> None:
    found = [distance(HALF, damage(OTHER_HALF, strength)) for strength in strengths]
    assert BASELINE < found[0] < found[1] < found[2]
    assert found[2] > 2 * BASELINE


def test_it_sees_a_single_repeated_picture() -> None:
    collapsed = OTHER_HALF[:1].expand_as(OTHER_HALF)
    assert distance(HALF, collapsed) > 2 * BASELINE


def test_it_is_nearly_symmetric_for_two_halves() -> None:
    assert distance(OTHER_HALF, HALF) == pytest.approx(BASELINE, rel=0.3)


def test_more_pictures_bring_two_halves_closer() -> None:
    few = distance(HALF[:8], OTHER_HALF[:8])
    assert few > BASELINE > 0


def test_the_same_seed_gives_the_same_figure() -> None:
    assert distance(HALF, OTHER_HALF) == BASELINE
    assert distance(HALF, OTHER_HALF, seed=1) != BASELINE


def test_the_pictures_are_not_written_to() -> None:
    before = HALF.clone()
    distance(HALF, OTHER_HALF)
    assert torch.equal(HALF, before)


@pytest.mark.parametrize("shape", [(47, 3, 32, 32), (48, 1, 32, 32), (48, 3, 16, 16)])
def test_sets_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"equal shape.*48, 3, 32, 32"):
        distance(HALF, torch.zeros(shape))
