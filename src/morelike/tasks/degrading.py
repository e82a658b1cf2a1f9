"""What befalls pictures on their way: blur, noise and JPEG, each as strongly as chance has it.

Of all in one order, as in the first half of the degradation of Wang et al. 2021, "Real-ESRGAN"
(arXiv 2107.10833, section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from morelike.rng import Draws
from morelike.tasks.blurring import gaussian, moved
from morelike.tasks.colors import on_colors, with_alpha
from morelike.tasks.jpeg import jpeg

Step = Literal["blur", "noise", "jpeg"]

BLUR = 1.2
"""Largest sigma, in pixels."""
NOISE = 0.06
"""Largest standard deviation, for values in [-1, 1]."""
QUALITY = (30, 95)
"""Of JPEG, the lowest and the highest."""
OUT_OF_FOCUS = 2.0
"""Largest sigma of what deblur is to undo, in pixels."""
MOTION = 9.0
"""Longest way that deblur is to undo, in pixels."""


def degraded(pictures: Tensor, draws: Draws, steps: Sequence[Step]) -> Tensor:
    """Pictures (B, C, H, W) in [-1, 1] after these steps, in this order, in [-1, 1]; every strength
    up to the greatest is as likely as any other, no change at all among them.
    """
    for place, step in enumerate(steps):
        again = steps[:place].count(step)  # what is done twice is done by other numbers then
        pictures = STEPS[step](pictures, draws, f"task.{step}.{again}")
    return pictures


def out_of_focus(pictures: Tensor, draws: Draws) -> Tensor:
    """Pictures (B, C, H, W) in [-1, 1], one half of them blurred by a Gaussian, sigma 0 to 2
    pixels, the others along a line of any direction, 0 to 9 pixels long.
    """
    which, strength, angle = draws.uniform("task.deblur", 3).unbind(1)

    def blurred(values: Tensor) -> Tensor:
        round_ = gaussian(values, OUT_OF_FOCUS * strength, OUT_OF_FOCUS)
        along = moved(values, MOTION * strength, math.pi * angle, MOTION)
        return torch.where((which < 0.5)[:, None, None, None], round_, along)

    return with_alpha(pictures, blurred).clamp(-1, 1)


def grain(pictures: Tensor, draws: Draws, purpose: str) -> Tensor:
    """White noise of variance 1 for pictures (B, C, H, W). What the channels have in common is a
    share of it that chance chooses for each picture: from colour noise to gray noise.
    """
    channels, *size = pictures.shape[1:]
    own = draws.normal(purpose, channels, *size).to(pictures)
    if channels == 1:
        return own
    common = draws.normal(f"{purpose}.common", 1, *size).to(pictures)
    share = draws.uniform(f"{purpose}.share").to(pictures)[:, None, None, None]
    return share.sqrt() * common + (1 - share).sqrt() * own


def _blur(pictures: Tensor, draws: Draws, purpose: str) -> Tensor:
    sigma = BLUR * draws.uniform(purpose)
    return with_alpha(pictures, partial(gaussian, sigma=sigma, most=BLUR)).clamp(-1, 1)


def _noise(pictures: Tensor, draws: Draws, purpose: str) -> Tensor:
    sigma = NOISE * draws.uniform(purpose).to(pictures)[:, None, None, None]

    def noisy(colors: Tensor) -> Tensor:
        return (colors + sigma * grain(colors, draws, f"{purpose}.grain")).clamp(-1, 1)

    return on_colors(pictures, noisy)


def _jpeg(pictures: Tensor, draws: Draws, purpose: str) -> Tensor:
    low, high = QUALITY
    quality = (low + (high + 1 - low) * draws.uniform(purpose)).floor()
    return on_colors(pictures, partial(jpeg, quality=quality))


STEPS: dict[Step, Callable[[Tensor, Draws, str], Tensor]] = {
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
}
