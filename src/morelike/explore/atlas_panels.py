"""A map of a generator's space as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from morelike.explore.atlas import Atlas
from morelike.explore.plots import drawn
from morelike.explore.projection import Told
from morelike.pictures import grid
from morelike.sheet import Row, sheet

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


def draw(found: Atlas, run: str, checkpoint: str) -> np.ndarray:
    """The map: (height, width, 3) uint8."""
    from matplotlib.figure import Figure  # heavy

    plot = Figure(figsize=(16.5, 8.6), layout="constrained")
    plot.suptitle(
        f"{run} at {checkpoint}: a map of its space. Every place is a point that pictures are made "
        "from; the two directions\nare those along which pictures differ most, in percent of all "
        f"points. They tell {percent(found.explained.map)} of how pictures differ "
        f"(the whole point, linearly, {percent(found.explained.point)})."
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
        return f"place tells {percent(told.r2)} of it, so regions differ"
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


def kinds_sheet(found: Atlas, train: np.ndarray, run: str) -> np.ndarray:
    """Kinds of training pictures beside the samples of each, those that lack samples first."""
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


def percent(share: float) -> str:
    """For a person; a share that was estimated below 0 is none."""
    return f"{max(share, 0):.0%}"
