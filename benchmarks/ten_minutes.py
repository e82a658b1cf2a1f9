"""What a recipe gives in some minutes on this machine: KID, diversity and near-copies of a run.

    python benchmarks/ten_minutes.py photos/ --weights mobilenetv2.safetensors
    python benchmarks/ten_minutes.py photos/ --minutes 60 --curve --weights mobilenetv2.safetensors
    python benchmarks/ten_minutes.py --run runs/00001-roses-dcgan --weights mobilenetv2.safetensors

`--curve` gives the figures of every checkpoint there is; a training that it begins keeps twelve.

The features are those of timm's mobilenetv2_100 from the weights file you name (pictures upscaled
to 224, bicubic, antialiased). Figures compare with one another and with nothing published. Samples
are 500 by default, of the averaged weights, against all distinct training pictures.

- KID x1000: unbiased squared MMD, kernel (x.y / 1280 + 1)^3 (Binkowski et al. 2018), with the
  figure of held-out against training pictures beside it; a set is rarely large enough for 0.
- diversity: mean pairwise feature distance of samples, divided by that of training pictures.
- near-copies: share of samples that are nearer to one training picture than 95 % of the held-out
  pictures are to theirs, and twice as near to it as to the second nearest (squared distances).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

import morelike
from morelike.data import Dataset, open_source, prepare
from morelike.features.extractor import rgb
from morelike.runs import Run, open_run
from morelike.sampling import stored_config

SIZE, BATCH, FEATURES = 224, 64, 1280


def load_extractor(weights: Path) -> nn.Module:
    """The feature network, in evaluation mode."""
    network = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=0)
    stored = {k: v.float() for k, v in load_file(weights).items() if not k.startswith("classifier")}
    network.load_state_dict(stored)
    return network.eval()


@torch.no_grad()
def extract(network: nn.Module, images: np.ndarray) -> Tensor:
    """Features (N, 1280) float64 of (N, H, W, C) uint8."""
    found = []
    for start in range(0, len(images), BATCH):
        pictures = rgb(torch.from_numpy(images[start : start + BATCH]))
        large = F.interpolate(pictures, SIZE, mode="bicubic", antialias=True).clamp(0, 255)
        found.append(network(large / 127.5 - 1))
    return torch.cat(found).double()


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """KID x 1000 between two sets of features."""

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / FEATURES + 1) ** 3

    def within(x: Tensor) -> Tensor:
        values = kernel(x, x)
        return (values.sum() - values.trace()) / (len(x) * (len(x) - 1))

    return 1000 * (within(a) + within(b) - 2 * kernel(a, b).mean()).item()


def near_copies(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
    """Share of `fake` that is singled out by one training picture."""
    usual = torch.cdist(held_out, train).min(dim=1).values.quantile(0.05)
    nearest = torch.cdist(fake, train).topk(2, largest=False).values
    singled = nearest[:, 0].square() < 0.5 * nearest[:, 1].square()
    return ((nearest[:, 0] < usual) & singled).double().mean().item()


def measure(
    run: Run,
    dataset: Dataset,
    network: nn.Module,
    samples: int,
    checkpoints: Sequence[str | int] = ("best", "latest"),
) -> dict[str, object]:
    """All figures of one run, those of its checkpoints by their names."""
    images = dataset.images
    digests = [record["digest"] for record in dataset.manifest]
    distinct = [i for i in dataset.train if digests.index(digests[i]) == i]
    train, held_out = (extract(network, images[list(s)]) for s in (distinct, dataset.held_out))
    figures: dict[str, object] = {
        "run": run.name,
        "training_pictures": len(train),
        "held_out": round(kernel_distance(held_out, train)),
    }
    for which in checkpoints:
        generator = morelike.load(run.path, which)
        fake = extract(network, generator.sample(range(10_000, 10_000 + samples)))
        figures[str(which)] = {
            "checkpoint": generator.checkpoint,
            "kid_x1000": round(kernel_distance(fake, train)),
            "diversity": round((torch.pdist(fake).mean() / torch.pdist(train).mean()).item(), 3),
            "near_copies": round(near_copies(fake, train, held_out), 3),
        }
    return figures


def main() -> None:
    """Train if asked, then measure and print."""
    parser = argparse.ArgumentParser(description="Quality of a run after some minutes.")
    parser.add_argument("source", nargs="?", help="a folder of pictures, to train on first")
    parser.add_argument("--recipe", help="without, the one that is chosen for the pictures")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs")
    parser.add_argument("--run", help="measure this run instead of training one")
    parser.add_argument("--weights", type=Path, required=True, help="mobilenetv2_100, safetensors")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--curve", action="store_true", help="measure every checkpoint")
    options = parser.parse_args()
    kept: Any = {"checkpoint_minutes": options.minutes / 12, "keep": 12} if options.curve else {}
    if options.run:
        run = open_run(options.run)
    else:
        run = morelike.train(
            options.source,
            options.recipe,
            out=options.out,
            minutes=options.minutes,
            seed=options.seed,
            training=kept,
        )
    config = stored_config(run.config(), "config.json")
    dataset = prepare(open_source(run.data()["source"]), config.data)
    network, samples = load_extractor(options.weights), options.samples
    if options.curve:
        minutes = {c.images: c.meta()["seconds"] / 60 for c in run.checkpoints.all() if c.images}
        figures = measure(run, dataset, network, samples, list(minutes)) | {"minutes": minutes}
    else:
        figures = measure(run, dataset, network, samples)
    last = run.metrics()[-1]
    figures |= {"step": last["step"], "images": last["images"], "seconds": last["seconds"]}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
