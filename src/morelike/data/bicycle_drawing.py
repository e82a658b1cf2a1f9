"""Draws a bicycle of known factors: anti-aliased, on white, like a catalogue in miniature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from morelike.data.bicycles import (
    EXTRAS,
    FACINGS,
    KINDS,
    Bicycle,
    Colour,
    Joints,
    Point,
    at,
    find_joints,
    gray,
)

_WHITE: Colour = (1.0, 1.0, 1.0)
_DARK: Colour = (0.16, 0.16, 0.18)
_STEEL: Colour = (0.62, 0.64, 0.67)
_SPOKE: Colour = (0.66, 0.68, 0.70)


def draw_bicycle(bicycle: Bicycle, size: int = 64) -> np.ndarray:
    """Draw a bicycle on white and return it as (size, size, 3) uint8 RGB, anti-aliased.

    A larger picture shows the same bicycle with finer detail.

    Raises:
        ValueError: if size is below 1, or kind, facing or extra is none of those listed above.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    for value, known in ((bicycle.kind, KINDS), (bicycle.facing, FACINGS), (bicycle.extra, EXTRAS)):
        if value not in known:
            raise ValueError(f"a bicycle is drawn as one of {', '.join(known)}, not {value!r}")
    finer = 8 if size <= 128 else 4
    image = Image.new("RGB", (size * finer, size * finer), (255, 255, 255))
    _draw(bicycle, _Pen(image))
    picture = np.asarray(image.reduce(finer))
    return picture[:, ::-1].copy() if bicycle.facing == "left" else picture.copy()


class _Pen:
    """Draws shapes given in shares of the picture's side onto a large image, without smoothing."""

    def __init__(self, image: Image.Image) -> None:
        self._ink, self._scale = ImageDraw.Draw(image), image.width

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        scale = self._scale
        self._ink.polygon([(x * scale, y * scale) for x, y in points], fill=_bytes(colour))

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        (x, y), r = (centre[0] * self._scale, centre[1] * self._scale), radius * self._scale
        self._ink.ellipse((x - r, y - r, x + r, y + r), fill=_bytes(colour))

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line through the points, with round joints and ends unless it is very thin."""
        # Pillow's polygons take in their outline, half a pixel on each side.
        half = max(0.0, width - 1 / self._scale) / 2
        for (x0, y0), (x1, y1) in pairwise(points):
            length = math.hypot(x1 - x0, y1 - y0) or 1.0
            dx, dy = (y1 - y0) / length * half, (x0 - x1) / length * half
            xs, ys = (x0 + dx, x1 + dx, x1 - dx, x0 - dx), (y0 + dy, y1 + dy, y1 - dy, y0 - dy)
            self.shape(_offset((0, 0), xs, ys), colour)
        if width > 0.006:
            for point in points:
                self.disc(point, half, colour)

    def tubes(self, tubes: Sequence[tuple[Sequence[Point], float]], colour: Colour) -> None:
        """Draw lines of given widths as round tubes lit from the upper left, joined as one."""
        for points, width in tubes:
            self.line(points, width, _mix(colour, (0.0, 0.0, 0.0), 0.42))
        for shift, share, shade in ((0.08, 0.76, colour), (0.16, 0.20, _mix(colour, _WHITE, 0.45))):
            for points, width in tubes:
                lit = [(x - shift * width, y - shift * width) for x, y in points]
                self.line(lit, share * width, shade)


def _bytes(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = colour
    return round(red * 255), round(green * 255), round(blue * 255)


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (a + (b - a) * share for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _offset(origin: Point, xs: Sequence[float], ys: Sequence[float]) -> list[Point]:
    """Return the points this far to the right of and below `origin`."""
    return [(origin[0] + x, origin[1] + y) for x, y in zip(xs, ys, strict=True)]


def _curve(points: Sequence[Point], rounds: int = 3) -> list[Point]:
    """Return the line through the points with its corners cut again and again, so smoothed."""
    line = list(points)
    for _ in range(rounds):
        cut = [line[0]]
        for (x0, y0), (x1, y1) in pairwise(line):
            cut += [(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in (0.25, 0.75)]
        line = [*cut, line[-1]]
    return line


def _draw(b: Bicycle, pen: _Pen) -> None:
    """Draw the bicycle facing right, from the parts furthest from the eye to the nearest."""
    j = find_joints(b)
    rear, crank_axle = j.rear, j.crank_axle
    _draw_wheel(b, pen, rear)
    _draw_wheel(b, pen, j.front)
    if b.extra == "mudguards":
        colour = _mix(b.frame_colour, (0.0, 0.0, 0.0), 0.12)
        for axle, behind, ahead in ((rear, -22, 137), (j.front, 8, 133)):
            guard = [at(axle, turn, b.wheel_radius + 0.009) for turn in range(behind, ahead, 6)]
            pen.line(guard, 0.011, colour)
    if b.extra == "rack":
        deck = rear[1] - b.wheel_radius - 0.028
        pen.line([(rear[0] - 0.085, deck), (rear[0] + 0.13, deck)], 0.013, _DARK)
        pen.line([(rear[0] - 0.05, deck), rear], 0.008, _DARK)
        pen.line([(rear[0] + 0.03, deck), rear], 0.008, _DARK)
    _draw_crank(pen, crank_axle, b.crank_angle + 180, _mix(_STEEL, _DARK, 0.5))
    _draw_chain(pen, rear, crank_axle, geared=b.kind != "step-through")
    _draw_frame(b, pen, j)
    _draw_fork(b, pen, j)
    pen.tubes([([j.seat_top, j.saddle], 0.62 * b.tube_width)], _STEEL)
    clamp = 0.42 * b.tube_width
    ends = [at(j.seat_top, b.seat_angle - 90, side) for side in (clamp, -clamp)]
    pen.line(ends, 0.010, _DARK)
    _draw_saddle(b, pen, j.saddle)
    _draw_bars(b, pen, j)
    pen.disc(crank_axle, 0.043, _DARK)
    pen.disc(crank_axle, 0.036, _STEEL)
    pen.disc(crank_axle, 0.028, _DARK)
    _draw_crank(pen, crank_axle, b.crank_angle, _mix(_STEEL, _DARK, 0.12))
    pen.disc(crank_axle, 0.013, _STEEL)


def _draw_wheel(b: Bicycle, pen: _Pen, axle: Point) -> None:
    tread = b.wheel_radius
    if b.kind == "mountain":
        tread -= 0.007
        for knob in range(0, 360, 10):
            tip = at(axle, knob, b.wheel_radius - 0.007)
            pen.line([at(axle, knob, tread - 0.01), tip], 0.016, b.tyre_colour)
    pen.disc(axle, tread, _mix(b.tyre_colour, (0.0, 0.0, 0.0), 0.25))
    pen.disc(axle, tread - 0.003, b.tyre_colour)
    rim = b.wheel_radius - b.tyre_width
    pen.disc(axle, rim, gray(b.rim_shade))
    inside = rim - 0.014
    pen.disc(axle, inside, _WHITE)
    for spoke in range(0, 360, 20):
        # Crossed in pairs, as spokes leave the hub to either side.
        lean = 38 if spoke % 40 else -38
        pen.line([at(axle, spoke + lean, 0.014), at(axle, spoke, inside)], 0.0045, _SPOKE)
    pen.disc(axle, 0.018, _STEEL)


def _draw_crank(pen: _Pen, axle: Point, angle: float, colour: Colour) -> None:
    turn = math.radians(angle)
    pedal = axle[0] + 0.085 * math.cos(turn), axle[1] + 0.085 * math.sin(turn)
    pen.line([axle, pedal], 0.016, colour)
    pen.line([(pedal[0] - 0.024, pedal[1]), (pedal[0] + 0.024, pedal[1])], 0.018, _DARK)


def _draw_chain(pen: _Pen, rear: Point, crank_axle: Point, geared: bool) -> None:
    cog = 0.026 if geared else 0.020
    pen.disc(rear, cog, _DARK)
    pen.disc(rear, cog - 0.009, _STEEL)
    colour = _mix(_DARK, _STEEL, 0.35)
    pen.line([(rear[0], rear[1] - cog), (crank_axle[0], crank_axle[1] - 0.040)], 0.007, colour)
    low = rear
    if geared:  # the derailleur leads the chain round a lower wheel
        low = (rear[0] + 0.018, rear[1] + 0.062)
        pen.line([(rear[0] + 0.004, rear[1] + 0.02), low], 0.012, _DARK)
        cog = 0.010
        pen.disc(low, cog, _DARK)
    pen.line([(low[0], low[1] + cog), (crank_axle[0], crank_axle[1] + 0.040)], 0.007, colour)


def _draw_frame(b: Bicycle, pen: _Pen, j: Joints) -> None:
    wide, thin = b.tube_width, 0.62 * b.tube_width
    low, high = at(j.crown, b.head_angle, 0.018), at(j.head_top, b.head_angle, -0.016)
    stay = at(j.seat_top, b.seat_angle, -0.014)
    pen.tubes([([j.rear, j.crank_axle], thin), ([j.rear, stay], thin)], b.frame_colour)
    main: list[tuple[Sequence[Point], float]] = [([j.crank_axle, j.seat_top], wide)]
    if b.kind == "step-through":
        # Two nearly parallel tubes sweep down and level out towards the cranks.
        for start, end, sag in (
            (low, j.crank_axle, 0.040),
            (high, at(j.crank_axle, b.seat_angle, 0.36 * b.seat_tube), 0.090),
        ):
            middle = ((start[0] + end[0]) / 2 - 0.4 * sag, (start[1] + end[1]) / 2 + sag)
            main.append((_curve([start, middle, end]), 0.92 * wide))
    else:
        main.append(([low, j.crank_axle], 1.1 * wide))
        main.append(([high, at(j.seat_top, b.seat_angle, -0.016)], 0.95 * wide))
    main.append(([at(j.crown, b.head_angle, 0.006), j.head_top], 1.2 * wide))
    pen.tubes(main, b.frame_colour)


def _draw_fork(b: Bicycle, pen: _Pen, j: Joints) -> None:
    if b.kind == "mountain":  # straight telescopic legs ahead of the steering axis
        top = at(j.front, b.head_angle, math.dist(j.steering, j.crown) - 0.004)
        knee = at(j.front, b.head_angle, 0.55 * math.dist(j.steering, j.crown))
        pen.tubes([([top, knee], 0.020)], _mix(_STEEL, _WHITE, 0.3))
        pen.tubes([([knee, j.front], 0.030)], _mix(b.frame_colour, _DARK, 0.65))
        pen.line([top, j.crown], 0.024, _DARK)
    else:  # blades along the axis that bend forward to the axle
        straight, bend = (at(j.steering, b.head_angle, b.wheel_radius * x) for x in (0.75, 0.32))
        pen.tubes(
            [(_curve([j.crown, straight, bend, j.front]), 0.72 * b.tube_width)], b.frame_colour
        )
    pen.disc(j.front, 0.011, _STEEL)


def _draw_saddle(b: Bicycle, pen: _Pen, saddle: Point) -> None:
    # Outline from the tail along the top to the nose and back beneath; the post ends inside it.
    xs = (-0.080, -0.066, -0.03, 0.02, 0.064, 0.086, 0.076, 0.02, -0.02, -0.06, -0.080)
    if b.kind == "step-through":
        ys = (0.0, -0.026, -0.017, -0.015, -0.016, -0.008, -0.001, 0.004, 0.018, 0.022, 0.0)
    else:
        ys = (-0.006, -0.019, -0.011, -0.010, -0.014, -0.008, -0.001, 0.003, 0.012, 0.010, -0.006)
    outline = _offset(saddle, xs, ys)
    pen.shape(_curve(outline), b.saddle_colour)
    shine = [(x, y + 0.007) for x, y in outline[1:5]]
    pen.line(_curve(shine)[2:-2], 0.007, _mix(b.saddle_colour, _WHITE, 0.25))


def _draw_bars(b: Bicycle, pen: _Pen, j: Joints) -> None:
    pen.tubes([([j.head_top, j.stem], 0.7 * b.tube_width)], _STEEL)
    if b.kind == "road":
        (clamp,) = _offset(j.stem, [0.042], [-0.004])
        pen.tubes([([j.stem, clamp], 0.018)], _STEEL)
        pen.line(_offset(clamp, (0.052, 0.074, 0.082), (0.004, -0.020, 0.020)), 0.013, _DARK)
        xs = (0, 0.044, 0.066, 0.068, 0.050, 0.026, -0.006)
        ys = (0, -0.004, 0.008, 0.044, 0.070, 0.074, 0.073)
        pen.line(_curve(_offset(clamp, xs, ys), 2), 0.018, b.saddle_colour)
    elif b.kind == "mountain":
        (clamp,) = _offset(j.stem, [0.034], [-0.012])
        pen.tubes([([j.stem, clamp], 0.024)], _DARK)
        pen.line(_offset(clamp, (0, -0.012), (0, -0.016)), 0.018, _DARK)
        pen.line(_offset(clamp, (0.012, 0.044), (-0.010, 0.006)), 0.010, _DARK)
        pen.line(_offset(clamp, (0.004, -0.052), (-0.018, -0.024)), 0.024, b.saddle_colour)
    else:
        xs, ys = (0, 0.030, 0.048, 0.020, -0.040), (0, -0.012, -0.044, -0.052, -0.046)
        pen.tubes([(_curve(_offset(j.stem, xs, ys)), 0.015)], _STEEL)
        pen.line(_offset(j.stem, (-0.028, -0.092), (-0.047, -0.040)), 0.022, b.saddle_colour)
