"""What a network has to beat: what one gets of its inputs without learning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from morelike.pictures import from_uint8, to_image, to_uint8
from morelike.tasks import luma

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "Lanczos": Image.Resampling.LANCZOS}
CHUNK = 64
RIM = 2
"""Pixels around a hole whose mean colour fills it."""
OF_TRAINING = frozenset({"colorize", "from-edges"})
"""Tasks for which a mean of training pictures says something."""


def baselines(
    task: str, inputs: Tensor, scale: int, channels: int, train: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """By name: (N, scale * h, scale * w, channels) uint8, made of the inputs of a task.

    enlarge: bicubic and Lanczos, Pillow's. colorize: gray, and gray with the mean colour that
    training pictures have at each place. from-edges: the edges, and the mean training picture.
    inpaint: holes filled with the mean colour around them. Others: the input.

    Args:
        task: as `config.TaskConfig` names it.
        inputs: (N, c, h, w) in [-1, 1].
        scale: of the task.
        channels: of its results.
        train: (M, H, W, channels) uint8, training pictures as large as the results; without, what
            is made of their mean is left out.
    """
    if scale > 1:
        pixels = to_uint8(inputs)
        return {name: enlarged(pixels, scale, each) for name, each in FILTERS.items()}
    if task == "inpaint":
        return {"colour around": to_uint8(_filled(inputs))}
    copied = to_uint8(inputs.expand(-1, channels, -1, -1))
    if train is None or task not in OF_TRAINING:
        return {"input": copied}
    if task == "colorize":
        tint = _mean(train, lambda some: some - luma(some))
        return {"gray": copied, "mean colour": to_uint8(inputs + tint)}
    mean = _mean(train, lambda some: some)
    return {"edges": copied, "mean picture": to_uint8(mean.expand(len(inputs), -1, -1, -1))}


def enlarged(pixels: np.ndarray, scale: int, filter: Image.Resampling) -> np.ndarray:
    """(N, h, w, C) uint8 -> (N, scale * h, scale * w, C) uint8, by Pillow."""
    height, width, channels = pixels.shape[1:]
    size = scale * width, scale * height
    made = [np.asarray(to_image(one).resize(size, filter)) for one in pixels]
    return np.stack(made).reshape(-1, *size[::-1], channels)


def _mean(train: np.ndarray, of: Callable[[Tensor], Tensor]) -> Tensor:
    """(1, C, H, W), the mean over pictures (M, H, W, C) uint8."""
    parts = np.array_split(train, max(1, len(train) // CHUNK))
    shown = (from_uint8(part, torch.device("cpu")) for part in parts)
    return sum((of(some).sum(0, keepdim=True) for some in shown), torch.zeros(1)) / len(train)


def _filled(inputs: Tensor) -> Tensor:
    """(N, C + 1, h, w), the mask last, as (N, C, h, w)."""
    colours, missing = inputs[:, :-1], (inputs[:, -1:] > 0).float()
    around = F.max_pool2d(missing, 2 * RIM + 1, 1, RIM) - missing
    # Where all of a picture is missing, there is nothing around it.
    count = around.sum((2, 3), keepdim=True).clamp(min=1)
    mean = (colours * around).sum((2, 3), keepdim=True) / count
    return torch.where(missing > 0, mean, colours)
