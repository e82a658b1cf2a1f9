"""Quality and variety apart, by balls around features that reach to the k-th nearest neighbour.

Each ball's centre is a row, its radius the distance to the k-th nearest other row of the same set;
the balls of a set together stand for its manifold.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.metrics.distances import (
    Points,
    Search,
    located,
    lower_bounds,
    nearest_others,
    slack,
    squares,
    squares_of_pairs,
)
from morelike.metrics.resampling import checked

SLACK = 1 + 1e-12
"""A row on a ball's surface is inside, and a ball as large as the median is trusted, whichever way
they were rounded."""


@dataclass(frozen=True)
class Manifold:
    """What each row has to do with the other set's balls, and the shares that follow."""

    k: int
    balls: Tensor
    """(M,) long: in how many real balls each generated row lies."""
    recalled: Tensor
    """(N,) bool: whether each real row lies in a generated ball."""
    covered: Tensor
    """(N,) bool: whether each real row's ball holds a generated row."""
    realism: Tensor
    """(M,) float64, Kynkaanniemi et al. 2019, eq. 3: max over real rows of radius / distance; 1
    and more is inside, infinity is a copy. Balls larger than the median are left out, as there."""
    rarity: Tensor
    """(M,) float64, Han et al. 2022, eq. 2: radius of the smallest real ball that holds the row, so
    large where real pictures are few; infinity where none holds it, for it is not rare but off."""

    @property
    def inside(self) -> Tensor:
        """(M,) bool: whether each generated row lies in a real ball."""
        return self.balls > 0

    @property
    def precision(self) -> float:
        """Share of generated rows inside real balls, Kynkaanniemi et al. 2019, eq. 2."""
        return self.inside.double().mean().item()

    @property
    def recall(self) -> float:
        """Share of real rows inside generated balls, Kynkaanniemi et al. 2019, eq. 2."""
        return self.recalled.double().mean().item()

    @property
    def density(self) -> float:
        """Mean number of real balls that hold a generated row, by k, Naeem et al. 2020, eq. 3.

        About 1 for equal distributions and not bounded by it.
        """
        return self.balls.double().mean().item() / self.k

    @property
    def coverage(self) -> float:
        """Share of real balls that hold a generated row, Naeem et al. 2020, eq. 4.

        For equal distributions 1 - (N-1)...(N-k) / (M+N-1)...(M+N-k), Naeem et al. 2020,
        lemma 2: about 1 - 2^-k where M = N, so 0.97 for k = 5.
        """
        return self.covered.double().mean().item()


def manifold(real: Tensor, fake: Tensor, k: int = 5) -> Manifold:
    """Precision, recall, density, coverage, realism and rarity, all from the same distances.

    A ball's radius is an outlier's own loneliness: a few lonely real pictures have balls so large
    that nearly anything lies in one. So precision reads 0.99 on smears, and recall is as easily
    had by scattered samples. Density and coverage suffer less, and realism leaves the larger half
    of the balls out: believe the share with realism of at least 1 before precision.

    Args:
        real: (N, F).
        fake: (M, F).
        k: which neighbour a ball reaches to, below N and M. Naeem et al. advise 5; Kynkaanniemi et
            al. and Han et al. use 3.

    Raises:
        ValueError: if F differs, a set has not more than k rows, or features are not finite.
    """
    real, fake = checked(real, fake)
    fake_reach = nearest_others(fake, k).distance[:, -1].square() * SLACK
    # The smallest balls first, so that those which realism trusts lie side by side.
    radius, order = nearest_others(real, k).distance[:, -1].sort(stable=True)
    trusted = int((radius <= SLACK * radius.quantile(0.5)).sum())
    # Real rows that are equal have radius 0; a copy of one, 0 / 0, lies just inside.
    points = int((radius[:trusted] == 0).sum())
    x, y, unit = located(fake, real[order])
    reach, fake_reach = radius.square() * SLACK / unit, fake_reach / unit
    shrink = unit / radius[points:trusted].square()
    # A factor for what float32 rounds here. A bound below 0 stays below what it bounds.
    rounded = (shrink * (1 - 1e-6)).clamp_max(1e30).float()
    search = Search(len(fake), 1)
    balls = torch.zeros(len(fake), dtype=torch.long)
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    rarity = fake.new_full((len(fake),), torch.inf)
    realism = fake.new_zeros(len(fake))
    for here, there, bounds in lower_bounds(x, y):
        sample, picture = _within(x, y, here, there, bounds, reach[None, there])
        balls += sample.bincount(minlength=len(fake))
        covered[order[picture]] = True
        rarity.scatter_reduce_(0, sample, radius[picture], "amin")
        realism[sample[picture < points]] = 1
        _, picture = _within(x, y, here, there, bounds, fake_reach[here, None])
        recalled[order[picture]] = True
        first, last = (min(max(end, points), trusted) for end in (there.start, there.stop))
        if first < last:
            nearby = bounds[:, first - there.start : last - there.start]
            search.add(here, first - points, nearby * rounded[first - points : last - points])
    if points < trusted:
        some = Points(*(values[points:trusted] for values in y))
        least, _ = search.settled(
            lambda rows, which: squares_of_pairs(x, some, rows, which) * shrink[which],
            lambda rows: squares(x, some, rows, slice(None)) * shrink,
        )
        realism = torch.maximum(realism, least[:, 0].rsqrt())
    return Manifold(k, balls, recalled, covered, realism, rarity)


def _within(
    x: Points, y: Points, here: slice, there: slice, bounds: Tensor, reach: Tensor
) -> tuple[Tensor, Tensor]:
    """Which rows of x, and which of y, are at most the squared distance `reach` apart.

    Where float32 leaves it in doubt, float64 decides.
    """
    row, column = (bounds <= (reach * (1 + 1e-6)).float()).nonzero(as_tuple=True)
    i, j = row + here.start, column + there.start
    limit = reach.expand(bounds.shape)[row, column]
    above = bounds[row, column] + 2 * slack(x.exact.shape[1]) * (x.norms[i] + y.norms[j])
    doubtful = above > limit
    count = int(doubtful.sum())
    if count > bounds.numel() // 64:
        inside = squares(x, y, here, there)[row, column] <= limit
    else:
        inside = ~doubtful
        pairs = squares_of_pairs(x, y, i[doubtful], j[doubtful][:, None])[:, 0]
        inside[doubtful] = pairs <= limit[doubtful]
    return i[inside], j[inside]
