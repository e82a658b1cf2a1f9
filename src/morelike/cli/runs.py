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

PROBED = ("images", "seconds", "kid", "near_copies", "variety", "verdict", "extractor")
"""What a record has of a probe."""


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
    """Show what a run was trained on, how far it came, and how it did over time."""
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
    if summary["why"]:
        typer.echo(f"\n{summary['why']}")
    if summary["history"]:
        typer.echo("\n    images      time   KID x 1000  near-copies  variety  word")
    by = None
    for moment in summary["history"]:
        if by not in (None, moment["extractor"]):
            typer.echo(
                f"  from here on by {moment['extractor']}, above by {by}: not to be compared"
            )
        by = moment["extractor"]
        typer.echo(
            f"{moment['images']:>10,}  {console.duration(moment['seconds']):>8}  "
            f"{moment['kid']:>11.1f}  {moment['near_copies']:>11.1%}  {moment['variety']:>7.0%}  "
            f"{moment['verdict']}"
        )
    if summary["verdict"]:
        typer.echo(f"\nevaluated      {' · '.join(summary['verdict'])}: {opened.path}/verdict.html")


def _summary(run: Run) -> dict[str, Any]:
    config, records = run.config(), run.metrics()
    last = records[-1] if records else {}
    best, latest = (run.checkpoints.pointed(name) for name in ("best", "latest"))
    return {
        "run": str(run.path),
        "recipe": config["recipe"],
        "family": config["family"],
        "why": config.get("why"),
        "source": run.data()["source"],
        "images": last.get("images", 0),
        "seconds": last.get("seconds", 0.0),
        "checkpoints": [checkpoint.images for checkpoint in run.checkpoints.all()],
        "best": best.images if best else None,
        "latest": latest.images if latest else None,
        "last": last,
        "history": [
            {key: record.get(key) for key in PROBED} for record in records if _is_read(record)
        ],
        "verdict": _words(run),
    }


def _is_read(record: dict[str, Any]) -> bool:
    return all(record.get(key) is not None for key in PROBED)


def _words(run: Run) -> list[str]:
    """What `morelike evaluate` came to, if it was asked."""
    from morelike import files

    try:
        words = files.read_json(run.path / "verdict.json")["words"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [str(word) for word in words] if isinstance(words, list) else []
