"""A picture as a model is shown it, and what is made of it as the picture was: gray, with alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from morelike.data.item import Rejection
from morelike.enhance.model import Model
from morelike.enhance.tiles import as_values
from morelike.pictures import from_uint8, to_image, to_uint8
from morelike.rng import SeedDraws

HIDDEN = 8
"""Of 255: under less alpha, a colour is rounding, or what a program left there."""


@dataclass(frozen=True)
class Given:
    """What a model is to be shown, and what is to be put back."""

    values: Tensor
    """(takes, h, w), uint8 or float in [-1, 1]; of a mask the largest value is a missing pixel."""
    gives: int
    """Channels of what the model makes."""
    scale: int
    gray: bool = False
    """Whether the luma of what is made is taken."""
    alpha: Image.Image | None = None
    """(h, w) of mode L, which goes with it, enlarged."""
    stays: np.ndarray | None = None
    """(h, w, gives) uint8: of inpaint, what is there already."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the result."""
        height, width = self.values.shape[1:]
        colours = 1 if self.gray else min(self.gives, 3)
        return self.scale * height, self.scale * width, colours + (self.alpha is not None)

    def prepare(self, part: Tensor) -> Tensor:
        """A part of the values as the network takes it."""
        values = as_values(part)
        if self.stays is None:
            return values
        return torch.cat([values[:-1] * (values[-1:] < 0), values[-1:]])

    def finished(self, strip: Tensor, top: int) -> np.ndarray:
        """(gives, rows, scale * w) in [-1, 1], from row `top` on, as (rows, scale * w, C) uint8."""
        pixels = to_uint8(strip[None])[0]
        rows = len(pixels)
        if self.stays is not None:
            missing = as_values(self.values[-1, top : top + rows]).numpy()[..., None] > 0
            pixels = np.where(missing, pixels, self.stays[top : top + rows])
        colours, alpha = pixels[..., :3], None
        if self.alpha is not None and self.gives == 4:
            alpha = pixels[..., 3:]
        elif self.alpha is not None:
            alpha = _enlarged(self.alpha, self.scale, top, rows)
        if self.gray:
            colours = luma(colours)
        return colours if alpha is None else np.concatenate([colours, alpha], axis=2)

    def picture(self) -> np.ndarray:
        """The values as a picture (h, w, C) uint8; what is missing is transparent."""
        values = as_values(self.values)
        if self.stays is None:
            return to_uint8(values[None])[0]
        hole = to_uint8(-values[None, -1:])[0]
        return np.concatenate([to_uint8(values[None, :-1])[0], hole], axis=2)


def given(image: Image.Image, model: Model) -> Given:
    """What the model is shown of a picture.

    Gray is made RGB where the model takes that, and colours luma where it takes one channel. Under
    transparency the model is shown the colours of what is seen near by, so that it makes no rim of
    what nobody sees; alpha goes beside the model, unless that knows alpha itself.

    Args:
        image: upright, of mode L, RGB or RGBA.
        model: what is to be shown it.

    Raises:
        Rejection: if nothing is missing that could be filled in.
    """
    colours, alpha = _apart(image)
    gray = model.keeps_gray and is_gray(colours)
    if model.task == "inpaint":
        return _with_holes(image.size, colours, alpha, model, gray)
    if alpha is not None and model.task == "from-edges":  # a drawing on glass is one on paper
        colours, alpha = _on_white(colours, alpha), None
    seen = None if alpha is None else to_image(alpha)
    if model.takes == 4:
        pixels = _with_alpha(colours, alpha)
    else:
        pixels = in_channels(colours, model.takes)
        if alpha is not None:
            pixels = spread(pixels, alpha[..., 0] >= HIDDEN)
    return Given(_planes(pixels), model.gives, model.scale, gray and model.gives > 1, seen)


def derived(image: Image.Image, model: Model, seed: int) -> Given:
    """What the model is to make this very picture from, by the task that it learnt.

    Transparency is laid on white, unless the model knows it. What the task leaves to chance, `seed`
    decides. Sides that are no multiples of the scale lose their last pixels.

    Raises:
        Rejection: if the picture is smaller than one pixel of the input.
    """
    task = model.learnt
    assert task is not None and not task.halves
    colours, alpha = _apart(image)
    gray = model.keeps_gray and model.gives > 1 and is_gray(colours)
    if model.gives == 4:
        pixels = _with_alpha(colours, alpha)
    else:
        pixels = in_channels(colours if alpha is None else _on_white(colours, alpha), model.gives)
    height, width = (side // task.scale * task.scale for side in pixels.shape[:2])
    if not height or not width:
        raise Rejection(f"{image.width} x {image.height} pixels are too few to be made smaller")
    pixels = pixels[:height, :width]
    target = from_uint8(pixels[None], torch.device("cpu"))
    values = task.derive(target, SeedDraws([seed], target.device))[0]
    stays = pixels if model.task == "inpaint" else None
    seen = None if model.gives < 4 or alpha is None else to_image(alpha)
    return Given(values, model.gives, model.scale, gray, seen, stays)


def is_gray(pixels: np.ndarray) -> bool:
    """Whether R = G = B in every pixel of (h, w, 1 or 3)."""
    return bool((pixels[..., :1] == pixels[..., 1:]).all())


def luma(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 1 or 3) -> (h, w, 1), Rec. 601, which is the data layer's."""
    return pixels if pixels.shape[2] == 1 else np.asarray(to_image(pixels).convert("L"))[..., None]


def in_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(h, w, 1 or 3) as (h, w, channels), 1 or 3."""
    return luma(pixels) if channels == 1 else np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def spread(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(h, w, C) uint8 where known (h, w); elsewhere the colours of what is known, from near by.

    The mean of what is known in ever larger squares (push and pull, Gortler et al. 1996, section
    3.4).
    """
    if known.all() or not known.any():
        return pixels
    values = from_uint8(pixels[None], torch.device("cpu"))
    return to_uint8(_pulled(values, torch.from_numpy(known)[None, None]))[0]


def _pulled(values: Tensor, known: Tensor) -> Tensor:
    if known.all():
        return values
    weight = known.to(values)
    some = F.avg_pool2d(weight, 2, ceil_mode=True)
    means = F.avg_pool2d(values * weight, 2, ceil_mode=True) / some.clamp(min=1e-9)
    coarse = F.interpolate(_pulled(means, some > 0), values.shape[2:], mode="bilinear")
    return torch.where(known, values, coarse)


def _apart(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours (h, w, 1 or 3) and alpha (h, w, 1), which is None if every pixel is opaque."""
    pixels = np.asarray(image)
    if image.mode == "L":
        return pixels[..., None], None
    alpha = pixels[..., 3:]
    return pixels[..., :3], alpha if alpha.size and (alpha < 255).any() else None


def _on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha / np.float32(255)
    return np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)


def _with_alpha(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """RGBA, as pictures are resized for training, which leaves nothing under transparency."""
    full = np.full((*colours.shape[:2], 1), 255, np.uint8) if alpha is None else alpha
    return np.concatenate([in_channels(colours, 3) * (full > 0), full], axis=2)


def _with_holes(
    size: tuple[int, int], colours: np.ndarray, alpha: np.ndarray | None, model: Model, gray: bool
) -> Given:
    if alpha is None:
        raise Rejection("it has no transparent pixels to fill in; erase what is to be made anew")
    pixels = in_channels(colours, model.gives)
    # What was half erased has a colour that is half gone.
    mask = np.where(alpha < 255, 255, 0).astype(np.uint8)
    values = _planes(np.concatenate([pixels, mask], axis=2))
    return Given(values, model.gives, 1, gray and model.gives > 1, None, pixels)


def _planes(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))


def _enlarged(alpha: Image.Image, scale: int, top: int, rows: int) -> np.ndarray:
    """Some rows of what alpha is when it is `scale` times as large: (rows, scale * w, 1)."""
    box = (0, top / scale, alpha.width, (top + rows) / scale)
    part = alpha.resize((scale * alpha.width, rows), Image.Resampling.LANCZOS, box)
    return np.asarray(part)[..., None]
