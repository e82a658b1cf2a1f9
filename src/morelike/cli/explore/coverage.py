"""`morelike explore coverage`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options

EXAMPLES = """Examples:

  morelike explore coverage runs/00001-roses-dcgan

  morelike explore coverage runs/00001-roses-dcgan --count 5000 --checkpoint latest
"""


def coverage(
    run: options.RunFolder,
    count: Annotated[int, typer.Option(help="How many samples, 64 to 5,000.")] = 2000,
    seed: Annotated[int, typer.Option(help="The first of their seeds.")] = 0,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    data: options.Data = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Map the generator's space, and tell which kinds of training pictures it does not reach."""
    from morelike.explore.coverage import coverage as make

    with console.counting("looking at samples") as progress:
        found = make(
            run,
            out,
            count=count,
            seed=seed,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            data=data,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)
