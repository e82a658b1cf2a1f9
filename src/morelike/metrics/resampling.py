"""Sets of features: what every measure asks of them, and how far chance alone moves a measure.

The percentile bootstrap, Efron & Tibshirani 1993, chapter 13: the statistic of sets that were drawn
again from the set at hand, with replacement, and the middle of what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from morelike.rng import rng


def checked(*sets: Tensor, least: int = 1) -> tuple[Tensor, ...]:
    """The sets as float64, each (N, F) of one F, with at least `least` rows, all of them finite.

    Raises:
        ValueError: if they are not.
    """
    for features in sets:
        if features.ndim != 2 or features.shape[1] != sets[0].shape[1]:
            shapes = " and ".join(str(tuple(each.shape)) for each in sets)
            raise ValueError(f"features (N, F) of one F are needed, not {shapes}")
        if len(features) < least:
            raise ValueError(f"at least {least} rows of features are needed, not {len(features)}")
        # One NaN or infinity makes the sum one, and a sum needs no copy of the set.
        if not features.sum(dtype=torch.float64).isfinite():
            raise ValueError("features are not finite: NaN or infinity among them")
    return tuple(features.double() for features in sets)


class Interval(NamedTuple):
    """A figure and where it may lie."""

    value: float
    """Of the sets as they are."""
    low: float
    high: float


def bootstrap(
    statistic: Callable[..., float],
    *sets: Tensor,
    seed: int,
    count: int = 200,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a statistic of one set of features, or of several.

    It suits means, shares and what is smooth in them. It does not suit what compares rows within
    a set, such as KID, Vendi, radii, coverage or nearest neighbours: a row that was drawn twice is
    its own neighbour at distance 0, and the interval may lie beside the value. It does not mend a
    bias either: a Fréchet distance, too large at small N, is larger still when drawn again. For KID
    use `morelike.metrics.kernel.kid_interval`.

    Measured for the mean: intervals of 95 % held the truth in 92.6, 93.8 and 95.2 % of simulations
    at N = 30, 100 and 1,000 (normal numbers); 91.4, 92.0 and 93.8 % (exponential ones). 2,000
    simulations each, 500 at N = 1,000.

    Args:
        statistic: of as many sets (N, F) as are given, to a number.
        sets: each is drawn again by itself, to its own size.
        seed: with the number of the draw and of the set it decides what is drawn, so equal seeds
            give equal intervals and more draws begin with the same ones.
        count: draws.
        level: share of draws within the interval, in (0, 1).

    Raises:
        ValueError: if there is no set or no draw, a set is empty or not finite, or level is no
            share.
    """
    if not sets or count < 1 or not 0 < level < 1:
        raise ValueError("at least one set, one draw and a level between 0 and 1 are needed")
    sets = checked(*sets)
    drawn = []
    for number in range(count):
        picks = [
            rng(seed, "bootstrap", number, which).randint(0, len(features), len(features))
            for which, features in enumerate(sets)
        ]
        again = [each[torch.from_numpy(pick)] for each, pick in zip(sets, picks, strict=True)]
        drawn.append(float(statistic(*again)))
    tail = (1 - level) / 2
    ends = torch.tensor([tail, 1 - tail], dtype=torch.float64)
    low, high = torch.tensor(drawn, dtype=torch.float64).quantile(ends).tolist()
    return Interval(float(statistic(*sets)), low, high)
