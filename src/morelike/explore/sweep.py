"""One latent dimension at a time, all others fixed: what does each do?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from morelike.config import Config
from morelike.errors import UserError
from morelike.explore.effects import Effect, effects, ruler
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Opened, Progress, opened, quiet
from morelike.sheet import Row, heat, sheet
from morelike.space import Points, joined

SHOWN = 10
"""Dimensions on the sheet."""
MOST_STEPS, MOST_BASE = 64, 256
NOTE = (
    "From left to right one dimension moves, the others stay; at the end, where it changes "
    "something. size: how far features move, 1 is as far as from one sample to another. "
    "consistency: 1 if it does the same to every picture, 0 if to each something else."
)


class Dimension(NamedTuple):
    """What is moved: one latent value, or one choice of InfoGAN's code."""

    name: str
    columns: tuple[int, ...]
    """Of the latents: one, or as many as the choice has values."""
    stops: np.ndarray
    """(S, columns), what they become."""


def sweep(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    dims: Sequence[int] | None = None,
    low: float = -1.0,
    high: float = 1.0,
    steps: int = 9,
    base: int = 8,
    seed: int = 0,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Move each latent dimension alone, measure what it does, and show those that do most.

    Writes `sweep.png`, the ten dimensions of the largest effect for one seed; `effects.png`, the
    effects of all, sorted; `sweep.json`, all figures.

    Args:
        path: a run folder or a shared generator.
        out: where results go; `explore/sweep` in `path`, if not given.
        dims: which dimensions, from 0; all, if not given.
        low: value at the first step; a latent value is drawn from N(0, 1).
        high: value at the last step.
        steps: pictures in a row, 2 to 64.
        base: seeds from which effects are measured, 1 to 256.
        seed: the first of them, and the one that is shown.
        checkpoint: best, latest or a number of images seen.
        features: the extractor, see `morelike.features`.
        weights: its weights, if it needs any.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (pictures made, pictures in all).

    Raises:
        UserError: for a dimension, a range or a count out of bounds, or no usable generator.
    """
    if not low < high:
        raise UserError(f"the range {low:g}:{high:g} is empty; give a lower and a higher value.")
    if not 2 <= steps <= MOST_STEPS or not 1 <= base <= MOST_BASE:
        raise UserError(
            f"--steps must be 2 to {MOST_STEPS} and --base 1 to {MOST_BASE}, not {steps} and "
            f"{base}."
        )
    model = opened(path, checkpoint, device, space="z")
    by = ruler(model, model.extractor(features, weights))
    from_points = model.points(range(seed, seed + base))
    known = dimensions(model.generator.config, from_points.values.shape[1], low, high, steps)
    moved = _asked(known, dims)
    before = joined([at_stop(from_points, one, 0) for one in moved])
    after = joined([at_stop(from_points, one, -1) for one in moved])
    measured = effects(model, before, after, base, by, progress)
    order = sorted(range(len(moved)), key=lambda i: -measured[i].size)
    listed = [{"name": moved[i].name, **measured[i].facts()} for i in order]
    facts = {
        **model.about(),
        "extractor": by.look.name,
        "range": [low, high],
        "base_seeds": [seed, seed + base - 1],
        "dimensions": listed,
    }
    shown = [(moved[i], measured[i]) for i in order[:SHOWN]]
    sheets = {
        "sweep": _sheet(model, from_points.rows(slice(1)), shown, seed),
        "effects": bars(listed),
    }
    return write(folder_for(path, "sweep", out), "sweep", facts, sheets, lines=_lines(listed))


def dimensions(
    config: Config[Any, Any], count: int, low: float, high: float, steps: int
) -> list[Dimension]:
    """All dimensions of the latents: noise, then InfoGAN's choices, then its numbers."""
    along = np.linspace(low, high, steps)[:, None]
    # The regressor has none, and its conditions in their place.
    latent = getattr(config.generator, "latent", count)
    found = [Dimension(f"z{i}", (i,), along) for i in range(latent)]
    place = latent
    for number, values in enumerate(getattr(config.generator, "categorical", ())):
        columns = tuple(range(place, place + values))
        found.append(Dimension(f"choice{number}", columns, np.eye(values)))
        place += values
    for number, column in enumerate(range(place, count)):
        # They are drawn from [-1, 1] and not from N(0, 1).
        found.append(Dimension(f"number{number}", (column,), np.clip(along, -1, 1)))
    return found


def at_stop(points: Points, dimension: Dimension, stop: int) -> Points:
    """The points with one dimension at one of its stops."""
    values = points.values.clone()
    values[:, list(dimension.columns)] = torch.as_tensor(dimension.stops[stop]).to(values)
    return points.at(values)


def bars(listed: Sequence[dict[str, Any]]) -> np.ndarray:
    """The effects of all dimensions, sorted, as a plot: (H, W, 3) uint8."""
    from morelike.explore.plots import drawn, figure

    sizes = [one["size"] for one in listed]
    plot, (axis,) = figure(1)
    axis.bar(range(len(sizes)), sizes, width=1.0, color="#1f6f8b")
    axis.set_xlabel("latent dimensions, sorted")
    axis.set_ylabel("effect (1: another picture)")
    return drawn(plot)


def _asked(known: Sequence[Dimension], dims: Sequence[int] | None) -> list[Dimension]:
    if dims is None:
        return list(known)
    for number in dims:
        if not 0 <= number < len(known):
            raise UserError(
                f"there is no dimension {number}; the generator has 0 to {len(known) - 1}."
            )
    return [known[number] for number in dict.fromkeys(dims)]


def _sheet(
    model: Opened, point: Points, shown: Sequence[tuple[Dimension, Effect]], seed: int
) -> np.ndarray:
    rows = []
    most = max(float(found.where.max()) for _, found in shown)
    for dimension, found in shown:
        stops = range(len(dimension.stops))
        images = model.show(joined([at_stop(point, dimension, stop) for stop in stops]))
        words = [
            f"{dimension.name}: mostly {found.mostly}",
            f"size {found.size:.2f}, consistency {found.consistency:.2f}",
            f"colour {found.colour:.2f}, position {found.position:.2f}",
        ]
        rows.append(Row(words, [*images, heat(found.where, most)]))
    return sheet(f"{model.generator.name}: what single dimensions do, seed {seed}", rows, NOTE)


def _lines(listed: Sequence[dict[str, Any]]) -> list[str]:
    total = sum(one["size"] for one in listed)
    top = sum(one["size"] for one in listed[:SHOWN])
    lines = [
        f"{one['name']:<8} size {one['size']:.2f}  consistency {one['consistency']:.2f}  "
        f"mostly {one['mostly']}"
        for one in listed[:SHOWN]
    ]
    if len(listed) > SHOWN and total > 0:
        lines.append(f"these {SHOWN} of {len(listed)} do {top / total:.0%} of all that is done")
    return lines
