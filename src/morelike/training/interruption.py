"""Ctrl-C and requests to end: noticed between two steps, so that the state can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Which signal, if any, asked to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it: 130 for Ctrl-C."""
        return 128 + (self.signal or 0)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self.signal == signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C: the person does not want to wait
        self.signal = number


@contextmanager
def interruptions() -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into a flag while the block runs, in the main thread."""
    flag = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, flag._notice)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
