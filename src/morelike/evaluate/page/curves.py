"""A figure over the run's history, against what real pictures give."""

from __future__ import annotations

import math
from collections.abc import Sequence

from morelike.diagnostics.finding import Curve
from morelike.evaluate.page.axis import Scale, scale, ticks
from morelike.evaluate.page.numbers import alike, images, null_words, short
from morelike.page.text import text

WIDTH, HEIGHT = 360, 218
LEFT, RIGHT, TOP, BOTTOM = 46, 344, 22, 168  # of the axes
MOST_TICKS = 6
MOST_DOTS = 60

Point = tuple[int, float]


def curves(found: Sequence[Curve]) -> str:
    """All curves of a finding that have a point to show."""
    drawn = "".join(_curve(curve) for curve in found)
    return f'<div class="curves">\n{drawn}</div>\n' if drawn else ""


def _curve(curve: Curve) -> str:
    points = sorted(zip(curve.images, curve.values, strict=True))
    upward = scale([value for _, value in points], [curve.null] if curve.null else [])
    runs = _runs(points)
    if upward is None or not runs:
        return ""
    across = _history([seen for seen, _ in points], curve.onset)
    drawing = (
        _band(curve.null, upward)
        + _axes(across, upward)
        + _onset(curve.onset, across)
        + _line(runs, across, upward)
    )
    middle = (LEFT + RIGHT) / 2
    return (
        f'<figure class="chart"><h3>{text(curve.name)}</h3><svg viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img"><title>{text(curve.name)}, over the pictures shown in training</title>'
        f'{drawing}<text class="along" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"pictures shown in training</text></svg>"
        f"<figcaption>{_words(curve, points, upward)}</figcaption></figure>\n"
    )


def _words(curve: Curve, points: Sequence[Point], upward: Scale) -> str:
    """What the drawing shows, for whoever cannot see it."""
    null = curve.null or ()
    values = [points[0][1], points[-1][1], *null]
    if upward.logarithmic:
        shown = [short(value) for value in values]
    else:
        shown = alike(values, [null[1] - null[0]] if null else [])
    words = f"{shown[0]} at {points[0][0]:,} pictures"
    if len(points) > 1:
        words += f", {shown[1]} at {points[-1][0]:,}"
    if curve.onset is not None:
        words += f"; first there at {curve.onset:,}"
    if null:
        words += f". Real pictures: {null_words(null, shown[2:])}"
    return words + (". Logarithmic scale." if upward.logarithmic else ".")


def _history(seen: Sequence[int], onset: int | None) -> Scale:
    low, high = min(seen), max(*seen, onset or 0, 1)
    low = 0 if 2 * low <= high else low
    return Scale(low, high) if low < high else Scale(low - 1, high + 1)


def _x(seen: float, across: Scale) -> float:
    return LEFT + across.share(seen) * (RIGHT - LEFT)


def _y(value: float, upward: Scale) -> float:
    return BOTTOM - upward.share(value) * (BOTTOM - TOP)


def _band(null: tuple[float, float] | None, upward: Scale) -> str:
    if null is None or any(map(math.isnan, null)):
        return ""
    top, bottom = _y(null[1], upward), _y(null[0], upward)
    height = max(bottom - top, 2.0)
    return (
        f'<rect class="null" x="{LEFT}" y="{(top + bottom - height) / 2:.1f}" '
        f'width="{RIGHT - LEFT}" height="{height:.1f}"/>'
    )


def _axes(across: Scale, upward: Scale) -> str:
    beside = "".join(
        f'<path class="grid" d="M{LEFT} {_y(at, upward):.1f}H{RIGHT}"/><text x="{LEFT - 6}" '
        f'y="{_y(at, upward) + 4:.1f}" text-anchor="end">{label}</text>'
        for at, label in ticks(upward, MOST_TICKS)
    )
    below = "".join(
        f'<path d="M{_x(at, across):.1f} {BOTTOM}v4"/><text x="{_x(at, across):.1f}" '
        f'y="{BOTTOM + 17}" text-anchor="middle">{images(round(at))}</text>'
        for at, _ in ticks(across, MOST_TICKS)
    )
    return f'<g class="axis">{beside}<path d="M{LEFT} {BOTTOM}H{RIGHT}"/>{below}</g>'


def _onset(onset: int | None, across: Scale) -> str:
    if onset is None:
        return ""
    at = _x(onset, across)
    side, away = ("end", -5) if at > (LEFT + RIGHT) / 2 else ("start", 5)
    return (
        f'<path class="onset" d="M{at:.1f} {TOP - 14}V{BOTTOM}"/><text class="onset" '
        f'x="{at + away:.1f}" y="{TOP - 6}" text-anchor="{side}">first at {images(onset)}</text>'
    )


def _line(runs: Sequence[Sequence[Point]], across: Scale, upward: Scale) -> str:
    lines = "".join(
        '<path class="line" d="M'
        + "L".join(f"{_x(seen, across):.1f} {_y(value, upward):.1f}" for seen, value in run)
        + '"/>'
        for run in runs
    )
    few = sum(map(len, runs)) <= MOST_DOTS
    dots = [point for run in runs if few or len(run) == 1 for point in run]
    return lines + "".join(
        f'<circle class="dot" cx="{_x(seen, across):.1f}" cy="{_y(value, upward):.1f}" r="3"/>'
        for seen, value in dots
    )


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """The points without those that are not finite, which leave gaps."""
    found: list[list[Point]] = [[]]
    for seen, value in points:
        if math.isfinite(value):
            found[-1].append((seen, value))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]
