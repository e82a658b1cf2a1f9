"""DCGAN: Radford, Metz & Chintala 2015, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks", arXiv 1511.06434.

Its rules (section 3) hold in every configuration, since no setting can break them: strided
convolutions in the discriminator and fractionally-strided ones in the generator instead of
pooling; batch norm in both, except in the generator's output and the discriminator's input layer;
no fully connected hidden layers; ReLU in the generator with tanh at its end; LeakyReLU of slope
0.2 in the discriminator; weights drawn from N(0, 0.02).

For 64x64 RGB pictures, latent 100 and width 64, G has 3,576,704 parameters and D 2,765,568.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from morelike.config import ConditionConfig, Config, Section
from morelike.models.adversarial import discriminator_terms, generator_terms, inputs
from morelike.models.discriminator import Discriminator
from morelike.models.family import Networks
from morelike.models.layers import (
    ConditionalBatchNorm2d,
    ConditionalSequential,
    Joined,
    MinibatchStandardDeviation,
    PlacesFlattened,
)
from morelike.models.sizes import coarsest, doublings
from morelike.models.strided import Doubling, Halving, Opening, Transposed

__all__ = [
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "build",
    "discriminator_terms",
    "generator_terms",
    "inputs",
]


class GeneratorConfig(Section):
    """The generator's size."""

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Feature maps of the layer before the picture; each layer before it has twice as many."""
    latent: Annotated[int, Field(ge=1, le=65536)] = 100
    """Length of the latent vector z."""
    upsampling: Literal["transposed", "nearest"] = "transposed"
    """How maps double: by the paper's transposed convolution of 4x4, which leaves a checkerboard
    unless it learns not to; or by a 3x3 convolution of doubled pixels, which cannot."""


class DiscriminatorConfig(Section):
    """The discriminator's size, and what it is kept in check with."""

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Feature maps of the first layer; each layer after it has twice as many."""
    norm: Literal["batch", "spectral", "none"] = "batch"
    """Batch norm, as the paper has it; or, in its place, spectral normalisation of all weights
    (Miyato et al. 2018) or nothing."""
    minibatch_stddev: bool = False
    """Append how much pictures differ, before the last layer (Karras et al. 2018)."""
    minibatch_discrimination: Annotated[int, Field(ge=0, le=1024)] = 0
    """Append as many measures of how close the others are, at the end (Salimans et al. 2016)."""


class Generator(ConditionalSequential):
    """z (B, latent), standard normal, and a condition (B, K) if there is one -> pictures
    (B, *shape) in [-1, 1].

    A map of 4 on its shorter side from z, then one doubling a layer: 4, 8, ... the picture.
    """

    def __init__(
        self, shape: tuple[int, int, int], config: GeneratorConfig, condition: ConditionConfig
    ) -> None:
        joined, by_norm = condition.input_size, condition.norm_size
        latent = config.latent

        def norm(maps: int) -> nn.Module:
            return ConditionalBatchNorm2d(maps, by_norm) if by_norm else nn.BatchNorm2d(maps)

        channels = shape[0]
        count, first = doublings(shape), coarsest(shape)
        wide = config.width * 2 ** (count - 1)
        layers: list[nn.Module] = [
            *([Joined()] if joined else []),
            nn.Unflatten(1, (latent + joined, 1, 1)),
            Opening(latent + joined, wide, first),
            norm(wide),
            nn.ReLU(inplace=True),
        ]
        double = Doubling if config.upsampling == "nearest" else Transposed
        for _ in range(count - 1):
            layers += [double(wide, wide // 2), norm(wide // 2), nn.ReLU(inplace=True)]
            wide //= 2
        layers += [double(wide, channels), nn.Tanh()]
        super().__init__(*layers)


def trunk(shape: tuple[int, int, int], config: DiscriminatorConfig) -> tuple[nn.Sequential, int]:
    """Pictures (B, *shape) in [-1, 1] -> features (B, F), and F.

    One halving a layer down to 4 on the shorter side; the features are what is there then, at each
    place, so that the logit, linear in them, is the paper's last convolution.
    """
    channels = shape[0]
    width, places = config.width, math.prod(coarsest(shape))
    layers: list[nn.Module] = [
        Halving(channels, width),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    for _ in range(doublings(shape) - 1):
        normed = [nn.BatchNorm2d(width * 2)] if config.norm == "batch" else []
        layers += [Halving(width, width * 2), *normed]
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        width *= 2
    if config.minibatch_stddev:
        layers.append(MinibatchStandardDeviation())
        width += 1
    return nn.Sequential(*layers, PlacesFlattened()), width * places


def initialise(network: nn.Module) -> None:
    """Draw all weights as the authors do."""
    network.apply(_initialise_layer)


def _initialise_layer(layer: nn.Module) -> None:
    # Batch norm's gains are N(1, 0.02), as in the authors' code; the paper names only the weights.
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
        nn.init.normal_(layer.weight, 1.0, 0.02)
        nn.init.zeros_(layer.bias)


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures."""
    shape, settings = config.data.shape, config.discriminator
    made = Generator(shape, config.generator, config.condition)
    initialise(made)
    judging = Discriminator(
        *trunk(shape, settings),
        config,
        initialise,
        discrimination=settings.minibatch_discrimination,
        spectral_norm=settings.norm == "spectral",
    )
    return Networks(made, judging)
