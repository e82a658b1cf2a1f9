"""Which picture comes when: a function of how many were shown before."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from morelike.rng import rng


def indices(count: int, start: int, length: int, seed: int) -> np.ndarray:
    """Positions `start` to `start + length` of the endless order of `count` pictures.

    Every pass over the data is a new permutation drawn from (seed, pass), so a resumed run goes
    on where it stopped, and nothing needs to be saved.

    Returns:
        (length,) int64 in [0, count).
    """
    result = np.empty(length, dtype=np.int64)
    done = 0
    while done < length:
        turn, offset = divmod(start + done, count)
        part = _permutation(count, turn, seed)[offset : offset + length - done]
        result[done : done + len(part)] = part
        done += len(part)
    return result


@lru_cache(maxsize=2)
def _permutation(count: int, turn: int, seed: int) -> np.ndarray:
    order = rng(seed, turn, "order").permutation(count)
    order.setflags(write=False)
    return order
