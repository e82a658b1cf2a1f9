"""Where pictures come from: each source yields items of key, bytes, label and attributes.

One small adaptor a source; everything after this file is the same for all of them.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from PIL import Image

from morelike.data import toys
from morelike.data.decode import MOST_BYTES
from morelike.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
TOY_COUNT = 2_000
TOY_PREFIX = "toy:"


@dataclass(frozen=True)
class Item:
    """One candidate picture."""

    key: str
    """Its name within the source: a relative path with forward slashes."""
    read: Callable[[], bytes]
    """Reads the encoded picture; may raise OSError."""
    label: str | None = None
    attributes: dict[str, float | str] = field(default_factory=dict)
    identity: str | None = None
    """Stands for the bytes where they need not be read to know them."""


class Source(Protocol):
    """Something that pictures can be read from."""

    @property
    def name(self) -> str:
        """How a person would write it."""
        ...

    def items(self, resolution: int) -> Sequence[Item]:
        """All candidates, in an order that does not change; `resolution` is what drawn sources
        draw at.
        """
        ...


@dataclass(frozen=True)
class FolderSource:
    """Every picture file in a folder and the folders below it."""

    path: Path

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    def items(self, resolution: int) -> Sequence[Item]:
        """The files with a picture's suffix, sorted by path; hidden ones are passed over."""
        del resolution
        items = [Item(_key(path, self.path), partial(_read, path)) for path in _walk(self.path)]
        return sorted(items, key=lambda item: item.key)


def _key(path: Path, folder: Path) -> str:
    # Old names need not be UTF-8; what is stored and shown must be.
    name = path.relative_to(folder).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _read(path: Path) -> bytes:
    state = path.stat()
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):  # a pipe never ends
        raise OSError(errno.EINVAL, "not a file")
    if state.st_size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"over {MOST_BYTES // 2**20} MB")
    return path.read_bytes()


def _walk(folder: Path) -> Iterator[Path]:
    closed: list[OSError] = []
    # Links to folders are not followed, so a link cannot lead in a circle.
    for root, folders, names in os.walk(folder, onerror=closed.append, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(root, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path
    # A folder that may not be entered cannot be read as a picture either, and so gets named.
    yield from (Path(error.filename) for error in closed)


@dataclass(frozen=True)
class ToySource:
    """Pictures drawn by `toys.py`, whose true factors are known: `toy:bicycles`."""

    toy: str
    count: int = TOY_COUNT

    @property
    def name(self) -> str:
        """As a person would write it."""
        return f"{TOY_PREFIX}{self.toy}:{self.count}"

    def items(self, resolution: int) -> Sequence[Item]:
        """The drawn pictures, with their factors as attributes."""
        identity = f"{self.toy} {toys.VERSION} {resolution}"
        return [
            Item(
                key=f"{picture.key}.png",
                read=partial(_drawn_png, picture),
                attributes=picture.factors,
                identity=f"{identity} {picture.key}",
            )
            for picture in toys.toy(self.toy, self.count, resolution)
        ]


def _drawn_png(picture: toys.ToyPicture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture.draw()).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def open_source(source: str | os.PathLike[str]) -> Source:
    """The source that a person names: a folder, or `toy:NAME` with an optional `:COUNT`.

    Raises:
        UserError: if there is no such thing.
    """
    text = os.fspath(source)
    if text.startswith(TOY_PREFIX):
        name, _, count = text.removeprefix(TOY_PREFIX).partition(":")
        if count and not (re.fullmatch("[0-9]{1,7}", count) and 2 <= int(count) <= 1_000_000):
            raise UserError(f"'{text}': the count must be a number from 2 to 1000000.")
        return ToySource(name, int(count) if count else TOY_COUNT)
    path = Path(text)
    if path.is_file():
        raise UserError(f"{text} is a file; give the folder that holds the pictures.")
    if not path.is_dir():
        raise UserError(f"there is no folder {text}; give a folder of pictures, or toy:bicycles.")
    return FolderSource(path.absolute())
