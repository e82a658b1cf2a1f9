"""Picture files on the disk: a folder with those below it, or a single one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from morelike.config import DataConfig
from morelike.data.decode import MOST_BYTES
from morelike.data.item import Item
from morelike.data.sources import labels, members


@dataclass(frozen=True)
class FolderSource:
    """Every picture file in a folder and the folders below it."""

    path: Path
    streamed = False

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    def count(self, settings: DataConfig) -> int:
        """How many items there are; lists the folder."""
        return sum(1 for _ in self.items(settings))

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The files with a picture's suffix, sorted by path; hidden ones are passed over.

        Raises:
            UserError: if the labels that `settings` ask for cannot be had.
        """
        pictures: list[tuple[str, Callable[[], bytes]]] = []
        tables: dict[str, Callable[[], bytes]] = {}
        closed: list[str] = []
        for name in walk(self.path, closed):
            key = members.text(name)
            if members.is_picture(key):
                pictures.append((key, partial(_read_inside, self.path, name)))
            elif labels.is_table(key):
                tables[key] = partial(_read_inside, self.path, name)
        # A folder that may not be entered cannot be read as a picture either, and so gets named.
        refused = [
            Item(members.text(name), partial(_read_inside, self.path, name)) for name in closed
        ]
        return labels.annotate(pictures, tables, settings.labels, self.name, refused)


@dataclass(frozen=True)
class PictureSource:
    """A single picture file, to be cut into patches."""

    path: Path
    streamed = False

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    def count(self, settings: DataConfig) -> int:
        """One."""
        del settings
        return 1

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The picture."""
        del settings
        yield Item(members.text(self.path.name), partial(read_file, self.path))


def read_file(path: Path) -> bytes:
    """The contents of a file.

    Raises:
        OSError: if it cannot be read, is no file, or is larger than any picture may be.
    """
    name = os.fspath(path)
    # Done for every picture, and paths are slow.
    state = os.stat(name)  # noqa: PTH116
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):  # a pipe never ends
        raise OSError(errno.EINVAL, "not a file")
    if state.st_size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"over {MOST_BYTES // 2**20} MB")
    with open(name, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


def _read_inside(folder: Path, name: str) -> bytes:
    return read_file(folder / name)


def walk(folder: Path, closed: list[str] | None = None) -> Iterator[str]:
    """Every file below `folder` that is not hidden, by its path from there with forward slashes.

    The folders that let nobody in are added to `closed`.
    """
    unread: list[OSError] = []
    # Links to folders are not followed, so a link cannot lead in a circle.
    for root, folders, files in os.walk(folder, onerror=unread.append, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(root).relative_to(folder).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        yield from (prefix + name for name in sorted(files) if not name.startswith("."))
    if closed is not None:
        closed += [Path(error.filename).relative_to(folder).as_posix() for error in unread]
