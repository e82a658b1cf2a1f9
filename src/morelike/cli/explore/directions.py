"""`morelike explore directions`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options

EXAMPLES = """Examples:

  morelike explore directions runs/00001-roses-dcgan

  morelike explore directions runs/00002-faces-dcgan --kind traits

  morelike sample runs/00002-faces-dcgan --move smiling=+2 --grid smiling.png
"""


def directions(
    path: options.Model,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="sefa, pca, traits or codes; repeatable.", show_default="all"),
    ] = None,
    count: Annotated[int, typer.Option(help="How many of sefa and of pca.")] = 8,
    base: Annotated[int, typer.Option(help="From how many seeds effects are measured.")] = 8,
    seed: Annotated[int, typer.Option(help="The first of them, which is shown.")] = 0,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    data: options.Data = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Find and name directions: of the largest change, of labels and attributes, of codes.

    They are kept in the folder, for `morelike sample --move NAME=STEPS`.
    """
    from morelike.explore.directions import KINDS
    from morelike.explore.directions import directions as find

    with console.counting("looking for directions") as progress:
        found = find(
            path,
            out,
            kinds=kind or KINDS,
            count=count,
            base=base,
            seed=seed,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            data=data,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)
