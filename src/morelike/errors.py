"""What can go wrong, sorted by who can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MorelikeError(Exception):
    """Any failure that morelike explains in one sentence; `exit_code` is the command's status."""

    exit_code = 1


class UserError(MorelikeError):
    """A person's mistake: the sentence names the thing and the remedy. Exit code 2."""

    exit_code = 2


class TrainingFailure(MorelikeError):
    """Training cannot go on (NaN, no memory, a full disk); what was earned is kept. Exit code 1."""


class Interrupted(MorelikeError):
    """Ctrl-C or a request to end: the state was saved first. Exit code 130 (SIGTERM: 143)."""

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause after a wrong name: the closest known one, all of them, or that there are none.

    >>> nearest("rose-dcgan", ["roses-dcgan", "bicycles"])
    "the nearest is 'roses-dcgan'"
    """
    options = sorted(known)
    if not options:
        return "there are none"
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    return f"the nearest is '{close[0]}'" if close else f"known: {', '.join(options)}"
