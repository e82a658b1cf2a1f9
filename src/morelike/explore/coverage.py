"""A map of a generator's space: what lies where, how good it is, and which kinds of training
pictures it does not reach.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from torch import Tensor

from morelike.data import Dataset
from morelike.data.duplicates import SIDE, near_groups
from morelike.diagnostics.copies import Copies
from morelike.diagnostics.latent import NEIGHBOURS, identical, log_realism, poor_region
from morelike.diagnostics.matching import squeezed
from morelike.errors import UserError
from morelike.explore.atlas import Atlas, Quality
from morelike.explore.atlas_panels import draw, kinds_sheet, percent
from morelike.explore.clusters import Cluster, clusters
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Opened, Progress, opened, quiet
from morelike.explore.projection import (
    explained,
    projection,
    told_from_place,
)
from morelike.features import Extractor, features_of
from morelike.pictures import to_rgb
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.space import Points

FEWEST, MOST = 64, 5_000
MOST_REAL = 2_000
"""Training pictures that samples are compared with, at most; copies are looked for among all."""
BLOCK = 250


def coverage(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    count: int = 2000,
    seed: int = 0,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    data: str | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Draw a map of the generator's space, and count which kinds of training pictures it reaches.

    Writes `coverage.png`, the map: what lies where, its quality, kinds, near-duplicates and
    near-copies; `clusters.png`, each kind of training pictures beside its samples, those that are
    not reached first; `coverage.json`, all figures.

    Args:
        path: a run folder.
        out: where results go; `explore/coverage` in `path`, if not given.
        count: samples, 64 to 5,000.
        seed: the first of their seeds.
        checkpoint: best, latest or a number of images seen.
        features: the extractor, see `morelike.features`.
        weights: its weights, if it needs any.
        data: where the training pictures are now, if not where they were.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (pictures made and looked at, of how many).

    Raises:
        UserError: for a count out of bounds, a generator without a space or without its pictures.
    """
    if not FEWEST <= count <= MOST:
        raise UserError(f"{count} samples are out of range; use --count {FEWEST} to {MOST}.")
    model = opened(path, checkpoint, device)
    run = model.run
    points = model.points(range(seed, seed + count))
    if len(np.unique(points.values.cpu().numpy(), axis=0)) <= count / 2:
        raise UserError(
            f"the generator of {path} draws nothing at random, so it has no space to be mapped; "
            "give a run of another family than regressor."
        )
    look = model.extractor(features, weights)
    dataset = dataset_of(run, data)
    images = model.show(points, lambda done, _: progress(done, 2 * count))
    seen = _features(look, images, progress)
    some = dataset.train[np.sort(rng(0, "coverage").permutation(len(dataset.train))[:MOST_REAL])]
    train = dataset.images[some]
    real = features_of(look, train)
    placed = _placed(model, points)
    found = _atlas(placed, images, seen, real, dataset)
    facts = {
        **model.about(),
        "space": model.space.name,
        "dimensions": points.values.shape[1],
        "extractor": look.name,
        "count": count,
        "training_pictures": len(dataset.train),
        "compared_with": len(some),
        **_facts(found),
        "samples": _samples(found, seed),
    }
    sheets = {"coverage": draw(found, model.generator.name, model.generator.checkpoint)}
    if found.kinds:
        sheets["clusters"] = kinds_sheet(found, train, model.generator.name)
    lines = _lines(found, facts)
    return write(folder_for(path, "coverage", out), "coverage", facts, sheets, lines=lines)


def quality(real: Tensor, samples: Tensor) -> Quality | None:
    """Log realism of samples (n, F) to half of the real pictures (N, F); what is poor says the
    other half. None if there are too few to tell.
    """
    if min(len(real) // 2, len(samples)) <= NEIGHBOURS:
        return None
    values, poor_below = log_realism(real, samples)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    return Quality(np.clip(values, finite.min(), finite.max()), poor_below)


def duplicates(images: np.ndarray) -> np.ndarray:
    """(n,) bool: which of these (n, H, W, C) have a near-duplicate among them, by the rule that
    leaves near-duplicates out of training sets.
    """
    thumbs = squeezed(to_rgb(images).astype(np.float32), SIDE).round().astype(np.uint8)
    found = np.zeros(len(images), bool)
    for group in near_groups(thumbs):
        found[list(group.members)] = True
    return found


def _features(look: Extractor, images: np.ndarray, progress: Progress) -> Tensor:
    import torch

    parts = []
    for start in range(0, len(images), BLOCK):
        parts.append(features_of(look, images[start : start + BLOCK]))
        progress(min(len(images) + start + BLOCK, 2 * len(images)), 2 * len(images))
    return torch.cat(parts)


def _placed(model: Opened, points: Points) -> np.ndarray:
    """(n, D): what the map is of; with the condition beside the latents, if there is one."""
    values = [points.values]
    if model.generator.config.condition.size and model.space.name == "z":
        values.append(points.rest[0])
    return np.concatenate([one.double().cpu().numpy() for one in values], axis=1)


def _atlas(
    points: np.ndarray, images: np.ndarray, seen: Tensor, real: Tensor, dataset: Dataset
) -> Atlas:
    pictures = seen.double().numpy()
    places = projection(points, pictures).places(points)
    good = quality(real, seen)
    return Atlas(
        images,
        places,
        explained(points, pictures),
        good,
        None if good is None else poor_region(points, good.values, good.poor_below),
        None if good is None else told_from_place(points, pictures, good.values),
        identical(points, seen.numpy(), real.numpy()),
        duplicates(images),
        _copies(dataset, images),
        clusters(real, seen),
    )


def _copies(dataset: Dataset, images: np.ndarray) -> np.ndarray | None:
    try:
        found = Copies.fitted(dataset.images[dataset.train], dataset.images[dataset.held_out])
    except UserError:  # too few different training pictures
        return None
    blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
    return np.concatenate([found.judge(one).near for one in blocks])


# What is said -------------------------------------------------------------------------------------


def _facts(found: Atlas) -> dict[str, Any]:
    twins = found.twins.figures
    told = found.explained
    facts: dict[str, Any] = {
        "map": {
            "method": "reduced-rank regression of features on points",
            "explained_by_map": _rounded(told.map),
            "explained_by_point_linearly": _rounded(told.point),
            "explained_by_two_principal_components": _rounded(told.pictures),
        },
        "quality": None,
        "near_duplicates": {
            "samples": int(found.duplicate.sum()),
            "share": _rounded(float(found.duplicate.mean())),
            "from_far_points": found.twins.state,
            "sentence": found.twins.sentence,
            "figures": [_figure(one) for one in twins],
        },
        "near_copies": None
        if found.copy is None
        else {
            "samples": int(found.copy.sum()),
            "share": _rounded(float(found.copy.mean())),
        },
        "kinds": [_kind(found, one) for one in found.kinds],
    }
    if found.quality is not None and found.regions is not None and found.here is not None:
        facts["quality"] = {
            "measure": "log realism; poor: below 95 % of real pictures",
            "poor_below": _rounded(found.quality.poor_below),
            "poor": _rounded(float(found.quality.poor.mean())),
            "poor_region": found.regions.state,
            "sentence": found.regions.sentence,
            "figures": [_figure(one) for one in found.regions.figures],
            "told_from_place": {
                "r2": _rounded(found.here.r2),
                "chance": _rounded(found.here.chance),
            },
        }
    return facts


def _figure(one: Any) -> dict[str, Any]:
    null = None if one.null is None else [_rounded(x) for x in one.null]
    return {"name": one.name, "value": _rounded(one.value), "null": null, "note": one.note}


def _kind(found: Atlas, one: Cluster) -> dict[str, Any]:
    poor = None
    if found.quality is not None and len(one.samples):
        poor = _rounded(float(found.quality.poor[one.samples].mean()))
    return {
        "number": one.number,
        "state": one.state,
        "training_pictures": len(one.train),
        "training_share": _rounded(one.expected),
        "samples": len(one.samples),
        "sample_share": _rounded(one.seen),
        "interval_95": [_rounded(x) for x in one.interval],
        "p_corrected": float(f"{one.chance:.3g}"),
        "poor_share": poor,
    }


def _samples(found: Atlas, seed: int) -> dict[str, list[Any]]:
    """What is known of each sample, column by column."""
    quality = found.quality
    return {
        "seed": list(range(seed, seed + len(found.images))),
        "x": [_rounded(x) for x in found.places[:, 0]],
        "y": [_rounded(x) for x in found.places[:, 1]],
        "log_realism": [] if quality is None else [_rounded(x) for x in quality.values],
        "kind": found.kind.tolist(),
        "near_duplicate": found.duplicate.tolist(),
        "near_copy": [] if found.copy is None else found.copy.tolist(),
    }


def _lines(found: Atlas, facts: dict[str, Any]) -> list[str]:
    told = found.explained
    count = len(found.images)
    lines = [
        f"The map's two directions tell {percent(told.map)} of how {count:,} samples differ; the "
        f"whole point tells {percent(told.point)} linearly, and the best two numbers that see "
        f"the pictures {percent(told.pictures)}."
    ]
    if found.regions is not None and found.here is not None:
        told_from_point = found.regions.figures[0] if found.regions.figures else None
        if told_from_point is not None and told_from_point.null is not None:
            lines.append(
                f"Quality told from the point: R2 {told_from_point.value:.2f} (chance: up to "
                f"{max(told_from_point.null[1], 0):.2f}); from the place on the map: R2 "
                f"{found.here.r2:.2f} (chance: up to {max(found.here.chance, 0):.2f})."
            )
        lines.append(found.regions.sentence)
    copied = "copies were not looked for: the training pictures are too few"
    if found.copy is not None:
        copied = f"{int(found.copy.sum()):,} are near-copies of training pictures"
    lines.append(
        f"{int(found.duplicate.sum()):,} of {count:,} samples have a near-duplicate; {copied}."
    )
    for state, says in (("unreached", "not reached"), ("undercovered", "made too rarely")):
        short = [one for one in found.kinds if one.state == state]
        if short:
            numbers = ", ".join(str(one.number) for one in short)
            share = sum(one.expected for one in short)
            lines.append(
                f"{len(short)} of {len(found.kinds)} kinds of training pictures, with {share:.0%} "
                f"of them, {'is' if len(short) == 1 else 'are'} {says}: {numbers} in clusters.png."
            )
    if len(found.kinds) < 2:
        lines.append(
            f"{facts['training_pictures']} training pictures are too few to tell kinds among them."
        )
    elif all(one.state == "reached" for one in found.kinds):
        lines.append(f"None of {len(found.kinds)} kinds of training pictures surely lacks samples.")
    return lines


def _rounded(value: float) -> float:
    return round(float(value), 4)
