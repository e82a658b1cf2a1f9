"""The training loop, and around it what makes a run folder of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

from torch import Tensor

from morelike.allocator import memory_kept
from morelike.config import Config
from morelike.data import Dataset
from morelike.distributed import World
from morelike.errors import Interrupted
from morelike.models import family
from morelike.runs import Run
from morelike.training import outputs
from morelike.training.clock import Clock
from morelike.training.failures import explained
from morelike.training.feed import Feed
from morelike.training.fitting import fitted
from morelike.training.interruption import Interruption, interruptions
from morelike.training.keeper import Keeper
from morelike.training.records import Meter, MetricsFile, Reader, TensorBoard
from morelike.training.resume import note_settings, resolve
from morelike.training.session import Session
from morelike.training.state import State
from morelike.training.step import step


def train(
    run: Run,
    config: Config[Any, Any],
    dataset: Dataset,
    readers: Sequence[Reader] = (),
    world: World | None = None,
    clock: Clock | None = None,
) -> None:
    """Train in `run`, from its newest sound checkpoint on, until images or minutes are spent;
    `clock` is told where the time goes.

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
        memory_kept(),
        ExitStack() as closing,
    ):
        config, in_parts = fitted(config, dataset, device, world)
        state = State(config, device)
        session = Session(run, config, dataset, state, world, [*readers], clock or Clock())
        keeper = Keeper(session)
        closing.callback(keeper.close)
        keeper.restore()
        if world.is_main:
            note_settings(run, config)
            seen = session.state.images
            for reader in (MetricsFile(run, seen), TensorBoard(run, seen)):
                closing.callback(reader.close)
                session.readers.append(reader)
        if in_parts:
            session.say(in_parts)
        if dataset.fakes is not None and session.state.images == 0:
            session.say(dataset.fakes.describe())
        loop(session, keeper, interruption)
        if world.is_main:
            outputs.save_summary(run)
    if interruption:
        raise Interrupted(
            f"stopped at {session.state.images} images with everything saved; "
            f"go on with: morelike train --resume {run.path}",
            interruption.exit_code,
        )


def loop(session: Session, keeper: Keeper, interruption: Interruption) -> None:
    """Take steps until the budget is spent or somebody interrupts; show, log and save."""
    state, config, world = session.state, session.config, session.world
    clock = session.clock
    feed, meter = Feed(session.dataset, config, state.device), Meter()
    began = time.perf_counter() - state.seconds
    if state.images == 0:
        outputs.show(session)
        keeper.save(meter)
    elif session.is_spent:
        session.say(_nothing_left(session))
    for metrics in steps(session, feed):
        state.seconds = time.perf_counter() - began
        meter.add(metrics, config.training.batch)
        over = world.any(session.is_spent or bool(interruption))
        with clock("grids and frames"):
            outputs.show(session)
        if over or keeper.is_due():
            with clock("checkpoints"):
                keeper.save(meter, last=over)
            enough = not over and world.any(keeper.has_seen_enough)
            if enough:
                session.say(f"stopping, as asked for: {', '.join(config.training.stop_when)}")
            over = over or enough
        if over or session.step % config.training.log_every == 0 or session.step == 1:
            with clock("records"):
                session.record(meter.take(state.images, session.step, state.seconds))
        if over:
            break


def steps(session: Session, feed: Feed) -> Iterator[dict[str, Tensor]]:
    """Train while there is budget; give each step's numbers."""
    chosen = family(session.config.family)
    while not session.is_spent:
        with session.clock("steps"):
            metrics = step(session.state, chosen, session.config, feed, session.world)
        yield metrics


def _nothing_left(session: Session) -> str:
    budget, state = session.config.training, session.state
    return (
        f"nothing left to do: {state.images} of {budget.images} images shown in "
        f"{state.seconds / 60:.1f} of {budget.minutes or 'any number of'} minutes; "
        "give a larger --images or --minutes to go on."
    )
