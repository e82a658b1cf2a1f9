"""`morelike toy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from morelike.cli import console
from morelike.cli.console import stderr

EXAMPLES = """Examples:

  morelike toy quadratic --recipe quadratic

  morelike toy ring8 --objective wasserstein --penalty clip=0.3

  morelike toy grid25 --objective minimax --penalty none --json
"""


def toy(
    name: Annotated[
        str,
        typer.Argument(help="quadratic, ring8, grid25, swissroll or moons.", show_default=False),
    ],
    family: Annotated[str, typer.Option(help="The family of networks.")] = "mlp",
    recipe: Annotated[
        str | None, typer.Option(help="A recipe, or a TOML file, such as quadratic.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="What they play for, as in objective.loss.", show_default="non_saturating"
        ),
    ] = None,
    penalty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHT",
            help="On the discriminator, as in the penalty section, in place of what belongs to the "
            "objective; repeatable; none for none.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Updates of the generator.", show_default="enough")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all randomness.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where a folder is made.")] = Path(
        "toys"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train on points in the plane, whose truth is known, and say how well it is met.

    In a minute or less on one core. It writes an animation (training.gif, training.mp4: samples,
    the discriminator's answers as a field, the generator's gradients), last.png and figures.json.
    """
    from morelike import files, recipes
    from morelike.data.points import points
    from morelike.settings import merge
    from morelike.training import toy as training
    from morelike.training.toy_pictures import Film

    chosen = points(name)
    values = merge(
        recipes.find(recipe).values() if recipe else {},
        {"objective": {"loss": objective}} if objective else {},
        console.overrides(assignments or []),
    )
    config = training.settle(
        str(values.get("objective", {}).get("loss", "non_saturating")),
        None if penalty is None else _weights(penalty),
        values,
        family_name=family,
        steps=steps,
        seed=seed,
    )
    seed = config.training.seed
    game = Path(recipe).stem if recipe else config.objective.loss
    folder = out / f"{name}-{game}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    film = Film(chosen, f"{name}, {game}")
    report = None if as_json or not stderr.is_terminal else _tell
    figures = training.train(chosen, config, film.add, report)
    film.write(folder, figures["history"])
    files.write_json(folder / "figures.json", figures)
    if as_json:
        console.print_json(figures)
        return
    console.tell(f"{_sentence(figures)} in {figures['seconds']:.0f} s")
    typer.echo(str(folder))


def _weights(texts: list[str]) -> dict[str, Any]:
    """NAME=WEIGHT, again and again, as the penalty section; `none` gives an empty one."""
    asked = [text for text in texts if text != "none"]
    return console.amounts(asked, "--penalty", "one_centered=10, or none")


def _tell(record: dict[str, Any]) -> None:
    console.tell(f"{record['steps']:,} steps: {_sentence(record)}")


def _sentence(figures: dict[str, Any]) -> str:
    found = f"{figures['modes_found']} of {figures['modes_total']} modes, "
    return (
        f"{found if figures['modes_total'] else ''}"
        f"{figures['high_quality_share']:.1%} of high quality, "
        f"total variation {figures['total_variation']:.3f}"
    )
