"""Which pictures are least like the others, and which kinds of pictures a set is mixed of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from morelike.data.descriptors import CELLS, COLUMNS, DIRECTIONS, blocks, describe

NEIGHBOUR = 5
"""A picture is far from the others if it is far from the fifth nearest, so that a few like it,
such as copies, do not hide it (Ramaswamy, Rastogi & Shim 2000)."""
COMPONENTS = 32
WHITENED = 0.5
"""Power of the standard deviation by which components are divided: 1 would make noise as
important as what pictures differ in most, 0 would let that drown the rest."""
MOST_REFERENCES = 4096
MOST_MODES = 5
LEAST_PER_MODE = 20
ROUNDS = 50


class Mode(NamedTuple):
    """Pictures that are alike."""

    size: int
    medoid: int
    """The number of the picture nearest to their mean."""


class Outliers(NamedTuple):
    """How little N pictures are like the others of their set."""

    score: np.ndarray
    """(N,) float32, 0 to 1: the share of the pictures that are more like the others."""
    distance: np.ndarray
    """(N,) float32: from the fifth nearest picture, in units of this set's own spread."""
    mode: np.ndarray
    """(N,) int64: a place in `modes`."""
    modes: tuple[Mode, ...]
    """The kinds found, the largest first. They are looked for, so they do not prove that the set
    is mixed."""


def outliers(thumbs: np.ndarray, seed: int = 0) -> Outliers:
    """Rank pictures by how far they are from their neighbours, and sort them into modes.

    Edges and colours by place (`describe`) are brought to their principal components. Of large
    sets, a random part serves as neighbours, means and axes for all.

    Args:
        thumbs: (N, 32, 32, 3) uint8.
        seed: chooses that part.
    """
    count = len(thumbs)
    if not count:
        none = np.empty(0, np.float32)
        return Outliers(none, none, np.empty(0, np.int64), ())
    few = np.sort(np.random.default_rng(seed).permutation(count)[:MOST_REFERENCES])
    axes = _axes(np.concatenate([_flat(thumbs[few[block]]) for block in blocks(len(few))]))
    points = np.concatenate([axes.points(_flat(thumbs[block])) for block in blocks(count)])
    distance = _to_neighbours(points, few)
    order = np.argsort(distance, kind="stable")
    score = np.empty(count, np.float32)
    score[order] = np.arange(count) / max(1, count - 1)
    return Outliers(score, distance, *_modes(points, few))


class _Axes(NamedTuple):
    """Principal components: how descriptions become points."""

    mean: np.ndarray
    directions: np.ndarray

    def points(self, descriptions: np.ndarray) -> np.ndarray:
        """(n, D) to (n, COMPONENTS) float64."""
        return (descriptions - self.mean) @ self.directions


def _axes(descriptions: np.ndarray) -> _Axes:
    mean = descriptions.mean(axis=0)
    centred = (descriptions - mean).reshape(-1, CELLS * CELLS, COLUMNS)
    # Edges and colours vary in different units: let either have the same variance in all.
    variance = np.square(centred).sum(axis=1).mean(axis=0)
    weights = np.zeros(COLUMNS)
    for part in (slice(None, DIRECTIONS), slice(DIRECTIONS, None)):
        if (total := float(variance[part].sum())) > 1e-9:
            weights[part] = 1 / np.sqrt(total)
    every = np.tile(weights, CELLS * CELLS)
    scaled = (descriptions - mean) * every
    variances, directions = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    strongest = np.argsort(-variances, kind="stable")[:COMPONENTS]
    strength = np.maximum(variances[strongest], 1e-6) ** (WHITENED / 2)
    return _Axes(mean, every[:, None] * directions[:, strongest] / strength)


def _flat(thumbs: np.ndarray) -> np.ndarray:
    return describe(thumbs).reshape(len(thumbs), -1).astype(np.float64)


def _to_neighbours(points: np.ndarray, few: np.ndarray) -> np.ndarray:
    """The distance of each point from the fifth nearest of those in `few`, itself left out."""
    rank = min(NEIGHBOUR, len(few) - 1)
    distance = np.zeros(len(points), np.float32)
    if not rank:
        return distance
    itself = np.full(len(points), -1)
    itself[few] = np.arange(len(few))
    for block in blocks(len(points)):
        squares = _squares(points[block], points[few])
        mine = np.flatnonzero(itself[block] >= 0)
        squares[mine, itself[block][mine]] = np.inf
        # Rounded, so that the order in which a machine adds up does not show.
        distance[block] = np.sqrt(np.partition(squares, rank - 1)[:, rank - 1]).round(5)
    return distance


def _modes(points: np.ndarray, few: np.ndarray) -> tuple[np.ndarray, tuple[Mode, ...]]:
    """k-means (Lloyd 1982) on the points in `few`, then the nearest mean for all."""
    known = points[few]
    means = _seeds(known, min(MOST_MODES, 1 + len(few) // LEAST_PER_MODE))
    nearest = np.full(len(known), -1)
    for _ in range(ROUNDS):
        before, nearest = nearest, _squares(known, means).argmin(axis=1)
        if np.array_equal(before, nearest):
            break
        for number in range(len(means)):
            if (members := nearest == number).any():
                means[number] = known[members].mean(axis=0)
    mode, away = np.empty(len(points), np.int64), np.empty(len(points))
    for block in blocks(len(points)):
        squares = _squares(points[block], means)
        mode[block], away[block] = squares.argmin(axis=1), squares.min(axis=1).round(9)
    sizes = np.bincount(mode, minlength=len(means))
    found = [number for number in np.argsort(-sizes, kind="stable") if sizes[number]]
    modes = tuple(
        Mode(int(sizes[number]), int(np.where(mode == number, away, np.inf).argmin()))
        for number in found
    )
    place = np.zeros(len(means), np.int64)
    place[found] = np.arange(len(found))
    return place[mode], modes


def _seeds(points: np.ndarray, count: int) -> np.ndarray:
    """Means to begin with, without chance: the pictures in order along the main axis, in parts."""
    order = np.argsort(points[:, 0].round(9), kind="stable")
    return np.stack([points[part].mean(axis=0) for part in np.array_split(order, count)])


def _squares(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, D), (m, D) to (n, m): the squared distances."""
    lengths = np.square(points).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
    return np.maximum(lengths - 2 * points @ others.T, 0)
