"""Families of networks: one file each, its name is its registration."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from morelike.config import Config
from morelike.errors import UserError, nearest
from morelike.models.family import Batch, Family, Networks, Term
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
    {"sizes", "strided", "family", "adversarial", "discriminator", "layers", "modulated"}
)


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
    """Check that objective, penalties and networks go together.

    Raises:
        UserError: if they do not, with the reason.
    """
    with torch.device("meta"):  # no memory and no time
        discriminator = family(config.family).build(config).discriminator
    mixes = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in discriminator.modules())
    if config.penalty.of_gradients and mixes:
        raise UserError(
            f"the discriminator of {config.family} has batch norm, by which a picture's logit "
            "depends on all others in its batch, so a penalty on the gradient of single pictures "
            "(r1, r2, one_centered, zero_centered) means nothing; take a discriminator without "
            "it, such as resnet's, or dcgan's or fastgan's with discriminator.norm=spectral, or "
            "set these penalties to 0."
        )
