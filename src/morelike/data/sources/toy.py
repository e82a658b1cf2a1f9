"""Pictures drawn by code, whose true factors are known: `toy:bicycles`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from morelike.config import DataConfig
from morelike.data import toys
from morelike.data.item import Item
from morelike.errors import UserError

PREFIX = "toy:"
PICTURES = 2_000


@dataclass(frozen=True)
class ToySource:
    """Pictures drawn by `toys.py`."""

    toy: str
    pictures: int = PICTURES
    streamed = False

    @property
    def name(self) -> str:
        """As a person would write it."""
        return f"{PREFIX}{self.toy}:{self.pictures}"

    def count(self, settings: DataConfig) -> int:
        """How many were asked for."""
        del settings
        return self.pictures

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The pictures, square and as large as the longer side, their factors as attributes.

        Raises:
            UserError: if there is no such toy.
        """
        side = max(settings.size)
        identity = f"{self.toy} {toys.VERSION} {side}"
        return (
            Item(
                key=f"{picture.key}.png",
                read=picture.draw,
                attributes=picture.factors,
                identity=f"{identity} {picture.key}",
            )
            for picture in toys.toy(self.toy, self.pictures, side)
        )


def parse(text: str) -> ToySource:
    """`toy:NAME` or `toy:NAME:COUNT` as a source.

    Raises:
        UserError: if the count is no number from 2 to 1000000.
    """
    name, _, count = text.removeprefix(PREFIX).partition(":")
    if count and not (re.fullmatch("[0-9]{1,7}", count) and 2 <= int(count) <= 1_000_000):
        raise UserError(f"'{text}': the count must be a number from 2 to 1000000.")
    return ToySource(name, int(count) if count else PICTURES)
