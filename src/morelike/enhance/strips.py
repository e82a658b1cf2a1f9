"""PNG files written strip by strip, so that the whole picture is never in memory.

PNG (Portable Network Graphics) Specification, third edition, W3C 2025: sections 5 (chunks), 9
(filters), 11.3.3.4 (iTXt).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from morelike import files
from morelike.pictures import QUICK

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""The colour type of gray, gray with alpha, RGB and RGBA."""
SUB, UP = 1, 2
ROWS = 64
"""Rows that are filtered together; what that takes beside the strip itself stays small."""


def write_strips(
    path: Path,
    shape: tuple[int, int, int],
    strips: Iterable[np.ndarray],
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a PNG of (height, width, channels) `shape`, all or nothing.

    Args:
        path: where it goes.
        shape: channels are 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGBA).
        strips: (rows, width, channels) uint8 each, from top to bottom, `height` rows in all.
        notes: its text metadata.

    Raises:
        OSError: as the file system does; `path` is then as it was before.
    """
    files.write_atomically(path, partial(_write, shape=shape, strips=strips, notes=notes or {}))


def _write(
    file: BinaryIO,
    shape: tuple[int, int, int],
    strips: Iterable[np.ndarray],
    notes: Mapping[str, str],
) -> None:
    height, width, channels = shape
    file.write(SIGNATURE)
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0))
    for key, text in notes.items():
        # Not packed, of no language, and with no name in one.
        _chunk(file, b"iTXt", key.encode("latin-1") + bytes(5) + text.encode("utf-8", "replace"))
    packer = zlib.compressobj(QUICK)
    for rows in _filtered(strips, shape):
        _chunk(file, b"IDAT", packer.compress(rows))
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    if data or kind == b"IEND":
        file.write(struct.pack(">I", len(data)) + kind + data)
        file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def _filtered(strips: Iterable[np.ndarray], shape: tuple[int, int, int]) -> Iterator[bytes]:
    """The rows as they are packed, each behind the number of its filter: what is left of a pixel
    without the one left of it (Sub) or above it (Up), whichever leaves less.
    """
    height, width, channels = shape
    before, done = np.zeros((1, width * channels), np.uint8), 0
    for strip in strips:
        assert strip.dtype == np.uint8 and strip.shape[1:] == (width, channels), strip.shape
        for start in range(0, len(strip), ROWS):
            rows = strip[start : start + ROWS].reshape(-1, width * channels)
            above = np.concatenate([before, rows[:-1]])
            sub, up = rows.copy(), rows - above
            sub[:, channels:] -= rows[:, :-channels]
            size = [np.abs(left.view(np.int8), dtype=np.int16).sum(1) for left in (sub, up)]
            better = (size[1] <= size[0])[:, None]
            packed = np.empty((len(rows), 1 + width * channels), np.uint8)
            packed[:, :1] = np.where(better, UP, SUB)
            packed[:, 1:] = np.where(better, up, sub)
            before = rows[-1:].copy()
            done += len(rows)
            yield packed.tobytes()
    assert done == height, f"{done} rows of {height}"
