"""Euclidean distances between rows of large sets, and which are nearest; exact, in bounded memory.

Matrix products of float32 take half the time of float64's, and their error has a bound: in any
order of summation |fl(x.y) - x.y| <= F u |x||y| to first order, u = 2^-24 (Higham 2002, "Accuracy
and Stability of Numerical Algorithms", section 3.1). So a search looks at a lower bound of each
distance in float32, keeps a few candidates more than are asked for, and measures those again in
float64. If the last that is asked for is no farther than the bound of all that were left out, the
answer is that of float64; rows of which this cannot be said are searched again in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from morelike.metrics.resampling import checked

TILE = 1024
"""Rows and columns of a distance matrix that are in memory at a time: 8 MB in float64."""

ROUNDING = 1e-12
"""Squared distances up to this share of the two squared norms (about the mean) are 0. They come
from |x|^2 + |y|^2 - 2 x.y, whose rounding makes equal rows differ by some 1e-15 of that; and rows
that differ by a millionth are float32's own noise."""

SPARE = 4
"""Candidates that are kept beyond those asked for."""

GATHERED = 1 << 18
"""Numbers of candidates' rows that are in memory at a time: 2 MB in float64."""


def distance_tiles(a: Tensor, b: Tensor | None = None) -> Iterator[tuple[slice, slice, Tensor]]:
    """Squared Euclidean distances of a (N, F) to b (M, F), tile by tile, in float64.

    Yields:
        rows, columns, and squared distances between them. Without b those within a, the upper
        triangle of tiles only, and infinity on the diagonal: no row is its own neighbour.
    """
    x, y, unit = located(a, b)
    for here, there in _places(len(x.norms), None if b is None else len(y.norms)):
        squared = squares(x, y, here, there).mul_(unit)
        if b is None and here == there:
            squared.fill_diagonal_(torch.inf)
        yield here, there, squared


class Points(NamedTuple):
    """A set about a centre, in a unit in which no row is longer than 1."""

    exact: Tensor
    """(N, F) float64."""
    rounded: Tensor
    """(N, F) float32."""
    norms: Tensor
    """(N,) float64: squared lengths."""


def located(a: Tensor, b: Tensor | None = None) -> tuple[Points, Points, float]:
    """Sets a (N, F) and b (M, F), float64, about b's mean, and the square of their unit.

    Far from 0, subtraction would cancel digits. Without b both are a. The unit is a power of two,
    so that nothing is rounded, and float32 can hold the squares whatever the features' scale.
    """
    sets = (a,) if b is None else (a, b)
    centre = sets[-1].mean(dim=0)
    moved = [x - centre for x in sets]
    longest = max(torch.linalg.vector_norm(x, dim=1).max().item() for x in moved)
    unit = 2.0 ** math.frexp(longest)[1]
    points = []
    for x in moved:
        x.div_(unit)
        points.append(Points(x, x.float(), torch.linalg.vecdot(x, x)))
    return points[0], points[-1], unit**2


def squares(x: Points, y: Points, here: slice | Tensor, there: slice) -> Tensor:
    """Squared distances of some rows of x to some of y, in float64."""
    sums = x.norms[here, None] + y.norms[there]
    squared = torch.addmm(sums, x.exact[here], y.exact[there].T, alpha=-2)
    return squared.masked_fill_(squared <= sums.mul_(ROUNDING), 0)


def squares_of_pairs(x: Points, y: Points, rows: Tensor, which: Tensor) -> Tensor:
    """Squared distances, in float64, of rows (n,) of x to each of the rows `which` (n, c) of y."""
    found = x.norms.new_empty(which.shape)
    step = max(GATHERED // max(which.shape[1] * x.exact.shape[1], 1), 1)
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        apart = y.exact[which[some].flatten()].unflatten(0, which[some].shape)
        apart -= x.exact[rows[some]][:, None]
        found[some] = torch.linalg.vecdot(apart, apart)
    sums = x.norms[rows][:, None] + y.norms[which]
    return found.masked_fill_(found <= ROUNDING * sums, 0)


def slack(size: int) -> float:
    """By what share of the two squared norms a squared distance in float32 may be wrong.

    2F + 16 roundings: of 2 x.y, whether the norms are added before or after, and a few single ones.
    """
    return (2 * size + 16) * 2.0**-24


def lower_bounds(x: Points, y: Points | None = None) -> Iterator[tuple[slice, slice, Tensor]]:
    """Bounds from below, in float32, of squared distances; tiles as those of `distance_tiles`.

    No bound is below the distance by more than 2 `slack` of the two squared norms.
    """
    other = x if y is None else y
    share = 1 - slack(x.exact.shape[1])
    norms, others = ((points.norms * share).float() for points in (x, other))
    for here, there in _places(len(norms), None if y is None else len(others)):
        sums = norms[here, None] + others[there]
        bound = torch.addmm(sums, x.rounded[here], other.rounded[there].T, alpha=-2)
        if y is None and here == there:
            bound.fill_diagonal_(torch.inf)
        yield here, there, bound


def _places(rows: int, columns: int | None) -> Iterator[tuple[slice, slice]]:
    """Tiles of a matrix; without columns, those of a square one that are not below its diagonal."""
    for top in range(0, rows, TILE):
        for left in range(top if columns is None else 0, columns or rows, TILE):
            yield slice(top, top + TILE), slice(left, left + TILE)


class Search:
    """For each row the columns of the least lower bounds so far."""

    def __init__(self, rows: int, k: int) -> None:
        self._k = k
        self._bounds = torch.full((rows, k + SPARE), torch.inf)
        self._which = torch.zeros((rows, k + SPARE), dtype=torch.long)

    def add(self, here: slice, first: int, bounds: Tensor) -> None:
        """Look at the columns from `first` on: (rows, columns) float32."""
        kept = self._bounds.shape[1]
        values, index = bounds.topk(min(kept, bounds.shape[1]), dim=1, largest=False)
        values = torch.cat([self._bounds[here], values], dim=1)
        index = torch.cat([self._which[here], index + first], dim=1)
        self._bounds[here], chosen = values.topk(kept, dim=1, largest=False)
        self._which[here] = index.gather(1, chosen)

    def settled(
        self,
        of_pairs: Callable[[Tensor, Tensor], Tensor],
        of_rows: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """The k least values of each row, in float64, and their columns, both (rows, k).

        Args:
            of_pairs: the values of rows (n,) at columns (n, c).
            of_rows: all values of rows (n,), for those that the bounds leave in doubt.
        """
        everything = torch.arange(len(self._bounds))
        values = of_pairs(everything, self._which).masked_fill_(self._bounds.isinf(), torch.inf)
        values, order = values.topk(self._k, dim=1, largest=False)
        which = self._which.gather(1, order)
        doubtful = (values[:, -1] > self._bounds.amax(dim=1)).nonzero()[:, 0]
        for rows in doubtful.split(TILE):
            values[rows], which[rows] = of_rows(rows).topk(self._k, dim=1, largest=False)
        return values, which


class Nearest(NamedTuple):
    """Nearest neighbours of N rows, the nearest first."""

    distance: Tensor
    """(N, k), Euclidean."""
    which: Tensor
    """(N, k), which rows they are."""


def nearest(a: Tensor, b: Tensor, k: int = 1) -> Nearest:
    """The k rows of b (M, F) nearest to each row of a (N, F), exact, in bounded memory.

    Raises:
        ValueError: if F differs, b has fewer than k rows, or features are not finite.
    """
    a, b = checked(a, b)
    _enough(k, len(b))
    x, y, unit = located(a, b)
    search = Search(len(a), k)
    for here, there, bounds in lower_bounds(x, y):
        search.add(here, there.start, bounds)
    squared, which = search.settled(
        lambda rows, which: squares_of_pairs(x, y, rows, which),
        lambda rows: squares(x, y, rows, slice(None)),
    )
    return Nearest(squared.mul_(unit).sqrt_(), which)


def nearest_others(a: Tensor, k: int = 1) -> Nearest:
    """The k other rows of a (N, F) nearest to each row of a. Another row may be equal to it.

    Raises:
        ValueError: if there are not k others, or features are not finite.
    """
    (a,) = checked(a)
    _enough(k, len(a) - 1)
    x, _, unit = located(a)
    search = Search(len(a), k)
    for here, there, bounds in lower_bounds(x):
        search.add(here, there.start, bounds)
        if here != there:
            search.add(there, here.start, bounds.T)

    def to_others(rows: Tensor) -> Tensor:
        squared = squares(x, x, rows, slice(None))
        squared[torch.arange(len(rows)), rows] = torch.inf
        return squared

    squared, which = search.settled(
        lambda rows, which: squares_of_pairs(x, x, rows, which), to_others
    )
    return Nearest(squared.mul_(unit).sqrt_(), which)


def _enough(k: int, rows: int) -> None:
    if not 1 <= k <= rows:
        raise ValueError(f"{k} nearest neighbours were asked for, among {rows}")
