"""When something is shown: denser early, when much changes, and ever rarer after."""

from __future__ import annotations

from bisect import bisect_left

MANTISSAS = (1, 2, 3, 5)
FRAME_GROWTH = 1.09


def is_milestone(step: int) -> bool:
    """Whether a grid is saved after this many steps: 0, 100, 200, 300, 500, 1000, 2000, ...

    >>> [step for step in range(2001) if is_milestone(step)]
    [0, 100, 200, 300, 500, 1000, 2000]
    """
    if step == 0:
        return True
    digits = str(step)
    return len(digits) >= 3 and int(digits[0]) in MANTISSAS and not digits[1:].strip("0")


def _frame_steps() -> list[int]:
    steps = list(range(0, 12, 2))
    while steps[-1] < 10**9:
        steps.append(max(steps[-1] + 2, int(steps[-1] * FRAME_GROWTH)))
    return steps


_FRAMES = _frame_steps()


def is_frame(step: int) -> bool:
    """Whether the timelapse has a frame after this many steps: each 9 % later than the last."""
    place = bisect_left(_FRAMES, step)
    return place < len(_FRAMES) and _FRAMES[place] == step
