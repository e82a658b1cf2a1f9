"""`--profile`: where the time goes, in the loop, in a step, and in torch's operators."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from morelike.config import Config
from morelike.data import Dataset
from morelike.distributed import World
from morelike.models import family
from morelike.runs import Run
from morelike.training import loop
from morelike.training.clock import Clock
from morelike.training.feed import Feed
from morelike.training.resume import begin, resolve
from morelike.training.state import State
from morelike.training.step import PARTS, step

MINUTES = 0.5
WARM_UP, STEPS, OPERATORS = 3, 10, 15


@dataclass(frozen=True)
class Operator:
    """One of torch's."""

    name: str
    share: float
    """Of the time of a step that it took itself."""
    calls: float
    """In a step."""


@dataclass(frozen=True)
class Profile:
    """Shares of time."""

    device: str
    precision: str
    seconds: float
    """That the loop was watched for."""
    images_per_second: float
    """In that time, all parts together."""
    loop: dict[str, float]
    """The steps, and what is around them."""
    step: dict[str, float]
    """The parts of a step."""
    operators: list[Operator]
    """The dearest."""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def make_profile(config: Config[Any, Any], dataset: Dataset) -> Profile:
    """Train for some time in a folder that is thrown away: the minutes of the configuration, or
    half a minute; then take some steps under torch's profiler, which slows them down.

    Raises:
        UserError, TrainingFailure, Interrupted: as a training does.
    """
    config, device = resolve(config)
    minutes = config.training.minutes or MINUTES
    training = config.training.model_copy(update={"minutes": minutes})
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="morelike-profile-") as folder:
        run = Run(Path(folder))
        short = config.model_copy(update={"training": training})
        begin(run, short, dataset, None, None)
        loop.train(run, short, dataset, clock=clock)
        last = run.metrics()[-1]
    parts, operators = _within_a_step(config, dataset, device)
    seconds = sum(clock.seconds.values())
    return Profile(
        device=str(device),
        precision=config.training.precision,
        seconds=round(seconds, 1),
        images_per_second=round(last["images"] / seconds, 1),
        loop=clock.shares(),
        step=parts,
        operators=operators,
    )


def _within_a_step(
    config: Config[Any, Any], dataset: Dataset, device: torch.device
) -> tuple[dict[str, float], list[Operator]]:
    state, feed = State(config, device), Feed(dataset, config, device)
    chosen, world = family(config.family), World()
    for _ in range(WARM_UP):
        step(state, chosen, config, feed, world)
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        for _ in range(STEPS):
            step(state, chosen, config, feed, world)
    averages = list(profiler.key_averages())
    total = "device_time_total" if on_gpu else "cpu_time_total"
    own = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    parts = {a.key: getattr(a, total) for a in averages if a.key in PARTS}
    whole = sum(parts.values()) or 1.0
    rest = sorted((a for a in averages if a.key not in PARTS), key=lambda a: -getattr(a, own))
    operators = [
        Operator(a.key, getattr(a, own) / whole, a.count / STEPS) for a in rest[:OPERATORS]
    ]
    return {name: parts[name] / whole for name in PARTS if name in parts}, operators
