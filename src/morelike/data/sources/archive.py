"""Pictures in a zip file, read in place: nothing is unpacked to the disk.

A zip is hostile input. Its directory is read once; each member is then read through a handle of its
own, so that any number of threads may read at once, and unpacked up to its declared size only.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from morelike.config import DataConfig
from morelike.data.decode import MOST_BYTES
from morelike.data.item import Item, Rejection
from morelike.data.sources import labels, members
from morelike.errors import UserError

HEADER = struct.Struct("<4s22xHH")
"""Of a member: its signature, and how long the name and what follows the name are."""
ENCRYPTED = 0x1


@dataclass(frozen=True)
class ZipSource:
    """Every picture in a zip file."""

    path: Path
    streamed = False

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    def count(self, settings: DataConfig) -> int:
        """How many items there are; reads the zip's directory."""
        return sum(1 for _ in self.items(settings))

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The members with a picture's suffix, and those that must not be read, sorted by path.

        Raises:
            UserError: if it is no zip, or if the labels that `settings` ask for cannot be had.
        """
        infos = directory(self.path)
        overlapping = _overlapping(infos)
        pictures: list[tuple[str, Callable[[], bytes]]] = []
        refused: list[Item] = []
        tables: dict[str, Callable[[], bytes]] = {}
        for info in infos:
            key = members.archive_key(info.filename)
            if info.is_dir() or members.is_hidden(key):
                continue
            read = partial(read_member, self.path, info)
            wanted = members.is_picture(key)
            reason = members.fault(key) or _fault(info)
            if not reason and info.header_offset in overlapping:
                reason = "lies over another member of the archive"
            if reason and (wanted or members.fault(key) or _is_link(info)):
                refused.append(members.rejected(key, reason))
            elif wanted:
                pictures.append((key, read))
            elif labels.is_table(key):
                tables[key] = read
        return labels.annotate(pictures, tables, settings.labels, self.name, refused)


def directory(path: Path) -> list[zipfile.ZipInfo]:
    """What a zip file says that it holds.

    Raises:
        UserError: if it is no zip.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error) as e:
        raise UserError(f"{path} is not a zip file that can be read: {e}.") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path} is not a zip file that can be read: {reason}.") from None


def read_member(path: Path, info: zipfile.ZipInfo) -> bytes:
    """The unpacked contents of one member.

    Raises:
        Rejection: if it is damaged, or is not what the zip's directory says.
        OSError: if the zip cannot be read.
    """
    if reason := _fault(info):
        raise Rejection(reason)
    with path.open("rb") as file:
        file.seek(data_start(file, info))
        packed = file.read(info.compress_size)
    if info.compress_type == zipfile.ZIP_STORED:
        data = packed
    else:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # One byte more shows whether the declared size is a lie.
            data = unpacker.decompress(packed, info.file_size + 1)
        except zlib.error:
            raise Rejection("damaged in the archive") from None
    if len(data) > info.file_size:
        raise Rejection("larger than the archive says")
    if len(data) < info.file_size or zlib.crc32(data) != info.CRC:
        raise Rejection("damaged in the archive")
    return data


def data_start(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Where in an open zip the packed contents of a member begin, in bytes.

    Raises:
        Rejection: if there is no member at the place that the directory names.
    """
    file.seek(info.header_offset)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise Rejection("damaged in the archive")
    _, name, extra = HEADER.unpack(header)
    return info.header_offset + HEADER.size + name + extra


def _fault(info: zipfile.ZipInfo) -> str | None:
    """Why a member must not be read, whatever its name."""
    if _is_link(info):
        return "a link in an archive"
    if info.flag_bits & ENCRYPTED:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"packed by method {info.compress_type}, which is not read; only deflate is"
    if max(info.file_size, info.compress_size) > MOST_BYTES:
        return f"over {MOST_BYTES // 2**20} MB"
    return None


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Where members begin that lie over others: a bomb is made of many names for the same bytes."""
    found: set[int] = set()
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            found.add(info.header_offset)
        end = max(end, info.header_offset + HEADER.size + info.compress_size)
    return found
