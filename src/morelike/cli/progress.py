"""The training's progress bar: one more reader of its records."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from morelike.cli.console import duration


class TrainingBar:
    """Images seen, speed, time left, both losses, D's mean probability on real and fake."""

    def __init__(self, console: Console, images: int, minutes: float | None) -> None:
        self._console, self._images, self._minutes = console, images, minutes
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=console,
            expand=False,
        )
        self._task = self._bar.add_task("starting", total=1.0)
        if console.is_terminal:  # elsewhere only its last state shows, and only if there is one
            self._bar.start()

    def record(self, record: dict[str, Any]) -> None:
        """Show the newest numbers."""
        left = (self._images - record["images"]) / max(record["images_per_second"], 1e-9)
        done = record["images"] / self._images
        if self._minutes is not None:
            by_time = self._minutes * 60 - record["seconds"]
            if by_time < left:
                left, done = by_time, record["seconds"] / (self._minutes * 60)
        text = (
            f"{record['images']:,} images  {record['images_per_second']:.0f}/s  "
            f"ETA {duration(max(left, 0))}  "
            f"loss D {record.get('loss_discriminator', 0):.2f} "
            f"G {record.get('loss_generator', 0):.2f}"
        )
        if "probability_real" in record:
            text += f"  D(real) {record['probability_real']:.2f}"
            text += f" D(fake) {record['probability_fake']:.2f}"
        self._bar.start()
        self._bar.update(self._task, completed=min(done, 1.0), description=text)

    def picture(self, name: str, picture: np.ndarray, images: int) -> None:
        """Not for this reader."""

    def message(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the last state of the bar standing."""
        if self._bar.live.is_started:
            self._bar.stop()
