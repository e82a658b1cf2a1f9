"""What a task is: for each picture, the picture that it is to be made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from morelike.rng import Draws


class Pair(NamedTuple):
    """What a network is given, and what it should make of it."""

    input: Tensor
    """(B, c, h, w) in [-1, 1]"""
    target: Tensor
    """(B, C, scale * h, scale * w) in [-1, 1]"""


@dataclass(frozen=True)
class Task:
    """One way to derive an input from a picture. A row of it depends on its own picture and its own
    random numbers alone, so it is the same in any company.
    """

    name: str
    channels: int
    """Of the input; the mask of inpaint is one of them."""
    scale: int
    """Pixels of the target for one of the input, on a side."""
    derive: Callable[[Tensor, Draws], Tensor]
    """(B, C, H, W) in [-1, 1] -> (B, channels, H / scale, W / scale)."""
    halves: bool = False
    """Whether pictures come as pairs, input left and target right, joined to one."""

    def pair(self, pictures: Tensor, draws: Draws, crop: int | None = None) -> Pair:
        """The pairs that pictures (B, C, H, W) in [-1, 1] make; random squares of side `crop` of
        them if that is given, where they are larger.
        """
        raise NotImplementedError
