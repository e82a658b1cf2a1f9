"""What was seen of a run from checkpoint to checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from morelike.explore.forgetting import Move
from morelike.explore.spectrum import Band, appearances
from morelike.explore.timelapse import Milestone

WITHIN = 3.0
"""A band has appeared from where on its power stays within so many dB: half to twice the power."""
FAR = 2.0
"""A band's patches are far from real ones beyond so many times what two halves of real pictures are
apart."""


class Spectra(NamedTuple):
    """Samples by spatial frequency, at T moments in B bands, beside real pictures."""

    bands: tuple[Band, ...]
    ratios: np.ndarray
    """(T, B), power to that of real pictures, dB."""
    chance: np.ndarray
    """(2, B), between which that of real pictures is in 95 of 100 cases."""
    far: np.ndarray
    """(T, B), how far patches are from real ones; 1 is as far as halves of real ones."""
    frequencies: np.ndarray
    real: np.ndarray
    curves: np.ndarray
    """(T, R), the azimuthal averages."""

    @property
    def appeared(self) -> list[int | None]:
        """From which moment on each band is there."""
        return appearances(self.ratios, WITHIN)


class Wandering(NamedTuple):
    """Of which kinds the samples are, at T moments."""

    real: np.ndarray
    """(K,) counts of training pictures, the largest kind first."""
    counts: np.ndarray
    """(T, K), of samples."""
    moves: list[Move]
    """T - 1, from each moment to the next."""
    to_real: list[Move]
    """T, from each to the training pictures."""


class Asked(NamedTuple):
    """What discriminators of S moments tell."""

    stops: list[Milestone]
    matrix: np.ndarray
    """(S, S), AUC of D, by row, on samples of G, by column, against training pictures."""
    finding: str
    """What the last one says of the samples of all others."""
    state: str
    """Whether it forgets: yes, no or unknown."""
    probes: list[Probe]
    missing: list[str]
    """What could not be asked, and why."""


class Probe(NamedTuple):
    """How well one trait can be read from D's features with a line."""

    name: str
    classes: bool
    chance: float
    fresh: float
    """From an untrained D."""
    scores: list[float]
    """S of them."""
    error: float
    """Standard error of the last."""
    best: int
    fall: float
    """From the best moment to the last."""
    lost: bool

    def knowledge(self, score: float) -> float:
        """0 for what chance has, 1 for all."""
        return (score - self.chance) / (1 - self.chance)


def ranked_probes(probes: Sequence[Probe]) -> list[Probe]:
    """Those that D knew most of at some moment first."""
    return sorted(probes, key=lambda one: -max(map(one.knowledge, one.scores)))


def trained(asked: Asked) -> np.ndarray:
    """Places of the moments at which something had been learnt: all but an untrained first one."""
    return np.flatnonzero([stop.images > 0 for stop in asked.stops])
