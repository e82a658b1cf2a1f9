"""What was decoded is kept in the cache by content, so that no picture is decoded twice.

A prepared data set can so be made again, grow, or get other rules of selection without touching the
pictures that are already known; and a killed preparation goes on where it was. There is one folder
for each way of decoding; in it every process appends to a segment of its own: `.pixels`,
`.proxies` and, after these are written, `.rows`. What has no row does not count.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from morelike.data.decode import VERSION
from morelike.data.fit import PROXY, Decoded, Form

PROXIES = (PROXY, PROXY, 3)
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
    ]
)
"""A row: hashes of the encoded and of the prepared picture, and what was seen in decoding."""

Row = int
"""A number that stands for a stored picture as long as this store is open."""
Rows = Sequence[Row] | np.ndarray


class Batch(NamedTuple):
    """Some decoded pictures, ready to be stored."""

    pixels: np.ndarray
    """(n, H, W, C) uint8."""
    proxies: np.ndarray
    """(n, 64, 64, 3) uint8."""
    rows: np.ndarray
    """(n,) FACTS."""


def batch(pictures: Sequence[tuple[bytes, int, Decoded]]) -> Batch:
    """Put pictures together, each given as the hash of its contents, its bytes, itself decoded."""
    facts = [
        (
            content,
            picture_digest(one.pixels),
            size,
            one.width,
            one.height,
            one.gray,
            one.transparent,
            one.enlarged,
            "; ".join(one.notes).encode("ascii", "replace"),
        )
        for content, size, one in pictures
    ]
    pixels = np.stack([one.pixels for _, _, one in pictures])
    proxies = np.stack([one.proxy for _, _, one in pictures])
    return Batch(pixels, proxies, np.array(facts, FACTS))


class Store:
    """Decoded pictures of one form. One thread reads and writes; any may `find`."""

    def __init__(self, cache: Path, form: Form) -> None:
        """Open the store, or make it.

        Raises:
            OSError: if the cache cannot be read or written.
        """
        self._shape = (form.height, form.width, form.channels)
        name = repr((VERSION, FACTS.descr, tuple(form))).encode()
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

    def add(self, new: Batch) -> None:
        """Append pictures, but for those whose contents are known already."""
        chosen: dict[bytes, int] = {}
        for place, content in enumerate(new.rows["content"]):
            if content.tobytes() not in self._index:
                chosen.setdefault(content.tobytes(), place)
        places = list(chosen.values())
        if len(places) == len(new.rows):
            self._append(*new)
        elif places:
            self._append(new.pixels[places], new.proxies[places], new.rows[places])

    def facts(self, rows: Rows) -> np.ndarray:
        """(len(rows),) FACTS."""
        return self._take("rows", np.asarray(rows, np.int64), FACTS, ())

    def proxies(self, rows: Rows) -> np.ndarray:
        """(len(rows), 64, 64, 3) uint8: whole pictures, squeezed."""
        return self._take("proxies", np.asarray(rows, np.int64), np.uint8, PROXIES)

    def pixels(self, rows: Rows) -> np.ndarray:
        """(len(rows), H, W, C) uint8: prepared pictures."""
        return self._take("pixels", np.asarray(rows, np.int64), np.uint8, self._shape)

    def decoded(self, rows: Rows) -> list[Decoded]:
        """The pictures as they were added."""
        together = zip(self.facts(rows), self.pixels(rows), self.proxies(rows), strict=True)
        return [
            Decoded(
                pixels,
                proxy,
                int(row["width"]),
                int(row["height"]),
                bool(row["gray"]),
                bool(row["transparent"]),
                float(row["enlarged"]),
                tuple(note for note in row["notes"].decode().split("; ") if note),
            )
            for row, pixels, proxy in together
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

    def _append(self, pixels: np.ndarray, proxies: np.ndarray, rows: np.ndarray) -> None:
        if self._own is None:
            path = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.rows"
            self._own = _Segment(path, self._shape, self._count)
            self._segments.append(self._own)
        self._own.append(pixels, proxies, rows)
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
        self._paths = {kind: path.with_suffix(f".{kind}") for kind in ("rows", "proxies", "pixels")}
        sizes = {"rows": FACTS.itemsize, "proxies": _product(PROXIES), "pixels": _product(shape)}
        # After a power cut one file may be shorter than the row says.
        self.count = min(_length(self._paths[kind]) // size for kind, size in sizes.items())

    def array(self, kind: str, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        return np.memmap(self._paths[kind], dtype, "r", shape=(self.count, *shape))

    def append(self, pixels: np.ndarray, proxies: np.ndarray, rows: np.ndarray) -> None:
        # The rows last: they make the others count.
        for kind, values in (("pixels", pixels), ("proxies", proxies), ("rows", rows)):
            with self._paths[kind].open("ab") as file:
                file.write(np.ascontiguousarray(values).data)
        self.count += len(rows)


def picture_digest(pixels: np.ndarray) -> bytes:
    """16 bytes that only these pixels in this shape give."""
    digest = hashlib.sha256(repr(pixels.shape).encode())  # which processors have in hardware
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()[:16]


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
