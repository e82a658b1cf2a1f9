"""InfoGAN: Chen et al. 2016, "InfoGAN: Interpretable Representation Learning by Information
Maximizing Generative Adversarial Nets", arXiv 1606.03657.

Besides noise z, G is fed a code c: choices among so many values, and numbers in [-1, 1]. Q, a small
head on D's features, reads the code back from the picture, and both G and Q are rewarded for how
well that goes (section 5: a lower bound of the mutual information of code and picture). So each
part of the code has to do something that one can see, and nobody said what. The networks under
this are those of DCGAN or of `resnet`, as they are there.

What differs from the paper:

- Q's hidden layer has no batch norm, so Q itself mixes no pictures and suits a D without it.
- The variance of a number's posterior is at least 0.01. The paper has the exponential of an output
  of Q, with which the bound of a number that G shows exactly has no bound itself, and in the end
  outweighs everything. With 0.01, a deviation of 0.1 in a range of 2, a number is worth 2.1 nats at
  most, about what a choice among ten is (log 10 = 2.3), so that one lambda serves both; the paper
  takes a smaller one for numbers.
- Q is not normalised where D is (`spectral_norm`): this keeps D's slope small, while Q has to be
  sure of what it reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from morelike.config import Config, Section
from morelike.models import adversarial, dcgan, resnet
from morelike.models.adversarial import Sight
from morelike.models.discriminator import Discriminator
from morelike.models.family import Batch, Inputs, Networks, Term
from morelike.models.layers import wide
from morelike.rng import Draws

LEAST_VARIANCE = 0.01
"""Of the posterior of a number in [-1, 1]."""


class GeneratorConfig(Section):
    """The generator's networks, size and code."""

    networks: Literal["dcgan", "resnet"] = "dcgan"
    """The family whose networks both players have."""
    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Feature maps next to the picture, as in that family."""
    latent: Annotated[int, Field(ge=1, le=32768)] = 100
    """Length of the noise z."""
    categorical: Annotated[
        tuple[Annotated[int, Field(ge=2, le=1024)], ...], Field(max_length=16)
    ] = (10,)
    """Choices, each among so many values that are equally likely."""
    continuous: Annotated[int, Field(ge=0, le=1024)] = 2
    """Numbers, uniform in [-1, 1]."""

    @property
    def codes(self) -> int:
        """How many numbers the code of one picture is: a choice is one-hot."""
        return sum(self.categorical) + self.continuous

    @model_validator(mode="after")
    def _there_is_a_code(self) -> GeneratorConfig:
        if not self.codes:
            raise ValueError(
                "without categorical and continuous codes there is nothing to read from a "
                f"picture; name some, or take the family {self.networks}"
            )
        return self


class DiscriminatorConfig(Section):
    """The discriminator's size, what it is kept in check with, and what the code is worth."""

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Feature maps of the first layer or block."""
    spectral_norm: bool = False
    """Spectral normalisation of all weights but Q's; without it, dcgan has batch norm, but with a
    penalty on gradients, like resnet, nothing."""
    minibatch_stddev: bool = False
    """Append how much pictures differ (Karras et al. 2018)."""
    minibatch_discrimination: Annotated[int, Field(ge=0, le=1024)] = 0
    """Append as many measures of how close the others are, at the end (Salimans et al. 2016)."""
    information: Annotated[float, Field(gt=0)] = 1.0
    """lambda of eq. 6: what a nat that Q reads is worth, to G and to D."""
    posterior_width: Annotated[int, Field(ge=1, le=8192)] = 128
    """Units of Q's hidden layer."""


class Posterior(NamedTuple):
    """Q(c | x): what Q believes of the codes of B pictures, each part on its own."""

    logits: tuple[Tensor, ...]
    """(B, values) for each choice."""
    mean: Tensor
    """(B, continuous)"""
    log_variance: Tensor
    """(B, continuous)"""


class ReadingDiscriminator(Discriminator):
    """D, and on the same features Q."""

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        config: Config[GeneratorConfig, DiscriminatorConfig],
        initialise: Callable[[nn.Module], None],
    ) -> None:
        settings = config.discriminator
        super().__init__(
            trunk,
            features,
            config,
            initialise,
            discrimination=settings.minibatch_discrimination,
            spectral_norm=settings.spectral_norm,
        )
        self.choices, self.numbers = config.generator.categorical, config.generator.continuous
        # One hidden layer of 128 and slope 0.1: the paper's appendix C.
        self.posterior = nn.Sequential(
            nn.Linear(features, settings.posterior_width),
            nn.LeakyReLU(0.1),
            nn.Linear(settings.posterior_width, sum(self.choices) + 2 * self.numbers),
        )
        initialise(self.posterior)

    def codes(self, features: Tensor) -> Posterior:
        """Q of features (B, F)."""
        answers = wide(self.posterior(features))
        sizes = [*self.choices, self.numbers, self.numbers]
        *logits, mean, spread = answers.split(sizes, 1)
        # log(least + exp(spread)): unlike a clamp's, its slope is nowhere exactly 0, so a posterior
        # that became too sure finds back.
        least = spread.new_tensor(math.log(LEAST_VARIANCE))
        return Posterior(tuple(logits), mean, torch.logaddexp(least, spread))


def information(posterior: Posterior, codes: Tensor) -> Tensor:
    """L_I(G, Q) = E log Q(c | G(z, c)) + H(c) (eq. 5), a scalar in nats, summed over parts of c.

    For a choice among k values, H = log k: the bound is 0 for a Q that finds all alike likely,
    log k for one that is sure and right, and below 0 for one that is worse than not looking. For a
    number in [-1, 1], H = log 2, and log Q is that of a Gaussian, so that a Q that does not look is
    at best at log 2 - log(2 pi e / 3) / 2 = -0.18, as a Gaussian is not uniform.

    Args:
        posterior: Q(c | G(z, c)).
        codes: c, (B, codes), each choice one-hot, then the numbers.
    """
    sizes = [logits.shape[1] for logits in posterior.logits]
    *chosen, numbers = codes.to(posterior.mean.dtype).split([*sizes, posterior.mean.shape[1]], 1)
    bound = codes.new_zeros((), dtype=posterior.mean.dtype)
    for logits, one_hot in zip(posterior.logits, chosen, strict=True):
        bound = bound + math.log(logits.shape[1]) - F.cross_entropy(logits, one_hot)
    squares = (numbers - posterior.mean).square() * torch.exp(-posterior.log_variance)
    density = -(math.log(2 * math.pi) + posterior.log_variance + squares) / 2
    return bound + (math.log(2) + density).sum(1).mean()


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures; Q is a part of D."""
    shape, made, seen = config.data.shape, config.generator, config.discriminator
    size, deviation = made.latent + made.codes, seen.minibatch_stddev
    if made.networks == "dcgan":
        alike = dcgan.GeneratorConfig(width=made.width, latent=size)
        generator = dcgan.Generator(shape, alike, config.condition)
        dcgan.initialise(generator)
        # With batch norm, a penalty on the gradient of single pictures would mean nothing.
        plain = "none" if config.penalty.of_gradients else "batch"
        settings = dcgan.DiscriminatorConfig(
            width=seen.width,
            norm="spectral" if seen.spectral_norm else plain,
            minibatch_stddev=deviation,
        )
        trunk, features = dcgan.trunk(shape, settings)
        return Networks(generator, ReadingDiscriminator(trunk, features, config, dcgan.initialise))
    settings = resnet.DiscriminatorConfig(
        width=seen.width,
        norm="spectral" if seen.spectral_norm else "none",
        minibatch_stddev=deviation,
    )
    trunk, features = resnet.trunk(shape, settings)
    judging = ReadingDiscriminator(trunk, features, config, resnet.initialise)
    like = resnet.GeneratorConfig(width=made.width, latent=size)
    return Networks(resnet.Generator(shape, like, config.condition), judging)


def inputs(
    config: Config[GeneratorConfig, Any], draws: Draws, condition: Tensor | None = None
) -> Inputs:
    """Noise and codes beside each other, (count, latent + codes), and the conditions where there
    are any.
    """
    latents, *conditions = adversarial.inputs(config, draws, condition)
    return torch.cat([latents, drawn_codes(config.generator, draws)], 1), *conditions


def drawn_codes(settings: GeneratorConfig, draws: Draws) -> Tensor:
    """Codes (count, codes): each choice one-hot, then the numbers."""
    chances = draws.uniform("codes.categorical", len(settings.categorical))
    numbers = 2 * draws.uniform("codes.continuous", settings.continuous) - 1
    choices = [
        # Chances are below 1 by enough that their product with `values` is never rounded to it.
        F.one_hot((chance * values).long(), values).to(numbers.dtype)
        for chance, values in zip(chances.unbind(1), settings.categorical, strict=True)
    ]
    return torch.cat([*choices, numbers], 1)


def discriminator_terms(
    config: Config[Any, DiscriminatorConfig], networks: Networks, batch: Batch
) -> list[Term]:
    """Those of every discriminator, and the code, which Q and D's features learn to read."""
    sight = Sight(config, networks, batch, moving_g=False)
    return [*adversarial.discriminator_terms_at(sight), _unread(sight)]


def generator_terms(
    config: Config[Any, DiscriminatorConfig], networks: Networks, batch: Batch
) -> list[Term]:
    """Those of every generator, and the code, which G learns to show."""
    sight = Sight(config, networks, batch, moving_g=True)
    return [*adversarial.generator_terms_at(sight), _unread(sight)]


def _unread(sight: Sight) -> Term:
    """- lambda L_I, which both minimise (eq. 6)."""

    def function() -> Tensor:
        codes = sight.batch.inputs[0][:, sight.config.generator.latent :]
        return -information(sight.networks.discriminator.codes(sight.fake_features), codes)

    return Term("information", sight.config.discriminator.information, function)
