"""What a command of `explore` gives: pictures, films and figures in one folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from morelike import files, pictures
from morelike.runs import cannot_write
from morelike.sampling import LICENCE_NOTE

SCHEMA = 1


@dataclass(frozen=True)
class Found:
    """What was found, and where it lies."""

    folder: Path
    files: dict[str, Path]
    """All that was written, by name: sheets, films, and the figures as JSON."""
    facts: dict[str, Any]
    """What the JSON holds."""
    lines: tuple[str, ...] = ()
    """The same for a person, in a few sentences."""


def folder_for(path: str | os.PathLike[str], what: str, out: str | os.PathLike[str] | None) -> Path:
    """Where results go: `out`, or `explore/WHAT` in the run or generator folder; made if need be.

    Raises:
        UserError: if it cannot be made.
    """
    folder = Path(out) if out is not None else Path(path, "explore", what)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def write(
    folder: Path,
    what: str,
    facts: Mapping[str, Any],
    sheets: Mapping[str, np.ndarray],
    films: Mapping[str, Sequence[np.ndarray]] | None = None,
    lines: Sequence[str] = (),
    seconds: float = 8.0,
) -> Found:
    """Write `WHAT.json`, the sheets as `NAME.png`, the films as `NAME.gif` and `NAME.mp4`.

    Args:
        folder: one that is there.
        what: the command's name.
        facts: with `run` and `checkpoint`; ready for JSON.
        sheets: (H, W, C) uint8 by name.
        films: frames (H, W, 3) uint8 by name.
        lines: what the command prints.
        seconds: how long a film plays.

    Raises:
        UserError: if it cannot be written.
    """
    whole = {"schema": SCHEMA, **facts}
    notes = {key: str(facts[key]) for key in ("run", "checkpoint") if key in facts}
    notes = {"Software": "morelike", **notes, "licence": LICENCE_NOTE}
    written: dict[str, Path] = {}
    try:
        for name, sheet in sheets.items():
            path = written[f"{name}.png"] = folder / f"{name}.png"
            pictures.write_png(path, sheet, notes)
        for name, frames in (films or {}).items():
            for form, film in (("gif", pictures.write_gif), ("mp4", pictures.write_mp4)):
                path = written[f"{name}.{form}"] = folder / f"{name}.{form}"
                film(path, frames, seconds)
        path = written[f"{what}.json"] = folder / f"{what}.json"
        files.write_json(path, whole)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return Found(folder, written, whole, tuple(lines))
