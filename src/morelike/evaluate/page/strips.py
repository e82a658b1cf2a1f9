"""A figure as a strip: what was measured, against what real pictures give in its place."""

from __future__ import annotations

import math
from collections.abc import Sequence

from morelike.diagnostics.finding import Figure
from morelike.evaluate.page.axis import scale, ticks
from morelike.evaluate.page.numbers import alike, null_words, short
from morelike.evaluate.page.words import prose
from morelike.page.text import text

WIDTH, HEIGHT = 340, 50
LEFT, RIGHT = 14, 326
MIDDLE, BASE = 14, 31  # of the band, and where the axis is
MOST_TICKS = 5


def figures(found: Sequence[Figure]) -> str:
    """All figures of a finding, one above the other."""
    rows = "".join(
        f'<li class="figure"><p class="name">{text(figure.name)}</p>'
        f'{_strip(figure)}<p class="numbers">{_numbers(figure)}</p>'
        + (f'<p class="note">{prose(figure.note)}</p>' if figure.note else "")
        + "</li>\n"
        for figure in found
    )
    return f'<ul class="figures">\n{rows}</ul>\n' if rows else ""


def example() -> str:
    """A small strip without numbers, for the words that say how to read one."""
    return (
        '<svg class="example" viewBox="0 0 84 28" aria-hidden="true">'
        '<rect class="null" x="4" y="4" width="34" height="20" rx="3"/>'
        '<path class="whisker" d="M46 14H76M46 9v10M76 9v10"/>'
        '<circle class="value" cx="62" cy="14" r="5.5"/></svg>'
    )


def _numbers(figure: Figure) -> str:
    value, interval, null = _words(figure)
    words = f"<b>{value}</b>" + (f" <span>({interval})</span>" if interval else "")
    return words + (f' <span class="real">real pictures: {null}</span>' if null else "")


def _words(figure: Figure) -> tuple[str, str, str]:
    """The value, its interval and the null in words; empty where not known."""
    low, high, null = figure.low, figure.high, figure.null or ()
    values = [figure.value, *(end for end in (low, high, *null) if end is not None)]
    axis = scale(values, [figure.null] if figure.null else [])
    if axis is not None and axis.logarithmic:
        shown = [short(value) for value in values]
    else:
        spreads = [null[1] - null[0]] if null else []
        if low is not None and high is not None:
            spreads.append(high - low)
        shown = alike(values, spreads)
    value, *rest = shown
    interval = ""
    if low is not None and high is not None:
        interval, rest = f"{rest[0]} to {rest[1]}", rest[2:]
    elif low is not None:
        interval, rest = f"at least {rest[0]}", rest[1:]
    elif high is not None:
        interval, rest = f"at most {rest[0]}", rest[1:]
    return value, interval, null_words(null, rest) if null else ""


def _strip(figure: Figure) -> str:
    null = figure.null
    ends = [end for end in (figure.low, figure.high) if end is not None]
    axis = scale([figure.value, *ends], [null] if null else [])
    if axis is None:
        return ""

    def x(value: float) -> float:
        return LEFT + axis.share(value) * (RIGHT - LEFT)

    drawing = ""
    if null and not any(map(math.isnan, null)):
        left, right = x(null[0]), x(null[1])
        width = max(right - left, 2.0)
        drawing += (
            f'<rect class="null" x="{left - (width - right + left) / 2:.1f}" y="{MIDDLE - 10}" '
            f'width="{width:.1f}" height="20" rx="{min(3.0, width / 2):.1f}"/>'
        )
    marks = "".join(
        f'<path d="M{x(at):.1f} {BASE}v4"/><text x="{x(at):.1f}" y="{HEIGHT - 3}" '
        f'text-anchor="middle">{label}</text>'
        for at, label in ticks(axis, MOST_TICKS)
    )
    drawing += f'<g class="axis"><path d="M{LEFT} {BASE}H{RIGHT}"/>{marks}</g>'
    finite = [end for end in ends if math.isfinite(end)]
    if finite:
        near = [*finite, figure.value] if math.isfinite(figure.value) else finite
        start, stop = x(min(near)), x(max(near))
        caps = "".join(f"M{x(end):.1f} {MIDDLE - 5}v10" for end in finite)
        drawing += f'<path class="whisker" d="M{start:.1f} {MIDDLE}H{stop:.1f}{caps}"/>'
    if math.isfinite(figure.value):
        drawing += f'<circle class="value" cx="{x(figure.value):.1f}" cy="{MIDDLE}" r="5.5"/>'
    value, interval, real = _words(figure)
    spoken = f"{text(figure.name)}: {value}" + (f", {interval}" if interval else "")
    spoken += f"; real pictures give {real}" if real else ""
    spoken += "; logarithmic scale" if axis.logarithmic else ""
    return (
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{spoken}</title>'
        f"{drawing}</svg>"
    )
