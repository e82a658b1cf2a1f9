"""What a training would do and cost, found out before it begins."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from morelike.config import Config, PenaltyConfig
from morelike.data import Dataset
from morelike.distributed import World
from morelike.models import family
from morelike.rng import StepDraws
from morelike.training.feed import Feed
from morelike.training.resume import resolve
from morelike.training.state import State
from morelike.training.step import step

WARM_UP, MEASURED = 2, 3


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
    generator_parameters: int
    discriminator_parameters: int
    generator_gflop: float
    """Of one forward pass for one picture; a multiplication and an addition count as two."""
    discriminator_gflop: float
    memory_mib: float
    """Estimate for weights, gradients, optimizer, average, activations and resident pictures."""
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
    # What a usual step takes: the long ones of the beginning are few.
    usual = config.training.model_copy(update={"discriminator_burst": 0})
    config = config.model_copy(update={"training": usual})
    chosen, training = family(config.family), config.training
    state = State(config, device)
    feed = Feed(dataset, config, device)
    one = StepDraws(0, 0, "plan", 1, 0, 1, device, state.dtype)
    inputs = chosen.inputs(config, one)
    picture = feed.batch(0, one)
    saved = _SavedBytes()
    with saved:
        step(state, chosen, config, feed, World())
    for _ in range(WARM_UP - 1):
        step(state, chosen, config, feed, World())
    _wait(device)
    began = time.perf_counter()
    for _ in range(MEASURED):
        step(state, chosen, config, feed, World())
    _wait(device)
    speed = MEASURED * training.batch / (time.perf_counter() - began)
    fixed = sum(t.numel() * t.element_size() for t in state.tensors().values())
    fixed += sum(p.numel() * p.element_size() for n in state.networks for p in n.parameters())
    pictures = dataset.images[0].nbytes * len(dataset.train)
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
        generator_parameters=_count(state.networks.generator),
        discriminator_parameters=_count(state.networks.discriminator),
        generator_gflop=_gflop(state.networks.generator, *inputs),
        discriminator_gflop=_gflop(state.networks.discriminator, picture),
        memory_mib=round((fixed + saved.peak + pictures) / 2**20, 1),
        images_per_second=round(speed, 1),
        images=images,
        seconds=round(images / speed, 1),
        penalties=_penalties(config.penalty),
        why=why,
    )


def _penalties(settings: PenaltyConfig) -> dict[str, float]:
    if not settings.of_gradients:
        return {}
    weights = settings.model_dump(include={"r1", "r2", "one_centered", "zero_centered", "every"})
    return {name: value for name, value in weights.items() if value}


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def _gflop(network: nn.Module, *inputs: torch.Tensor) -> float:
    counter = FlopCounterMode(display=False)
    network.eval()
    with counter:
        network(*inputs)
    network.train()
    return round(counter.get_total_flops() / 1e9, 4)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _SavedBytes(torch.autograd.graph.saved_tensors_hooks):
    """Measures the largest amount that autograd keeps for the backward passes at any moment."""

    def __init__(self) -> None:
        self.peak = 0
        self._held: dict[int, tuple[int, int]] = {}
        self._now = 0
        super().__init__(self._pack, self._unpack)

    def _pack(self, tensor: torch.Tensor) -> tuple[torch.Tensor, _Ticket]:
        storage = tensor.untyped_storage()
        return tensor, _Ticket(self, storage.data_ptr(), storage.nbytes())

    def _unpack(self, packed: tuple[torch.Tensor, _Ticket]) -> torch.Tensor:
        return packed[0]

    def take(self, address: int, size: int) -> None:
        held, _ = self._held.get(address, (0, size))
        self._held[address] = (held + 1, size)
        if not held:
            self._now += size
            self.peak = max(self.peak, self._now)

    def give(self, address: int) -> None:
        held, size = self._held.pop(address)
        if held > 1:
            self._held[address] = (held - 1, size)
        else:
            self._now -= size


class _Ticket:
    """Counts a saved tensor for as long as autograd holds it; shared storage counts once."""

    def __init__(self, meter: _SavedBytes, address: int, size: int) -> None:
        self._meter, self._address = meter, address
        meter.take(address, size)

    def __del__(self) -> None:
        self._meter.give(self._address)
