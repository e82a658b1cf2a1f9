"""`morelike evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morelike.cli import console
from morelike.errors import UserError

if TYPE_CHECKING:
    from morelike.evaluate.verdict import Verdict

EXAMPLES = """Examples:

  morelike evaluate runs/00001-roses-dcgan

  morelike evaluate runs/00001-roses-dcgan --count 2000 --checkpoint latest

  morelike evaluate generated/ --train photos/ --held others/

  morelike evaluate runs/00001-roses-dcgan --features timm:mobilenetv2_100 --weights net.safetensors
"""
_KNOWS = "{} is a run and knows its pictures; leave --train, --held and --size out."
CALM = ("measures",)
"""Findings that conclude nothing, and are for the page."""


def evaluate(
    path: Annotated[Path, typer.Argument(help="A run folder, or a folder of generated pictures.")],
    train: Annotated[
        Path | None,
        typer.Option(help="For a folder: what its generator was trained on.", show_default=False),
    ] = None,
    held: Annotated[
        Path | None,
        typer.Option(help="For a folder: pictures of the same kind, never trained on."),
    ] = None,
    count: Annotated[int, typer.Option(min=16, help="For a run: how many samples.")] = 1000,
    checkpoint: Annotated[
        str, typer.Option(help="For a run: best, latest, or a number of images seen.")
    ] = "best",
    features: Annotated[
        str, typer.Option(help="Extractor: random, inception, dinov2 or timm:NAME.")
    ] = "random",
    weights: Annotated[
        Path | None, typer.Option(help="The extractor's weights, if it needs any.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the extractor's weights.")
    ] = False,
    size: Annotated[
        int | None, typer.Option(help="For a folder: side that all sets are brought to.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="For a run: where its training pictures are now.",
            show_default="where they were",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where verdict.json and .html go.", show_default="PATH"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Say whether a generator is learning, collapsing or copying, and how sure that is; of a run of
    `enhance train` or `translate train`, whether it is better than what needs no learning.

    Writes verdict.json and a page, verdict.html, beside the run; the last line printed is the page.
    """
    from morelike.devices import pick_device
    from morelike.evaluate import subject
    from morelike.evaluate.evaluation import evaluate as judge
    from morelike.features import extractor
    from morelike.runs import is_run
    from morelike.task_verdict import has_task, verdict_of_task

    if has_task(path):
        if train is not None or held is not None or size is not None:
            raise UserError(_KNOWS.format(path))
        with console.counting("measuring pictures") as counted:
            of_task = verdict_of_task(
                path,
                checkpoint=checkpoint,
                count=count,
                features=features,
                weights=weights,
                data=data,
                device=device,
                progress=counted,
            )
        _tell(of_task, out or path, as_json)
        return
    look = extractor(features, weights, pick_device(device), download=download)
    with console.preparing() as progress:
        if is_run(path):
            if train is not None or held is not None or size is not None:
                raise UserError(_KNOWS.format(path))
            about = subject.from_run(
                path,
                checkpoint=checkpoint,
                count=count,
                data=data,
                device=device,
                progress=progress,
            )
        else:
            if train is None:
                raise UserError(
                    f"{path} is not a run folder; for a folder of pictures name what its generator "
                    "was trained on with --train, and others of the kind with --held."
                )
            about = subject.from_folders(path, train, held, size=size, progress=progress)
    _tell(judge(about, look, console.tell), out or path, as_json)


def _tell(verdict: Verdict, out: Path, as_json: bool) -> None:
    from morelike.evaluate.evaluation import write

    facts, shown = write(verdict, out)
    if as_json:
        console.print_json({**verdict.as_dict(), "page": str(shown), "file": str(facts)})
        return
    _print(verdict)
    typer.echo(str(shown))


def _print(verdict: Verdict) -> None:
    for notice in verdict.notices:
        console.tell(notice)
    typer.echo(" · ".join(verdict.words))
    for finding in verdict.findings:
        if finding.topic in CALM or not (finding.word or finding.state == "yes"):
            continue
        typer.echo(f"{finding.topic:<14} {finding.sentence}")
        if finding.remedy:
            typer.echo(f"{'':<14} {finding.remedy}")
