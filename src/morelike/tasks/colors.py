"""What tasks do with channels: luma, and changes that transparency must not spoil."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""


def luma(pictures: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) -> (B, 1, H, W) of the same range; gray pictures stay as they are."""
    if pictures.shape[1] == 1:
        return pictures
    weights = pictures.new_tensor(LUMA)[:, None, None]
    return (pictures * weights).sum(1, keepdim=True)


def with_alpha(pictures: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`change` of pictures (B, C, H, W) in [-1, 1], a filter that mixes neighbouring pixels.

    With four channels each pixel counts for the colour as much as it is opaque (Porter & Duff
    1984), or what lies hidden where a picture is transparent would bleed into what can be seen.
    Where nothing is left to be seen, the result is black.
    """
    if pictures.shape[1] != 4:
        return change(pictures)
    alpha = (pictures[:, 3:] + 1) / 2
    changed = change(torch.cat([(pictures[:, :3] + 1) * alpha, alpha], 1))
    color, alpha = changed[:, :3], changed[:, 3:]
    seen = alpha > 0.5 / 255
    color = torch.where(seen, color / torch.where(seen, alpha, 1), 0)
    return torch.cat([color, 2 * alpha], 1) - 1


def on_colors(pictures: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`change` of the first three channels of pictures (B, C, H, W); an alpha stays as it is."""
    if pictures.shape[1] != 4:
        return change(pictures)
    return torch.cat([change(pictures[:, :3]), pictures[:, 3:]], 1)
