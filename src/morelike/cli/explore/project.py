"""`morelike explore project`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options

EXAMPLES = """Examples:

  morelike explore project runs/00001-roses-dcgan my-rose.jpg

  morelike explore project runs/00001-roses-dcgan photos/*.jpg --steps 600 --starts 6

  morelike explore project runs/00002-faces me.jpg --move smiling=3 --move age=2
"""


def project(
    path: options.Model,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Picture files.")],
    space: Annotated[
        str | None,
        typer.Option(metavar="z|w", help="Where to look.", show_default="w if there is one"),
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of the search.")] = 300,
    starts: Annotated[int, typer.Option(help="From how many points each is looked for.")] = 2,
    move: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=STEPS",
            help="Also move what is found along a direction of `explore directions`, there and "
            "back; repeatable.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=SHARE]",
            help="What to look among, for a generator trained with labels; several are mixed.",
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="The same, for attributes; repeatable."),
    ] = None,
    data: options.Data = None,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Find the generator's nearest picture to a photo: can it make this at all?"""
    moves = console.amounts(move or [], "--move", "smile=3")
    labels = console.amounts(label or [], "--label", "smiling, or smiling=0.7", default="1")
    attributes = console.amounts(attribute or [], "--attribute", "happiness=0.7")
    from morelike.explore.project import project as make

    with console.counting("looking for the nearest pictures") as progress:
        found = make(
            path,
            photos,
            out,
            space=space,
            steps=steps,
            starts=starts,
            moves=moves,
            labels=labels,
            attributes=attributes,
            data=data,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)
