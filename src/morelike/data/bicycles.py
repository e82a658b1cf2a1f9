"""Bicycles as numbers: the true factors of each, and the geometry that follows from them.

Every picture is a function of a small frozen record, so an experiment can compare what a model
learned with what was really varied. Lengths are shares of the picture's side, x to the right and
y downwards from the top left corner; angles are degrees; colours are RGB from 0 to 1.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

Point = tuple[float, float]
Colour = tuple[float, float, float]

KINDS = ("road", "mountain", "step-through")
FACINGS = ("right", "left")
EXTRAS = ("none", "mudguards", "rack")

# Lowest and highest value of each measure, for each kind of frame in the order of KINDS.
_RANGES = {
    "wheel_radius": ((0.172, 0.187), (0.175, 0.190), (0.168, 0.183)),
    "tyre_width": ((0.015, 0.020), (0.031, 0.040), (0.020, 0.030)),
    "bottom_bracket_drop": ((0.026, 0.036), (0.008, 0.020), (0.020, 0.032)),
    "chain_stay_gap": ((0.036, 0.046), (0.036, 0.046), (0.042, 0.052)),
    "seat_angle": ((72.0, 75.5), (71.5, 75.0), (69.5, 72.5)),
    "head_angle": ((72.0, 75.0), (68.5, 71.5), (69.0, 72.0)),
    "seat_tube": ((0.275, 0.315), (0.205, 0.245), (0.250, 0.290)),
    "seat_post": ((0.070, 0.115), (0.115, 0.165), (0.060, 0.110)),
    "head_tube": ((0.070, 0.100), (0.055, 0.075), (0.090, 0.120)),
    "fork_rake": ((0.015, 0.023), (0.015, 0.023), (0.020, 0.028)),
    "bar_rise": ((0.014, 0.036), (0.022, 0.052), (0.050, 0.085)),
    "tube_width": ((0.021, 0.027), (0.028, 0.036), (0.024, 0.030)),
}
_EXTRA_SHARES = {
    "road": {"none": 0.9, "mudguards": 0.1},
    "mountain": {"none": 1.0},
    "step-through": {"none": 0.35, "mudguards": 0.45, "rack": 0.2},
}


@dataclass(frozen=True)
class Bicycle:
    """The true factors of one bicycle; together they determine its picture.

    Lengths are shares of the picture's side, angles degrees above the horizontal, colours RGB
    from 0 to 1. All factors are given for a bicycle facing right; `facing` "left" mirrors the
    finished picture.
    """

    kind: str  # "road", "mountain" or "step-through"
    facing: str  # "right" or "left"
    paint: str  # "coloured", "black", "white" or "silver": where the frame colour came from
    extra: str  # "none", "mudguards" or "rack"
    frame_colour: Colour
    saddle_colour: Colour  # of the grips or bar tape as well
    tyre_colour: Colour
    rim_shade: float  # gray of the rims, 0 black to 1 white
    rear_axle_x: float
    ground_y: float
    wheel_radius: float  # to the outside of the tyre
    wheelbase: float  # from axle to axle
    tyre_width: float
    bottom_bracket_drop: float  # of the crank axle below the line through the wheel axles
    chain_stay_gap: float  # chain stay length beyond the wheel radius
    seat_angle: float  # of the seat tube
    head_angle: float  # of the head tube and fork
    seat_tube: float  # length above the crank axle
    seat_post: float  # from the top of the seat tube to the saddle
    head_tube: float  # length
    fork_rake: float  # of the front axle ahead of the steering axis
    bar_rise: float  # of the stem above the head tube
    tube_width: float
    crank_angle: float  # of the near crank, 0 forward, growing as the rider pedals, to 360

    @property
    def frame_hue(self) -> float:
        """Hue of the frame, from 0 to 1 (0 red, 1/3 green); 0 for a perfect gray."""
        return colorsys.rgb_to_hsv(*self.frame_colour)[0]

    def factors(self) -> dict[str, float | str]:
        """Return every factor in a flat dictionary of numbers and strings, ready for JSON.

        A colour becomes three entries, as `frame_red`, `frame_green`, `frame_blue`; `frame_hue`
        and the heights above the ground of crank axle, saddle and stem, which follow from the
        others, are added.
        """
        flat: dict[str, float | str] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                part = field.name.removesuffix("colour")
                flat |= zip((part + "red", part + "green", part + "blue"), value, strict=True)
            else:
                flat[field.name] = value
        joints = find_joints(self)
        return flat | {
            "frame_hue": self.frame_hue,
            "bottom_bracket_height": self.ground_y - joints.crank_axle[1],
            "saddle_height": self.ground_y - joints.saddle[1],
            "bar_height": self.ground_y - joints.stem[1],
        }


class Joints(NamedTuple):
    """Where the parts of a bicycle facing right meet, as (x, y)."""

    rear: Point  # wheel axle
    front: Point  # wheel axle
    crank_axle: Point
    seat_top: Point  # upper end of the seat tube
    saddle: Point
    steering: Point  # foot of the steering axis, abreast of the front axle
    crown: Point  # lower end of the head tube, top of the fork
    head_top: Point
    stem: Point  # top of the stem, on the steering axis


def find_joints(b: Bicycle) -> Joints:
    """Return the points that a bicycle's measures put its parts at."""
    axle_y = b.ground_y - b.wheel_radius
    rear, front = (b.rear_axle_x, axle_y), (b.rear_axle_x + b.wheelbase, axle_y)
    along = math.sqrt((b.wheel_radius + b.chain_stay_gap) ** 2 - b.bottom_bracket_drop**2)
    crank_axle = (b.rear_axle_x + along, axle_y + b.bottom_bracket_drop)
    seat_top = at(crank_axle, b.seat_angle, b.seat_tube)
    saddle = at(seat_top, b.seat_angle, b.seat_post)
    steering = at(front, b.head_angle - 90, b.fork_rake)
    clearance = 0.040 if b.kind == "mountain" else 0.026
    crown = at(steering, b.head_angle, b.wheel_radius + clearance)
    head_top = at(crown, b.head_angle, b.head_tube)
    stem = at(head_top, b.head_angle, b.bar_rise)
    return Joints(rear, front, crank_axle, seat_top, saddle, steering, crown, head_top, stem)


def sample_bicycle(seed: int, index: int, *, turned: bool = False) -> Bicycle:
    """Return bicycle number `index` of the endless set `seed`; it depends on these two only.

    It faces right; with `turned` about half of them face left.

    Raises:
        ValueError: if either number is negative.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    kind = _pick(rng, {"road": 0.36, "mountain": 0.32, "step-through": 0.32})
    paint = _pick(rng, {"coloured": 0.76, "black": 0.08, "white": 0.08, "silver": 0.08})
    extra = _pick(rng, _EXTRA_SHARES[kind])
    column = KINDS.index(kind)
    measures = {name: float(rng.uniform(*kinds[column])) for name, kinds in _RANGES.items()}
    # The outside length is what must fit, so the wheelbase follows from it and the wheels.
    margin = 0.036 if extra == "mudguards" else 0.026
    length = float(rng.uniform(0.972, 1.0)) * (1 - 2 * margin)
    slack = 1 - 2 * margin - length
    radius = measures["wheel_radius"]
    bicycle = Bicycle(
        kind=kind,
        facing="right",
        paint=paint,
        extra=extra,
        frame_colour=_paint_colour(rng, paint),
        saddle_colour=_leather_colour(rng),
        tyre_colour=_tyre_colour(rng, kind),
        rim_shade=float(rng.uniform(0.62, 0.82) if rng.random() < 0.7 else rng.uniform(0.36, 0.44)),
        rear_axle_x=margin + slack * float(rng.random()) + radius,
        ground_y=float(rng.uniform(0.81, 0.85)),
        wheelbase=length - 2 * radius,
        crank_angle=float(rng.uniform(0, 360)),
        **measures,
    )
    # Drawn last, so that all else is the same.
    return replace(bicycle, facing="left") if turned and rng.random() < 0.5 else bicycle


def _pick(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """Return one of the names, drawn by their shares (which sum to 1)."""
    names = list(shares)
    return names[int(rng.choice(len(names), p=list(shares.values())))]


def _paint_colour(rng: np.random.Generator, paint: str) -> Colour:
    hue, first, second = (float(value) for value in rng.random(3))
    if paint == "coloured":
        # Full-strength yellows, greens and cyans glare on white, so they are toned down.
        value = (0.66 + 0.28 * second) * (0.84 if 0.14 < hue < 0.53 else 1.0)
        return colorsys.hsv_to_rgb(hue, 0.66 + 0.26 * first, value)
    value = {"black": 0.12, "white": 0.82, "silver": 0.56}[paint] + 0.06 * first
    return colorsys.hsv_to_rgb(hue, 0.05 * second, value)


def _leather_colour(rng: np.random.Generator) -> Colour:
    tone, light = _pick(rng, {"black": 0.5, "brown": 0.35, "cream": 0.15}), float(rng.random())
    if tone == "black":
        return gray(0.10 + 0.08 * light)
    if tone == "brown":
        return colorsys.hsv_to_rgb(0.065, 0.62, 0.38 + 0.20 * light)
    return colorsys.hsv_to_rgb(0.11, 0.26, 0.78 + 0.10 * light)


def _tyre_colour(rng: np.random.Generator, kind: str) -> Colour:
    light, pale = (float(value) for value in rng.random(2))
    if kind != "mountain" and pale < 0.08:
        return colorsys.hsv_to_rgb(0.11, 0.28, 0.74 + 0.10 * light)
    if kind != "mountain" and pale < 0.18:
        return colorsys.hsv_to_rgb(0.07, 0.50, 0.36 + 0.14 * light)
    return gray(0.08 + 0.14 * light)


def gray(shade: float) -> Colour:
    """A gray, 0 black to 1 white."""
    return shade, shade, shade


def at(start: Point, angle: float, distance: float) -> Point:
    """Return the point at a distance up and back from `start`, `angle` above the horizontal."""
    turn = math.radians(angle)
    return start[0] - distance * math.cos(turn), start[1] - distance * math.sin(turn)
