"""Which pictures are meant, and where what is made of each goes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence, Set
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image

from morelike.data.decode import open_image
from morelike.data.item import Rejection
from morelike.data.sources import members
from morelike.data.sources.folder import read_file, walk
from morelike.errors import UserError


class Found(NamedTuple):
    """A picture file."""

    path: Path
    name: str
    """Its path in the folder that it was found in, with forward slashes; else its own name."""


class Wanted(NamedTuple):
    """A picture file, and what is to be written of it."""

    source: Found
    target: Path
    given: Path
    """Where the input goes, if that is derived from the picture."""


def find(pictures: Sequence[str | os.PathLike[str]]) -> list[Found]:
    """The picture files that are named, and those in the folders that are named, sorted in each.

    Raises:
        UserError: if one is not there, or there is no picture at all.
    """
    found: list[Found] = []
    for each in pictures:
        path = Path(each)
        if path.is_dir():
            found += [Found(path / name, name) for name in walk(path) if members.is_picture(name)]
        elif path.exists():
            found.append(Found(path, path.name))
        else:
            raise UserError(f"there is no {path}; name a picture, or a folder of pictures.")
    if not found:
        named = ", ".join(str(each) for each in pictures)
        raise UserError(f"there is no picture in {named}; name a picture, or a folder with some.")
    return found


def wanted(
    found: Sequence[Found], out: Path, again: bool, with_input: bool = False
) -> list[Wanted]:
    """Where each goes: the same path below `out`, as PNG. Where two would be one file, the end of
    the old name stays, and a number is added if need be.

    Raises:
        UserError: if something is there already and not to be made `again`, or is one of the
            pictures themselves.
    """
    stems = Counter(_stem(one.name).casefold() for one in found)
    distinct = _distinct()
    named = []
    for one in found:
        stem = _stem(one.name)
        name = distinct(stem if stems[stem.casefold()] == 1 else one.name)
        named.append(Wanted(one, out / f"{name}.png", out / f"{distinct(f'{name}.input')}.png"))
    own = {os.path.realpath(one.path) for one in found}
    for one in named:
        for path in (one.target, one.given) if with_input else (one.target,):
            check_free(path, out, again, own)
    return named


def check_free(path: Path, out: Path, again: bool, own: Set[str] = frozenset()) -> None:
    """Check that a file may be written.

    Raises:
        UserError: if it is one of the files `own`, is there already and not to be made `again`, or
            lies outside `out` by way of a link.
    """
    real = os.path.realpath(path)
    if real in own:
        raise UserError(f"{path} is one of the pictures themselves; choose another --out.")
    if os.path.lexists(path) and not again:
        raise UserError(
            f"{path} is there already; make it anew with --again, or choose another --out."
        )
    if not Path(real).is_relative_to(os.path.realpath(out)):
        raise UserError(f"{path} leads out of {out} by a link; choose another --out.")


def read(one: Found) -> Image.Image:
    """The whole picture, upright, of mode L, RGB or RGBA.

    Raises:
        Rejection: if it cannot be read.
    """
    try:
        return open_image(read_file(one.path))
    except OSError as error:
        raise Rejection(f"cannot be read: {(error.strerror or str(error)).lower()}") from None


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _distinct() -> partial[str]:
    """A function that returns each name as it is at first, and with a number when it comes again,
    whether or not the file system tells small letters from capitals.
    """
    return partial(_another, set[str]())


def _another(seen: set[str], name: str) -> str:
    number, result = 1, name
    while result.casefold() in seen:
        number += 1
        result = f"{name} ({number})"
    seen.add(result.casefold())
    return result
