"""Blur: each picture by its own kernel. Beyond a border, the picture's outermost pixels go on."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 32
"""Places along a motion at which it is looked at."""


def gaussian(pictures: Tensor, sigma: Tensor, most: float) -> Tensor:
    """Pictures (B, C, H, W), each blurred by a Gaussian of its own.

    Args:
        pictures: of any range.
        sigma: (B,) in pixels, from 0, which leaves a picture as it is.
        most: no sigma is larger; it says how many pixels are looked at, three sigmas to each side.
    """
    reach = math.ceil(3 * most)
    line = torch.arange(-reach, reach + 1, device=pictures.device, dtype=pictures.dtype)
    narrowest = 1e-2  # of which nothing is left a pixel away
    kernel = (-0.5 * (line / sigma.to(pictures).clamp_min(narrowest)[:, None]).square()).exp()
    kernel = kernel / kernel.sum(1, keepdim=True)
    return _convolved(_convolved(pictures, kernel[:, None, :]), kernel[:, :, None])


def moved(pictures: Tensor, length: Tensor, angle: Tensor, most: float) -> Tensor:
    """Pictures (B, C, H, W) as a camera sees them that moves evenly along a straight line.

    Args:
        pictures: of any range.
        length: (B,), of the way, in pixels, from 0, which leaves a picture as it is.
        angle: (B,), of the way, in radians.
        most: no length is greater.
    """
    reach = math.ceil(most / 2)
    line = torch.arange(-reach, reach + 1, device=pictures.device, dtype=pictures.dtype)
    moments = torch.arange(STEPS, device=pictures.device, dtype=pictures.dtype)
    way = length.to(pictures)[:, None] * ((moments + 0.5) / STEPS - 0.5)
    angle = angle.to(pictures)[:, None]
    # At each moment the four pixels around a place share it, bilinearly.
    rows, columns = (
        (1 - (line - (way * along)[:, :, None]).abs()).clamp_min(0)
        for along in (angle.sin(), angle.cos())
    )
    return _convolved(pictures, rows.mT @ columns / STEPS)


def _convolved(pictures: Tensor, kernels: Tensor) -> Tensor:
    """Each picture (B, C, H, W) with its own kernel (B, h, w) of odd sides."""
    batch, channels, height, width = pictures.shape
    down, right = (side // 2 for side in kernels.shape[1:])
    # Where the picture is smaller than the border, too.
    rows = torch.arange(-down, height + down, device=pictures.device).clamp(0, height - 1)
    columns = torch.arange(-right, width + right, device=pictures.device).clamp(0, width - 1)
    wide = pictures[:, :, rows[:, None], columns]
    weight = kernels[:, None].repeat_interleave(channels, 0)
    blurred = F.conv2d(wide.flatten(0, 1)[None], weight, groups=batch * channels)
    return blurred.view(batch, channels, height, width)
