"""From random numbers to what happens to each picture: all changes, in one order.

The adaptive ones are those of Karras et al. 2020, "Training Generative Adversarial Networks with
Limited Data", arXiv 2006.06676, appendix B, with its order, distributions and constants: blits,
then geometry, then colour. Each is applied to each picture with the probability p, by draws of its
own, so that a picture as it is stays the most probable one. Filtering and noise, which did not help
there, are not here; its cutout is the one of differentiable augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from morelike.augment.blit import blit
from morelike.augment.color import Color, matrix, recolored
from morelike.augment.differentiable import change_color, cut_out, translate
from morelike.augment.geometry import Geometry, places, resampled

DIFFERENTIABLE = ("color", "translation", "cutout")
BLITS = ("mirror", "quarter_turns", "integer_translation")
GEOMETRY = ("scaling", "rotation", "anisotropic_scaling", "fractional_translation")
COLORS = ("brightness", "contrast", "luma_flip", "hue", "saturation")
ADAPTIVE = (*BLITS, *GEOMETRY, *COLORS)
"""What is applied with a probability only; the policy "ada" is all of it."""

SCALE, SLIDE, BRIGHT, CONTRAST, SATURATION = 0.2, 0.125, 0.2, 0.5, 1.0
"""Standard deviations: octaves, share of the side, half of black to white, octaves, octaves."""

_TAKEN = {
    # A number for whether it is applied, then those for how.
    **dict.fromkeys(DIFFERENTIABLE, 1),
    **dict.fromkeys(ADAPTIVE, 2),
    "integer_translation": 3,
    "fractional_translation": 3,
    "rotation": 4,
}
_ENDS = list(accumulate(_TAKEN.values()))
_SLICES = {
    name: slice(end - taken, end) for (name, taken), end in zip(_TAKEN.items(), _ENDS, strict=True)
}
MORE = _ENDS[-1]
"""Uniform random numbers per picture that chance and the adaptive changes take. A change takes the
same ones whichever others there are."""


class _Drawn:
    """What was drawn for each picture; what is not applied has its neutral value."""

    def __init__(self, numbers: Tensor, policy: Sequence[str], probability: Tensor | float) -> None:
        self.numbers, self.policy, self.probability = numbers, policy, probability

    def of(self, name: str) -> Tensor:
        """(B, k), the numbers of a change; the first one decides whether it is applied."""
        return self.numbers[:, _SLICES[name]]

    def applied(self, name: str) -> Tensor:
        """(B,) bool."""
        if name not in self.policy:
            return torch.zeros_like(self.numbers[:, 0], dtype=torch.bool)
        return self.of(name)[:, 0] < self.probability

    def any_of(self, names: Sequence[str]) -> bool:
        """Whether any of these changes is in the policy."""
        return any(name in self.policy for name in names)

    def at(self, name: str, values: Tensor, neutral: float) -> Tensor:
        """The values where the change is applied."""
        return torch.where(self.applied(name), values, neutral)

    def octaves(self, name: str, deviation: float) -> Tensor:
        """Factors 2^n, n normal with this standard deviation; 1 where it is not applied."""
        return self.at(name, torch.exp2(deviation * normal(self.of(name)[:, 1])), 1.0)


def augment(
    pictures: Tensor,
    numbers: Tensor,
    policy: Sequence[str],
    translation: float = 0.125,
    cutout: float = 0.5,
    probability: Tensor | float | None = None,
    more: Tensor | None = None,
) -> Tensor:
    """Apply the named changes, in one order whatever that of their names.

    Args:
        pictures: (B, C, H, W) in [-1, 1].
        numbers: (B, 8) in [0, 1), the randomness of color, translation and cutout.
        policy: which changes to make: of `DIFFERENTIABLE` and `ADAPTIVE`.
        translation: largest shift of both translations by whole pixels, as a share of the side.
        cutout: side of the square cut out as a share of the side.
        probability: with which each change is made to each picture, from 0 to 1, a scalar; None:
            always, which is for `DIFFERENTIABLE` alone.
        more: (B, MORE) in [0, 1), the randomness of everything else; needed with a probability.

    Returns:
        (B, C, H, W); colours may leave [-1, 1], as in the papers.
    """
    if probability is None:
        assert set(policy) <= {*DIFFERENTIABLE}, "adaptive changes need a probability"
        drawn = None
    else:
        assert more is not None, "with a probability, chance needs numbers, too"
        drawn = _Drawn(more.to(pictures.dtype), policy, probability)
        pictures = _adaptive(pictures, drawn, translation)
    if "color" in policy:
        changed = change_color(pictures, numbers[:, 0:3])
        pictures = _where(drawn, "color", changed, pictures)
    if "translation" in policy:
        changed = translate(pictures, numbers[:, 3:5], translation)
        pictures = _where(drawn, "translation", changed, pictures)
    if "cutout" in policy:
        changed = cut_out(pictures, numbers[:, 5:7], cutout)
        pictures = _where(drawn, "cutout", changed, pictures)
    return pictures


def _where(drawn: _Drawn | None, name: str, changed: Tensor, pictures: Tensor) -> Tensor:
    if drawn is None:
        return changed
    return torch.where(drawn.applied(name)[:, None, None, None], changed, pictures)


def _adaptive(pictures: Tensor, drawn: _Drawn, most: float) -> Tensor:
    if drawn.any_of(BLITS):
        pictures = _blitted(pictures, drawn, most)
    if drawn.any_of(GEOMETRY):
        what, changed = _geometry(drawn)
        there = places(what, pictures.shape[3] / pictures.shape[2])
        # Where nothing was drawn the picture stays as it is to the bit.
        pictures = torch.where(changed[:, None, None, None], resampled(pictures, there), pictures)
    if drawn.any_of(COLORS):
        pictures = recolored(pictures, matrix(_color(drawn)))
    return pictures


def _blitted(pictures: Tensor, drawn: _Drawn, most: float) -> Tensor:
    height, width = pictures.shape[2:]
    mirrored = drawn.applied("mirror") & (drawn.of("mirror")[:, 1] < 0.5)
    # A picture that is not square fits its place upright and upside down only.
    turn = 1 if height == width else 2
    turns = (drawn.of("quarter_turns")[:, 1] * (4 // turn)).floor() * turn
    shifts = [
        (drawn.of("integer_translation")[:, place] * (2 * reach + 1)).floor() - reach
        for place, reach in ((1, int(height * most + 0.5)), (2, int(width * most + 0.5)))
    ]
    whole = [
        drawn.at(name, value, 0.0).long()
        for name, value in (
            ("quarter_turns", turns),
            *(("integer_translation", shift) for shift in shifts),
        )
    ]
    return blit(pictures, mirrored, *whole)


def _geometry(drawn: _Drawn) -> tuple[Geometry, Tensor]:
    """What happens to each picture, and (B,) whether anything does."""
    rotation, sliding = drawn.of("rotation"), drawn.of("fractional_translation")
    # Either of the two turns leaves no trace of the other: together they happen with p.
    chance = 1 - (1 - torch.as_tensor(drawn.probability).to(rotation)).clamp(min=0).sqrt()
    turning = (rotation[:, 0::2] < chance) & ("rotation" in drawn.policy)
    angles = torch.where(turning, math.pi * (2 * rotation[:, 1::2] - 1), 0.0)
    right, down = (
        drawn.at("fractional_translation", SLIDE * normal(sliding[:, place]), 0.0)
        for place in (1, 2)
    )
    what = Geometry(
        drawn.octaves("scaling", SCALE),
        angles[:, 0],
        drawn.octaves("anisotropic_scaling", SCALE),
        angles[:, 1],
        right,
        down,
    )
    others = [drawn.applied(name) for name in GEOMETRY if name != "rotation"]
    return what, torch.stack([turning.any(1), *others]).any(0)


def _color(drawn: _Drawn) -> Color:
    flipped = drawn.of("luma_flip")[:, 1] < 0.5
    return Color(
        drawn.at("brightness", BRIGHT * normal(drawn.of("brightness")[:, 1]), 0.0),
        drawn.octaves("contrast", CONTRAST),
        drawn.at("luma_flip", torch.where(flipped, -1.0, 1.0).to(drawn.numbers), 1.0),
        drawn.at("hue", math.pi * (2 * drawn.of("hue")[:, 1] - 1), 0.0),
        drawn.octaves("saturation", SATURATION),
    )


def normal(numbers: Tensor) -> Tensor:
    """Standard normal numbers of uniform ones in [0, 1), by the inverse of their distribution;
    within +-4.9, as beyond float32 has few.
    """
    return 2**0.5 * torch.erfinv(2 * numbers.clamp(5e-7, 1 - 5e-7) - 1)
