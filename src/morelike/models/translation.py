"""What families that make pictures from pictures have in common: what G is fed, and what it is
trained for.

The task (`tasks/`) gives each real picture x an input s, and G is to make x of s. That it errs by
little (`pixels`) leads to the mean, or the median, of all pictures that s could have come from: a
blur wherever s does not say. That D takes G(s) for real leads to one of them. A distance between
maps of a network (`perceptual`, `matching`) lies between: it forgives where exactly a spoke is, and
not that there is none. The sum of these with weights is the objective of Ledig et al. 2017 (SRGAN,
eq. 3), Isola et al. 2017 (pix2pix, eq. 4) and Wang et al. 2018 (pix2pixHD, eq. 4 and 5).
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from morelike.config import Config, Section
from morelike.errors import UserError
from morelike.features.perceptual import perceptual
from morelike.losses import LOSSES
from morelike.metrics.fidelity import feature_distance
from morelike.models import adversarial
from morelike.models.discriminator import Pictures
from morelike.models.family import Batch, Inputs, Networks, Term
from morelike.models.layers import wide
from morelike.models.patches import PatchDiscriminator
from morelike.rng import Draws
from morelike.tasks import Task, task_of

OWN = "discriminator"
"""The perceptual network that is the run's own."""


class Goals(Section):
    """What G is trained for: each is a weight, 0 turns it off."""

    pixels: Annotated[float, Field(ge=0)] = 1.0
    """Of the mean absolute error of a pixel."""
    perceptual: Annotated[float, Field(ge=0)] = 0.0
    """Of the distance between the maps of a network, scaled to length 1 at each place (Zhang et al.
    2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", eq. 1)."""
    perceptual_network: Annotated[str, Field(pattern="^(discriminator|random|timm:.+)$")] = OWN
    """Which: the discriminator, as it is by then; random, which nobody trained; or timm:NAME, which
    learnt from photographs."""
    perceptual_weights: str | None = None
    """The file (safetensors) that holds the weights of timm:NAME."""
    matching: Annotated[float, Field(ge=0)] = 0.0
    """Of the mean absolute difference of D's maps, layer by layer (pix2pixHD, eq. 4)."""
    adversarial: Annotated[float, Field(ge=0)] = 0.01
    """Of what D has to say. 0: there is no game, and D learns nothing."""

    @property
    def compared_by(self) -> tuple[str, str | None] | None:
        """The network whose maps are compared, and its weights; None: there is no need of one, or
        it is the run's own.
        """
        foreign = self.perceptual and self.perceptual_network != OWN
        return (self.perceptual_network, self.perceptual_weights) if foreign else None

    @model_validator(mode="after")
    def _there_is_a_goal(self) -> Goals:
        by_own = self.matching or (self.perceptual and self.perceptual_network == OWN)
        if by_own and not self.adversarial:
            raise ValueError(
                "with adversarial = 0 the discriminator learns nothing, so its maps say nothing; "
                "set matching = 0, and perceptual = 0 or another perceptual_network"
            )
        if not any((self.pixels, self.perceptual, self.matching, self.adversarial)):
            raise ValueError("with all weights 0 there is nothing to learn; set pixels=1")
        return self


def task_for(config: Config[Any, Any]) -> Task:
    """The task of the configuration.

    Raises:
        UserError: if there is none, or the pictures do not suit it.
    """
    task = task_of(config)
    if task is None:
        raise UserError(
            f"the family {config.family} makes pictures from other pictures; name what from, as in "
            "--set task.name=enlarge:4, or take a family that makes them from chance, as dcgan."
        )
    return task


def trained_size(config: Config[Any, Any], task: Task) -> tuple[int, int]:
    """(height, width) of the pictures that G is to make in training."""
    height, width = config.data.size
    whole = height, width // 2 if task.halves else width
    crop = config.task.crop
    return whole if crop is None else (min(crop, whole[0]), min(crop, whole[1]))


def opponent(config: Config[Any, Any], task: Task) -> PatchDiscriminator:
    """The discriminator of pictures that this task asks for.

    Raises:
        UserError: if they cannot be halved so often.
    """
    least, side = 2**config.discriminator.layers, min(trained_size(config, task))
    if side < least:
        raise UserError(
            f"a discriminator with {config.discriminator.layers} layers needs at least {least} "
            f"pixels on a side, not {side}; set discriminator.layers or task.crop."
        )
    return PatchDiscriminator(task.channels, config)


def inputs(config: Config[Any, Any], draws: Draws, condition: Tensor | None = None) -> Inputs:
    """The pictures to start from, (count, c, h, w), and nothing that is drawn.

    Raises:
        UserError: if there are none.
    """
    if condition is None or condition.dim() != 4:
        raise UserError(
            f"the family {config.family} makes pictures from other pictures, not from chance; give "
            "it some, as `morelike enhance apply` does."
        )
    return (condition,)


class Sight(adversarial.Sight):
    """What D makes of a batch of pictures and their inputs, which it may see beside them.

    A real picture and what G made of its input are augmented alike, so that their maps can be
    compared place by place.
    """

    @property
    def _is_joint(self) -> bool:
        return False  # it mixes no pictures, so its answers are the same in one batch or two

    @cached_property
    def made(self) -> Tensor:
        """What G makes of the inputs, (B, C, H, W) in [-1, 1]."""
        return self._made()[0]

    @cached_property
    def real(self) -> Pictures:
        """Real pictures as D sees them."""
        return self._shown(self.batch.real, self.batch.inputs[0], "augment.real")

    @cached_property
    def fake(self) -> Pictures:
        """What G made of their inputs, as D sees it."""
        return self._shown(self.made, self.batch.inputs[0], "augment.real")

    @cached_property
    def real_maps(self) -> list[Tensor]:
        """What D's layers make of real pictures, (B, F, h, w) each."""
        return self.networks.discriminator.maps(*self.real)

    @cached_property
    def fake_maps(self) -> list[Tensor]:
        """The same of what G made."""
        return self.networks.discriminator.maps(*self.fake)

    @cached_property
    def real_features(self) -> Tensor:
        """The last of the maps."""
        return self.real_maps[-1]

    @cached_property
    def fake_features(self) -> Tensor:
        """The last of the maps."""
        return self.fake_maps[-1]

    @cached_property
    def made_unpaired(self) -> Tensor:
        """What G makes of the inputs of which nobody knows the real picture, (B, C, H, W)."""
        kept, given = self.batch.kept, self.batch.unpaired
        if kept and "unpaired" in kept:
            return kept["unpaired"][0]
        with torch.set_grad_enabled(self.moving_g or kept is not None):
            made = self.networks.generator(given)
        if kept is not None:
            kept["unpaired"] = (made,)
        return made

    @cached_property
    def unpaired_logits(self) -> Tensor:
        """(B, P), D's answer to that."""
        given = self.batch.unpaired
        assert given is not None
        assert len(given) == self.batch.draws.count, "random numbers are drawn for a batch"
        return self.judge(*self._shown(self.made_unpaired, given, "augment.unpaired"))

    def _shown(self, pictures: Tensor, given: Tensor, purpose: str) -> Pictures:
        """Pictures as D sees them, beside what they were made from if it wants to see that."""
        if not self.moving_g:
            pictures = pictures.detach()
        # In the real ones' precision: a gradient by a picture is as coarse as the picture.
        shown = self.networks.discriminator.shown(pictures.to(self.batch.real.dtype), given)
        return self._seen((shown,), purpose)


def discriminator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """Those of every discriminator, and where there are inputs without a real picture, the same
    game against what G makes of them, which counts as much beside the other as it does for G.
    """
    goals = config.generator
    if not goals.adversarial:
        return []
    sight, loss = Sight(config, networks, batch, moving_g=False), LOSSES[config.objective.loss]

    def unpaired() -> Tensor:
        smoothing = (config.objective.label_smoothing,) if loss.has_targets else ()
        return loss.discriminator(sight.real_logits, sight.unpaired_logits, *smoothing)

    terms = adversarial.discriminator_terms_at(sight)
    if batch.unpaired is not None:
        terms += _weighted(Term("unpaired", goals.unpaired / goals.adversarial, unpaired))
    return terms


def generator_terms(config: Config[Any, Any], networks: Networks, batch: Batch) -> list[Term]:
    """What G is trained for (`Goals`)."""
    goals, sight = config.generator, Sight(config, networks, batch, moving_g=True)

    def pixels() -> Tensor:
        return F.l1_loss(wide(sight.made), batch.real)

    def matching() -> Tensor:
        pairs = zip(sight.fake_maps, sight.real_maps, strict=True)
        return torch.stack([F.l1_loss(wide(fake), wide(real)) for fake, real in pairs]).sum()

    terms = [
        Term("pixels", goals.pixels, pixels),
        Term("perceptual", goals.perceptual, lambda: _distance(sight, goals)),
        Term("matching", goals.matching, matching),
    ]
    if goals.adversarial:
        first, *others = adversarial.generator_terms_at(sight)
        terms += [first._replace(weight=goals.adversarial), *others]
    if batch.unpaired is not None:
        terms += _unpaired_terms(sight, batch.unpaired)
    return _weighted(*terms)


def _unpaired_terms(sight: Sight, given: Tensor) -> list[Term]:
    """What G is trained for where nobody knows the real picture: D judges what it makes, and that
    should be what was given (B, C, h, w), once it is made small again.
    """
    goals, loss = sight.config.generator, LOSSES[sight.config.objective.loss]

    def unpaired() -> Tensor:
        fake = sight.unpaired_logits
        return loss.generator(*((fake, sight.real_logits) if loss.is_relativistic else (fake,)))

    def faithful() -> Tensor:
        return F.l1_loss(F.avg_pool2d(wide(sight.made_unpaired), sight.config.task.scale), given)

    weight = goals.unpaired if goals.adversarial else 0.0
    return [Term("unpaired", weight, unpaired), Term("faithful", goals.faithful, faithful)]


def _distance(sight: Sight, goals: Goals) -> Tensor:
    """Between maps of what G made and of the real pictures, a scalar."""
    if goals.compared_by is None:
        made, real = sight.fake_maps, sight.real_maps
    else:
        look = perceptual(*goals.compared_by)
        made, real = look.maps(sight.made), look.maps(sight.batch.real)
    return feature_distance(made, real).mean()


def _weighted(*terms: Term) -> list[Term]:
    """What has no weight is neither computed nor logged."""
    return [term for term in terms if term.weight]
