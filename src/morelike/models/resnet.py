"""The residual networks of Gulrajani et al. 2017, "Improved Training of Wasserstein GANs"
(WGAN-GP), arXiv 1704.00028, appendix, and of Miyato et al. 2018, "Spectral Normalization for
Generative Adversarial Networks" (SN-GAN), arXiv 1802.05957, appendix B.4.

A block is added to what comes into it, with the activation first (He et al. 2016, "Identity
Mappings in Deep Residual Networks"). G doubles the map in each, by repeating pixels; D halves it
in most, by averaging 2x2 pixels. D ends with ReLU, the sum over all places, and one linear layer.
There is no batch norm in D, so that penalties on the gradient of single pictures have a meaning.

What the papers give, in these settings:

    64 px, WGAN-GP     G  width 64: 4x4x512, blocks of 512, 256, 128, 64
    CIFAR-10, SN-GAN   G  width 256, growth 1: 4x4x256, three blocks of 256
                       D  width 128, growth 1, smallest 8, level_blocks 2: four blocks of 128
    128 px, SN-GAN     G  width 64: 4x4x1024, blocks of 1024, 512, 256, 128, 64
                       D  width 64: blocks of 64, 128, 256, 512, 1024 and a level one of 1024

Weights are uniform as in Glorot & Bengio 2010, eq. 16, in the 3x3 convolutions of the blocks times
sqrt(2), the factor by which He et al. 2015 make up for ReLU; biases begin at 0. So it is in the
code of both papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from morelike.config import ConditionConfig, Config, Section
from morelike.errors import UserError
from morelike.models.adversarial import discriminator_terms, generator_terms, inputs
from morelike.models.discriminator import Discriminator
from morelike.models.family import Networks
from morelike.models.layers import (
    ConditionalBatchNorm2d,
    ConditionalSequential,
    Conditioned,
    Joined,
    MinibatchStandardDeviation,
)
from morelike.models.sizes import check_size, coarsest, doublings
from morelike.models.strided import Averaging, Doubling

__all__ = [
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "build",
    "discriminator_terms",
    "generator_terms",
    "inputs",
]

WIDEST = 16
"""Times the width: where the papers' networks stop growing."""


class GeneratorConfig(Section):
    """The generator's size."""

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Feature maps of the last block."""
    growth: Literal[1, 2] = 2
    """Each block before it has as many times its feature maps, up to 16 times the width."""
    latent: Annotated[int, Field(ge=1, le=65536)] = 128
    """Length of the latent vector z."""
    batch_norm: bool = True
    """Batch norm before each ReLU."""


class DiscriminatorConfig(Section):
    """The discriminator's size, and what it is kept smooth with."""

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Feature maps of the first block."""
    growth: Literal[1, 2] = 2
    """Each halving block after it has as many times its feature maps, up to 16 times the width."""
    smallest: Literal[4, 8] = 4
    """Shorter side of the map at which halving stops."""
    level_blocks: Annotated[int, Field(ge=0, le=16)] = 1
    """Blocks after that, which keep the map's size."""
    norm: Literal["none", "spectral", "layer"] = "spectral"
    """Spectral normalisation of all weights as in SN-GAN, or layer norm before each ReLU in a block
    but the first, as in WGAN-GP."""
    minibatch_stddev: bool = False
    """Append how much pictures differ, where halving stops (Karras et al. 2018)."""
    minibatch_discrimination: Annotated[int, Field(ge=0, le=1024)] = 0
    """Append as many measures of how close the others are, at the end (Salimans et al. 2016)."""


class Generator(ConditionalSequential):
    """z (B, latent), standard normal, and a condition (B, K) if there is one -> pictures
    (B, *shape) in [-1, 1].

    A map of 4 on its shorter side from z, then one doubling a block: 4, 8, ... the picture.
    """

    def __init__(
        self, shape: tuple[int, int, int], config: GeneratorConfig, condition: ConditionConfig
    ) -> None:
        channels = shape[0]
        first = coarsest(shape)
        outs = _widths(config.width, config.growth, doublings(shape))[::-1]
        ins = [outs[0], *outs[:-1]]
        joined = condition.input_size
        norm = _norm(config.batch_norm, condition.norm_size)
        super().__init__(
            *([Joined()] if joined else []),
            nn.Linear(config.latent + joined, outs[0] * math.prod(first)),
            nn.Unflatten(1, (outs[0], *first)),
            *(_doubling(i, o, norm) for i, o in zip(ins, outs, strict=True)),
            *norm(outs[-1]),
            nn.ReLU(),
            nn.Conv2d(outs[-1], channels, 3, padding=1),
            nn.Tanh(),
        )
        initialise(self)


def trunk(shape: tuple[int, int, int], config: DiscriminatorConfig) -> tuple[nn.Sequential, int]:
    """Pictures (B, *shape) in [-1, 1] -> features (B, F), and F: the sum over all places."""
    channels = shape[0]
    halvings = doublings(shape, config.smallest)
    maps, *more = _widths(config.width, config.growth, halvings)
    layer_norm = config.norm == "layer"
    layers: list[nn.Module] = [_first(channels, maps)]
    for wider in more:
        layers.append(_halving(maps, wider, layer_norm))
        maps = wider
    deviation = int(config.minibatch_stddev)
    if deviation:
        layers.append(MinibatchStandardDeviation())
    for _ in range(config.level_blocks):
        layers.append(_level(maps + deviation, maps, layer_norm))
        deviation = 0
    return nn.Sequential(*layers, nn.ReLU(), _SumOverPlaces()), maps + deviation


class Residual(Conditioned):
    """x -> main(x) + shortcut(x)."""

    def __init__(self, main: nn.Sequential, shortcut: nn.Sequential) -> None:
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The sum of both ways."""
        conditioned = isinstance(self.main, ConditionalSequential)
        return (self.main(x, condition) if conditioned else self.main(x)) + self.shortcut(x)


class _SumOverPlaces(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C)."""
        return maps.sum((2, 3))


def _widths(width: int, growth: int, count: int) -> list[int]:
    return [width * min(growth**i, WIDEST) for i in range(count)]


Norm = Callable[[int], list[nn.Module]]
"""What comes before a ReLU on so many maps: one layer or none."""


def _norm(batch_norm: bool, condition: int) -> Norm:
    if not batch_norm:
        return lambda maps: []
    if condition:
        return lambda maps: [ConditionalBatchNorm2d(maps, condition)]
    return lambda maps: [nn.BatchNorm2d(maps)]


def _doubling(ins: int, outs: int, norm: Norm) -> Residual:
    # What a bias would add in a block, the next batch norms take away again.
    bias = not norm(1)
    return Residual(
        ConditionalSequential(
            *norm(ins),
            nn.ReLU(),
            Doubling(ins, outs, bias=bias),
            *norm(outs),
            nn.ReLU(inplace=True),
            _three(outs, outs, bias=bias),
        ),
        # Repeating pixels after the 1x1 convolution gives the same as before it, for a quarter.
        nn.Sequential(_one(ins, outs), nn.Upsample(scale_factor=2)),
    )


def _first(ins: int, outs: int) -> Residual:
    """Halving, without the activation and the norm in front: those are pictures that come in."""
    return Residual(
        nn.Sequential(_three(ins, outs), nn.ReLU(inplace=True), Averaging(outs, outs)),
        nn.Sequential(nn.AvgPool2d(2), _one(ins, outs)),
    )


def _halving(ins: int, outs: int, layer_norm: bool) -> Residual:
    main = _main(ins, Averaging(ins, outs), layer_norm)
    # Averaging before the 1x1 convolution gives the same as after it, for a quarter.
    return Residual(main, nn.Sequential(nn.AvgPool2d(2), _one(ins, outs)))


def _level(ins: int, outs: int, layer_norm: bool) -> Residual:
    main = _main(ins, _three(outs, outs), layer_norm)
    return Residual(main, nn.Sequential(*([] if ins == outs else [_one(ins, outs)])))


def _main(ins: int, last: nn.Conv2d, layer_norm: bool) -> nn.Sequential:
    between = last.in_channels

    def norm(maps: int) -> list[nn.Module]:
        # Over maps and places of one picture, with a gain and a shift for each map.
        return [nn.GroupNorm(1, maps)] if layer_norm else []

    return nn.Sequential(
        *norm(ins),
        nn.ReLU(),
        _three(ins, between),
        *norm(between),
        nn.ReLU(inplace=True),
        last,
    )


def _three(ins: int, outs: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, 3, padding=1, bias=bias)


def _one(ins: int, outs: int) -> nn.Conv2d:
    # No bias: the main way has one, or nobody has.
    return nn.Conv2d(ins, outs, 1, bias=False)


def initialise(network: nn.Module) -> None:
    """Draw all weights, as said above."""
    in_main = {
        layer
        for block in network.modules()
        if isinstance(block, Residual)
        for layer in block.main
        if isinstance(layer, nn.Conv2d)
    }
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight, math.sqrt(2) if layer in in_main else 1.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures.

    Raises:
        UserError: if they are too small to be halved down to `discriminator.smallest`, or if the
            condition is to enter by a norm that there is not.
    """
    shape = config.data.shape
    check_size("resnet", shape)
    settings, condition = config.discriminator, config.condition
    if condition.norm_size and not config.generator.batch_norm:
        raise UserError(
            "without batch norm the generator can be told its condition as input only; set "
            "condition.generator=input, or generator.batch_norm=true."
        )
    judging = Discriminator(
        *trunk(shape, settings),
        config,
        initialise,
        discrimination=settings.minibatch_discrimination,
        spectral_norm=settings.norm == "spectral",
    )
    return Networks(Generator(shape, config.generator, condition), judging)
