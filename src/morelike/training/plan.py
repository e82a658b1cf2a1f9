"""What a training would do and cost, found out before it begins."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from morelike.allocator import memory_kept
from morelike.config import Config, PenaltyConfig
from morelike.data import Dataset
from morelike.distributed import World
from morelike.models import family
from morelike.rng import StepDraws
from morelike.training.feed import Feed
from morelike.training.fitting import fitted
from morelike.training.memory import peak
from morelike.training.resume import resolve
from morelike.training.state import State
from morelike.training.step import step

WARM_UP, MEASURED = 2, 3
AROUND_MIB = 220
"""What plots, TensorBoard, video and probes take besides, as measured on Linux."""


@dataclass(frozen=True)
class Plan:
    """Figures for `--dry-run`."""

    source: str
    pictures_train: int
    pictures_held_out: int
    duplicates: int
    rejected: int
    device: str
    precision: str
    batch: int
    generator_parameters: int
    discriminator_parameters: int
    generator_gflop: float
    """Of one forward pass for one picture; a multiplication and an addition count as two."""
    discriminator_gflop: float
    memory_mib: float
    """At the peak: measured over the same steps, and what a checkpoint and the plots add. Of a GPU,
    what its tensors take; else all that the process does, Python and torch included."""
    parts: int
    """In how many each batch is taken, to fit the memory that is free."""
    images_per_second: float
    """Measured over a few steps."""
    images: int
    """How many will have been shown at the end."""
    seconds: float
    """Until then."""
    penalties: dict[str, float]
    """The weights of those on D's gradient, and in which steps (`every`); empty without any."""
    why: str | None
    """One paragraph, where the recipe was chosen for the pictures."""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def make_plan(config: Config[Any, Any], dataset: Dataset, why: str | None = None) -> Plan:
    """Build the networks, take a few steps on the data, and throw the result away. `why`: that
    configuration, where it was chosen for the pictures.

    Raises:
        UserError: if the device is not there.
    """
    config, device = resolve(config)
    config, _ = fitted(config, dataset, device, World())
    # What a usual step takes: the long ones of the beginning are few.
    usual = config.training.model_copy(update={"discriminator_burst": 0})
    config = config.model_copy(update={"training": usual})
    chosen, training = family(config.family), config.training
    with memory_kept(), peak(device) as memory:
        state = State(config, device)
        feed = Feed(dataset, config, device)
        speed = _speed(state, config, feed)
    most = memory.mib
    if device.type != "cuda":
        copied = sum(tensor.nbytes for tensor in state.tensors().values())
        most += copied / 2**20 + AROUND_MIB
    one = StepDraws(0, 0, "plan", 1, 0, 1, device, state.dtype)
    shown = feed.shown(0, one)
    given = shown.condition if config.task.name else None
    inputs = chosen.inputs(config, one, given)
    beside = {} if given is None else {"condition": given}
    by_time = training.minutes * 60 * speed if training.minutes else float("inf")
    images = int(min(training.images, by_time))
    return Plan(
        source=dataset.source,
        pictures_train=len(dataset.train),
        pictures_held_out=len(dataset.held_out),
        duplicates=dataset.info["duplicates"],
        rejected=len(dataset.rejected),
        device=str(device),
        precision=training.precision,
        batch=training.batch,
        generator_parameters=_count(state.networks.generator),
        discriminator_parameters=_count(state.networks.discriminator),
        generator_gflop=_gflop(state.networks.generator, *inputs),
        discriminator_gflop=_gflop(state.networks.discriminator, shown.real, **beside),
        memory_mib=round(most, 1),
        parts=training.parts,
        images_per_second=float(f"{speed:.3g}"),
        images=images,
        seconds=round(images / speed, 1),
        penalties=_penalties(config.penalty),
        why=why,
    )


def _speed(state: State, config: Config[Any, Any], feed: Feed) -> float:
    """Pictures a second, over a few steps."""
    chosen, device = family(config.family), state.device
    for _ in range(WARM_UP):
        step(state, chosen, config, feed, World())
    _wait(device)
    began = time.perf_counter()
    for _ in range(MEASURED):
        step(state, chosen, config, feed, World())
    _wait(device)
    return MEASURED * config.training.batch / (time.perf_counter() - began)


def _penalties(settings: PenaltyConfig) -> dict[str, float]:
    if not settings.of_gradients:
        return {}
    weights = settings.model_dump(include={"r1", "r2", "one_centered", "zero_centered", "every"})
    return {name: value for name, value in weights.items() if value}


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def _gflop(network: nn.Module, *inputs: torch.Tensor, **beside: torch.Tensor) -> float:
    counter = FlopCounterMode(display=False)
    # It asks whatever needs a gradient for the function that made it, also where none is kept.
    network.requires_grad_(False).eval()
    with counter:
        network(*inputs, **beside)
    network.train()
    return round(counter.get_total_flops() / 1e9, 4)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
