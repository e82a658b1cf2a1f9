"""Pictures made smaller or larger: separable antialiased filters, by Pillow's convention.

Each pixel of the result is a weighted mean of the pixels around its centre. When a picture is made
smaller, the filter is stretched by as much, so that it holds back what the result cannot show.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from morelike.tasks.colors import with_alpha

Filter = Literal["area", "bicubic", "lanczos"]


def resample(pictures: Tensor, size: tuple[int, int], filter: Filter) -> Tensor:
    """Pictures (B, C, H, W) at another size (height, width): (B, C, height, width).

    Bicubic and Lanczos overshoot beside edges, so the result may leave the range of the pictures by
    some tenths. Pixel i of n lies at (i + 0.5) / n; at borders the weights that remain are
    normalised.

    Args:
        pictures: of any floating type, on any device.
        size: (height, width) of the result.
        filter: area is the mean of what a pixel covers; bicubic Keys 1981, eq. 4 with a = -1/2;
            lanczos a sinc windowed by its own main lobe, with three lobes (Duchon 1979).
    """
    down, right = (
        _matrix(before, after, filter, pictures.device, pictures.dtype)
        for before, after in zip(pictures.shape[2:], size, strict=True)
    )
    return down @ pictures @ right.T


def shrunk(pictures: Tensor, scale: int, filter: Filter) -> Tensor:
    """Pictures (B, C, H, W) in [-1, 1] with one pixel for `scale` times `scale` of them, in
    [-1, 1]; H and W are multiples of `scale`.
    """
    height, width = pictures.shape[2:]
    smaller = partial(resample, size=(height // scale, width // scale), filter=filter)
    return with_alpha(pictures, smaller).clamp(-1, 1)


@lru_cache(maxsize=64)
def _matrix(
    before: int, after: int, filter: Filter, device: torch.device, dtype: torch.dtype
) -> Tensor:
    with torch.inference_mode(False):  # a loss may want gradients through it later
        return torch.from_numpy(weights(before, after, filter)).to(dtype).to(device)


def weights(before: int, after: int, filter: Filter) -> np.ndarray:
    """(after, before) float64: how much each pixel of a line counts in each of the result."""
    kernel, reach = FILTERS[filter]
    step = before / after
    stretch = max(1.0, step)
    centres = (np.arange(after) + 0.5) * step
    away = (np.arange(before) + 0.5 - centres[:, None]) / stretch
    found = np.where(np.abs(away) <= reach, kernel(away), 0)
    return found / found.sum(1, keepdims=True)


def _box(x: np.ndarray) -> np.ndarray:
    # Half open, so that of two pixels at the same distance one is taken.
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _keys(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.sinc(x) * np.sinc(x / 3)


FILTERS: dict[Filter, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "area": (_box, 0.5),
    "bicubic": (_keys, 2.0),
    "lanczos": (_lanczos, 3.0),
}
"""Each filter, and how far it reaches, in pixels of the coarser side."""
