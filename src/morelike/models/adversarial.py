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
        return _logits(config, networks, batch, fake)

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
        if config.objective.joint_batch:
            _, logits = _logits(config, networks, batch, fake)
        else:
            seen = _augmented(config, batch, fake, "augment.fake")
            logits = _precise(networks.discriminator(seen))
        return LOSSES[config.objective.loss].generator(logits)

    return [Term("adversarial", 1.0, adversarial)]


def _logits(
    config: Config[Any, Any], networks: Networks, batch: Batch, fake: Tensor
) -> tuple[Tensor, Tensor]:
    """D's answers on the batch's real pictures and on `fake`, both augmented."""
    discriminator = networks.discriminator
    real = _augmented(config, batch, batch.real, "augment.real")
    fake = _augmented(config, batch, fake, "augment.fake")
    if config.objective.joint_batch:
        both = torch.cat([real, fake.to(real.dtype)])
        on_real, on_fake = discriminator(both).chunk(2)
        return _precise(on_real), _precise(on_fake)
    # One after the other: batch norm normalises each with its own statistics.
    return _precise(discriminator(real)), _precise(discriminator(fake))


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
