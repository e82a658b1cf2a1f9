"""Tasks: pictures from pictures, x -> (input(x), x), so that any folder gives its own pairs.

Each derivation is a function of pictures and random numbers, batched, on the device that the
pictures are on: `resampling.py` enlarge, `colors.py` colorize, `edges.py` from-edges, `masks.py`
inpaint, `degrading.py` deblur and what befalls inputs besides, `fakes.py` what samples of a
generator are like.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from morelike.config import Config
from morelike.errors import UserError
from morelike.rng import Draws
from morelike.tasks.colors import luma
from morelike.tasks.degrading import degraded, out_of_focus
from morelike.tasks.edges import edges
from morelike.tasks.fakes import Fakes, measured, read_fakes, unpaired
from morelike.tasks.masks import with_holes
from morelike.tasks.resampling import resample, shrunk
from morelike.tasks.task import Pair, Task

__all__ = [
    "Fakes",
    "Pair",
    "Task",
    "luma",
    "measured",
    "read_fakes",
    "resample",
    "task_of",
    "unpaired",
]


def task_of(config: Config[Any, Any], fakes: Fakes | None = None) -> Task | None:
    """The task of a configuration whose channels are settled; none where `task.name` is empty.

    Args:
        config: the whole of it.
        fakes: what enlarge is to do well on besides. Without, inputs are those of real pictures.

    Raises:
        UserError: if the pictures do not suit the task: sides that its scale does not divide,
            colours to be learnt of gray pictures, transparency where there is no way to treat it.
    """
    settings = config.task
    name, scale = settings.name, settings.scale
    if not name:
        return None
    channels, *size = config.data.shape
    _check(name, scale, channels, (size[0], size[1]))

    def enlarge(pictures: Tensor, draws: Draws) -> Tensor:
        small = shrunk(pictures, scale, settings.downscale)
        if fakes is not None:
            small = _some_like(fakes, small, draws, settings.like_fakes)
        return degraded(small, draws, settings.degrade)

    def deblur(pictures: Tensor, draws: Draws) -> Tensor:
        return degraded(out_of_focus(pictures, draws), draws, settings.degrade)

    match name:
        case "colorize":
            return Task(name, 1, 1, lambda pictures, _: luma(pictures))
        case "from-edges":
            return Task(name, 1, 1, lambda pictures, _: edges(pictures))
        case "inpaint":
            return Task(name, channels + 1, 1, with_holes)
        case "deblur":
            return Task(name, channels, 1, deblur)
        case "pairs":
            return Task(name, channels, 1, lambda pictures, _: pictures, halves=True)
        case _:
            return Task(name, channels, scale, enlarge)


def _check(name: str, scale: int, channels: int, size: tuple[int, int]) -> None:
    height, width = size
    if height % scale or width % scale:
        raise UserError(
            f"{name} needs pictures whose sides are multiples of {scale}, not {width} x {height}; "
            "set data.resolution and data.width so."
        )
    if channels == 4 and scale == 1 and name != "deblur":
        raise UserError(
            f"{name} has no way to treat transparent pictures; set data.channels=3 to lay them on "
            "data.matte."
        )
    if channels == 1 and name == "colorize":
        raise UserError(
            "colorize learns colours, and these pictures are gray; give pictures in colour."
        )
    if name == "pairs" and width != 2 * height:
        raise UserError(
            f"pairs are two square pictures beside one another, and data.width is {width}; set "
            f"data.width={2 * height}."
        )


def _some_like(fakes: Fakes, inputs: Tensor, draws: Draws, share: float) -> Tensor:
    chosen = draws.uniform("task.like_fakes").to(inputs.device) < share
    return torch.where(chosen[:, None, None, None], fakes.degrade(inputs, draws), inputs)
