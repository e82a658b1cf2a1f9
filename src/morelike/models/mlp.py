"""The first GAN: Goodfellow et al. 2014, "Generative Adversarial Networks", arXiv 1406.2661, whose
two players are fully connected.

For small pictures, and for points: data of shape (C, 1, 1) are vectors of C numbers, and as these
have no bounds, G ends without tanh. For MNIST the authors took two layers of 1200 units in G.

Two things differ from theirs. D has LeakyReLUs of slope 0.2, max(x, 0.2 x), instead of maxout, and
no dropout. G has LeakyReLUs too, unless told otherwise: all latents for which a whole layer of
ReLUs is silent give the same picture, and in a narrow layer there are many.

Weights are drawn as Glorot & Bengio 2010, eq. 16, uniform; biases begin at 0.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from morelike.config import Config, Section
from morelike.errors import UserError
from morelike.models.adversarial import discriminator_terms, generator_terms, inputs
from morelike.models.discriminator import Discriminator
from morelike.models.family import Networks
from morelike.models.layers import ConditionalSequential, Joined

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

    width: Annotated[int, Field(ge=1, le=8192)] = 256
    """Units of each hidden layer."""
    layers: Annotated[int, Field(ge=1, le=64)] = 3
    """Hidden layers."""
    latent: Annotated[int, Field(ge=1, le=65536)] = 100
    """Length of the latent vector z."""
    activation: Literal["leaky_relu", "relu"] = "leaky_relu"
    """After each hidden layer; the authors took ReLU."""
    batch_norm: bool = False
    """Batch norm in each hidden layer."""


class DiscriminatorConfig(Section):
    """The discriminator's size."""

    width: Annotated[int, Field(ge=1, le=8192)] = 256
    """Units of each hidden layer."""
    layers: Annotated[int, Field(ge=1, le=64)] = 3
    """Hidden layers."""
    spectral_norm: bool = False
    """Spectral normalisation of each layer (Miyato et al. 2018)."""
    minibatch_discrimination: Annotated[int, Field(ge=0, le=1024)] = 0
    """Append as many measures of how close the others are, at the end (Salimans et al. 2016)."""


class Generator(ConditionalSequential):
    """z (B, latent), standard normal, and a condition (B, K) if there is one -> pictures
    (B, *shape) in [-1, 1], or unbounded points.
    """

    def __init__(
        self, shape: tuple[int, int, int], config: GeneratorConfig, condition: int
    ) -> None:
        layers: list[nn.Module] = [Joined()] if condition else []
        units = config.latent + condition
        for _ in range(config.layers):
            # Batch norm has a shift of its own.
            layers.append(nn.Linear(units, config.width, bias=not config.batch_norm))
            if config.batch_norm:
                layers.append(nn.BatchNorm1d(config.width))
            layers.append(_activation(config.activation))
            units = config.width
        layers += [nn.Linear(units, math.prod(shape)), nn.Unflatten(1, shape)]
        if shape[1:] != (1, 1):
            layers.append(nn.Tanh())
        super().__init__(*layers)


def trunk(shape: tuple[int, int, int], config: DiscriminatorConfig) -> tuple[nn.Sequential, int]:
    """Pictures or points (B, *shape) -> features (B, F), and F: the last hidden layer."""
    layers: list[nn.Module] = [nn.Flatten()]
    units = math.prod(shape)
    for _ in range(config.layers):
        layers += [nn.Linear(units, config.width), _activation("leaky_relu")]
        units = config.width
    return nn.Sequential(*layers), units


def _activation(name: str) -> nn.Module:
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(0.2, inplace=True)


def initialise(network: nn.Module) -> None:
    """Draw all weights, as said above."""
    network.apply(_initialise_layer)


def _initialise_layer(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures or points.

    Raises:
        UserError: if the condition is to enter by a norm that there is not.
    """
    shape, settings, condition = config.data.shape, config.discriminator, config.condition
    if condition.norm_size:
        raise UserError("mlp takes its condition as input only; set condition.generator=input.")
    generator = Generator(shape, config.generator, condition.size)
    initialise(generator)
    judging = Discriminator(
        *trunk(shape, settings),
        config,
        initialise,
        discrimination=settings.minibatch_discrimination,
        spectral_norm=settings.spectral_norm,
    )
    return Networks(generator, judging)
