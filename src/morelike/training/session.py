"""What belongs together while one training runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from morelike.config import Config
from morelike.data import Dataset
from morelike.distributed import World
from morelike.runs import Run
from morelike.training.clock import Clock
from morelike.training.examples import Examples, examples
from morelike.training.records import Reader, Record
from morelike.training.state import State

EXAMPLES = 12


@dataclass(frozen=True)
class Session:
    """One training: where it writes, what it computes, who listens."""

    run: Run
    config: Config[Any, Any]
    dataset: Dataset
    state: State
    world: World
    readers: list[Reader] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    @cached_property
    def examples(self) -> Examples:
        """What a task is shown on."""
        return examples(self.dataset, self.config, EXAMPLES)

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self.state.images // self.config.training.batch

    @property
    def is_spent(self) -> bool:
        """Whether the granted images or minutes are used up."""
        budget = self.config.training
        late = budget.minutes is not None and self.state.seconds >= 60 * budget.minutes
        return late or self.state.images >= budget.images

    def record(self, record: Record) -> None:
        """Hand a record to all who listen."""
        for reader in self.readers:
            reader.record(record)

    def picture(self, name: str, picture: np.ndarray) -> None:
        """Hand a picture, (H, W, 3) uint8, to all who listen."""
        for reader in self.readers:
            reader.picture(name, picture, self.state.images)

    def say(self, text: str) -> None:
        """Hand a sentence to all who listen."""
        for reader in self.readers:
            reader.message(text)
