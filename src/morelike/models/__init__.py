"""Families of networks: one file each, its name is its registration."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from morelike.augment import BLITS
from morelike.config import Config
from morelike.errors import UserError, nearest
from morelike.features.perceptual import perceptual
from morelike.models.family import Batch, Family, FromPictures, Networks, Term
from morelike.settings import validate

__all__ = [
    "Batch",
    "Family",
    "Networks",
    "Term",
    "check_playable",
    "configure",
    "families",
    "family",
]

# What the families share; every other file here is a family.
SHARED = frozenset(
    {
        "adversarial",
        "discriminator",
        "family",
        "layers",
        "modulated",
        "patches",
        "sizes",
        "strided",
        "translation",
    }
)

WHOLE_PIXELS = ("translation", "cutout", *BLITS)
"""Changes that leave each pixel the value it has, so that an input goes through them beside its
picture: a mask stays a mask."""


def families() -> list[str]:
    """Names of all families."""
    return [m.name for m in pkgutil.iter_modules(__path__) if m.name not in SHARED]


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        UserError: if there is none; the nearest known name is given.
    """
    if name not in families():
        raise UserError(f"there is no family '{name}'; {nearest(name, families())}.")
    return cast("Family", importlib.import_module(f"{__name__}.{name}"))


def configure(values: Mapping[str, Any], where: str = "configuration") -> Config[Any, Any]:
    """Check a nested mapping of settings and fill in every default.

    Raises:
        UserError: for unknown keys, values out of range, or a family that does not exist.
    """
    chosen = family(str(values.get("family", "dcgan")))
    model = Config[chosen.GeneratorConfig, chosen.DiscriminatorConfig]
    sections = {"generator": {}, "discriminator": {}, **values}
    return validate(model, sections, where)


def check_playable(config: Config[Any, Any]) -> None:
    """Check that task, objective, penalties and networks go together.

    Raises:
        UserError: if they do not, with the reason.
    """
    with torch.device("meta"):  # no memory and no time
        generator, discriminator = family(config.family).build(config)
    if config.task.name:
        _check_task(config, generator)
    mixes = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in discriminator.modules())
    if config.penalty.of_gradients and mixes:
        raise UserError(
            f"the discriminator of {config.family} has batch norm, by which a picture's logit "
            "depends on all others in its batch, so a penalty on the gradient of single pictures "
            "(r1, r2, one_centered, zero_centered) means nothing; take a discriminator without "
            "it, such as resnet's, or dcgan's or fastgan's with discriminator.norm=spectral, or "
            "set these penalties to 0."
        )
    for player in (config.generator, config.discriminator):
        if network := getattr(player, "compared_by", None):
            perceptual(*network)  # so that what it lacks is said now


def _check_task(config: Config[Any, Any], generator: nn.Module) -> None:
    task, on = config.task, config.condition.on
    if not isinstance(generator, FromPictures):
        remedy = "unet" if task.scale == 1 else "enlarger"
        raise UserError(
            f"the family {config.family} makes pictures from chance, and the task {task.name} is "
            f"to make them from other pictures; set family={remedy}, or leave task.name out."
        )
    if on:
        raise UserError(
            f"with the task {task.name} it is a picture that says what to make, and nobody is told "
            f"condition.on={list(on)}; leave it out."
        )
    changes = [name for name in config.augment.policy if name not in WHOLE_PIXELS]
    if changes and getattr(config.discriminator, "sees_input", False):
        raise UserError(
            f"a discriminator that sees the input beside the picture can be shown both moved by "
            f"whole pixels, but not changed by {changes[0]}; take {', '.join(WHOLE_PIXELS)} for "
            "augment.policy, or set discriminator.sees_input=false."
        )
