"""`morelike enhance` and `morelike translate`: pictures from pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from morelike.cli import console
from morelike.cli import train as training
from morelike.cli.explore import options
from morelike.errors import UserError
from morelike.seeds import parse_seeds

if TYPE_CHECKING:
    from morelike.enhance.apply import Applied
    from morelike.enhance.model import Model

TRAIN = """Examples:

  morelike enhance train photos/ --task enlarge:4 --minutes 20

  morelike enhance train --match runs/00007-bikes-wgan --minutes 20

  morelike enhance train photos/ --task deblur --dry-run
"""
TRANSLATE = """Examples:

  morelike translate train photos/ --task colorize --minutes 20

  morelike translate train photos/ --task from-edges

  morelike translate train pairs:sketches/,photos/ --task pairs
"""
APPLY = """Examples:

  morelike enhance apply runs/00008-enlarge pictures/ --out big/

  morelike enhance apply runs/00008-enlarge --from-run runs/00007-bikes-wgan --out big/

  morelike enhance apply runs/00008-enlarge photos/ --from-whole --out tried/

  morelike enhance apply --model realesrgan.safetensors old.jpg --out big/
"""
TRANSLATE_APPLY = """Examples:

  morelike translate apply runs/00009-translate gray/ --out coloured/

  morelike translate apply runs/00009-translate photos/ --from-whole --out tried/
"""
SCORE = """Examples:

  morelike enhance score runs/00008-enlarge

  morelike enhance score runs/00008-enlarge --from-run runs/00007-bikes-wgan
"""
TRANSLATE_SCORE = """Examples:

  morelike translate score runs/00009-translate
"""
TASKS = "enlarge:2, enlarge:4, enlarge:8, colorize, from-edges, inpaint, deblur or pairs."
SEEDS = "0-63"

Source = Annotated[
    str | None,
    typer.Argument(
        help="A folder of pictures, anything else that prepare takes, or what it made; for the "
        "task pairs, pairs:FROM,TO.",
        show_default=False,
    ),
]


def train(
    source: Source = None,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help=TASKS, show_default="the recipe's")
    ] = None,
    match: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Suit this generator: learn from its pictures, and from its samples.",
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="A recipe's name, or a TOML file.")
    ] = "enlarge",
    images: training.Images = None,
    minutes: training.Minutes = None,
    assignments: training.Assignments = None,
    out: training.Out = Path("runs"),
    run: training.RunFolder = None,
    resume: training.Resume = None,
    device: training.Device = None,
    precision: training.Precision = None,
    seed: training.Seed = None,
    dry_run: training.DryRun = False,
    profile: training.ProfileOnly = False,
    as_json: training.AsJson = False,
) -> None:
    """Train a network that makes pictures larger, or sharper: any folder gives its own pairs.

    The last line printed is the run folder. Ctrl-C saves the state before it stops.
    """
    own = {"images": images, "minutes": minutes, "seed": seed}
    place = {"device": device, "precision": precision}
    settings = _settings(task, assignments) | training.given(own | place)
    run = training.folder_to_train_in(run, resume)
    if match is not None:
        if _goes_on(run):
            raise UserError("a run that goes on keeps what it was matched with; leave out --match.")
        source, settings = _matched(match, source, recipe, settings)
    _train(source, recipe, run, out, settings, dry_run, profile, as_json)


def translate(
    source: Source = None,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help=TASKS, show_default="the recipe's")
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="A recipe's name, or a TOML file.")
    ] = "translate",
    images: training.Images = None,
    minutes: training.Minutes = None,
    assignments: training.Assignments = None,
    out: training.Out = Path("runs"),
    run: training.RunFolder = None,
    resume: training.Resume = None,
    device: training.Device = None,
    precision: training.Precision = None,
    seed: training.Seed = None,
    dry_run: training.DryRun = False,
    profile: training.ProfileOnly = False,
    as_json: training.AsJson = False,
) -> None:
    """Train a network that makes pictures from gray ones, edges, holes or other pictures.

    The last line printed is the run folder. Ctrl-C saves the state before it stops.
    """
    own = {"images": images, "minutes": minutes, "seed": seed}
    place = {"device": device, "precision": precision}
    settings = _settings(task, assignments) | training.given(own | place)
    run = training.folder_to_train_in(run, resume)
    _train(source, recipe, run, out, settings, dry_run, profile, as_json)


def apply(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN] [PICTURE...]",
            help="A run folder or its generator folder, then pictures, and folders of them; with "
            "--model, pictures only.",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where results go, under the pictures' names.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Weights of a general model (safetensors), in place of RUN."
        ),
    ] = None,
    from_run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Take the samples of this run or generator folder."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="With --from-run: which samples, as in 0-7,12.", show_default=SEEDS),
    ] = None,
    from_whole: Annotated[
        bool,
        typer.Option(
            "--from-whole",
            help="The pictures are what should come out: derive the inputs from them first.",
        ),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Write over earlier results.")] = False,
    tile: Annotated[
        int | None,
        typer.Option(help="Longest side of a tile, in pixels of the input.", show_default="256"),
    ] = None,
    checkpoint: options.Checkpoint = "best",
    device: options.Device = "auto",
    precision: Annotated[
        str,
        typer.Option(help="fp32, bf16 (faster where the hardware has it), or auto: the faster."),
    ] = "fp32",
    as_json: options.AsJson = False,
) -> None:
    """Apply what was trained to pictures of any size, or to the samples of a run.

    Alpha is kept, gray stays gray, and what cannot be read is named. Nothing is overwritten unless
    asked for with --again, and never a picture that was given.
    """
    chosen = _seeds(seeds, from_run, from_whole)
    path, pictures = _apart(paths or [], model)
    if from_run is not None and pictures:
        raise UserError(f"--from-run takes samples in place of pictures; leave out {pictures[0]}.")
    if from_run is None and not pictures:
        raise UserError("no pictures were named; give files, folders, or --from-run RUN.")
    from morelike import sampling
    from morelike.enhance import apply as applying

    own = _opened(path, model, checkpoint, device, precision)
    for sentence in own.says:
        console.tell(sentence)
    with console.counting("making pictures") as progress:
        if from_run is not None:
            generator = sampling.load(from_run, device=device)
            for notice in generator.notices:
                console.tell(notice)
            done, grid = applying.apply_to_samples(
                own, generator, chosen, out, again=again, tile=tile, progress=progress
            )
        else:
            grid = None
            done = applying.apply(
                own,
                pictures,
                out,
                again=again,
                from_whole=from_whole,
                tile=tile,
                progress=progress,
            )
    _report(done, grid, as_json)


def score(
    path: options.RunFolder,
    from_run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Also measure what it makes of this run's samples."),
    ] = None,
    count: Annotated[int, typer.Option(help="Held-out pictures, and samples, at most.")] = 256,
    checkpoint: options.Checkpoint = "best",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Where results go.", show_default="enhance/score in the run"
        ),
    ] = None,
    features: options.Features = "random",
    weights: options.Weights = None,
    data: options.Data = None,
    device: options.Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16 or auto.")] = "fp32",
    as_json: options.AsJson = False,
) -> None:
    """Measure on held-out pictures whether it is better than what needs no learning."""
    from morelike.enhance.score import score as measure

    with console.counting("measuring pictures") as progress:
        found = measure(
            path,
            out,
            from_run=from_run,
            count=count,
            checkpoint=checkpoint,
            features=features,
            weights=weights,
            data=data,
            device=device,
            precision=precision,
            progress=progress,
        )
    if as_json:
        written = {name: str(each) for name, each in found.files.items()}
        console.print_json({"out": str(found.folder), "files": written, **found.facts})
        return
    for line in found.lines:
        typer.echo(line)
    typer.echo(str(found.folder))


def _settings(task: str | None, assignments: list[str] | None) -> dict[str, Any]:
    """What is set over the recipe."""
    from morelike.settings import merge

    chosen = {} if task is None else {"task": {"name": task}}
    return merge(chosen, console.overrides(assignments or []))


def _matched(
    path: Path, source: str | None, recipe: str, settings: dict[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """Source and settings that suit a generator, under those that were given."""
    from morelike import recipes
    from morelike.enhance.match import match
    from morelike.settings import merge

    task = merge(recipes.find(recipe).values(), settings).get("task", {}).get("name", "")
    found = match(path, task)
    if source is None and found.source is None:
        raise UserError(
            f"{path} is a shared generator, which does not say what it was trained on; name the "
            "pictures before --match."
        )
    return source or found.source, merge(found.settings, settings)


def _goes_on(run: Path | None) -> bool:
    from morelike.runs import is_run

    return run is not None and is_run(run)


def _train(
    source: str | None,
    recipe: str,
    run: Path | None,
    out: Path,
    settings: dict[str, Any],
    dry_run: bool,
    profile: bool,
    as_json: bool,
) -> None:
    # A run that goes on has its settings.
    own = None if _goes_on(run) else recipe
    training.carry_out(training.Wanted(source, own, run, out, settings, dry_run, profile, as_json))


def _seeds(seeds: str | None, from_run: Path | None, from_whole: bool) -> list[int]:
    if from_run is None:
        if seeds is not None:
            raise UserError("--seeds are those of --from-run; give that too, or leave them out.")
        return []
    if from_whole:
        raise UserError("--from-whole is for pictures; leave it out with --from-run.")
    return parse_seeds(seeds or SEEDS)


def _apart(paths: list[Path], model: Path | None) -> tuple[Path | None, list[Path]]:
    """What is applied, unless that is a file; and the pictures."""
    if model is None:
        if not paths:
            raise UserError(
                "name a run that `morelike enhance train` made, or a file with --model."
            )
        return paths[0], paths[1:]
    if paths and any((paths[0] / name).is_file() for name in ("config.json", "model.safetensors")):
        raise UserError(f"{paths[0]} and --model both say what to apply; give one of them.")
    return None, paths


def _opened(
    path: Path | None, model: Path | None, checkpoint: str, device: str, precision: str
) -> Model:
    if model is not None:
        from morelike.enhance.general import of_file

        return of_file(model, device=device, precision=precision)
    from morelike.enhance.model import of_run

    assert path is not None
    return of_run(path, checkpoint, device=device, precision=precision)


def _report(done: Applied, grid: Path | None, as_json: bool) -> None:
    """Print where pictures are, and what could not be used."""
    if as_json:
        console.print_json(
            {
                "out": str(done.folder),
                "grid": str(grid) if grid else None,
                "files": [str(path) for path in done.written],
                "inputs": [str(path) for path in done.inputs],
                "rejected": done.rejected,
            }
        )
        return
    for line in done.lines:
        console.tell(line)
    if done.rejected:
        console.tell(f"{len(done.rejected)} picture(s) could not be used:")
        for entry in done.rejected[: console.MOST_LISTED]:
            console.tell(f"  {entry['key']}: {entry['reason']}")
        if len(done.rejected) > console.MOST_LISTED:
            more = len(done.rejected) - console.MOST_LISTED
            console.tell(f"  and {more} more; --json lists them all")
    count = f"{len(done.written)} pictures in {done.folder}"
    typer.echo(count + (f", grid in {grid}" if grid else ""))


def _app(text: str) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _app("Make pictures larger or sharper: train on any folder, apply to any picture.")
app.command("train", epilog=TRAIN)(train)
app.command("apply", epilog=APPLY)(apply)
app.command("score", epilog=SCORE)(score)
translate_app = _app("Make pictures from gray ones, edges, holes, or other pictures.")
translate_app.command("train", epilog=TRANSLATE)(translate)
translate_app.command("apply", epilog=TRANSLATE_APPLY)(apply)
translate_app.command("score", epilog=TRANSLATE_SCORE)(score)
