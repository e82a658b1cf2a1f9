"""Writing files so that a killed process never leaves half of one that is believed; the cache."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs


def cache_folder() -> Path:
    """Where what can be made again is kept: $MORELIKE_CACHE, or the user's cache folder."""
    chosen = os.environ.get("MORELIKE_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("morelike"))


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk, then rename it there.

    Raises:
        OSError: as the file system does (disk full, read-only); `path` is then as it was before.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp's are for their owner only
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all or nothing."""
    write_atomically(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, all or nothing."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, all or nothing.

    Raises:
        ValueError: if `value` holds a NaN or an infinity, which JSON cannot carry.
    """
    try:
        data = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a path that is not UTF-8: only escapes can carry it
        data = json.dumps(value, indent=2, allow_nan=False).encode()
    write_bytes(path, data + b"\n")


def read_json(path: Path) -> Any:
    """The JSON value stored in `path`."""
    return json.loads(path.read_text(encoding="utf-8"))


def sync_folder(path: Path) -> None:
    """Make renames inside folder `path` survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
