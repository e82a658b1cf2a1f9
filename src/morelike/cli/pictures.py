"""`morelike inspect` and `morelike prepare`: the same settings, one looks and the other makes."""

from __future__ import annotations

import inspect as signatures
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from morelike.cli import console
from morelike.cli.console import stderr
from morelike.errors import UserError

INSPECT_EXAMPLES = """Examples:

  morelike inspect photos/

  morelike inspect pictures.zip --labels folders --size 32 -o look/

  morelike inspect drawing.jpg --patches 64 --stride 32
"""
PREPARE_EXAMPLES = """Examples:

  morelike prepare photos/ -o bikes.mld --background white --dedup near --face right --size 64

  morelike prepare photos/ -o bikes.mld --decisions bikes.mld/decisions.csv

  morelike prepare drawing.jpg -o doodles.mld --patches 64,128 --stride 32

  morelike prepare bikes.mld --to webdataset -o shards/
"""

SOURCE_HELP = (
    "A folder, .zip, .tar (shards: pictures-{000..009}.tar), .npy, .npz, .parquet, a video, "
    "hf:owner/name[:split], or toy:bicycles."
)
Source = Annotated[str, typer.Argument(help=SOURCE_HELP, show_default=False)]
Decisions = Annotated[
    Path | None,
    typer.Option(help="A decisions.csv, edited by hand; what it says goes before every rule."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _settings(
    size: Annotated[
        str | None, typer.Option(help="64, or WIDTHxHEIGHT such as 96x64.", show_default="64")
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(help="auto (gray if all are), gray, rgb or rgba.", show_default="auto"),
    ] = None,
    matte: Annotated[
        str | None,
        typer.Option(help="Colour behind transparency: a #rrggbb.", show_default="white"),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            help="auto, center, pad (all of it, with its border's colour), fit (squeeze), smart "
            "(where the detail is).",
            show_default="auto",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="auto, none, folders or metadata.", show_default="auto"),
    ] = None,
    dedup: Annotated[
        str | None, typer.Option(help="Leave out copies: none, exact, near.", show_default="exact")
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="Keep only: white, plain, any.", show_default="any")
    ] = None,
    drop: Annotated[
        str | None,
        typer.Option(help="Leave out, separated by commas: blank, blurred, framed, enlarged."),
    ] = None,
    drop_outliers: Annotated[
        str | None, typer.Option(help="Leave out the share least like the others, such as 2%.")
    ] = None,
    min_side: Annotated[
        int | None, typer.Option(help="Leave out pictures with a side of fewer pixels.")
    ] = None,
    face: Annotated[
        str | None,
        typer.Option(help="left or right: turn round what faces the other way than most."),
    ] = None,
    patches: Annotated[
        str | None, typer.Option(help="Cut pictures into squares of these sides, such as 64,128.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Pixels from one patch to the next.", show_default="half")
    ] = None,
    patch_rotations: Annotated[
        bool, typer.Option("--patch-rotations", help="Add each patch in its four rotations.")
    ] = False,
    patch_mirrors: Annotated[
        bool, typer.Option("--patch-mirrors", help="Add each patch mirrored.")
    ] = False,
    every: Annotated[
        str | None, typer.Option(help="From a frame of a video to the next.", show_default="1s")
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(help="Share kept away from training, to measure with.", show_default="10%"),
    ] = None,
    most_rejected: Annotated[
        str | None,
        typer.Option(help="Stop if more of the files cannot be used.", show_default="50%"),
    ] = None,
) -> dict[str, Any]:
    """The options of both commands as the `data` section of a configuration."""
    chosen: dict[str, Any] = {
        "channels": {"gray": 1, "rgb": 3, "rgba": 4}.get(channels or "", channels),
        "matte": matte,
        "crop": crop,
        "labels": labels,
        "dedup": dedup,
        "background": background,
        "drop": None if drop is None else _listed(drop),
        "drop_outliers": _share("--drop-outliers", drop_outliers),
        "min_side": min_side,
        "face": face,
        "patches": None if patches is None else _listed(patches),
        "stride": stride,
        "patch_rotations": patch_rotations or None,
        "patch_mirrors": patch_mirrors or None,
        "every": None if every is None else every.strip().removesuffix("s"),
        "held_out": _share("--held-out", held_out),
        "most_rejected": _share("--most-rejected", most_rejected),
    }
    return _size(size) | {key: value for key, value in chosen.items() if value is not None}


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_settings`, which reach it as one mapping, `settings`."""
    shared = signatures.signature(_settings, eval_str=True).parameters
    own = signatures.signature(command, eval_str=True).parameters

    def run(**options: Any) -> None:
        settings = _settings(**{name: options.pop(name) for name in shared})
        command(settings=settings, **options)

    kept = [parameter for name, parameter in own.items() if name != "settings"]
    source, rest = kept[:1], kept[1:]
    joined = [*source, *rest, *shared.values()]
    keyword = [one.replace(kind=signatures.Parameter.KEYWORD_ONLY) for one in joined]
    run.__signature__ = signatures.Signature(keyword)
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


@_with_settings
def inspect(
    source: Source,
    settings: dict[str, Any],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the page.", show_default="inspect-NAME"),
    ] = None,
    decisions: Decisions = None,
    as_json: Json = False,
) -> None:
    """Look at pictures before training: what is there, what is wrong, what to expect.

    Nothing is changed. It writes a page (index.html), a contact sheet and decisions.csv into a
    folder, and prints the advice.
    """
    from morelike import ingest

    with console.preparing() as progress:
        found = ingest.inspect(
            source,
            out,
            decisions=decisions,
            progress=progress,
            command=_again(Path("SET.mld"), Path("decisions.csv")),
            **settings,
        )
    if as_json:
        console.print_json(found.as_dict())
        return
    console.list_rejected(found.inspection.rejected)
    _print(found.inspection)
    typer.echo(str(found.folder / "index.html"))


@_with_settings
def prepare(
    source: Source,
    settings: dict[str, Any],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="What to make, such as bikes.mld.", show_default=False),
    ],
    decisions: Decisions = None,
    to: Annotated[
        str | None,
        typer.Option(help="Make files for other programs: imagefolder, webdataset or zip."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a clean data set: decoded, without copies, all of one size, split.

    The last line printed is where it is. Run again when pictures were added: only the new ones are
    decoded. What lies in SET.mld/decisions.csv may be edited and given back with --decisions.
    """
    from morelike import ingest

    with console.preparing() as progress:
        made = ingest.prepare(
            source,
            out,
            decisions=decisions,
            to=to,
            progress=progress,
            command=_again(out, out / "decisions.csv"),
            **settings,
        )
    if as_json:
        console.print_json(made.as_dict())
        return
    if made.inspection is not None:
        console.list_rejected(made.inspection.rejected)
        _print(made.inspection)
    typer.echo(str(made.folder))


def _print(inspection: Any) -> None:
    """The table and the advice, for a person."""
    from rich.table import Table

    facts = inspection.facts
    table = Table.grid(padding=(0, 2))
    table.add_row("files found", f"{facts.found:,}")
    for reason, count in inspection.counts():
        table.add_row(f"  {reason}", f"{count:,}")
    table.add_row("pictures kept", f"{facts.kept:,} at {facts.width} x {facts.height}")
    if facts.labels:
        classes = sorted(facts.labels.items(), key=lambda pair: (-pair[1], pair[0]))
        shown = ", ".join(f"{name} {count:,}" for name, count in classes[:8])
        more = f", and {len(classes) - 8} more" if len(classes) > 8 else ""
        table.add_row("classes", f"{shown}{more}")
    stderr.print(table)
    for one in inspection.advice:
        console.tell(f"{one.severity}: {one.text}")


def _again(out: Path, decisions: Path) -> str:
    """The command line that was given, turned into one that prepares with these decisions."""
    words: list[str] = []
    given = iter(sys.argv[2:])
    for word in given:
        if word in ("-o", "--out", "--decisions"):
            next(given, None)
        elif word != "--json":
            words.append(word)
    return shlex.join(
        ["morelike", "prepare", *words, "-o", str(out), "--decisions", str(decisions)]
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _share(option: str, text: str | None) -> float | None:
    """2% or 0.02 as 0.02."""
    if text is None:
        return None
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        raise UserError(f"{option} must be a share such as 2% or 0.02, not '{text}'.") from None
    return number / 100 if text.strip().endswith("%") else number


def _size(text: str | None) -> dict[str, int]:
    """64 or 96x64 (width x height) as resolution and width."""
    if text is None:
        return {}
    match = re.fullmatch(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", text.strip().lower())
    if match is None:
        raise UserError(f"--size must be like 64 or 96x64 (width x height), not '{text}'.")
    first = int(match[1])
    return (
        {"resolution": first} if match[2] is None else {"resolution": int(match[2]), "width": first}
    )
