"""Toy data whose truth is known: pictures drawn by code, with the factors of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from morelike.data.bicycle_drawing import draw_bicycle
from morelike.data.bicycles import sample_bicycle
from morelike.errors import UserError, nearest

TOYS = ("bicycles", "bicycles-both-ways")
"""Bicycles that face right, and the same of which about half face left."""
VERSION = 1
"""Part of what a drawn picture is known by: raise it when the same number gives other pixels."""


class ToyPicture(NamedTuple):
    """One picture that can be drawn."""

    key: str
    """Such as bicycles/00042."""
    factors: dict[str, float | str]
    """What was varied, flat and ready for JSON."""
    draw: Callable[[], np.ndarray]
    """Gives (size, size, 3) uint8."""


def toy(name: str, count: int, size: int, seed: int = 0) -> Iterator[ToyPicture]:
    """The first `count` pictures of a toy set, not drawn yet.

    Raises:
        UserError: at once, if the name is unknown, count or seed negative, or size below 1.
    """
    if name not in TOYS:
        raise UserError(f"there is no toy set '{name}'; {nearest(name, TOYS)}.")
    if count < 0 or seed < 0 or size < 1:
        raise UserError(
            "a toy set needs a count and a seed of 0 or more and a size of 1 or more, "
            f"not count {count}, seed {seed}, size {size}."
        )
    turned = name != "bicycles"
    bicycles = (sample_bicycle(seed, index, turned=turned) for index in range(count))
    return (
        ToyPicture(f"{name}/{index:05d}", bicycle.factors(), partial(draw_bicycle, bicycle, size))
        for index, bicycle in enumerate(bicycles)
    )
