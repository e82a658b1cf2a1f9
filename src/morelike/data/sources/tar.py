"""Pictures in tar files, streamed in order: WebDataset's convention, without its library.

Files that follow each other and share their path up to the first dot of the name belong together:
`0001.jpg` with `0001.cls` (a label), `0001.txt` (a caption) and `0001.json` (label and attributes).
Any other tar of pictures is read as a folder would be. Nothing is unpacked to the disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from morelike.config import DataConfig
from morelike.data.decode import MOST_BYTES
from morelike.data.item import Item, Side
from morelike.data.sources import labels, members
from morelike.data.sources.tar_blocks import Broken, Entry, TarBlocks
from morelike.errors import UserError

SIDECARS = (".cls", ".txt", ".json")
MOST_SIDECAR = 2**20
MOST_WAITING = 64 * 2**20
"""So many bytes of pictures wait at most for what belongs to them, and one picture more."""


@dataclass(frozen=True)
class _Member:
    key: str
    reason: str | None
    """Why it is not read."""
    data: bytes | None = None
    """Its contents, if they were wanted."""


@dataclass(frozen=True)
class TarSource:
    """Every picture in one tar file, or in several that belong together."""

    name: str
    paths: tuple[Path, ...]
    streamed = True

    def count(self, settings: DataConfig) -> int:
        """How many items there are; reads all headers."""
        del settings
        return sum(
            1
            for path in self.paths
            for member in self._members(path, lambda key: False)
            if member.reason or members.is_picture(member.key)
        )

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The pictures in the order they come in, and the members that must not be read.

        Raises:
            UserError: if it is no tar, or if the labels that `settings` ask for cannot be had.
        """
        known = self._look_through(settings)
        by_file = members.sides_of_files(self.paths)
        use_sidecars = settings.labels in ("auto", "metadata")
        distinct = members.numbering()
        for path in self.paths:
            wanted = self._members(
                path, lambda key: members.is_picture(key) or (use_sidecars and _is_sidecar(key))
            )
            for item in _examples(wanted, known, by_file.get(path)):
                key = distinct(item.key)
                yield item if key == item.key else replace(item, key=key)
        yield from known.missing()

    def _look_through(self, settings: DataConfig) -> labels.Labels:
        """What the names of all members and the metadata files among them tell."""
        keys: list[str] = []
        tables: dict[str, Callable[[], bytes]] = {}
        rule = settings.labels
        for path in self.paths:
            for member in self._members(path, labels.is_table):
                if member.reason:
                    continue
                if members.is_picture(member.key):
                    keys.append(member.key)
                elif labels.is_table(member.key):
                    tables[member.key] = partial(bytes, member.data or b"")
                elif _is_sidecar(member.key) and rule == "metadata":
                    rule = "auto"  # there is some, if not in a file for all
        return labels.Labels(keys, tables, rule, self.name)

    def _members(self, path: Path, load: Callable[[str], bool]) -> Iterator[_Member]:
        """Every member that is a file or must be named, with the data of those to `load`."""
        try:
            with TarBlocks(path) as blocks:
                for entry in blocks:
                    key = members.archive_key(entry.name)
                    if entry.kind == "folder" or members.is_hidden(key):
                        continue
                    reason, data = _fault(key, entry), None
                    if not reason and load(key):
                        try:
                            data = blocks.data()
                        except Broken as broken:
                            reason = f"in a tar file that {broken}"
                    yield _Member(key, reason, data)
        except Broken as broken:
            if broken.nothing_read and len(self.paths) == 1:
                raise UserError(
                    f"{path} is not a tar file that can be read: it {broken}."
                ) from None
            yield _Member(members.text(path.name), f"the tar file {broken}")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            if len(self.paths) == 1:
                raise UserError(f"{path} cannot be read: {reason}.") from None
            yield _Member(members.text(path.name), f"the tar file cannot be read: {reason}")


def _is_sidecar(key: str) -> bool:
    return key.endswith(SIDECARS) and not labels.is_table(key)


def _fault(key: str, entry: Entry) -> str | None:
    """Why a member is named and not read; what is neither picture nor harmful is passed over."""
    if reason := members.fault(key):
        return reason
    if entry.kind != "file":
        return f"{entry.kind} in an archive"
    most = MOST_BYTES if members.is_picture(key) or labels.is_table(key) else MOST_SIDECAR
    if entry.size > most and (most == MOST_BYTES or _is_sidecar(key)):
        return f"over {most // 2**20} MB"
    return None


def _examples(stream: Iterator[_Member], known: labels.Labels, side: Side | None) -> Iterator[Item]:
    """Put together what follows each other and shares its path up to the first dot."""
    current = ""
    pictures: list[_Member] = []
    sidecars: dict[str, bytes] = {}

    def finished() -> Iterator[Item]:
        for picture in pictures:
            yield _example(picture, sidecars, known, side)
        pictures.clear()

    for member in stream:
        folder, slash, name = member.key.rpartition("/")
        stem = folder + slash + name.partition(".")[0]
        if stem != current or sum(len(p.data or b"") for p in pictures) > MOST_WAITING:
            yield from finished()
        if stem != current:
            current = stem
            sidecars.clear()
        if member.reason:
            yield members.rejected(member.key, member.reason)
        elif members.is_picture(member.key):
            pictures.append(member)
        elif member.data is not None and _is_sidecar(member.key):
            sidecars[members.suffix(member.key)] = member.data
    yield from finished()


def _example(
    picture: _Member, sidecars: dict[str, bytes], known: labels.Labels, side: Side | None
) -> Item:
    item = known.of(Item(picture.key, partial(bytes, picture.data or b"")))
    label, attributes = item.label, dict(item.attributes)
    try:
        if ".json" in sidecars:
            row = json.loads(sidecars[".json"])
            if not isinstance(row, dict):
                raise ValueError("not an object")
            ((own, more, _),) = labels.describe([row])
            label, attributes = own or label, attributes | more
        if ".txt" in sidecars:
            attributes["caption"] = labels.as_text(sidecars[".txt"].decode())
        if ".cls" in sidecars:
            label = labels.as_label(sidecars[".cls"].decode()) or label
    except (ValueError, RecursionError):
        return members.rejected(picture.key, "what the tar file says about it is broken")
    return replace(item, label=label, attributes=attributes, side=item.side or side)
