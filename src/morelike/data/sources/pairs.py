"""Pairs of pictures of one name in two folders: what is given, and what it should become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from morelike.config import DataConfig
from morelike.data import decode
from morelike.data.item import Item, Rejection
from morelike.data.sources import labels, members
from morelike.data.sources.folder import read_file, walk
from morelike.errors import UserError

PREFIX = "pairs:"


@dataclass(frozen=True)
class PairsSource:
    """Each picture in one folder with that of the same name in another, joined to one picture.

    Names are compared without their suffix: `a/1.jpg` goes with `a/1.png`.
    """

    left: Path
    """What is given."""
    right: Path
    """What it should become."""
    streamed = False

    @property
    def name(self) -> str:
        """As a person would write it."""
        return f"{PREFIX}{self.left},{self.right}"

    def count(self, settings: DataConfig) -> int:
        """How many items there are; lists the folders."""
        return sum(1 for _ in self.items(settings))

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The pairs, sorted by the path in the left folder, which is the key; among them, named
        with the reason, the pictures that have no partner. Labels and sides of the split are those
        of the left folder.

        Raises:
            UserError: if the settings leave no room for two squares beside one another or ask for
                patches, if no name is in both folders, or if the labels cannot be had.
        """
        height, width = settings.size
        if width != 2 * height:
            raise UserError(
                f"a pair is twice as wide as it is high, and {width} x {height} is not; give "
                f"--set data.width={2 * height}."
            )
        if settings.patches:
            raise UserError("pairs of pictures cannot be cut into patches; leave patches out.")
        left, right = _look_into(self.left), _look_into(self.right)
        if not left.names.keys() & right.names.keys():
            raise UserError(
                f"no picture in {self.left} has the name of one in {self.right}; give two folders "
                "whose pictures have the same names."
            )
        side = max(height, settings.min_side)
        pairs = [
            Item(members.text(name), partial(_joined, self, name, right.names[stem], side))
            for stem, name in left.names.items()
            if stem in right.names
        ]
        tables = {members.text(name): partial(read_file, self.left / name) for name in left.tables}
        keys = [members.text(name) for name in left.names.values()]
        known = labels.Labels(keys, tables, settings.labels, str(self.left))
        alone = [*_alone(left, right, self.right), *_alone(right, left, self.left)]
        others = [*left.refused, *right.refused, *known.missing()]
        distinct = members.numbering()
        items = [*map(known.of, pairs), *alone, *others]
        for item in sorted(items, key=lambda item: item.key):
            yield replace(item, key=distinct(item.key))


class _Folder(NamedTuple):
    names: dict[str, str]  # of pictures, without suffix, and with it
    tables: list[str]
    refused: list[Item]


def _look_into(folder: Path) -> _Folder:
    found = _Folder({}, [], [])
    closed: list[str] = []
    for name in walk(folder, closed):
        if members.is_picture(name):
            if found.names.setdefault(_stem(name), name) != name:
                another = f"there is {members.text(found.names[_stem(name)])} in {folder}, too"
                found.refused.append(members.rejected(members.text(name), another))
        elif labels.is_table(name):
            found.tables.append(name)
    shut = f"a folder in {folder} that lets nobody in"
    found.refused.extend(members.rejected(members.text(name), shut) for name in closed)
    return found


def _stem(name: str) -> str:
    return name[: len(name) - len(members.suffix(name))]


def _alone(these: _Folder, those: _Folder, where: Path) -> Iterator[Item]:
    for stem, name in these.names.items():
        if stem not in those.names:
            yield members.rejected(members.text(name), f"no picture of this name in {where}")


def _joined(source: PairsSource, left: str, right: str, side: int) -> np.ndarray:
    """The squares in the middle of both pictures, beside one another: (s, 2s) or (s, 2s, C).

    Each is made smaller by itself, to this side: later the one would shine through at the seam.

    Raises:
        Rejection: if one cannot be read, or they differ in size.
    """
    pictures = _opened(source.left, left), _opened(source.right, right)
    sizes = [f"{picture.width} x {picture.height}" for picture in pictures]
    if sizes[0] != sizes[1]:
        raise Rejection(f"{sizes[0]} pixels in {source.left}, {sizes[1]} in {source.right}")
    mode = max((picture.mode for picture in pictures), key=("L", "RGB", "RGBA").index)
    return np.concatenate([_square(picture.convert(mode), side) for picture in pictures], 1)


def _opened(folder: Path, name: str) -> Image.Image:
    try:
        return decode.open_image(read_file(folder / name))
    except Rejection as error:
        raise Rejection(f"in {folder}: {error}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Rejection(f"in {folder}: cannot be read: {reason}") from None


def _square(picture: Image.Image, most: int) -> np.ndarray:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    size = min(side, most), min(side, most)
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS, box))


def parse(text: str) -> PairsSource:
    """`pairs:DIR_A,DIR_B` as a source. Folders may have commas in their names: it is parted at the
    first comma that has a folder on both sides.

    Raises:
        UserError: if there is none.
    """
    parts = text.removeprefix(PREFIX).split(",")
    ways = [(",".join(parts[:at]), ",".join(parts[at:])) for at in range(1, len(parts))]
    if not ways:
        raise UserError(
            f"'{text}' names one folder; give two, parted by a comma, as in pairs:sketches,photos."
        )
    for left, right in ways:
        if left and right and Path(left).is_dir() and Path(right).is_dir():
            return PairsSource(Path(left).absolute(), Path(right).absolute())
    missing = next(name for name in ways[0] if not name or not Path(name).is_dir())
    raise UserError(
        f"there is no folder '{missing}'; give two, parted by a comma, as in pairs:sketches,photos."
    )
