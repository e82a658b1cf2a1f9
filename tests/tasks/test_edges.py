from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from morelike.tasks.edges import edges


def places(side: int) -> tuple[Tensor, Tensor]:
    line = torch.arange(side, dtype=torch.float64) + 0.5
    return line[:, None].expand(side, side), line.expand(side, side)


def step(away: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    """A border one pixel wide, where `away` is 0, as a camera would see it: (1, 1, H, W)."""
    return (low + (high - low) * (away + 0.5).clamp(0, 1))[None, None]


def disc(radius: float, side: int = 48) -> Tensor:
    y, x = places(side)
    return step(radius - torch.hypot(y - side / 2, x - side / 2))


def ink(pictures: Tensor) -> Tensor:
    """(B, H, W), how much of each pixel is black."""
    drawing = edges(pictures)
    assert drawing.shape == (len(pictures), 1, *pictures.shape[2:])
    assert drawing.dtype == pictures.dtype
    assert ((drawing >= -1) & (drawing <= 1)).all()
    return (1 - drawing[:, 0]) / 2


@pytest.mark.parametrize("radius", [6.0, 11.3, 18.0])
def test_a_disc_becomes_a_thin_closed_ring(radius: float) -> None:
    (drawn,) = ink(disc(radius))
    y, x = places(48)
    away = torch.hypot(y - 24, x - 24)
    assert drawn[(away - radius).abs() > 1.8].max() == 0
    # As much ink as a line one pixel wide takes, all around.
    assert drawn.sum().item() == pytest.approx(2 * math.pi * radius, rel=0.15)
    angle = torch.atan2(y - 24, x - 24)
    for sector in range(12):
        low = -math.pi + sector * math.pi / 6
        part = drawn[(angle >= low) & (angle < low + math.pi / 6)].sum()
        assert part == pytest.approx(2 * math.pi * radius / 12, rel=0.35)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.8])
def test_a_line_runs_where_the_edge_is_between_the_pixels_too(shift: float) -> None:
    _, x = places(32)
    (drawn,) = ink(step(x - 15 - shift))
    middle = drawn[8:24]
    assert middle.sum(1).numpy() == pytest.approx(1, abs=0.15)
    assert (middle * x[8:24]).sum(1).numpy() / middle.sum(1).numpy() == pytest.approx(
        15 + shift, abs=0.12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_where_there_is_nothing_nothing_is_drawn(dtype: torch.dtype, channels: int) -> None:
    noise = torch.randn(3, channels, 24, 24, generator=torch.Generator().manual_seed(0))
    for pictures in (torch.zeros(3, channels, 24, 24), 0.5 + 0.01 * noise, torch.ones(1, 1, 1, 1)):
        assert ink(pictures.to(dtype)).max() == 0


def test_contrast_of_the_whole_and_light_or_dark_do_not_matter() -> None:
    scene = disc(9.0) * 0.5 + disc(17.0) * 0.5
    drawn = ink(scene)
    assert torch.allclose(ink(-scene), drawn)
    assert torch.allclose(ink(0.5 * scene + 0.3), drawn, atol=1e-9)
    assert drawn.sum() > 2 * math.pi * 20


def test_the_drawing_of_a_turned_or_moved_picture_is_turned_or_moved() -> None:
    y, x = places(40)
    scene = step(9 - torch.hypot(y - 17.3, x - 21.1)) * 0.7 + step(x + 0.5 * y - 30) * 0.2
    drawn = ink(scene)
    assert torch.allclose(ink(scene.rot90(1, (2, 3))), drawn.rot90(1, (1, 2)), atol=1e-6)
    assert torch.allclose(ink(scene.flip(3)), drawn.flip(2), atol=1e-6)


def test_a_weak_edge_counts_where_it_goes_on_from_a_strong_one() -> None:
    y, x = places(64)
    # A bar that fades on its way down, one that is as faint all along, and one that is not.
    fading = 0.2 + 0.8 * ((40 - y) / 20).clamp(0, 1)
    bars = (
        fading * ((x > 12) & (x < 20)) + 0.2 * ((x > 44) & (x < 52)) + 1.0 * ((x > 28) & (x < 36))
    )
    (drawn,) = ink(bars[None, None] - 0.5)
    assert drawn[4:20, 10:14].sum(1).min() > 0.8
    assert drawn[42:48, 10:14].sum(1).min() > 0.3
    assert drawn[:, 40:].max() == 0


def test_what_is_drawn_in_a_lively_picture_is_less_than_in_a_quiet_one() -> None:
    y, x = places(64)
    faint = step((x - 40), -0.1, 0.1)
    stripes = 0.9 * torch.where((x < 30) & (y % 8 < 4), 1.0, -1.0)
    assert ink(faint)[0, 16:48, 38:42].sum(1).min() > 0.8
    assert ink(faint * (x > 34) + stripes * (x < 30))[0, 16:48, 38:42].max() == 0


def test_it_has_gradients_without_nan() -> None:
    pictures = torch.rand(2, 3, 12, 12, dtype=torch.float64, requires_grad=True)
    edges(pictures).sum().backward()
    assert pictures.grad is not None and pictures.grad.isfinite().all()
