"""Batches of real pictures, and what they show or are made from, on the training device."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.conditions import encoded
from morelike.config import Config
from morelike.data import Dataset
from morelike.data.sampler import indices
from morelike.rng import StepDraws
from morelike.tasks import task_of, unpaired

RESIDENT_SHARE = 0.3
"""Pictures stay on the device as uint8 if they take at most this share of its free memory."""
CPU_RESIDENT_BYTES = 2**29
"""On a CPU more than that is read through the file's map: the system keeps what it has room for,
and a copy beside it would only take room away."""


class Shown(NamedTuple):
    """What a batch is made from, apart from chance."""

    real: Tensor
    """(B, C, H, W) in [-1, 1]"""
    condition: Tensor
    """(B, K), what the pictures show; with a task (B, c, h, w), what they are to be made from."""
    unpaired: Tensor | None = None
    """(B, c, h, w), samples of a generator, where the task is to do well on these."""


class Feed:
    """The training pictures, looked up by how many were shown before."""

    def __init__(self, dataset: Dataset, config: Config[Any, Any], device: torch.device) -> None:
        self.device = device
        self.seed = config.training.seed
        assert config.data.mirror != "auto", "mirroring is settled by the pictures"
        self.mirror = config.data.mirror
        self._images, self._train = dataset.images, dataset.train
        self._crop, self._fakes = config.task.crop, dataset.fakes if config.task.fakes else None
        self._task = task_of(config, self._fakes)
        size = self._images[0].nbytes * len(self._train)
        self._resident: Tensor | None = None
        if size <= _room(device):
            self._resident = torch.from_numpy(self._images[self._train]).to(device)
        shown = [dataset.manifest[i] for i in self._train] if config.condition.size else []
        self._conditions = torch.from_numpy(encoded(config.condition, shown)).to(device)

    def __len__(self) -> int:
        return len(self._train)

    def shown(self, start: int, draws: StepDraws) -> Shown:
        """The rows that `draws` is for, of the batch that begins after `start` pictures were shown,
        and what they show; with a task cut out of them, and with what they are to be made from.
        """
        pictures = self.batch(start, draws)
        if self._task is None:
            return Shown(pictures, self.condition(start, draws))
        pair = self._task.pair(pictures, draws, self._crop)
        more = self._fakes and unpaired(self._fakes, draws, self._crop and pair.input.shape[-1])
        return Shown(pair.target, pair.input, more)

    def batch(self, start: int, draws: StepDraws) -> Tensor:
        """The rows that `draws` is for, of the batch that begins after `start` pictures were shown.

        Returns:
            (draws.count, C, H, W) in [-1, 1], channels last in memory.
        """
        chosen = indices(len(self), start, draws.batch, self.seed)[draws.start : draws.stop]
        pictures = self._take(chosen).permute(0, 3, 1, 2).to(draws.dtype).div_(127.5).sub_(1)
        if not self.mirror:
            return pictures
        flipped = (draws.uniform("mirror") < 0.5)[:, None, None, None]
        # Of pictures joined to a pair, each by itself.
        parts = pictures.unflatten(3, (2 if self._task and self._task.halves else 1, -1))
        mirrored = torch.where(flipped, parts.flip(4).flatten(3), pictures)
        return mirrored.contiguous(memory_format=torch.channels_last)

    def condition(self, start: int, draws: StepDraws) -> Tensor:
        """What the pictures of `batch` show: (draws.count, K), with K = 0 where nobody asks."""
        if not self._conditions.shape[1]:
            return self._conditions.new_zeros((draws.count, 0), dtype=draws.dtype)
        chosen = indices(len(self), start, draws.batch, self.seed)[draws.start : draws.stop]
        return self._conditions[torch.from_numpy(chosen).to(self.device)].to(draws.dtype)

    def _take(self, chosen: np.ndarray) -> Tensor:
        if self._resident is not None:
            return self._resident[torch.from_numpy(chosen).to(self.device)]
        taken = torch.from_numpy(self._images[self._train[chosen]])
        if self.device.type == "cuda":
            return taken.pin_memory().to(self.device, non_blocking=True)
        return taken.to(self.device)


def _room(device: torch.device) -> float:
    if device.type == "cuda":
        return RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
    return CPU_RESIDENT_BYTES
