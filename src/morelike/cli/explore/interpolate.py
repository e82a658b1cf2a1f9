"""`morelike explore interpolate`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options
from morelike.seeds import parse_seeds

EXAMPLES = """Examples:

  morelike explore interpolate runs/00001-roses-dcgan --seeds 3,9,27

  morelike explore interpolate runs/00001-roses-dcgan --seeds 0-5 --loop --frames 48
"""


def interpolate(
    path: options.Model,
    seeds: Annotated[str, typer.Option(help="Two or more, as in 3,9,27.")],
    loop: Annotated[bool, typer.Option("--loop", help="Walk back to the first one.")] = False,
    mode: Annotated[
        str | None,
        typer.Option(
            help="slerp: round the sphere of latents; lerp: straight through it; w: through W.",
            show_default="w where there is one, else slerp",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(help="Pictures from one seed to the next.")] = 24,
    even: Annotated[
        bool, typer.Option(help="Place them so that the pictures change at an even rate.")
    ] = True,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Walk from sample to sample: a film, and how far and how evenly it goes."""
    chosen = parse_seeds(seeds)
    from morelike.explore.interpolate import interpolate as make

    with console.counting("walking") as progress:
        found = make(
            path,
            out,
            seeds=chosen,
            loop=loop,
            mode=mode,
            frames=frames,
            even=even,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)
