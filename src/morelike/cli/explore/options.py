"""Options that most commands of `explore` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morelike.cli import console

if TYPE_CHECKING:
    from morelike.explore.found import Found

Model = Annotated[Path, typer.Argument(help="A run folder, or its generator folder.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Checkpoint = Annotated[str, typer.Option(help="best, latest, or a number of images seen.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Where results go.", show_default="explore/ in the folder"),
]
Features = Annotated[str, typer.Option(help="Extractor: random, inception, dinov2 or timm:NAME.")]
Weights = Annotated[Path | None, typer.Option(help="The extractor's weights, if it needs any.")]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="Where the training pictures are now.",
        show_default="where they were",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def report(found: Found, as_json: bool) -> None:
    """Print what was found: its sentences and the folder, or all figures."""
    if as_json:
        written = {name: str(path) for name, path in found.files.items()}
        console.print_json({"out": str(found.folder), "files": written, **found.facts})
        return
    for line in found.lines:
        typer.echo(line)
    typer.echo(str(found.folder))
