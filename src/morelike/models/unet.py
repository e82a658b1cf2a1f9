"""A U-Net from pictures to pictures of the same size.

Ronneberger, Fischer & Brox 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
arXiv 1505.04597, as Isola et al. 2017 (arXiv 1611.07004, section 3.2.1) made it the generator of
pix2pix: one half takes a picture down to a few places, which see all of it, the other half doubles
these again, and at each resolution what the first half had there goes over to the second, so that
where things are is not lost on the way. For tasks of scale 1: colours for gray, a picture of edges,
what a hole hides. The discriminator is that of `patches.py`, the objective that of
`translation.py`.

What differs from the papers:

- What goes over is added to what comes up, where theirs lies beside it: half of the products in the
  convolution that follows.
- Residual blocks in place of single convolutions, with branches that begin at a tenth.
- No norm over a batch or a picture, so that a part becomes what it becomes in the whole. Before
  maps are halved or doubled, the features of each place are brought to one length instead
  (`PixelNorm`). Without that, from edges to bicycles it diverged at a learning rate of 5e-4, and
  now and then at 2e-4; with it, it learns at 1e-3.
- What it makes is added to the input as a picture, and its last weights begin at 0: so it begins
  with gray in all colours, or a hole that is left open. Values beyond [-1, 1] are cut off as those
  of `enlarger.py`. With tanh in their place, edges of bicycles became white paper within 50 steps,
  and stayed it: all pixels had gone to the end where tanh is flat.
- Doublings repeat pixels before a 3x3 convolution, which leaves no checkerboard.
- No dropout: a picture depends on its input alone.

These defaults are for a CPU: from gray to RGB there are 1,758,483 parameters. On a GPU take width
64 and widest 512, as pix2pix has.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from morelike.config import Config
from morelike.errors import UserError
from morelike.models.enlarger import Residual, as_picture, bounded
from morelike.models.family import Networks
from morelike.models.layers import PixelNorm, wide
from morelike.models.patches import PatchConfig
from morelike.models.sizes import widths
from morelike.models.strided import Doubling, Halving
from morelike.models.translation import (
    Goals,
    discriminator_terms,
    generator_terms,
    inputs,
    opponent,
    task_for,
    trained_size,
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


class GeneratorConfig(Goals):
    """The generator's size, and what it is trained for."""

    width: Annotated[int, Field(ge=1, le=1024)] = 16
    """Feature maps at the full resolution; each coarser one has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 128
    """Most feature maps."""
    levels: Annotated[int, Field(ge=1, le=8)] = 4
    """How often it halves; the sides of pictures have to be multiples of 2 to that power."""
    blocks: Annotated[int, Field(ge=1, le=16)] = 1
    """Residual blocks at each resolution, on the way down and on the way up."""


class DiscriminatorConfig(PatchConfig):
    """The discriminator's size, what keeps it in check, and what it is shown."""

    sees_input: bool = True
    """Show it each picture beside what that was made from (their section 3.1), so that it also
    judges whether one follows from the other."""


class Level(nn.Module):
    """Maps (B, C, H, W) -> (B, C, H, W): residual blocks, and between them a way around that leads
    through all coarser resolutions. `maps` says how many there are at each, the finest first.
    """

    def __init__(self, maps: list[int], blocks: int) -> None:
        super().__init__()
        here, *coarser = maps
        self.before = _blocks(here, blocks)
        self.around = nn.Sequential()
        self.after = nn.Sequential()
        if coarser:
            down = PixelNorm(), Halving(here, coarser[0])
            up = PixelNorm(), Doubling(coarser[0], here)
            self.around = nn.Sequential(*down, Level(coarser, blocks), *up)
            self.after = _blocks(here, blocks)

    def forward(self, maps: Tensor) -> Tensor:
        """The maps, with what the coarser resolutions had to add."""
        maps = self.before(maps)
        return self.after(maps + self.around(maps)) if self.around else maps


class Generator(nn.Module):
    """Pictures (B, c, H, W) -> (B, C, H, W), both in [-1, 1]; H and W are multiples of `stride`."""

    def __init__(self, given: int, channels: int, config: GeneratorConfig) -> None:
        """`given` channels become `channels`."""
        super().__init__()
        self.stride, self.reach = 2**config.levels, reach(config.levels, config.blocks)
        maps = widths(config.width, config.widest, config.levels + 1)
        self.enter = nn.Conv2d(given, maps[0], 3, padding=1)
        self.level = Level(maps, config.blocks)
        self.picture = nn.Conv2d(maps[0], channels, 3, padding=1)
        initialise(self)
        nn.init.zeros_(self.picture.weight)

    def forward(self, given: Tensor) -> Tensor:
        """The pictures."""
        added = self.picture(self.level(self.enter(given)))
        return bounded(as_picture(given, self.picture.out_channels) + wide(added))


def reach(levels: int, blocks: int) -> int:
    """How many pixels of the input to each side a pixel of the output can depend on, of a network
    that halves so often, with so many residual blocks.
    """
    within = 2 * blocks  # convolutions of 3x3, each of which looks one further

    def asked(level: int, first: int, last: int) -> tuple[int, int]:
        """What a level has to be given, from where to where, for its places from first to last."""
        first, last = first - within, last + within
        if level < levels:
            # Doubling repeats each place, and convolves; halving looks at four places for each.
            first, last = asked(level + 1, (first - 1) // 2, (last + 1) // 2)
            first, last = 2 * first - 1 - within, 2 * last + 2 + within
        return first, last

    # It depends on where in the places of the coarsest resolution a pixel lies.
    spans = [(place, *asked(0, place - 1, place + 1)) for place in range(2**levels)]
    return 1 + max(max(place - first, last - place) for place, first, last in spans)


def initialise(network: nn.Module) -> None:
    """Draw all weights from N(0, 1 / fan-in), which keeps the size of maps where no rectifier comes
    after; within branches as `Residual` has it. Biases begin at 0.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in network.modules():
        if isinstance(layer, Residual):
            layer.initialise()


def _blocks(maps: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(maps) for _ in range(count)))


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured task.

    Raises:
        UserError: if there is no task, it enlarges, or the pictures cannot be halved so often.
    """
    task = task_for(config)
    if task.scale > 1:
        raise UserError(
            f"unet makes pictures of the same size, and {task.name} larger ones; set "
            "family=enlarger."
        )
    made = Generator(task.channels, config.data.shape[0], config.generator)
    height, width = trained_size(config, task)
    if height % made.stride or width % made.stride:
        raise UserError(
            f"a unet that halves {config.generator.levels} times needs sides that are multiples of "
            f"{made.stride}, not {width} x {height}; set generator.levels or task.crop."
        )
    return Networks(made, opponent(config, task))
