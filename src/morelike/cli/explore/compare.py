"""`morelike explore compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options

EXAMPLES = """Examples:

  morelike explore compare runs/00001-roses-dcgan runs/00002-roses-modern

  morelike explore compare runs/0000* --count 1000 --checkpoint latest
"""


def compare(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Run folders.")],
    count: Annotated[int, typer.Option(help="Samples of each that are measured.")] = 256,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    data: options.Data = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Lay runs side by side: the same seeds, the same measures, the same real pictures."""
    from morelike.explore.compare import compare as lay

    with console.counting("measuring runs") as progress:
        found = lay(
            paths,
            out,
            count=count,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            data=data,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)
