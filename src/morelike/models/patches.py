"""A discriminator that judges patches: Isola, Zhu, Zhou & Efros 2017, "Image-to-Image Translation
with Conditional Adversarial Networks", arXiv 1611.07004, section 3.2.2.

It is a stack of convolutions with one logit for each place of its last maps, so it takes pictures
of any size, and what lies further apart than a patch is wide it cannot compare. For that G has the
pixels, which an absolute error gets right wherever they are no matter of detail. Convolutions of
4x4 halve; two of 3x3 follow, of which the last gives the logits. With `layers` halvings a patch is
12, 26, 54 or 110 pixels wide, where theirs is 70.

What differs from the paper: no batch norm, which would mix pictures. Spectral normalisation (Miyato
et al. 2018) or a penalty keeps it smooth instead.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.config import Config, Section
from morelike.models.discriminator import Discriminator
from morelike.models.layers import spectrally_normalised
from morelike.models.sizes import widths

SLOPE = 0.2
"""Of leaky ReLU where its input is negative."""


class PatchConfig(Section):
    """The discriminator's size, what keeps it in check, and what it is shown."""

    width: Annotated[int, Field(ge=1, le=1024)] = 32
    """Feature maps of the first layer; each halving after it has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 256
    """Most feature maps."""
    layers: Annotated[int, Field(ge=1, le=4)] = 3
    """How often it halves; a patch is 12, 26, 54 or 110 pixels wide."""
    norm: Literal["spectral", "none"] = "spectral"
    """Spectral normalisation of all weights (Miyato et al. 2018), or nothing."""
    sees_input: bool = False
    """Show it each picture beside what that was made from (their section 3.1), so that it also
    judges whether one follows from the other."""


class PatchDiscriminator(Discriminator):
    """Pictures (B, C, H, W) in [-1, 1] -> logits (B, P), one a patch, row by row.

    With `sees_input` the channels of what a picture was made from follow those of the picture.
    """

    def __init__(self, given: int, config: Config[Any, Any]) -> None:
        """`given`: channels of what pictures are made from."""
        settings: PatchConfig = config.discriminator
        channels = config.data.shape[0] + (given if settings.sees_input else 0)
        maps = widths(settings.width, settings.widest, settings.layers)
        stages = [
            *(_stage(i, o, 4, 2) for i, o in itertools.pairwise([channels, *maps])),
            _stage(maps[-1], maps[-1], 3, 1),
        ]
        super().__init__(nn.Sequential(*stages), maps[-1], config, initialise)
        self.sees_input = settings.sees_input
        # No bias: it would move all logits alike, to which half of the losses are blind.
        patches: Any = nn.Conv2d(maps[-1], 1, 3, padding=1, bias=False)
        self.logit = patches
        initialise(patches)
        if settings.norm == "spectral":
            spectrally_normalised(self)

    def shown(self, pictures: Tensor, given: Tensor | None) -> Tensor:
        """Pictures (B, C, H, W) as it wants to see them: alone, or with what they were made from
        (B, c, h, w), each pixel repeated up to their size, (B, C + c, H, W).
        """
        if not self.sees_input:
            return pictures
        assert given is not None, "this discriminator judges pictures beside their inputs"
        large = F.interpolate(given, pictures.shape[2:], mode="nearest")
        return torch.cat([pictures, large.to(pictures.dtype)], 1)

    def maps(self, *scales: Tensor) -> list[Tensor]:
        """What each layer before the logits makes of pictures as it wants to see them, (B, F, h, w)
        each.
        """
        (maps,) = scales
        return [maps := stage(maps) for stage in self.trunk.children()]

    def features(self, *scales: Tensor) -> Tensor:
        """The last of the maps."""
        return self.maps(*scales)[-1]

    def logits(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, P) of the last maps."""
        return self.logit(features).flatten(1)

    def forward(self, *scales: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, P) of pictures and, as the condition, what they were made from, where it wants to see
        that.
        """
        (pictures,) = scales
        return self.logits(self.features(self.shown(pictures, condition)))


def initialise(network: nn.Module) -> None:
    """Draw all weights from N(0, 2 / (1.04 fan_in)), He's for LeakyReLU of slope 0.2."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _stage(ins: int, outs: int, side: int, stride: int) -> nn.Sequential:
    layer = nn.Conv2d(ins, outs, side, stride, padding=1)
    return nn.Sequential(layer, nn.LeakyReLU(SLOPE, inplace=True))
