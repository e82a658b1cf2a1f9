"""What was seen of a run, as panels beneath each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from morelike.explore.timelapse import Milestone, spread
from morelike.explore.watched import FAR, WITHIN, Asked, Spectra, Wandering, ranked_probes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = 7
"""Curves or areas in one panel."""


def panels(
    name: str,
    stops: Sequence[Milestone],
    spectra: Spectra,
    wandering: Wandering | None,
    asked: Asked,
) -> np.ndarray:
    """All panels that there is something to show in, beneath each other: (H, W, 3) uint8."""
    from matplotlib import colormaps
    from matplotlib.ticker import StrMethodFormatter

    from morelike.explore.plots import drawn, figure

    images = [stop.images for stop in stops]
    shades = colormaps["viridis"]
    count = 3 + 2 * (wandering is not None) + bool(asked.finding) + bool(asked.probes)
    plot, axes = figure(count, 3.1, f"{name}, checkpoint by checkpoint")
    free = iter(axes)
    _draw_spectrum(next(free), spectra, stops, shades)
    over_time = [next(free), next(free)]
    _draw_bands(over_time, spectra, images, shades)
    if wandering is not None:
        over_time += [next(free), next(free)]
        _draw_kinds(over_time[2], wandering, images)
        _draw_moves(over_time[3], wandering, images)
    if asked.finding:
        _draw_matrix(next(free), asked)
    if asked.probes:
        over_time.append(next(free))
        _draw_probes(over_time[-1], asked)
    for axis in over_time:
        axis.set_xlabel("images seen")
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        low, high = axis.get_xlim()
        axis.set_xlim(low, max(high, images[-1] * 1.02))
    return drawn(plot)


def _legend(axis: Axes, title: str | None = None) -> None:
    axis.legend(title=title, fontsize=7, title_fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_spectrum(axis: Axes, spectra: Spectra, stops: Sequence[Milestone], shades: Any) -> None:
    axis.set_title("How much there is of each spatial frequency", fontsize=10, loc="left")
    for stop in spread(stops, LINES - 2):
        t = stops.index(stop)
        colour = shades(0.9 * t / max(1, len(stops) - 1))
        curve = np.maximum(spectra.curves[t], 1e-9)
        axis.loglog(spectra.frequencies, curve, color=colour, label=f"{stop.images:,} images")
    axis.loglog(spectra.frequencies, spectra.real, "k--", label="real pictures")
    axis.set_ylim(float(spectra.real.min()) / 30, None)
    axis.set_xlabel("cycles per picture")
    axis.set_ylabel("mean power")
    _legend(axis)


def _draw_bands(axes: Sequence[Axes], spectra: Spectra, images: Sequence[int], shades: Any) -> None:
    power, far = axes
    power.set_title("Power of each octave, relative to real pictures", fontsize=10, loc="left")
    power.axhspan(-WITHIN, WITHIN, color="#dddddd", label=f"within {WITHIN:g} dB")
    far.set_title(
        "Patterns of each octave: how far from real ones (1: as real pictures among themselves)",
        fontsize=10,
        loc="left",
    )
    far.axhspan(0.5, FAR, color="#dddddd")
    last = max(1, len(spectra.bands) - 1)
    for i, (band, when) in enumerate(zip(spectra.bands, spectra.appeared, strict=True)):
        colour = shades(0.95 * i / last)
        power.plot(images, spectra.ratios[:, i], ".-", color=colour, label=band.name)
        if when is not None:
            power.plot(images[when], spectra.ratios[when, i], "o", color=colour, markersize=8)
        far.semilogy(images, spectra.far[:, i], ".-", color=colour, label=band.name)
    power.set_ylim(max(-25, float(spectra.ratios.min()) - 1), float(spectra.ratios.max()) + 2)
    power.set_ylabel("dB; large dot: appears")
    far.set_ylabel("times")
    for axis in axes:
        _legend(axis, "cycles per picture")


def _draw_kinds(axis: Axes, wandering: Wandering, images: Sequence[int]) -> None:
    from morelike.explore.plots import COLOURS

    axis.set_title(
        "Kinds of pictures among the samples; right: among training pictures",
        fontsize=10,
        loc="left",
    )
    shares = wandering.counts / wandering.counts.sum(1, keepdims=True)
    real = wandering.real / wandering.real.sum()
    kept = min(len(real), LINES)
    if len(real) > LINES:  # the rest in one
        kept = LINES - 1
        shares = np.concatenate([shares[:, :kept], shares[:, kept:].sum(1, keepdims=True)], 1)
        real = np.append(real[:kept], real[kept:].sum())
    colours = [*COLOURS, "#d9d9d9"][: len(real)]
    names = [f"kind {k + 1}" if k < kept else "all others" for k in range(len(real))]
    axis.stackplot(images, shares.T, colors=colours, labels=names, alpha=0.85)
    span = max(images) - min(images) or 1
    bottom = 0.0
    for share, colour in zip(real, colours, strict=True):
        axis.bar(max(images) + 0.05 * span, share, 0.05 * span, bottom, color=colour)
        bottom += share
    axis.set_ylim(0, 1)
    axis.set_ylabel("share")
    _legend(axis)


def _draw_moves(axis: Axes, wandering: Wandering, images: Sequence[int]) -> None:
    axis.set_title(
        "Wandering: samples that change kind from one checkpoint to the next",
        fontsize=10,
        loc="left",
    )
    later = images[1:]
    usual = [one.usual for one in wandering.moves]
    axis.fill_between(later, 0, [m.most for m in wandering.moves], color="#dddddd", label="chance")
    axis.plot(later, usual, color="#8a8a8a", linestyle=":", label="its mean")
    axis.plot(later, [m.distance for m in wandering.moves], ".-", color="#d1495b", label="moved")
    axis.plot(
        images,
        [m.distance for m in wandering.to_real],
        ".-",
        color="#1f6f8b",
        label="from training\npictures",
    )
    axis.set_ylim(0, 1.02)
    axis.set_ylabel("total variation")
    _legend(axis)


def _draw_matrix(axis: Axes, asked: Asked) -> None:
    axis.set_title(
        "How often D puts real pictures above samples: D of each row, G of each column",
        fontsize=10,
        loc="left",
    )
    axis.grid(visible=False)
    axis.imshow(asked.matrix, cmap="cividis", vmin=0.5, vmax=1, aspect="auto")
    names = [f"{stop.images:,}" for stop in asked.stops]
    places = range(len(names))
    axis.set_xticks(places, names, fontsize=7)
    axis.set_yticks(places, names, fontsize=7)
    for row in places:
        for column in places:
            value = asked.matrix[row, column]
            ink = "white" if value < 0.75 else "black"
            words = f"{value:.2f}"
            axis.text(column, row, words, ha="center", va="center", color=ink, fontsize=7)
    axis.set_xlabel("samples of G after so many images; left of the diagonal: older than D")
    axis.set_ylabel("D after so many")


def _draw_probes(axis: Axes, asked: Asked) -> None:
    from morelike.explore.plots import COLOURS

    axis.set_title(
        "What D's features tell of real pictures (0: chance, 1: all); dotted: untrained D",
        fontsize=10,
        loc="left",
    )
    images = [stop.images for stop in asked.stops]
    lost_first = sorted(ranked_probes(asked.probes), key=lambda one: not one.lost)
    for one, colour in zip(lost_first, COLOURS, strict=False):
        known = [one.knowledge(score) for score in one.scores]
        axis.plot(images, known, ".-", color=colour, label=one.name)
        axis.axhline(one.knowledge(one.fresh), color=colour, linestyle=":", linewidth=1)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_ylabel("knowledge")
    axis.set_ylim(min(0, axis.get_ylim()[0], -0.05), 1.02)
    axis.set_ylim(max(axis.get_ylim()[0], -0.5), 1.02)
    _legend(axis)
