"""A residual network that enlarges pictures by sub-pixel convolutions.

Its parts are those of super-resolution since 2016: residual blocks at the resolution of the input
(Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network", arXiv 1609.04802, figure 4), without batch norm (Lim et al. 2017, "Enhanced Deep Residual
Networks for Single Image Super-Resolution", arXiv 1707.02921, section 3.1), and maps that become
pixels at the end (Shi et al. 2016, arXiv 1609.05158, section 3.1). There is no norm over a picture
either: a part of one would not become what it becomes in the whole. For tasks of scale 1, 2, 4 and
8; the discriminator is that of `patches.py`, the objective that of `translation.py`.

What is the authors' and what is not:

- What the network makes is added to the input, enlarged by bicubic interpolation (as Kim et al.
  2016, arXiv 1511.04587, section 3.1), and its last weights begin at 0. So it begins as Pillow's
  bicubic enlargement, and has only to learn what that lacks. Where the channels differ, the input
  counts as far as it has them: gray is gray in all colours, and the mask of a hole is left out.
- Residual branches begin small (a tenth; Wang et al. 2018, "ESRGAN", arXiv 1809.00219, section
  3.1).
- With each doubling the maps become half as many, and the last doubling gives pixels at once.
  Theirs keep all maps and end with a convolution at full resolution, for twice the time at scale 4.
- Doublings begin as the repetition of pixels (Aitken et al. 2017, "Checkerboard artifact free
  sub-pixel convolution", arXiv 1707.02937, section 3): one weight for all four pixels of a place.
- Values beyond [-1, 1] are cut off. tanh would bend what the input has right already. Where a value
  is cut off, what would push it further out is ignored, but what pulls it back in passes
  (`bounded`); with a plain cut, such a pixel would never learn again.

These defaults are for a CPU: at enlarge:4 in RGB there are 169,100 parameters, and 64x64 to 256x256
takes 1.4 GFLOP. On a GPU take width 64 and 16 blocks, or more.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.autograd import Function

from morelike.config import Config
from morelike.models import patches
from morelike.models.family import Networks
from morelike.models.layers import wide
from morelike.models.patches import SLOPE, PatchConfig
from morelike.models.translation import (
    Goals,
    discriminator_terms,
    generator_terms,
    inputs,
    opponent,
    task_for,
)

__all__ = [
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "build",
    "discriminator_terms",
    "generator_terms",
    "inputs",
]

BICUBIC = 2
"""Pixels to each side that interpolation looks at."""
BRANCH = 0.1
"""How small a residual branch begins."""


class GeneratorConfig(Goals):
    """The generator's size, and what it is trained for."""

    width: Annotated[int, Field(ge=1, le=1024)] = 32
    """Feature maps at the resolution of the input; each doubling but the last halves them."""
    blocks: Annotated[int, Field(ge=1, le=256)] = 8
    """Residual blocks."""
    unpaired: Annotated[float, Field(ge=0)] = 0.01
    """With `task.fakes`: weight of what D has to say of what G makes of these samples."""
    faithful: Annotated[float, Field(ge=0)] = 0.1
    """With `task.fakes`: weight of how far what it makes of these samples is from them, once it is
    made small again."""


class DiscriminatorConfig(PatchConfig):
    """The discriminator's size, what keeps it in check, and what it is shown."""


class Residual(nn.Module):
    """x -> x + branch(x), (B, C, H, W): two convolutions of 3x3 with leaky ReLU between them."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        first, last = _three(maps, maps), _three(maps, maps)
        self.branch = nn.Sequential(first, nn.LeakyReLU(SLOPE, inplace=True), last)

    @torch.no_grad()
    def initialise(self) -> None:
        """He's weights for leaky ReLU, the last ones a tenth of it; no biases."""
        patches.initialise(self.branch)
        self.branch[-1].weight.mul_(BRANCH)  # pyright: ignore[reportCallIssue]

    def forward(self, maps: Tensor) -> Tensor:
        """Both ways together."""
        return maps + self.branch(maps)


class SubPixel(nn.Module):
    """(B, ins, H, W) -> (B, outs, 2H, 2W): a 3x3 convolution with maps for each of four pixels."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.convolution = _three(ins, 4 * outs)

    @torch.no_grad()
    def initialise(self) -> None:
        """He's weights for leaky ReLU, the same ones for all four pixels; no biases."""
        patches.initialise(self)
        weight = self.convolution.weight
        weight.copy_(weight[::4].repeat_interleave(4, 0))

    def forward(self, maps: Tensor) -> Tensor:
        """The larger maps."""
        return F.pixel_shuffle(self.convolution(maps), 2)


class Generator(nn.Module):
    """Pictures (B, c, h, w) in [-1, 1], of any size -> (B, C, scale * h, scale * w) in [-1, 1]."""

    stride = 1

    def __init__(self, given: int, channels: int, scale: int, config: GeneratorConfig) -> None:
        """`given` channels become `channels`; `scale` is 1 or a power of two."""
        super().__init__()
        self.channels, self.scale, self.reach = channels, scale, reach(scale, config.blocks)
        doublings = int(math.log2(scale))
        maps = [max(1, config.width >> i) for i in range(max(1, doublings))]
        blocks = (Residual(maps[0]) for _ in range(config.blocks))
        self.body = nn.Sequential(_three(given, maps[0]), *blocks)
        self.doublings = nn.Sequential()
        for ins, outs in itertools.pairwise(maps):
            self.doublings.extend([SubPixel(ins, outs), nn.LeakyReLU(SLOPE, inplace=True)])
        last = SubPixel(maps[-1], channels) if doublings else _three(maps[-1], channels)
        self.picture = last
        initialise(self)

    def forward(self, given: Tensor) -> Tensor:
        """The pictures."""
        added = self.picture(self.doublings(self.body(given)))
        return bounded(self.enlarged(given) + wide(added))

    def enlarged(self, given: Tensor) -> Tensor:
        """The input as a picture, (B, C, scale * h, scale * w), by Pillow's bicubic filter."""
        shown = as_picture(given, self.channels)
        if self.scale == 1:
            return shown
        # With `antialias` the weights are Pillow's, and it takes half the time.
        return F.interpolate(shown, None, self.scale, "bicubic", antialias=True)


def reach(scale: int, blocks: int) -> int:
    """How many pixels of the input to each side a pixel of the output depends on, of a network of
    this scale and so many residual blocks: counted from its end to its beginning.
    """
    found = 1
    for _ in range(int(math.log2(scale)) - 1):
        found = math.ceil(found / 2) + 1  # in pixels of half the resolution, and one convolution
    return max(found + 2 * blocks + 1, BICUBIC)


def as_picture(given: Tensor, channels: int) -> Tensor:
    """(B, c, h, w) -> (B, channels, h, w): gray becomes gray in all colours, and what comes after
    the colours, as the mask of a hole, is left out.
    """
    return wide(given.expand(-1, channels, -1, -1) if given.shape[1] == 1 else given[:, :channels])


class _Bounded(Function):
    """See `bounded`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        (values,), (gradient,) = ctx.saved_tensors, grad_outputs
        # A step goes against the gradient.
        stays = ((values <= 1) | (gradient > 0)) & ((values >= -1) | (gradient < 0))
        return torch.where(stays, gradient, 0)


def bounded(values: Tensor) -> Tensor:
    """Values, cut off at -1 and 1. The gradient is that of what was not cut off, and where it was,
    that which leads back inside.
    """
    return _Bounded.apply(values) if torch.is_grad_enabled() else values.clamp(-1, 1)


def initialise(network: Generator) -> None:
    """Draw all weights: He's for leaky ReLU, but what is said above of branches, doublings and what
    is added to the input. Biases begin at 0.
    """
    patches.initialise(network)
    for layer in network.modules():
        if isinstance(layer, Residual | SubPixel):
            layer.initialise()
    last = network.picture
    nn.init.zeros_(last.convolution.weight if isinstance(last, SubPixel) else last.weight)


def _three(ins: int, outs: int) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, 3, padding=1)


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured task.

    Raises:
        UserError: if there is none, or the pictures are too small for the discriminator.
    """
    task = task_for(config)
    made = Generator(task.channels, config.data.shape[0], task.scale, config.generator)
    return Networks(made, opponent(config, task))
