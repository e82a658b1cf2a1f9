"""Where pictures have edges, as thin dark lines on white: a drawing of them, so to speak.

Canny 1986, "A Computational Approach to Edge Detection": edges are the crests of the gradient of
the blurred picture, and weak ones count where they go on from strong ones. Here a crest's place is
found between the pixels, so that lines are smooth, and how strong is strong depends on the picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.tasks.blurring import gaussian
from morelike.tasks.colors import luma

SIGMA = 1.0
"""Of the blur that goes before, in pixels."""
STRONG, WEAK = 2.0, 0.7
"""Gradients above which an edge is strong and below which it is none, in means over the picture."""
FAINTEST = 0.02
"""Gradient, for values in [-1, 1], below which nothing is an edge and at twice of which nothing is
strong, in any picture."""
SOFT = 1.5
"""How many times either limit it takes for a line to be all black."""
FOLLOWED = 16
"""How many pixels a weak edge is followed from a strong one."""


def edges(pictures: Tensor) -> Tensor:
    """The drawing of pictures (B, 1 or 3, H, W) in [-1, 1]: (B, 1, H, W) from 1, which is paper,
    to -1.
    """
    sigma = pictures.new_full((len(pictures),), SIGMA)
    right, down = _gradient(gaussian(luma(pictures), sigma, SIGMA))
    steep = torch.hypot(right, down)
    lines = _crests(steep, right, down)
    usual = steep.mean((1, 2, 3), keepdim=True)
    on = (lines > 0).to(lines.dtype)
    ink = on * _above(steep, (STRONG * usual).clamp_min(2 * FAINTEST))
    most = on * _above(steep, (WEAK * usual).clamp_min(FAINTEST))
    for _ in range(FOLLOWED):
        ink = _spread(ink).minimum(most)
    return 1 - 2 * lines * ink


def _gradient(values: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of (B, 1, H, W), to the right and down; half of it at borders."""
    wide = F.pad(values, (1, 1, 1, 1), mode="replicate")
    across, along = wide[:, :, 1:-1], wide[:, :, :, 1:-1]
    return (across[..., 2:] - across[..., :-2]) / 2, (along[:, :, 2:] - along[:, :, :-2]) / 2


def _crests(steep: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """(B, 1, H, W), how much of each pixel a line one pixel wide along the gradient's crests takes.

    Three values along the gradient, a pixel apart, lie on a parabola, whose top is where the line
    runs.
    """
    height, width = steep.shape[2:]
    length = steep.clamp_min(torch.finfo(steep.dtype).tiny)
    rows, columns = (
        torch.arange(side, device=steep.device, dtype=steep.dtype) for side in (height, width)
    )

    def beside(way: int) -> Tensor:
        x, y = columns + way * (right / length)[:, 0], rows[:, None] + way * (down / length)[:, 0]
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], 3)
        return F.grid_sample(steep, grid, padding_mode="border", align_corners=False)

    before, behind = beside(-1), beside(1)
    bend = 2 * steep - before - behind
    curved = bend > 1e-3 * FAINTEST
    away = (behind - before) / (2 * torch.where(curved, bend, 1))
    return torch.where(curved, (1 - away.abs()).clamp_min(0), 0)


def _spread(ink: Tensor) -> Tensor:
    """The greatest of 3 x 3 values >= 0 around each place; max pooling takes six times as long."""
    wide = F.pad(ink, (1, 1, 1, 1))
    for axis in (2, 3):
        length = wide.shape[axis] - 2
        first, middle, last = (wide.narrow(axis, start, length) for start in range(3))
        wide = first.maximum(middle).maximum(last)
    return wide


def _above(values: Tensor, limit: Tensor) -> Tensor:
    """0 up to the limit, 1 from `SOFT` times it on, and straight between."""
    return ((values / limit - 1) / (SOFT - 1)).clamp(0, 1)
