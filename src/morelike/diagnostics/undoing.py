"""Whether a picture fits its set better once a change is undone.

Where faces look up and skies are above, the mean picture of a set tells how its pictures stand. A
sample that was made upside down fits that mean little, and once turned it fits as real pictures do.
So with every other change that has an inverse: each is tried on a small copy of the picture. Sets
without such a mean, as of textures, tell nothing in this way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.augment.blit import blit
from morelike.augment.color import Color, matrix, recolored
from morelike.augment.geometry import Geometry, places, resampled

SIDE = 16
"""Shorter side of the small copies."""
Change = Callable[[Tensor], Tensor]


class Reference(NamedTuple):
    """What the pictures of a set have in common."""

    total: Tensor
    """(C, h, w), the sum of their small copies."""
    mirrored: bool
    """Whether they count in both orientations."""
    usual: float
    """How well three quarters of them fit the others at least."""


def reference(real: np.ndarray, *, mirrored: bool = False) -> Reference:
    """Of real pictures (N, H, W, C) uint8; `mirrored`: whether they were shown mirrored, too."""
    small = _small(real)
    total = _own(small, mirrored).sum(0)
    fits = _fit(small, total - _own(small, mirrored))
    return Reference(total, mirrored, float(fits.quantile(0.25)))


def gains(
    images: np.ndarray,
    known: Reference,
    names: Sequence[str],
    left_out: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """(N,) by change: how much better a picture fits once that is undone, as a difference of two
    correlations with the mean of the set; -2 where it fits worse than three quarters of the real
    ones even then, as what fits nowhere is a poor picture and not a changed one.

    Args:
        images: (N, H, W, C) uint8.
        known: the set.
        names: changes that `UNDO` knows.
        left_out: (N, H, W, C), for pictures that are of the set or were made from it: those, each
            of which is taken out of the mean for its own picture.
    """
    small = _small(images)
    total = known.total.expand_as(small)
    if left_out is not None:
        total = total - _own(_small(left_out), known.mirrored)
    before = _fit(small, total)
    found: dict[str, np.ndarray] = {}
    for name in names:
        after = torch.stack([_fit(change(small), total) for change in UNDO[name]]).amax(0)
        gain = torch.where(after >= known.usual, after - before, -2.0)
        found[name] = gain.double().numpy()
    return found


def _small(images: np.ndarray) -> Tensor:
    height, width = images.shape[1:3]
    scale = SIDE / min(height, width)
    size = [max(1, round(height * scale)), max(1, round(width * scale))]
    pictures = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    return F.interpolate(pictures / 127.5 - 1, size, mode="area")


def _own(small: Tensor, mirrored: bool) -> Tensor:
    """What each picture adds to the sum of all."""
    return small + small.flip(3) if mirrored else small


def _fit(small: Tensor, total: Tensor) -> Tensor:
    """(N,): correlation of each picture with its sum over the others, over pixels and channels."""
    one, other = (
        each.flatten(1) - each.flatten(1).mean(1, keepdim=True) for each in (small, total)
    )
    return F.cosine_similarity(one, other, dim=1)


def _moved(**how: float) -> Change:
    """The picture after a geometric change; the rest of it stays neutral."""

    def change(small: Tensor) -> Tensor:
        neutral = {"scale": 1.0, "turn_before": 0.0, "stretch": 1.0, "turn_after": 0.0}
        neutral |= {"right": 0.0, "down": 0.0} | how
        what = Geometry(**{key: small.new_full((1,), value) for key, value in neutral.items()})
        there = places(what, small.shape[3] / small.shape[2]).expand(len(small), -1, -1)
        return resampled(small, there)

    return change


def _tinted(**how: float) -> Change:
    def change(small: Tensor) -> Tensor:
        neutral = {"brightness": 0.0, "contrast": 1.0, "flip": 1.0, "hue": 0.0, "saturation": 1.0}
        what = Color(**{k: small.new_full((1,), v) for k, v in (neutral | how).items()})
        return recolored(small, matrix(what).expand(len(small), -1, -1))

    return change


def _turned(turns: int) -> Change:
    def change(small: Tensor) -> Tensor:
        if turns % 2 and small.shape[2] != small.shape[3]:  # it does not fit its place
            return small
        none = torch.zeros(len(small), dtype=torch.long)
        return blit(small, none > 0, none + turns, none, none)

    return change


_SLIDES = [
    _moved(right=right, down=down)
    for right, down in itertools.product((-0.125, 0.0, 0.125), repeat=2)
    if right or down
]
_FACTORS = (0.75, 0.87, 1.15, 1.33)
UNDO: dict[str, list[Change]] = {
    "mirror": [lambda small: small.flip(3)],
    "quarter_turns": [_turned(turns) for turns in (1, 2, 3)],
    "integer_translation": _SLIDES,
    "fractional_translation": _SLIDES,
    "scaling": [_moved(scale=factor) for factor in _FACTORS],
    "anisotropic_scaling": [_moved(stretch=factor) for factor in _FACTORS],
    "rotation": [_moved(turn_after=k * math.pi / 12) for k in range(1, 24)],
    "luma_flip": [_tinted(flip=-1.0)],
    "hue": [_tinted(hue=k * math.pi / 3) for k in range(1, 6)],
}
"""What is tried to undo a change; a coarse grid, as a picture that is nearly right fits nearly as
well."""
