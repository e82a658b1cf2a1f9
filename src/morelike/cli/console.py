"""What the commands share: printing, reading --set, the bar for preparing pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from morelike.errors import UserError

stderr = Console(stderr=True, highlight=False)
MOST_LISTED = 20


def tell(text: str) -> None:
    """A sentence on standard error, on one line however long it is, without markup."""
    stderr.print(text, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """All `--set section.key=value` as one nested mapping."""
    from morelike.settings import merge, parse_assignment

    return merge(*map(parse_assignment, assignments))


def amounts(
    texts: Sequence[str], option: str, example: str, default: str | None = None
) -> dict[str, float]:
    """NAME=NUMBER, again and again, as a mapping.

    Raises:
        UserError: for what is not of that form; a number may be left out if there is a default.
    """
    found: dict[str, float] = {}
    for text in texts:
        # A label may hold the sign itself.
        name, sign, number = text.rpartition("=")
        if not sign and default is not None:
            name, number = text, default
        try:
            found[name.strip()] = float(number)
        except ValueError:
            number = "nan"
        if not name.strip() or not math.isfinite(float(number)):
            raise UserError(f"{option} must be like {example}, not '{text}'.")
    return found


@contextmanager
def counting(what: str) -> Iterator[Any]:
    """A progress bar, told (done, in all); it shows only if there is something to do."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Away from a terminal there would be nothing to see of it but an empty line.
    hidden = not stderr.is_terminal
    with Progress(*columns, console=stderr, transient=True, disable=hidden) as bar:
        task: Any = None

        def report(done: int, total: int | None) -> None:
            nonlocal task
            task = bar.add_task("", total=total) if task is None else task
            bar.update(task, total=total, completed=done)  # it may turn out to be more, or less

        yield report


def preparing() -> AbstractContextManager[Any]:
    """The progress bar for the preparation of pictures."""
    return counting("preparing pictures")


def list_rejected(rejected: Sequence[dict[str, str]]) -> None:
    """Name the files that could not be used, and why."""
    if not rejected:
        return
    tell(f"{len(rejected)} file(s) could not be used:")
    for entry in rejected[:MOST_LISTED]:
        tell(f"  {entry['key']}: {entry['reason']}")
    if len(rejected) > MOST_LISTED:
        tell(f"  and {len(rejected) - MOST_LISTED} more, all named in data.json")


def duration(seconds: float) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
