"""Curves of a run, drawn from its records."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from morelike import files

PANELS = (
    ("loss", {"loss_discriminator": "discriminator", "loss_generator": "generator"}),
    (
        "D's mean probability of real",
        {"probability_real": "on real pictures", "probability_fake": "on generated ones"},
    ),
    ("KID x 1000", {"kid": "to held-out pictures (lower is better)"}),
    (
        "share",
        {"near_copies": "near-copies of training pictures", "variety": "of real variety"},
    ),
)
COLORS = ("#1f6f8b", "#d1495b")


def plot_losses(path: Path, records: Sequence[dict[str, Any]], title: str) -> None:
    """Write a PNG with the losses, D's probabilities and what probes read, against images seen.

    Panels without a record are left out; without any record, nothing is written. KID is that of
    the network that measured it last: figures of two do not compare.
    """
    from matplotlib.figure import Figure  # heavy, and only needed at the end of a run

    by = next((r["extractor"] for r in reversed(records) if "extractor" in r), None)
    records = [r if r.get("extractor", by) == by else {**r, "kid": None} for r in records]
    panels = [
        panel
        for panel in PANELS
        if any(r.get(key) is not None for r in records for key in panel[1])
    ]
    if not panels:
        return
    figure = Figure(figsize=(8, 2.6 * len(panels) + 0.6), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, keys) in zip(axes, panels, strict=True):
        for (key, label), color in zip(keys.items(), COLORS, strict=False):
            points = [(r["images"], r[key]) for r in records if r.get(key) is not None]
            if points:
                marker = "o" if len(points) < 30 else None
                axis.plot(*zip(*points, strict=True), label=label, color=color, lw=1, marker=marker)
        axis.set_ylabel(name)
        axis.grid(alpha=0.25)
        axis.legend(loc="upper right", frameon=False)
        if "probability_real" in keys:
            axis.set_ylim(0, 1)
        if "kid" in keys and all(r["kid"] > 0 for r in records if r.get("kid") is not None):
            axis.set_yscale("log")  # it falls tenfold at once, and what counts comes after
    axes[-1].set_xlabel("real pictures shown")
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    files.write_bytes(path, buffer.getvalue())
