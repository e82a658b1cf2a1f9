"""What a run shows: grids of fixed seeds, real beside fake, timelapse, loss plot, the generator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from morelike import files, pictures, plots
from morelike.checkpoint import Checkpoint, save_tensors
from morelike.config import Config
from morelike.data import Dataset
from morelike.runs import Run
from morelike.sampling import LICENCE_NOTE, generate
from morelike.training.records import Reader
from morelike.training.state import State

GRID = range(64)
FRAME = range(24)
FRAME_COLUMNS = 6


def _draw(config: Config[Any, Any], network: nn.Module, seeds: range, state: State) -> np.ndarray:
    return np.concatenate(list(generate(config, network, seeds, state.device)))


def save_milestone(
    run: Run,
    config: Config[Any, Any],
    dataset: Dataset,
    state: State,
    step: int,
    readers: Sequence[Reader],
) -> None:
    """Grids of seeds 0 to 63 from averaged and raw weights, and training pictures beside fakes."""
    averaged = _draw(config, state.ema, GRID, state)
    real = dataset.images[np.resize(dataset.train, len(GRID))]
    sheets = {
        "averaged": pictures.grid(averaged),
        "raw": pictures.grid(_draw(config, state.networks.generator, GRID, state)),
        "real-and-fake": pictures.beside(pictures.grid(real), pictures.grid(averaged)),
    }
    run.samples.mkdir(exist_ok=True)
    for name, sheet in sheets.items():
        notes = {"Software": "morelike", "run": run.name, "images": str(state.images)}
        pictures.write_png(run.samples / f"step-{step:07d}-{name}.png", sheet, notes)
        for reader in readers:
            reader.picture(name, sheet, state.images)


def save_frame(run: Run, config: Config[Any, Any], state: State, step: int) -> None:
    """One frame of the timelapse: seeds 0 to 23 from the averaged weights."""
    folder = run.samples / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    sheet = pictures.grid(_draw(config, state.ema, FRAME, state), columns=FRAME_COLUMNS)
    pictures.write_png(folder / f"{step:07d}.png", sheet)


def save_summary(run: Run) -> None:
    """The timelapse of all frames so far, as GIF and MP4, and the plot of the losses."""
    frames = [pictures.read_png(path) for path in sorted((run.samples / "frames").glob("*.png"))]
    if frames:
        pictures.write_gif(run.samples / "timelapse.gif", frames)
        pictures.write_mp4(run.samples / "timelapse.mp4", frames)
    plots.plot_losses(run.path / "losses.png", run.metrics(), run.name)


def save_generator(
    run: Run, stored: dict[str, Any], checkpoint: Checkpoint, averaged: nn.Module
) -> None:
    """What one hands to somebody else: weights, configuration, model card."""
    folder = run.generator
    folder.mkdir(exist_ok=True)
    state = f"{checkpoint.images} images, averaged weights"
    origin = {"run": run.name, "checkpoint": state}
    temporary = folder / ".model.safetensors"
    save_tensors(temporary, averaged.state_dict())
    temporary.replace(folder / "model.safetensors")
    files.write_json(folder / "config.json", {**stored, "origin": origin})
    files.write_text(folder / "README.md", _card(run, stored, checkpoint))


def _card(run: Run, stored: dict[str, Any], checkpoint: Checkpoint) -> str:
    data, settings = run.data(), stored["data"]
    split = data["split"]
    return f"""# {run.name}

A generator of {settings["resolution"]} x {settings["resolution"]} pictures, trained with morelike \
{stored["versions"]["morelike"]}.

- Family: {stored["family"]}; generator {json.dumps(stored["generator"])}.
- Trained on {len(split["train"])} pictures ({len(split["held_out"])} more held out) of a set with
  digest `{data["digest"]}`, for {checkpoint.images:,} pictures shown.
- Weights: the running average (EMA) of the generator at that moment.

Use it with `morelike sample THIS_FOLDER --seeds 0-63 --grid grid.png`, or in Python:
`morelike.load("THIS_FOLDER").sample(seeds=range(64))`.

What has not been measured: whether it copies its training pictures, and how its pictures compare
with others. Look at them beside the training pictures before you share it.

Licence: {LICENCE_NOTE}
"""
