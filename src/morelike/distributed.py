"""Several processes under torchrun, one per device; one process is the same code with size 1."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist

from morelike.errors import UserError


@dataclass(frozen=True)
class World:
    """This process's place among all that train together."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and talks to the person."""
        return self.rank == 0

    def rows(self, batch: int) -> range:
        """Which rows of a batch this process works on.

        Raises:
            UserError: if the batch does not divide evenly.
        """
        if batch % self.size:
            raise UserError(
                f"batch {batch} does not divide among {self.size} processes; "
                f"set training.batch to a multiple of {self.size}."
            )
        share = batch // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, in one flat all-reduce."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        parts = flat.split([g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def average(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The mean of each scalar over the processes, which must all name the same ones."""
        if self.size == 1 or not values:
            return values
        flat = torch.stack([value.detach() for value in values.values()])
        dist.all_reduce(flat)
        return dict(zip(values, flat / self.size, strict=True))

    def share_text(self, text: str) -> str:
        """Rank 0's text, in every process."""
        if self.size == 1:
            return text
        data = torch.tensor(list(text.encode()), dtype=torch.uint8, device=_device())
        length = torch.tensor(len(data), device=_device())
        dist.broadcast(length, src=0)
        if not self.is_main:
            data = torch.zeros(int(length.item()), dtype=torch.uint8, device=_device())
        dist.broadcast(data, src=0)
        return bytes(data.tolist()).decode()

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; all get the same answer."""
        if self.size == 1:
            return flag
        flags = torch.tensor(int(flag), device=_device())
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return bool(flags.item())


def _device() -> torch.device:
    on_gpu = dist.get_backend() == "nccl"
    return torch.device("cuda", local_rank()) if on_gpu else torch.device("cpu")


@contextmanager
def world() -> Iterator[World]:
    """Join the processes that torchrun started, or be the only one, for the block's duration."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size())
        dist.barrier()  # rank 0 still writes; who leaves before it may be torn down with it
    finally:
        dist.destroy_process_group()


def local_rank() -> int:
    """Which device of this machine belongs to this process."""
    return int(os.environ.get("LOCAL_RANK", "0"))
