"""Holes in pictures, of which nobody knows where they will be: rectangles and strokes of a brush.

Strokes as in Yu et al. 2019, "Free-Form Image Inpainting with Gated Convolution" (arXiv 1806.03589,
section 3.4): a brush that wanders and turns. Here the shapes grow until together they cover the
asked share of the picture, so that holes of all sizes are as frequent as they should be.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from morelike.rng import Draws

SHAPES = 4
"""At most, in one picture."""
SEGMENTS = 4
"""Of a stroke."""
NUMBERS = 5 + 2 * SEGMENTS
"""Random numbers for each shape."""
SHARE = (0.05, 0.5)
"""Of the picture, missing: least and most."""


def with_holes(pictures: Tensor, draws: Draws) -> Tensor:
    """Pictures (B, C, H, W) in [-1, 1] of which parts are missing: (B, C + 1, H, W).

    Missing pixels are 0 in all channels. The last channel is the mask: 1 where the picture is
    missing, -1 where it is there.
    """
    missing = holes((pictures.shape[2], pictures.shape[3]), draws)[:, None]
    return torch.cat([pictures.masked_fill(missing, 0), 2 * missing.to(pictures.dtype) - 1], 1)


def holes(size: tuple[int, int], draws: Draws) -> Tensor:
    """(draws.count, H, W) bool: one to four shapes, which cover 5 to 50 % of this size."""
    height, width = size
    numbers = draws.uniform("task.holes", SHAPES, NUMBERS)
    count, share = draws.uniform("task.holes.many", 2).unbind(1)
    # Places in shorter sides, so that shapes do not depend on the picture's.
    down, right = (
        (torch.arange(side, device=numbers.device, dtype=numbers.dtype) + 0.5) / min(size)
        for side in size
    )
    low, high = SHARE[0], SHARE[1] - 1 / min(size)  # one line of pixels more may come at the end
    share = low + (high - low) * share
    stroke = _to_stroke(numbers, down, right, (share / SHARE[1]).sqrt())
    far = torch.minimum(_to_rectangle(numbers, down, right), stroke)
    order = torch.arange(SHAPES, device=numbers.device)
    absent = order >= 1 + (SHAPES * count).floor()[:, None]
    far = far.masked_fill(absent[:, :, None, None], math.inf).amin(1)
    last = (share * (height * width)).ceil().long()
    limit = far.flatten(1).sort(1).values.gather(1, last[:, None])
    return far <= limit[:, :, None]


def _to_rectangle(numbers: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """(B, SHAPES, H, W): by how much the rectangle of each shape must grow to reach each pixel; not
    at all where the shape is a stroke.
    """
    kind, y, x, high, wide = numbers[..., :5].unbind(2)
    away = torch.maximum(
        _from(down, y * down[-1])[..., None] / _half(high),
        _from(right, x * right[-1])[..., None, :] / _half(wide),
    )
    return away.masked_fill((kind >= 0.5)[..., None, None], math.inf)


def _from(places: Tensor, centre: Tensor) -> Tensor:
    return (places - centre[..., None]).abs()


def _half(number: Tensor) -> Tensor:
    """Half the side of a rectangle: from a twentieth to a quarter."""
    return (0.05 + 0.2 * number)[..., None, None]


def _to_stroke(numbers: Tensor, down: Tensor, right: Tensor, long: Tensor) -> Tensor:
    """(B, SHAPES, H, W): the same for strokes: the distance from the brush's way, in its radii.
    `long` (B,) is how long ways are: less where little is to be missing, or lines are too thin.
    """
    kind, y, x, angle, radius = numbers[..., :5].unbind(2)
    turns, lengths = numbers[..., 5:].chunk(2, dim=2)
    # Up to a third of a full turn to either side at each corner.
    heading = 2 * math.pi * (angle[..., None] + (2 * turns - 1).cumsum(2) / 3)
    length = (0.1 + 0.25 * lengths) * long[:, None, None]
    y, x = (
        torch.cat([start[..., None], start[..., None] + (length * way).cumsum(2)], 2).clamp(0, end)
        for start, way, end in (
            (y * down[-1], heading.sin(), float(down[-1])),
            (x * right[-1], heading.cos(), float(right[-1])),
        )
    )
    nearest = None
    for segment in range(SEGMENTS):
        ends = y[..., segment], x[..., segment], y[..., segment + 1], x[..., segment + 1]
        away = _to_segment(down, right, *ends)
        nearest = away if nearest is None else nearest.minimum(away)
    assert nearest is not None
    away = nearest.sqrt() / (0.03 + 0.05 * radius)[..., None, None]
    return away.masked_fill((kind < 0.5)[..., None, None], math.inf)


def _to_segment(
    down: Tensor, right: Tensor, y: Tensor, x: Tensor, to_y: Tensor, to_x: Tensor
) -> Tensor:
    """(..., H, W): the squared distance from each pixel to the nearest place of a segment (...)."""
    y, x, to_y, to_x = (value[..., None, None] for value in (y, x, to_y - y, to_x - x))
    from_y, from_x = down[:, None] - y, right - x
    along = (from_y * to_y + from_x * to_x) / (to_y.square() + to_x.square()).clamp_min(1e-12)
    along = along.clamp(0, 1)
    return (from_y - along * to_y).square() + (from_x - along * to_x).square()
