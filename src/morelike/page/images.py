"""Arrays as Pillow images, and how small they are made to be shown."""

from __future__ import annotations

import numpy as np
from PIL import Image


def to_image(pixels: np.ndarray) -> Image.Image:
    """(H, W, C) uint8 as a Pillow image of mode L, RGB or RGBA."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def shrunk(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The (width, height) of the same shape whose longer side is at most `longest`."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
