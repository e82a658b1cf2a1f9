"""Pretrained models of others, through the package spandrel: enlargers, restorers, inpainters.

spandrel knows some forty architectures by the names and shapes of their weights, which are read
from safetensors only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from morelike.checkpoint import DamagedCheckpoint, read_tensors
from morelike.devices import autocast, pick_device, pick_precision
from morelike.enhance.model import Model
from morelike.errors import UserError
from morelike.tasks import Task
from morelike.tasks.masks import with_holes
from morelike.tasks.resampling import shrunk

REACH = 32
"""Pixels of context for each tile, where nobody knows the reach. What such networks look at lies
mostly nearer; tools for them take 10 to 16."""
PICKLES = frozenset({".pth", ".pt", ".ckpt", ".pkl", ".bin"})


def of_file(
    path: str | os.PathLike[str], *, device: str = "auto", precision: str = "fp32"
) -> Model:
    """The model whose weights a file holds.

    Args:
        path: a safetensors file.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: fp32, bf16 or auto.

    Raises:
        UserError: if spandrel is missing, the file is no safetensors file, or its weights are of no
            architecture that spandrel knows.
    """
    path = Path(path)
    state = _weights(path)
    try:
        import spandrel
    except ImportError:
        raise UserError(
            "--model needs the package spandrel, which is not installed; pip install "
            "'morelike[general]', or use a run of your own."
        ) from None
    try:
        found: Any = spandrel.ModelLoader().load_from_state_dict(state)
    # What it takes for an architecture by a few names may turn out to be none in any way.
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"spandrel finds no architecture in {path}{f' ({reason})' if reason else ''}; give the "
            "weights of one that it knows, as their authors published them."
        ) from error
    target = pick_device(device)
    computing = pick_precision(precision, target)
    if computing == "bf16" and not found.supports_bfloat16:
        if precision == "bf16":
            raise UserError(f"{path} does not work in bf16; give --precision fp32.")
        computing = "fp32"
    found = found.to(target, torch.float32).eval()
    found.model.requires_grad_(False)
    fills = found.purpose == "Inpainting"
    look = _filling(found) if fills else _restoring(found)

    def make(given: Tensor) -> Tensor:
        with torch.no_grad(), autocast(target, computing):
            return look((given.to(target) + 1) / 2).float() * 2 - 1

    needs = found.size_requirements
    tiling = found.tiling.name
    takes = found.input_channels + fills
    task = _task(found)
    says = [
        f"{path.name} is a {found.architecture.name} ({found.purpose}, {found.scale} times as "
        f"large); how far it looks is not known, so tiles overlap by {REACH} pixels"
    ]
    if tiling == "DISCOURAGED":
        says.append(
            "its authors discourage tiles; with a --tile as large as the picture there is one"
        )
    return Model(
        name=path.name,
        task=task,
        network=make,
        takes=takes,
        gives=found.output_channels,
        scale=found.scale,
        stride=needs.multiple_of,
        reach=REACH,
        least=max(1, needs.minimum),
        square=needs.square,
        whole=tiling == "INTERNAL",
        notes={"model": path.name, "task": task},
        says=tuple(says),
        learnt=_learnt(task, takes, found.scale),
    )


def _weights(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() in PICKLES:
        raise UserError(
            f"{path} is a pickle, which may run any program while it is read; ask for the same "
            "weights as safetensors, or make that of them where you trust them: "
            "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors')."
        )
    if not path.is_file():
        raise UserError(f"there is no file {path}; give the safetensors file of a model.")
    try:
        return read_tensors(path)
    except DamagedCheckpoint as error:
        raise UserError(f"{path} is no safetensors file; give the weights as one.") from error


def _restoring(found: Any) -> Callable[[Tensor], Tensor]:
    """For pictures in [0, 1], one at a time, as spandrel wants it."""
    return lambda shown: torch.cat([found(one[None]) for one in shown])


def _filling(found: Any) -> Callable[[Tensor], Tensor]:
    """The same for pictures whose last channel is 1 where they are missing."""

    def fill(shown: Tensor) -> Tensor:
        masks = (shown[:, -1:] > 0.5).float()
        pairs = zip(shown[:, :-1], masks, strict=True)
        return torch.cat([found(one[None], mask[None]) for one, mask in pairs])

    return fill


def _task(found: Any) -> str:
    if found.purpose == "Inpainting":
        return "inpaint"
    return f"enlarge:{found.scale}" if found.scale > 1 else "restore"


def _learnt(task: str, takes: int, scale: int) -> Task | None:
    """How such an input is made of a picture; what a restorer undoes nobody says."""
    if task == "inpaint":
        return Task(task, takes, scale, with_holes)
    if task == "restore":
        return None
    return Task(task, takes, scale, lambda pictures, _: shrunk(pictures, scale, "lanczos"))
