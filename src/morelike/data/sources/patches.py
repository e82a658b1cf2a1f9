"""Patches cut out of giant pictures, in the pictures' own pixels.

Patches overlap, so a split by chance would show pixels of the held-out patches in training. Instead
each picture is divided into cells of about four patches a side, some of them are held out, and
patches that lie partly in these are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from morelike.config import DataConfig
from morelike.data import decode
from morelike.data.item import Item, Rejection, Side, Source
from morelike.data.sources import members

CELL = 4
"""Side of a cell, in sides of the largest patch."""
INK = 32
"""A pixel is drawn on if a channel differs by more than this from the patch's median, of 255."""


@dataclass
class PatchesSource:
    """The squares of the sides that `settings.patches` names, out of every picture of `inner`."""

    inner: Source
    notes: list[str] = field(default_factory=list)
    """What was left out, in sentences; complete when all items have been taken."""
    streamed = True

    @property
    def name(self) -> str:
        """The source of the pictures."""
        return self.inner.name

    def count(self, settings: DataConfig) -> None:
        """Not known before all pictures have been opened."""
        del settings

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The patches of one picture after another, from the smallest on, row by row.

        A picture that brings its side of the split hands it on; all others are split by region. A
        patch is left out if fewer of its pixels are drawn on than half a line across it has.
        """
        self.notes.clear()
        kept = blank = across = 0
        for item in self.inner.items(settings):
            try:
                pixels = _open(item)
            except (Rejection, OSError) as error:
                reason = str(error) if isinstance(error, Rejection) else _reason(error)
                yield members.rejected(item.key, reason)
                continue
            if min(pixels.shape[:2]) < min(settings.patches):
                height, width = pixels.shape[:2]
                small = f"{width} x {height} pixels are fewer than one patch has"
                yield members.rejected(item.key, small)
                continue
            regions = Regions(pixels, max(settings.patches), settings.held_out)
            for side, top, left in _boxes(pixels, settings):
                on = item.side or regions.side(top, left, side)
                if on is None:
                    across += 1
                    continue
                patch = pixels[top : top + side, left : left + side]
                if is_blank(patch):
                    blank += 1
                    continue
                for turn in _turns(settings):
                    kept += 1
                    key = f"{item.key}/{side:04d}-{top:05d}-{left:05d}{turn.name}"
                    yield Item(
                        key, partial(turn.of, patch), item.label, dict(item.attributes), side=on
                    )
        self.notes.append(
            f"{kept} patches cut; left out: {blank} nearly blank, "
            f"{across} across the border between what is trained on and what is held out."
        )


def _open(item: Item) -> np.ndarray:
    """The whole picture as (H, W) or (H, W, C) uint8."""
    data = item.read()
    pixels = data if isinstance(data, np.ndarray) else np.asarray(decode.open_image(data))
    if pixels.shape[0] * pixels.shape[1] > decode.MOST_PIXELS:
        raise Rejection(f"{pixels.shape[1]} x {pixels.shape[0]} pixels are too many")
    return pixels


def _reason(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _boxes(pixels: np.ndarray, settings: DataConfig) -> Iterator[tuple[int, int, int]]:
    """(side, top, left) of every patch; the last in a row or column ends at the picture's edge."""
    smallest = min(settings.patches)
    for side in sorted(set(settings.patches)):
        stride = (settings.stride or smallest / 2) * side / smallest
        for top in _starts(pixels.shape[0], side, stride):
            for left in _starts(pixels.shape[1], side, stride):
                yield side, top, left


def _starts(length: int, side: int, stride: float) -> list[int]:
    last = length - side
    if last < 0:
        return []
    step = max(1, round(stride))
    return sorted({*range(0, last + 1, step), last})


def is_blank(patch: np.ndarray) -> bool:
    """Whether fewer pixels of a square patch are drawn on than half a line across it has.

    Calibrated on drawings on paper: shade and grain stay below `INK`, and a line one pixel wide
    that crosses the patch keeps it in.
    """
    values = patch.reshape(patch.shape[0], patch.shape[1], -1).astype(np.int16)
    if values.shape[2] == 4:  # what is transparent has no colour
        values[..., :3] = values[..., :3] * (values[..., 3:] / 255)
    away = np.abs(values - np.median(values, axis=(0, 1))).max(axis=2)
    return int((away > INK).sum()) < patch.shape[0] / 2


class Regions:
    """Which parts of a picture are held out; a function of its pixels and nothing else."""

    def __init__(self, pixels: np.ndarray, patch: int, share: float) -> None:
        """Divide `pixels` (H, W) or (H, W, C) into cells for patches up to `patch` a side.

        About `share` of the cells are held out: at least one where that is half a cell or more,
        and where it is less, one in some of the pictures.
        """
        height, width = pixels.shape[:2]
        self._rows = _edges(height, CELL * patch)
        self._columns = _edges(width, CELL * patch)
        shape = len(self._rows) - 1, len(self._columns) - 1
        digest = hashlib.blake2b(str(pixels.shape).encode())
        digest.update(np.ascontiguousarray(pixels).data)
        content = digest.digest()
        cells = sorted(np.ndindex(shape), key=lambda cell: _chance(content, str(cell)))
        expected = share * len(cells)
        number = int(expected + _chance(content, "number"))
        if expected >= 0.5:
            number = max(1, number)
        self._held_out = np.zeros(shape, bool)
        for cell in cells[: min(number, len(cells))]:
            self._held_out[cell] = True

    def side(self, top: int, left: int, side: int) -> Side | None:
        """The side of the split that a patch belongs to; None if it lies on both."""
        rows = _touched(self._rows, top, top + side)
        columns = _touched(self._columns, left, left + side)
        held_out = self._held_out[rows, columns]
        if held_out.all():
            return "held_out"
        return None if held_out.any() else "train"


def _edges(length: int, cell: int) -> np.ndarray:
    """Where cells begin and end, all nearly as long as `cell`."""
    return np.linspace(0, length, max(1, round(length / cell)) + 1).astype(np.int64)


def _touched(edges: np.ndarray, start: int, stop: int) -> slice:
    first = int(np.searchsorted(edges, start, side="right")) - 1
    return slice(first, int(np.searchsorted(edges, stop, side="left")))


def _chance(content: bytes, purpose: str) -> float:
    """A number from 0 to 1, not 1 itself, that the content and the purpose alone decide."""
    digest = hashlib.blake2b(content + purpose.encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


@dataclass(frozen=True)
class _Turn:
    """One of the eight ways to lay a square on itself."""

    quarters: int
    mirrored: bool

    @property
    def name(self) -> str:
        """What a key ends in: nothing, -r90, -m or -r90m."""
        turned = f"r{90 * self.quarters}" if self.quarters else ""
        mark = turned + ("m" if self.mirrored else "")
        return f"-{mark}" if mark else ""

    def of(self, patch: np.ndarray) -> np.ndarray:
        """The patch mirrored left to right and then turned, as an array of its own."""
        laid = patch[:, ::-1] if self.mirrored else patch
        return np.rot90(laid, self.quarters).copy()


def _turns(settings: DataConfig) -> list[_Turn]:
    quarters = range(4 if settings.patch_rotations else 1)
    mirrors = (False, True) if settings.patch_mirrors else (False,)
    return [_Turn(quarter, mirror) for quarter in quarters for mirror in mirrors]
