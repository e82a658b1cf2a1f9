"""How much memory something takes at its peak, measured while it happens."""

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


def _resident_peak() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource  # Unix has it

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)
