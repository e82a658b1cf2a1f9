"""What every source yields: one candidate picture after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from morelike.config import DataConfig

Side = Literal["train", "held_out"]


class Rejection(Exception):
    """Why a picture cannot be used; its text is shown to the person."""


@dataclass(frozen=True, slots=True)
class Item:
    """One candidate picture."""

    key: str
    """Its name within the source: a relative path with forward slashes; no two are equal."""
    read: Callable[[], bytes | np.ndarray]
    """The encoded picture, or its pixels as (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8; may
    raise OSError or Rejection."""
    label: str | None = None
    attributes: dict[str, float | str] = field(default_factory=dict)
    identity: str | None = None
    """Stands for the contents where they need not be read to know them."""
    side: Side | None = None
    """The side of the split that the source itself puts it on; None leaves it to chance."""
    group: str | None = None
    """What it must not be parted from by the split, such as the scene of a film."""


class Source(Protocol):
    """Something that pictures can be read from."""

    @property
    def name(self) -> str:
        """How a person would write it."""
        ...

    @property
    def streamed(self) -> bool:
        """Whether an item can only be read right when it comes, because items come off a stream."""
        ...

    def count(self, settings: DataConfig) -> int | None:
        """How many items there will be, where that is known beforehand."""
        ...

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """All candidates, in an order that does not change.

        Raises:
            UserError: if the source as a whole cannot be read.
        """
        ...
