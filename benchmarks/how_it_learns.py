"""How a generator learns faces, watched for half an hour of the processor: what comes first, what
is forgotten, and whether a smile has a direction.

    python benchmarks/how_it_learns.py smiles.zip --minutes 30 --out faces/

Trains what `morelike train` chooses for pictures in folders by kind, keeping checkpoints, and then
asks of it what `morelike explore` asks:

- `observatory`: frequency bands, forgetting, wandering over the data set;
- `timelapse`: the same latents through all checkpoints;
- `directions`: one for each label; the faces that are moved along it are scored by a classifier
  that learnt the real labels from other random numbers than the one that found the direction;
- `project`: whether 40 samples are found again, and how near it comes to 40 held-out pictures.

Most of what there is to see happens within the first minutes, so these are trained once more, with
as many checkpoints, and watched by the first two. `figures.json` has what of this is not in their
own files in `OUT/run/explore` and `OUT/beginning/explore`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import morelike
from morelike import files, pictures
from morelike.directions import read_directions
from morelike.errors import Interrupted
from morelike.explore.directions import STOPS, directions
from morelike.explore.observatory import observatory
from morelike.explore.opened import opened
from morelike.explore.project import FOUND, project
from morelike.explore.reader import Reader, learn, score, traits_of
from morelike.explore.timelapse import timelapse
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import Run, open_run
from morelike.space import joined
from small_data import ProcessorClock

CHECKPOINTS = 40
SLID, PROJECTED = 200, 40
CPU = torch.device("cpu")


def main() -> None:
    """Train if that is left to do, then look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="pictures in folders by kind")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the processor")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    run = trained(asked.out / "run", asked.source, asked.minutes, asked.seed)
    beginning = trained(asked.out / "beginning", asked.source, asked.minutes / 15, asked.seed)
    lines = {}
    for some in (run, beginning):
        lines[some.name] = list(observatory(some.path, checkpoints=20, device="cpu").lines)
        timelapse(some.path, device="cpu")
    directions(run.path, kinds=["traits", "sefa", "pca"], checkpoint="latest", device="cpu")
    found = {
        "run": run.name,
        "images": run.metrics()[-1]["images"],
        "observatory": lines,
        "labels": labels(run),
        "projected": projected(run),
    }
    files.write_json(asked.out / "figures.json", found)
    for key, value in found.items():
        print(key, value)


def trained(folder: Path, source: str, minutes: float, seed: int) -> Run:
    """A run of so many minutes of the processor."""
    if (folder / "generator").is_dir():
        return open_run(folder)
    try:
        return morelike.train(
            source,
            run=folder,
            images=10**9,
            seed=seed,
            data={"labels": "folders"},
            training={"checkpoint_minutes": minutes / CHECKPOINTS, "keep": 2 * CHECKPOINTS},
            readers=[ProcessorClock(minutes)],
        )
    except Interrupted:
        return open_run(folder)


def labels(run: Run) -> dict[str, Any]:
    """Faces moved along the direction of each label, scored by a classifier of its own."""
    dataset = dataset_of(run)
    traits = traits_of(dataset.manifest)
    judge = Reader(traits, learn(dataset, traits, CPU, lambda *_: None, seed=1), CPU, {})
    model = opened(run.path, "latest", "cpu")
    known = read_directions(run.path / "explore" / "directions").by_name
    points = model.points(range(600_000, 600_000 + SLID))
    (trait,) = (one for one in traits if one.name == "label")
    found: dict[str, Any] = {"judge": score(judge, dataset)}
    for place, name in enumerate(trait.classes):
        slid = [points.at(points.values + stop * known[name].vector) for stop in STOPS]
        read = judge.read(model.show(joined(slid)))["label"][:, place].reshape(len(STOPS), SLID)
        called = (read > 0.5).mean(1)
        found[name] = {
            "steps": list(STOPS),
            "mean_probability": [round(float(value), 4) for value in read.mean(1)],
            "called_so": [round(float(value), 4) for value in called],
            "more_than_at_0": round(float((read[-1] > read[len(STOPS) // 2]).mean()), 4),
        }
    return found


def projected(run: Run) -> dict[str, Any]:
    """Samples and held-out pictures looked for in the generator's space."""
    dataset = dataset_of(run)
    held = np.sort(rng(0, "projected").permutation(dataset.held_out)[:PROJECTED])
    made = morelike.load(run.path, "latest", device="cpu").sample(range(PROJECTED))
    found: dict[str, Any] = {"found_again_within_levels": FOUND}
    with tempfile.TemporaryDirectory() as folder:
        for name, some in (("samples", made), ("held_out", dataset.images[held])):
            paths = [Path(folder, f"{name}-{number}.png") for number in range(len(some))]
            for path, picture in zip(paths, some, strict=True):
                pictures.write_png(path, picture)
            out = run.path / "explore" / f"project-{name}"
            photos = project(run.path, paths, out, checkpoint="latest", device="cpu").facts[
                "photos"
            ]
            errors = np.array([one["error"] for one in photos])
            found[name] = {
                "median": round(float(np.median(errors)), 3),
                "most": round(float(errors.max()), 3),
                "found_again": round(float((errors <= FOUND).mean()), 3),
            }
    return found


if __name__ == "__main__":
    main()
