"""A walk through samples: what lies between them?"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from morelike.errors import UserError, nearest
from morelike.explore.effects import Ruler, ruler
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Opened, Progress, opened, quiet
from morelike.explore.paths import Parts, between, evenly, parts, unevenness
from morelike.pictures import to_rgb
from morelike.seeds import check_seeds
from morelike.sheet import Row, sheet
from morelike.space import Points, space_of

MODES = ("slerp", "lerp", "w")
FINER = 4
"""The way is measured at so many places for each picture that is shown."""
SHOWN = 9
"""Pictures in a row of the sheet, both ends with them."""
MOST_FRAMES = 1200
"""Pictures of a film: two minutes of it, and at 256 pixels 240 MB."""
RATE = 12
"""Pictures of a film per second."""
SIDE = 256
"""Pictures of a film are about this large, or larger if the generator's are."""
NOTE = (
    "From left to right from one seed's sample to the next one's. length: of the way, 1 is as far "
    "as from one sample to another; straight: how far the two ends are apart. largest step: of all "
    "in the film, the largest over the median one; 1 if the pictures change at an even rate."
)


class Leg(NamedTuple):
    """The way from one seed's sample to the next one's."""

    seeds: tuple[int, int]
    length: float
    """Sum of the moves of features on a fine walk, in units of how far two samples are apart."""
    straight: float
    """The move from one end to the other, in the same unit."""
    before: float
    """How uneven the film's steps would be at evenly spaced places: the largest over the median."""
    after: float
    """How uneven they are."""
    images: np.ndarray
    """(frames + 1, H, W, C) uint8, both ends with them."""

    def facts(self) -> dict[str, Any]:
        """All but the pictures, ready for JSON."""
        return {
            "seeds": list(self.seeds),
            "length": round(self.length, 4),
            "straight": round(self.straight, 4),
            "unevenness_before": _finite(self.before),
            "unevenness": _finite(self.after),
        }


def interpolate(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    seeds: Sequence[int],
    loop: bool = False,
    mode: str | None = None,
    frames: int = 24,
    even: bool = True,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Walk from sample to sample, and measure how far it is and how evenly the pictures change.

    Writes `interpolate.png`, a row for each leg; `interpolate.gif` and `.mp4`, the walk as a film;
    `interpolate.json`, all figures. The film's picture at each seed is that seed's sample.

    Args:
        path: a run folder or a shared generator.
        out: where results go; `explore/interpolate` in `path`, if not given.
        seeds: two or more, in the order in which they are visited.
        loop: walk back to the first one in the end.
        mode: slerp, round the sphere of latents; lerp, straight through it; or w, straight through
            the space W (family style). If not given, w where there is one, else slerp.
        frames: pictures from one seed to the next.
        even: place them so that features change at an even rate within each leg.
        checkpoint: best, latest or a number of images seen.
        features: the extractor, see `morelike.features`.
        weights: its weights, if it needs any.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (pictures made, pictures in all).

    Raises:
        UserError: for fewer than two seeds, too many pictures, a mode that there is not or that the
            generator has not, or no usable generator.
    """
    stops = check_seeds(seeds)
    if len(stops) < 2:
        raise UserError("a walk needs at least two seeds, as in --seeds 3,9.")
    if loop:
        stops.append(stops[0])
    legs = list(pairwise(stops))
    if not 1 <= frames * len(legs) <= MOST_FRAMES:
        raise UserError(
            f"{frames} frames for each of {len(legs)} legs is out of range; a film has 1 to "
            f"{MOST_FRAMES:,}, so use --frames 1 to {max(1, MOST_FRAMES // len(legs))}."
        )
    model, mode = _opened(path, checkpoint, device, mode)
    by = ruler(model, model.extractor(features, weights))
    at = model.points(stops)
    images = model.show(at)
    ends = [(at.rows(slice(i, i + 1)), images[i : i + 1]) for i in range(len(stops))]
    has = parts(model.generator.config, model.space)
    made: list[Leg] = []
    for number, pair in enumerate(legs):
        walk = _Walk(model, by, has, mode, ends[number], ends[number + 1])
        made.append(_leg(walk, pair, frames, even))
        progress((number + 1) * frames, len(legs) * frames)
    facts = {
        **model.about(),
        "mode": mode,
        "seeds": list(check_seeds(seeds)),
        "loop": loop,
        "frames": frames,
        "even": even,
        "extractor": by.look.name,
        "unit": "mean distance of two samples",
        "length": round(sum(leg.length for leg in made), 4),
        "legs": [leg.facts() for leg in made],
    }
    film = _film(made)
    return write(
        folder_for(path, "interpolate", out),
        "interpolate",
        facts,
        {"interpolate": _sheet(model, made, mode)},
        {"interpolate": film},
        lines=_lines(made, even),
        seconds=len(film) / RATE,
    )


def _opened(
    path: str | os.PathLike[str], checkpoint: str | int, device: str, mode: str | None
) -> tuple[Opened, str]:
    """The generator in the space of the mode, and the mode that is meant."""
    if mode is not None and mode not in MODES:
        raise UserError(f"there is no mode '{mode}'; {nearest(mode, MODES)}.")
    model = opened(path, checkpoint, device)
    styled = model.space.name == "w"
    mode = mode or ("w" if styled else "slerp")
    if mode == "w" and not styled:
        raise UserError(
            "the generator has no space W, which only the family style has; use --mode slerp or "
            "lerp."
        )
    if mode != "w":
        model = dataclasses.replace(model, space=space_of(model.generator.network, "z"))
    return model, mode


class _Walk(NamedTuple):
    model: Opened
    by: Ruler
    has: Parts
    mode: str
    start: tuple[Points, np.ndarray]
    """A point and its picture (1, H, W, C)."""
    end: tuple[Points, np.ndarray]

    def shown(self, places: np.ndarray) -> np.ndarray:
        """The pictures at rising places from 0 to 1; both ends are known already."""
        inner = places[1:-1].tolist()
        if not inner:
            return np.concatenate([self.start[1], self.end[1]])
        rows = [0] * len(inner)
        ways = self.start[0].rows(rows), self.end[0].rows(rows)
        middle = self.model.show(between(*ways, inner, self.has, self.mode))
        return np.concatenate([self.start[1], middle, self.end[1]])


def _leg(walk: _Walk, seeds: tuple[int, int], frames: int, even: bool) -> Leg:
    fine = np.linspace(0, 1, FINER * frames + 1)
    images = walk.shown(fine)
    seen = walk.by.look(images)
    moves = _steps(seen)
    straight = float((seen[-1] - seen[0]).double().norm())
    before = after = unevenness(_steps(seen[::FINER]))
    if even:
        images = walk.shown(evenly(moves, frames))
        after = unevenness(_steps(walk.by.look(images)))
    else:
        images = images[::FINER]
    unit = walk.by.unit
    return Leg(seeds, float(moves.sum()) / unit, straight / unit, before, after, images)


def _steps(seen: Tensor) -> np.ndarray:
    """How far each of (N, F) is from the one before it: (N - 1,)."""
    return seen.double().diff(dim=0).norm(dim=1).numpy()


def _film(legs: Sequence[Leg]) -> list[np.ndarray]:
    """All pictures, one after the other, each seed's once for each visit: (H, W, 3) uint8."""
    images = np.concatenate([*(leg.images[:-1] for leg in legs), legs[-1].images[-1:]])
    times = max(1, round(SIDE / max(images.shape[1:3])))
    return [one.repeat(times, 0).repeat(times, 1) for one in to_rgb(images)]


def _sheet(model: Opened, legs: Sequence[Leg], mode: str) -> np.ndarray:
    rows = []
    for leg in legs:
        last = len(leg.images) - 1
        places = np.unique(np.linspace(0, last, SHOWN).round().astype(int))
        words = [
            f"seed {leg.seeds[0]} to seed {leg.seeds[1]}",
            f"length {leg.length:.2f}, straight {leg.straight:.2f}",
            f"largest step {_times(leg.after)}",
        ]
        if leg.after != leg.before:
            words.append(f"if not evened out {_times(leg.before)}")
        rows.append(Row(words, list(leg.images[places])))
    ways = {"slerp": "round the sphere of z", "lerp": "straight through z"}
    way = ways.get(mode, "straight through W")
    return sheet(f"{model.generator.name}: a walk {way}", rows, NOTE)


def _lines(legs: Sequence[Leg], even: bool) -> list[str]:
    lines = [
        f"{leg.seeds[0]} to {leg.seeds[1]}: length {leg.length:.2f}, straight {leg.straight:.2f}, "
        f"largest step over the median {_times(leg.after)}"
        + (f", if not evened out {_times(leg.before)}" if even else "")
        for leg in legs
    ]
    return [*lines, "length: 1 is as far as from one sample to another"]


def _times(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "infinite"


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
