"""Axes: from where to where, linear or logarithmic, and what is written beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from morelike.evaluate.page.numbers import TINY, short, written

MARGIN = 0.06
"""Of the axis, left free beyond the outermost value on either side."""
VISIBLE = 0.04
"""Share of a linear axis below which a band could hardly be seen."""
FAR = 10
"""Largest over smallest value from which a logarithmic axis may serve better."""

HUGE = 1e250

Ticks = list[tuple[float, str]]


class Scale(NamedTuple):
    """An axis; `low` and `high` are values, not their logarithms."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, from 0 to 1; what is beyond the axis is at its end."""
        if value <= self.low:
            return 0.0
        if value >= self.high:
            return 1.0
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


def scale(values: Sequence[float], bands: Sequence[tuple[float, float]] = ()) -> Scale | None:
    """An axis on which all finite values can be seen, and none of the `bands` is a mere line.

    It is logarithmic if all values are positive and a band would be too narrow otherwise. It
    begins at 0 if that is not far. None if no value is finite (what is huge is taken as infinite).
    """
    ends = [end for band in bands for end in band]
    known = [float(value) for value in (*values, *ends) if abs(value) <= HUGE]
    if not known:
        return None
    low, high = min(known), max(known)
    if high - low <= max(1e-12 * max(abs(low), abs(high)), TINY):
        room = abs(low) / 2 if abs(low) > TINY else 1.0
        return Scale(low - room, high + room)
    widths = [b - a for a, b in bands if 0 < b - a < math.inf]
    thin = any(width < VISIBLE * (high - low) for width in widths)
    if thin and low > TINY and high / FAR >= low:
        room = math.exp(MARGIN * (math.log(high) - math.log(low)))
        return Scale(max(low / room, TINY), high * room, True)
    room = MARGIN * (high - low)
    if low >= 0:
        return Scale(0.0 if low < high / 2 else low - room, high + room)
    return Scale(low - room, 0.0 if high == 0 else high + room)


def ticks(axis: Scale, most: int) -> Ticks:
    """At most `most` (2 or more) round values on the axis, with their labels."""
    if axis.logarithmic:
        return _powers(axis, most)
    step = _step((axis.high - axis.low) / (most - 1))
    first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(k * step, written(k * step, decimals)) for k in range(first, last + 1)]


def _step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= least * (1 - 1e-9))


def _powers(axis: Scale, most: int) -> Ticks:
    """Powers of ten, thinned out; with their doubles and fivefolds where there is room."""
    lowest = math.floor(math.log10(axis.low))
    highest = math.ceil(math.log10(axis.high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [n * 10.0**k for k in range(lowest, highest + 1) for n in digits]
        inside = [value for value in found if axis.low <= value <= axis.high]
        if len(inside) <= most:
            break
    every = math.ceil(len(inside) / most)
    return [(value, short(value, 1)) for value in inside[::every]]
