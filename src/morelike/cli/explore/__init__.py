"""`morelike explore`: what the networks learnt. One file per command."""

from __future__ import annotations

import typer

from morelike.cli.explore import (
    compare,
    coverage,
    directions,
    dream,
    interpolate,
    mix,
    observatory,
    project,
    quiz,
    sweep,
    timelapse,
)

app = typer.Typer(
    help="Look at what the networks learnt: directions, maps, films and figures.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("sweep", epilog=sweep.EXAMPLES)(sweep.sweep)
app.command("interpolate", epilog=interpolate.EXAMPLES)(interpolate.interpolate)
app.command("directions", epilog=directions.EXAMPLES)(directions.directions)
app.command("project", epilog=project.EXAMPLES)(project.project)
app.command("mix", epilog=mix.EXAMPLES)(mix.mix)
app.command("coverage", epilog=coverage.EXAMPLES)(coverage.coverage)
app.command("dream", epilog=dream.EXAMPLES)(dream.dream)
app.command("observatory", epilog=observatory.EXAMPLES)(observatory.observatory)
app.command("timelapse", epilog=timelapse.EXAMPLES)(timelapse.timelapse)
app.command("compare", epilog=compare.EXAMPLES)(compare.compare)
app.command("quiz", epilog=quiz.EXAMPLES)(quiz.quiz)
