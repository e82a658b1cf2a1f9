"""MSG-GAN: Karnewar & Wang 2019, "MSG-GAN: Multi-Scale Gradients for Generative Adversarial
Networks", arXiv 1903.06048; its MSG-ProGAN, which has the layers of Karras et al. 2018,
"Progressive Growing of GANs", arXiv 1710.10196, without the growing.

G makes a picture at every resolution on its way, 4, 8, ... up to the full one, and D is given each
where its own maps have that size. So gradients reach every block of G by a short way, and coarse
blocks have something to learn from before fine ones make sense. Real pictures come as a pyramid of
their averages.

There is no batch norm. D's blocks each see how much the pictures differ (minibatch standard
deviation), which mixes those of a group; the paper's loss is WGAN-GP all the same.

Learning rates are equalised (Karras et al. 2018, section 4.1), for which the usual ones are too
small: the paper takes 0.003 for both, with RMSprop; Karras et al. 0.001, with Adam and beta1 = 0.

One thing differs from the paper: pictures end with tanh, as they have to lie in [-1, 1]; the
paper's are unbounded.

The paper's widths are width 16 at 1024 pixels, so 256 at 64, with widest 512 and latent 512. These
defaults are for less: at 64x64 RGB, G has 3,444,951 parameters and D 5,036,784.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.config import Config, Section
from morelike.errors import UserError
from morelike.models.adversarial import discriminator_terms, generator_terms, inputs
from morelike.models.discriminator import Discriminator, Pictures
from morelike.models.family import Networks
from morelike.models.layers import (
    ConditionalSequential,
    Joined,
    MinibatchStandardDeviation,
    PixelNorm,
    PlacesFlattened,
    equalise,
    equalised,
)
from morelike.models.sizes import check_size, coarsest, doublings, widths

__all__ = [
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "build",
    "discriminator_terms",
    "generator_terms",
    "inputs",
]

How = Literal["simple", "lin_cat", "cat_lin"]


class GeneratorConfig(Section):
    """The generator's size."""

    width: Annotated[int, Field(ge=1, le=1024)] = 24
    """Feature maps at the full resolution; each coarser one has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 512
    """Most feature maps."""
    latent: Annotated[int, Field(ge=1, le=65536)] = 128
    """Length of the latent vector z."""


class DiscriminatorConfig(Section):
    """The discriminator's size, and how pictures enter it."""

    width: Annotated[int, Field(ge=1, le=1024)] = 24
    """Feature maps at the full resolution; each coarser one has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 512
    """Most feature maps."""
    combine: How = "simple"
    """How pictures join the maps of their size (section 2.1): concatenated as they are, as in
    MSG-ProGAN; made into as many maps by a 1x1 convolution first (lin_cat); or by one after it
    (cat_lin), as in the paper's MSG-StyleGAN."""
    minibatch_discrimination: Annotated[int, Field(ge=0, le=1024)] = 0
    """Append as many measures of how close the others are, at the end (Salimans et al. 2016)."""


class Generator(nn.Module):
    """z (B, latent), standard normal, and a condition (B, K) if there is one -> pictures
    (B, *shape) in [-1, 1].

    A map of 4 on its shorter side from z, then one doubling a block: 4, 8, ... the picture.
    """

    def __init__(
        self, shape: tuple[int, int, int], config: GeneratorConfig, condition: int = 0
    ) -> None:
        super().__init__()
        channels = shape[0]
        first = coarsest(shape)
        maps = widths(config.width, config.widest, doublings(shape) + 1)[::-1]
        self.start = ConditionalSequential(
            PixelNorm(),
            *([Joined()] if condition else []),
            equalised(nn.Linear(config.latent + condition, maps[0] * math.prod(first))),
            nn.Unflatten(1, (maps[0], *first)),
            *_rectified_and_normed(),
            _three(maps[0], maps[0]),
            *_rectified_and_normed(),
        )
        pairs = itertools.pairwise(maps)
        self.blocks = nn.ModuleList(_doubling(ins, outs) for ins, outs in pairs)
        self.pictures = nn.ModuleList(
            nn.Sequential(_one(outs, channels), nn.Tanh()) for outs in maps
        )

    def scales(self, *inputs: Tensor) -> Pictures:
        """(B, C, H, W) in [-1, 1] for each resolution, the smallest first."""
        return tuple(p(x) for p, x in zip(self.pictures, self._maps(*inputs), strict=True))

    def forward(self, *inputs: Tensor) -> Tensor:
        """The pictures at their full resolution."""
        return self.pictures[-1](self._maps(*inputs)[-1])

    def _maps(self, *inputs: Tensor) -> list[Tensor]:
        found = [self.start(*inputs)]
        for block in self.blocks:
            found.append(block(found[-1]))
        return found


class Combine(nn.Module):
    """Pictures (B, C, H, W) and maps of their size (B, M, H, W) -> (B, self.maps, H, W)."""

    def __init__(self, how: How, channels: int, maps: int) -> None:
        super().__init__()
        self.before = _one(channels, maps) if how == "lin_cat" else nn.Identity()
        self.after = _one(channels + maps, maps) if how == "cat_lin" else nn.Identity()
        self.maps = {"simple": channels + maps, "lin_cat": 2 * maps, "cat_lin": maps}[how]

    def forward(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """Both in one."""
        return self.after(torch.cat([self.before(pictures).to(maps.dtype), maps], 1))


class Trunk(nn.Module):
    """Pictures (B, C, H, W) at each resolution, the smallest first -> features (B, F).

    One halving a block down to 4 on the shorter side, where one convolution takes all places in.
    """

    def __init__(self, shape: tuple[int, int, int], config: DiscriminatorConfig) -> None:
        super().__init__()
        channels = shape[0]
        maps = widths(config.width, config.widest, doublings(shape) + 1)
        self.enter = nn.Sequential(_one(channels, maps[0]), _rectified())
        self.combine = nn.ModuleList()
        self.blocks = nn.ModuleList()
        ins = maps[0]
        for here, next_one in itertools.pairwise(maps):
            self.blocks.append(_halving(ins, here, next_one))
            joint = Combine(config.combine, channels, next_one)
            self.combine.append(joint)
            ins = joint.maps
        last = coarsest(shape)
        self.features = maps[-1]
        self.end = nn.Sequential(
            MinibatchStandardDeviation(),
            _three(ins + 1, self.features),
            _rectified(),
            equalised(nn.Conv2d(self.features, self.features, last)),
            _rectified(),
            PlacesFlattened(),
        )

    def forward(self, *scales: Tensor) -> Tensor:
        """The features."""
        *coarser, largest = scales
        x = self.enter(largest)
        parts = zip(self.blocks, self.combine, reversed(coarser), strict=True)
        for block, combine, pictures in parts:
            x = combine(pictures, block(x))
        return self.end(x)


class PyramidDiscriminator(Discriminator):
    """A discriminator that is given pictures at each resolution from 4 to the full one."""

    def scales(self, pictures: Tensor) -> Pictures:
        """The averages of 2x2 pixels, again and again; the smallest first."""
        found = [pictures]
        for _ in self.trunk.blocks:  # pyright: ignore[reportGeneralTypeIssues]
            found.append(F.avg_pool2d(found[-1], 2))
        return tuple(reversed(found))


def trunk(shape: tuple[int, int, int], config: DiscriminatorConfig) -> tuple[Trunk, int]:
    """Pictures (B, *shape) at each resolution -> features (B, F), and F."""
    made = Trunk(shape, config)
    return made, made.features


def _doubling(ins: int, outs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        _three(ins, outs),
        *_rectified_and_normed(),
        _three(outs, outs),
        *_rectified_and_normed(),
    )


def _halving(ins: int, between: int, outs: int) -> nn.Sequential:
    return nn.Sequential(
        MinibatchStandardDeviation(),
        _three(ins + 1, between),
        _rectified(),
        _three(between, outs),
        _rectified(),
        nn.AvgPool2d(2),
    )


def _rectified() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)


def _rectified_and_normed() -> tuple[nn.Module, nn.Module]:
    return _rectified(), PixelNorm()


def _three(ins: int, outs: int) -> nn.Conv2d:
    return equalised(nn.Conv2d(ins, outs, 3, padding=1))


def _one(ins: int, outs: int) -> nn.Conv2d:
    return equalised(nn.Conv2d(ins, outs, 1))


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures.

    Raises:
        UserError: if they are too small, or if the condition is to enter by a norm that there is
            not.
    """
    shape, settings, condition = config.data.shape, config.discriminator, config.condition
    check_size("msggan", shape)
    if condition.norm_size:
        raise UserError("msggan takes its condition as input only; set condition.generator=input.")
    judging = PyramidDiscriminator(
        *trunk(shape, settings),
        config,
        equalise,
        discrimination=settings.minibatch_discrimination,
    )
    return Networks(Generator(shape, config.generator, condition.size), judging)
