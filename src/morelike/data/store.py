"""What was decoded is kept in the cache by content, so that no picture is decoded twice.

A prepared data set can so be made again, grow, or get other rules of selection without touching the
pictures that are already known; and a killed preparation goes on where it was. There is one folder
for each way of decoding; in it every process appends to a segment of its own: `.pixels`, `.thumbs`
and, after these are written, `.rows`. What has no row does not count.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from morelike.data.decode import VERSION
from morelike.data.fit import Decoded, Form
from morelike.data.traits import TRAITS, measure, thumbs

THUMB = (32, 32, 3)
KEPT_DAYS = 30
FACTS = np.dtype(
    [
        ("content", "V16"),
        ("digest", "V16"),
        ("bytes", "<u8"),
        ("width", "<u4"),
        ("height", "<u4"),
        ("gray", "?"),
        ("transparent", "?"),
        ("enlarged", "<f4"),
        ("notes", "S96"),
        ("traits", TRAITS),
    ]
)
"""A row: hashes of the encoded and of the prepared picture, its original size, what is measured."""

Row = int
"""A number that stands for a stored picture as long as this store is open."""
Rows = Sequence[Row] | np.ndarray


class Store:
    """Decoded pictures of one form. Rows are read and written by one thread only."""

    def __init__(self, cache: Path, form: Form) -> None:
        """Open the store, or make it.

        Raises:
            OSError: if the cache cannot be read or written.
        """
        self._shape = (form.height, form.width, form.channels)
        name = repr((VERSION, TRAITS.descr, tuple(form))).encode()
        self._folder = cache / "decoded" / hashlib.blake2b(name, digest_size=12).hexdigest()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._segments: list[_Segment] = []
        self._index: dict[bytes, Row] = {}
        self._count = 0
        for path in sorted(self._folder.glob("*.rows")):
            self._adopt(_Segment(path, self._shape, self._count))
        self._own: _Segment | None = None
        self._folder.touch()  # used today

    def find(self, content: bytes) -> Row | None:
        """The row of a picture with this content hash, if it was ever decoded."""
        return self._index.get(content)

    def add(
        self, contents: Sequence[bytes], sizes: Sequence[int], decoded: Sequence[Decoded]
    ) -> list[Row]:
        """Measure and append pictures; one whose content is known gets the row it has."""
        new: dict[bytes, int] = {}
        for position, content in enumerate(contents):
            if content not in self._index:
                new.setdefault(content, position)
        if new:
            chosen = list(new.values())
            pixels = np.stack([decoded[i].pixels for i in chosen])
            proxies = np.stack([decoded[i].proxy for i in chosen])
            rows = np.zeros(len(chosen), FACTS)
            rows["traits"] = measure(proxies, pixels)
            for row, i in zip(rows, chosen, strict=True):
                one = decoded[i]
                row["content"] = contents[i]
                row["digest"] = picture_digest(one.pixels)
                row["bytes"] = sizes[i]
                for name in ("width", "height", "gray", "transparent", "enlarged"):
                    row[name] = getattr(one, name)
                row["notes"] = "; ".join(one.notes).encode("ascii", "replace")
            self._append(pixels, thumbs(proxies), rows)
        return [self._index[content] for content in contents]

    def facts(self, rows: Rows) -> np.ndarray:
        """(len(rows),) FACTS."""
        return self._take("rows", np.asarray(rows, np.int64), FACTS, ())

    def thumbs(self, rows: Rows) -> np.ndarray:
        """(len(rows), 32, 32, 3) uint8: whole pictures, squeezed."""
        return self._take("thumbs", np.asarray(rows, np.int64), np.uint8, THUMB)

    def pixels(self, rows: Rows) -> np.ndarray:
        """(len(rows), H, W, C) uint8: prepared pictures."""
        return self._take("pixels", np.asarray(rows, np.int64), np.uint8, self._shape)

    def decoded(self, rows: Rows) -> list[Decoded]:
        """The pictures as they were added, but for the finest detail of their proxies."""
        together = zip(self.facts(rows), self.pixels(rows), self.thumbs(rows), strict=True)
        return [
            Decoded(
                pixels,
                thumb.repeat(2, axis=0).repeat(2, axis=1),
                int(row["width"]),
                int(row["height"]),
                bool(row["gray"]),
                bool(row["transparent"]),
                float(row["enlarged"]),
                tuple(note for note in row["notes"].decode().split("; ") if note),
            )
            for row, pixels, thumb in together
        ]

    def _take(self, kind: str, rows: np.ndarray, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        result = np.empty((len(rows), *shape), dtype)
        starts = np.array([segment.start for segment in self._segments], np.int64)
        owner = np.searchsorted(starts, rows, side="right") - 1
        for number in np.unique(owner):
            mine = owner == number
            segment = self._segments[number]
            result[mine] = segment.array(kind, dtype, shape)[rows[mine] - segment.start]
        return result

    def _append(self, pixels: np.ndarray, small: np.ndarray, rows: np.ndarray) -> None:
        if self._own is None:
            path = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.rows"
            self._own = _Segment(path, self._shape, self._count)
            self._segments.append(self._own)
        self._own.append(pixels, small, rows)
        self._remember(rows["content"], self._count)
        self._count += len(rows)

    def _adopt(self, segment: _Segment) -> None:
        if segment.count:
            self._segments.append(segment)
            self._remember(segment.array("rows", FACTS, ())["content"], segment.start)
            self._count += segment.count

    def _remember(self, contents: Iterable[np.void], start: int) -> None:
        for row, content in enumerate(contents, start):
            self._index.setdefault(content.tobytes(), row)


class _Segment:
    """What one process wrote: three files that grow together."""

    def __init__(self, path: Path, shape: tuple[int, ...], start: int) -> None:
        self.start = start
        self._paths = {kind: path.with_suffix(f".{kind}") for kind in ("rows", "thumbs", "pixels")}
        sizes = {"rows": FACTS.itemsize, "thumbs": _product(THUMB), "pixels": _product(shape)}
        # After a power cut one file may be shorter than the row says.
        self.count = min(_length(self._paths[kind]) // size for kind, size in sizes.items())

    def array(self, kind: str, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        return np.memmap(self._paths[kind], dtype, "r", shape=(self.count, *shape))

    def append(self, pixels: np.ndarray, small: np.ndarray, rows: np.ndarray) -> None:
        # The rows last: they make the others count.
        for kind, values in (("pixels", pixels), ("thumbs", small), ("rows", rows)):
            with self._paths[kind].open("ab") as file:
                file.write(np.ascontiguousarray(values).data)
        self.count += len(rows)


def picture_digest(pixels: np.ndarray) -> bytes:
    """16 bytes that only these pixels in this shape give."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def forget_old(cache: Path) -> None:
    """Remove decoded pictures that were not used for a month."""
    for folder in (cache / "decoded").glob("*"):
        with contextlib.suppress(OSError):  # another process may be tidying as well
            if time.time() - folder.stat().st_mtime > KEPT_DAYS * 86_400:
                shutil.rmtree(folder, ignore_errors=True)


def _product(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
