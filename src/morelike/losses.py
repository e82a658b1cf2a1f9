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


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], Lim & Ye 2017; Miyato et al. 2018, eq. 16."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """-E[D(G(z))], Miyato et al. 2018, eq. 17."""
    return -fake.mean()


def critic_wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)], Arjovsky et al. 2017, eq. 3, with the sign turned.

    An estimate of minus the Wasserstein-1 distance, up to a factor, only while D is Lipschitz:
    clip its weights or penalise its gradient.
    """
    return fake.mean() - real.mean()


def generator_wasserstein(fake: Tensor) -> Tensor:
    """-E[D(G(z))], Arjovsky et al. 2017, eq. 4."""
    return -fake.mean()


def relativistic_paired(winner: Tensor, loser: Tensor) -> Tensor:
    """E[log(1 + exp(-(D(winner) - D(loser))))], Jolicoeur-Martineau 2018, eq. 5 and 6.

    Each real picture is compared with one generated picture. D minimises it with the real ones as
    winners, G with its own. It is the game of Huang et al. 2024 (R3GAN), eq. 2.
    """
    return F.softplus(loser - winner).mean()


def relativistic_average(winner: Tensor, loser: Tensor) -> Tensor:
    """E[-log sigmoid(w - mean(l))] + E[-log(1 - sigmoid(l - mean(w)))], Jolicoeur-Martineau 2018,
    eq. 7 to 10: each picture against the average of the other kind, in the same part of the batch.
    """
    return F.softplus(loser.mean() - winner).mean() + F.softplus(loser - winner.mean()).mean()


def relativistic_average_hinge(winner: Tensor, loser: Tensor) -> Tensor:
    """E[max(0, 1 - (w - mean(l)))] + E[max(0, 1 + (l - mean(w)))], Jolicoeur-Martineau 2018,
    section 3.4, with the hinge as f.
    """
    on_winner = F.relu(1 - (winner - loser.mean())).mean()
    return on_winner + F.relu(1 + (loser - winner.mean())).mean()


class Loss(NamedTuple):
    """The two sides of one game."""

    discriminator: Callable[..., Tensor]
    """(real logits, fake logits) -> scalar; the smoothing is a third, where there are targets"""
    generator: Callable[..., Tensor]
    """(fake logits) -> scalar; (fake logits, real logits) where the game is relativistic"""
    has_targets: bool = False
    """Whether there are labels 0 and 1 to smooth."""
    is_relativistic: bool = False
    """Whether G, too, is judged beside real pictures."""


LOSSES = {
    "minimax": Loss(discriminator_cross_entropy, generator_minimax, has_targets=True),
    "non_saturating": Loss(discriminator_cross_entropy, generator_non_saturating, has_targets=True),
    "least_squares": Loss(discriminator_least_squares, generator_least_squares, has_targets=True),
    "hinge": Loss(discriminator_hinge, generator_hinge),
    "wasserstein": Loss(critic_wasserstein, generator_wasserstein),
    "relativistic": Loss(relativistic_paired, relativistic_paired, is_relativistic=True),
    "relativistic_average": Loss(relativistic_average, relativistic_average, is_relativistic=True),
    "relativistic_average_hinge": Loss(
        relativistic_average_hinge, relativistic_average_hinge, is_relativistic=True
    ),
}
