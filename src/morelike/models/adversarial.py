"""The terms that families with a discriminator have in common."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from morelike import penalties
from morelike.augment import MORE, NUMBERS, augment, overfit_by_pairs, overfit_by_sign
from morelike.conditions import drawn
from morelike.config import Config
from morelike.errors import UserError
from morelike.losses import LOSSES, Loss
from morelike.models.discriminator import MEANS, Pictures, RunningMeans
from morelike.models.family import OVERFIT, Batch, Inputs, MultiScale, Networks, Term
from morelike.models.layers import wide
from morelike.ramps import ramp
from morelike.rng import Draws

CHANGE = 0.125  # of the side: how far consistency shifts (Zhang et al. 2020: 4 of 32 pixels)
THRESHOLDS = {"minimax": 0.0, "non_saturating": 0.0, "hinge": 0.0, "least_squares": 0.5}
"""Above which logit D says "real", for losses that have such a limit; that of least squares is half
of the real label."""


def inputs(config: Config[Any, Any], draws: Draws, condition: Tensor | None = None) -> Inputs:
    """The latents z ~ N(0, 1), (count, latent), and the conditions where there are any, drawn if
    they are not given.
    """
    latents = draws.normal("latents", config.generator.latent)
    if not config.condition.size:
        return (latents,)
    return latents, drawn(config.condition, draws) if condition is None else condition


class Sight:
    """What D makes of a batch: each part is computed when a term first asks for it, and once."""

    def __init__(
        self, config: Config[Any, Any], networks: Networks, batch: Batch, *, moving_g: bool
    ) -> None:
        """`moving_g`: whether gradients flow to G, as they do in its own update only."""
        self.config, self.networks, self.batch = config, networks, batch
        self.moving_g = moving_g
        self.condition = batch.condition if config.condition.size else None

    @cached_property
    def real(self) -> Pictures:
        """Real pictures at each resolution, as D sees them."""
        return self._seen(self.networks.discriminator.scales(self.batch.real), "augment.real")

    @cached_property
    def fake(self) -> Pictures:
        """Generated pictures at each resolution, as D sees them."""
        made = self._made()
        if not self.moving_g:
            made = tuple(p.detach() for p in made)
        # In the real ones' precision: a gradient by a picture is as coarse as the picture.
        return self._seen(tuple(p.to(self.batch.real.dtype) for p in made), "augment.fake")

    @cached_property
    def real_features(self) -> Tensor:
        """(B, F)."""
        return self._both[0] if self._is_joint else self._features(self.real)

    @cached_property
    def fake_features(self) -> Tensor:
        """(B, F)."""
        return self._both[1] if self._is_joint else self._features(self.fake)

    @cached_property
    def real_logits(self) -> Tensor:
        """(B,), or (B, P) of a D that judges P patches."""
        return self._both[2] if self._is_joint else self._logits(self.real_features, self.condition)

    @cached_property
    def fake_logits(self) -> Tensor:
        """(B,), or (B, P)."""
        return self._both[3] if self._is_joint else self._logits(self.fake_features, self.condition)

    def judge(self, *scales: Tensor) -> Tensor:
        """Logits (B,) of other pictures for the batch's conditions."""
        return self._logits(self._features(scales), self.condition)

    def changed(self, pictures: Pictures) -> Pictures:
        """Shifted a little, and every other one mirrored, for the consistency of D."""
        draws = self.batch.draws
        numbers = draws.uniform("consistency", NUMBERS)
        mirrored = (draws.uniform("consistency.mirror") < 0.5)[:, None, None, None]
        turned = (torch.where(mirrored, p.flip(3), p) for p in pictures)
        return tuple(_augmented(p, numbers, ("translation",), CHANGE) for p in turned)

    def signs(self, purpose: str, pictures: Pictures) -> Pictures:
        """+1 or -1 for each value of pictures, by chance."""
        draws = self.batch.draws
        numbers = (draws.uniform(f"{purpose}.{i}", *p.shape[1:]) for i, p in enumerate(pictures))
        return tuple(2.0 * (n < 0.5).to(p) - 1 for n, p in zip(numbers, pictures, strict=True))

    @property
    def _is_joint(self) -> bool:
        return self.config.objective.joint_batch

    @cached_property
    def _both(self) -> tuple[Tensor, ...]:
        """Features and logits of real and generated pictures that D saw in one batch."""
        whole = (torch.cat(pair) for pair in zip(self.real, self.fake, strict=True))
        features = self._features(tuple(whole))
        twice = None if self.condition is None else self.condition.repeat(2, 1)
        return *features.chunk(2), *self._logits(features, twice).chunk(2)

    def _features(self, pictures: Pictures) -> Tensor:
        return self.networks.discriminator.features(*pictures)

    def _logits(self, features: Tensor, condition: Tensor | None) -> Tensor:
        return wide(self.networks.discriminator.logits(features, condition))

    def _made(self) -> Pictures:
        """What G makes of the batch's inputs; kept for its own update where that has the same."""
        kept = self.batch.kept
        if kept and "made" in kept:
            return kept["made"]
        with torch.set_grad_enabled(self.moving_g or kept is not None):
            made = made_at_all_scales(self.networks.generator, self.batch.inputs)
        if kept is not None:
            kept["made"] = made
        return made

    def _seen(self, pictures: Pictures, purpose: str) -> Pictures:
        settings = self.config.augment
        if not settings.policy:
            return pictures
        draws = self.batch.draws
        numbers = draws.uniform(purpose, NUMBERS)
        how: tuple[Any, ...] = settings.translation, settings.cutout
        if not settings.always:
            probability = self.batch.augmentation
            probability = settings.start if probability is None else probability
            how = *how, probability, draws.uniform(f"{purpose}.more", MORE)
        return tuple(_augmented(p, numbers, settings.policy, *how) for p in pictures)


def discriminator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """The configured loss on D(x) and D(G(z)), its penalties, and what D believes of each picture,
    as observations.
    """
    return discriminator_terms_at(Sight(config, networks, batch, moving_g=False))


def generator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """The configured loss on D(G(z)), with gradients through D to G."""
    return generator_terms_at(Sight(config, networks, batch, moving_g=True))


def discriminator_terms_at(sight: Sight) -> list[Term]:
    """The same, for a family that asks D for more besides."""
    objective, loss = sight.config.objective, LOSSES[sight.config.objective.loss]

    def adversarial() -> Tensor:
        smoothing = (objective.label_smoothing,) if loss.has_targets else ()
        return loss.discriminator(sight.real_logits, sight.fake_logits, *smoothing)

    def auxiliary() -> Tensor:
        return _misnamed(sight, sight.real_features) + _misnamed(sight, sight.fake_features)

    return [
        Term("adversarial", 1.0, adversarial),
        *_if_any(Term("auxiliary", _auxiliary(sight), auxiliary)),
        *_penalty_terms(sight),
        *_beliefs(loss, sight),
        *_lead(sight),
    ]


def generator_terms_at(sight: Sight) -> list[Term]:
    """The same, for a family that asks D for more besides."""
    objective, loss = sight.config.objective, LOSSES[sight.config.objective.loss]

    def adversarial() -> Tensor:
        fake = sight.fake_logits
        return loss.generator(*((fake, sight.real_logits) if loss.is_relativistic else (fake,)))

    def matching() -> Tensor:
        """|| E f(x) - E f(G(z)) ||^2, Salimans et al. 2016, section 3.1."""
        real, fake = wide(sight.real_features).mean(0), wide(sight.fake_features).mean(0)
        return (real - fake).square().sum()

    return [
        Term("adversarial", 1.0, adversarial),
        *_if_any(
            Term("auxiliary", _auxiliary(sight), lambda: _misnamed(sight, sight.fake_features)),
            Term("feature_matching", objective.feature_matching, matching),
        ),
    ]


def made_at_all_scales(generator: Any, given: Inputs) -> Pictures:
    """What G makes, at each resolution that it makes pictures at."""
    if isinstance(generator, MultiScale):
        return generator.scales(*given)
    return (generator(*given),)


def _if_any(*terms: Term) -> list[Term]:
    """What has no weight is neither computed nor logged, like what never was there."""
    return [term for term in terms if term.weight]


def _penalty_terms(sight: Sight) -> list[Term]:
    """The configured penalties on D, on pictures as D sees them."""
    settings = sight.config.penalty
    factor = ramp(settings.ramp, sight.batch.draws.images)
    zero, one = penalties.zero_centered, penalties.one_centered
    every = settings.every

    def at(kind: str, pictures: Pictures, logits: Tensor) -> Tensor:
        """R1 or R2."""
        if settings.difference is None:
            return zero(sight.judge, *pictures)
        signs = sight.signs(f"difference.{kind}", pictures)
        return penalties.by_differences(sight.judge, logits, pictures, signs, settings.difference)

    def between() -> Pictures:
        shares = sight.batch.draws.uniform("between")
        pairs = zip(sight.real, sight.fake, strict=True)
        return tuple(penalties.between(real, fake, shares) for real, fake in pairs)

    def whole_square() -> Tensor:  # as its authors write it, without R1's half
        return 2 * zero(sight.judge, *between())

    def consistency() -> Tensor:
        return penalties.consistency(sight.real_logits, sight.judge(*sight.changed(sight.real)))

    def lecam() -> Tensor:
        means = running_means(sight)
        return penalties.lecam(sight.real_logits, sight.fake_logits, means.real, means.fake)

    terms = [
        Term("r1", settings.r1, lambda: at("real", sight.real, sight.real_logits), every),
        Term("r2", settings.r2, lambda: at("fake", sight.fake, sight.fake_logits), every),
        Term("one_centered", settings.one_centered, lambda: one(sight.judge, *between()), every),
        Term("zero_centered", settings.zero_centered, whole_square, every),
        Term("drift", settings.drift, lambda: penalties.drift(sight.real_logits)),
        Term("consistency", settings.consistency, consistency),
        Term("lecam", settings.lecam, lecam),
    ]
    due = _if_any(*(t._replace(weight=t.weight * factor) for t in terms))
    if not settings.lecam:
        return due
    # What the running means follow, also while a ramp holds the penalty at 0.
    logits = (lambda: sight.real_logits.detach().mean(), lambda: sight.fake_logits.detach().mean())
    return [*due, *(Term(name, 0.0, mean) for name, mean in zip(MEANS, logits, strict=True))]


def running_means(sight: Sight) -> RunningMeans:
    """Those of D's logits.

    Raises:
        UserError: if D keeps none.
    """
    means = getattr(sight.networks.discriminator, "means", None)
    if not isinstance(means, RunningMeans):
        raise UserError(
            f"the discriminator of {sight.config.family} keeps no running means of its logits, "
            "which penalty.lecam needs; set penalty.lecam=0."
        )
    return means


def _auxiliary(sight: Sight) -> float:
    return sight.config.condition.auxiliary if sight.config.condition.size else 0.0


def _misnamed(sight: Sight, features: Tensor) -> Tensor:
    classes = len(sight.config.condition.classes)
    return sight.networks.discriminator.misnamed(features, sight.condition, classes)


def _beliefs(loss: Loss, sight: Sight) -> list[Term]:
    """What D answers, for the log: its logits squashed; of one picture of a pair beside the other
    where the game is relativistic.
    """
    if loss.is_relativistic:
        return [
            Term("probability_real", 0.0, lambda: _sure(sight).mean()),
            Term("probability_fake", 0.0, lambda: 1 - _sure(sight).mean()),
        ]
    return [
        Term("probability_real", 0.0, lambda: sight.real_logits.detach().sigmoid().mean()),
        Term("probability_fake", 0.0, lambda: sight.fake_logits.detach().sigmoid().mean()),
    ]


def _lead(sight: Sight) -> list[Term]:
    """How far D is ahead, where the probability of augmentation follows it."""
    if sight.config.augment.target is None:
        return []
    threshold = THRESHOLDS.get(sight.config.objective.loss)

    def lead() -> Tensor:
        real, fake = sight.real_logits.detach(), sight.fake_logits.detach()
        if threshold is None:
            return overfit_by_pairs(real, fake)
        return overfit_by_sign(real, threshold * (1 - sight.config.objective.label_smoothing))

    return [Term(OVERFIT, 0.0, lead)]


def _sure(sight: Sight) -> Tensor:
    """How probable D finds it that the real one of a pair is the real one."""
    return (sight.real_logits.detach() - sight.fake_logits.detach()).sigmoid()


def _augmented(pictures: Tensor, numbers: Tensor, policy: Any, *how: Any) -> Tensor:
    with torch.autocast(pictures.device.type, enabled=False):
        # Shifting by whole pixels is exact; in bf16 it would round the picture a second time.
        return augment(wide(pictures), numbers, policy, *how)
