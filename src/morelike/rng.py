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

import torch
from torch import Tensor


def rng(seed: int, *where: int | str) -> torch.Generator:
    """A CPU generator for one place: `rng(seed, images, "latents")`; same place, same numbers."""
    key = repr((seed, *where)).encode()
    digest = hashlib.blake2b(key, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


class Draws(Protocol):
    """Random numbers for `count` pictures; row i belongs to picture i alone.

    The same purpose always gives the same numbers, so each use needs a purpose of its own.
    """

    @property
    def count(self) -> int:
        """How many pictures the numbers are for."""
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
        generator = rng(self.seed, self.images, self.update, purpose)
        return self._cut(torch.randn(self.batch, *shape, generator=generator))

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """Numbers in [0, 1), (count, *shape)."""
        generator = rng(self.seed, self.images, self.update, purpose)
        return self._cut(torch.rand(self.batch, *shape, generator=generator))

    def _cut(self, whole: Tensor) -> Tensor:
        return whole[self.start : self.stop].to(self.device, self.dtype)


@dataclass(frozen=True)
class SeedDraws:
    """The random numbers of samples, each from its own seed."""

    seeds: Sequence[int]
    device: torch.device
    truncation: float | None = None
    """Normal numbers beyond this bound are drawn again until they lie within it (the truncation
    trick of Brock et al. 2019)."""

    @property
    def count(self) -> int:
        """How many seeds there are."""
        return len(self.seeds)

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal numbers, (count, *shape), within the truncation bound if there is one."""
        return self._stack([self._normal(rng(seed, purpose), shape) for seed in self.seeds])

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """Numbers in [0, 1), (count, *shape)."""
        rows = [torch.rand(*shape, generator=rng(seed, purpose)) for seed in self.seeds]
        return self._stack(rows)

    def _normal(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        values = torch.randn(*shape, generator=generator)
        if self.truncation is None:
            return values
        outside = values.abs() > self.truncation
        while outside.any():
            values[outside] = torch.randn(int(outside.sum()), generator=generator)
            outside = values.abs() > self.truncation
        return values

    def _stack(self, rows: list[Tensor]) -> Tensor:
        return torch.stack(rows).to(self.device)
