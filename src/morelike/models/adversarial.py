"""The terms that families with one picture in and one set of logits out have in common."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from morelike import penalties
from morelike.augment import NUMBERS, augment
from morelike.config import Config
from morelike.losses import LOSSES, Loss
from morelike.models.family import Batch, Networks, Term
from morelike.ramps import ramp

CHANGE = 0.125  # of the side: how far consistency shifts (Zhang et al. 2020: 4 of 32 pixels)


def discriminator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """The configured loss on D(x) and D(G(z)), its penalties, and what D believes of each picture,
    as observations.
    """
    objective, loss = config.objective, LOSSES[config.objective.loss]

    @cache
    def fake() -> Tensor:
        with torch.no_grad():  # G is not updated here
            return networks.generator(*batch.inputs)

    @cache
    def logits() -> tuple[Tensor, Tensor]:
        return _logits(config, networks, batch, fake())

    def adversarial() -> Tensor:
        smoothing = (objective.label_smoothing,) if loss.has_targets else ()
        return loss.discriminator(*logits(), *smoothing)

    return [
        Term("adversarial", 1.0, adversarial),
        *_penalty_terms(config, networks, batch, fake, logits),
        *_beliefs(loss, logits),
    ]


def generator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """The configured loss on D(G(z)), with gradients through D to G."""
    loss = LOSSES[config.objective.loss]

    def adversarial() -> Tensor:
        fake = networks.generator(*batch.inputs)
        if loss.is_relativistic or config.objective.joint_batch:
            on_real, on_fake = _logits(config, networks, batch, fake)
            return loss.generator(*((on_fake, on_real) if loss.is_relativistic else (on_fake,)))
        return loss.generator(_judged(networks, _augmented(config, batch, fake, "augment.fake")))

    return [Term("adversarial", 1.0, adversarial)]


def _penalty_terms(
    config: Config[Any, Any], networks: Networks, batch: Batch, fake: Any, logits: Any
) -> list[Term]:
    """The configured penalties on D, on pictures as D sees them."""
    settings = config.penalty
    factor = ramp(settings.ramp, batch.draws.images)
    zero, one = penalties.zero_centered, penalties.one_centered

    def judge(pictures: Tensor) -> Tensor:
        return _judged(networks, pictures)

    @cache
    def real_seen() -> Tensor:
        return _augmented(config, batch, batch.real, "augment.real")

    @cache
    def fake_seen() -> Tensor:
        # In the real ones' precision: a gradient by a picture is as coarse as the picture.
        return _augmented(config, batch, fake(), "augment.fake").to(batch.real.dtype)

    def between() -> Tensor:
        return penalties.between(real_seen(), fake_seen(), batch.draws.uniform("between"))

    def whole_square() -> Tensor:  # as its authors write it, without R1's half
        return 2 * zero(judge, between())

    def consistency() -> Tensor:
        return penalties.consistency(logits()[0], judge(_changed(batch, real_seen())))

    terms = [
        Term("r1", settings.r1, lambda: zero(judge, real_seen()), settings.every),
        Term("r2", settings.r2, lambda: zero(judge, fake_seen()), settings.every),
        Term("one_centered", settings.one_centered, lambda: one(judge, between()), settings.every),
        Term("zero_centered", settings.zero_centered, whole_square, settings.every),
        Term("drift", settings.drift, lambda: penalties.drift(logits()[0])),
        Term("consistency", settings.consistency, consistency),
    ]
    # What the ramp has brought to 0 is neither computed nor logged, like what never was there.
    return [t._replace(weight=t.weight * factor) for t in terms if t.weight * factor]


def _beliefs(loss: Loss, logits: Any) -> list[Term]:
    """What D answers, for the log: its logits squashed; of one picture of a pair beside the other
    where the game is relativistic.
    """
    if loss.is_relativistic:
        return [
            Term("probability_real", 0.0, lambda: _sure(*logits()).mean()),
            Term("probability_fake", 0.0, lambda: 1 - _sure(*logits()).mean()),
        ]
    return [
        Term("probability_real", 0.0, lambda: logits()[0].detach().sigmoid().mean()),
        Term("probability_fake", 0.0, lambda: logits()[1].detach().sigmoid().mean()),
    ]


def _sure(real: Tensor, fake: Tensor) -> Tensor:
    """How probable D finds it that the real one of a pair is the real one."""
    return (real.detach() - fake.detach()).sigmoid()


def _logits(
    config: Config[Any, Any], networks: Networks, batch: Batch, fake: Tensor
) -> tuple[Tensor, Tensor]:
    """D's answers on the batch's real pictures and on `fake`, both augmented."""
    real = _augmented(config, batch, batch.real, "augment.real")
    fake = _augmented(config, batch, fake, "augment.fake")
    if config.objective.joint_batch:
        on_real, on_fake = _judged(networks, torch.cat([real, fake.to(real.dtype)])).chunk(2)
        return on_real, on_fake
    # One after the other: batch norm normalises each with its own statistics.
    return _judged(networks, real), _judged(networks, fake)


def _judged(networks: Networks, pictures: Tensor) -> Tensor:
    logits = networks.discriminator(pictures)
    return logits if logits.dtype == torch.float64 else logits.float()


def _augmented(config: Config[Any, Any], batch: Batch, pictures: Tensor, purpose: str) -> Tensor:
    settings = config.augment
    if not settings.policy:
        return pictures
    numbers = batch.draws.uniform(purpose, NUMBERS)
    with torch.autocast(pictures.device.type, enabled=False):
        # Shifting by whole pixels is exact; in bf16 it would round the picture a second time.
        whole = pictures if pictures.dtype == torch.float64 else pictures.float()
        return augment(whole, numbers, settings.policy, settings.translation, settings.cutout)


def _changed(batch: Batch, pictures: Tensor) -> Tensor:
    """Shifted a little, and every other one mirrored, for the consistency of D."""
    numbers = batch.draws.uniform("consistency", NUMBERS)
    mirrored = (batch.draws.uniform("consistency.mirror") < 0.5)[:, None, None, None]
    turned = torch.where(mirrored, pictures.flip(3), pictures)
    with torch.autocast(pictures.device.type, enabled=False):  # as in `_augmented`
        return augment(turned, numbers, ("translation",), CHANGE)
