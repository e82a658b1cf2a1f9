"""How much memory a training takes at its peak, by family and resolution, and whether the dry run
knows it.

    python benchmarks/memory.py --out memory/            # ten minutes

Drawn bicycles, every family with the recipe of its name, or its defaults. `--dry-run` says the peak
that it expects; where `--check` resolutions are named, a training of twenty steps and a checkpoint
is run as well, and its peak measured. A process of its own for each, so that none begins with what
another left.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from interleaved import machine
from morelike import files
from morelike.models import families

SOURCE, STEPS = "toy:bicycles:200", 20
NEED_LABELS = ("regressor",)
NO_PICTURES = ("mlp",)
"""Left out: its size is its own affair, and nobody trains 64x64 with it."""


class Point(NamedTuple):
    """One measurement, MiB."""

    family: str
    resolution: int
    batch: int
    predicted: float
    taken: float | None


def main() -> None:
    """Measure what is not measured yet, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--check", type=int, nargs="*", default=[64])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "points.json"
    found = [Point(*values) for values in files.read_json(kept)] if kept.is_file() else []
    for name in families():
        for resolution in options.resolutions:
            if name in NEED_LABELS + NO_PICTURES or any(p[:2] == (name, resolution) for p in found):
                continue
            found.append(measured(name, resolution, check=resolution in options.check))
            print(found[-1], flush=True)
            files.write_json(kept, [list(point) for point in found])
    print(machine())
    print("\n".join(table(found)))


def measured(name: str, resolution: int, *, check: bool) -> Point:
    """What the dry run says, and what is taken."""
    keys = (f"family={name}", f"data.resolution={resolution}")
    settings = [part for key in keys for part in ("--set", key)]
    plan = json.loads(run(["train", SOURCE, *settings, "--dry-run", "--json"])[0])
    batch = plan["batch"]
    taken = None
    if check:
        with tempfile.TemporaryDirectory() as folder:
            more = ["--run", f"{folder}/run", "--images", str(STEPS * batch)]
            _, taken = run(["train", SOURCE, *settings, *more])
    return Point(name, resolution, batch, plan["memory_mib"], taken)


def run(arguments: Sequence[str]) -> tuple[str, float]:
    """What `morelike` with these arguments prints, and the peak of its own memory in MiB."""
    command = [sys.executable, "-m", "morelike", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return printed, used.ru_maxrss / 1024


def table(found: Sequence[Point]) -> Iterator[str]:
    """A line for each family."""
    resolutions = sorted({point.resolution for point in found})
    yield f"| family, batch | {' | '.join(f'{r} px' for r in resolutions)} | taken / expected |"
    yield "| --- " * (len(resolutions) + 2) + "|"
    for name in dict.fromkeys(point.family for point in found):
        rows = {p.resolution: p for p in found if p.family == name}
        cells = [f"{rows[r].predicted:,.0f}" if r in rows else "" for r in resolutions]
        checked = [
            f"{p.taken / p.predicted:.2f} ({p.taken:,.0f} at {p.resolution})"
            for p in rows.values()
            if p.taken is not None
        ]
        batch = next(iter(rows.values())).batch
        yield f"| {name}, {batch} | {' | '.join(cells)} | {', '.join(checked)} |"


if __name__ == "__main__":
    main()
