"""Adversarial objectives: plain functions of the discriminator's logits.

A logit is D's answer before any squashing; sigmoid(logit) is the probability it gives to "real".
Everything is written on logits with softplus, log(1 + e^x), so that no logarithm of zero can
occur. Each loss is to be minimised and is a mean over all logits, whatever their shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

# -log sigmoid(x) = softplus(-x)   and   -log(1 - sigmoid(x)) = softplus(x)


def discriminator_cross_entropy(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))], Goodfellow et al. 2014, eq. 1, with the sign turned.

    With one-sided label smoothing (Salimans et al. 2016, section 3.4) the target for real pictures
    is 1 - smoothing; that for generated ones stays 0.
    """
    on_real = (1 - smoothing) * F.softplus(-real) + smoothing * F.softplus(real)
    return on_real.mean() + F.softplus(fake).mean()


def generator_minimax(fake: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], Goodfellow et al. 2014, eq. 1: flat where D is sure, so it stalls."""
    return -F.softplus(fake).mean()


def generator_non_saturating(fake: Tensor) -> Tensor:
    """-E[log D(G(z))], Goodfellow et al. 2014, section 3: steep where D is sure."""
    return F.softplus(-fake).mean()


def discriminator_least_squares(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """E[(D(x) - b)^2] / 2 + E[(D(G(z)) - a)^2] / 2, Mao et al. 2017, eq. 9.

    Here a = 0 and b = 1 - smoothing.
    """
    return 0.5 * (real - (1 - smoothing)).square().mean() + 0.5 * fake.square().mean()


def generator_least_squares(fake: Tensor) -> Tensor:
    """E[(D(G(z)) - c)^2] / 2, Mao et al. 2017, eq. 9 with c=1."""
    return 0.5 * (fake - 1).square().mean()


def discriminator_hinge(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], Lim & Ye 2017; Miyato et al. 2018, eq. 16.

    Raises:
        ValueError: for a smoothing other than 0; the hinge has no target to smooth.
    """
    if smoothing:
        raise ValueError("the hinge loss has no target labels to smooth")
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """-E[D(G(z))], Miyato et al. 2018, eq. 17."""
    return -fake.mean()


class Loss(NamedTuple):
    """The two sides of one game."""

    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    """(real logits, fake logits, smoothing) -> scalar"""
    generator: Callable[[Tensor], Tensor]
    """(fake logits) -> scalar"""


LOSSES = {
    "minimax": Loss(discriminator_cross_entropy, generator_minimax),
    "non_saturating": Loss(discriminator_cross_entropy, generator_non_saturating),
    "least_squares": Loss(discriminator_least_squares, generator_least_squares),
    "hinge": Loss(discriminator_hinge, generator_hinge),
}
