"""What a task is: for each picture, the picture that it is to be made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
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

        A square begins at a multiple of `scale`, and the input is derived from it alone. With
        `halves` the pictures are (B, C, H, 2W), and both parts are cut at the same place.
        """
        given, target = pictures.chunk(2, dim=3) if self.halves else (pictures, pictures)
        if crop is not None and crop < max(target.shape[2:]):
            size = min(crop, target.shape[2]), min(crop, target.shape[3])
            corners = places(target, size, draws.uniform("task.crop", 2), self.scale)
            target = cut(target, corners, size)
            given = cut(given, corners, size) if self.halves else target
        return Pair(self.derive(given, draws), target)


def places(pictures: Tensor, size: tuple[int, int], numbers: Tensor, step: int = 1) -> Tensor:
    """(B, 2), the top and left of parts of this size of pictures (B, C, H, W), which begin at
    multiples of `step`; each place is as likely as any other. `numbers` is (B, 2) in [0, 1).
    """
    room = [(side - part) // step + 1 for side, part in zip(pictures.shape[2:], size, strict=True)]
    return (numbers * numbers.new_tensor(room)).floor().long() * step


def cut(pictures: Tensor, corners: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w), the parts of this size that begin at the corners (B, 2), channels last in
    memory.
    """
    corners = corners.to(pictures.device)
    rows, columns = (
        corners[:, axis, None] + torch.arange(part, device=pictures.device)
        for axis, part in enumerate(size)
    )
    which = torch.arange(len(pictures), device=pictures.device)[:, None, None]
    return pictures[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
