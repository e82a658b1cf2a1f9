"""Pictures by spatial frequency: their power, octave by octave, and how far sets are apart in each.

The azimuthally averaged power spectrum of Durall et al. 2020, "Watch your Up-Convolution" (arXiv
2003.01826, section 3.1), of cosines instead of complex waves (`cosines.py`).

A frequency is counted in cycles per picture, along its shorter side; f cycles are waves of side / f
pixels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from morelike.cosines import basis, radii
from morelike.pictures import to_rgb
from morelike.rng import rng

LEAST_DB = -60.0
"""Ratios of powers below it, such as that of nothing, are shown as it."""
PATCH = 7
MOST_BANDS = 8
"""With more of them not all orders are tried."""
DRAWS = 400


class Band(NamedTuple):
    """Frequencies from `low` on and below `high`, in cycles per picture."""

    low: float
    high: float
    """Infinite for the last, which reaches into the spectrum's corners."""

    @property
    def name(self) -> str:
        """Such as 4 to 8."""
        if math.isinf(self.high):
            return f"from {self.low:g}"
        return f"below {self.high:g}" if self.low == 0 else f"{self.low:g} to {self.high:g}"


def octaves(size: tuple[int, int]) -> tuple[Band, ...]:
    """The bands of pictures of this height and width: below 1 cycle, then octave by octave."""
    edges = [0.0, 1.0]
    while 2 * edges[-1] < min(size) / 2:
        edges.append(2 * edges[-1])
    return tuple(Band(*pair) for pair in itertools.pairwise([*edges, math.inf]))


def cosines(images: np.ndarray) -> np.ndarray:
    """How much there is of each cosine in pictures: the orthonormal DCT-II of each channel.

    Args:
        images: (N, H, W, C) uint8; transparency is laid on white.

    Returns:
        (N, C, H, W) float32 with C = 1 or 3, for values in [-1, 1]. Their squares sum to those of
        the values.
    """
    shown = images if images.shape[-1] == 1 else to_rgb(images)
    values = shown.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    down, right = (basis(side) for side in values.shape[2:])
    return down @ values @ right.T


def azimuthal(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The spectrum along the radius: mean square of a cosine at each frequency.

    Args:
        coefficients: (N, C, H, W), from `cosines`.

    Returns:
        Frequencies 1/2, 1, 3/2, ... up to half the shorter side (R,), and the mean over pictures,
        channels and all cosines that round to each (R,).
    """
    power = np.square(coefficients).mean((0, 1), dtype=np.float64)
    place = np.rint(2 * radii(power.shape)).astype(int)
    sums, counts = (np.bincount(place.ravel(), w) for w in (power.ravel(), None))
    rings = np.arange(1, min(power.shape))
    return rings / 2, sums[rings] / counts[rings]


def band_powers(coefficients: np.ndarray, bands: Sequence[Band]) -> np.ndarray:
    """(N, B), what each band adds to the mean square of each picture's values; the mean colour,
    frequency 0, belongs to none.
    """
    squares = np.square(coefficients).mean(1, dtype=np.float64)
    where = radii(squares.shape[1:])
    parts = [squares[:, inside(where, band)].sum(1) for band in bands]
    return np.stack(parts, 1) / where.size


def inside(where: np.ndarray, band: Band) -> np.ndarray:
    """Which frequencies a band holds; never 0."""
    return (where >= band.low) & (where < band.high) & (where > 0)


def decibels(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(B,), 10 log10 of the ratio of mean powers of (N, B) and (M, B); at least `LEAST_DB`."""
    ratio = fake.mean(0) / np.maximum(real.mean(0), 1e-12)
    return 10 * np.log10(np.maximum(ratio, 10 ** (LEAST_DB / 10)))


def chance_of_decibels(real: np.ndarray, count: int) -> np.ndarray:
    """(2, B): between these lie 95 of 100 ratios of `count` pictures of the real distribution to
    this set (M, B) of it; both are drawn from the set.
    """
    numbers = rng(0, "decibels")
    drawn = [
        decibels(*(real[numbers.randint(0, len(real), n)] for n in (count, len(real))))
        for _ in range(DRAWS)
    ]
    return np.quantile(drawn, [0.025, 0.975], axis=0)


def band_pictures(coefficients: np.ndarray, band: Band) -> np.ndarray:
    """What a band holds, as pictures just large enough for it.

    Args:
        coefficients: (N, C, H, W), from `cosines`.
        band: one of `octaves`.

    Returns:
        (N, C, h, w) float32, of the same mean square as what the band adds to the whole pictures'.
    """
    size = coefficients.shape[2:]
    where = radii(size)
    kept = np.where(inside(where, band), coefficients, 0)
    # Cosines along one side only: as many of them as lie below the band's end.
    height, width = (int((line < band.high).sum()) for line in (where[:, 0], where[0]))
    small = basis(height).T @ kept[:, :, :height, :width] @ basis(width)
    return small * math.sqrt(height * width / where.size)


def apart(
    real: np.ndarray,
    fake: np.ndarray,
    numbers: np.random.RandomState,
    patches: int = 32,
    directions: int = 64,
) -> float:
    """Sliced Wasserstein-1 distance between patches of two sets, as in Karras et al. 2018, section
    5 (`metrics/sliced_wasserstein.py`), in standard deviations of the real ones.

    Args:
        real: (N, C, h, w), of one band.
        fake: (N, C, h, w).
        numbers: where patches and directions are drawn from.
        patches: of each picture, up to 7 x 7 large.
        directions: that patches are projected on.
    """
    height, width = (min(PATCH, side) for side in real.shape[2:])
    corners = [
        numbers.randint(0, side - reach + 1, (len(real), patches))
        for side, reach in zip(real.shape[2:], (height, width), strict=True)
    ]
    rows = np.arange(len(real))[:, None]
    spread = real.std((0, 2, 3))[:, None, None] + 1e-6
    axes = numbers.standard_normal((real.shape[1] * height * width, directions))
    axes = (axes / np.linalg.norm(axes, axis=0)).astype(np.float32)
    projected = []
    for images in (real, fake):
        windows = sliding_window_view(images, (height, width), axis=(2, 3))
        taken = windows[rows, :, corners[0], corners[1]] / spread  # (N, n, C, height, width)
        projected.append(np.sort(taken.reshape(-1, len(axes)) @ axes, axis=0))
    return float(np.abs(projected[0] - projected[1]).mean())


def appearances(ratios: np.ndarray, within: float = 3.0) -> list[int | None]:
    """For each band the first of the moments from which on its ratio (T, B), in dB, stays within
    +-`within`; none if it does not at the last.
    """
    near = np.abs(ratios) <= within
    lasting = np.logical_and.accumulate(near[::-1])[::-1]
    return [int(column.argmax()) if column[-1] else None for column in lasting.T]


class Order(NamedTuple):
    """Whether low frequencies come before high ones."""

    correlation: float | None
    """Spearman's, of band and time of appearance: 1 if they come from low to high, -1 if from high
    to low; none if all come together."""
    chance: float
    """How often a random order of the same times gives as much, in either direction."""


def order(appeared: Sequence[int | None]) -> Order:
    """From the moments at which bands, from low to high, appear; those that never do come last.

    All orders are tried, so the chance is exact; beyond eight bands, 20,000 random ones.
    """
    never = max((one for one in appeared if one is not None), default=0) + 1
    times = shared_ranks(np.array([never if one is None else one for one in appeared]))
    if len(times) < 2 or not times.std() > 0:
        return Order(None, 1.0)
    places = np.arange(len(times)) - (len(times) - 1) / 2
    if len(times) <= MOST_BANDS:
        orders = np.array(list(itertools.permutations(times)))
    else:
        numbers = rng(0, "orders")
        orders = np.stack([times, *(numbers.permutation(times) for _ in range(20_000))])
    scale = np.linalg.norm(places) * np.linalg.norm(times - times.mean())
    found = orders @ places / scale
    seen = float(times @ places / scale)
    return Order(seen, float((np.abs(found) >= abs(seen) - 1e-9).mean()))


def shared_ranks(values: np.ndarray) -> np.ndarray:
    """(N,) ranks from 0; equal values share the mean of theirs."""
    below = (values[None] < values[:, None]).sum(1)
    return below + ((values[None] == values[:, None]).sum(1) - 1) / 2
