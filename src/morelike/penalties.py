"""Penalties on the discriminator: plain functions of D and pictures, each with its equation.

`discriminator` is any function of pictures (B, ...) to logits, the first dimension of which is
the picture. Each gives a scalar without its weight. A gradient's norm is that of one picture's
gradient, which has no meaning where batch norm mixes the pictures of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Discriminator = Callable[..., Tensor]


def squared_gradient_norms(discriminator: Discriminator, *pictures: Tensor) -> Tensor:
    """|| d D(x) / d x ||^2 of each picture, with a graph for its own gradient: (B, ...) to (B,).

    Of pictures given at several resolutions, all of them together are x. Of several logits for one
    picture, the gradient of their sum.
    """
    at = [one.detach().requires_grad_(True) for one in pictures]
    with torch.enable_grad():
        logits = discriminator(*at)
        gradients = torch.autograd.grad(logits.sum(), at, create_graph=True)
    return torch.stack([g.flatten(1).square().sum(dim=1) for g in gradients]).sum(0)


def zero_centered(discriminator: Discriminator, *pictures: Tensor) -> Tensor:
    """E[|| d D(x) / d x ||^2] / 2. On real pictures R1, on generated ones R2 (Mescheder et al.
    2018, eq. 9, without gamma); on pictures between both, the penalty of Thanh-Tung et al. 2019.
    """
    return squared_gradient_norms(discriminator, *pictures).mean() / 2


def by_differences(
    discriminator: Discriminator,
    logits: Tensor,
    pictures: Sequence[Tensor],
    signs: Sequence[Tensor],
    step: float,
) -> Tensor:
    """E[((D(x + step s) - D(x)) / step)^2] / 2, where s is +1 or -1 in each value by chance.

    In a smooth D the mean over s is `zero_centered` but for terms of the order of step^2, since
    E[(s . g)^2] = |g|^2 (Hutchinson 1990), and no second derivative is needed. In one with kinks
    the value is about the same, and its gradient is another: it sees the kinks. With normal numbers
    in place of signs it is the approximated R1 of Lin et al. 2025, "Diffusion Adversarial
    Post-Training for One-Step Video Generation", arXiv 2501.08316; of signs, one draw varies less.

    Args:
        discriminator: what gave `logits`.
        logits: (B, ...), D(x), with their graph.
        pictures: (B, ...) at each resolution.
        signs: of the shapes of these.
        step: in units of the pictures' values.
    """
    moved = discriminator(*(x.detach() + step * s for x, s in zip(pictures, signs, strict=True)))
    changes = (moved - logits).reshape(len(logits), -1).sum(dim=1)
    return (changes / step).square().mean() / 2


def one_centered(discriminator: Discriminator, *pictures: Tensor) -> Tensor:
    """E[(|| d D(x) / d x || - 1)^2], Gulrajani et al. 2017 (WGAN-GP), eq. 3, without lambda."""
    # The square root has no gradient at 0, where a critic that ignores its input begins.
    norms = (squared_gradient_norms(discriminator, *pictures) + 1e-12).sqrt()
    return (norms - 1).square().mean()


def between(real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Share * x + (1 - share) * G(z), a point on the line between each pair (Gulrajani et al. 2017,
    section 4): two times (B, ...) and (B,) in [0, 1).
    """
    shares = shares.reshape(-1, *[1] * (real.dim() - 1)).to(real.dtype)
    return shares * real + (1 - shares) * fake.to(real.dtype)


def drift(real_logits: Tensor) -> Tensor:
    """E[D(x)^2], which keeps logits from wandering off (Karras et al. 2018, appendix A.1)."""
    return real_logits.square().mean()


def lecam(real_logits: Tensor, fake_logits: Tensor, mean_real: Tensor, mean_fake: Tensor) -> Tensor:
    """E[(D(x) - a_F)^2] + E[(D(G(z)) - a_R)^2], Tseng et al. 2021, "Regularizing Generative
    Adversarial Networks under Limited Data", arXiv 2104.03310, eq. 5, without lambda.

    Args:
        real_logits: (B,).
        fake_logits: (B,).
        mean_real: a_R, the running mean of D's logits on real pictures, a scalar.
        mean_fake: a_F, that on generated ones.
    """
    return (real_logits - mean_fake).square().mean() + (fake_logits - mean_real).square().mean()


def consistency(logits: Tensor, changed: Tensor) -> Tensor:
    """E[(D(x) - D(T(x)))^2] for the logits of pictures and of the same pictures, changed (Zhang et
    al. 2020, eq. 2).
    """
    return (logits - changed).square().mean()
