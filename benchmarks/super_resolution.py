"""Why does a general super-resolution network not help on fakes? Two guesses, tested.

    python benchmarks/super_resolution.py bikes/ --others dogs64.zip --fakes runs/00007-bikes-wgan \
        --weights mobilenetv2.safetensors --minutes 15 --out sr/

(a) Fakes are not downscaled photographs. (b) The network had learnt from all sorts of pictures, and
not from bicycles. So the same network is trained three times, each for as many minutes of the
processor, to make four times as large:

- `general`: on other pictures, made small;
- `domain`: on the pictures that the fakes are like, made small;
- `matched`: on these, filtered and made noisy as the fakes are, and on the fakes themselves, which
  have no truth, by what the discriminator says of them.

Bicubic and Lanczos need no training. On held-out pictures there is a truth: PSNR, SSIM and the
feature distance to it. On fakes there is none: KID of what is made of them to the real pictures, at
full size, beside the KID of real pictures that were made small and large again in the same way;
whatever that lacks, the enlarger does, and the rest the fakes do. Runs that are there are not
trained again.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import morelike
from morelike import files, pictures
from morelike.data import Dataset
from morelike.enhance.baselines import baselines
from morelike.enhance.model import of_run
from morelike.errors import Interrupted
from morelike.features import Extractor, extractor, features_of
from morelike.features.perceptual import perceptual
from morelike.metrics.fidelity import feature_distance, psnr, ssim
from morelike.metrics.kernel import kid_interval
from morelike.pictures import from_uint8, to_uint8
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import Run, open_run
from morelike.sheet import Row, sheet
from morelike.tasks import resample
from small_data import ProcessorClock

SCALE, SIDE = 4, 64
"""Fakes are SIDE pixels high and wide."""
FAKES, FIRST = 500, 2_000_000
CHUNK, SHOWN = 8, 6
CPU = torch.device("cpu")
Way = Callable[[Tensor], np.ndarray]
"""(B, C, h, w) in [-1, 1] -> (B, H, W, C) uint8."""


def main() -> None:
    """Train what is not there yet, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="pictures like the fakes, large")
    parser.add_argument("--others", required=True, help="other pictures")
    parser.add_argument("--fakes", required=True, help="a run or generator folder")
    parser.add_argument("--weights", type=Path, required=True, help="mobilenetv2_100, safetensors")
    parser.add_argument("--minutes", type=float, default=15.0, help="of the processor, each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="train just this one, and compare nothing")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    large = {"data": {"resolution": SCALE * SIDE, "channels": 3}}
    jobs: dict[str, tuple[str, dict[str, Any]]] = {
        # Its pictures are as large as the fakes, so it learns from 16 to 64; it takes any size.
        "general": (asked.others, {"data": {"resolution": SIDE, "channels": 3}}),
        "domain": (asked.source, large),
        "matched": (asked.source, {**large, "task": {"fakes": asked.fakes}}),
    }
    runs = {}
    for name, (source, sections) in jobs.items():
        if asked.only in (None, name):
            runs[name] = trained(asked.out / name, source, sections, asked.minutes, asked.seed)
    if asked.only is None:
        compared(runs, asked)


def trained(folder: Path, source: str, sections: dict[str, Any], minutes: float, seed: int) -> Run:
    """A run of so many minutes of the processor."""
    done = folder / "done.json"
    if done.is_file():
        return open_run(folder / "run")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = {"checkpoint_minutes": minutes / 8}
    try:
        run = morelike.train(
            source,
            "enlarge",
            run=folder / "run",
            images=10**9,
            seed=seed,
            **sections,
            training=settings,
            readers=[ProcessorClock(minutes)],
        )
    except Interrupted:
        run = open_run(folder / "run")
    files.write_json(done, {"images": run.metrics()[-1]["images"], "minutes": minutes})
    return run


def compared(runs: dict[str, Run], asked: argparse.Namespace) -> None:
    """Measure all ways on held-out pictures and on fakes."""
    dataset = dataset_of(runs["domain"])
    look = extractor("timm:mobilenetv2_100", asked.weights)
    known = extractor("random")
    ways = ways_of(runs)
    truth = np.array(dataset.images[dataset.held_out])
    small = rounded(resample(from_uint8(truth, CPU), (SIDE, SIDE), "lanczos"))
    of_pictures = {name: way(small) for name, way in ways.items()}
    fakes = from_uint8(morelike.load(asked.fakes).sample(range(FIRST, FIRST + FAKES)), CPU)
    of_fakes = {name: way(fakes) for name, way in ways.items()}
    real = everything(dataset)
    again = rounded(resample(from_uint8(real, CPU), (SIDE, SIDE), "lanczos"))
    of_real = {name: way(again) for name, way in ways.items()}
    found = {
        "images": {name: run.metrics()[-1]["images"] for name, run in runs.items()},
        "held_out": {n: fidelity(made, truth, asked.weights) for n, made in of_pictures.items()},
        "pictures": len(truth),
        "kid_x_1000": {
            each.name: {
                "fakes": distances(of_fakes, real, each),
                "real pictures, made small": distances(of_real, real, each),
            }
            for each in (look, known)
        },
        "fakes": FAKES,
        "real": len(real),
    }
    files.write_json(asked.out / "figures.json", found)
    write_sheet(asked.out / "held-out.png", "held-out pictures", small, of_pictures, truth)
    write_sheet(asked.out / "fakes.png", "fakes", fakes, of_fakes)
    print("\n".join(table(found)))


def ways_of(runs: dict[str, Run]) -> dict[str, Way]:
    """All ways to enlarge, by name."""

    def plain(name: str) -> Way:
        return lambda small: baselines(f"enlarge:{SCALE}", small, SCALE, 3)[name]

    def learnt(run: Run) -> Way:
        network = of_run(run.path, device="cpu").network

        def make(small: Tensor) -> np.ndarray:
            return np.concatenate([to_uint8(network(some)) for some in small.split(CHUNK)])

        return make

    return {
        "bicubic": plain("bicubic"),
        "Lanczos": plain("Lanczos"),
        **{name: learnt(run) for name, run in runs.items()},
    }


def rounded(small: Tensor) -> Tensor:
    """As it would be in a file of 8 bits."""
    return from_uint8(to_uint8(small), CPU)


def everything(dataset: Dataset) -> np.ndarray:
    """All pictures: ways to enlarge the same fakes are compared by them."""
    return np.array(dataset.images)


@torch.no_grad()
def fidelity(made: np.ndarray, truth: np.ndarray, weights: Path) -> dict[str, float]:
    """Means over pictures."""
    maps = perceptual("timm:mobilenetv2_100", weights).maps
    rows = []
    for start in range(0, len(made), CHUNK):
        one, other = (from_uint8(each[start : start + CHUNK], CPU) for each in (made, truth))
        apart = feature_distance(maps(one), maps(other))
        rows.append(torch.stack([psnr(one, other), ssim(one, other), apart], 1).double())
    whole = torch.cat(rows)
    errors = (whole.std(0) / len(whole) ** 0.5).tolist()
    names = ("psnr", "ssim", "feature_distance")
    means = dict(zip(names, whole.mean(0).tolist(), strict=True))
    return means | {f"{n}_error": e for n, e in zip(names, errors, strict=True)}


def distances(
    ways: dict[str, np.ndarray], real: np.ndarray, look: Extractor
) -> dict[str, list[float]]:
    """KID x 1000 with its standard error."""
    reference = features_of(look, real)
    found = {name: kid_interval(look(made), reference) for name, made in ways.items()}
    return {n: [1000 * each.value, 1000 * each.standard_error] for n, each in found.items()}


def write_sheet(
    path: Path,
    title: str,
    small: Tensor,
    ways: dict[str, np.ndarray],
    truth: np.ndarray | None = None,
) -> None:
    """Some pictures, a way a row."""
    chosen = np.sort(rng(0, "sheet").permutation(len(small))[:SHOWN])
    given = to_uint8(small[torch.from_numpy(chosen)]).repeat(SCALE, 1).repeat(SCALE, 2)
    rows = [Row(["given"], list(given))]
    rows += [Row([name], list(made[chosen])) for name, made in ways.items()]
    if truth is not None:
        rows.append(Row(["truth"], list(truth[chosen])))
    pictures.write_png(path, sheet(title, rows, "", side=SCALE * SIDE))


def table(found: dict[str, Any]) -> list[str]:
    """What matters, as Markdown."""
    lines = ["| | PSNR | SSIM | feature distance |", "| --- | --- | --- | --- |"]
    for name, one in found["held_out"].items():
        lines.append(
            f"| {name} | {one['psnr']:.2f} | {one['ssim']:.3f} | {one['feature_distance']:.3f} "
            f"+- {one['feature_distance_error']:.3f} |"
        )
    for name, kinds in found["kid_x_1000"].items():
        lines += ["", f"| KID x 1000 by {name} | {' | '.join(kinds)} |", "| --- | --- | --- |"]
        for way in found["held_out"]:
            cells = [f"{kinds[kind][way][0]:.0f} +- {kinds[kind][way][1]:.0f}" for kind in kinds]
            lines.append(f"| {way} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
