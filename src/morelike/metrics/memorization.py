"""Whether generated pictures are copies of training pictures: nearest neighbours, and what follows.

No figure here is a verdict by itself: a set of honest samples, too, lies near its training pictures
wherever these are dense. Each says what honest samples give.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.metrics import distances
from morelike.metrics.distances import Nearest, Search, nearest, nearest_others
from morelike.metrics.frechet import frechet_distance
from morelike.metrics.resampling import checked


def authentic(fake: Tensor, train: Tensor, found: Nearest | None = None) -> Tensor:
    """Which of `fake` (N, F) are new, and not a training picture with some noise: (N,) bool.

    Alaa et al. 2022, "How Faithful is your Synthetic Data?", section 3.3: a sample is authentic if
    it is farther from its nearest training picture than that is from its own nearest other. Honest
    samples are not all: 65 % were, in 16 normal features with 50 training rows. So compare with the
    share of held-out pictures in place of `fake`.

    Args:
        fake: (N, F).
        train: (M, F).
        found: `nearest(fake, train)`, where it is known already.

    Raises:
        ValueError: if F differs, `train` has fewer than two rows, or features are not finite.
    """
    found = found or nearest(fake, train)
    usual = nearest_others(train).distance[:, 0]
    return found.distance[:, 0] > usual[found.which[:, 0]]


def authenticity(fake: Tensor, train: Tensor) -> float:
    """Share of `fake` that is `authentic`: 0 for copies, and not 1 for honest samples."""
    return authentic(fake, train).double().mean().item()


def mann_whitney_z(x: Tensor, y: Tensor) -> float:
    """How many standard deviations the ranks of x (N,) lie above those of y (M,), ties shared.

    Mann & Whitney 1947: U counts the pairs with x > y, equal ones half; z = (U - NM/2) / sd, with
    sd^2 = NM/12 (S + 1 - sum_t (t^3 - t) / S(S - 1)) where S = N + M and t are sizes of ties.

    Returns:
        About standard normal if all N + M numbers are independent and of one distribution; 0 if
        all are equal.

    Raises:
        ValueError: if one of them is empty or has a NaN.
    """
    if not len(x) or not len(y) or bool(torch.cat([x, y]).isnan().any()):
        raise ValueError("numbers are needed on both sides, and no NaN")
    n, m = len(x), len(y)
    _, which, ties = torch.cat([x, y]).unique(return_inverse=True, return_counts=True)
    ties = ties.double()
    rank = ties.cumsum(0) - (ties - 1) / 2
    u = rank[which[:n]].sum().item() - n * (n + 1) / 2
    tied = (ties**3 - ties).sum().item() / ((n + m) * (n + m - 1))
    variance = n * m / 12 * (n + m + 1 - tied)
    return (u - n * m / 2) / variance**0.5 if variance > 0 else 0.0


class Copying(NamedTuple):
    """Whether samples keep closer to training pictures than to pictures never seen."""

    rank_z: float
    """Mann-Whitney z of distances to training pictures against those to held-out ones."""
    train_share: float
    """Share of samples whose nearest picture is a training picture; 0.5 for honest samples."""
    exchange_z: float
    """That share's distance from 0.5, in standard deviations under exchange; above 0 for copies."""


def copying(
    fake: Tensor, train: Tensor, held_out: Tensor, numbers: np.random.RandomState
) -> Copying:
    """Compare distances of `fake` (N, F) to training pictures and to equally many held-out ones.

    After Meehan et al. 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models",
    whose C_T compares distances to training pictures of samples and of held-out pictures. That
    takes a smear in the middle for copies, and noise for honesty. Here the samples are the same on
    both sides, so how good they are does not matter: to a generator that does not copy, training
    and held-out pictures are alike. The larger of the two sets is thinned to the other's size.

    rank_z is below 0 for copies. It takes distances for independent, but the N samples share the
    same few pictures: its standard deviation for honest samples was measured as 1.8 and not 1
    (N = 500, R = 50, F = 16), a false alarm beyond 1.96 in 27 % of 200 simulations. exchange_z was
    there in 3.5 %, with a standard deviation of 0.96. It is exact: had labels been dealt anew among
    the 2R pictures, where picture i is the nearest of c_i samples, the number nearest to training
    pictures would have mean N/2 and variance R var(c) / 2. Judge by it.

    Only copies of the R training pictures that are compared are seen, so where T is many times H
    even a generator that copies everything may pass: 1.3 was seen at T = 3 H, H = 40. Ask
    `authenticity` too, and mann_whitney_z of samples' and held-out pictures' distances to all
    training pictures, which is Meehan's C_T without its cells.

    Args:
        fake: (N, F).
        train: (T, F).
        held_out: (H, F); at least 2 of each, and R = min(T, H) are compared.
        numbers: which rows of the larger set are compared.

    Raises:
        ValueError: if F differs, a set is too small, or features are not finite.
    """
    fake, train, held_out = checked(fake, train, held_out)
    count = min(len(train), len(held_out))
    if count < 2:
        raise ValueError(f"at least 2 training and 2 held-out rows are needed, not {count}")
    train, held_out = (
        x if len(x) == count else x[torch.from_numpy(numbers.permutation(len(x))[:count])]
        for x in (train, held_out)
    )
    to_train, to_held_out = nearest(fake, train), nearest(fake, held_out)
    d, e = to_train.distance[:, 0], to_held_out.distance[:, 0]
    # A tie belongs half to each side.
    weight = (d < e).double() + 0.5 * (d == e)
    claimed = torch.zeros(2, count, dtype=torch.float64)
    claimed[0].index_add_(0, to_train.which[:, 0], weight)
    claimed[1].index_add_(0, to_held_out.which[:, 0], 1 - weight)
    return Copying(mann_whitney_z(d, e), weight.mean().item(), exchange_z(claimed))


def exchange_z(claimed: Tensor) -> float:
    """How many standard deviations more of the samples are nearest to the first half of 2R pictures
    than would be had it been dealt at random which pictures are in it.

    Args:
        claimed: (2, R) float64, of how many samples each picture is the nearest.
    """
    spread = (claimed.shape[1] * claimed.var().item() / 2) ** 0.5
    excess = claimed[0].sum().item() - claimed.sum().item() / 2
    return excess / spread if spread > 0 else 0.0


def memorization_distance(fake: Tensor, train: Tensor) -> float:
    """Mean over `fake` (N, F) of the least cosine distance, 1 - |cos|, to a row of `train` (M, F).

    Bai et al. 2021, "On Training Sample Memorization", section 4.1; from 0, all are copies up to
    their scale, to 1.

    Raises:
        ValueError: if F differs, a row is 0 and has no direction, or features are not finite.
    """
    fake, train = checked(fake, train)
    a, b = _directions(fake), _directions(train)
    tile, search = distances.TILE, Search(len(a), 1)
    rounded, others, wrong = a.float(), b.float(), distances.slack(a.shape[1])
    for top in range(0, len(a), tile):
        for left in range(0, len(b), tile):
            alike = (rounded[top : top + tile] @ others[left : left + tile].T).abs_()
            search.add(slice(top, top + tile), left, alike.neg_().sub_(wrong))
    least, _ = search.settled(
        lambda rows, which: -_cosines(a, b, rows, which).abs(), lambda rows: -(a[rows] @ b.T).abs()
    )
    return (1 + least).clamp_min(0).mean().item()


def _cosines(a: Tensor, b: Tensor, rows: Tensor, which: Tensor) -> Tensor:
    """Of rows (n,) of a and each of the rows `which` (n, c) of b, all of length 1."""
    found = a.new_empty(which.shape)
    step = max(distances.GATHERED // (which.shape[1] * a.shape[1]), 1)
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        picked = b[which[some].flatten()].unflatten(0, which[some].shape)
        found[some] = (picked @ a[rows[some]][:, :, None])[:, :, 0]
    return found


def _directions(features: Tensor) -> Tensor:
    norms = features.norm(dim=1, keepdim=True)
    if not norms.all():
        raise ValueError("features of length 0 have no direction")
    return features / norms


def mifid(
    fake: Tensor, train: Tensor, threshold: float = 0.1, frechet: float | None = None
) -> float:
    """Fréchet distance divided by the memorisation distance, where that is below the threshold.

    Bai et al. 2021, section 4.1. At the threshold it jumps by a factor 1 / threshold, and where it
    should lie depends on the features: 0.1 was chosen for one competition. Copies give a large
    number, not infinity, which JSON could not carry.

    Args:
        fake: (N, F).
        train: (M, F).
        threshold: the memorisation distance from which on nothing is punished.
        frechet: `frechet_distance(fake, train)`, where it is known already.

    Raises:
        ValueError: as for `frechet_distance` and `memorization_distance`.
    """
    distance = memorization_distance(fake, train)
    penalty = 1 / (distance + 1e-15) if distance < threshold else 1.0
    return (frechet_distance(fake, train) if frechet is None else frechet) * penalty
