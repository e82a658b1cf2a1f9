"""How far the averaged generator is from real pictures: cheap enough to ask at every checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.config import Config
from morelike.data import Dataset
from morelike.metrics.sliced_wasserstein import sliced_wasserstein
from morelike.rng import rng
from morelike.sampling import generate
from morelike.training.state import State

MOST = 256
SEEDS_FROM = 1_000_000
"""Seeds of the probe's samples: not those that the grids show."""


class Probe:
    """Sliced Wasserstein distance of samples to the training pictures.

    It is measured to the training pictures because a small set holds out too few (8 of 67) for a
    steady figure; so it cannot see copying, and it says nothing about it.
    """

    def __init__(self, dataset: Dataset, config: Config[Any, Any]) -> None:
        chosen = rng(0, "probe").permutation(dataset.train)[:MOST]
        self._real = _as_tensor(dataset.images[np.sort(chosen)])
        self._config = config

    def distance(self, state: State) -> float:
        """The distance x 1000 (see `metrics/sliced_wasserstein.py`); lower is better."""
        seeds = range(SEEDS_FROM, SEEDS_FROM + len(self._real))
        made = generate(self._config, state.ema, seeds, state.device)
        fake = torch.cat([_as_tensor(chunk) for chunk in made])
        return sliced_wasserstein(self._real, fake, rng(0, "probe patches"))


def _as_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
