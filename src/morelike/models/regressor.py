"""The naive approach, kept as an honest baseline: a network from label or attributes to pictures,
trained by their pixels, with no opponent.

It cannot work, and it is worth seeing why. Many pictures share a label; the one answer with the
least squared error to all of them is their mean, and with the least absolute error their median, at
each pixel. So what comes out for "smiling" is the average smiling face: in focus where all faces
agree, a blur where they differ, and the same one each time, as nothing else goes in. A GAN's G is
not asked for the least error; it is asked for something that D cannot tell from a real picture, and
a mean is not like any.

G is that of DCGAN, fed the condition alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.conditions import drawn
from morelike.config import ConditionConfig, Config, PenaltyConfig, Section
from morelike.errors import UserError
from morelike.models import dcgan
from morelike.models.family import Batch, Inputs, Networks, Term
from morelike.models.layers import wide
from morelike.rng import Draws


class GeneratorConfig(Section):
    """The network's size, and its error."""

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Feature maps of the layer before the picture; each layer before it has twice as many."""
    error: Literal["squared", "absolute"] = "squared"
    """Of a pixel; squared leads to the mean, absolute to the median."""


class DiscriminatorConfig(Section):
    """There is none."""


class Nobody(nn.Module):
    """An opponent without weights or opinions: pictures (B, ...) -> zeros (B,)."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Nothing, of each picture."""
        return pictures.new_zeros(len(pictures))


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """The network for the configured shape of the pictures, and nobody.

    Raises:
        UserError: if there is no condition, or it is not to be the input, or a discriminator is
            expected.
    """
    condition = config.condition
    if not condition.size:
        raise UserError(
            "the family regressor makes pictures from their labels or attributes; name them, as in "
            "--set 'condition.on=[\"label\"]'."
        )
    if config.penalty != PenaltyConfig() or config.objective.feature_matching:
        raise UserError(
            "regressor has no discriminator, so penalties and feature matching mean nothing; leave "
            "them out."
        )
    if condition.generator != "input":
        raise UserError("regressor has no input but its condition; set condition.generator=input.")
    plain = ConditionConfig()  # what is not beside the latents, but in their place
    alike = dcgan.GeneratorConfig(width=config.generator.width, latent=condition.size)
    generator = dcgan.Generator(config.data.shape, alike, plain)
    dcgan.initialise(generator)
    return Networks(generator, Nobody())


def inputs(config: Config[Any, Any], draws: Draws, condition: Tensor | None = None) -> Inputs:
    """The conditions, (count, K), drawn if they are not given."""
    return (drawn(config.condition, draws) if condition is None else condition,)


def discriminator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """None."""
    return []


def generator_terms(
    config: Config[GeneratorConfig, Any], networks: Networks, batch: Batch
) -> list[Term]:
    """The mean error of a pixel between real pictures and what is made for their conditions."""
    error = F.mse_loss if config.generator.error == "squared" else F.l1_loss

    def pixels() -> Tensor:
        return error(wide(networks.generator(*batch.inputs)), batch.real)

    return [Term("pixels", 1.0, pixels)]
