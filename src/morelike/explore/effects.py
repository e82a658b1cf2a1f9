"""What a move does to pictures, as figures: how much, to what, where, and whether it does so
everywhere.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from morelike.explore.opened import Opened, Progress, quiet
from morelike.features import Extractor
from morelike.space import Points, joined

FURTHEST = 8
"""A shift is looked for up to one part in so many of the picture's side."""
MOSTLY = 0.5
"""Share of a change from which on it is called by that name."""


class Effect(NamedTuple):
    """What one move does, over all base points that it was made from."""

    size: float
    """How far features move, in units of how far two samples are apart: 1 is another picture."""
    pixels: float
    """Mean change of a value, as a share of its range."""
    colour: float
    """Share of the squared change that is hue and not light, 0 to 1; 0 for gray pictures."""
    position: float
    """Share of the squared change of light that the best shift undoes, 0 to 1."""
    consistency: float
    """Whether it does the same thing everywhere: mean cosine between the changes of features from
    two base points, 1 if always the same, 0 if they have nothing in common."""
    where: np.ndarray
    """(H, W), mean change at each place, as a share of the range."""

    @property
    def mostly(self) -> str:
        """One word for it."""
        if self.position > MOSTLY:
            return "position"
        return "colour" if self.colour > MOSTLY else "form"

    def facts(self) -> dict[str, Any]:
        """All but the map, ready for JSON, and the map's centre."""
        figures = {
            name: round(float(getattr(self, name)), 4)
            for name in ("size", "pixels", "colour", "position", "consistency")
        }
        x, y = centre(self.where)
        return {**figures, "mostly": self.mostly, "at": [round(x, 3), round(y, 3)]}


class Ruler(NamedTuple):
    """What effects are measured with."""

    look: Extractor
    unit: float
    """Mean distance between the features of two samples."""


def ruler(opened: Opened, look: Extractor, count: int = 128) -> Ruler:
    """Measure how far samples of the first seeds are apart; never 0."""
    import torch

    features = look(opened.show(opened.points(range(count))))
    return Ruler(look, max(float(torch.pdist(features).mean()), 1e-6))


def effects(
    opened: Opened, before: Points, after: Points, base: int, by: Ruler, progress: Progress = quiet
) -> list[Effect]:
    """The effects of many moves, each from the same base points.

    Args:
        opened: the generator.
        before: (M * base, D), where each move begins, move by move.
        after: where it ends.
        base: B, points that each is made from.
        by: the ruler.
        progress: told how many pictures are made.
    """
    images = opened.show(joined([before, after]), progress)
    features = by.look(images)
    half = len(images) // 2
    found = []
    for start in range(0, half, base):
        one, other = slice(start, start + base), slice(half + start, half + start + base)
        found.append(effect(images[one], images[other], features[one], features[other], by.unit))
    return found


def effect(
    before: np.ndarray, after: np.ndarray, seen: Tensor, seen_after: Tensor, unit: float
) -> Effect:
    """The effect of one move.

    Args:
        before: (B, H, W, C) uint8.
        after: the same pictures moved.
        seen: (B, F), features of `before`.
        seen_after: those of `after`.
        unit: how far samples are apart.
    """
    first, last = (x[..., :3].astype(np.float64) / 255 for x in (before, after))
    change = last - first
    light, squares = change.mean(-1), float(np.square(change).sum())
    gray = float(np.square(light).sum()) * change.shape[-1]
    moved = (seen_after - seen).double()
    return Effect(
        size=float(moved.norm(dim=1).mean()) / unit,
        pixels=float(np.abs(change).mean()),
        colour=1 - gray / squares if squares > 0 else 0.0,
        position=undone(first.mean(-1), last.mean(-1)),
        consistency=agreement(moved),
        where=np.abs(change).mean((0, -1)),
    )


def agreement(changes: Tensor) -> float:
    """Mean cosine between two different rows of (B, F); 1 for a single row, 0 if nothing moves."""
    count = len(changes)
    if count < 2:
        return 1.0
    lengths = changes.norm(dim=1, keepdim=True)
    units = changes / lengths.clamp_min(1e-12)
    # |sum of units|^2 holds each pair twice, and each with itself once.
    alone = float((units.norm(dim=1).square()).sum())
    return (float(units.sum(0).square().sum()) - alone) / (count * (count - 1))


def undone(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the squared change between (B, H, W) and its like that the best shift of each
    picture, by whole pixels and up to an eighth of the side, undoes.
    """
    change = np.square(after - before).sum((1, 2))
    if not change.sum() > 0:
        return 0.0
    # Shifts go round the edge, where most pictures have their background.
    level = before.mean((1, 2), keepdims=True)
    first, last = before - level, after - level
    both = np.fft.rfft2(first).conj() * np.fft.rfft2(last)
    fits = np.fft.irfft2(both, s=before.shape[1:])
    down, right = (np.fft.fftfreq(side, 1 / side) for side in before.shape[1:])
    reach = [side // FURTHEST for side in before.shape[1:]]
    near = (np.abs(down)[:, None] <= reach[0]) & (np.abs(right)[None] <= reach[1])
    squares = np.square(first).sum((1, 2)) + np.square(last).sum((1, 2))
    left = squares - 2 * np.where(near, fits, -np.inf).max((1, 2))
    return float(np.clip(1 - left.clip(0).sum() / change.sum(), 0, 1))


def centre(where: np.ndarray) -> tuple[float, float]:
    """The centre (x, y) of a map (H, W), as shares of its sides."""
    total = where.sum()
    if not total > 0:
        return 0.5, 0.5
    height, width = where.shape
    x = float((where.sum(0) * (np.arange(width) + 0.5)).sum() / total / width)
    y = float((where.sum(1) * (np.arange(height) + 0.5)).sum() / total / height)
    return x, y
