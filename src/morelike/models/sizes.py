"""How networks that double a small map, or halve a picture down to one, share out the sizes."""

from __future__ import annotations

import math

from morelike.errors import UserError

Shape = tuple[int, int, int]
"""(channels, height, width) of the pictures; the shorter side is a power of two."""

SMALLEST = 4
"""Shorter side of the map that is doubled first, or halved last, unless a family says otherwise."""
LEAST = 16


def check_size(family: str, shape: Shape) -> None:
    """Check that pictures are large enough for convolutions that double or halve.

    Raises:
        UserError: if they are not.
    """
    if min(shape[1:]) < LEAST:
        raise UserError(
            f"the networks of {family} are for pictures of {LEAST} pixels and more; take the "
            "family mlp for points and smaller pictures."
        )


def doublings(shape: Shape, smallest: int = SMALLEST) -> int:
    """How often a map of `smallest` on its shorter side is doubled until it is the picture."""
    return int(math.log2(min(shape[1:]) // smallest))


def coarsest(shape: Shape) -> tuple[int, int]:
    """(height, width) of the map of `SMALLEST` on its shorter side."""
    count = doublings(shape)
    return shape[1] >> count, shape[2] >> count


def widths(width: int, widest: int, count: int) -> list[int]:
    """Feature maps from the finest of so many resolutions to the coarsest: each has twice as many
    as the one before, up to `widest`.
    """
    return [min(width * 2**i, widest) for i in range(count)]
