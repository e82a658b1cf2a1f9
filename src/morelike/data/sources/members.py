"""Files on the disk or in an archive: what their names tell, and those that are not read."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from morelike.data.item import Item, Rejection, Side

# fmt: off
PICTURES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
    ".avif", ".heic", ".heif",
})
# fmt: on
VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v"})
TARS = (".tar", ".tar.gz", ".tgz")
ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
SIDES: dict[str, Side] = {
    "train": "train",
    **dict.fromkeys(("test", "val", "valid", "validation"), "held_out"),
}
"""The side of the split that a folder, file or array of this name is meant for."""


def suffix(name: str) -> str:
    """The end of a name from its last dot on, in small letters."""
    return posixpath.splitext(name)[1].lower()


def is_picture(name: str) -> bool:
    """Whether the name is that of a picture file."""
    return suffix(name) in PICTURES


def is_hidden(name: str) -> bool:
    """Whether a path leads to or through something hidden, or what macOS adds to archives."""
    parts = name.split("/")
    return any(part == "__MACOSX" or (part[:1] == "." and part.strip(".")) for part in parts)


def archive_key(name: str) -> str:
    """What a member of an archive is called here: forward slashes, and no `./` in front."""
    return text(name.replace("\\", "/")).removeprefix("./")


def fault(key: str) -> str | None:
    """Why no member of this name is read from an archive, if there is a reason."""
    if key.startswith("/") or re.match("[A-Za-z]:", key):
        return "an absolute path in an archive"
    if ".." in key.split("/"):
        return "a path that leads out of the archive"
    if suffix(key) in ARCHIVES:
        return "an archive within an archive"
    return None


def text(name: str) -> str:
    """A name with forward slashes that can be stored as UTF-8: old names need not be UTF-8."""
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def sides(names: Iterable[str]) -> dict[str, Side]:
    """For each name of a split its side; for none of them, if they are not of both sides.

    >>> sides({"train", "val"}), sides({"train"}), sides({"train", "cats"})
    ({'train': 'train', 'val': 'held_out'}, {}, {})
    """
    distinct = set(names)
    found: dict[str, Side] = {
        name: SIDES[name.lower()] for name in sorted(distinct) if name.lower() in SIDES
    }
    both = set(found.values()) == {"train", "held_out"}
    return found if both and len(found) == len(distinct) else {}


def sides_of_files(paths: Sequence[Path]) -> dict[Path, Side]:
    """The same for files such as `train-00000-of-00002.parquet`, by the first word of the name."""
    words = {path: re.split("[^A-Za-z]", path.name)[0] for path in paths}
    found = sides(words.values())
    return {path: found[word] for path, word in words.items() if word in found}


def numbering() -> Callable[[str], str]:
    """A function that returns each name as it is at first, and with a number when it comes again.

    >>> name = numbering()
    >>> name("a.png"), name("a.png")
    ('a.png', 'a.png (2)')
    """
    seen: set[str] = set()

    def distinct(name: str) -> str:
        number, result = 1, name
        while result in seen:
            number += 1
            result = f"{name} ({number})"
        seen.add(result)
        return result

    return distinct


def rejected(key: str, reason: str) -> Item:
    """An item that is named with the reason why it cannot be read."""
    return Item(key, partial(_refuse, reason))


def _refuse(reason: str) -> NoReturn:
    raise Rejection(reason)
