"""`morelike train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from morelike.cli import console
from morelike.cli.console import stderr
from morelike.errors import UserError

EXAMPLES = """Examples:

  morelike train photos/ --minutes 10

  morelike train photos/ --recipe roses-dcgan --set training.batch=32

  morelike train toy:bicycles --recipe bicycles --minutes 6

  morelike train --resume runs/00001-roses-dcgan --minutes 30

  morelike train photos/ --dry-run
"""


Images = Annotated[
    int | None,
    typer.Option(help="Stop after this many pictures shown since the run began."),
]
Minutes = Annotated[
    float | None,
    typer.Option(help="Stop after this many minutes of training since the run began."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where run folders are made.")]
RunFolder = Annotated[
    Path | None,
    typer.Option("--run", help="Train in just this folder, going on if it holds a run."),
]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with this run folder.")]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto")
]
Precision = Annotated[str | None, typer.Option(help="auto, fp32 or bf16.", show_default="auto")]
Seed = Annotated[int | None, typer.Option(help="Seed of all randomness.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan with a measured speed; train nothing.")
]
ProfileOnly = Annotated[
    bool,
    typer.Option("--profile", help="Show where the time goes in half a minute; keep nothing."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def train(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A folder of pictures, anything else that prepare takes, or what it made.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", "-r", help="A recipe's name, or a TOML file.")
    ] = None,
    images: Images = None,
    minutes: Minutes = None,
    assignments: Assignments = None,
    out: Out = Path("runs"),
    run: RunFolder = None,
    resume: Resume = None,
    device: Device = None,
    precision: Precision = None,
    seed: Seed = None,
    stop_when: Annotated[
        list[str] | None,
        typer.Option(
            "--stop-when",
            metavar="WORD",
            help="End early once it is copying, collapsed, stalled or diverged; repeatable.",
        ),
    ] = None,
    dry_run: DryRun = False,
    profile: ProfileOnly = False,
    as_json: AsJson = False,
) -> None:
    """Train a generator on a folder of pictures.

    The last line printed is the run folder. Ctrl-C saves the state before it stops.
    """
    options = {
        "images": images,
        "minutes": minutes,
        "device": device,
        "precision": precision,
        "seed": seed,
        "stop_when": stop_when or None,
    }
    run = folder_to_train_in(run, resume)
    settings = console.overrides(assignments or []) | given(options)
    wanted = Wanted(source, recipe, run, out, settings, dry_run, profile, as_json)
    carry_out(wanted)


class Wanted(NamedTuple):
    """What a person asks for; the settings are those over the recipe's."""

    source: str | None
    recipe: str | None
    run: Path | None
    out: Path
    settings: dict[str, Any]
    dry_run: bool
    profile: bool
    as_json: bool


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Those options that were given."""
    return {key: value for key, value in options.items() if value is not None}


def folder_to_train_in(run: Path | None, resume: Path | None) -> Path | None:
    """What --run or --resume name.

    Raises:
        UserError: if both are given, or --resume names no run.
    """
    if resume is None:
        return run
    if run is not None:
        raise UserError("--run and --resume both name the run folder; give one of them.")
    from morelike.runs import open_run

    return open_run(resume).path


def carry_out(wanted: Wanted) -> None:
    """Train and print the run folder, or print the plan, or where the time goes."""
    from morelike import api
    from morelike.cli.progress import TrainingBar
    from morelike.distributed import world
    from morelike.training import loop
    from morelike.training.profile import make_profile

    source, recipe, run = wanted.source, wanted.recipe, wanted.run
    if wanted.dry_run:
        with console.preparing() as progress:
            plan = api.plan(source, recipe, run=run, progress=progress, **wanted.settings)
        _print_plan(plan.as_dict(), wanted.as_json)
        return

    if wanted.profile:
        with console.preparing() as progress:
            job = api.settle(source, recipe, run, progress, wanted.settings)
        _print_profile(make_profile(job.config, job.dataset).as_dict(), wanted.as_json)
        return

    with world() as here:
        with console.preparing() as progress:
            job = api.settle(source, recipe, run, progress, wanted.settings)
        target = api.open_folder(job, here, wanted.out, run)
        budget = job.config.training
        bars = [TrainingBar(stderr, budget.images, budget.minutes)] if here.is_main else []
        if job.why and here.is_main:
            console.tell(job.why)
        if stderr.is_terminal and here.is_main:
            console.tell(
                f"training in {target.path} on {len(job.dataset.train)} pictures, "
                f"{len(job.dataset.held_out)} held out; Ctrl-C saves and stops"
            )
            console.tell(
                f"cropped to {job.config.data.crop}: {job.dataset.info['crop_reason']}; "
                f"{'half of them' if job.config.data.mirror else 'never'} mirrored"
            )
        try:
            loop.train(target, job.config, job.dataset, bars, here)
        finally:
            for bar in bars:
                bar.close()
                console.list_rejected(job.dataset.rejected)
    if not here.is_main:
        return
    if wanted.as_json:
        console.print_json({"run": str(target.path)})
    else:
        afterwards = f"morelike sample {target.path} --seeds 0-63"
        if job.config.task.name:
            afterwards = f"morelike enhance apply {target.path} PICTURES --out FOLDER"
        console.tell(f"look at {target.samples}, then: {afterwards}")
        typer.echo(str(target.path))


def _print_profile(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(found)
        return
    typer.echo(
        f"{found['images_per_second']:.0f} images/s on {found['device']} in {found['precision']}, "
        f"watched for {console.duration(found['seconds'])}\n\nthe loop"
    )
    for part, share in found["loop"].items():
        typer.echo(f"{share:7.1%}  {part}")
    typer.echo("\na step")
    for part, share in found["step"].items():
        typer.echo(f"{share:7.1%}  {part}")
    typer.echo("\nof a step, by torch's operators                        calls")
    for one in found["operators"]:
        typer.echo(f"{one['share']:7.1%}  {one['name'][:44]:<44} {one['calls']:6.0f}")


def _print_plan(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(plan)
        return
    typer.echo(
        f"data           {plan['source']}: {plan['pictures_train']} pictures to train on, "
        f"{plan['pictures_held_out']} held out, {plan['duplicates']} exact duplicates, "
        f"{plan['rejected']} rejected\n"
        f"generator      {plan['generator_parameters']:,} parameters, "
        f"{plan['generator_gflop']:.3f} GFLOP a picture\n"
        f"discriminator  {plan['discriminator_parameters']:,} parameters, "
        f"{plan['discriminator_gflop']:.3f} GFLOP a picture\n"
        f"memory         about {plan['memory_mib']:,.0f} MiB at its peak"
        f"{_in_parts(plan['parts'])}\n"
        f"speed          {plan['images_per_second']:.0f} images/s on {plan['device']} in "
        f"{plan['precision']}, measured over a few steps\n"
        f"length         {plan['images']:,} images, about {console.duration(plan['seconds'])}"
    )
    weights = {name: weight for name, weight in plan["penalties"].items() if name != "every"}
    if weights:
        often = plan["penalties"]["every"]
        typer.echo(
            f"penalties      {', '.join(f'{name} {weight:g}' for name, weight in weights.items())}"
            f" on D's gradient, in {'every' if often == 1 else f'each {often}th'} step"
        )
    if plan["why"]:
        typer.echo(f"\n{plan['why']}")


def _in_parts(parts: int) -> str:
    return f", each batch in {parts} parts to fit what is free" if parts > 1 else ""
