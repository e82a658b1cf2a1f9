"""The training's progress bar: one more reader of its records."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from morelike.cli.console import duration

SECONDS_BETWEEN_LINES = 30.0
"""Where there is no terminal, such as in a log file, a line is printed this often."""


class TrainingBar:
    """Images seen, speed, time left, losses, D's mean probabilities, and how the run does."""

    def __init__(self, console: Console, images: int, minutes: float | None) -> None:
        self._console, self._images, self._minutes = console, images, minutes
        self._bar = Progress(
            BarColumn(bar_width=24), TextColumn("{task.description}"), console=console
        )
        self._task = self._bar.add_task("starting", total=1.0)
        self._last, self._next_line, self._word = "", 0.0, ""
        if console.is_terminal:
            self._bar.start()

    def record(self, record: dict[str, Any]) -> None:
        """Show the newest numbers."""
        self._last, done = self._describe(record)
        if self._console.is_terminal:
            self._bar.update(self._task, completed=min(done, 1.0), description=self._last)
        elif time.monotonic() >= self._next_line:
            self._print_last()
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def picture(self, name: str, picture: np.ndarray, images: int) -> None:
        """Not for this reader."""

    def message(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the last numbers standing."""
        if self._console.is_terminal:
            self._bar.stop()
        else:
            self._print_last()

    def _print_last(self) -> None:
        if self._last:
            self.message(self._last)
        self._last = ""

    def _describe(self, record: dict[str, Any]) -> tuple[str, float]:
        """The line for a record, and how much of the budget is used, from 0 to 1."""
        left = (self._images - record["images"]) / max(record["images_per_second"], 1e-9)
        done = record["images"] / self._images
        if self._minutes is not None:
            by_time = self._minutes * 60 - record["seconds"]
            if by_time < left:
                left, done = by_time, record["seconds"] / (self._minutes * 60)
        text = (
            f"{record['images']:,} images  {record['images_per_second']:.0f}/s  "
            f"ETA {duration(max(left, 0))}  loss"
        )
        for letter, key in (("D", "loss_discriminator"), ("G", "loss_generator")):
            if key in record:  # the naive baseline has no D
                text += f" {letter} {record[key]:.2f}"
        self._word = record.get("verdict", self._word)
        if "probability_real" in record:
            text += f"  D(real) {record['probability_real']:.2f}"
            text += f" D(fake) {record['probability_fake']:.2f}"
        return f"{text}  {self._word}".rstrip(), done
