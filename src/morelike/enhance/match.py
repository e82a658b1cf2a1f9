"""What an enlarger should learn from to suit one generator: its pictures, larger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from morelike.config import RESOLUTIONS
from morelike.errors import UserError
from morelike.runs import is_run, open_run
from morelike.sampling import load


class Match(NamedTuple):
    """What to train on."""

    source: str | None
    """The pictures that the generator learnt from; None of a shared one, which does not say."""
    settings: dict[str, Any]
    """Sections of a configuration."""


def match(path: str | os.PathLike[str], task: str) -> Match:
    """How to train an enlarger for what a generator makes: its pictures, prepared as they were for
    it, but so many times as large, and its samples as inputs beside these (`task.fakes`).

    Args:
        path: a run folder, or a generator folder.
        task: enlarge:2, enlarge:4 or enlarge:8.

    Raises:
        UserError: if there is no usable generator, the task does not enlarge, or the pictures would
            be larger than any that are trained on.
    """
    name, _, scale = task.partition(":")
    if name != "enlarge" or not scale.isdigit():
        raise UserError(
            f"--match is for enlargers: the task {task} does not make what a generator makes "
            "larger; leave --match out, or give --task enlarge:4."
        )
    data = load(Path(path), device="cpu").config.data
    height, width = (int(scale) * side for side in data.size)
    if min(height, width) > max(RESOLUTIONS):
        raise UserError(
            f"{path} makes pictures of {data.size[1]} x {data.size[0]}; {task} would need such of "
            f"{width} x {height}, and {max(RESOLUTIONS)} is the most; take a lower factor."
        )
    prepared = data.model_dump(mode="json", exclude={"resolution", "width"})
    size = {"resolution": height, "width": None if data.width is None else width}
    source = open_run(path).data()["source"] if is_run(Path(path)) else None
    return Match(
        source,
        {"data": {**prepared, **size}, "task": {"name": task, "fakes": str(Path(path).absolute())}},
    )
