"""`morelike sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morelike.cli import console
from morelike.seeds import parse_seeds

EXAMPLES = """Examples:

  morelike sample runs/00001-roses-dcgan --seeds 0-63 --grid roses.png

  morelike sample runs/00001-roses-dcgan --seeds 7,12 --out pictures/

  morelike sample runs/00001-roses-dcgan/generator --seeds 0-7 --truncation 1.5

  morelike sample runs/00002-conditional --label smiling=0.7 --label not_smiling=0.3
"""


def sample(
    path: Annotated[Path, typer.Argument(help="A run folder, or its generator folder.")],
    seeds: Annotated[str, typer.Option(help="Which samples, as in 0-7,12.")] = "0-63",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where SEED.png go.", show_default="inside the run"),
    ] = None,
    grid: Annotated[
        Path | None, typer.Option(help="Also write all samples as one picture.")
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(help="best, latest, or a number of images seen.")
    ] = "best",
    raw: Annotated[
        bool, typer.Option("--raw", help="Weights as trained, not their running average.")
    ] = False,
    truncation: Annotated[
        float | None,
        typer.Option(help="Draw latents beyond this bound again: less variety, more typical."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=SHARE]",
            help="What to show, for a generator trained with labels; several are mixed.",
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="The same, for attributes; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make pictures with a trained generator: the same seed, the same picture."""
    from morelike import sampling

    chosen = parse_seeds(seeds)
    generator = sampling.load(path, checkpoint, raw=raw, device=device)
    for notice in generator.notices:
        console.tell(notice)
    wish = sampling.Wish(
        truncation,
        console.amounts(label or [], "--label", "smiling, or smiling=0.7", default="1"),
        console.amounts(attribute or [], "--attribute", "happiness=0.7"),
    )
    folder = sampling.write_samples(generator, chosen, out or path / "pictures", grid, wish)
    if as_json:
        console.print_json(
            {
                "out": str(folder),
                "grid": str(grid) if grid else None,
                "checkpoint": generator.checkpoint,
                "files": [str(folder / f"{seed}.png") for seed in chosen],
            }
        )
        return
    typer.echo(f"{len(chosen)} pictures in {folder}" + (f", grid in {grid}" if grid else ""))
