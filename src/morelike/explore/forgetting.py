"""What is lost again while two networks play: what D knew of pictures, what it knew of earlier
samples, and which kinds of pictures G makes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from morelike.explore.reader import Trait, value
from morelike.models import family
from morelike.players import Made, Players, as_in_training
from morelike.rng import rng

FOLDS = 5
STRENGTHS = np.geomspace(1e-4, 1e3, 15)
"""Of the ridge that are tried, in units of the mean square length of a picture's features."""
DRAWS = 1000


# What D's features tell of pictures ---------------------------------------------------------------


class Question(NamedTuple):
    """What a linear probe is asked: one label or attribute of words, or many numbers at once."""

    names: tuple[str, ...]
    rows: np.ndarray
    """(n,) of the data set."""
    values: np.ndarray
    """(n, K) float64: 1 for a picture's class and 0 for the others; or numbers."""
    classes: bool

    @property
    def chance(self) -> float:
        """The score of who knows nothing of the pictures."""
        return 1 / self.values.shape[1] if self.classes else 0.0


def questions(
    records: Sequence[Mapping[str, Any]], traits: Sequence[Trait], most: int
) -> list[Question]:
    """One question for each trait of words, about as many pictures of each class, and one for all
    numbers; each about at most so many pictures.
    """
    asked = []
    for trait in (one for one in traits if one.classes):
        known = np.array([str(value(one, trait.name)) for one in records])
        each = min(most // len(trait.classes), *(int((known == c).sum()) for c in trait.classes))
        numbers = rng(0, "probe", trait.name)
        chosen = [numbers.permutation(np.flatnonzero(known == c))[:each] for c in trait.classes]
        rows = np.sort(np.concatenate(chosen))
        hot = (known[rows, None] == np.array(trait.classes)).astype(np.float64)
        asked.append(Question((trait.name,), rows, hot, True))
    numeric = [one.name for one in traits if not one.classes]
    if numeric:
        rows = np.sort(rng(0, "probe").permutation(len(records))[:most])
        values = [[float(value(records[i], name)) for name in numeric] for i in rows]
        asked.append(Question(tuple(numeric), rows, np.array(values), False))
    return asked


def probed(features: np.ndarray, question: Question) -> np.ndarray:
    """How much of the answer is linear in features: a ridge regression, tried on pictures that it
    was not fitted to (linear probes, Alain & Bengio 2017, arXiv 1610.01644).

    Args:
        features: (n, F), of the question's pictures.
        question: n of at least 2 x FOLDS.

    Returns:
        (n, names), a score for each picture; only their mean means something. Of classes, 1 if the
        picture is put into its own and 0 if not, so the mean is an accuracy, with as many pictures
        of each class. Of numbers, 1 - squared error / variance, so it is R^2: 1 for all of it, 0
        for no more than the mean.
    """
    count = len(features)
    fold = rng(0, "folds").permutation(count) % FOLDS
    said = np.empty_like(question.values)
    for number in range(FOLDS):
        out = fold == number
        said[out] = ridge(features[~out], question.values[~out], features[out])
    if question.classes:
        return (said.argmax(1) == question.values.argmax(1)).astype(np.float64)[:, None]
    variance = np.maximum(question.values.var(0), 1e-12)
    return 1 - np.square(said - question.values) / variance


def ridge(features: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Answers (m, K) for `asked` (m, F) of ridge regressions of values (n, K) on features (n, F).

    Features are brought to mean 0 and variance 1. The strength of each ridge is that of the
    smallest leave-one-out error, which needs no refitting: with G = X X^T + strength I and
    c = G^-1 y, picture i misses by c_i / (G^-1)_ii (Rifkin & Lippert 2007, "Notes on regularized
    least squares", section 3).
    """
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-6, spread, np.inf)
    seen, asked = ((x - mean).astype(np.float64) / spread for x in (features, asked))
    level = values.mean(0)
    lengths, turned = np.linalg.eigh(seen @ seen.T)
    lengths = lengths.clip(0)
    along = turned.T @ (values - level)
    unit = max(float(lengths.mean()), 1e-12)
    errors, weights = [], []
    for strength in STRENGTHS * unit:
        inverse = 1 / (lengths + strength)
        weight = turned @ (inverse[:, None] * along)
        diagonal = np.square(turned) @ inverse
        errors.append(np.square(weight / diagonal[:, None]).sum(0))
        weights.append(weight)
    best = np.argmin(errors, axis=0)
    chosen = np.stack([weights[b][:, k] for k, b in enumerate(best)], 1)
    return asked @ seen.T @ chosen + level


class Loss(NamedTuple):
    """Whether a score was higher once than it is at the end."""

    best: int
    """The moment of the highest mean."""
    fall: float
    """From there to the last moment."""
    lost: bool
    """Whether that is beyond chance."""


def fallen(scores: Sequence[np.ndarray], asked: int = 1) -> Loss:
    """From the scores (n,) of the same pictures at each moment.

    The fall is compared picture by picture. Its bound is widened for as many earlier moments, and
    for as many things `asked` (Bonferroni), for the highest of many is high by chance.
    """
    means = [float(one.mean()) for one in scores]
    best = int(np.argmax(means))
    change = scores[best] - scores[-1]
    bound = NormalDist().inv_cdf(1 - 0.025 / (asked * max(1, len(scores) - 1)))
    error = float(change.std()) / math.sqrt(len(change))
    return Loss(best, float(change.mean()), bool(change.mean() > bound * error))


@torch.no_grad()
def features_of_pictures(players: Players, images: np.ndarray) -> np.ndarray:
    """D's features of real pictures, those that its logit is linear in, as training computes them.

    Args:
        players: with a discriminator.
        images: (N, H, W, C) uint8. Each batch is filled up with others of these, so that batch norm
            sees real pictures only, as in training. None is augmented.

    Returns:
        (N, F) float32.
    """
    network, size = players.discriminator, players.batch
    assert network is not None
    found = []
    with as_in_training(network, batch_norm=True):
        for start in range(0, len(images), size):
            rows = np.arange(start, start + size) % len(images)
            shown = players.shown(images[rows], _no_condition(players, len(rows)))
            found.append(network.features(*shown.scales).flatten(1).float().cpu().numpy())
    return np.concatenate(found)[: len(images)]


def _no_condition(players: Players, count: int) -> np.ndarray | None:
    """Features do not depend on what pictures are made for."""
    size = players.config.condition.size
    return np.zeros((count, size), np.float32) if size else None


def untrained(players: Players) -> Players:
    """The same with a discriminator of fresh weights, from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = family(players.config.family).build(players.config).discriminator
    return replace(players, discriminator=fresh.to(players.device).eval().requires_grad_(False))


# What D knows of earlier samples ------------------------------------------------------------------


@dataclass(frozen=True)
class Remembered(Players):
    """Players whose samples are kept once they were made, and whose networks are let go."""

    kept: dict[range, Made] = field(default_factory=dict)

    def made(self, seeds: Sequence[int], *, averaged: bool = False) -> Made:
        """Samples of seeds that were asked for before; raw weights only."""
        assert isinstance(seeds, range)
        assert not averaged
        return self.kept[seeds]


def remembered(players: Players, asked: Sequence[range]) -> Remembered:
    """What `players` makes of these ranges of seeds with raw weights, without its networks."""
    own = {name: getattr(players, name) for name in players.__dataclass_fields__}
    own |= {"generator": nn.Identity(), "averaged": nn.Identity()}
    kept = {seeds: players.made(seeds) for seeds in asked}
    return Remembered(**own, kept=kept)


def falls(matrix: np.ndarray) -> np.ndarray:
    """How much of its skill on samples of the moment j the discriminator of the moment i lost.

    Chaudhry et al. 2018, "Riemannian Walk", section 3.2, with skill 2 AUC - 1, and from what it had
    when it met them instead of the most it ever had, which is high by chance.

    Args:
        matrix: (T, T), AUC of D at i, by row, against samples of G at j.

    Returns:
        (T, T), 2 (AUC_jj - AUC_ij) for j < i; else NaN.
    """
    lost = 2 * (np.diag(matrix)[None] - matrix)
    return np.where(np.tri(len(matrix), k=-1, dtype=bool), lost, np.nan)


# Which kinds of pictures G makes ------------------------------------------------------------------


class Move(NamedTuple):
    """How far two histograms are apart."""

    distance: float
    """Total variation, 0 to 1: the share of samples that would have to change cluster."""
    usual: float
    """Its mean where both are drawn from one distribution."""
    most: float
    """What 95 of 100 such pairs stay below."""
    chance: float
    """How often such pairs reach the distance."""


def move(before: np.ndarray, after: np.ndarray, where: str | int) -> Move:
    """Between two sets of counts (K,) of independent samples; `where` says what is drawn.

    What chance gives is drawn from both together, as if they were one.
    """
    pooled = before + after
    shares = pooled / pooled.sum()
    numbers = rng(0, "wandering", where)
    one, other = (numbers.multinomial(int(x.sum()), shares, DRAWS) for x in (before, after))
    drawn = total_variation(one / before.sum(), other / after.sum())
    seen = float(total_variation(before / before.sum(), after / after.sum()))
    chance = (1 + int((drawn >= seen - 1e-12).sum())) / (DRAWS + 1)
    return Move(seen, float(drawn.mean()), float(np.quantile(drawn, 0.95)), chance)


def total_variation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Half the sum of absolute differences of shares (..., K)."""
    return np.abs(one - other).sum(-1) / 2
