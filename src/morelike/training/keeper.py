"""Keeps checkpoints: when to write one, which is the best, and where to go on from."""

from __future__ import annotations

import time

from morelike.errors import UserError
from morelike.training import outputs
from morelike.training.probe import Probe
from morelike.training.records import Meter
from morelike.training.session import Session


class Keeper:
    """Saves and restores a session's state in its run folder."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folder = session.run.checkpoints
        self._probe = Probe(session.dataset, session.config) if session.world.is_main else None
        self._wait()

    def _wait(self) -> None:
        self._next = time.monotonic() + 60 * self._session.config.training.checkpoint_minutes

    def restore(self) -> None:
        """Go on from the newest sound checkpoint, and say which newer ones were damaged.

        Raises:
            UserError: if there are checkpoints, but none is sound or none fits.
        """
        checkpoint, complaints = self._folder.newest_sound()
        for complaint in complaints:
            self._session.say(complaint)
        if checkpoint is None:
            if complaints:
                raise UserError(f"no checkpoint in {self._folder.path} is usable; start a new run.")
            return
        self._session.state.restore(checkpoint.tensors(), checkpoint.meta())
        if checkpoint.images:
            self._session.say(f"going on from {checkpoint.images} images ({checkpoint.path})")

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint, for all processes alike."""
        return self._session.world.any(time.monotonic() >= self._next)

    def save(self, meter: Meter) -> None:
        """Write a checkpoint, measure it, and hand on its generator if it is the best so far.

        The distance goes into the meter, and so into the next record.
        """
        if self._probe is not None:
            state = self._session.state
            distance = self._probe.distance(state)
            meter.note("distance", distance)
            is_best = state.best is None or distance < state.best
            state.best = distance if is_best else state.best
            meta = {**state.meta(), "distance": distance}
            checkpoint = self._folder.save(state.images, state.tensors(), meta)
            if is_best:
                self._folder.point("best", checkpoint)
                outputs.save_generator(self._session, checkpoint)
            self._folder.prune(self._session.config.training.keep)
        self._wait()
