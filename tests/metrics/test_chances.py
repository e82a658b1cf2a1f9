from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from morelike.metrics.chances import binomial_tail, share_interval, student


@pytest.mark.parametrize("share", [0.0, 0.015, 0.3, 0.5, 0.97, 1.0])
def test_the_tail_is_that_of_counting_every_outcome(share: float) -> None:
    trials = 7
    chances = dict.fromkeys(range(trials + 2), 0.0)
    for outcome in itertools.product((False, True), repeat=trials):
        chance = math.prod(share if hit else 1 - share for hit in outcome)
        for count in range(sum(outcome) + 1):
            chances[count] += chance
    for count, chance in chances.items():
        assert binomial_tail(count, trials, share) == pytest.approx(chance, abs=1e-12)


def test_the_tail_of_many_trials_is_exact() -> None:
    share = Fraction(3, 200)
    exact = sum(
        math.comb(2048, k) * share**k * (1 - share) ** (2048 - k) for k in range(45, 2048 + 1)
    )
    assert binomial_tail(45, 2048, 0.015) == pytest.approx(float(exact), rel=1e-9)


def test_counts_out_of_range_are_sure_or_impossible() -> None:
    assert binomial_tail(0, 0, 0.5) == binomial_tail(-1, 5, 0.0) == 1
    assert binomial_tail(6, 5, 1.0) == binomial_tail(1, 5, 0.0) == 0


@pytest.mark.parametrize(
    ("count", "trials", "low", "high"),
    [  # the second is of Newcombe 1998, table I, method 3
        (0, 10, 0.0, 0.2775),
        (81, 263, 0.2553, 0.3662),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilson_intervals_that_are_known(count: int, trials: int, low: float, high: float) -> None:
    assert share_interval(count, trials) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("deviations", [1.0, 1.96, 2.576])
def test_the_count_lies_as_many_deviations_from_both_ends(deviations: float) -> None:
    for end in share_interval(7, 41, deviations):
        spread = (end * (1 - end) / 41) ** 0.5
        assert abs(7 / 41 - end) == pytest.approx(deviations * spread)


def test_of_nothing_nothing_is_known() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(2, 4.3027), (3, 3.1824), (5, 2.5706), (10, 2.2281), (120, 1.9799)]
)
def test_student_quantiles_of_the_tables(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=0.01)


def test_student_intervals_hold_the_truth_in_95_of_100() -> None:
    numbers = np.random.RandomState(0).standard_normal((20_000, 4))
    errors = numbers.std(axis=1, ddof=1) / 2
    assert np.mean(abs(numbers.mean(axis=1)) < student(3) * errors) == pytest.approx(0.95, abs=0.01)
