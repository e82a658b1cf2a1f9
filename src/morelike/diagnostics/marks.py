"""Marks that differentiable augmentation leaves in one picture: strips and squares of gray, and how
bright, colourful and rich in contrast it is.
"""

from __future__ import annotations

import numpy as np

FILL = 127.5
"""What enters at a border and what is cut out: 0 in [-1, 1]."""
NEAR = 12.0
"""Levels of 255 within which a value counts as the fill: a generator makes it with some noise."""
FLAT = 0.9
"""Share of a line or a square that has to be the fill."""


def strips(images: np.ndarray, most: float = 0.125) -> np.ndarray:
    """(N,): how deep a strip of the fill lies along a border, as a share of the largest shift.

    A strip is at most the largest shift deep, all of it within 12 levels of mid-gray (nine pixels
    of ten in each line), and ends sharply: in the line behind it values are on average more than
    24 levels from mid-gray. So neither a gray background nor a faint picture has one.

    Args:
        images: (N, H, W, C) uint8.
        most: largest shift as a share of the side (`augment.translation`).
    """
    away = np.abs(images.astype(np.float32) - FILL)
    deepest = np.zeros(len(images))
    for axis in (1, 2):
        reach = int(images.shape[axis] * most + 0.5)
        near = (away.max(axis=3) <= NEAR).mean(axis=3 - axis) >= FLAT
        behind = away.mean(axis=(3 - axis, 3)) > 2 * NEAR
        for step in (1, -1):
            lines, sharp = near[:, ::step], behind[:, ::step]
            depth = np.cumprod(lines[:, : reach + 1], axis=1).sum(axis=1)
            ends = np.take_along_axis(sharp, depth[:, None], axis=1)[:, 0]
            deepest = np.maximum(deepest, np.where(ends & (depth <= reach), depth / reach, 0))
    return deepest


def squares(images: np.ndarray, side: float = 0.5) -> np.ndarray:
    """(N,): a square of the fill, of half the side of one that is cut out: the share of the fill in
    it, if at least 0.9, or 0.

    At a corner, where least of it is left, a cut-out square shows a quarter of itself, which is one
    of half its side.

    Args:
        images: (N, H, W, C) uint8.
        side: of the square that is cut out, as a share of the picture's (`augment.cutout`).
    """
    gray = _is_fill(images).astype(np.float32)
    sums = np.pad(gray.cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
    high, wide = (max(2, int(size * side / 2)) for size in gray.shape[1:])
    inside = sums[:, high:, wide:] - sums[:, :-high, wide:]
    inside = inside - sums[:, high:, :-wide] + sums[:, :-high, :-wide]
    share = inside.max(axis=(1, 2)) / (high * wide)
    # A picture that is gray all over has no square cut out of it.
    whole = gray.mean(axis=(1, 2)) > 1.5 * side**2
    return np.where((share >= FLAT) & ~whole, share, 0)


def colors(images: np.ndarray) -> np.ndarray:
    """(N, 3): brightness, saturation and contrast, what "color" changes, in levels of 255.

    The mean of all values; the root mean square of how far a pixel's channels are from their mean
    (0 for gray pictures); the root mean square of how far the pixels' means are from that of the
    picture.
    """
    values = images[..., :3].astype(np.float32)
    gray = values.mean(axis=3)
    saturation = np.sqrt(np.square(values - gray[..., None]).mean(axis=(1, 2, 3)))
    return np.stack([gray.mean(axis=(1, 2)), saturation, gray.std(axis=(1, 2))], axis=1)


def _is_fill(images: np.ndarray) -> np.ndarray:
    near = np.abs(images.astype(np.float32) - FILL) <= NEAR
    return np.logical_and.reduce(near, axis=3)
