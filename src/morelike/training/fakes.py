"""Samples of a generator that a task is to do well on, beside what it is given of real pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from morelike.config import Config
from morelike.data import Dataset
from morelike.errors import UserError
from morelike.pictures import from_uint8, to_uint8
from morelike.rng import SeedDraws, rng
from morelike.runs import Run
from morelike.sampling import load
from morelike.tasks import Fakes, measured, read_fakes, task_of

CPU = torch.device("cpu")
FAKES, FAKES_FROM = 2_048, 4_000_000
"""So many samples, and their seeds: not those that anybody looks at."""


def fakes_of(config: Config[Any, Any], dataset: Dataset, resumed: Run | None) -> Fakes:
    """Samples of the generator that `task.fakes` names, and how they differ from real inputs; of a
    run that goes on, as they were when it began.

    Raises:
        UserError: if there is no such generator, or its pictures are not as large as the inputs.
    """
    if resumed is not None:
        return read_fakes(resumed.fakes)
    assert config.task.fakes is not None
    generator = load(config.task.fakes)
    scale, shape = config.task.scale, generator.config.data.shape
    channels, height, width = config.data.shape
    wanted = (channels, height // scale, width // scale)
    if shape != wanted:
        raise UserError(
            f"{config.task.fakes} makes pictures of {_spoken(shape)}, and enlarge:{scale} to "
            f"{_spoken(config.data.shape)} begins with {_spoken(wanted)}; set data.resolution="
            f"{scale * shape[1]} and data.channels={shape[0]}."
        )
    samples = generator.sample(range(FAKES_FROM, FAKES_FROM + FAKES))
    clean = config.task.model_copy(update={"degrade": (), "fakes": None})
    task = task_of(config.model_copy(update={"task": clean}))
    assert task is not None
    chosen = np.sort(rng(0, "fakes").permutation(dataset.train)[:FAKES])
    inputs = [
        task.pair(from_uint8(dataset.images[some], CPU), SeedDraws(some.tolist(), CPU)).input
        for some in np.array_split(chosen, max(1, len(chosen) // 32))
    ]
    return measured(samples, to_uint8(torch.cat(inputs)))


def _spoken(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{width} x {height} with {channels} channel{'s' * (channels != 1)}"
