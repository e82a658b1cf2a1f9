"""Kinds of training pictures, and how many samples are of each.

The kinds are those of `diagnostics.coverage`: k-means in features, about sqrt(N / 2) of them. A
training set is a sample itself: where 20 of 257 pictures are of a kind, 5 to 12 % of pictures like
them may be. A binomial test of the samples against the training share takes it for exact, and the
more samples are drawn, the surer it finds faults in a perfect generator: with 2,000 of a normal
distribution and of a mixture of twelve it alarmed, at 1 % after Holm's correction, in 82 and 100 %
of 40 trials with 60 training rows, 80 and 92 % with 257, 50 and 32 % with 1,000. So both sides
count as samples here, by Fisher's exact test: 0 to 2 %, and with `FEW` 0 %; of bicycles, one half
against the other, 2 % (binomial: 15 %).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from morelike.diagnostics.coverage import ALARM, MISSING, Kinds
from morelike.metrics.chances import share_interval
from morelike.metrics.memorization import nearest

FEW = 0.5
"""A kind is undercovered if it surely has less, and at most this share of what it should have."""

State = Literal["unreached", "undercovered", "reached"]


class Cluster(NamedTuple):
    """One kind of training pictures."""

    number: int
    """From 1, the largest."""
    train: np.ndarray
    """Training pictures of it, the most typical first."""
    samples: np.ndarray
    """Samples that are nearest to it, the most typical first."""
    expected: float
    """Share of the training pictures."""
    seen: float
    """Share of the samples."""
    interval: tuple[float, float]
    """Where that share may lie, Wilson's interval of 95 %."""
    chance: float
    """How likely so few samples are if nothing is wrong, corrected for the number of kinds."""
    state: State
    """Unreached: at most a fifth of what it should have; undercovered: at most half; both only
    where chance would have it once in a hundred maps at most."""


def clusters(train: Tensor, samples: Tensor) -> list[Cluster]:
    """Part training pictures into kinds, and count the samples of each.

    Args:
        train: (N, F), features.
        samples: (n, F), of the same extractor.

    Returns:
        The kinds, the largest first; one or none where training pictures are too few.
    """
    kinds = Kinds.of(train)
    if not kinds.members:
        return []
    of_train, of_samples = (_owned(x, kinds.centers) for x in (train, samples))
    order = sorted(range(len(of_train)), key=lambda kind: -len(of_train[kind]))
    raw = [
        fewer_by_chance(len(of_samples[kind]), len(samples), len(of_train[kind]), len(train))
        for kind in order
    ]
    found = []
    for number, (kind, chance) in enumerate(zip(order, holm(raw), strict=True), 1):
        expected, count = len(of_train[kind]) / len(train), len(of_samples[kind])
        seen = count / len(samples)
        state: State = "reached"
        if chance < ALARM and seen <= FEW * expected:
            state = "unreached" if seen <= MISSING * expected else "undercovered"
        interval = share_interval(count, len(samples))
        found.append(
            Cluster(
                number,
                of_train[kind],
                of_samples[kind],
                expected,
                seen,
                interval,
                chance,
                state,
            )
        )
    return found


def fewer_by_chance(count: int, of: int, others: int, of_others: int) -> float:
    """How likely at most `count` of `of` are of a kind, if `others` of `of_others` drawn from the
    same population are: Fisher's exact test (1935), one-sided.
    """
    both, every = count + others, of + of_others
    lowest = max(0, both - of_others)
    whole = _log_choose(every, of)
    terms = [
        _log_choose(both, k) + _log_choose(every - both, of - k) - whole
        for k in range(lowest, count + 1)
    ]
    return min(1.0, math.fsum(map(math.exp, terms)))


def holm(chances: Sequence[float]) -> list[float]:
    """The same, corrected for how many there are: Holm (1979), as adjusted values.

    The i-th smallest of m becomes the largest of (m - j + 1) times the j-th, over j up to i.
    """
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    corrected, most = [0.0] * len(chances), 0.0
    for place, i in enumerate(order):
        most = max(most, min(1.0, (len(chances) - place) * chances[i]))
        corrected[i] = most
    return corrected


def _owned(features: Tensor, centers: Tensor) -> list[np.ndarray]:
    """Of each centre, the rows that are nearest to it, the nearest first."""
    found = nearest(features, centers)
    owner, apart = found.which[:, 0].numpy(), found.distance[:, 0].numpy()
    owned = [np.flatnonzero(owner == kind) for kind in range(len(centers))]
    return [rows[np.argsort(apart[rows], kind="stable")] for rows in owned]


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
