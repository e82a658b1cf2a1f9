"""Four trainings on CIFAR-10 for the same time each: Fréchet distance against minutes and pictures.

    python benchmarks/cifar10.py cifar10.zip --weights mobilenetv2.safetensors --out cifar10/
    python benchmarks/cifar10.py cifar10.zip --weights ... --out rehearsal/ --rehearse

For a GPU, ten minutes each: `cifar10-dcgan`; residual networks with spectral normalisation and the
hinge loss; `cifar10-modern`, without labels and with them. `--rehearse` goes the same way with
narrow networks and half a minute each, on any CPU: its figures mean nothing.

Each checkpoint's averaged weights make 10,000 pictures, and their Fréchet distance to the 10,000
pictures that were held out is taken in the features of timm's mobilenetv2_100, from the weights
file you name. Nothing published compares with it. What is done is not done again. In the end there
are figures.json, curves.png and a grid of each training's best checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import morelike
from interleaved import machine
from morelike import files, pictures
from morelike.devices import pick_device
from morelike.features import Extractor, extractor, features_of
from morelike.metrics.frechet import frechet_distance
from morelike.reopened import dataset_of
from morelike.runs import Run, open_run
from morelike.settings import merge

NETWORK = "timm:mobilenetv2_100"
SNGAN = str(Path(__file__).parent / "recipes" / "cifar10-sngan.toml")
LABELLED: dict[str, Any] = {"condition": {"on": ["label"]}}
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "cifar10-dcgan": ("cifar10-dcgan", {}),
    "resnet, hinge, spectral norm": (SNGAN, {}),
    "cifar10-modern": ("cifar10-modern", {}),
    "cifar10-modern, labels": ("cifar10-modern", LABELLED),
}
NARROW: dict[str, Any] = {
    "generator": {"width": 16},
    "discriminator": {"width": 16},
    "training": {"batch": 32},
}
WIDEST: dict[str, Any] = {"generator": {"widest": 16}, "discriminator": {"widest": 16}}
"""Of cifar10-modern, which names these too."""
CHECKPOINTS = 10


class Point(NamedTuple):
    """What is known of one checkpoint."""

    images: int
    minutes: float
    distance: float


def main() -> None:
    """Do what is left to do, then print and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="CIFAR-10 as a zip or folder, train/ and test/")
    parser.add_argument("--weights", type=Path, required=True, help="mobilenetv2_100, safetensors")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rehearse", action="store_true", help="narrow, short: does it work?")
    asked = parser.parse_args()
    if asked.rehearse:
        asked.minutes, asked.samples = 0.5, 500
    asked.out.mkdir(parents=True, exist_ok=True)
    network = extractor(NETWORK, asked.weights, pick_device(asked.device))
    found = {name: curve(name, asked, network) for name in TRAININGS}
    files.write_json(asked.out / "figures.json", {"machine": machine(), "curves": found})
    plot(asked.out / "curves.png", found)
    print(f"{machine()}\n\n| | pictures shown | minutes | Fréchet distance, least | at the end |")
    print("| --- | --- | --- | --- | --- |")
    for name, points in found.items():
        least = min(point.distance for point in points)
        last = points[-1]
        shown = f"{last.images:,} | {last.minutes:.1f}"
        print(f"| {name} | {shown} | {least:.1f} | {last.distance:.1f} |")


def curve(name: str, asked: argparse.Namespace, network: Extractor) -> list[Point]:
    """Train if that is left to do, and measure every checkpoint."""
    folder = asked.out / name.replace(", ", "-").replace(" ", "-")
    kept = folder / "points.json"
    if kept.is_file():
        return [Point(*values) for values in files.read_json(kept)]
    run = trained(folder / "run", name, asked)
    dataset = dataset_of(run)
    held_out = dataset.images[dataset.held_out[: asked.samples]]
    real = features_of(network, held_out)  # all four have the same
    points = []
    for checkpoint in run.checkpoints.all():
        if not checkpoint.images:
            continue
        made = samples(run, checkpoint.images, asked.device, asked.samples)
        distance = frechet_distance(network(made), real)
        points.append(Point(checkpoint.images, checkpoint.meta()["seconds"] / 60, distance))
        print(name, points[-1], flush=True)
    best = min(points, key=lambda point: point.distance)
    grid = pictures.grid(samples(run, best.images, asked.device, 100), columns=10)
    pictures.write_png(folder / "best.png", grid)
    files.write_json(kept, [list(point) for point in points])
    return points


def trained(folder: Path, name: str, asked: argparse.Namespace) -> Run:
    """The training, finished; one that was broken off goes on."""
    recipe, settings = TRAININGS[name]
    if asked.rehearse:
        settings = merge(settings, NARROW, WIDEST if "modern" in name else {})
    keeping: dict[str, Any] = {
        "training": {
            "checkpoint_minutes": asked.minutes / CHECKPOINTS,
            "keep": 100,
            "device": asked.device,
        },
        "data": {"labels": "folders"},  # in all four, so that the pictures are decoded once
    }
    if (folder / "config.json").is_file():
        morelike.train(run=folder, minutes=asked.minutes)
    else:
        sections: Any = merge(settings, keeping)
        morelike.train(asked.source, recipe, run=folder, minutes=asked.minutes, **sections)
    return open_run(folder)


def samples(run: Run, images: int, device: str, count: int) -> np.ndarray:
    """Pictures by the averaged weights of one checkpoint."""
    return morelike.load(run.path, images, device=device).sample(range(count))


def plot(path: Path, found: dict[str, list[Point]]) -> None:
    """Distance against minutes, and against pictures shown."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axis, what, column in zip(
        figure.subplots(1, 2, sharey=True), ("minutes", "real pictures shown"), (1, 0), strict=True
    ):
        for name, points in found.items():
            axis.plot([p[column] for p in points], [p.distance for p in points], "o-", label=name)
        axis.set_xlabel(what)
        axis.set_yscale("log")
        for side in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            side(StrMethodFormatter("{x:g}"))
        axis.grid(alpha=0.25)
        axis.legend(frameon=False)
    figure.supylabel("Fréchet distance to held-out pictures")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
