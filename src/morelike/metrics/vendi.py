"""How varied one set of features is, without comparing it with another."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from morelike.metrics.distances import distance_tiles
from morelike.metrics.frechet import gram
from morelike.metrics.resampling import checked


def vendi_score(features: Tensor) -> float:
    """The effective number of different rows of (N, F), with the cosine kernel: from 1 to N.

    Friedman & Dieng 2023, "The Vendi Score", definition 3.1: exp of the entropy of the eigenvalues
    of K / N, where K_ij is the cosine of rows i and j. K = X X^T and X^T X share their eigenvalues,
    and the smaller is decomposed: the score is at most F.

    It grows with N until N is many times its value, so compare sets of one size. Features that are
    positive all point one way and score near 1: subtract the real pictures' mean from both sets.

    Raises:
        ValueError: if a row is 0 and has no direction, there is none, or features are not finite.
    """
    (features,) = checked(features)
    norms = features.norm(dim=1, keepdim=True)
    if not norms.all():
        raise ValueError("features of length 0 have no direction")
    x = features / norms
    inner = gram(x.T if len(x) < x.shape[1] else x)
    values = torch.linalg.eigvalsh(inner / len(x)).clamp_min(0)
    return torch.special.entr(values).sum().exp().item()


class PairDistances(NamedTuple):
    """Distances of the pairs of one set."""

    mean: float
    """Mean Euclidean distance of two different rows."""
    near_share: float
    """Share of the pairs, from 0 to 1, that are at most the threshold apart."""


def pair_distances(features: Tensor, threshold: float = 0.0) -> PairDistances:
    """Mean distance of two rows of (N, F), and how many pairs are nearly one picture.

    A collapse onto M pictures, evenly, makes a share of about 1/M of the pairs near. Real pictures
    tell which threshold means "nearly one": a small quantile of their own distances.

    Args:
        features: (N, F), N at least 2.
        threshold: Euclidean distance up to which two rows count as one; 0 counts equal ones.

    Raises:
        ValueError: if there are fewer than two rows, or features are not finite.
    """
    (features,) = checked(features, least=2)
    total, near = 0.0, 0
    for here, there, squared in distance_tiles(features):
        times = 1 if here == there else 2  # only one of two equal tiles is made
        near += times * int((squared <= threshold**2).sum())
        distances = squared.sqrt_()
        if here == there:
            distances.fill_diagonal_(0)
        total += times * distances.sum().item()
    pairs = len(features) * (len(features) - 1)
    return PairDistances(total / pairs, near / pairs)
