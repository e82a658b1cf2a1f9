"""How time and memory grow with the number of pictures, their resolution and the batch.

    python benchmarks/growth.py --out growth/            # twenty minutes

Drawn bicycles, the recipe tiny-cpu at width 32, one process for each point: `morelike prepare`
(seconds, peak of memory) and `morelike train --dry-run` (pictures a second, peak of memory). The
exponent is the slope of a straight line through the logarithms: 1 means that twice as much takes
twice as long.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from interleaved import machine
from morelike import files

PICTURES = (100, 1_000, 10_000, 100_000)
RESOLUTIONS = (32, 64, 128, 256)
BATCHES = (8, 32, 128, 512)
USUAL = {"pictures": 1_000, "resolution": 64, "batch": 32}


class Point(NamedTuple):
    """One measurement."""

    pictures: int
    resolution: int
    batch: int
    preparing: float
    """Seconds, with an empty cache."""
    preparing_mib: float
    step: float
    """Seconds a step."""
    training_mib: float


COLUMNS: dict[str, Callable[[Point], float]] = {
    "preparing, s": lambda p: p.preparing,
    "step, ms": lambda p: 1000 * p.step,
    "training, MiB": lambda p: p.training_mib,
}


def main() -> None:
    """Measure what is not measured yet, then print and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "points.json"
    found = [Point(*values) for values in files.read_json(kept)] if kept.is_file() else []
    for wanted in asked():
        if not any(point[:3] == tuple(wanted.values()) for point in found):
            found.append(measured(**wanted))
            print(found[-1], flush=True)
            files.write_json(kept, [list(point) for point in found])
    print(machine())
    print("\n".join(tables(found)))
    plot(options.out / "growth.png", found)


def asked() -> Iterator[dict[str, int]]:
    """Every point: one thing is changed at a time."""
    for name, values in (("pictures", PICTURES), ("resolution", RESOLUTIONS), ("batch", BATCHES)):
        for value in values:
            yield {**USUAL, name: value}


def measured(pictures: int, resolution: int, batch: int) -> Point:
    """Prepare and plan, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / "set.mld")
        cache = {"MORELIKE_CACHE": str(Path(folder) / "cache")}
        source = f"toy:bicycles:{pictures}"
        began = time.perf_counter()
        _, preparing_mib = run(["prepare", source, "-o", target, "--size", str(resolution)], cache)
        preparing = time.perf_counter() - began
        keys = (f"training.batch={batch}", "generator.width=32", "discriminator.width=32")
        settings = [part for key in keys for part in ("--set", key)]
        planned, _ = run(["train", target, *settings, "--dry-run", "--json"], cache)
    plan = json.loads(planned)
    step = batch / plan["images_per_second"]
    return Point(pictures, resolution, batch, preparing, preparing_mib, step, plan["memory_mib"])


def run(arguments: Sequence[str], more: dict[str, str]) -> tuple[str, float]:
    """What a command prints, and the peak of its memory in MiB."""
    command = [sys.executable, "-m", "morelike", *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | more)
    printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return printed, max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the logarithms."""
    x, y = np.log(np.array(points, dtype=float)).T
    return float(np.polyfit(x, y, 1)[0])


def along(found: Sequence[Point], name: str) -> list[Point]:
    """Those that differ in this alone, in its order."""
    rest = {key: value for key, value in USUAL.items() if key != name}
    rows = [p for p in found if all(getattr(p, key) == value for key, value in rest.items())]
    return sorted(rows, key=lambda p: getattr(p, name))


def tables(found: Sequence[Point]) -> Iterator[str]:
    """A table for each thing that grows, with the exponents under it."""
    for name in USUAL:
        rows = along(found, name)
        yield f"\n| {name} | {' | '.join(COLUMNS)} |\n| --- {'| --- ' * len(COLUMNS)}|"
        for row in rows:
            cells = " | ".join(f"{read(row):.4g}" for read in COLUMNS.values())
            yield f"| {getattr(row, name):,} | {cells} |"
        slopes = (
            f"{exponent([(getattr(row, name), read(row)) for row in rows]):.2f}"
            for read in COLUMNS.values()
        )
        yield f"| exponent | {' | '.join(slopes)} |"


def plot(path: Path, found: Sequence[Point]) -> None:
    """A row for each measure, a column for each thing that grows; both axes logarithmic."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots(len(COLUMNS), len(USUAL), sharey="row", sharex="col")
    for row, (measure, read) in zip(axes, COLUMNS.items(), strict=True):
        for axis, name in zip(row, USUAL, strict=True):
            points = [(getattr(point, name), read(point)) for point in along(found, name)]
            axis.loglog(*zip(*points, strict=True), "o-", color="#1f6f8b")
            axis.set_title(f"exponent {exponent(points):.2f}", fontsize=9)
            axis.grid(alpha=0.25, which="both")
        row[0].set_ylabel(measure)
    for axis, name in zip(axes[-1], USUAL, strict=True):
        axis.set_xlabel(name)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
