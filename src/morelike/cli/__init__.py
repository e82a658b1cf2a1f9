"""The command `morelike`: parse, call one function, print. One file per command.

Nothing here imports torch until a command needs it, so that `--help` is immediate.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from morelike.cli import (
    enhance,
    evaluate,
    explore,
    gallery,
    pictures,
    recipes,
    runs,
    sample,
    toy,
    train,
)
from morelike.errors import MorelikeError
from morelike.version import __version__

app = typer.Typer(
    name="morelike",
    help="Point it at a folder of pictures: it trains a generator of endless new ones like them.",
    epilog="Begin with:  morelike train photos/ --minutes 10",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command("inspect", epilog=pictures.INSPECT_EXAMPLES)(pictures.inspect)
app.command("prepare", epilog=pictures.PREPARE_EXAMPLES)(pictures.prepare)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("sample", epilog=sample.EXAMPLES)(sample.sample)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("gallery", epilog=gallery.EXAMPLES)(gallery.gallery)
app.command("toy", epilog=toy.EXAMPLES)(toy.toy)
app.add_typer(explore.app, name="explore")
app.add_typer(enhance.app, name="enhance")
app.add_typer(enhance.translate_app, name="translate")
app.add_typer(recipes.app, name="recipes")
app.add_typer(runs.app, name="runs")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"morelike {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


def _one_line(error: Exception) -> str:
    # A file's name may hold line breaks.
    return " ".join(str(error).splitlines())


def main() -> None:
    """Run the command line; errors that morelike explains become one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path may hold what cannot be printed
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except MorelikeError as error:
        typer.echo(f"morelike: {_one_line(error)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # a folder that may not be entered, a name too long for the system
        typer.echo(f"morelike: {_one_line(error)}.", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("morelike: stopped.", err=True)
        sys.exit(130)
