"""Randomness that depends on where one is, never on how one got there.

Every random number of training is a function of (seed, images seen, purpose, place in the batch).
So there is no generator state to save, a run that was stopped and resumed draws what the
uninterrupted one draws, and two processes with half a batch each draw what one process draws.
A sample's random numbers are a function of its own seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


def rng(seed: int, *where: int | str) -> np.random.RandomState:
    """The random numbers of one place: `rng(seed, images, "latents")`; same place, same numbers.

    NumPy's RandomState is used because its streams are frozen for good (NEP 19), so that a seed
    gives the same picture with every later version, and because it takes a whole 128-bit key:
    torch's CPU generator keeps 32 bits of its seed, with which two in 100,000 samples are equal.
    """
    sequence = np.random.SeedSequence(_key(seed, *where))
    return np.random.RandomState(np.random.MT19937(sequence))


def quick_rng(seed: int, *where: int | str) -> np.random.RandomState:
    """The same for places from which little is drawn, such as each sample's: other numbers, by
    Philox (Salmon et al. 2011), which begins in a seventh of the time.
    """
    return np.random.RandomState(np.random.Philox(key=_key(seed, *where)))


def _key(seed: int, *where: int | str) -> int:
    """128 bits for a place."""
    key = repr((int(seed), *where)).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "big")


class Draws(Protocol):
    """Random numbers for `count` pictures; row i belongs to picture i alone.

    The same purpose always gives the same numbers, so each use needs a purpose of its own.
    """

    @property
    def count(self) -> int:
        """How many pictures the numbers are for."""
        ...

    @property
    def images(self) -> int:
        """Images seen so far, in training."""
        ...

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal numbers, (count, *shape)."""
        ...

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """Numbers in [0, 1), (count, *shape)."""
        ...


@dataclass(frozen=True)
class StepDraws:
    """The random numbers of one training step, for rows `start` to `stop` of its batch.

    They are drawn for the whole batch and then cut, so that they depend neither on how many
    processes share it nor on how many parts it is worked off in.
    """

    seed: int
    images: int
    update: str
    """Which update of the step: the players never share random numbers."""
    batch: int
    start: int
    stop: int
    device: torch.device
    dtype: torch.dtype = torch.float32

    @property
    def count(self) -> int:
        """Rows of the batch that these draws are for."""
        return self.stop - self.start

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal numbers, (count, *shape)."""
        return self._cut(self._here(purpose).standard_normal((self.batch, *shape)))

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """Numbers in [0, 1), (count, *shape)."""
        return self._cut(_uniform(self._here(purpose), (self.batch, *shape)))

    def _here(self, purpose: str) -> np.random.RandomState:
        return rng(self.seed, self.images, self.update, purpose)

    def _cut(self, whole: np.ndarray) -> Tensor:
        return _tensor(whole[self.start : self.stop], self.device, self.dtype)


@dataclass(frozen=True)
class SeedDraws:
    """The random numbers of samples, each from its own seed."""

    seeds: Sequence[int]
    device: torch.device
    truncation: float | None = None
    """Normal numbers beyond this bound are drawn again until they lie within it (the truncation
    trick of Brock et al. 2019)."""

    images = 0

    @property
    def count(self) -> int:
        """How many seeds there are."""
        return len(self.seeds)

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal numbers, (count, *shape), within the truncation bound if there is one."""
        return self._stack([self._normal(quick_rng(seed, purpose), shape) for seed in self.seeds])

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """Numbers in [0, 1), (count, *shape)."""
        return self._stack([_uniform(quick_rng(seed, purpose), shape) for seed in self.seeds])

    def _normal(self, numbers: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
        values = np.asarray(numbers.standard_normal(shape))
        if self.truncation is None:
            return values
        while (outside := np.abs(values) > self.truncation).any():
            values = np.where(outside, numbers.standard_normal(shape), values)
        return values

    def _stack(self, rows: Sequence[np.ndarray | float]) -> Tensor:
        return _tensor(np.stack(rows), self.device, torch.float32)


def _uniform(numbers: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    # In float32 the largest numbers below 1 would be rounded to 1, which is not in [0, 1).
    return np.minimum(numbers.random_sample(shape), 1 - 2.0**-24)


def _tensor(values: np.ndarray, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(values).float().to(device, dtype)  # MPS takes no float64
