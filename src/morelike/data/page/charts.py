"""Small drawings in SVG: histograms of the originals, and a scatter of their border colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from morelike.data.contact import evenly_chosen
from morelike.data.page.report import Borders, Originals
from morelike.page.text import counted, percent, text

WIDTH, HEIGHT = 300, 210
LEFT, RIGHT, TOP, BOTTOM = 58, 280, 20, 166  # of the axes
MOST_DOTS = 2_000
SQUARE = 1.05
"""Longer side over shorter side up to which a picture counts as square."""

Ticks = Sequence[tuple[float, str]]


def sizes(originals: Originals) -> str:
    """Histogram of the shorter sides, in half octaves."""
    shorter = np.maximum(originals.sizes.min(axis=1), 1)
    target = min(originals.target)
    low = math.floor(math.log2(min(shorter.min(), target)))
    high = math.ceil(math.log2(max(shorter.max(), target) + 1))
    low, high = low - (high - low < 3), max(high, low + 2)
    edges = np.arange(2 * low, 2 * high + 1) / 2
    every = math.ceil((high - low) / 6)
    ticks = [(float(k), f"{2**k}") for k in range(low, high + 1, every)]
    quarter, half, three = (round(float(q)) for q in np.quantile(shorter, (0.25, 0.5, 0.75)))
    below = int((shorter < target).sum())
    if shorter.min() == shorter.max():
        words = f"All have a shorter side of {half:,} px."
    else:
        words = (
            f"The shorter side is {shorter.min():,} to {shorter.max():,} px long, typically "
            f"{half:,}; half of the pictures lie between {quarter:,} and {three:,}."
        )
    words += f" {_those(below, len(shorter))} below the target of {target} px."
    bars = _histogram(np.log2(shorter), edges, ticks, math.log2(target))
    return _chart("Size of the originals", words, bars, "shorter side in pixels", "pictures")


def shapes(originals: Originals) -> str:
    """Histogram of width over height; what is beyond 1:3 or 3:1 is in the outermost bars."""
    width, height = np.maximum(originals.sizes, 1).T
    ratio = width / height
    wide, tall = int((ratio > SQUARE).sum()), int((ratio < 1 / SQUARE).sum())
    step = math.log2(3) / 9.5
    edges = (np.arange(20) - 9.5) * step  # so that squares are in the middle of a bar
    inside = np.clip(np.log2(ratio), edges[0], edges[-1])
    marks = {"1:3": 1 / 3, "1:2": 1 / 2, "2:3": 2 / 3, "1:1": 1, "3:2": 3 / 2, "2:1": 2, "3:1": 3}
    ticks = [(math.log2(value), label) for label, value in marks.items()]
    words = f"{wide:,} wide, {len(ratio) - wide - tall:,} about square, {tall:,} tall."
    target = math.log2(originals.target[0] / originals.target[1])
    bars = _histogram(inside, edges, ticks, min(max(target, edges[0]), edges[-1]))
    return _chart("Shape of the originals", words, bars, "tall ← width : height → wide", "pictures")


def borders(found: Borders) -> str:
    """Every border as a dot of its own colour: how uniform it is against how light it is."""
    chosen = evenly_chosen(len(found.lightness), MOST_DOTS)
    dots = "".join(
        f'<circle cx="{_x(u):.1f}" cy="{_y(v):.1f}" r="3" fill="#{r:02x}{g:02x}{b:02x}"/>'
        for u, v, (r, g, b) in zip(
            np.clip(found.uniformity[chosen], 0, 1),
            np.clip(found.lightness[chosen], 0, 1),
            found.colors[chosen].tolist(),
            strict=True,
        )
    )
    panel = (
        f'<rect class="panel" x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"/>'
    )
    marks = [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]
    axes = _x_ticks(marks) + _y_ticks(marks)
    many = "" if len(chosen) == len(found.lightness) else ", evenly chosen"
    words = (
        f"{counted(len(chosen), 'picture')}{many}, each a dot in the colour of its border. Dots at "
        "the upper right have a light border of one colour: a plain background."
    )
    if found.text:
        words += f" {found.text}"
    drawing = f'{panel}{axes}<g class="dots">{dots}</g>'
    return _chart(
        "Colour around the edge", words, drawing, "many colours → one colour", "dark → light"
    )


def _those(below: int, count: int) -> str:
    if not below:
        return "None are"
    if below == count:
        return "All are"
    return f"{below:,} ({percent(below / count)}) {'is' if below == 1 else 'are'}"


def _x(share: float) -> float:
    return LEFT + share * (RIGHT - LEFT)


def _y(share: float) -> float:
    return BOTTOM - share * (BOTTOM - TOP)


def _histogram(values: np.ndarray, edges: np.ndarray, ticks: Ticks, target: float) -> str:
    """Bars between `edges`, ticks and a line at the target, all on one linear axis."""
    counts, _ = np.histogram(values, edges)
    top = _round_up(int(counts.max()))

    def x(value: float) -> float:
        return _x((value - edges[0]) / (edges[-1] - edges[0]))

    bars = "".join(
        f'<rect x="{x(left) + 0.75:.1f}" y="{_y(count / top):.1f}" '
        f'width="{x(right) - x(left) - 1.5:.1f}" height="{BOTTOM - _y(count / top):.1f}"/>'
        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    )
    values_up = (0, top // 2, top) if top % 2 == 0 else (0, top)
    axes = _y_ticks([(value / top, _short(value)) for value in values_up])
    shares = [((tick - edges[0]) / (edges[-1] - edges[0]), label) for tick, label in ticks]
    at = x(target)
    anchor = "end" if at > (LEFT + RIGHT) / 2 else "start"
    line = (
        f'<path class="target" d="M{at:.1f} {TOP - 8}V{BOTTOM}"/>'
        f'<text class="target" x="{at + (4 if anchor == "start" else -4):.1f}" y="{TOP - 4}" '
        f'text-anchor="{anchor}">target</text>'
    )
    return f'{axes}<g class="bars">{bars}</g>{_x_ticks(shares)}{line}'


def _round_up(count: int) -> int:
    """The next number of one digit and zeros, 7 and 9 passed over."""
    size = 10 ** (len(str(count)) - 1)
    return next(digit * size for digit in (1, 2, 3, 4, 5, 6, 8, 10) if digit * size >= count)


def _short(count: int) -> str:
    """`300`, `20k`, `5M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= 10 * size or (count >= size and count % size == 0):
            return f"{count / size:g}{unit}"
    return str(count)


def _x_ticks(ticks: Ticks) -> str:
    labels = "".join(
        f'<path d="M{_x(share):.1f} {BOTTOM}v4"/>'
        f'<text x="{_x(share):.1f}" y="{BOTTOM + 16}" text-anchor="middle">{label}</text>'
        for share, label in ticks
    )
    return f'<g class="axis"><path d="M{LEFT} {BOTTOM}H{RIGHT}"/>{labels}</g>'


def _y_ticks(ticks: Ticks) -> str:
    labels = "".join(
        f'<path class="grid" d="M{LEFT} {_y(share):.1f}H{RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{_y(share) + 4:.1f}" text-anchor="end">{label}</text>'
        for share, label in ticks
    )
    return f'<g class="axis">{labels}</g>'


def _chart(title: str, words: str, drawing: str, across: str, upward: str) -> str:
    middle = (LEFT + RIGHT) / 2
    return (
        f'<figure class="chart"><h3>{text(title)}</h3>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{text(title)}</title>{drawing}'
        f'<text class="along" x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">'
        f'{text(across)}</text><text class="along" transform="translate(11 {(TOP + BOTTOM) // 2}) '
        f'rotate(-90)" text-anchor="middle">{text(upward)}</text></svg>'
        f"<figcaption>{text(words, 600)}</figcaption></figure>\n"
    )
