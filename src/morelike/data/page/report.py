"""What the page shows, as plain records: whoever fills them decides, the page only draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Severity = Literal["warning", "note", "good"]


@dataclass(frozen=True)
class Shown:
    """One picture to show."""

    key: str
    """Its name within the source."""
    pixels: np.ndarray
    """(H, W, C) uint8 with C = 1, 3 or 4; shown at 96 px at most."""
    caption: str = ""
    """A figure or a few words, such as "0.93" or "mirrored"."""
    mark: Literal["", "kept", "left out"] = ""


@dataclass(frozen=True)
class Group:
    """Pictures that belong together."""

    title: str
    pictures: Sequence[Shown]
    """May hold more than the page shows; only those shown are asked for."""
    count: int | None = None
    """How many there are, if that is more than the pictures given."""
    text: str = ""

    @property
    def size(self) -> int:
        """How many pictures there are, shown or not."""
        return len(self.pictures) if self.count is None else self.count


@dataclass(frozen=True)
class Counts:
    """What became of the files that were found."""

    kept: int
    left_out: int = 0
    unreadable: int = 0

    @property
    def usable(self) -> int:
        """Pictures that could be read."""
        return self.kept + self.left_out

    @property
    def found(self) -> int:
        """Files that were looked at."""
        return self.usable + self.unreadable


@dataclass(frozen=True)
class Fact:
    """One line of the head, such as the size and why it was chosen."""

    name: str
    value: str
    why: str = ""


@dataclass(frozen=True)
class Advice:
    """What follows from the pictures for the training, and the reason."""

    severity: Severity
    text: str
    why: str = ""


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be used."""

    key: str
    reason: str


@dataclass(frozen=True)
class Facing:
    """Whether things face one way."""

    agreement: float
    """Share of the pictures that face as most do, 0.5 to 1."""
    text: str
    """What follows, and how sure it is."""
    most: Group
    other: Group


@dataclass(frozen=True)
class Originals:
    """The pictures as they were before they were made to fit."""

    sizes: np.ndarray
    """(N, 2) width and height in pixels."""
    target: tuple[int, int]
    """(width, height) that they are brought to."""


@dataclass(frozen=True)
class Borders:
    """The colours along the edges of the originals."""

    lightness: np.ndarray
    """(N,) 0 black to 1 white."""
    uniformity: np.ndarray
    """(N,) 0 many colours to 1 a single one."""
    colors: np.ndarray
    """(N, 3) uint8 RGB."""
    text: str = ""


@dataclass(frozen=True)
class Label:
    """A class and how many kept pictures it has."""

    name: str
    count: int


@dataclass(frozen=True)
class Change:
    """How to decide otherwise."""

    steps: Sequence[str]
    commands: Sequence[str]
    """To be run after these steps, each on one line."""


@dataclass(frozen=True)
class Setting:
    """One setting that the pictures were prepared with."""

    name: str
    value: str
    meaning: str = ""


@dataclass(frozen=True)
class Report:
    """All that the page shows, in its order; what is empty is not mentioned."""

    source: str
    counts: Counts
    lead: str = ""
    """One sentence under the title, such as that nothing has been changed."""
    facts: Sequence[Fact] = ()
    advice: Sequence[Advice] = ()
    kept: Sequence[Shown] = ()
    """May hold more than the page shows, as may `left_out` and the groups below."""
    left_out: Sequence[Group] = ()
    """One group a reason."""
    copies: Sequence[Group] = ()
    """Groups of equal or nearly equal pictures, each marked as kept or left out."""
    unreadable: Sequence[Unreadable] = ()
    flagged: Sequence[Group] = ()
    """One group a reason, the clearest cases first."""
    modes: Sequence[Group] = ()
    """One group a kind of picture, the largest first."""
    facing: Facing | None = None
    originals: Originals | None = None
    borders: Borders | None = None
    labels: Sequence[Label] = ()
    change: Change | None = None
    settings: Sequence[Setting] = ()
