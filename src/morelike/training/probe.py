"""How the averaged generator does while it is trained, for a small share of the time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from morelike.config import Config
from morelike.data import Dataset
from morelike.diagnostics.gauge import Gauge, Reading, word
from morelike.diagnostics.learning import Moment, recorded
from morelike.features import Extractor, extractor, features_of
from morelike.rng import rng
from morelike.sampling import generate
from morelike.training.records import Record
from morelike.training.state import State

SAMPLES = 128
SEEDS_FROM = 1_000_000
"""Seeds of the probe's samples: not those that the grids show."""
BUDGET = 0.015
"""Share of the training's time that all probes together may take."""
SHORTEST = 30.0
"""Seconds of training before the first one."""
MOST_TRAIN, MOST_HELD, MOST_FEATURES = 2_000, 256, 256
"""Training pictures among which copies are looked for, held-out ones that samples are compared
with, and training ones whose features measure variety. `morelike evaluate` takes more."""


class Probe:
    """Reads samples of the averaged generator, always of the same seeds.

    The features are those of the extractor `random`, which needs no file.
    """

    def __init__(
        self, dataset: Dataset, config: Config[Any, Any], records: Sequence[Record] = ()
    ) -> None:
        self._dataset, self._config = dataset, config
        self._network: Extractor | None = None
        self._gauge: Gauge | None = None
        self._records, self._history = records, list[Moment]()
        self._seconds = self._last = 0.0

    @property
    def extractor(self) -> str:
        """The name of what made the features."""
        return self._look.name

    @property
    def _look(self) -> Extractor:
        # A tenth of a second that trainings without a probe do not spend.
        self._network = self._network or extractor("random")
        return self._network

    def share(self, seconds: float) -> float:
        """Share that probes have taken of so many seconds of training."""
        return self._seconds / max(seconds, 1e-9)

    def is_affordable(self, seconds: float, *, last: bool = False) -> bool:
        """Whether one more stays within the budget after so many seconds of training.

        The last one is always taken, except in trainings so short that it would be most of them.
        """
        return seconds >= SHORTEST and (last or self._seconds + self._last <= BUDGET * seconds)

    def read(self, state: State) -> tuple[Reading, str]:
        """What samples tell now, and one word on the run so far."""
        began = time.perf_counter()
        if self._gauge is None:
            self._gauge = self._made()
            self._history = recorded(self._records, self.extractor, state.images)
        prepared = time.perf_counter()
        seeds = range(SEEDS_FROM, SEEDS_FROM + SAMPLES)
        made = generate(self._config, state.ema, seeds, state.device)
        images = np.concatenate(list(made))
        reading = self._gauge.read(images, self._look(images))
        self._history.append(Moment(state.images, state.seconds / 60, reading.kid))
        ended = time.perf_counter()
        self._seconds, self._last = self._seconds + ended - began, ended - prepared
        return reading, word(reading, self._history)

    def _made(self) -> Gauge:
        train = self._some(self._dataset.train, MOST_TRAIN)
        held = self._some(self._dataset.held_out, MOST_HELD)
        features = features_of(self._look, train[:MOST_FEATURES])
        return Gauge.of(train, held, features, features_of(self._look, held))

    def _some(self, indices: np.ndarray, most: int) -> np.ndarray:
        chosen = rng(0, "probe").permutation(indices)[:most]
        return self._dataset.images[chosen]
