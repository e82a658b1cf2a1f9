"""`morelike explore observatory`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options

EXAMPLES = """Examples:

  morelike explore observatory runs/00001-roses-dcgan

  morelike train photos/ --minutes 10 --set training.keep=40
"""


def observatory(
    path: options.RunFolder,
    checkpoints: Annotated[int, typer.Option(help="How many are looked at, at most.")] = 12,
    count: Annotated[int, typer.Option(help="Samples at each.")] = 256,
    raw: Annotated[
        bool, typer.Option("--raw", help="Weights as trained, not their average.")
    ] = False,
    out: options.Out = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    data: options.Data = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """When frequencies appear, what D forgets, how samples wander: checkpoint by checkpoint."""
    from morelike.explore.observatory import observatory as watch

    with console.counting("watching checkpoints") as progress:
        found = watch(
            path,
            out,
            checkpoints=checkpoints,
            count=count,
            raw=raw,
            features=features,
            weights=weights,
            data=data,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)
