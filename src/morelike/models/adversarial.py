"""The terms that families with one picture in and one set of logits out have in common."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from morelike.augment import NUMBERS, augment
from morelike.config import Config
from morelike.losses import LOSSES
from morelike.models.family import Batch, Networks, Term


def discriminator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """The configured loss on D(x) and D(G(z)), and what D believes of each, as observations."""
    objective = config.objective

    @cache
    def logits() -> tuple[Tensor, Tensor]:
        with torch.no_grad():  # G is not updated here
            fake = networks.generator(*batch.inputs)
        seen_real = _augmented(config, batch, batch.real, "augment.real")
        seen_fake = _augmented(config, batch, fake, "augment.fake")
        # Real and generated pictures go through D one after the other, so that batch norm
        # normalises each with its own statistics (Radford et al. 2015; Salimans et al. 2016).
        real = networks.discriminator(seen_real)
        return _precise(real), _precise(networks.discriminator(seen_fake))

    loss = LOSSES[objective.loss].discriminator
    return [
        Term("adversarial", 1.0, lambda: loss(*logits(), objective.label_smoothing)),
        Term("probability_real", 0.0, lambda: logits()[0].detach().sigmoid().mean()),
        Term("probability_fake", 0.0, lambda: logits()[1].detach().sigmoid().mean()),
    ]


def generator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """The configured loss on D(G(z)), with gradients through D to G."""

    def adversarial() -> Tensor:
        fake = networks.generator(*batch.inputs)
        seen = _augmented(config, batch, fake, "augment.fake")
        return LOSSES[config.objective.loss].generator(_precise(networks.discriminator(seen)))

    return [Term("adversarial", 1.0, adversarial)]


def _augmented(config: Config[Any, Any], batch: Batch, pictures: Tensor, purpose: str) -> Tensor:
    settings = config.augment
    if not settings.policy:
        return pictures
    numbers = batch.draws.uniform(purpose, NUMBERS)
    with torch.autocast(pictures.device.type, enabled=False):
        # Shifting by whole pixels is exact; in bf16 it would round the picture a second time.
        whole = pictures if pictures.dtype == torch.float64 else pictures.float()
        return augment(whole, numbers, settings.policy, settings.translation, settings.cutout)


def _precise(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
