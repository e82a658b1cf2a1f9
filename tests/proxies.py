"""Real pictures as the measures of a set see them; read from beside the checkout, never kept."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image


class Pictures(NamedTuple):
    """Many pictures, in the order of their names."""

    names: list[str]
    proxies: np.ndarray
    """(N, 64, 64, 3): each squeezed as a whole."""
    pixels: np.ndarray
    """(N, 64, 64, 3): each as a whole, with the colour of its border beside it."""


@cache
def folder(path: Path) -> Pictures:
    """The pictures of a folder, or of a zip's first 400 names."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as file:
            names = sorted(name for name in file.namelist() if not name.endswith("/"))[:400]
            opened = [Image.open(io.BytesIO(file.read(name))) for name in names]
    else:
        names = sorted(entry.name for entry in path.iterdir())
        opened = [Image.open(path / name) for name in names]
    both = [_prepared(image.convert("RGB")) for image in opened]
    return Pictures(names, *(np.stack(each) for each in zip(*both, strict=True)))


def _prepared(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(image)
    ring = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    red, green, blue = (int(value) for value in np.median(ring, axis=0))
    side = max(image.size)
    square = Image.new("RGB", (side, side), (red, green, blue))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    whole = image.resize((64, 64), Image.Resampling.BOX)
    return np.asarray(whole), np.asarray(square.resize((64, 64), Image.Resampling.LANCZOS))
