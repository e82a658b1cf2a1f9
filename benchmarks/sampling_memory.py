"""Does the memory that `morelike sample` takes stay the same however many samples are asked for?

    python benchmarks/sampling_memory.py RUN --out shards/ --counts 10000 100000 1000000

Each count in a process of its own, to shards of 10,000; of a million pictures of 64x64 these are 12
GB, which stay in `--out`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from memory import run

SHARD = 10_000


def main() -> None:
    """Sample and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    asked = parser.parse_args()
    print("| samples | peak, MiB | samples/s |\n| --- | --- | --- |")
    for count in asked.counts:
        seconds, mib = sampled(asked.run, asked.out / str(count), count)
        print(f"| {count:,} | {mib:,.0f} | {count / seconds:,.0f} |", flush=True)


def sampled(run_folder: Path, out: Path, count: int) -> tuple[float, float]:
    """Seconds, and the peak of the memory of the process."""
    shards = ["--shards", str(SHARD), "--form", "npy", "--precision", "auto"]
    began = time.perf_counter()
    _, mib = run(
        ["sample", str(run_folder), "--out", str(out), "--seeds", f"0-{count - 1}", *shards]
    )
    return time.perf_counter() - began, mib


if __name__ == "__main__":
    main()
