"""`morelike gallery`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morelike.cli import console

EXAMPLES = """Examples:

  morelike gallery runs/00001-roses-dcgan

  morelike gallery runs/00001-roses-dcgan --count 1000 --show 24 --out look/

  morelike gallery runs/00001-roses-dcgan --checkpoint latest --data moved/roses
"""


def gallery(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    count: Annotated[int, typer.Option(help="How many samples, seeds 0 to COUNT-1.")] = 256,
    show: Annotated[int, typer.Option(help="How many stand on each sheet.")] = 16,
    checkpoint: Annotated[
        str, typer.Option(help="best, latest, or a number of images seen.")
    ] = "best",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where the sheets go.", show_default="inside the run"),
    ] = None,
    features: Annotated[
        str, typer.Option(help="Extractor of realism: random, inception, dinov2 or timm:NAME.")
    ] = "random",
    weights: Annotated[
        Path | None, typer.Option(help="The extractor's weights, if it needs any.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Where the training pictures are now.",
            show_default="where they were",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Lay out the best, worst and oddest of many samples, each beside its nearest training picture.

    The last line printed is the folder with the sheets.
    """
    from morelike.evaluate.gallery import gallery as make

    with console.preparing() as progress:
        made = make(
            run,
            out,
            count=count,
            show=show,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            data=data,
            device=device,
            say=console.tell,
            progress=progress,
        )
    for notice in made.facts["notices"]:
        console.tell(notice)
    if as_json:
        sheets = {name: str(path) for name, path in made.sheets.items()}
        console.print_json({"out": str(made.folder), **made.facts, "sheets": sheets})
        return
    near = made.facts["near_copies"]
    typer.echo(f"{near} of {count} samples are near-copies of training pictures")
    typer.echo(str(made.folder))
