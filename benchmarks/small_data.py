"""Families beside one another on few pictures, each for the same time of one core.

    python benchmarks/small_data.py roses/ bikes/ --minutes 15 --seeds 0 1 \
        --recipes benchmarks/recipes/dcgan-plain.toml dcgan fastgan style \
            benchmarks/recipes/r3gan-tiny.toml \
        --weights mobilenetv2.safetensors --out small-data/

Each training has one thread and a folder of its own in `--out`. Minutes are those the processor
spent on it, so what else runs on the machine takes nothing away. What is done is not done again,
and what was broken off begins anew, so several of these commands may share one folder one after
another, or at the same time with `--lane 1/2` and `--lane 2/2`. With nothing left to do, the table
is printed.

- KID to held-out pictures, recall, near-copies, variety: the verdict's own figures (`morelike
  evaluate`), by the extractor `random`, of the best checkpoint and 500 samples. A quarter of the
  pictures is held out, since a tenth of sixty is no yardstick.
- KID to training pictures, and diversity: those of `ten_minutes.py`, by the weights you name, of
  the same checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import morelike
from morelike import files, pictures
from morelike.errors import Interrupted
from morelike.evaluate.evaluation import evaluate
from morelike.evaluate.subject import from_run
from morelike.features import extractor
from morelike.reopened import dataset_of
from morelike.runs import Run, open_run
from morelike.training.records import Record
from ten_minutes import load_extractor, measure

HELD_OUT = 0.25
SAMPLES = 500
FIGURES = {
    "kid": "KID x 1000 to held-out pictures",
    "recall": "recall",
    "near_copies": "near-copies",
    "features": "variety by features",
    "layout": "variety by layout",
}
"""What is taken from the verdict, by the name it has there."""
COLUMNS = ("kid", "recall", "near_copies", "features", "layout", "trained", "diversity", "speed")


def main() -> None:
    """Do what is left to do, then print what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", help="data sets")
    parser.add_argument("--recipes", nargs="+", required=True, help="names, or TOML files")
    parser.add_argument("--minutes", type=float, default=15.0, help="of the processor")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--weights", type=Path, required=True, help="mobilenetv2_100, safetensors")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lane", default="1/1", help="do only each n-th of what is to be done")
    options = parser.parse_args()
    torch.set_num_threads(1)
    jobs = [
        (source, recipe, seed)
        for seed in options.seeds
        for recipe in options.recipes
        for source in options.sources
    ]
    lane, lanes = (int(part) for part in options.lane.split("/"))
    for source, recipe, seed in jobs[lane - 1 :: lanes]:
        folder = options.out / f"{Path(source).stem}-{Path(recipe).stem}-{seed}"
        if not (folder / "figures.json").is_file():
            done = one(folder, source, recipe, seed, options.minutes, options.weights)
            print(json.dumps(done), flush=True)
    print("\n".join(table(options.out)))


def one(
    folder: Path, source: str, recipe: str, seed: int, minutes: float, weights: Path
) -> dict[str, Any]:
    """Train, measure, and keep the figures and a grid beside the run."""
    run = trained(folder / "run", source, recipe, seed, minutes)
    subject = from_run(run.path, checkpoint="best", count=SAMPLES)
    verdict = evaluate(subject, extractor())
    found = {f.name: f.value for finding in verdict.findings for f in finding.figures}
    other = measure(run, dataset_of(run), load_extractor(weights), SAMPLES)["best"]
    assert isinstance(other, dict)
    last = run.metrics()[-1]
    figures = {
        "set": Path(source).stem,
        "recipe": Path(recipe).stem,
        "seed": seed,
        "minutes": minutes,
        "words": list(verdict.words),
        **{key: found.get(name) for key, name in FIGURES.items()},
        "trained": other["kid_x1000"],
        "diversity": other["diversity"],
        "checkpoint": subject.images,
        "images": last["images"],
        "speed": last["images"] / (60 * minutes),
    }
    grid = morelike.load(run.path, "best").sample(range(48))
    pictures.write_png(folder / "grid.png", pictures.grid(grid), {})
    files.write_json(folder / "figures.json", figures)
    return figures


class ProcessorClock:
    """Ends a training, as Ctrl-C would, once the processor has spent its minutes on it."""

    def __init__(self, minutes: float) -> None:
        self.end = time.process_time() + 60 * minutes

    def record(self, record: Record) -> None:
        """Look at the clock; there is a record every few steps."""
        if time.process_time() > self.end:
            self.end = math.inf  # once: a second Ctrl-C would not wait for what is saved
            signal.raise_signal(signal.SIGINT)

    def picture(self, name: str, picture: np.ndarray, images: int) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def trained(
    folder: Path, source: str, recipe: str, seed: int, minutes: float, **sections: Any
) -> Run:
    """A run of so many minutes of the processor, with a quarter of the pictures held out."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return morelike.train(
            source,
            recipe,
            run=folder,
            images=10**9,
            seed=seed,
            data={"held_out": HELD_OUT},
            training={"checkpoint_minutes": minutes / 8},
            readers=[ProcessorClock(minutes)],
            **sections,
        )
    except Interrupted:
        return open_run(folder)


def table(folder: Path) -> Iterator[str]:
    """A line for each data set and recipe: the mean over seeds, and each of them."""
    found = [files.read_json(path) for path in sorted(folder.glob("*/figures.json"))]
    yield f"| set | recipe | seeds | {' | '.join(COLUMNS)} | words |"
    yield "| --- " * (len(COLUMNS) + 4) + "|"
    for name in sorted({(one["set"], one["recipe"]) for one in found}):
        rows = [one for one in found if (one["set"], one["recipe"]) == name]
        cells = [_cell([row[key] for row in rows]) for key in COLUMNS]
        words = "; ".join(" ".join(row["words"]) for row in rows)
        yield f"| {name[0]} | {name[1]} | {len(rows)} | {' | '.join(cells)} | {words} |"


def _cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    each = f" ({', '.join(f'{value:.3g}' for value in known)})" if len(known) > 1 else ""
    return f"{np.mean(known):.3g}{each}"


if __name__ == "__main__":
    main()
