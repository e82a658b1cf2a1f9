"""A network that makes pictures from pictures, and what one must know to show it any picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from morelike.devices import autocast
from morelike.models.family import FromPictures
from morelike.sampling import load
from morelike.tasks import Task, task_of


@dataclass(frozen=True)
class Model:
    """What turns pictures into pictures; made by `of_run`, or by `general.of_file`."""

    name: str
    """The run or file that it comes from."""
    task: str
    """As `config.TaskConfig` names it, or restore."""
    network: Callable[[Tensor], Tensor]
    """(B, takes, h, w) in [-1, 1] -> (B, gives, scale * h, scale * w) in [-1, 1], on any device."""
    takes: int
    """Channels of its input; the mask of inpaint is one of them."""
    gives: int
    """Channels of what it makes."""
    scale: int = 1
    """Pixels of the output for one of the input, on a side."""
    stride: int = 1
    """Height and width of its input must be multiples of this."""
    reach: int = 0
    """How many pixels of context make a tile the same as that part of the whole."""
    least: int = 1
    """The smallest height and width of its input."""
    square: bool = False
    """Whether its input must be as high as wide."""
    whole: bool = False
    """Whether a picture may not be cut into tiles."""
    keeps_gray: bool = True
    """Whether what is made of a gray picture should be gray."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What a PNG of it says about where it comes from."""
    says: tuple[str, ...] = ()
    """What a person should know about it, in sentences."""
    learnt: Task | None = None
    """How its inputs came from pictures, where that is known."""


def of_run(
    path: str | os.PathLike[str],
    checkpoint: str | int = "best",
    *,
    raw: bool = False,
    device: str = "auto",
    precision: str = "fp32",
) -> Model:
    """The network of a run with a task, or of its generator folder.

    Args:
        path: either folder.
        checkpoint: best, latest or a number of images seen.
        raw: take the weights as they were trained instead of their running average.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: fp32, bf16 or auto.

    Raises:
        UserError: if the folder holds no usable network, or one that makes pictures from chance.
    """
    found = load(
        Path(path), checkpoint, raw=raw, device=device, precision=precision, from_pictures=True
    )
    network, task = found.network, task_of(found.config)
    assert isinstance(network, FromPictures) and task is not None

    def make(given: Tensor) -> Tensor:
        with torch.no_grad(), autocast(found.device, found.precision):
            return network(given.to(found.device)).float()

    return Model(
        name=found.name,
        task=task.name,
        network=make,
        takes=task.channels,
        gives=found.config.data.shape[0],
        scale=task.scale,
        stride=network.stride,
        reach=network.reach,
        keeps_gray=task.name.startswith("enlarge") or task.name in ("deblur", "inpaint"),
        notes={"run": found.name, "checkpoint": found.checkpoint, "task": task.name},
        says=found.notices,
        learnt=task,
    )
