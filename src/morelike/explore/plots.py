"""Plots as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f6f8b", "#d1495b", "#edae49", "#66a182", "#6f5a8a", "#8a8a8a")
"""Told apart by the colour-blind, in this order."""


def figure(panels: int, height: float = 2.6, title: str = "") -> tuple[Figure, Sequence[Axes]]:
    """A figure with panels beneath each other."""
    from matplotlib.figure import Figure  # heavy

    made = Figure(figsize=(8, height * panels + 0.6), layout="constrained")
    axes = made.subplots(panels, 1, squeeze=False)[:, 0]
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    if title:
        made.suptitle(title)
    return made, list(axes)


def drawn(figure: Figure) -> np.ndarray:
    """(H, W, 3) uint8."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    buffer.seek(0)
    return np.asarray(Image.open(buffer, formats=("PNG",)).convert("RGB"))
