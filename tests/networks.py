"""Networks of the families, built without a whole configuration."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from torch import Tensor, nn

from morelike import models
from morelike.config import ConditionConfig
from morelike.models import configure
from morelike.models.discriminator import Discriminator

UNCONDITIONAL = ConditionConfig()


def narrow(name: str) -> dict[str, dict[str, int]]:
    """Both sections of a family, with the narrowest networks that are worth testing."""
    chosen = models.family(name)
    return {
        player: {"width": 2} if "width" in section.model_fields else {}
        for player, section in (
            ("generator", chosen.GeneratorConfig),
            ("discriminator", chosen.DiscriminatorConfig),
        )
    }


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
