"""Held-out pictures and what a task makes them from, to show and to measure on while training."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.config import Config
from morelike.data import Dataset
from morelike.pictures import from_uint8, to_uint8
from morelike.rng import SeedDraws, rng
from morelike.tasks import task_of

CHUNK = 16


class Examples(NamedTuple):
    """Whole pictures, always the same ones."""

    inputs: Tensor
    """(N, c, h, w) in [-1, 1], on the CPU."""
    truth: np.ndarray
    """(N, H, W, C) uint8."""


def examples(dataset: Dataset, config: Config[Any, Any], most: int) -> Examples:
    """Up to so many held-out pictures; training pictures if none are held out. Picture i takes the
    random numbers of seed i.
    """
    task = task_of(config, dataset.fakes)
    assert task is not None, "only a task has examples"
    places = dataset.held_out if len(dataset.held_out) else dataset.train
    chosen = np.sort(rng(0, "examples").permutation(places)[:most])
    inputs, truth = [], []
    for start in range(0, len(chosen), CHUNK):
        some = from_uint8(dataset.images[chosen[start : start + CHUNK]], torch.device("cpu"))
        pair = task.pair(some, SeedDraws(range(start, start + len(some)), some.device))
        inputs.append(pair.input)
        truth.append(to_uint8(pair.target))
    return Examples(torch.cat(inputs), np.concatenate(truth))
