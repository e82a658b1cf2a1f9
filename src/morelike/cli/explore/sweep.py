"""`morelike explore sweep`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike.cli import console
from morelike.cli.explore import options
from morelike.errors import UserError
from morelike.seeds import parse_seeds

EXAMPLES = """Examples:

  morelike explore sweep runs/00001-roses-dcgan

  morelike explore sweep runs/00001-roses-dcgan --dims 3,17 --range -2:2 --steps 13
"""


def sweep(
    path: options.Model,
    dims: Annotated[
        str, typer.Option(help="Which dimensions, from 0: all, or as in 3,17.")
    ] = "all",
    bounds: Annotated[
        str, typer.Option("--range", metavar="LOW:HIGH", help="First and last value.")
    ] = "-1:1",
    steps: Annotated[int, typer.Option(help="Pictures in a row.")] = 9,
    base: Annotated[int, typer.Option(help="From how many seeds effects are measured.")] = 8,
    seed: Annotated[int, typer.Option(help="The first of them, which is shown.")] = 0,
    checkpoint: options.Checkpoint = "best",
    out: options.Out = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Move one latent dimension at a time; measure and show what each does."""
    low, high = _range(bounds)
    chosen = None if dims == "all" else parse_seeds(dims)
    from morelike.explore.sweep import sweep as make

    with console.counting("moving dimensions") as progress:
        found = make(
            path,
            out,
            dims=chosen,
            low=low,
            high=high,
            steps=steps,
            base=base,
            seed=seed,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            device=device,
            progress=progress,
        )
    options.report(found, as_json)


def _range(text: str) -> tuple[float, float]:
    low, sign, high = text.partition(":")
    try:
        return float(low), float(high if sign else "nothing")
    except ValueError:
        raise UserError(f"--range must be like -1:1, not '{text}'.") from None
