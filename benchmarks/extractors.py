"""Whether features that need no download rank damage to pictures as an ImageNet network does.

    python benchmarks/extractors.py --data ../shared/data/bikes --weights mobilenetv2.safetensors

Half of the pictures are the reference, the other half is damaged in ten ways, each at four
strengths; for each, KID to the reference by both extractors. All of it is repeated with other
halves, as many times as there are seeds. Printed are, for each set of pictures and over all of
them, Spearman's rank correlation between the two extractors over all pairs of (damage, strength)
and within each kind of damage, each as its mean over the seeds and the standard deviation between
them; how often a stronger damage is farther away, for each extractor; each kind's distances in
units of the extractor's largest, which show where the two disagree; and the distance of the
undamaged half, which should be about 0.

The features are kept in the cache, so that a second run takes seconds. Ranks within one kind are
of four figures each, so a single swap costs 0.2. Halves of one set share pictures, so the spread is
between splits of the same pictures and not between sets.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from morelike.config import DataConfig
from morelike.data import open_source, prepare
from morelike.data.descriptors import describe
from morelike.features import Extractor, extractor, features_of
from morelike.rng import rng

MOST, CLUSTERS, FEW = 48, 6, 3
"""Pictures in each half, clusters where a set has no labels, pictures that are copied."""

Pictures = np.ndarray
"""(N, H, W, 3) uint8."""


class Halves(NamedTuple):
    """A set of pictures, cut in two."""

    reference: Pictures
    other: Pictures
    groups: np.ndarray
    """(len(other),) numbers from 0 to CLUSTERS - 1: classes, or clusters of similar pictures."""


def halves(source: str, seed: int = 0) -> Halves:
    """At most 2 x MOST pictures of a source at 64x64, in two halves, drawn by `seed`."""
    dataset = prepare(open_source(source), DataConfig(channels=3))
    order = rng(seed, "halves").permutation(len(dataset.images))[: 2 * MOST]
    images = dataset.images[np.sort(order)]
    folders = [dataset.manifest[i]["key"].rpartition("/")[0] for i in np.sort(order)]
    side = rng(seed, "sides").permutation(len(images)) % 2 == 1
    classes = sorted(set(folders))
    if len(classes) == CLUSTERS:
        groups = np.array([classes.index(folder) for folder in folders])
    else:
        groups = clusters(images, seed)
    return Halves(images[~side], images[side], groups[side])


def clusters(images: Pictures, seed: int) -> np.ndarray:
    """Lloyd's k-means of edges and colours (`data/descriptors.py`): a group for each picture."""
    points = describe(images[:, ::2, ::2]).reshape(len(images), -1)
    centres = points[rng(seed, "clusters").permutation(len(points))[:CLUSTERS]]
    groups = np.zeros(len(points), int)
    for _ in range(50):
        groups = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        centres = np.stack(
            [
                points[groups == k].mean(axis=0) if (groups == k).any() else centres[k]
                for k in range(CLUSTERS)
            ]
        )
    order = np.argsort(-np.bincount(groups, minlength=CLUSTERS), kind="stable")
    return np.argsort(order)[groups]  # the largest first, so that the last to stay is the largest


def each(images: Pictures, change: Callable[[Image.Image], Image.Image]) -> Pictures:
    """Apply a function of Pillow pictures to each."""
    return np.stack([np.asarray(change(Image.fromarray(one))) for one in images])


def rounded(values: np.ndarray) -> Pictures:
    """Back to uint8."""
    return np.rint(values.clip(0, 255)).astype(np.uint8)


def blur(half: Halves, sigma: float) -> Pictures:
    """Gaussian blur, sigma in pixels."""
    return each(half.other, lambda one: one.filter(ImageFilter.GaussianBlur(sigma)))


def noise(half: Halves, spread: float) -> Pictures:
    """Gaussian noise, standard deviation in levels."""
    return rounded(half.other + spread * rng(0, "noise").standard_normal(half.other.shape))


def jpeg(half: Halves, quality: float) -> Pictures:
    """JPEG at this quality."""

    def compressed(one: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        one.save(buffer, "JPEG", quality=int(quality))
        return Image.open(buffer).convert("RGB")

    return each(half.other, compressed)


def dropped(half: Halves, keep: float) -> Pictures:
    """Only the pictures of the first `keep` groups."""
    return half.other[half.groups < keep]


def copies(half: Halves, share: float) -> Pictures:
    """A share of the pictures replaced by copies of FEW."""
    order = rng(0, "copies").permutation(len(half.other))
    replaced = order[: round(share * len(order))]
    images = half.other.copy()
    images[replaced] = half.other[order[-FEW:]][np.arange(len(replaced)) % FEW]
    return images


def hue(half: Halves, degrees: float) -> Pictures:
    """All colours turned around the circle of hues."""

    def turned(one: Image.Image) -> Image.Image:
        values = np.asarray(one.convert("HSV")).copy()
        values[..., 0] += np.uint8(round(degrees / 360 * 256) % 256)
        return Image.fromarray(values, "HSV").convert("RGB")

    return each(half.other, turned)


def contrast(half: Halves, factor: float) -> Pictures:
    """Each picture nearer to its mean colour."""
    mean = half.other.mean(axis=(1, 2), keepdims=True)
    return rounded(mean + factor * (half.other - mean))


def ghosts(half: Halves, weight: float) -> Pictures:
    """Each picture with another one shining through."""
    return rounded((1 - weight) * half.other + weight * np.roll(half.other, 1, axis=0))


def occlusion(half: Halves, side: float) -> Pictures:
    """A gray square of this side somewhere in each picture."""
    images, s = half.other.copy(), int(side)
    height, width = images.shape[1:3]
    for one, (down, across) in zip(
        images, rng(0, "squares").random_sample((len(images), 2)), strict=True
    ):
        top, left = int(down * (height - s + 1)), int(across * (width - s + 1))
        one[top : top + s, left : left + s] = 128
    return images


def shuffled(half: Halves, share: float, cell: int = 8) -> Pictures:
    """A share of each picture's cells of 8x8 pixels change places."""
    images = half.other.copy()
    count, height, width, _ = images.shape
    numbers = rng(0, "cells")
    places = [(y, x) for y in range(0, height, cell) for x in range(0, width, cell)]
    for i in range(count):
        moved = numbers.permutation(len(places))[: round(share * len(places))]
        for a, b in zip(moved, np.roll(moved, 1), strict=True):
            (y, x), (v, u) = places[a], places[b]
            images[i, y : y + cell, x : x + cell] = half.other[i, v : v + cell, u : u + cell]
    return images


DAMAGES: dict[str, tuple[Callable[[Halves, float], Pictures], tuple[float, ...]]] = {
    "blur": (blur, (0.5, 1, 1.5, 2.5)),
    "noise": (noise, (5, 12, 25, 50)),
    "JPEG": (jpeg, (60, 30, 15, 6)),
    "modes dropped": (dropped, (4, 3, 2, 1)),
    "copies": (copies, (0.25, 0.5, 0.75, 0.95)),
    "hue": (hue, (15, 40, 90, 180)),
    "contrast": (contrast, (0.8, 0.6, 0.4, 0.2)),
    "ghosts": (ghosts, (0.1, 0.2, 0.35, 0.5)),
    "occlusion": (occlusion, (8, 16, 24, 32)),
    "shuffled cells": (shuffled, (0.1, 0.3, 0.6, 1.0)),
}
"""Each with its strengths, the weakest first."""


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """KID x 1000: unbiased squared MMD, kernel (x.y / F + 1)^3 (Binkowski et al. 2018)."""

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: np.ndarray) -> float:
        values = kernel(x, x)
        return (values.sum() - np.trace(values)) / (len(x) * (len(x) - 1))

    return float(1000 * (within(a) + within(b) - 2 * kernel(a, b).mean()))


def ranks(values: np.ndarray) -> np.ndarray:
    """From 0, equal values sharing the mean of their ranks."""
    below = (values[:, None] > values).sum(axis=1)
    return below + ((values[:, None] == values).sum(axis=1) - 1) / 2


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def measure(source: str, looks: list[Extractor], seed: int) -> dict[str, Any]:
    """All figures of one set of pictures cut by this seed, for two extractors."""
    half = halves(source, seed)
    reference = [features_of(look, half.reference).double().numpy() for look in looks]

    def distances(images: Pictures) -> list[float]:
        found = [features_of(look, images).double().numpy() for look in looks]
        return [kernel_distance(f, r) for f, r in zip(found, reference, strict=True)]

    undamaged = distances(half.other)
    kinds = {
        kind: np.array([distances(damage(half, strength)) for strength in strengths])
        for kind, (damage, strengths) in DAMAGES.items()
    }
    together = np.concatenate(list(kinds.values()))
    largest = together.max(axis=0)
    return {
        "source": source,
        "pictures": [len(half.reference), len(half.other)],
        "undamaged": (undamaged / largest).tolist(),
        "largest_kid_x1000": largest.tolist(),
        "spearman": spearman(*together.T),
        "kinds": {
            kind: {
                "strengths": DAMAGES[kind][1],
                "relative": (values / largest).tolist(),
                "spearman": spearman(*values.T),
                "rising": (np.diff(values, axis=0) > 0).mean(axis=0).tolist(),
            }
            for kind, values in kinds.items()
        },
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds of one set of pictures."""

    def over(values: list[float]) -> list[float]:
        return [float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0]

    kinds = {}
    for kind in DAMAGES:
        about = [run["kinds"][kind] for run in runs]
        kinds[kind] = {
            "spearman": over([one["spearman"] for one in about]),
            "rising": np.mean([one["rising"] for one in about], axis=0).tolist(),
            "relative": np.mean([one["relative"] for one in about], axis=0).tolist(),
        }
    return {
        "source": runs[0]["source"],
        "pictures": runs[0]["pictures"],
        "spearman": over([run["spearman"] for run in runs]),
        "undamaged": np.mean([run["undamaged"] for run in runs], axis=0).tolist(),
        "kinds": kinds,
    }


def table(sets: list[dict[str, Any]]) -> str:
    """Rank correlations in Markdown: a row for each kind, a column for each set and for all."""
    names = [f"{Path(one['source']).stem}, {one['pictures'][1]}" for one in sets]
    lines = ["| | " + " | ".join([*names, "mean of sets", "rising, each"]) + " |"]
    lines.append("| --- |" + " --- |" * (len(sets) + 2))

    def row(title: str, each: list[list[float]], rising: str) -> str:
        cells = [f"{mean:.2f} ± {spread:.2f}" for mean, spread in each]
        return f"| {title} | " + " | ".join([*cells, f"{np.mean(each, 0)[0]:.2f}", rising]) + " |"

    for kind in DAMAGES:
        about = [one["kinds"][kind] for one in sets]
        rising = " / ".join(f"{x:.2f}" for x in np.mean([one["rising"] for one in about], axis=0))
        lines.append(row(kind, [one["spearman"] for one in about], rising))
    lines.append(row("**all 40 pairs**", [one["spearman"] for one in sets], ""))
    return "\n".join(lines)


def distances_table(sets: list[dict[str, Any]]) -> str:
    """Mean distances at the four strengths as shares of the largest, by each extractor."""
    lines = ["| | by the first, weakest to strongest | by the second |", "| --- | --- | --- |"]
    undamaged = np.mean([one["undamaged"] for one in sets], axis=0)
    lines.append("| undamaged | " + " | ".join(f"{x:.3f}" for x in undamaged) + " |")
    for kind in DAMAGES:
        relative = np.mean([one["kinds"][kind]["relative"] for one in sets], axis=0)
        cells = [" ".join(f"{x:.2f}" for x in column) for column in relative.T]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="An extractor without weights, against another.")
    parser.add_argument("--data", nargs="+", required=True, help="folders or zips of pictures")
    parser.add_argument("--weights", type=Path, required=True, help="safetensors of --against")
    parser.add_argument("--against", default="timm:mobilenetv2_100")
    parser.add_argument("--seeds", type=int, default=4, help="how many times it is repeated")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    looks = [extractor("random"), extractor(options.against, options.weights)]
    start = time.perf_counter()
    results = []
    for source in options.data:
        runs = [measure(source, looks, seed) for seed in range(options.seeds)]
        results.append(summary(runs) | {"runs": runs})
        print(table(results[-1:]), flush=True)
    print(table(results))
    print(distances_table(results))
    figures = {
        "extractors": [look.name for look in looks],
        "seconds": time.perf_counter() - start,
        "sets": results,
    }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
