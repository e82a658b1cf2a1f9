"""What a diagnostic says: a state, a sentence, the figures it rests on, and the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

State = Literal["yes", "no", "unknown", "none"]
"""Whether what a diagnostic looks for is there; "none" where nothing is concluded."""


@dataclass(frozen=True)
class Figure:
    """A number, how sure it is, and what real pictures give in its place."""

    name: str
    value: float
    low: float | None = None
    """Where it may lie, where that is known."""
    high: float | None = None
    null: tuple[float, float] | None = None
    """Between which values it lies for real pictures of this set, in 95 of 100 cases."""
    note: str = ""
    """What it is, in a few words: units, counts, the source."""


@dataclass(frozen=True)
class Curve:
    """A figure over the run's history."""

    name: str
    images: tuple[int, ...]
    """Pictures shown in training at each point."""
    values: tuple[float, ...]
    null: tuple[float, float] | None = None
    onset: int | None = None
    """Pictures shown when the fault was first there."""


@dataclass(frozen=True)
class Panel:
    """Pictures that show it, in columns: what stands in one row belongs together."""

    title: str
    columns: tuple[str, ...]
    pictures: tuple[np.ndarray, ...]
    """One (n, H, W, C) uint8 a column, all of the same n."""
    captions: tuple[str, ...] = ()
    """One a row, or none."""


@dataclass(frozen=True)
class Power:
    """How well a detector did on planted cases made from these pictures, at these counts."""

    case: str
    """What was planted."""
    found: float
    """Share of the trials in which it spoke, from 0 to 1."""
    trials: int
    expected: bool
    """Whether it should speak: a case that it must find, or one that it must leave alone."""


@dataclass(frozen=True)
class Finding:
    """One diagnostic's answer."""

    topic: str
    """Which diagnostic: learning, collapse, copying, ..."""
    state: State
    """Whether what it looks for is there."""
    sentence: str
    """In plain words, with the figure that decides."""
    remedy: str = ""
    """What to do, naming the setting."""
    word: str = ""
    """What it adds to the verdict, such as COPYING; empty if nothing."""
    figures: tuple[Figure, ...] = ()
    curves: tuple[Curve, ...] = ()
    panels: tuple[Panel, ...] = ()
    power: tuple[Power, ...] = ()
