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
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from morelike.config import Config, Section
from morelike.models.adversarial import discriminator_terms, generator_terms
from morelike.models.family import Inputs, Networks
from morelike.rng import Draws

__all__ = [
    "Discriminator",
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


class DiscriminatorConfig(Section):
    """The discriminator's size."""

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Feature maps of the first layer; each layer after it has twice as many."""


class Generator(nn.Sequential):
    """z (B, latent), standard normal -> pictures (B, *shape) in [-1, 1].

    A map of 4 on its shorter side from z, then one doubling a layer: 4, 8, ... the picture.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, latent: int) -> None:
        channels, *size = shape
        doublings = int(math.log2(min(size))) - 2
        first = (size[0] >> doublings, size[1] >> doublings)
        wide = width * 2 ** (doublings - 1)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent, 1, 1)),
            nn.ConvTranspose2d(latent, wide, first, 1, 0, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
        for _ in range(doublings - 1):
            layers += [
                nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(wide // 2),
                nn.ReLU(inplace=True),
            ]
            wide //= 2
        layers += [nn.ConvTranspose2d(wide, channels, 4, 2, 1, bias=False), nn.Tanh()]
        super().__init__(*layers)
        self.apply(_initialise)


class Discriminator(nn.Sequential):
    """Pictures (B, *shape) in [-1, 1] -> logits (B,).

    One halving a layer down to 4 on the shorter side, then one convolution to a single number.
    """

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        channels, *size = shape
        halvings = int(math.log2(min(size))) - 2
        last = (size[0] >> halvings, size[1] >> halvings)
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for _ in range(halvings - 1):
            layers += [
                nn.Conv2d(width, width * 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(width * 2),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            width *= 2
        layers += [nn.Conv2d(width, 1, last, 1, 0, bias=False), nn.Flatten(0)]
        super().__init__(*layers)
        self.apply(_initialise)


def _initialise(layer: nn.Module) -> None:
    # Batch norm's gains are N(1, 0.02), as in the authors' code; the paper names only the weights.
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        nn.init.zeros_(layer.bias)


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures."""
    shape, generator = config.data.shape, config.generator
    return Networks(
        Generator(shape, generator.width, generator.latent),
        Discriminator(shape, config.discriminator.width),
    )


def inputs(config: Config[GeneratorConfig, Any], draws: Draws) -> Inputs:
    """The latents z ~ N(0, 1), (count, latent)."""
    return (draws.normal("latents", config.generator.latent),)
