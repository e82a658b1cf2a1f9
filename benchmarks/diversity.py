r"""How varied samples are, checkpoint by checkpoint, beside real pictures: table and figure.

    python benchmarks/diversity.py --weights mobilenetv2.safetensors --figure bikes-wgan.png \
        --runs faster=runs/wgan-0,runs/wgan-1 --runs equal=runs/equal-0,runs/equal-1

Runs of one name are the same settings with other seeds. Features are those of `ten_minutes.py`, and
so is KID. Diversity is the mean distance of two samples' features, divided by that of two training
pictures: 1 is as varied as the pictures, 0 is one picture again and again. It does not see whether
samples look like anything, so KID stands beside it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

import morelike
from morelike.data import open_dataset, open_source, prepare
from morelike.data.dataset import is_prepared
from morelike.runs import Run, open_run
from morelike.sampling import stored_config
from ten_minutes import extract, kernel_distance, load_extractor

Figures = dict[str, float]


def spread(features: Tensor) -> float:
    """The mean distance between two of them."""
    return torch.pdist(features).mean().item()


def training_features(run: Run, network: nn.Module) -> Tensor:
    """Features of the run's training pictures."""
    source = Path(run.data()["source"])
    config = stored_config(run.config(), "config.json")
    prepared = is_prepared(source)
    dataset = open_dataset(source) if prepared else prepare(open_source(source), config.data)
    return extract(network, dataset.images[dataset.train])


def history(
    run: Run, network: nn.Module, real: Tensor, moments: int, samples: int
) -> list[Figures]:
    """Figures of averaged weights, at evenly spread checkpoints from the first to the last."""
    kept = [checkpoint.images for checkpoint in run.checkpoints.all()]
    chosen = sorted({kept[i] for i in np.linspace(0, len(kept) - 1, moments).round().astype(int)})
    found = []
    for images in chosen:
        pictures = morelike.load(run.path, images).sample(range(10_000, 10_000 + samples))
        fake = extract(network, pictures)
        figures = {"images": images, "diversity": spread(fake) / spread(real)}
        found.append(figures | {"kid_x1000": kernel_distance(fake, real)})
        print(run.name, json.dumps(found[-1]), flush=True)
    return found


def draw(figure: Path, histories: dict[str, list[list[Figures]]], batch: int) -> None:
    """Each run's diversity over its steps, one colour for each name."""
    plt.figure(figsize=(8, 4))
    for number, (name, runs) in enumerate(histories.items()):
        for turn, points in enumerate(runs):
            steps = [point["images"] / batch for point in points]
            values = [point["diversity"] for point in points]
            plt.plot(steps, values, f"C{number}o-", ms=3, label=None if turn else name)
    plt.axhline(1, color="0.6", lw=1, label="real pictures")
    plt.ylim(bottom=0)
    plt.xlabel("steps of the generator")
    plt.ylabel("mean pairwise feature distance, real = 1")
    plt.legend()
    plt.tight_layout()
    plt.savefig(figure, dpi=120)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description="How varied samples are over time.")
    parser.add_argument("--runs", action="append", required=True, metavar="NAME=RUN,RUN")
    parser.add_argument("--weights", type=Path, required=True, help="mobilenetv2_100, safetensors")
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--moments", type=int, default=8)
    parser.add_argument("--samples", type=int, default=128)
    options = parser.parse_args()
    network = load_extractor(options.weights)
    named = {
        n: [open_run(p) for p in paths.split(",")]
        for n, _, paths in (text.partition("=") for text in options.runs)
    }
    first = next(iter(named.values()))[0]
    real = training_features(first, network)
    histories = {
        name: [history(run, network, real, options.moments, options.samples) for run in runs]
        for name, runs in named.items()
    }
    draw(options.figure, histories, first.config()["training"]["batch"])
    for name, runs in histories.items():
        ends = [run[-1] for run in runs]
        for key in ("diversity", "kid_x1000"):
            values = [end[key] for end in ends]
            listed = ", ".join(f"{value:.3f}" for value in values)
            print(f"{name}: {key} at the end {listed}; mean {np.mean(values):.3f}")


if __name__ == "__main__":
    main()
