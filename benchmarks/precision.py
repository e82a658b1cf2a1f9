"""Is a generator that was trained in bf16 as good as one that was trained in fp32?

    python benchmarks/precision.py bikes/ --weights mobilenetv2.safetensors --out precision/

The same recipe, seeds and number of pictures in both, so that only the rounding differs; KID of
the last checkpoint, by the measure of `ten_minutes.py`. Seeds differ by more than rounding does, so
what counts is the mean of the differences, seed by seed, beside its standard error. What is done
already is not done again.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

import morelike
from morelike import files
from morelike.reopened import dataset_of
from morelike.runs import open_run
from ten_minutes import load_extractor, measure

PRECISIONS = ("bf16", "fp32")


def main() -> None:
    """Train what is not there yet, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a folder of pictures")
    parser.add_argument("--recipe", default="tiny-cpu")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--weights", type=Path, required=True, help="mobilenetv2_100, safetensors")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        precision: [figures(asked, precision, seed) for seed in asked.seeds]
        for precision in PRECISIONS
    }
    kids = {key: np.array([one["kid_x1000"] for one in some]) for key, some in found.items()}
    for precision, values in kids.items():
        print(f"{precision}: KID x1000 {values.tolist()}, mean {values.mean():.0f}")
    apart = kids["bf16"] - kids["fp32"]
    error = apart.std(ddof=1) / math.sqrt(len(apart)) if len(apart) > 1 else math.nan
    print(f"bf16 less fp32: {apart.mean():+.0f}, standard error {error:.0f}")


def figures(asked: argparse.Namespace, precision: str, seed: int) -> dict[str, Any]:
    """Of one run."""
    folder = asked.out / f"{precision}-{seed}"
    kept = asked.out / f"{precision}-{seed}.json"
    if kept.is_file():
        return files.read_json(kept)
    morelike.train(
        asked.source,
        asked.recipe,
        run=folder,
        images=asked.images,
        seed=seed,
        precision=precision,
    )
    run = open_run(folder)
    network = load_extractor(asked.weights)
    found = measure(run, dataset_of(run), network, 500)["latest"]
    assert isinstance(found, dict)
    files.write_json(kept, found)
    print(precision, seed, found, flush=True)
    return found


if __name__ == "__main__":
    main()
