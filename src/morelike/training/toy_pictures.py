"""What is seen of a training on points: frames, the animation, the last picture with its curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from morelike.data.points import LIMIT, Points
from morelike.pictures import write_gif, write_mp4, write_png
from morelike.rng import rng
from morelike.training.toy import Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL, FAKE, ARROW = "#222222", "#e8590c", "#5f3dc4"
REAL_SHOWN = 1000
ARROW_LENGTH = 0.12
"""Of the median arrow, so that directions can be seen whatever the loss's scale."""


class Film:
    """Collects frames while training; `Film.add` is what `toy.train` calls `watch`."""

    def __init__(self, points: Points, title: str) -> None:
        self.title, self.frames = title, list[np.ndarray]()
        self.real = points.sample(rng(0, "shown"), REAL_SHOWN)
        self.last: Scene | None = None

    def add(self, scene: Scene) -> None:
        """Draw the scene as one more frame, (480, 480, 3)."""
        figure = _figure(4.8, 4.8)
        _draw(figure.add_axes((0.02, 0.02, 0.96, 0.9)), self.real, scene)
        figure.suptitle(f"{self.title}, {scene.steps:,} steps", fontsize=10, y=0.975)
        self.frames.append(_pixels(figure))
        self.last = scene

    def write(self, folder: Path, history: Sequence[dict[str, Any]]) -> None:
        """training.gif, training.mp4, and last.png with the figures over time beside it."""
        assert self.last is not None, "nothing was seen"
        write_gif(folder / "training.gif", self.frames)
        write_mp4(folder / "training.mp4", self.frames)
        figure = _figure(11, 5.4)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        _draw(left, self.real, self.last)
        left.set_title(
            "D from red (fake) to blue (real); dots: real, generated; arrows: -dL/dx of G",
            fontsize=8,
        )
        _curves(right, history)
        figure.suptitle(f"{self.title}, {self.last.steps:,} steps")
        figure.subplots_adjust(left=0.02, right=0.97, top=0.88, bottom=0.1, wspace=0.12)
        write_png(folder / "last.png", _pixels(figure))


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # heavy, and only needed where something is drawn

    return Figure(figsize=(width, height), dpi=100)


def _pixels(figure: Figure) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw(axes: Axes, real: np.ndarray, scene: Scene) -> None:
    # What D says differs in scale from objective to objective: the colours show its ranks' middle.
    low, high = np.quantile(scene.field, (0.02, 0.98))
    axes.imshow(
        scene.field,
        extent=(-LIMIT, LIMIT, -LIMIT, LIMIT),
        origin="lower",
        cmap="RdBu",
        vmin=low,
        vmax=high + 1e-9,
        interpolation="bilinear",
        alpha=0.6,
    )
    axes.plot(*real.T, ".", color=REAL, ms=2, alpha=0.5)
    axes.plot(*scene.samples.T, ".", color=FAKE, ms=2.5, alpha=0.6)
    lengths = np.linalg.norm(scene.arrows, axis=1, keepdims=True)
    scaled = scene.arrows * ARROW_LENGTH / (np.median(lengths) + 1e-12)
    limit = np.maximum(1, np.linalg.norm(scaled, axis=1, keepdims=True) / (2 * ARROW_LENGTH))
    axes.quiver(
        *scene.starts.T,
        *(scaled / limit).T,
        color=ARROW,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.004,
    )
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), xticks=[], yticks=[], aspect="equal")


def _curves(axes: Axes, history: Sequence[dict[str, Any]]) -> None:
    steps = [record["steps"] for record in history]
    named = {"high_quality_share": "share of high quality", "total_variation": "total variation"}
    for key, label in named.items():
        axes.plot(steps, [record[key] for record in history], label=label)
    if total := history[0]["modes_total"]:
        found = [record["modes_found"] / total for record in history]
        axes.plot(steps, found, label=f"modes found, of {total}")
    axes.set(xlabel="steps", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
