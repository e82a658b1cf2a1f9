"""Where the time of a training goes, part by part."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds spent in each part. Parts may lie within each other; then each counts its own only.

    On a GPU work is only ordered when a part ends, so what is waited for counts where it is waited
    for: mostly in the steps, which read a number of each.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = [0.0]

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count what happens in the block."""
        began = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            own = spent - self._inner.pop()
            self._inner[-1] += spent
            self.seconds[part] = self.seconds.get(part, 0.0) + own

    def shares(self) -> dict[str, float]:
        """Of all that was counted, the largest first."""
        whole = sum(self.seconds.values())
        found = sorted(self.seconds.items(), key=lambda part: -part[1])
        return {part: seconds / whole for part, seconds in found if whole}
