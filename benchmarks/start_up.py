"""How long a person waits: for help, for `import morelike`, for the first step of a training.

    python benchmarks/start_up.py            # half a minute

Each is a process of its own, as a person starts it; the median of several. The training is one of
`tiny-cpu` on drawn bicycles, with nothing prepared before; "first step" is when its first record is
in `metrics.jsonl`, and of a resumed run when its next one is.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from interleaved import machine

LIMITS = {"help": 0.5, "import": 0.3, "first step": 8.0, "resumed": 8.0}
"""Seconds that morelike means to stay within."""
POLL, PATIENCE = 0.02, 120.0


def timed(command: Sequence[str]) -> float:
    """Seconds until it ends."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def until(command: Sequence[str], done: Callable[[], bool], more: dict[str, str]) -> float:
    """Seconds until `done`; then the command is interrupted, and waited for."""
    began = time.perf_counter()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=os.environ | more)
    while not done():
        if process.poll() is not None or time.perf_counter() - began > PATIENCE:
            raise SystemExit(f"{' '.join(command)} came to nothing")
        time.sleep(POLL)
    seconds = time.perf_counter() - began
    process.send_signal(signal.SIGINT)
    process.wait()
    return seconds


def trainings() -> tuple[float, float]:
    """Seconds to the first step of a new run, and of the same one resumed."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        cache = {"MORELIKE_CACHE": str(Path(folder) / "cache")}
        records = run / "metrics.jsonl"

        def lines() -> int:
            return records.read_bytes().count(b"\n") if records.is_file() else 0

        morelike = [sys.executable, "-m", "morelike", "train"]
        source = ["toy:bicycles:300", "--recipe", "tiny-cpu", "--run", str(run)]
        first = until([*morelike, *source], lambda: lines() > 0, cache)
        before = lines()
        again = [*morelike, "--resume", str(run)]
        return first, until(again, lambda: lines() > before, cache)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    begun = [trainings() for _ in range(repeats)]
    found = {
        "help": [timed([sys.executable, "-m", "morelike", "--help"]) for _ in range(repeats)],
        "import": [timed([sys.executable, "-c", "import morelike"]) for _ in range(repeats)],
        "first step": [first for first, _ in begun],
        "resumed": [resumed for _, resumed in begun],
    }
    print(f"{machine()}\n\n| | median, s | least | most | limit |\n| --- | --- | --- | --- | --- |")
    for name, seconds in found.items():
        median = statistics.median(seconds)
        extremes = f"{min(seconds):.2f} | {max(seconds):.2f}"
        print(f"| {name} | {median:.2f} | {extremes} | {LIMITS[name]} |")


if __name__ == "__main__":
    main()
