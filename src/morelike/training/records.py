"""The records of a training, and those who read them: metrics.jsonl and TensorBoard.

The terminal's progress bar (`cli/progress.py`) is one more reader.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from morelike import files
from morelike.runs import Run

Record = dict[str, Any]
"""Always `images`, `step`, `seconds`, `images_per_second`; then the step's metrics, and what a
probe read, with the words `verdict` and `extractor`."""


class Reader(Protocol):
    """Somebody who wants to know how the training goes."""

    def record(self, record: Record) -> None:
        """Take the numbers since the last record."""
        ...

    def picture(self, name: str, picture: np.ndarray, images: int) -> None:
        """Take a picture, (H, W, 3) uint8."""
        ...

    def message(self, text: str) -> None:
        """Take a sentence for the person."""
        ...

    def close(self) -> None:
        """There will be no more."""
        ...


class Meter:
    """Averages the metrics of several steps into one record."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor | float] = {}
        self._counts: dict[str, int] = {}
        self._words: dict[str, str] = {}
        self._images = 0
        self._began = time.perf_counter()

    def add(self, metrics: Mapping[str, Tensor], images: int) -> None:
        """Add one step's metrics, which showed `images` pictures."""
        self._images += images
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + value  # stays on the device
            self._counts[name] = self._counts.get(name, 0) + 1

    def note(self, name: str, value: float | str) -> None:
        """Put a number that was measured once, or a word, into the next record."""
        if isinstance(value, str):
            self._words[name] = value
        else:
            self._sums[name], self._counts[name] = value, 1

    def take(self, images: int, step: int, seconds: float) -> Record:
        """The record of everything since the last one."""
        elapsed = max(time.perf_counter() - self._began, 1e-9)
        record: Record = {"images": images, "step": step, "seconds": round(seconds, 3)}
        record["images_per_second"] = round(self._images / elapsed, 2)
        for name, total in sorted(self._sums.items()):
            record[name] = round(float(total) / self._counts[name], 6)
        record |= self._words
        self.__init__()
        return record


class MetricsFile:
    """Writes metrics.jsonl: one JSON record per line."""

    def __init__(self, run: Run, images: int) -> None:
        """Go on after `images`; later records belong to steps that will be taken again."""
        kept = [record for record in run.metrics() if record["images"] <= images]
        lines = "".join(json.dumps(record) + "\n" for record in kept)
        files.write_text(run.metrics_file, lines)
        self._file = run.metrics_file.open("a", encoding="utf-8")

    def record(self, record: Record) -> None:
        """Append a line."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def picture(self, name: str, picture: np.ndarray, images: int) -> None:
        """Not for this reader."""

    def message(self, text: str) -> None:
        """Not for this reader."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """Writes TensorBoard's event files from the same records; the step axis is images seen."""

    def __init__(self, run: Run, images: int) -> None:
        """Go on after `images`: TensorBoard then drops the points of steps that are taken again."""
        from tensorboardX import SummaryWriter

        purge = images + 1 if images else None
        self._writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=purge)

    def record(self, record: Record) -> None:
        """Add a point to every curve."""
        for name, value in record.items():
            if name != "images" and not isinstance(value, str):
                self._writer.add_scalar(name, value, record["images"])

    def picture(self, name: str, picture: np.ndarray, images: int) -> None:
        """Add a picture."""
        self._writer.add_image(name, picture, images, dataformats="HWC")

    def message(self, text: str) -> None:
        """Not for this reader."""

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()
