"""Features are kept in the cache by content, so that the same pictures are looked at once.

A file is a .npy array with 16 bytes behind it: a hash of the array, keyed with what it is the
features of. So a file that was cut off, changed, or renamed is seen to be wrong, and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from morelike import files
from morelike.features.extractor import Extractor

if TYPE_CHECKING:
    from torch import Tensor

SEAL = 16
"""Bytes of the hash at the end."""
KEPT_DAYS = 30
BLOCK = 1024
"""Pictures hashed at a time; they may be memory-mapped."""


def features_of(extractor: Extractor, images: np.ndarray, cache: bool = True) -> Tensor:
    """What `extractor(images)` gives; from `$MORELIKE_CACHE/features/` if it is known.

    Args:
        extractor: from `extractor`.
        images: (N, H, W, C) uint8.
        cache: look there, and keep what was not found there.

    Returns:
        (N, F) float32, on the CPU.
    """
    import torch

    if not cache:
        return extractor(images)
    key = _key(extractor, images)
    path = files.cache_folder() / "features" / f"{key.hex()}.npy"
    found = _read(path, key, (len(images), extractor.dimension))
    if found is not None:
        return torch.from_numpy(found)
    features = extractor(images)
    # Without room in the cache, the features are right all the same.
    with contextlib.suppress(OSError):
        _write(path, key, features.numpy())
    return features


def _key(extractor: Extractor, images: np.ndarray) -> bytes:
    digest = hashlib.blake2b(repr((extractor.key, images.shape)).encode(), digest_size=16)
    for start in range(0, len(images), BLOCK):
        digest.update(np.ascontiguousarray(images[start : start + BLOCK]).data)
    return digest.digest()


def _read(path: Path, key: bytes, shape: tuple[int, int]) -> np.ndarray | None:
    """The features in this file, if they are these and whole."""
    try:
        stored = path.read_bytes()
        array, seal = stored[:-SEAL], stored[-SEAL:]
        if _seal(array, key) != seal:
            return None
        features = np.load(io.BytesIO(array), allow_pickle=False)
        path.touch()  # used today
    except (OSError, ValueError):
        return None
    return features if features.shape == shape and features.dtype == np.float32 else None


def _write(path: Path, key: bytes, features: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, features, allow_pickle=False)
    array = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, array + _seal(array, key))
    _forget_old(path.parent)


def _seal(array: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(array, key=key, digest_size=SEAL).digest()


def _forget_old(folder: Path) -> None:
    for path in folder.glob("*.npy"):
        with contextlib.suppress(OSError):  # another process may be tidying as well
            if time.time() - path.stat().st_mtime > KEPT_DAYS * 86_400:
                path.unlink()
