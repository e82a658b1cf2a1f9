"""Brightness, contrast, luma, hue and saturation: one matrix for all (Karras et al. 2020, arXiv
2006.06676, appendix B, "color transformations").

The paper multiplies five 4x4 matrices. All of them treat the gray axis v = (1, 1, 1) / sqrt(3) and
the plane across it apart, so that their product is, with P = v v^T and K x = v x x:

    linear part = contrast * (flip * P + saturation * (cos(hue) (I - P) + sin(hue) K))
    shift       = contrast * flip * brightness, the same in each channel

with flip = -1 where the luma is inverted, and else 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Color(NamedTuple):
    """What happens to each picture, in this order; (B,) each."""

    brightness: Tensor
    """Added to each channel, in [-1, 1] terms."""
    contrast: Tensor
    """Factor away from mid-gray."""
    flip: Tensor
    """-1: light and dark exchanged, with hue and saturation kept; 1: as it was."""
    hue: Tensor
    """Turned about the gray axis, radians: a third of a full turn makes red green, green blue."""
    saturation: Tensor
    """Factor away from gray of the same brightness."""


def matrix(what: Color) -> Tensor:
    """(B, 3, 4): the linear part, and beside it the shift; the fourth row of the paper's 4x4 matrix
    is (0, 0, 0, 1).
    """
    # Their entries, on and off the diagonal: (2/3, -1/3) of I - P, and 1/sqrt(3) of K.
    gray = what.contrast * what.flip / 3
    across = what.contrast * what.saturation * what.hue.cos() / 3
    around = what.contrast * what.saturation * what.hue.sin() / 3**0.5
    same, next_one, last = gray + 2 * across, gray - across - around, gray - across + around
    shift = what.contrast * what.flip * what.brightness
    rows = [[same, next_one, last], [last, same, next_one], [next_one, last, same]]
    return torch.stack([torch.stack([*row, shift], 1) for row in rows], 1)


def recolored(pictures: Tensor, matrices: Tensor) -> Tensor:
    """The first three channels through (B, 3, 4); others are left alone.

    Of one or two channels the first is gray and goes through as three equal ones do, whose mean it
    stays.
    """
    count = 3 if pictures.shape[1] >= 3 else 1
    if count == 1:
        factor, shift = matrices[:, :, :3].sum((1, 2)) / 3, matrices[:, :, 3].mean(1)
        matrices = torch.stack([factor, shift], 1)[:, None, :]
    color, rest = pictures[:, :count], pictures[:, count:]
    linear, shift = matrices[:, :, :count], matrices[:, :, count:]
    changed = torch.baddbmm(shift, linear, color.flatten(2)).view(color.shape)
    return torch.cat([changed, rest], 1) if rest.shape[1] else changed
