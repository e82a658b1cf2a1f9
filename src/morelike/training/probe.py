"""How the averaged generator does while it is trained, for a small share of the time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from morelike.config import Config
from morelike.data import Dataset
from morelike.devices import pick_device
from morelike.diagnostics import gauge
from morelike.diagnostics.gauge import Gauge
from morelike.diagnostics.learning import Moment, recorded
from morelike.distributed import local_rank
from morelike.errors import UserError
from morelike.features import Extractor, extractor, features_of
from morelike.features.perceptual import perceptual
from morelike.metrics.fidelity import feature_distance, psnr, ssim
from morelike.pictures import from_uint8
from morelike.rng import rng
from morelike.sampling import generate, made_from
from morelike.training.examples import examples
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
MOST_DB = 60.0
"""PSNR of a picture that is its truth, which is infinite; of 8 bits, one level off is 48."""
MOST_PAIRS = 32
"""Held-out pictures on which a task is measured. `morelike evaluate` takes all."""


def check_features(config: Config[Any, Any]) -> None:
    """Check that there is what `training.features` names, before a training begins.

    Raises:
        UserError: if its package or weights are missing or wrong, or a task has no use for it.
    """
    asked = config.training
    if (asked.features, asked.features_weights) == ("random", None):
        return
    if config.task.name:
        raise UserError(
            f"the task {config.task.name} is measured by nearness to the truth, for which "
            "training.features means nothing; leave it out."
        )
    extractor(asked.features, asked.features_weights)


class Reading(Protocol):
    """What was read off at one moment."""

    @property
    def rank(self) -> float:
        """The lower, the better."""
        ...

    @property
    def error(self) -> float:
        """The standard error of the rank, as far as chance has a part in it."""
        ...

    def figures(self) -> dict[str, float]:
        """For the record."""
        ...

    def sentence(self, extractor: str) -> str:
        """For the card, with the name of what made the features."""
        ...

    def _asdict(self) -> dict[str, Any]: ...


class View(Protocol):
    """What is looked at."""

    @property
    def extractor(self) -> str:
        """The name of what makes the features."""
        ...

    def prepare(self, images: int) -> None:
        """What need not be done again; the records beyond so many images do not count."""
        ...

    def look(self, state: State) -> tuple[Reading, str]:
        """What there is to read, and one word on the run so far."""
        ...


class Probe:
    """Looks at the averaged generator as often as the time allows."""

    def __init__(
        self, dataset: Dataset, config: Config[Any, Any], records: Sequence[Record] = ()
    ) -> None:
        self._view: View = (
            Pairs(dataset, config) if config.task.name else Samples(dataset, config, records)
        )
        self._is_prepared = False
        self._seconds = self._last = 0.0

    @property
    def extractor(self) -> str:
        """The name of what made the features."""
        return self._view.extractor

    def share(self, seconds: float) -> float:
        """Share that probes have taken of so many seconds of training."""
        return self._seconds / max(seconds, 1e-9)

    def is_affordable(self, seconds: float, *, last: bool = False) -> bool:
        """Whether one more stays within the budget after so many seconds of training.

        The last one is always taken, except in trainings so short that it would be most of them.
        """
        return seconds >= SHORTEST and (last or self._seconds + self._last <= BUDGET * seconds)

    def read(self, state: State) -> tuple[Reading, str]:
        """What is to be read now, and one word on the run so far."""
        began = time.perf_counter()
        if not self._is_prepared:
            self._view.prepare(state.images)
            self._is_prepared = True
        prepared = time.perf_counter()
        found = self._view.look(state)
        ended = time.perf_counter()
        self._seconds, self._last = self._seconds + ended - began, ended - prepared
        return found


class Samples:
    """Samples of always the same seeds, beside real pictures."""

    def __init__(
        self, dataset: Dataset, config: Config[Any, Any], records: Sequence[Record]
    ) -> None:
        self._dataset, self._config, self._records = dataset, config, records
        self._history = list[Moment]()

    @cached_property
    def _network(self) -> Extractor:  # a tenth of a second that trainings without a probe save
        asked = self._config.training
        if asked.features == "random":  # quick enough where its figures are the same on any machine
            return extractor()
        device = pick_device(asked.device, local_rank())
        return extractor(asked.features, asked.features_weights, device)

    @property
    def extractor(self) -> str:
        """The name of what made the features."""
        return self._network.name

    def prepare(self, images: int) -> None:
        """Look at the real pictures."""
        train = self._some(self._dataset.train, MOST_TRAIN)
        held = self._some(self._dataset.held_out, MOST_HELD)
        features = features_of(self._network, train[:MOST_FEATURES])
        self._gauge = Gauge.of(train, held, features, features_of(self._network, held))
        self._history = recorded(self._records, self.extractor, images)

    def look(self, state: State) -> tuple[gauge.Reading, str]:
        """What samples tell now, and one word on the run so far."""
        seeds = range(SEEDS_FROM, SEEDS_FROM + SAMPLES)
        images = np.concatenate(list(generate(self._config, state.ema, seeds, state.device)))
        reading = self._gauge.read(images, self._network(images))
        self._history.append(Moment(state.images, state.seconds / 60, reading.kid))
        return reading, gauge.word(reading, self._history)

    def _some(self, indices: np.ndarray, most: int) -> np.ndarray:
        chosen = rng(0, "probe").permutation(indices)[:most]
        return self._dataset.images[chosen]


class Fidelity(NamedTuple):
    """What a task makes of held-out pictures, beside the truth; means over these."""

    feature_distance: float
    psnr: float
    """In dB."""
    ssim: float
    pictures: int

    error = 0.0
    """They are the same pictures each time, so chance has no part in the comparison."""

    @property
    def rank(self) -> float:
        """The distance in features, which sees blur as people do; PSNR prefers it."""
        return self.feature_distance

    def figures(self) -> dict[str, float]:
        """For the record of a run."""
        return {"feature_distance": self.feature_distance, "psnr": self.psnr, "ssim": self.ssim}

    def sentence(self, extractor: str) -> str:
        """For the card of a generator."""
        return f"""\
At that moment, over {self.pictures} held-out pictures, its distance to the truth was
{self.feature_distance:.3f} in the features of {extractor}, PSNR {self.psnr:.1f} dB, \
SSIM {self.ssim:.3f}."""


class Pairs:
    """What a task makes of held-out pictures, always the same ones."""

    def __init__(self, dataset: Dataset, config: Config[Any, Any]) -> None:
        self._dataset, self._config = dataset, config
        self._maps = perceptual("random")

    @property
    def extractor(self) -> str:
        """The name of what made the features."""
        return self._maps.name

    def prepare(self, images: int) -> None:
        """Derive what is given from the pictures."""
        del images
        self._examples = examples(self._dataset, self._config, MOST_PAIRS)

    @torch.no_grad()
    def look(self, state: State) -> tuple[Fidelity, str]:
        """How near it comes; there is no word for it yet."""
        inputs, truth = self._examples
        maps = self._maps.to(state.device).maps
        rows, start = [], 0
        for made in made_from(state.ema, inputs, state.device):
            real = from_uint8(truth[start : start + len(made)], state.device)
            shown = from_uint8(made, state.device)
            apart = feature_distance(maps(shown), maps(real))
            decibels = psnr(shown, real).clamp_max(MOST_DB)
            rows.append(torch.stack([apart, decibels, ssim(shown, real)]))
            start += len(made)
        means = torch.cat(rows, 1).mean(1).tolist()
        return Fidelity(*means, pictures=len(truth)), ""
