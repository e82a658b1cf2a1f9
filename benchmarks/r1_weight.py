"""Does the weight of R1 and R2 go by how many pictures there are? Few of a large set, and the rest.

    python benchmarks/r1_weight.py bikes/ --pictures 48 --r1 0.18 0.72 2.9 --minutes 6 \
        --weights mobilenetv2.safetensors --out r1-weight/

So many pictures of the set are trained on by `tiny-cpu` (a quarter of them held out), with each
weight for so many minutes of one core. Figures are those of `ten_minutes.py`, of the latest
checkpoint and 500 samples, but the KID, which is to all pictures that were not among them: few
pictures could be met by heart. What is done is not done again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import morelike
from morelike import files, pictures
from morelike.data import open_source, prepare
from morelike.models import configure
from morelike.reopened import dataset_of
from small_data import trained
from ten_minutes import extract, kernel_distance, load_extractor, near_copies

SAMPLES = 500


def main() -> None:
    """Do what is left to do, then print what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a data set much larger than --pictures")
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--r1", type=float, nargs="+", required=True, help="weights of R1 and R2")
    parser.add_argument("--minutes", type=float, default=6.0, help="of the processor, each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, required=True, help="mobilenetv2_100, safetensors")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    whole = prepare(open_source(asked.source), configure({"data": {"resolution": 64}}).data)
    order = np.random.default_rng(asked.seed).permutation(len(whole.images))
    few, rest = order[: asked.pictures], np.sort(order[asked.pictures :])
    folder = asked.out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for index in few:
        pictures.write_png(folder / f"{index:05d}.png", whole.images[index], {})
    for weight in asked.r1:
        kept = asked.out / f"{weight:g}" / "figures.json"
        if not kept.is_file():
            figures = one(kept.parent, folder, weight, whole.images[rest], asked)
            files.write_json(kept, figures)
        print(json.dumps({"r1": weight} | files.read_json(kept)), flush=True)


def one(
    folder: Path, few: Path, weight: float, rest: np.ndarray, asked: argparse.Namespace
) -> dict[str, Any]:
    """Train with this weight and measure; a grid is left beside the run."""
    penalty = {"r1": weight, "r2": weight}
    run = trained(folder / "run", str(few), "tiny-cpu", asked.seed, asked.minutes, penalty=penalty)
    network, dataset = load_extractor(asked.weights), dataset_of(run)
    generator = morelike.load(run.path, "latest")
    made = generator.sample(range(10_000, 10_000 + SAMPLES))
    pictures.write_png(folder / "grid.png", pictures.grid(made[:48]), {})
    train, held_out = (
        extract(network, dataset.images[list(which)]) for which in (dataset.train, dataset.held_out)
    )
    fake, others = extract(network, made), extract(network, rest)
    return {
        "images": run.metrics()[-1]["images"],
        "kid_x1000_rest": round(kernel_distance(fake, others)),
        "kid_x1000_trained": round(kernel_distance(fake, train)),
        "diversity": round((torch.pdist(fake).mean() / torch.pdist(others).mean()).item(), 3),
        "near_copies": round(near_copies(fake, train, held_out), 3),
    }


if __name__ == "__main__":
    main()
