"""Keeps checkpoints: when to write one, which is the best, and where to go on from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from morelike.config import Config
from morelike.data import Dataset
from morelike.distributed import World
from morelike.errors import UserError
from morelike.runs import Run
from morelike.training import outputs
from morelike.training.probe import Probe
from morelike.training.records import Meter, Reader
from morelike.training.state import State


class Keeper:
    """Saves and restores a state in a run folder."""

    def __init__(
        self,
        run: Run,
        config: Config[Any, Any],
        dataset: Dataset,
        state: State,
        readers: Sequence[Reader],
        world: World,
    ) -> None:
        self._run, self._config, self._state, self._world = run, config, state, world
        self._readers = readers
        self._probe = Probe(dataset, config) if world.is_main else None
        self._next = time.monotonic() + 60 * config.training.checkpoint_minutes

    def restore(self) -> None:
        """Go on from the newest sound checkpoint, and say which newer ones were damaged.

        Raises:
            UserError: if there are checkpoints, but none is sound or none fits.
        """
        checkpoint, complaints = self._run.checkpoints.newest_sound()
        for complaint in complaints:
            self._say(complaint)
        if checkpoint is None:
            if complaints:
                raise UserError(
                    f"no checkpoint in {self._run.checkpoints.path} is usable; start a new run."
                )
            return
        self._state.restore(checkpoint.tensors(), checkpoint.meta())
        if self._state.images:
            self._say(f"going on from {self._state.images} images ({checkpoint.path})")

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint, for all processes alike."""
        return self._world.any(time.monotonic() >= self._next)

    def save(self, meter: Meter) -> None:
        """Write a checkpoint, measure it, and hand on its generator if it is the best so far.

        The distance goes into the meter, and so into the next record.
        """
        if self._probe is not None:
            state, folder = self._state, self._run.checkpoints
            distance = self._probe.distance(state)
            meter.note("distance", distance)
            is_best = state.best is None or distance < state.best
            state.best = distance if is_best else state.best
            meta = {**state.meta(), "distance": distance}
            checkpoint = folder.save(state.images, state.tensors(), meta)
            if is_best:
                folder.point("best", checkpoint)
                outputs.save_generator(self._run, self._run.config(), checkpoint, state.ema)
            folder.prune(self._config.training.keep)
        self._next = time.monotonic() + 60 * self._config.training.checkpoint_minutes

    def _say(self, text: str) -> None:
        for reader in self._readers:
            reader.message(text)
