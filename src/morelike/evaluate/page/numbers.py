"""Numbers as a person reads them: as many digits as mean something."""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST_DIGITS = 4
"""Of the largest number where several are written with equal decimals."""
TINY = 1e-300
"""What is smaller is not worth a digit, and has no exact logarithm."""
TIMES = "\u00a0×\u00a0"  # no line is broken there
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def alike(values: Sequence[float], spreads: Sequence[float] = ()) -> list[str]:
    """Numbers of one kind, each with as many decimals as the others.

    The smallest positive of `spreads` (the length of an interval) gets one digit, or two if the
    first is 1 or 2; without any, the largest number gets three. The first number, which is the one
    that matters, keeps two digits of its own, and none vanishes.

    >>> alike([0.8437, 0.1, 0.25], [0.15]), alike([0.8437, 0.1, 0.25], [0.06])
    (['0.84', '0.10', '0.25'], ['0.84', '0.10', '0.25'])
    """
    known = [abs(value) for value in values if math.isfinite(value) and value]
    if not known or all(float(value).is_integer() and value < 1e9 for value in known):
        return [written(value, 0) for value in values]
    most = MOST_DIGITS - 1 - _magnitude(max(known))
    lengths = [spread for spread in spreads if math.isfinite(spread) and spread > TINY]
    # Divided by 3, because then the magnitude falls by one exactly for the first digits 1 and 2.
    wanted = -_magnitude(min(lengths) / 3) if lengths else 2 - _magnitude(max(known))
    own = _decimals(values[0], 2)
    if lengths and own == wanted + 1:
        wanted = own
    decimals = max(0, min(wanted, most))
    rest = [written(value, max(decimals, _decimals(value, 1))) for value in values[1:]]
    return [written(values[0], max(decimals, own)), *rest]


def short(value: float, digits: int = 2) -> str:
    """A number by itself, with so many significant digits.

    >>> short(0.01234), short(123_456)
    ('0.012', '123,456')
    """
    if not value or not math.isfinite(value):
        return written(value, 0)
    return written(value, max(0, digits - 1 - _magnitude(value)))


def written(value: float, decimals: int) -> str:
    """A number with its sign, and commas between thousands.

    >>> written(-1234.5, 1), written(float("inf"), 0)
    ('−1,234.5', 'infinite')
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "−infinite"
    if not value:
        return "0"
    if not 1e-4 <= abs(value) < 1e9:
        digits, _, power = f"{value:.1e}".partition("e")
        return f"{_signed(digits)}{TIMES}10{str(int(power)).translate(RAISED)}"
    return _signed(f"{value:,.{decimals}f}")


def images(count: int) -> str:
    """Pictures shown, for an axis: `0`, `800`, `20k`, `1.5M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def null_words(null: Sequence[float], shown: Sequence[str]) -> str:
    """A range whose ends may be open, from its two ends and how they are written."""
    below, above = math.isfinite(null[0]), math.isfinite(null[1])
    if below and above:
        return f"{shown[0]} to {shown[1]}"
    if above:
        return f"up to {shown[1]}"
    return f"{shown[0]} or more" if below else "any value"


def _signed(digits: str) -> str:
    return digits.replace("-", "−")


def _decimals(value: float, digits: int) -> int:
    """Those that a number below 1 needs to show so many of its own digits."""
    if not math.isfinite(value) or not 1e-4 <= abs(value) < 1:
        return 0
    return digits - 1 - _magnitude(value)


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))
