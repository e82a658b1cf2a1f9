"""`morelike explore quiz`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options

EXAMPLES = """Examples:

  morelike explore quiz runs/00001-roses-dcgan

  morelike explore quiz runs/00001-roses-dcgan --rounds 50 --real more-roses/

  morelike explore quiz generated/ --real photos/ --no-open
"""


def quiz(
    path: Annotated[
        Path, typer.Argument(help="A run or generator folder, or a folder of generated pictures.")
    ],
    real: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Real pictures, never trained on.",
            show_default="those held out from training",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="How many pairs, 1 to 200.")] = 20,
    seed: Annotated[int, typer.Option(help="Of what is shown and where.")] = 0,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    data: options.Data = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Can you tell real pictures from generated ones? A page, two pictures at a time."""
    from morelike.explore.quiz import quiz as make

    with console.counting("preparing pictures") as progress:
        found = make(
            path,
            out,
            real=real,
            rounds=rounds,
            seed=seed,
            checkpoint=checkpoint,
            data=data,
            device=device,
            open_page=open_page,
            say=console.tell,
            progress=progress,
        )
    options.report(found, as_json)
