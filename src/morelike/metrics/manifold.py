"""Quality and variety apart, by balls around features that reach to the k-th nearest neighbour.

Each ball's centre is a row, its radius the distance to the k-th nearest other row of the same set;
the balls of a set together stand for its manifold.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.metrics.memorization import distance_tiles, nearest_others
from morelike.metrics.resampling import checked

SLACK = 1 + 1e-12
"""Of squared radii: a row that lies on a ball's surface is inside whichever way it was rounded."""


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
    """Precision, recall, density, coverage, realism and rarity in one pass over all distances.

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
    real_radius = nearest_others(real, k).distance[:, -1]
    fake_reach = nearest_others(fake, k).distance[:, -1].square() * SLACK
    real_reach = real_radius.square() * SLACK
    trusted = real_radius <= real_radius.quantile(0.5)
    balls = torch.zeros(len(fake), dtype=torch.long)
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    realism, rarity = fake.new_zeros(len(fake)), fake.new_full((len(fake),), torch.inf)
    for here, there, squared in distance_tiles(real, fake):
        held = squared <= real_reach[here, None]
        balls[there] += held.sum(dim=0)
        covered[here] |= held.any(dim=1)
        recalled[here] |= (squared <= fake_reach[there]).any(dim=1)
        smallest = torch.where(held, real_radius[here, None], torch.inf).amin(dim=0)
        rarity[there] = torch.minimum(rarity[there], smallest)
        kept = trusted[here]
        if kept.any():
            # Real rows that are equal have radius 0; a copy of one, 0 / 0, lies just inside.
            ratio = real_radius[here][kept, None].square() / squared[kept]
            largest = ratio.nan_to_num_(nan=1.0, posinf=torch.inf).amax(dim=0)
            realism[there] = torch.maximum(realism[there], largest)
    return Manifold(k, balls, recalled, covered, realism.sqrt(), rarity)
