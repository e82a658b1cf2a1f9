"""The training loop, and around it what makes a run folder of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

from torch import Tensor

from morelike.config import Config
from morelike.data import Dataset
from morelike.distributed import World
from morelike.errors import Interrupted
from morelike.models import Family, family
from morelike.runs import Run
from morelike.training import outputs
from morelike.training.failures import explained
from morelike.training.feed import Feed
from morelike.training.interruption import Interruption, interruptions
from morelike.training.keeper import Keeper
from morelike.training.records import Meter, MetricsFile, Reader, TensorBoard
from morelike.training.resume import resolve
from morelike.training.schedule import is_frame, is_milestone
from morelike.training.state import State
from morelike.training.step import step


def steps(
    state: State, family: Family, config: Config[Any, Any], feed: Feed, world: World
) -> Iterator[dict[str, Tensor]]:
    """Train until the configured number of pictures was shown; give each step's numbers."""
    while state.images < config.training.images:
        yield step(state, family, config, feed, world)


def train(
    run: Run,
    config: Config[Any, Any],
    dataset: Dataset,
    readers: Sequence[Reader] = (),
    world: World | None = None,
) -> None:
    """Train in `run`, from its newest sound checkpoint on, until images or minutes are spent.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with the state saved.
        TrainingFailure: if a loss is not finite, or memory or disk is full; checkpoints stay.
        UserError: if another process trains in this folder.
    """
    world = world or World()
    config, device = resolve(config)
    with (
        run.locked() if world.is_main else nullcontext(),
        interruptions() as interruption,
        explained(run, config, dataset, device),
        ExitStack() as closing,
    ):
        state = State(config, device)
        keeper = Keeper(run, config, dataset, state, readers, world)
        keeper.restore()
        listeners = [*readers]
        if world.is_main:
            for listener in (MetricsFile(run, state.images), TensorBoard(run, state.images)):
                closing.callback(listener.close)
                listeners.append(listener)
        _train(run, config, dataset, state, keeper, listeners, world, interruption)
    if world.is_main:
        outputs.save_summary(run)
    if interruption:
        raise Interrupted(
            f"stopped at {state.images} images with everything saved; "
            f"go on with: morelike train --resume {run.path}",
            interruption.exit_code,
        )


def _train(
    run: Run,
    config: Config[Any, Any],
    dataset: Dataset,
    state: State,
    keeper: Keeper,
    listeners: Sequence[Reader],
    world: World,
    interruption: Interruption,
) -> None:
    settings = config.training
    feed, meter = Feed(dataset, config, state.device), Meter()
    began = time.perf_counter() - state.seconds
    if state.images == 0:
        _show(run, config, dataset, state, listeners, world)
        keeper.save(meter)
    for metrics in steps(state, family(config.family), config, feed, world):
        state.seconds = time.perf_counter() - began
        meter.add(metrics, settings.batch)
        number = state.images // settings.batch
        late = settings.minutes is not None and state.seconds >= settings.minutes * 60
        over = world.any(late or bool(interruption)) or state.images >= settings.images
        _show(run, config, dataset, state, listeners, world)
        if over or keeper.is_due():
            keeper.save(meter)
        if over or number % settings.log_every == 0 or number == 1:
            record = meter.take(state.images, number, state.seconds)
            for listener in listeners:
                listener.record(record)
        if over:
            break


def _show(
    run: Run,
    config: Config[Any, Any],
    dataset: Dataset,
    state: State,
    listeners: Sequence[Reader],
    world: World,
) -> None:
    """Save the pictures that are due after this step."""
    number = state.images // config.training.batch
    if world.is_main and is_frame(number):
        outputs.save_frame(run, config, state, number)
    if world.is_main and is_milestone(number):
        outputs.save_milestone(run, config, dataset, state, number, listeners)
