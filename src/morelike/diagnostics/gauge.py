"""The cheap part of the verdict: what some samples tell, at one moment of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.diagnostics.collapse import Variety, Yardstick, distances
from morelike.diagnostics.copies import Copies
from morelike.diagnostics.copying import most_honest
from morelike.diagnostics.learning import FEWEST, POINTS, Moment, progress
from morelike.diagnostics.matching import Matcher
from morelike.errors import UserError
from morelike.metrics.kernel import kid_interval

COPIES_COUNT = 1e6
"""Added to KID x 1000 of a generator that copies: it is best only if all do."""
EFFORT = 160
"""Of learning what a copy is; `morelike evaluate` takes more."""


class Reading(NamedTuple):
    """What some samples tell."""

    kid: float
    """KID x 1000 to held-out pictures; to training ones where fewer than four were held out."""
    error: float
    """Its standard error."""
    near: int
    """Near-copies of training pictures among the samples."""
    copying: bool
    """Whether these are more than an honest generator has."""
    variety: float
    """Share of real pictures' variety, the smaller of those in features and by layout."""
    collapsed: bool
    """Whether that is a collapse."""
    samples: int
    """How many there were."""

    @property
    def rank(self) -> float:
        """The lower, the better."""
        return self.kid + COPIES_COUNT * self.copying

    def figures(self) -> dict[str, float]:
        """For the record of a run."""
        near = self.near / self.samples
        return {"kid": self.kid, "near_copies": near, "variety": self.variety}

    def sentence(self, extractor: str) -> str:
        """For the card of a generator, with the name of what made the features."""
        return f"""\
At that moment KID x 1000 to real pictures was {self.kid:.0f} (by the features of {extractor}; \
of so few pictures, it compares with no published figure), {self.near} of {self.samples} samples \
were near-copies of training pictures ({"more" if self.copying else "no more"} than chance \
gives), and they had {self.variety:.0%} of the variety of real pictures."""


@dataclass(frozen=True)
class Gauge:
    """Everything about real pictures that a reading needs; made once."""

    reference: Tensor
    """(M, F) features that samples are to come near to."""
    matcher: Matcher
    copies: Copies | None
    """None where the training pictures are too few."""
    yardsticks: tuple[Yardstick, Yardstick]

    @classmethod
    def of(cls, train: np.ndarray, held_out: np.ndarray, some: Tensor, reference: Tensor) -> Gauge:
        """From training (N, H, W, C) and held-out (M, H, W, C) pictures, uint8.

        Args:
            train: among which copies are looked for.
            held_out: never trained on; may be empty.
            some: (n, F) features of real pictures, at least four, whose variety is the measure.
            reference: (m, F) features of held-out pictures.
        """
        try:
            copies = Copies.fitted(train, held_out, EFFORT)
        except UserError:  # too few to tell; everything else can be read all the same
            copies = None
        matcher = copies.matcher if copies else Matcher.fitted(train)
        layout = torch.from_numpy(matcher.layout(train[: len(some)]))
        yardsticks = Yardstick.of("features", some), Yardstick.of("layout", layout)
        return cls(reference if len(reference) >= FEWEST else some, matcher, copies, yardsticks)

    def read(self, images: np.ndarray, features: Tensor) -> Reading:
        """What samples (n, H, W, C) uint8 with features (n, F) tell, n at least 16."""
        layout = torch.from_numpy(self.matcher.layout(images))
        both: Sequence[Variety] = [
            yardstick.variety(distances(rows))
            for yardstick, rows in zip(self.yardsticks, (features, layout), strict=True)
        ]
        distance = kid_interval(features, self.reference)
        near = int(self.copies.judge(images).near.sum()) if self.copies else 0
        return Reading(
            1000 * distance.value,
            1000 * distance.standard_error,
            near,
            self.copies is not None and near > most_honest(len(images), self.copies),
            min(each.ratio for each in both),
            any(each.is_collapsed for each in both),
            len(images),
        )


def word(reading: Reading, history: Sequence[Moment]) -> str:
    """One word on a run, by its newest reading and all moments up to it; empty while it begins.

    All generators begin with samples that are alike, so it is no collapse while they come nearer
    to real pictures.
    """
    if reading.copying:
        return "COPYING"
    state = progress(history)
    if len(history) < POINTS or state == "LEARNING":
        return state if state == "LEARNING" else ""
    return "COLLAPSED" if reading.collapsed else state
