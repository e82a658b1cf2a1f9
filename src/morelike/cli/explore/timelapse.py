"""`morelike explore timelapse`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options
from morelike.seeds import parse_seeds

EXAMPLES = """Examples:

  morelike explore timelapse runs/00001-roses-dcgan

  morelike explore timelapse runs/00001-roses-dcgan --seeds 3,7,12 --raw --seconds 20
"""


def timelapse(
    path: options.RunFolder,
    seeds: Annotated[str, typer.Option(help="Which, as in 0-15 or 3,7,12; 64 at most.")] = "0-15",
    raw: Annotated[
        bool, typer.Option("--raw", help="Weights as trained, not their average.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="How long the film plays.")] = 8.0,
    out: options.Out = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Film the same seeds through all checkpoints."""
    chosen = parse_seeds(seeds)
    from morelike.explore.timelapse import timelapse as make

    with console.counting("filming checkpoints") as progress:
        found = make(
            path, out, seeds=chosen, raw=raw, seconds=seconds, device=device, progress=progress
        )
    options.report(found, as_json)
