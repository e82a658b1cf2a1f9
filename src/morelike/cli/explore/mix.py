"""`morelike explore mix`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options
from morelike.errors import UserError
from morelike.seeds import parse_seeds

EXAMPLES = """Examples:

  morelike explore mix runs/00001-roses-dcgan --rows 0-4 --columns 5-10

  morelike explore mix runs/00002-style --from-layer 0:3

  morelike explore mix runs/00001-roses-dcgan --a 3,5,8 --b 7,9,13 --c 20,24,31
"""


def mix(
    path: options.Model,
    rows: Annotated[
        str | None, typer.Option(metavar="SEEDS", help="Of the rows.", show_default="0-4")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="SEEDS", help="Of the columns.", show_default="5-10")
    ] = None,
    from_layer: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:LAST",
            help="Family style: these layers from the column, 0 is the coarsest.",
            show_default="coarse, middle and fine ones",
        ),
    ] = None,
    a: Annotated[
        str | None,
        typer.Option(metavar="SEEDS", help="Arithmetic a - b + c of means.", show_default=False),
    ] = None,
    b: Annotated[
        str | None, typer.Option(metavar="SEEDS", help="Those taken away.", show_default=False)
    ] = None,
    c: Annotated[
        str | None, typer.Option(metavar="SEEDS", help="Those changed so.", show_default=False)
    ] = None,
    rescale: Annotated[
        bool, typer.Option(help="Bring sums of latents to the usual length.")
    ] = True,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Mix samples: layer by layer or half of each in a grid, or the arithmetic a - b + c."""
    seeds = {
        name: None if text is None else parse_seeds(text)
        for name, text in {"rows": rows, "columns": columns, "a": a, "b": b, "c": c}.items()
    }
    layers = None if from_layer is None else _layers(from_layer)
    from morelike.explore.mix import mix as make

    with console.counting("mixing") as progress:
        found = make(
            path,
            out,
            **seeds,
            layers=layers,
            rescale=rescale,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)


def _layers(text: str) -> tuple[int, int]:
    first, sign, last = text.partition(":")
    try:
        return int(first), int(last) if sign else int(first)
    except ValueError:
        raise UserError(f"--from-layer must be like 0:3, not '{text}'.") from None
