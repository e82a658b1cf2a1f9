"""In how many parts a batch is taken, so that a step fits the memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from morelike.config import Config
from morelike.data import Dataset
from morelike.distributed import World
from morelike.models import family
from morelike.training.failures import largest_that_fits, try_step
from morelike.training.feed import Feed
from morelike.training.memory import free_bytes
from morelike.training.state import State
from morelike.training.step import step

TRIED = 4
"""Pictures of the batch from which the memory of one is found."""
AT_PEAK = 1.25
"""Times what both updates of a step keep for gradients. Measured: .6 to 1.25, in eight trainings of
five families."""
AMPLE = 4096
"""Bytes for each value of a picture that no network here takes: measured, 80 to 280. With so much
memory, nothing needs to be weighed."""
COPIES = 3
"""Of the weights: their gradients, a checkpoint on its way, and its copy while it is written."""
MOST = 0.8
"""Share of the free memory that may be taken."""


def fitted(
    config: Config[Any, Any], dataset: Dataset, device: torch.device, world: World
) -> tuple[Config[Any, Any], str]:
    """The configuration with a number where `training.accumulation` is auto; and a sentence for the
    person who gets less than the whole batch at once, else nothing.

    On a GPU steps are tried, with ever smaller parts. Elsewhere the system would rather end the
    program than say no, so a step of a few pictures is weighed.
    """
    batch = config.training.batch
    if config.training.accumulation != "auto":
        return config, ""
    if world.size > 1:  # all would have to agree
        return _taken(config, 1)
    if device.type == "cuda":
        largest = largest_that_fits(config, lambda part: try_step(part, dataset, device), batch)
        # Where nothing fits, training says so.
        return _taken(config, -(-batch // largest) if largest else 1)
    free = free_bytes()
    values = batch * math.prod(config.data.shape)
    if free is None or values * AMPLE < MOST * free:
        return _taken(config, 1)
    state, each = needed_bytes(config, dataset, device)
    parts = 1
    while parts < batch and state + each * -(-batch // parts) > MOST * free:
        parts *= 2
    return _taken(config, parts)


def _taken(config: Config[Any, Any], parts: int) -> tuple[Config[Any, Any], str]:
    batch = config.training.batch
    parts = next(n for n in range(min(parts, batch), batch + 1) if batch % n == 0)
    training = config.training.model_copy(update={"accumulation": parts})
    said = f"each batch of {batch} is taken in {parts} parts, to fit the memory that is free"
    return config.model_copy(update={"training": training}), said if parts > 1 else ""


def needed_bytes(
    config: Config[Any, Any], dataset: Dataset, device: torch.device
) -> tuple[float, float]:
    """What the state of a training takes, and what each picture of a part of the batch adds."""
    rows = min(TRIED, config.training.batch)
    training = config.training.model_copy(update={"batch": rows, "accumulation": 1})
    config = config.model_copy(update={"training": training})
    state = State(config, device)
    kept = _Kept()
    with saved_tensors_hooks(kept.add, lambda tensor: tensor):
        step(state, family(config.family), config, Feed(dataset, config, device), World())
    weights = sum(parameter.nbytes for n in state.networks for parameter in n.parameters())
    everything = sum(tensor.nbytes for tensor in state.tensors().values())
    return everything + COPIES * weights, AT_PEAK * kept.bytes / rows


class _Kept:
    """Counts what is kept for the gradients of a step, each piece of memory once."""

    def __init__(self) -> None:
        self._pieces: dict[int, torch.UntypedStorage] = {}  # held, so that none is used again

    def add(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if not tensor.is_leaf:
            self._pieces[storage.data_ptr()] = storage
        return tensor

    @property
    def bytes(self) -> int:
        """In all pieces."""
        return sum(piece.nbytes() for piece in self._pieces.values())
