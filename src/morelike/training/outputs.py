"""What a run shows: grids of fixed seeds, real beside fake, timelapse, loss plot, the generator."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from morelike import files, pictures, plots
from morelike.checkpoint import Checkpoint, save_tensors
from morelike.config import ConditionConfig
from morelike.diagnostics.gauge import Reading
from morelike.models.family import MultiScale
from morelike.rng import rng
from morelike.runs import Run
from morelike.sampling import LICENCE_NOTE, Wish, drawn_inputs, generate
from morelike.training.probe import SAMPLES
from morelike.training.schedule import is_frame, is_milestone
from morelike.training.session import Session

GRID = range(64)
FRAME = range(24)
FRAME_COLUMNS = 6
COLUMNS, MOST_ROWS = range(8), 16
"""Of the sheets that show the same seeds in several ways."""


def show(session: Session) -> None:
    """Save the pictures that are due after this step."""
    if session.world.is_main and is_frame(session.step):
        save_frame(session)
    if session.world.is_main and is_milestone(session.step):
        save_milestone(session)


def save_milestone(session: Session) -> None:
    """Grids of seeds 0 to 63 from averaged and raw weights, and training pictures beside fakes."""
    state, dataset, run = session.state, session.dataset, session.run
    averaged = _draw(session, state.ema, GRID)
    chosen = rng(0, "panel").permutation(dataset.train)  # files often lie sorted by kind
    real = dataset.images[np.resize(chosen, len(GRID))]
    sheets = {
        "averaged": pictures.grid(averaged),
        "raw": pictures.grid(_draw(session, state.networks.generator, GRID)),
        "real-and-fake": pictures.beside(pictures.grid(real), pictures.grid(averaged)),
    }
    if session.config.condition.size:
        sheets["by-condition"] = _by_condition(session)
    if isinstance(state.ema, MultiScale):
        sheets["scales"] = _scales(session, state.ema)
    run.samples.mkdir(exist_ok=True)
    for name, sheet in sheets.items():
        notes = {"Software": "morelike", "run": run.name, "images": str(state.images)}
        pictures.write_png(run.samples / f"step-{session.step:07d}-{name}.png", sheet, notes)
        session.picture(name, sheet)


def _by_condition(session: Session) -> np.ndarray:
    """The same seeds, one a column, for each label or each step of an attribute, one a row."""
    rows = [
        _draw(session, session.state.ema, COLUMNS, wish)
        for wish in _wishes(session.config.condition)
    ]
    return pictures.grid(np.concatenate(rows), columns=len(COLUMNS))


def _wishes(condition: ConditionConfig) -> list[Wish]:
    """One for each label, and some along each attribute's range."""
    labels = [Wish(labels={name: 1.0}) for name in [*condition.classes][:MOST_ROWS]]
    steps = [
        Wish(attributes={name: low + share * (high - low)})
        for name, (low, high) in condition.ranges.items()
        for share in np.linspace(0, 1, 5)
    ]
    return labels + steps[:MOST_ROWS]


@torch.no_grad()
def _scales(session: Session, generator: MultiScale) -> np.ndarray:
    """The same seeds, one a column, at each resolution on the way, one a row, all drawn as large as
    the last.
    """
    ((inputs, count),) = drawn_inputs(session.config, COLUMNS, session.state.device, Wish())
    height, width = session.config.data.size
    rows = []
    for made in generator.scales(*inputs):
        small = pictures.to_uint8(made)[:count]
        rows.append(small.repeat(height // small.shape[1], 1).repeat(width // small.shape[2], 2))
    return pictures.grid(np.concatenate(rows), columns=len(COLUMNS))


def save_frame(session: Session) -> None:
    """One frame of the timelapse: seeds 0 to 23 from the averaged weights."""
    folder = session.run.samples / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    sheet = pictures.grid(_draw(session, session.state.ema, FRAME), columns=FRAME_COLUMNS)
    pictures.write_png(folder / f"{session.step:07d}.png", sheet)


def _draw(
    session: Session,
    network: nn.Module,
    seeds: range,
    wish: Wish = Wish(),  # noqa: B008
) -> np.ndarray:
    made = generate(session.config, network, seeds, session.state.device, wish)
    return np.concatenate(list(made))


def save_summary(run: Run) -> None:
    """The timelapse of all frames so far, as GIF and MP4, and the plot of the losses."""
    frames = [pictures.read_png(path) for path in sorted((run.samples / "frames").glob("*.png"))]
    if frames:
        pictures.write_gif(run.samples / "timelapse.gif", frames)
        pictures.write_mp4(run.samples / "timelapse.mp4", frames)
    plots.plot_losses(run.path / "losses.png", run.metrics(), run.name)


def save_generator(
    run: Run, weights: dict[str, Tensor], checkpoint: Checkpoint, reading: Reading | None = None
) -> None:
    """What one hands to somebody else: weights, configuration, model card."""
    stored, folder = run.config(), run.generator
    folder.mkdir(exist_ok=True)
    state = f"{checkpoint.images} images, averaged weights"
    origin = {"run": run.name, "checkpoint": state}
    temporary = folder / ".model.safetensors"
    save_tensors(temporary, weights)
    temporary.replace(folder / "model.safetensors")
    files.write_json(folder / "config.json", {**stored, "origin": origin})
    files.write_text(folder / "README.md", _card(run, stored, checkpoint, reading))


def _card(run: Run, stored: dict[str, Any], checkpoint: Checkpoint, reading: Reading | None) -> str:
    data, settings = run.data(), stored["data"]
    split = data["split"]
    return f"""# {run.name}

A generator of {settings["width"] or settings["resolution"]} x {settings["resolution"]} pictures, \
trained with morelike \
{stored["versions"]["morelike"]}.

- Family: {stored["family"]}; generator {json.dumps(stored["generator"])}.
- Trained on {len(split["train"])} pictures ({len(split["held_out"])} more held out) of a set with
  digest `{data["digest"]}`, for {checkpoint.images:,} pictures shown.
- Weights: the running average (EMA) of the generator at that moment.
{_asked(stored["condition"])}
Use it with `morelike sample THIS_FOLDER --seeds 0-63 --grid grid.png`, or in Python:
`morelike.load("THIS_FOLDER").sample(seeds=range(64))`.

{_measured(reading)}
Look at its pictures beside the training pictures before you share it; `morelike evaluate` on the
run says more, and how sure it is.

Licence: {LICENCE_NOTE}
"""


def _measured(reading: Reading | None) -> str:
    """What was read off at that moment."""
    if reading is None:
        return "Nothing has been measured of it."
    return f"""\
At that moment KID x 1000 to real pictures was {reading.kid:.0f} (by untrained features, so no
published figure compares), {reading.near} of {SAMPLES} samples were near-copies of training
pictures ({"more" if reading.copying else "no more"} than chance gives), and they had \
{reading.variety:.0%} of the variety of real pictures."""


def _asked(condition: dict[str, Any]) -> str:
    """What it can be asked for by name."""
    lines = []
    if condition["classes"]:
        lines.append(f"- Labels (`--label`): {', '.join(condition['classes'])}.")
    for name, (low, high) in condition["ranges"].items():
        lines.append(f"- Attribute (`--attribute {name}=VALUE`): {low:g} to {high:g}.")
    return "".join(f"{line}\n" for line in lines)
