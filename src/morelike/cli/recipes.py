"""`morelike recipes`."""

from __future__ import annotations

from typing import Annotated

import typer

from morelike import recipes
from morelike.cli import console

app = typer.Typer(
    help="The settings of known experiments.",
    no_args_is_help=True,
    epilog="Example:  morelike recipes show roses-dcgan > mine.toml",
)
EXAMPLES = """Examples:

  morelike recipes list

  morelike recipes show roses-dcgan > mine.toml

  morelike train photos/ --recipe mine.toml
"""


@app.command("list", epilog=EXAMPLES)
def list_recipes(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List the recipes that come with morelike."""
    found = [recipes.find(name) for name in recipes.names()]
    if as_json:
        console.print_json([{"name": recipe.name, "title": recipe.title} for recipe in found])
        return
    width = max(len(recipe.name) for recipe in found)
    for recipe in found:
        typer.echo(f"{recipe.name:<{width}}  {recipe.title}")


@app.command("show", epilog=EXAMPLES)
def show_recipe(
    name: Annotated[str, typer.Argument(help="A recipe's name, or a TOML file.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every setting, defaults too, as JSON.")
    ] = False,
) -> None:
    """Print a recipe as TOML, to save, edit and pass back with --recipe."""
    recipe = recipes.find(name)
    if as_json:
        from morelike.models import configure

        console.print_json(configure(recipe.values(), f"recipe {name}").model_dump(mode="json"))
        return
    typer.echo(recipe.text, nl=False)
