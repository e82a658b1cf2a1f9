"""Seeds as people write them: `0-7,12`."""

from __future__ import annotations

from collections.abc import Iterable

from morelike.errors import UserError

LARGEST = 2**63 - 1
MOST = 10_000_000
LONGEST = 100  # digits; Python itself refuses to read numbers of some thousand


def parse_seeds(text: str) -> list[int]:
    """The seeds named by `text`, in order, each once.

    >>> parse_seeds("0-3,12")
    [0, 1, 2, 3, 12]

    Raises:
        UserError: if a part is not a number or a rising range, or too many are named.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise UserError(f"'{part.strip()}' is not a seed or a range of seeds, as in 0-7,12.")
        start, stop = int(first), int(last) if dash else int(first)
        if stop < start:
            raise UserError(f"the range of seeds {part.strip()} falls; write {stop}-{start}.")
        if stop > LARGEST:
            raise UserError(f"seed {stop} is too large; the largest is {LARGEST}.")
        if len(seeds) + stop - start >= MOST:
            raise UserError(f"{text} names more than {MOST:,} seeds; ask for fewer at a time.")
        seeds |= dict.fromkeys(range(start, stop + 1))
    return list(seeds)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST


def check_seeds(seeds: Iterable[int]) -> list[int]:
    """`seeds` as a list of whole numbers from 0 to 2**63 - 1.

    Raises:
        UserError: if one is negative, too large, or if there is none.
    """
    result = [int(seed) for seed in seeds]
    if not result:
        raise UserError("no seed was given; pass at least one, as in range(64).")
    wrong = next((seed for seed in result if not 0 <= seed <= LARGEST), None)
    if wrong is not None:
        raise UserError(f"seed {wrong} is out of range; seeds are 0 to {LARGEST}.")
    return result
