"""Pictures as sums of cosines: the orthonormal DCT-II (Ahmed et al. 1974).

Cosines continue a picture by its mirror image, so that its borders, where left and right do not
fit, make no high frequencies. As they are orthonormal, white noise of variance v has the mean power
v at each of them, whatever the picture's size.
"""

from __future__ import annotations

import math

import numpy as np


def basis(side: int) -> np.ndarray:
    """(side, side) float32, the orthonormal cosines, one a row: `down @ picture @ right.T` are the
    coefficients of a picture (H, W), and `down.T @ coefficients @ right` is the picture again.
    """
    waves = np.cos(np.pi * np.outer(np.arange(side), np.arange(side) + 0.5) / side)
    waves *= math.sqrt(2 / side)
    waves[0] /= math.sqrt(2)
    return waves.astype(np.float32)


def radii(size: tuple[int, int]) -> np.ndarray:
    """(H, W), the frequency of each cosine in cycles per picture, along its shorter side: that side
    times |(u / 2H, v / 2W)|.
    """
    down, right = (np.arange(side) / (2 * side) for side in size)
    return np.hypot(down[:, None], right[None]) * min(size)
