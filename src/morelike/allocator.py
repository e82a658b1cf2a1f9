"""Memory that a training frees and takes again in each step."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4
"""Of `mallopt`, glibc's malloc.h."""
KEPT = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 64 << 20}
USUAL = {MMAP_MAX: 65536, TRIM_THRESHOLD: 64 << 20, TOP_PAD: 128 << 10, MMAP_THRESHOLD: 32 << 20}
"""What glibc comes to by itself in a process with large arrays."""


@contextmanager
def memory_kept() -> Iterator[None]:
    """While this lasts, let glibc keep what is freed for what is taken next; give it back after.

    It would hand large arrays back to the system at once, which then has to clear every page of
    the next one. Elsewhere than with glibc nothing happens.
    """
    _set(KEPT)
    try:
        yield
    finally:
        _set(USUAL)
        _call("malloc_trim", 0)


def _set(options: dict[int, int]) -> None:
    for option, value in options.items():
        _call("mallopt", option, value)


def _call(name: str, *arguments: int) -> None:
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library; Windows
        return
    function(*arguments)
