"""How well samples in the plane cover a truth that is known.

Srivastava et al. 2017 (VEEGAN), section 5.1: a sample is of high quality if it lies within three
standard deviations of the nearest mode; a mode is found if high-quality samples lie nearest to it.
"""

from __future__ import annotations

import math

import numpy as np

LEAST = 20
"""High-quality samples that make a mode found. The paper is content with one, which a generator
leaves everywhere that sweeps from mode to mode. Of 10,000 samples it is 1.6 % of an even share of 8
modes, and 5 % of one of 25. A number and not a share, so that a handful of strays never is a mode.
"""


def _nearest(samples: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which centre is nearest to each sample, and how far it is: two times (N,)."""
    squared = (samples**2).sum(axis=1)[:, None] - 2 * samples @ centres.T + (centres**2).sum(axis=1)
    which = squared.argmin(axis=1)
    return which, np.linalg.norm(samples - centres[which], axis=1)


def high_quality_share(samples: np.ndarray, centres: np.ndarray, sigma: float) -> float:
    """Share of the samples (N, 2) within 3 sigma of the nearest of the centres (M, 2).

    1 - exp(-9/2) = 0.989 for exact samples of separate modes; 0.997 of a line that the centres
    trace; 1 if all samples are one centre; about 0 for noise.
    """
    return float((_nearest(samples, centres)[1] <= 3 * sigma).mean())


def modes_found(samples: np.ndarray, centres: np.ndarray, sigma: float, least: int = LEAST) -> int:
    """How many centres (M, 2) are nearest to at least `least` high-quality samples of (N, 2)."""
    which, distance = _nearest(samples, centres)
    counts = np.bincount(which[distance <= 3 * sigma], minlength=len(centres))
    return int((counts >= least).sum())


def total_variation(samples: np.ndarray, truth: np.ndarray, edges: np.ndarray) -> float:
    """Half the sum over bins of |share of the samples - mass of the truth|, from 0 to 1.

    Args:
        samples: (N, 2); those outside all bins share one bin more.
        truth: (B, B), the probability of each square between the edges, x first.
        edges: (B + 1,), of both axes.

    Returns:
        0 if the binned distributions are equal, 1 if they share no bin. For exact samples not 0:
        see `total_variation_floor`.
    """
    counts, _, _ = np.histogram2d(samples[:, 0], samples[:, 1], bins=(edges, edges))
    shares = counts / len(samples)
    outside = abs((1 - shares.sum()) - (1 - truth.sum()))
    return float((np.abs(shares - truth).sum() + outside) / 2)


def total_variation_floor(truth: np.ndarray, count: int) -> float:
    """What `total_variation` is on average for `count` exact samples.

    The count in a bin of probability p is about normal with variance N p (1 - p), and the mean of
    |N(0, s^2)| is s sqrt(2 / pi); in nearly empty bins it is rather 2 p, which is smaller.
    """
    spread = np.sqrt(2 * truth * (1 - truth) / (math.pi * count))
    return float(np.minimum(spread, 2 * truth).sum() / 2)
