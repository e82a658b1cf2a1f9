"""The same latents through all checkpoints of a run: what it learnt, and when."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morelike.checkpoint import Checkpoint, DamagedCheckpoint
from morelike.errors import UserError
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Progress, quiet
from morelike.lettering import LINE, plain
from morelike.pictures import grid, to_rgb
from morelike.players import spread_over
from morelike.runs import Run, is_run, open_run
from morelike.sampling import TrainedGenerator, load
from morelike.seeds import check_seeds
from morelike.sheet import GAP, INK, MARGIN, PAPER, Row, sheet

ROWS, COLUMNS = 12, 16
"""Checkpoints and seeds on the sheet."""
FRAMES = 240
MOST_SEEDS = 64
LARGEST = 128
"""Side of a picture in the film."""


class Milestone(NamedTuple):
    """One checkpoint, and how far the training was."""

    checkpoint: Checkpoint
    images: int
    """Pictures shown."""
    step: int
    minutes: float

    @property
    def words(self) -> tuple[str, str]:
        """Such as: step 1,234; 39,488 images, 1.5 min."""
        return f"step {self.step:,}", f"{self.images:,} images, {self.minutes:.1f} min"

    def facts(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"images": self.images, "step": self.step, "minutes": round(self.minutes, 2)}


def timelapse(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    seeds: Sequence[int] = range(16),
    raw: bool = False,
    seconds: float = 8.0,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Show the same seeds at every checkpoint.

    Writes `timelapse.gif` and `.mp4`, a frame for each checkpoint, 240 at most; `timelapse.png`, a
    row for each of at most twelve, with the first sixteen seeds; `timelapse.json`.

    Args:
        path: a run folder.
        out: where results go; `explore/timelapse` in `path`, if not given.
        seeds: 1 to 64 of them.
        raw: take the weights as they were trained instead of their running average.
        seconds: how long the film plays.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (checkpoints done, checkpoints in all).

    Raises:
        UserError: for seeds out of range, or a run that keeps fewer than two checkpoints.
    """
    seeds = check_seeds(seeds)
    if len(seeds) > MOST_SEEDS:
        raise UserError(f"a film shows at most {MOST_SEEDS} seeds, not {len(seeds)}; name fewer.")
    if not seconds > 0:
        raise UserError(f"a film of {seconds:g} seconds cannot be; give more than 0.")
    run = run_at(path)
    stops, notices = milestones(run, FRAMES)
    rows = spread_over([stop.checkpoint for stop in stops], ROWS)
    frames: list[np.ndarray] = []
    shown: list[Row] = []
    for number, stop in enumerate(stops):
        images = at(run, stop, raw, device).sample(seeds)
        frames.append(frame(images, f"{run.name}: {', '.join(stop.words)}"))
        if stop.checkpoint in rows:
            shown.append(Row(stop.words, list(images[:COLUMNS])))
        progress(number + 1, len(stops))
    weights = "raw" if raw else "averaged"
    facts = {
        "run": run.name,
        "checkpoint": f"all {len(stops)}, {weights} weights",
        "weights": weights,
        "seeds": seeds,
        "frames": [stop.facts() for stop in stops],
        "rows": [checkpoint.images for checkpoint in rows],
        "notices": notices,
    }
    title = f"{run.name}: the same seeds through the training"
    note = (
        f"{len(rows)} of {len(stops)} checkpoints, {weights} weights. Below each: pictures shown "
        "until then, and minutes of training."
    )
    made = sheet(title, shown, note, [f"seed {seed}" for seed in seeds[:COLUMNS]])
    first, last = stops[0], stops[-1]
    lines = [
        f"{len(stops)} checkpoints from step {first.step:,} ({first.images:,} images) to step "
        f"{last.step:,} ({last.images:,} images, {last.minutes:.1f} minutes), {weights} weights",
        *notices,
    ]
    return write(
        folder_for(path, "timelapse", out),
        "timelapse",
        facts,
        {"timelapse": made},
        {"timelapse": frames},
        lines,
        seconds,
    )


def run_at(path: str | os.PathLike[str]) -> Run:
    """The run folder at `path`.

    Raises:
        UserError: if it is none; of a shared generator it says what it lacks.
    """
    folder = Path(path)
    if (folder / "model.safetensors").is_file() and not is_run(folder):
        raise UserError(f"{path} is a shared generator, without checkpoints; give the run folder.")
    return open_run(path)


def milestones(run: Run, most: int) -> tuple[list[Milestone], list[str]]:
    """At most so many of a run's sound checkpoints, evenly over it, and what is to be said of them.

    Raises:
        UserError: if there are fewer than two.
    """
    batch = run.config()["training"]["batch"]
    found: list[Milestone] = []
    notices: list[str] = []
    for checkpoint in spread_over(run.checkpoints.all(), most):
        try:
            meta = checkpoint.verify()
        except DamagedCheckpoint as error:
            notices.append(f"{error}; it is left out")
            continue
        images = checkpoint.images
        found.append(Milestone(checkpoint, images, images // batch, meta["seconds"] / 60))
    if len(found) < 2:
        raise UserError(
            f"{run.path} keeps {len(found)} usable checkpoint{'s' * (len(found) != 1)}, and change "
            "over time needs two or more; train for longer, or with "
            "--set training.checkpoint_minutes=0.2."
        )
    return found, notices


def at(run: Run, stop: Milestone, raw: bool, device: str) -> TrainedGenerator:
    """The generator as it was then."""
    return load(run.path, stop.images, raw=raw, device=device)


def frame(images: np.ndarray, words: str) -> np.ndarray:
    """Pictures (N, H, W, C) uint8 in a grid with a line above it: (height, width, 3) uint8."""
    longest = max(images.shape[1:3])
    if longest > LARGEST:
        share = LARGEST / longest
        height, width = (max(1, round(side * share)) for side in images.shape[1:3])
        scaled = [
            Image.fromarray(one).resize((width, height), Image.Resampling.LANCZOS)
            for one in to_rgb(images)
        ]
        images = np.stack([np.asarray(one) for one in scaled])
    times = LARGEST // max(images.shape[1:3])
    tiles = grid(to_rgb(images).repeat(times, 1).repeat(times, 2), gap=GAP)
    font = ImageFont.load_default()
    width = max(tiles.shape[1], int(font.getlength(plain(words))) + 1) + 2 * MARGIN
    height = tiles.shape[0] + LINE + 3 * MARGIN
    # Films take even sides only.
    page = Image.new("RGB", (width + width % 2, height + height % 2), PAPER)
    ImageDraw.Draw(page).text((MARGIN, MARGIN), plain(words), INK, font)
    page.paste(Image.fromarray(tiles), (MARGIN, LINE + 2 * MARGIN))
    return np.asarray(page)


def spread(stops: Sequence[Milestone], most: int) -> list[Milestone]:
    """At most so many of them, evenly by their place, the first and the last always."""
    kept = spread_over([stop.checkpoint for stop in stops], most)
    return [stop for stop in stops if stop.checkpoint in kept]
