"""Differentiable augmentation: colour, translation and cutout of Zhao et al. 2020, "Differentiable
Augmentation for Data-Efficient GAN Training", arXiv 2006.10738.
"""

from __future__ import annotations

import torch
from torch import Tensor

NUMBERS = 8
"""Uniform random numbers per picture that these take: 3 for colour, 2 for translation, 2 for
cutout, and one that is left over.
"""


def change_color(pictures: Tensor, numbers: Tensor) -> Tensor:
    """Brightness +-0.5, saturation 0 to 2, contrast 0.5 to 1.5; `numbers` is (B, 3) in [0, 1).

    Colour is changed in the first three channels; an alpha channel is left alone.
    """
    color, alpha = pictures[:, :3], pictures[:, 3:]
    brightness, saturation, contrast = numbers.to(color.dtype)[:, :, None, None, None].unbind(1)
    color = color + (brightness - 0.5)
    gray = color.mean(dim=1, keepdim=True)
    color = gray + (color - gray) * (saturation * 2)
    middle = color.mean(dim=(1, 2, 3), keepdim=True)
    color = middle + (color - middle) * (contrast + 0.5)
    return torch.cat([color, alpha], dim=1) if alpha.shape[1] else color


def translate(pictures: Tensor, numbers: Tensor, most: float) -> Tensor:
    """Shift by whole pixels, up to `most` of the side each way; what enters is 0 (mid-gray).

    Args:
        pictures: (B, C, H, W).
        numbers: (B, 2) in [0, 1), for down and right.
        most: largest shift as a share of the side.
    """
    height, width = pictures.shape[2:]
    rows = _sources(numbers[:, 0], height, most)
    columns = _sources(numbers[:, 1], width, most)
    row, column = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    index = (row[:, :, None] * width + column[:, None, :]).flatten(1)[:, None]
    moved = pictures.flatten(2).gather(2, index.expand(-1, pictures.shape[1], -1))
    inside = (row == rows)[:, None, :, None] & (column == columns)[:, None, None, :]
    return moved.view(pictures.shape) * inside.to(pictures.dtype)


def _sources(numbers: Tensor, side: int, most: float) -> Tensor:
    """(B, side): where what stands at each place comes from, which may be outside."""
    reach = int(side * most + 0.5)
    shift = (numbers * (2 * reach + 1)).floor().long() - reach
    return torch.arange(side, device=numbers.device) - shift[:, None]


def cut_out(pictures: Tensor, numbers: Tensor, side: float) -> Tensor:
    """Set a square to 0, `side` of the picture wide, its centre anywhere (DeVries & Taylor 2017).

    Args:
        pictures: (B, C, H, W).
        numbers: (B, 2) in [0, 1), the centre's row and column.
        side: of the square, as a share of the picture's.
    """
    height, width = pictures.shape[2:]
    inside_rows = _within(numbers[:, 0], height, side, pictures)
    inside_columns = _within(numbers[:, 1], width, side, pictures)
    hole = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return pictures * (~hole).to(pictures.dtype)


def _within(numbers: Tensor, length: int, share: float, like: Tensor) -> Tensor:
    size = int(length * share + 0.5)
    start = (numbers * (length + 1 - size % 2)).floor().long() - size // 2
    place = torch.arange(length, device=like.device)
    return (place >= start[:, None]) & (place < start[:, None] + size)
