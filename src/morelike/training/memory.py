"""How much memory something takes at its peak, measured while it happens, and how much is free."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import torch


class Peak:
    """What was found, in MiB."""

    def __init__(self) -> None:
        self.mib = 0.0
        """Of a GPU's memory, what tensors took; else, of the machine's, all that this process
        took."""


@contextlib.contextmanager
def peak(device: torch.device) -> Iterator[Peak]:
    """Measure the block.

    Where the system cannot forget earlier peaks (Linux can), an earlier one may be what is found.
    """
    found = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield found
        found.mib = torch.cuda.max_memory_allocated(device) / 2**20
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # from now on, the peak is a new one
    yield found
    found.mib = _resident_peak()


def free_bytes() -> int | None:
    """Memory of the machine, or of the container, that may still be taken; None if unknown."""
    available = _kibibytes("/proc/meminfo", "MemAvailable")
    found = [] if available is None else [1024 * available]
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
    return min(found, default=None)


def _resident_peak() -> float:
    most = _kibibytes("/proc/self/status", "VmHWM")
    if most is not None:
        return most / 1024
    import resource  # Unix has it

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def _kibibytes(path: str, key: str) -> int | None:
    """What Linux says under a key."""
    with contextlib.suppress(OSError):
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return None
