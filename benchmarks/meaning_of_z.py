"""Do directions of a latent space mean anything? Asked where the truth is known: drawn bicycles.

    python benchmarks/meaning_of_z.py --minutes 15 --out meaning/

Two InfoGANs of the same networks are trained for as many minutes of the processor: one whose codes
are rewarded for being readable, and one in which they are mere inputs (`information` next to 0). Of
each:

- **directions** by labels, SeFa and PCA against random ones, by their measured effect;
- **sliders**: 64 samples are moved from -3 to 3 along the direction of a factor, and the factor is
  read back by a network that was not used to find the direction (it learnt from other random
  numbers); correlation of slider and reading, over all and of each sample on its way, and how well
  it reads held-out bicycles;
- **single dimensions**: of 4,000 samples, how much of each factor one latent value tells (squared
  correlation; of factors in words, the share of variance between the values of a choice), the best
  factor of each, for codes and for noise.

`figures.json` has all of it; what is done already is not done again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

import morelike
from morelike import files
from morelike.directions import read_directions
from morelike.errors import Interrupted
from morelike.explore.directions import STOPS, directions
from morelike.explore.opened import Opened, opened
from morelike.explore.reader import Reader, learn, score, traits_of
from morelike.explore.sweep import sweep
from morelike.pictures import write_png
from morelike.reopened import dataset_of
from morelike.runs import Run, open_run
from morelike.sheet import Row, sheet
from morelike.space import Points, joined
from small_data import ProcessorClock

SOURCE = "toy:bicycles-both-ways:2000"
RECIPE = Path(__file__).parent / "recipes" / "bicycles-infogan.toml"
RUNS = {"codes rewarded": 0.1, "codes not rewarded": 1e-6}
"""What a nat that is read back is worth. At 1, bicycles were all the same after 36,000 pictures."""
FACTORS = ("facing:left", "frame_red", "frame_green", "frame_blue", "wheel_radius", "saddle_height")
SAMPLES, SLID = 4_000, 64
LEAST = 0.05
"""Standard deviation over samples below which a factor counts as the same in all."""


def main() -> None:
    """Train what is not there yet, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="of the processor, each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    runs = {
        name: trained(asked.out / name.replace(" ", "-"), weight, asked.minutes, asked.seed)
        for name, weight in RUNS.items()
    }
    found: dict[str, Any] = {name: measured(run) for name, run in runs.items()}
    files.write_json(asked.out / "figures.json", found)
    print("\n".join(table(found)))


def trained(folder: Path, weight: float, minutes: float, seed: int) -> Run:
    """A run of so many minutes of the processor."""
    if (folder / "generator").is_dir():
        return open_run(folder)
    try:
        return morelike.train(
            SOURCE,
            str(RECIPE),
            run=folder,
            images=10**9,
            seed=seed,
            discriminator={"information": weight},
            training={"checkpoint_minutes": max(0.1, minutes / 8)},
            readers=[ProcessorClock(minutes)],
        )
    except Interrupted:
        return open_run(folder)


def measured(run: Run) -> dict[str, Any]:
    """All figures of one run, at its last checkpoint."""
    found = directions(run.path, checkpoint="latest", device="cpu")
    swept = sweep(run.path, checkpoint="latest", device="cpu")
    dataset = dataset_of(run)
    device = torch.device("cpu")
    traits = traits_of(dataset.manifest)
    judge = Reader(traits, learn(dataset, traits, device, lambda *_: None, seed=1), device, {})
    model = opened(run.path, "latest", "cpu")
    slid = sliders(model, judge, found.folder)
    write_png(run.path / "sliders.png", pictured(slid, model, found.folder, run.name))
    listed = found.facts["directions"]
    sizes = {
        kind: [one["size"] for one in listed if one["kind"] == kind]
        for kind in ("sefa", "pca", "code", "attribute")
    }
    return {
        "run": run.name,
        "images": run.metrics()[-1]["images"],
        "reader": score(judge, dataset),
        "sizes": {kind: [round(x, 3) for x in values] for kind, values in sizes.items()},
        "random_size": found.facts["random_size"],
        "consistency": {
            kind: round(float(np.mean([o["consistency"] for o in listed if o["kind"] == kind])), 3)
            for kind, values in sizes.items()
            if values
        },
        "sliders": slid,
        "dimensions": dimensions(model, judge),
        "swept": swept.facts["dimensions"],
    }


def sliders(model: Opened, judge: Reader, folder: Path) -> dict[str, dict[str, float]]:
    """Move samples along each factor's direction, and read the factor back."""
    known = read_directions(folder).by_name
    points = model.points(range(500_000, 500_000 + SLID))
    figures = {}
    for name in FACTORS:
        if name not in known:
            continue
        trait, _, value = name.partition(":")
        said = judge.read(model.show(moved(points, known[name].vector)))[trait]
        column = next(t for t in judge.traits if t.name == trait).classes
        read = said[:, column.index(value) if value else 0].reshape(len(STOPS), SLID)
        amounts = np.repeat(STOPS, SLID)
        figures[name] = {
            "correlation": round(float(np.corrcoef(amounts, read.reshape(-1))[0, 1]), 3),
            "of_each_sample": round(within(read), 3),
            "at_-3": round(float(read[0].mean()), 4),
            "at_0": round(float(read[len(STOPS) // 2].mean()), 4),
            "at_3": round(float(read[-1].mean()), 4),
        }
    return figures


def pictured(
    figures: dict[str, dict[str, float]], model: Opened, folder: Path, name: str
) -> np.ndarray:
    """Two samples along each factor's direction and each code's: (height, width, 3) uint8."""
    known = read_directions(folder).by_name
    codes = [name for name, one in known.items() if one.kind == "code"]
    points = model.points(range(500_000, 500_002))
    rows = []
    for one in (*figures, *codes):
        shown = model.show(moved(points, known[one].vector))
        words = [one]
        if one in figures:
            words += [
                f"{key}: {figures[one][key]:.2f}" for key in ("correlation", "of_each_sample")
            ]
        rows.append(Row(words, [*shown[::2], *shown[1::2]]))
    header = [f"{stop:+.0f}" for stop in STOPS] * 2
    return sheet(f"{name}: sliders, then codes", rows, header=header)


def moved(points: Points, direction: torch.Tensor) -> Points:
    """Points at each stop along a direction, stop by stop."""
    return joined([points.at(points.values + stop * direction) for stop in STOPS])


def within(read: np.ndarray) -> float:
    """Correlation of slider and reading of one sample on its way, the mean of all: what samples
    differ in from the first is left out. `read` (stops, samples).
    """
    moves = [np.corrcoef(STOPS, one)[0, 1] for one in read.T if one.std() > 0]
    return float(np.mean(moves))


def dimensions(model: Opened, judge: Reader) -> list[dict[str, Any]]:
    """Of each latent value, the factor that it tells most of, and how much of it."""
    points = model.points(range(SAMPLES))
    said = judge.read(model.show(points))
    # In units of how real bicycles differ, so that what all samples share is seen as that.
    factors = np.concatenate(
        [said[trait.name].astype(np.float64) / trait.spread for trait in judge.traits], axis=1
    )
    names = [
        f"{trait.name}:{value}" if value else trait.name
        for trait in judge.traits
        for value in trait.classes or ("",)
    ]
    differs = factors.std(0) > LEAST
    names = [name for name, one in zip(names, differs, strict=True) if one]
    factors = factors[:, differs] - factors[:, differs].mean(0)
    factors /= factors.std(0)
    config: Any = model.generator.config.generator
    values = points.values.numpy().astype(np.float64)
    found = []
    place = 0
    sizes = [1] * config.latent + list(config.categorical) + [1] * config.continuous
    kinds = ["noise"] * config.latent + ["choice"] * len(config.categorical)
    kinds += ["number"] * config.continuous
    for kind, size in zip(kinds, sizes, strict=True):
        block = values[:, place : place + size]
        design = np.concatenate([np.ones((SAMPLES, 1)), block[:, : max(1, size - 1)]], axis=1)
        told = design @ np.linalg.lstsq(design, factors, rcond=None)[0]
        shares = np.square(told).mean(0)
        best = int(shares.argmax())
        found.append(
            {
                "kind": kind,
                "tells": names[best],
                "share": round(float(shares[best]), 4),
                "second": round(float(np.sort(shares)[-2]), 4),
            }
        )
        place += size
    return found


def table(found: dict[str, Any]) -> list[str]:
    """What matters most, for a person."""
    lines = []
    for name, one in found.items():
        lines.append(f"{name}: {one['images']:,} pictures shown")
        for slider, figures in one["sliders"].items():
            both = f"{figures['correlation']}, of each sample {figures['of_each_sample']}"
            lines.append(f"  slider {slider}: correlation {both}")
        for kind in ("noise", "choice", "number"):
            some = [d for d in one["dimensions"] if d["kind"] == kind]
            shares = sorted((d["share"] for d in some), reverse=True)
            lines.append(f"  {kind}: best shares {shares[:6]}, median {np.median(shares):.3f}")
        for kind, sizes in one["sizes"].items():
            lines.append(f"  {kind}: sizes {sizes[:8]} (random {one['random_size']})")
    return lines


if __name__ == "__main__":
    main()
