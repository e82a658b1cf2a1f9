"""Keeps checkpoints: when to write one, which is the best, and where to go on from."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

from torch import Tensor

from morelike.errors import UserError
from morelike.training import outputs
from morelike.training.background import Background
from morelike.training.probe import Probe, Reading
from morelike.training.records import Meter
from morelike.training.session import Session

TWICE = 2
"""So many readings in a row must say it before a run is ended for it."""


class Keeper:
    """Saves and restores a session's state in its run folder."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folder = session.run.checkpoints
        self._probe: Probe | None = None
        self._extractor: str | None = None
        self._words: list[str] = []
        self._background = Background()
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

    @property
    def has_seen_enough(self) -> bool:
        """Whether the last readings say what `training.stop_when` waits for."""
        wanted = {word.upper() for word in self._session.config.training.stop_when}
        last = self._words[-TWICE:]
        return len(last) == TWICE and all(word in wanted for word in last)

    def save(self, meter: Meter, *, last: bool = False) -> None:
        """Write a checkpoint, read off how the run does if that is affordable, and hand on its
        generator if it is the best so far.

        It is written in the background, from a copy; the last one is there when this returns. What
        was read goes into the meter, and so into the next record.

        Args:
            meter: of the next record.
            last: whether this is the last one, which is nearly always read.

        Raises:
            OSError: if this one, or the one before, cannot be written.
        """
        if self._session.world.is_main:
            state = self._session.state
            reading = self._read(meter, last)
            is_best = self._is_best(reading)
            measured = reading.sentence(str(self._extractor)) if reading else None
            meta = {**state.meta(), **(reading._asdict() if reading else {})}
            self._background.wait()  # so that there are never more copies in memory than this one
            tensors = {n: t.detach().to("cpu", copy=True) for n, t in state.tensors().items()}
            write = partial(self._write, state.images, tensors, meta, is_best, measured)
            self._background.do(write)
            if last:
                self._background.wait()
        self._wait()

    def close(self) -> None:
        """Wait until what was begun is written."""
        self._background.close()

    def _write(
        self,
        images: int,
        tensors: dict[str, Tensor],
        meta: dict[str, Any],
        is_best: bool,
        measured: str | None,
    ) -> None:
        """Runs beside the training, so it looks at nothing that a step changes."""
        checkpoint = self._folder.save(images, tensors, meta)
        if is_best:
            self._folder.point("best", checkpoint)
            averaged = {
                n.removeprefix("ema."): t for n, t in tensors.items() if n.startswith("ema.")
            }
            outputs.save_generator(self._session.run, averaged, checkpoint, measured)
        settings = self._session.config.training
        self._folder.prune(settings.keep, settings.history)

    def _read(self, meter: Meter, last: bool) -> Reading | None:
        session = self._session
        if self._probe is None:
            records = session.run.metrics()
            self._probe = Probe(session.dataset, session.config, records)
            by = [str(record["extractor"]) for record in records if "extractor" in record]
            self._extractor = by[-1] if by else None
        state, probe = session.state, self._probe
        if not probe.is_affordable(state.seconds, last=last):
            return None
        with session.clock("probes"):
            reading, word = probe.read(state)
        if self._extractor not in (None, probe.extractor):
            state.best = None  # figures of two extractors do not compare
        self._extractor = probe.extractor
        self._words.append(word)
        about = {"probe_share": probe.share(state.seconds), "extractor": probe.extractor}
        for name, value in {**reading.figures(), **about, "verdict": word}.items():
            meter.note(name, value)
        return reading

    def _is_best(self, reading: Reading | None) -> bool:
        """Whether it is within one standard error of the lowest rank so far, which is KID's.

        The rule of Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3: of
        those that figures cannot tell apart the one that was trained longest, not the luckiest.
        """
        state = self._session.state
        if reading is None:  # until one has been measured, the newest is
            return state.best is None
        most = math.inf if state.best is None else state.best
        state.best = min(most, reading.rank + reading.error)
        return reading.rank <= most
