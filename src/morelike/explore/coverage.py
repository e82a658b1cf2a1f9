"""A map of a generator's space: what lies where, how good it is, and which kinds of training
pictures it does not reach.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from morelike.data import Dataset
from morelike.data.duplicates import SIDE, near_groups
from morelike.diagnostics.copies import Copies
from morelike.diagnostics.finding import Finding
from morelike.diagnostics.latent import NEIGHBOURS, identical, log_realism, poor_region
from morelike.diagnostics.matching import squeezed
from morelike.errors import UserError
from morelike.explore.clusters import Cluster, clusters
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Opened, Progress, opened, quiet
from morelike.explore.plots import drawn
from morelike.explore.projection import (
    Explained,
    Told,
    explained,
    projection,
    told_from_place,
)
from morelike.features import Extractor, features_of
from morelike.pictures import grid, to_rgb
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.sheet import Row, sheet
from morelike.space import Points

FEWEST, MOST = 64, 5_000
MOST_REAL = 2_000
"""Training pictures that samples are compared with, at most; copies are looked for among all."""
BLOCK = 250
CELLS = 16
"""The map shows at most so many samples across and down."""
SHOWN = 6
"""Pictures of a kind on the sheet, of either side."""
KINDS_NOTE = (
    "Training pictures are parted into kinds by k-means in features; on the left the most typical "
    "of each, on the right the samples that come nearest. Unreached: at most a fifth of the "
    "samples that it should have, undercovered: at most half, and surely so (Fisher's exact test, "
    "corrected for the number of kinds)."
)


class Quality(NamedTuple):
    """How real samples look, beside real pictures."""

    values: np.ndarray
    """(n,) log realism, see `metrics.manifold`; finite."""
    poor_below: float
    """What 5 % of real pictures lie below."""

    @property
    def poor(self) -> np.ndarray:
        """(n,) bool"""
        return self.values < self.poor_below


@dataclass(frozen=True)
class Atlas:
    """All that is known about the samples on the map."""

    images: np.ndarray
    """(n, H, W, C) uint8."""
    places: np.ndarray
    """(n, 2) on the map."""
    explained: Explained
    quality: Quality | None
    """None where training pictures are too few."""
    regions: Finding | None
    """Whether quality follows from the point, and a region is poor."""
    here: Told | None
    """The same, of the place on the map."""
    twins: Finding
    """Whether points far from each other give one picture."""
    duplicate: np.ndarray
    """(n,) bool: whether there is a near-duplicate among the samples."""
    copy: np.ndarray | None
    """(n,) bool: whether it is a near-copy of a training picture; None if that cannot be told."""
    kinds: list[Cluster]

    @property
    def kind(self) -> np.ndarray:
        """(n,) the number of the kind of training pictures that each sample is nearest to, or 0."""
        found = np.zeros(len(self.images), np.int64)
        for one in self.kinds:
            found[one.samples] = one.number
        return found


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
        sheets["clusters"] = _kinds_sheet(found, train, model.generator.name)
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


# What is shown ------------------------------------------------------------------------------------


def draw(found: Atlas, run: str, checkpoint: str) -> np.ndarray:
    """The map: (height, width, 3) uint8."""
    from matplotlib.figure import Figure  # heavy

    plot = Figure(figsize=(16.5, 8.6), layout="constrained")
    plot.suptitle(
        f"{run} at {checkpoint}: a map of its space. Every place is a point that pictures are made "
        "from; the two directions\nare those along which pictures differ most, in percent of all "
        f"points. They tell {_percent(found.explained.map)} of how pictures differ "
        f"(the whole point, linearly, {_percent(found.explained.point)})."
    )
    parts = plot.add_gridspec(1, 2, width_ratios=(1, 1.05))
    left, right = plot.add_subfigure(parts[0]), plot.add_subfigure(parts[1])
    axis = left.subplots()
    axis.imshow(mosaic(found.images, found.places), interpolation="antialiased")
    axis.set_title("What lies where: of each part of the map the most typical sample")
    axis.set_axis_off()
    axes = right.subplots(2, 2, sharex=True, sharey=True).ravel()
    spots = 100 * _ranks(found.places)
    for axis in axes:
        axis.set_aspect("equal")
        axis.set_xlim(0, 100)
        axis.set_ylim(0, 100)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[2:]:
        axis.set_xlabel("first direction (percent of points)")
    for axis in axes[::2]:
        axis.set_ylabel("second direction")
    _draw_quality(plot, axes[0], spots, found)
    _draw_kinds(axes[1], spots, found)
    twins = int(found.duplicate.sum())
    _draw_some(
        axes[2], spots, found.duplicate, f"Near-duplicates of another sample: {twins:,}", "#d1495b"
    )
    if found.copy is None:
        title, which = "Near-copies: too few training pictures", np.zeros(len(spots), bool)
    else:
        title, which = f"Near-copies of training pictures: {int(found.copy.sum()):,}", found.copy
    _draw_some(axes[3], spots, which, title, "#d1495b")
    return drawn(plot)


def mosaic(images: np.ndarray, places: np.ndarray, cells: int = CELLS) -> np.ndarray:
    """The map in cells, each with the sample that is most like the others there; higher places are
    further up, empty cells white: (height, width, 3) uint8.

    Args:
        images: (n, H, W, C) uint8.
        places: (n, 2); cells are parted by their ranks, so that all have some.
        cells: how many across and down, at most; fewer where there would be less than 4 samples in
            each.
    """
    cells = max(1, min(cells, int((len(images) / 4) ** 0.5)))
    column, row = np.minimum((_ranks(places) * cells).astype(int), cells - 1).T
    blank = np.full_like(images[0], 255)
    shown = []
    for y in range(cells)[::-1]:
        for x in range(cells):
            own = np.flatnonzero((column == x) & (row == y))
            shown.append(images[own[_typical(images[own])]] if len(own) else blank)
    return grid(np.stack(shown), columns=cells, gap=max(1, min(images.shape[1:3]) // 32))


def _typical(images: np.ndarray) -> int:
    """Which of these has the least squared distance to all the others, in pixels."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    return int(np.square(flat - flat.mean(axis=0)).sum(axis=1).argmin())


def _ranks(places: np.ndarray) -> np.ndarray:
    """(n, 2): the share of all places that lie lower, along each direction, in (0, 1)."""
    return (places.argsort(axis=0, kind="stable").argsort(axis=0) + 0.5) / len(places)


def _draw_quality(plot: Any, axis: Any, spots: np.ndarray, found: Atlas) -> None:
    good = found.quality
    if good is None or found.here is None:
        axis.set_title("Quality: too few training pictures")
        return
    low, high = np.quantile(good.values, [0.02, 0.98])
    shown = axis.scatter(
        *spots.T, c=good.values, s=9, cmap="viridis", vmin=low, vmax=high, linewidths=0
    )
    bar = plot.colorbar(shown, ax=axis, shrink=0.8, pad=0.02)
    bar.set_label("log realism")
    if low < good.poor_below < high:
        bar.ax.axhline(good.poor_below, color="#d1495b", lw=2)
    axis.set_title(
        f"Quality: {good.poor.mean():.0%} poor (below the red line)\n{_place(found.here)}"
        if low < good.poor_below < high
        else f"Quality: {good.poor.mean():.0%} poor\n{_place(found.here)}"
    )


def _place(told: Told) -> str:
    """Whether quality has anything to do with the place."""
    if told.r2 > max(told.chance, 0):
        return f"place tells {_percent(told.r2)} of it, so regions differ"
    return "not told by place: seeming regions are chance"


def _draw_kinds(axis: Any, spots: np.ndarray, found: Atlas) -> None:
    import matplotlib as mpl

    palette = [mpl.colormaps["tab20"](i % 20) for i in (*range(0, 20, 2), *range(1, 20, 2))]
    for one in found.kinds:
        axis.scatter(*spots[one.samples].T, s=9, color=palette[(one.number - 1) % 20], linewidths=0)
    for one in found.kinds:
        if not len(one.samples):
            continue
        x, y = np.median(spots[one.samples], axis=0)
        box = {"boxstyle": "round,pad=0.2", "fc": palette[(one.number - 1) % 20], "ec": "black"}
        axis.text(x, y, str(one.number), ha="center", va="center", fontsize=8, bbox=box)
    short = [one for one in found.kinds if one.state != "reached"]
    named = ", ".join(str(one.number) for one in short[:8])
    few = f"too few samples of {named}" if short else "none lacks samples"
    axis.set_title(f"Nearest of {len(found.kinds)} kinds of training pictures:\n{few}")


def _draw_some(axis: Any, spots: np.ndarray, which: np.ndarray, title: str, colour: str) -> None:
    axis.scatter(*spots[~which].T, s=5, color="#d5d5d5", linewidths=0)
    axis.scatter(*spots[which].T, s=22, color=colour, linewidths=0)
    axis.set_title(title)


def _kinds_sheet(found: Atlas, train: np.ndarray, run: str) -> np.ndarray:
    rows = []
    blank = np.full_like(train[0], 255)
    order = sorted(found.kinds, key=lambda one: (one.state == "reached", one.seen / one.expected))
    for one in order:
        low, high = one.interval
        words = [
            f"kind {one.number}: {one.state}",
            f"{one.expected:.1%} of training pictures",
            f"{one.seen:.1%} of samples ({low:.1%} to {high:.1%})",
        ]
        if found.quality is not None and len(one.samples):
            words.append(f"{found.quality.poor[one.samples].mean():.0%} of these poor")
        typical = [train[i] for i in one.train[:SHOWN]]
        typical += [blank] * (SHOWN + 1 - len(typical))
        rows.append(Row(words, [*typical, *(found.images[i] for i in one.samples[:SHOWN])]))
    header = ["training", *[""] * SHOWN, "samples"]
    return sheet(
        f"{run}: kinds of training pictures, and samples of each", rows, KINDS_NOTE, header
    )


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
        f"The map's two directions tell {_percent(told.map)} of how {count:,} samples differ; the "
        f"whole point tells {_percent(told.point)} linearly, and the best two numbers that see "
        f"the pictures {_percent(told.pictures)}."
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


def _percent(share: float) -> str:
    return f"{max(share, 0):.0%}"


def _rounded(value: float) -> float:
    return round(float(value), 4)
