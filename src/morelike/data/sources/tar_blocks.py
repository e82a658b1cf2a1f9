"""Reads a tar file forwards, one member after another, with bounded memory.

A tar is hostile input, and `tarfile` reads the headers that hold long names whole, however long
they claim to be. So the blocks are read here, by the pax and GNU formats (IEEE Std 1003.1, "pax"),
and `tarfile` only parses single headers of 512 bytes.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

BLOCK = tarfile.BLOCKSIZE
MOST_HEADER = 2**20
FILES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
LINKS = frozenset({tarfile.LNKTYPE, tarfile.SYMTYPE})
DEVICES = frozenset({tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE})

Kind = Literal["file", "folder", "a link", "a device", "a sparse file", "something unknown"]


class Broken(Exception):
    """What is wrong with a tar file, to be put after its name; what came before is good."""

    def __init__(self, reason: str, nothing_read: bool = False) -> None:
        super().__init__(reason)
        self.nothing_read = nothing_read


@dataclass(frozen=True)
class Entry:
    """One member of a tar file."""

    name: str
    kind: Kind
    size: int
    """In bytes."""


class TarBlocks:
    """The members of a tar file in order; the data of one can be read until the next one comes.

    Raises:
        Broken: while being read, where the file is cut short or damaged.
        OSError: if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        file = path.open("rb")
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        self._plain = file
        self._file = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
        self._next = 0
        """Where the next header is."""
        self._size = 0
        """Of the data of the member that came last."""

    def __enter__(self) -> TarBlocks:
        return self

    def __exit__(self, *exception: object) -> None:
        self._plain.close()

    def __iter__(self) -> Iterator[Entry]:
        records: dict[str, str] = {}
        while (header := self._header()) is not None:
            if header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                records |= _pax_records(self._extension(header))
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                records["path"] = _text(self._extension(header).split(b"\0")[0])
            elif header.type in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
                self._extension(header)
            else:
                yield self._entry(header, records)
                records = {}

    def data(self) -> bytes:
        """The data of the member that came last."""
        return self._read(self._size)

    def _entry(self, header: tarfile.TarInfo, records: dict[str, str]) -> Entry:
        kind: Kind = "something unknown"
        if header.type in FILES:
            kind = "file"
        elif header.type == tarfile.DIRTYPE:
            kind = "folder"
        elif header.type in LINKS:
            kind = "a link"
        elif header.type in DEVICES:
            kind = "a device"
        if header.type == tarfile.GNUTYPE_SPARSE or any(
            k.startswith("GNU.sparse") for k in records
        ):
            kind = "a sparse file"
        try:
            size = int(records.get("size", header.size))
        except ValueError:
            raise Broken("is damaged") from None
        self._expect(0 if kind in ("folder", "a link", "a device") else size)
        return Entry(records.get("path", header.name), kind, self._size)

    def _expect(self, size: int) -> None:
        """Data of so many bytes, filled up to whole blocks, come before the next header."""
        if size < 0:
            raise Broken("is damaged")
        self._size = size
        self._next += -(-size // BLOCK) * BLOCK

    def _extension(self, header: tarfile.TarInfo) -> bytes:
        if header.size > MOST_HEADER:
            raise Broken(f"has a name of over {MOST_HEADER // 2**20} MB")
        self._expect(header.size)
        return self._read(header.size)

    def _header(self) -> tarfile.TarInfo | None:
        """The next header, or None at the end."""
        first = self._next == 0
        if not first:
            self._skip()
        block = self._read(BLOCK, or_nothing=not first)
        if not block:
            return None
        self._next += BLOCK
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            if not block.strip(b"\0"):  # a block of nothing is the end
                return None
            raise Broken("is damaged" if not first else "is none", first) from None

    def _skip(self) -> None:
        """Go to the next header, and never back, which in a packed file means from the start."""
        try:
            if self._file.tell() == self._next:
                return
            self._file.seek(self._next - 1)
        except (EOFError, zlib.error, gzip.BadGzipFile, OverflowError, ValueError):
            raise Broken("is cut short or damaged") from None
        self._read(1)  # shows whether the file really goes so far

    def _read(self, size: int, or_nothing: bool = False) -> bytes:
        try:
            data = self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise Broken("is cut short or damaged", self._next == 0) from None
        if len(data) < size and (data or not or_nothing):
            raise Broken("is cut short", self._next == 0)
        return data


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _pax_records(data: bytes) -> dict[str, str]:
    """Records of the form `LENGTH KEY=VALUE` and a line end; LENGTH counts the whole record."""
    records: dict[str, str] = {}
    while data.strip(b"\0"):
        length, _, _ = data.partition(b" ")
        if not (length.isdigit() and len(length) < 8 and len(length) < int(length) <= len(data)):
            raise Broken("is damaged")
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        records[_text(key)] = _text(value)
        data = data[int(length) :]
    return records
