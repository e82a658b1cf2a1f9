"""`morelike sample`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morelike.cli import console
from morelike.errors import MorelikeError, UserError
from morelike.seeds import parse_seeds

if TYPE_CHECKING:
    from morelike.evaluate.receipts import Receipt
    from morelike.samples import Check
    from morelike.sampling import TrainedGenerator, Wish

EXAMPLES = """Examples:

  morelike sample runs/00001-roses-dcgan --seeds 0-63 --grid roses.png

  morelike sample runs/00001-roses-dcgan --seeds 7,12 --out pictures/

  morelike sample runs/00001-roses-dcgan/generator --seeds 0-7 --truncation 1.5

  morelike sample runs/00001-roses-dcgan --seeds 0-63 --safe

  morelike sample runs/00001-roses-dcgan --seeds 0-999999 --shards 10000 --precision auto

  morelike sample runs/00002-conditional --label smiling=0.7 --label not_smiling=0.3

  morelike sample runs/00002-conditional --move smiling=+2
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
        typer.Option(
            help="Less variety, more typical. Family style: how much is left of the way from the "
            "mean of w, 0 to 1. Others: latents beyond this bound, 0.1 to 10, are drawn again."
        ),
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
    move: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=STEPS",
            help="Move all pictures along a direction of `explore directions`; repeatable.",
        ),
    ] = None,
    safe: Annotated[
        bool,
        typer.Option("--safe", help="Leave out near-copies of training pictures; with receipts."),
    ] = False,
    with_receipts: Annotated[
        bool,
        typer.Option("--receipts", help="Note the nearest training picture in every PNG."),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Where the training pictures are now, for --safe and --receipts.",
            show_default="where they were",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            metavar="PICTURES", help="Write files of so many each, for thousands and more."
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--form", help="Of shards: tar (of PNG), or npy, faster to write.")
    ] = "tar",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[
        str,
        typer.Option(help="fp32, bf16 (faster where the hardware has it), or auto: the faster."),
    ] = "fp32",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make pictures with a trained generator: the same seed, the same picture."""
    from morelike import samples, sampling

    chosen = parse_seeds(seeds)
    generator = sampling.load(path, checkpoint, raw=raw, device=device, precision=precision)
    for notice in generator.notices:
        console.tell(notice)
    wish = sampling.Wish(
        truncation,
        console.amounts(label or [], "--label", "smiling, or smiling=0.7", default="1"),
        console.amounts(attribute or [], "--attribute", "happiness=0.7"),
        console.amounts(move or [], "--move", "smile=+2"),
    )
    if shards is not None:
        if safe or with_receipts or grid is not None:
            raise UserError(
                "shards have no grid and no receipts; leave out --shards, or the others."
            )
        _write_shards(generator, chosen, out or path / "shards", shards, form, wish, as_json)
        return
    issued: dict[int, Receipt] = {}
    check = _check(path, data, safe, issued) if safe or with_receipts else None
    if data is not None and check is None:
        raise UserError("--data is for --safe and --receipts; give one of them, or leave it out.")
    folder = samples.write_samples(generator, chosen, out or path / "pictures", grid, wish, check)
    left_out = {seed: issued[seed] for seed in chosen if safe and issued[seed].near_copy}
    written = [seed for seed in chosen if seed not in left_out]
    grid = grid if written else None
    _tell_left_out(left_out)
    if as_json:
        console.print_json(
            {
                "out": str(folder),
                "grid": str(grid) if grid else None,
                "checkpoint": generator.checkpoint,
                "files": [str(folder / f"{seed}.png") for seed in written],
            }
            | ({"left_out": list(left_out)} if safe else {})
            | ({"receipts": {n: issued[n].as_dict() for n in chosen}} if check else {})
        )
    if not written:
        raise MorelikeError(
            f"all {len(chosen)} samples are near-copies of training pictures, so nothing was "
            "written; train on more pictures, or with augment.policy set."
        )
    if not as_json:
        count = f"{len(written)} pictures in {folder}"
        typer.echo(count + (f", grid in {grid}" if grid else ""))


def _write_shards(
    generator: TrainedGenerator,
    seeds: list[int],
    folder: Path,
    size: int,
    form: str,
    wish: Wish,
    as_json: bool,
) -> None:
    from morelike import samples

    if size < 1 or form not in samples.FORMS:
        raise UserError("--shards takes a number from 1 on, and --form tar or npy.")
    with console.counting("making pictures") as progress:
        paths = samples.write_shards(generator, seeds, folder, size, form, wish, progress)
    if as_json:
        console.print_json({"out": str(folder), "files": [str(path) for path in paths]})
    else:
        typer.echo(f"{len(seeds):,} pictures in {len(paths)} files in {folder}")


def _check(path: Path, data: str | None, safe: bool, issued: dict[int, Receipt]) -> Check:
    """What asks for each picture's receipt, and keeps it in `issued`."""
    from morelike.evaluate.receipts import checking, detector, train_keys
    from morelike.reopened import dataset_of
    from morelike.runs import is_run, open_run

    if not is_run(path):
        raise UserError(
            f"{path} is a shared generator, without the pictures that it was trained on; --safe "
            "and --receipts need the run folder."
        )
    with console.preparing() as progress:
        dataset = dataset_of(open_run(path), data, progress)
    return checking(detector(dataset), train_keys(dataset), safe, issued.__setitem__)


def _tell_left_out(receipts: dict[int, Receipt]) -> None:
    """Which seeds were left out, and why."""
    if not receipts:
        return
    console.tell(f"{len(receipts)} near-copies of training pictures were left out:")
    for seed, receipt in list(receipts.items())[: console.MOST_LISTED]:
        console.tell(f"  seed {seed}: {receipt.sentence()}")
    if len(receipts) > console.MOST_LISTED:
        console.tell(f"  and {len(receipts) - console.MOST_LISTED} more; --json lists them all")
