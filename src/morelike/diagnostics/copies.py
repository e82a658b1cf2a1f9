"""Near-copies: which pictures retell a training picture, by a limit that real pictures set.

The score of a picture is log(d1^2 / d2), where d1 and d2 are what it leaves unexplained of the
nearest training picture and of the next that is another one (`matching.py`). It is low only if one
training picture is explained far better than all others, so a blurred or an average picture, which
is near to many, is not taken for a copy as by a nearest distance alone.

Where real pictures lie that were never trained on decides what is low: the held-out ones, and each
training picture against all the others. So do averages of two training pictures, which are nearer
to their origins than any honest picture is. Blurred ones are nearer still; they are told by the
fine detail that they lack.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from morelike.data.duplicates import SIDE, near_groups
from morelike.diagnostics.controls import averaged, blurred
from morelike.diagnostics.matching import LEAST, Matcher, Matches, squeezed
from morelike.errors import UserError
from morelike.pictures import to_rgb
from morelike.rng import rng

FEWEST = 8
"""Training pictures, not counting near-copies of one another, below which nothing can be said."""
MOST_LEFT_OUT = 512
"""Training pictures that are judged against the others."""
AVERAGES = 240
REAL_BELOW, AVERAGES_BELOW = 0.02, 0.01
"""Share of real pictures never trained on, and of averages, that may lie beyond the limit."""
TAIL, LEAST_TAIL = 0.15, 5
"""Share of the lowest scores of real pictures that tell how rare still lower ones are, and how many
it takes."""
LOST = 0.3
"""Of the fine detail that blur takes from a training picture, a copy lacks less than this. No
blurred one of roses, bicycles and dogs at 32 to 128 pixels and of CIFAR-10 lacks as little; of
copies through JPEG of quality 50, .94 and more do, and all others. A picture that blur leaves as it
is has no copies that could be told from blur."""


class Judged(NamedTuple):
    """What is known of n pictures, each (n,)."""

    which: np.ndarray
    """Index of the nearest training picture."""
    mirrored: np.ndarray
    """Whether it is that one's mirror image that is near."""
    distance: np.ndarray
    """Share of that picture's light and dark, 0 to 1, that the picture leaves unexplained, laid
    upon it as well as possible and recoloured."""
    score: np.ndarray
    """log(d1^2 / d2); the lower, the more a copy."""
    percentile: np.ndarray
    """Share, 0 to 100, of real pictures never trained on that have a lower score."""
    near: np.ndarray
    """Whether it is called a near-copy."""


@dataclass(frozen=True)
class Copies:
    """Finds near-copies of one training set; made by `Copies.fitted`."""

    matcher: Matcher
    group: np.ndarray
    """(N,) which training pictures are near-copies of one another: equal numbers."""
    real: np.ndarray
    """(M,) ascending scores of real pictures never trained on."""
    limit: float
    """Scores below it are near-copies."""
    detail: np.ndarray
    """(N,) the share of each training picture's fine detail that copies of it have at least."""

    @classmethod
    def fitted(cls, train: np.ndarray, held_out: np.ndarray, effort: int = MOST_LEFT_OUT) -> Copies:
        """Learn from real pictures what is usual.

        Args:
            train: (N, H, W, C) uint8.
            held_out: (M, H, W, C) uint8, of the same kind and never trained on; may be empty.
            effort: how many training pictures are judged against the others, and averages made,
                at most; with fewer the limit is less certain.

        Raises:
            UserError: if there are fewer than eight different training pictures.
        """
        group = _groups(train)
        if len(np.unique(group)) < FEWEST:
            raise UserError(
                f"{len(np.unique(group))} different training pictures are too few to tell copies "
                f"from others; at least {FEWEST} are needed."
            )
        matcher = Matcher.fitted(train)
        numbers = rng(0, "copies")
        chosen = numbers.permutation(len(train))[:effort]
        different = train[np.unique(group)]
        count = min(AVERAGES, effort)
        means = np.concatenate(
            [averaged(different, numbers, (2,)) for _ in range(-(-count // len(different)))]
        )
        left = matcher.detail_left(blurred(train, numbers))
        detail = 1 - LOST * (1 - left).clip(0)
        among = matcher.match(means[:count])
        most = _tail(_judged(among, _scores(among, group), detail), AVERAGES_BELOW)
        own = group[chosen, None] == group[None, :]
        score = _scores(matcher.match(train[chosen], own), group)
        held = _scores(matcher.match(held_out), group) if len(held_out) else score[:0]
        real = np.sort(np.concatenate([score, held]))
        return cls(matcher, group, real, min(_tail(real, REAL_BELOW), most), detail)

    def judge(self, images: np.ndarray) -> Judged:
        """Judge pictures (n, H, W, C) uint8, of the size of the training pictures."""
        found = self.matcher.match(images)
        score = _scores(found, self.group)
        percentile = 100 * np.searchsorted(self.real, score) / len(self.real)
        near = _judged(found, score, self.detail) < self.limit
        first = (found.which[:, 0], found.mirrored[:, 0], found.unexplained[:, 0])
        return Judged(*first, score, percentile, near)

    @property
    def usual(self) -> float:
        """Share of real pictures never trained on that may lie below the limit, if not less."""
        return share_below(self.real, self.limit)


def _groups(train: np.ndarray) -> np.ndarray:
    """(N,) the same number for near-copies of one picture."""
    thumbs = squeezed(to_rgb(train).astype(np.float32), SIDE).round().astype(np.uint8)
    group = np.arange(len(train))
    for found in near_groups(thumbs):
        group[list(found.members)] = found.members[0]
    return group


def _judged(found: Matches, score: np.ndarray, detail: np.ndarray) -> np.ndarray:
    """Scores, infinite for what lacks the detail of a copy."""
    return np.where(found.detail[:, 0] > detail[found.which[:, 0]], score, np.inf)


def _scores(found: Matches, group: np.ndarray) -> np.ndarray:
    """(n,) log(d1^2 / d2), d2 of the best match that is not a near-copy of the first."""
    another = group[found.which] != group[found.which[:, :1]]
    others = np.where(another, found.unexplained, np.inf).min(axis=1)
    # None of the finalists is another picture: then there was none as near as these.
    others = np.where(np.isfinite(others), others, 1.0)
    return 2 * np.log(found.unexplained[:, 0].clip(LEAST, 1)) - np.log(others)


def share_below(scores: np.ndarray, limit: float) -> float:
    """Share of a population that may lie below `limit`, from a sample (M,) of it, ascending.

    What lies below the lowest `TAIL` of the sample is taken for exponential (peaks over threshold,
    Pickands 1975), with a scale two standard errors larger than was seen: with a few dozen pictures
    the share itself cannot be counted. Where it can, the count is what counts.
    """
    few = min(max(LEAST_TAIL, round(TAIL * len(scores))), len(scores) - 1)
    start = scores[few]
    scale = (start - scores[:few]).mean() * (1 + 2 / few**0.5)
    beyond = math.exp(-max(0.0, start - limit) / max(scale, LEAST))
    counted = np.searchsorted(scores, limit) + 0.5
    return float(max(few * beyond / len(scores), counted / (len(scores) + 1)))


def _tail(scores: np.ndarray, share: float) -> float:
    """The score that at most this share of these lies below; of few, none."""
    return float(np.quantile(scores, share, method="lower"))
