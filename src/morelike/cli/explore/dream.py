"""`morelike explore dream`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options
from morelike.seeds import parse_seeds

EXAMPLES = """Examples:

  morelike explore dream runs/00001-roses-dcgan

  morelike explore dream runs/00001-roses-dcgan --layer 3 --unit 5,17

  morelike explore dream runs/00002-faces-dcgan --of classifier
"""


def dream(
    path: options.RunFolder,
    layer: Annotated[
        int | None, typer.Option(help="Which convolution, from 1.", show_default="the middle one")
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Which channels, as in 5,17.", show_default="those that tell most"),
    ] = None,
    of: Annotated[
        list[str] | None,
        typer.Option(
            help="discriminator or classifier; repeatable.",
            show_default="both, where there are labels",
        ),
    ] = None,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    data: options.Data = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Show what units of the discriminator respond to, and what it wants changed."""
    chosen = None if unit is None else parse_seeds(unit)
    from morelike.explore.dream import dream as make

    with console.counting("dreaming") as progress:
        found = make(
            path,
            out,
            layer=layer,
            units=chosen,
            of=of,
            checkpoint=checkpoint,
            data=data,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)
