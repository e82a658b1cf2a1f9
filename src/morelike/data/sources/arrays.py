"""Pictures in NumPy's files: one array in a `.npy`, arrays with labels and a split in a `.npz`.

Pickled objects are never loaded. A `.npy` is mapped into memory and so may be larger than it; what
a `.npz` holds is unpacked into memory.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from morelike.config import DataConfig
from morelike.data.decode import MOST_PIXELS
from morelike.data.item import Item, Side
from morelike.data.sources import labels, members
from morelike.errors import UserError

CHANNELS = (1, 3, 4)
SMALLEST_FLAT = 8
"""Rows of fewer pixels than this squared are no pictures, but one-hot labels or features."""
MOST_UNPACKED = 4 * 2**30
LABEL_NAMES = frozenset({"y", "label", "labels", "target", "targets", "class", "classes"})
CHUNK = 2**24


@dataclass(frozen=True)
class _Part:
    """One array of pictures."""

    name: str
    pixels: np.ndarray
    scale: float
    labels: np.ndarray | None = None
    side: Side | None = None


@dataclass(frozen=True)
class ArraySource:
    """The pictures in a `.npy` or `.npz` file, whose layout is found out from the shape."""

    path: Path
    streamed = False

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    def count(self, settings: DataConfig) -> int:
        """How many pictures there are."""
        del settings
        return sum(len(part.pixels) for part in self._parts())

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The pictures in the order of the array, arrays sorted by name.

        Raises:
            UserError: if the file cannot be read, or if its arrays are no pictures.
        """
        if settings.labels == "folders":
            raise UserError(f"{self.path} has no folders to take labels from; choose other labels.")
        for part in self._parts():
            digits = max(5, len(str(len(part.pixels) - 1)))
            for index in range(len(part.pixels)):
                label = None
                if part.labels is not None and settings.labels != "none":
                    label = labels.as_label(part.labels[index].item())
                key = f"{part.name}/{index:0{digits}d}"
                yield Item(key, partial(_read, part, index), label=label, side=part.side)

    def _parts(self) -> list[_Part]:
        arrays = _load(self.path)
        if isinstance(arrays, np.ndarray):
            name = self.path.stem
            return [_part(f"{self.path}", members.text(name), arrays)]
        groups: dict[str, list[str]] = {}
        for name in sorted(arrays):
            groups.setdefault(_split_word(name), []).append(name)
        pictures = {word: self._pictures(arrays, names) for word, names in groups.items()}
        found = {word: name for word, name in pictures.items() if name}
        if not found:
            held = ", ".join(f"{name} {array.shape}" for name, array in sorted(arrays.items()))
            raise UserError(
                f"{self.path} holds no array of pictures, which is uint8 of shape (N, H, W, C), "
                f"(N, H, W) or (N, H * W); it holds {held or 'nothing'}."
            )
        sides = members.sides(found)
        parts = []
        for word, name in sorted(found.items(), key=lambda pair: pair[1]):
            part = _part(f"{name} in {self.path}", members.text(name), arrays[name])
            given = _labels(arrays, groups[word], len(part.pixels))
            parts.append(_Part(part.name, part.pixels, part.scale, given, sides.get(word)))
        return parts

    def _pictures(self, arrays: dict[str, np.ndarray], names: list[str]) -> str | None:
        """The one array of pictures among those of these names."""
        candidates = [name for name in names if _layout(arrays[name].shape)]
        candidates = [n for n in candidates if arrays[n].dtype == np.uint8] or candidates
        candidates = [name for name in candidates if arrays[name].dtype.kind in "ubf"]
        if len(candidates) > 1:
            raise UserError(
                f"{self.path} holds several arrays that could be the pictures: "
                f"{', '.join(candidates)}; save one of them as a .npy file."
            )
        return candidates[0] if candidates else None


def _load(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"PK"
        if not packed:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MOST_UNPACKED:
            raise UserError(
                f"{path} unpacks to {size / 2**30:.1f} GB; save its pictures as a .npy file, "
                "which need not fit into memory."
            )
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except UserError:
        raise
    except Exception as error:  # hostile headers make NumPy raise nearly anything
        reason = str(error).split("\n")[0].rstrip(".") or type(error).__name__
        if "pickle" in reason or "Python objects" in reason:
            reason = "it holds Python objects, which are never loaded; save plain numbers"
        raise UserError(f"{path} cannot be read as NumPy's arrays: {reason}.") from None


def _layout(shape: tuple[int, ...]) -> str | None:
    """How the pictures lie in an array of this shape, if it can be one of pictures."""
    if len(shape) == 4 and min(shape) > 0:
        first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
        if first and last:
            return "ambiguous"
        return "NHWC" if last else "NCHW" if first else None
    if len(shape) == 3 and min(shape) > 0:
        return "ambiguous" if shape[2] in CHANNELS else "NHW"
    if len(shape) == 2 and shape[0] > 0:
        if _side(shape[1]):
            return "flat gray"
        if shape[1] % 3 == 0 and _side(shape[1] // 3):
            return "flat planes"
    return None


def _side(pixels: int) -> int | None:
    side = math.isqrt(pixels)
    return side if side * side == pixels and side >= SMALLEST_FLAT else None


def _part(where: str, name: str, pixels: np.ndarray) -> _Part:
    """Check that an array holds pictures.

    Raises:
        UserError: if it does not, with the remedy.
    """
    shape = pixels.shape
    layout = _layout(shape)
    if layout == "ambiguous":
        raise UserError(
            f"{where} has the shape {shape}, in which rows, columns and channels cannot be told "
            "apart; save it as (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4) with larger H and W."
        )
    if layout is None:
        raise UserError(
            f"{where} has the shape {shape}; save pictures as (N, H, W, C), (N, H, W) or "
            "(N, H * W) for squares."
        )
    if math.prod(shape[1:]) > 4 * MOST_PIXELS:
        raise UserError(f"the pictures of {where}, {shape[1:]}, are too large.")
    return _Part(name, pixels, _scale(where, pixels))


def _scale(where: str, pixels: np.ndarray) -> float:
    """What brings the values to 0 to 255."""
    if pixels.dtype == np.uint8:
        return 1.0
    if pixels.dtype == np.bool_:
        return 255.0
    if pixels.dtype.kind != "f":
        raise UserError(
            f"{where} holds {pixels.dtype}; save values from 0 to 255 with .astype(np.uint8)."
        )
    step = max(1, CHUNK // math.prod(pixels.shape[1:]))
    chunks = [pixels[start : start + step] for start in range(0, len(pixels), step)]
    lowest = min(float(chunk.min()) for chunk in chunks)
    highest = max(float(chunk.max()) for chunk in chunks)
    if not (lowest >= 0 and highest <= 255):  # also if there are NaNs
        raise UserError(
            f"{where} holds values from {lowest:g} to {highest:g}; bring them to 0 to 1 or "
            "0 to 255 before saving."
        )
    return 255.0 if highest <= 1 else 1.0


def _read(part: _Part, index: int) -> np.ndarray:
    """One picture as (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8."""
    shape = part.pixels.shape
    layout = _layout(shape)
    pixels = np.asarray(part.pixels[index])
    if part.pixels.dtype != np.uint8:
        pixels = np.rint(pixels.astype(np.float64) * part.scale).astype(np.uint8)
    if layout == "flat gray":
        return pixels.reshape(_side(shape[1]) or 0, -1).copy()
    if layout == "flat planes":
        side = _side(shape[1] // 3) or 0
        return np.ascontiguousarray(pixels.reshape(3, side, side).transpose(1, 2, 0))
    if layout == "NCHW":
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))
    return pixels.copy()


def _split_word(name: str) -> str:
    """The word in an array's name that names its side of the split, as in `x_train`."""
    words = re.split("[^a-z]+", name.lower())
    return next((word for word in words if word in members.SIDES), "")


def _labels(arrays: dict[str, np.ndarray], names: list[str], length: int) -> np.ndarray | None:
    """The one array of labels, whole numbers or words, among those of these names."""
    found: list[Any] = []
    for name in names:
        words = set(re.split("[^a-z]+", name.lower()))
        array = arrays[name]
        if words & LABEL_NAMES and array.dtype.kind in "iubU" and array.size == length:
            found.append(array.reshape(-1))
    return found[0] if len(found) == 1 else None
