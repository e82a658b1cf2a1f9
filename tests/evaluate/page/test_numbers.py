"""Numbers as a person reads them, and the axes they stand on."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morelike.evaluate.page.axis import Scale, scale, ticks
from morelike.evaluate.page.numbers import alike, images, null_words, short, written

NAN, INF = math.nan, math.inf
FINITE = st.floats(-1e12, 1e12)


@pytest.mark.parametrize(
    ("values", "spreads", "shown"),
    [
        ([0.8437, 0.1, 0.25], [0.15], ["0.84", "0.10", "0.25"]),
        ([31.24, 28.4, 34.6, 26.1, 41.7], [15.6, 6.2], ["31", "28", "35", "26", "42"]),
        ([17, 11, 26, 0, 3], [15, 3], ["17", "11", "26", "0", "3"]),
        (
            [0.012, 0.001, 0.033, 0, 0.047],
            [0.032, 0.047],
            ["0.012", "0.001", "0.033", "0", "0.047"],
        ),
        ([0.0012, 0.11, 0.38], [0.27], ["0.0012", "0.11", "0.38"]),
        ([1.0, 0.94, 1.0], [0.06], ["1.00", "0.94", "1.00"]),
        ([123_456.78], [], ["123,457"]),
        ([0.98765], [], ["0.988"]),
        ([NAN, 0.5, 1.5], [1.0], ["not a number", "0.5", "1.5"]),
        ([INF, -INF], [], ["infinite", "−infinite"]),
        ([0.5, 0.50000001], [1e-8], ["0.5000", "0.5000"]),
        ([0.0], [0.0], ["0"]),
    ],
)
def test_digits_follow_from_how_sure_one_is(
    values: list[float], spreads: list[float], shown: list[str]
) -> None:
    assert alike(values, spreads) == shown


@given(st.lists(FINITE, min_size=1, max_size=5), st.lists(FINITE, max_size=2))
def test_no_number_that_is_there_is_shown_as_nothing(
    values: list[float], spreads: list[float]
) -> None:
    for value, shown in zip(values, alike(values, spreads), strict=True):
        assert shown.startswith("−") == (value < 0)
        assert any(digit in shown for digit in "123456789") == (value != 0)


def test_single_numbers_and_signs() -> None:
    assert [short(value) for value in (0.01234, 123_456, 0, -5)] == [
        "0.012",
        "123,456",
        "0",
        "−5.0",
    ]
    assert short(0.0000321) == "3.2\u00a0×\u00a010⁻⁵"
    assert written(-1234.5, 1) == "−1,234.5"
    assert [images(count) for count in (0, 800, 20_000, 1_500_000)] == ["0", "800", "20k", "1.5M"]


def test_a_null_may_be_open() -> None:
    assert null_words((1, 2), ("1", "2")) == "1 to 2"
    assert null_words((-INF, 2), ("?", "2")) == "up to 2"
    assert null_words((1, INF), ("1", "?")) == "1 or more"
    assert null_words((-INF, INF), ("?", "?")) == "any value"


@given(st.lists(FINITE, min_size=1, max_size=9))
def test_every_value_lies_on_the_axis_in_its_order(values: list[float]) -> None:
    axis = scale(values)
    assert axis is not None
    assert axis.low < axis.high
    shares = [axis.share(value) for value in sorted(values)]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)


def test_an_axis_begins_at_zero_unless_that_is_far() -> None:
    assert scale([1.0, 10.0]) == Scale(0.0, 10.54)
    assert scale([9.0, 10.0]) == Scale(8.94, 10.06)
    assert scale([-2.0, 0.0]) == Scale(-2.12, 0.0)
    assert scale([3.0]) == Scale(1.5, 4.5)
    assert scale([NAN, INF]) is None


def test_an_axis_is_logarithmic_where_a_band_would_be_a_line() -> None:
    narrow = scale([12.0], [(0.1, 0.2)])
    assert narrow is not None
    assert narrow.logarithmic
    assert narrow.share(0.2) - narrow.share(0.1) > 0.1
    for values, band in (([0.0001], (0.1, 0.2)), ([12.0], (0.0, 0.2)), ([1.2], (0.3, 0.31))):
        linear = scale(values, [band])
        assert linear is not None
        assert not linear.logarithmic


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(3, 8))
def test_ticks_are_round_few_and_on_the_axis(low: float, length: float, most: int) -> None:
    axis = Scale(low, low + length)
    found = [at for at, _ in ticks(axis, most)]
    assert len(found) <= most
    slack = length * 1e-6
    assert all(axis.low - slack <= at <= axis.high + slack for at in found)
    steps = [b - a for a, b in pairwise(found)]
    assert all(math.isclose(step, steps[0], rel_tol=1e-3) for step in steps)


@given(st.floats(1e-5, 10), st.floats(10, 1e6), st.integers(4, 8))
def test_logarithmic_ticks_are_few_and_on_the_axis(low: float, times: float, most: int) -> None:
    axis = Scale(low, low * times, True)
    found = [at for at, _ in ticks(axis, most)]
    assert 1 <= len(found) <= most
    assert all(axis.low <= at <= axis.high for at in found)
    assert axis.share(math.sqrt(axis.low * axis.high)) == pytest.approx(0.5)
