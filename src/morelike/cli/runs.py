"""`morelike runs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from morelike.cli import console
from morelike.errors import UserError

if TYPE_CHECKING:
    from morelike.runs import Run

app = typer.Typer(
    help="What was trained.",
    no_args_is_help=True,
    epilog="Example:  morelike runs show runs/00001-roses-dcgan",
)
EXAMPLES = """Examples:

  morelike runs list

  morelike runs show runs/00001-roses-dcgan --json
"""


@app.command("list", epilog=EXAMPLES)
def list_all(
    folder: Annotated[Path, typer.Argument(help="The folder that holds run folders.")] = Path(
        "runs"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List the runs in a folder."""
    from morelike.runs import list_runs

    summaries = []
    for run in list_runs(folder):
        try:
            summaries.append(_summary(run))
        except UserError as error:  # one that cannot be read must not hide the others
            console.tell(str(error))
    if as_json:
        console.print_json(summaries)
        return
    if not summaries:
        typer.echo(f"no runs in {folder}")
    for summary in summaries:
        typer.echo(
            f"{summary['run']}  {summary['images']:>10,} images  "
            f"{console.duration(summary['seconds']):>8}  {summary['source']}"
        )


@app.command("show", epilog=EXAMPLES)
def show(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a run was trained on, how far it came, and its last numbers."""
    from morelike.runs import open_run

    opened = open_run(run)
    summary = _summary(opened)
    if as_json:
        console.print_json(summary)
        return
    data = opened.data()
    typer.echo(
        f"run            {summary['run']}\n"
        f"recipe         {summary['recipe'] or '(none)'}, family {summary['family']}\n"
        f"data           {summary['source']}: {len(data['split']['train'])} pictures to train on, "
        f"{len(data['split']['held_out'])} held out\n"
        f"trained        {summary['images']:,} images in {console.duration(summary['seconds'])}\n"
        f"checkpoints    {', '.join(map(str, summary['checkpoints'])) or 'none'}; "
        f"best {summary['best']}, latest {summary['latest']}"
    )
    for key, value in summary["last"].items():
        typer.echo(f"{key:<30} {value}")


def _summary(run: Run) -> dict[str, Any]:
    config, records = run.config(), run.metrics()
    last = records[-1] if records else {}
    best, latest = (run.checkpoints.pointed(name) for name in ("best", "latest"))
    return {
        "run": str(run.path),
        "recipe": config["recipe"],
        "family": config["family"],
        "source": run.data()["source"],
        "images": last.get("images", 0),
        "seconds": last.get("seconds", 0.0),
        "checkpoints": [checkpoint.images for checkpoint in run.checkpoints.all()],
        "best": best.images if best else None,
        "latest": latest.images if latest else None,
        "last": last,
    }
