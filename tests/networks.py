"""Networks of the families, built without a whole configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike import models
from morelike.config import ConditionConfig
from morelike.models import configure
from morelike.models.discriminator import Discriminator

UNCONDITIONAL = ConditionConfig()
TASKS = {"enlarger": "enlarge:2", "unet": "deblur"}
"""Families that start from pictures, each with a task that has any channels."""


def narrow(name: str) -> dict[str, dict[str, Any]]:
    """Both sections of a family, with the narrowest networks that are worth testing, and the task
    if it needs one.
    """
    chosen = models.family(name)
    networks: dict[str, dict[str, Any]] = {
        player: {"width": 2} if "width" in section.model_fields else {}
        for player, section in (
            ("generator", chosen.GeneratorConfig),
            ("discriminator", chosen.DiscriminatorConfig),
        )
    }
    return networks | ({"task": {"name": TASKS[name]}} if name in TASKS else {})


def discriminator(family: ModuleType, shape: tuple[int, int, int], settings: Any) -> Discriminator:
    """The family's discriminator for pictures of this shape."""
    norm = getattr(settings, "norm", "")
    trunk, features = family.trunk(shape, settings)
    return Discriminator(
        trunk,
        features,
        configure({}),
        family.initialise,
        discrimination=settings.minibatch_discrimination,
        spectral_norm=norm == "spectral" or getattr(settings, "spectral_norm", False),
    )


def layers_of(network: nn.Module) -> list[nn.Module]:
    """The layers of a generator, or of a discriminator's trunk and logit, in order."""
    if not isinstance(network, Discriminator):
        return list(network.children())
    heads = [network.closeness, network.logit]
    return [*network.trunk.children(), *(head for head in heads if head is not None)]


class Critic(nn.Sequential):
    """Layers that end in one logit: a discriminator with nothing else to be read off."""

    def scales(self, pictures: Tensor) -> tuple[Tensor]:
        return (pictures,)

    def features(self, pictures: Tensor) -> Tensor:
        return self(pictures)

    def logits(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        return features


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def moved(network: nn.Module, by: float = 0.3) -> Any:
    """A network in float64, and away from the zeros that it begins with."""
    with torch.no_grad():
        for seed, parameter in enumerate(network.double().parameters()):
            parameter += by * numbers(*parameter.shape, seed=seed) / math.sqrt(parameter[0].numel())
    return network


def seen_from(network: Any, given: Tensor, scale: int = 1) -> int:
    """How far from a pixel of what is made of `given` (1, c, H, W) those pixels of it are that move
    that one, measured in the middle, at every place that a stride has.
    """
    given = given.div(4).requires_grad_()
    made, far = network(given), 0
    middle = given.shape[2] // 2 // network.stride * network.stride * scale
    for row in range(middle, middle + scale * network.stride):
        (gradient,) = torch.autograd.grad(made[0, :, row, middle].sum(), given, retain_graph=True)
        rows = gradient[0].abs().amax((0, 2)).nonzero().flatten()
        far = max(far, row // scale - int(rows[0]), int(rows[-1]) - row // scale)
    return far


def slope(value: Callable[[], float], weight: np.ndarray, along: np.ndarray) -> float:
    """How fast a value changes as a weight moves along a direction."""
    at = []
    for sign in (1, -1):
        weight += sign * 1e-6 * along
        at.append(value())
        weight -= sign * 1e-6 * along
    return (at[0] - at[1]) / 2e-6


def assert_slopes(
    value: Callable[[], float], network: nn.Module, weights: list[np.ndarray]
) -> None:
    """Gradients that the step left behind, against differences of the reference's value."""
    for index, (parameter, weight) in enumerate(zip(network.parameters(), weights, strict=True)):
        assert parameter.grad is not None
        along = numbers(*weight.shape, seed=index).numpy()
        found = (parameter.grad.numpy() * along).sum()
        assert found == pytest.approx(slope(value, weight, along), rel=1e-5, abs=1e-8), index


def copies(network: nn.Module) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in network.parameters()]
