"""How likely counts are: what separates a fault from chance."""

from __future__ import annotations

import math

SURE = 1.959964
"""Standard deviations to each side that hold 95 of 100 cases."""


def binomial_tail(count: int, trials: int, share: float) -> float:
    """How likely at least `count` of `trials` are, each with probability `share` in [0, 1]."""
    if count <= 0:
        return 1.0
    if share <= 0 or count > trials:
        return 0.0
    if share >= 1:
        return 1.0
    odds = (math.log(share), math.log1p(-share))
    terms = [
        _log_choose(trials, k) + k * odds[0] + (trials - k) * odds[1]
        for k in range(count, trials + 1)
    ]
    return min(1.0, math.fsum(map(math.exp, terms)))


def share_interval(count: int, trials: int, deviations: float = SURE) -> tuple[float, float]:
    """Where a share may lie of which `count` of `trials` were seen."""
    return wilson(count / trials, trials, deviations) if trials else (0.0, 1.0)


def wilson(share: float, count: float, deviations: float = SURE) -> tuple[float, float]:
    """The interval of a share of `count`, Wilson 1927."""
    z = deviations
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def student(freedom: int) -> float:
    """How many standard errors to each side hold 95 of 100, where the error itself was estimated
    with `freedom` degrees, at least 2: the 97.5 % quantile of Student's t.

    The expansion of Abramowitz & Stegun 1964, 26.7.5; within 1 % of the quantile.
    """
    z = SURE
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
