"""What a run shows: grids of fixed seeds, real beside fake, timelapse, loss plot, the generator.

Of a task: what it makes of held-out pictures, beside what it was given and what they are.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from morelike import files, pictures, plots
from morelike.checkpoint import Checkpoint, save_tensors
from morelike.config import ConditionConfig
from morelike.models.family import MultiScale
from morelike.rng import rng
from morelike.runs import Run
from morelike.sampling import LICENCE_NOTE, Wish, drawn_inputs, generate, made_from
from morelike.training.schedule import is_frame, is_milestone
from morelike.training.session import Session

GRID = range(64)
FRAME = range(24)
FRAME_COLUMNS = 6
EXAMPLES_IN_FRAME = 6
PLACES = (
    ("training", "features_weights"),
    ("generator", "perceptual_weights"),
    ("discriminator", "perceptual_weights"),
    ("task", "fakes"),
)
"""Settings that are paths, by section and key; making pictures needs none of them."""
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
    state, run = session.state, session.run
    sheets = _sheet_of_examples(session) if session.config.task.name else _sheets_of_seeds(session)
    run.samples.mkdir(exist_ok=True)
    for name, sheet in sheets.items():
        notes = {"Software": "morelike", "run": run.name, "images": str(state.images)}
        pictures.write_png(run.samples / f"step-{session.step:07d}-{name}.png", sheet, notes)
        session.picture(name, sheet)


def _sheets_of_seeds(session: Session) -> dict[str, np.ndarray]:
    state, dataset = session.state, session.dataset
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
    return sheets


def _sheet_of_examples(session: Session) -> dict[str, np.ndarray]:
    """A row for each: what was given, what averaged and raw weights make of it, the truth."""
    state, (inputs, truth) = session.state, session.examples
    given = as_large_as(truth, pictures.to_uint8(inputs[:, : truth.shape[-1]]))
    made = [_made(session, network) for network in (state.ema, state.networks.generator)]
    columns = [pictures.to_rgb(one) for one in (given, *made, truth)]
    return {"examples": pictures.grid(np.stack(columns, 1).reshape(-1, *columns[0].shape[1:]), 4)}


def as_large_as(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Pictures (N, h, w, c) with their pixels repeated, to the size of (N, H, W, C)."""
    height, width = (a // b for a, b in zip(large.shape[1:3], small.shape[1:3], strict=True))
    return small.repeat(height, 1).repeat(width, 2)


def _made(session: Session, network: nn.Module, most: int | None = None) -> np.ndarray:
    made = made_from(network, session.examples.inputs[:most], session.state.device)
    return np.concatenate(list(made))


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
    """One frame of the timelapse, from the averaged weights: seeds 0 to 23, or some examples."""
    folder = session.run.samples / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    if session.config.task.name:
        sheet = pictures.grid(_made(session, session.state.ema, EXAMPLES_IN_FRAME))
    else:
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
    run: Run, weights: dict[str, Tensor], checkpoint: Checkpoint, measured: str | None = None
) -> None:
    """What one hands to somebody else: weights, configuration, card with what was measured."""
    stored, folder = run.config(), run.generator
    folder.mkdir(exist_ok=True)
    state = f"{checkpoint.images} images, averaged weights"
    origin = {"run": run.name, "checkpoint": state}
    temporary = folder / ".model.safetensors"
    save_tensors(temporary, weights)
    temporary.replace(folder / "model.safetensors")
    files.write_json(folder / "config.json", {**_without_folders(stored), "origin": origin})
    files.write_text(folder / "README.md", _card(run, stored, checkpoint, measured))


def _without_folders(stored: dict[str, Any]) -> dict[str, Any]:
    """Names alone of the files that a training was given, as strangers need not know the rest."""
    handed_on = copy.deepcopy(stored)
    for section, key in PLACES:
        if place := handed_on[section].get(key):
            handed_on[section][key] = Path(place).name
    return handed_on


def _card(run: Run, stored: dict[str, Any], checkpoint: Checkpoint, measured: str | None) -> str:
    data, settings, task = run.data(), stored["data"], stored["task"]["name"]
    split = data["split"]
    size = f"{settings['width'] or settings['resolution']} x {settings['resolution']}"
    what = f"A generator of {size} pictures, trained"
    if task:
        what = f"A network for the task {task}, trained on pictures of {size}"
    if task:
        use = "morelike enhance apply THIS_FOLDER pictures/ --out made/`."
    else:
        use = """morelike sample THIS_FOLDER --seeds 0-63 --grid grid.png`, or in Python:
`morelike.load("THIS_FOLDER").sample(seeds=range(64))`."""
    return f"""# {run.name}

{what} with morelike {stored["versions"]["morelike"]}.

- Family: {stored["family"]}; generator {json.dumps(stored["generator"])}.
- Trained on {len(split["train"])} pictures ({len(split["held_out"])} more held out) of a set with
  digest `{data["digest"]}`, for {checkpoint.images:,} pictures shown.
- Weights: the running average (EMA) of the generator at that moment.
{_asked(stored["condition"])}
Use it with `{use}

{measured or "Nothing has been measured of it."}
Look at its pictures beside the training pictures before you share it; `morelike evaluate` on the
run says more, and how sure it is.

Licence: {LICENCE_NOTE}
"""


def _asked(condition: dict[str, Any]) -> str:
    """What it can be asked for by name."""
    lines = []
    if condition["classes"]:
        lines.append(f"- Labels (`--label`): {', '.join(condition['classes'])}.")
    for name, (low, high) in condition["ranges"].items():
        lines.append(f"- Attribute (`--attribute {name}=VALUE`): {low:g} to {high:g}.")
    return "".join(f"{line}\n" for line in lines)
