"""A picture of any size through a network in overlapping tiles: no seams, and bounded memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from morelike.enhance.model import Model
from morelike.errors import UserError

USUAL = 256
"""Side of a tile, in pixels of the input, where nobody says it and the reach is short."""
STRIP = 2**25
"""Values of a row of tiles of the output: 128 MB as float32. Of wide pictures tiles are lower, so
that it is hardly more."""


class Part(NamedTuple):
    """A tile along one side of a picture, in pixels of the input."""

    start: int
    stop: int
    """What the network is shown: from `start` to before `stop`."""
    first: int
    last: int
    """What is kept of what it makes of that."""


class Plan(NamedTuple):
    """How a picture is cut."""

    rows: list[Part]
    columns: list[Part]

    @property
    def tiles(self) -> int:
        """How many there are."""
        return len(self.rows) * len(self.columns)


def parts(length: int, fewest: int, most: int, margin: int, stride: int) -> list[Part]:
    """Tiles of one size, from `fewest` to `most` pixels, that cover `length` pixels.

    All are multiples of `stride`. A tile at either end begins or ends there, so that the border of
    the picture is the network's own; at its other sides, `margin` pixels are context only.
    """
    if length <= most:
        return [Part(0, length, 0, length)]
    inner = length - 2 * margin
    count = math.ceil(inner / (most - 2 * margin))
    # As even as can be.
    step = max(_up(math.ceil(inner / count), stride), fewest - 2 * margin)
    side, count = step + 2 * margin, math.ceil(inner / step)
    starts = [min(number * step, length - side) for number in range(count)]
    kept = [0, *(start + margin for start in starts[1:]), length]
    ends = itertools.pairwise(kept)
    return [Part(start, start + side, *end) for start, end in zip(starts, ends, strict=True)]


def plan(model: Model, height: int, width: int, most: int | None = None) -> Plan:
    """How a picture of this size is cut into tiles for `model`.

    Args:
        model: whose stride, reach and least size decide.
        height: of the picture, in pixels.
        width: of the picture.
        most: the longest side of a tile, in pixels; the usual one if not given.

    Raises:
        UserError: if tiles of this size would be all context.
    """
    tall, wide = (_up(max(side, model.least), model.stride) for side in (height, width))
    if model.square:
        tall = wide = max(tall, wide)
    if model.whole:
        return Plan([Part(0, tall, 0, tall)], [Part(0, wide, 0, wide)])
    margin = _up(model.reach, model.stride)
    fewest = max(2 * margin + model.stride, _up(model.least, model.stride))
    if most is not None and most < fewest and max(tall, wide) > most:
        raise UserError(
            f"tiles of {most} pixels are too small for {model.name}, which looks {model.reach} "
            f"pixels to each side; give --tile {fewest} or more."
        )
    # With twice the margin as its core, a tile is four times what is kept of it.
    side = _down(max(most or max(USUAL, 4 * margin), fewest), model.stride)
    low = side
    if not model.square:
        across = model.gives * model.scale**2 * wide
        low = min(side, max(fewest, _down(STRIP // across, model.stride) + 2 * margin))
    rows = parts(tall, fewest, low, margin, model.stride)
    columns = parts(wide, fewest, side, margin, model.stride)
    # Where a square is made of a long picture, some tiles would show nothing of it.
    return Plan(
        [part for part in rows if part.first < height],
        [part for part in columns if part.first < width],
    )


def _up(length: int, stride: int) -> int:
    return -(-length // stride) * stride


def _down(length: int, stride: int) -> int:
    return length // stride * stride


def as_values(part: Tensor) -> Tensor:
    """uint8 in [-1, 1]; other values as they are."""
    return part.float() / 127.5 - 1 if part.dtype == torch.uint8 else part


@torch.no_grad()
def tiled(
    model: Model,
    picture: Tensor,
    most: int | None = None,
    prepare: Callable[[Tensor], Tensor] = as_values,
    tell: Callable[[], None] = lambda: None,
) -> Iterator[Tensor]:
    """What the model makes of a picture, as strips from top to bottom.

    It is what the network makes of the whole picture, up to rounding: each tile has as much context
    as the network looks at, and where the picture ends, so do its tiles. A picture whose sides are
    no multiples of the network's stride is continued with its last pixels, and cut again.

    Args:
        model: what makes it.
        picture: (c, h, w), of what `prepare` takes.
        most: the longest side of a tile, in pixels of the input.
        prepare: from a part of the picture to what the network is shown of it, (takes, h, w) in
            [-1, 1]; each value of it from the pixel in its place alone.
        tell: called after every tile.

    Yields:
        (gives, rows, scale * w) float32 on the CPU, in all scale * h rows.

    Raises:
        UserError: if tiles of this size would be all context.
    """
    height, width = picture.shape[1:]
    cut = plan(model, height, width, most)
    scale = model.scale
    for row in cut.rows:
        top, end = row.first, min(row.last, height)
        strip = torch.empty((model.gives, scale * (end - top), scale * width))
        down = torch.arange(row.start, row.stop).clamp(max=height - 1)
        band = picture[:, down]
        for column in cut.columns:
            left, right = column.first, min(column.last, width)
            across = torch.arange(column.start, column.stop).clamp(max=width - 1)
            made = model.network(prepare(band[:, :, across])[None])[0]
            inner = made[
                :,
                scale * (top - row.start) : scale * (end - row.start),
                scale * (left - column.start) : scale * (right - column.start),
            ]
            strip[:, :, scale * left : scale * right] = inner.float().cpu()
            tell()
        yield strip
        del strip  # so that there is one at a time
