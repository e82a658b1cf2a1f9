"""Augmentation: what the discriminator sees of every picture, real or generated.

The same random changes on real and generated pictures, in both networks' updates, with gradients
flowing through them to the generator. Each function is pure: pictures and random numbers in,
pictures out. `differentiable.py` is Zhao et al. 2020, always applied; the rest is Karras et al.
2020, applied with a probability that `control.py` may move. docs/augmentation.md says which to use.
"""

from morelike.augment.control import EVERY, Control, moved, overfit_by_pairs, overfit_by_sign, read
from morelike.augment.differentiable import NUMBERS, change_color, cut_out, translate
from morelike.augment.pipeline import (
    ADAPTIVE,
    BLITS,
    COLORS,
    DIFFERENTIABLE,
    GEOMETRY,
    MORE,
    augment,
)

__all__ = [
    "ADAPTIVE",
    "BLITS",
    "COLORS",
    "DIFFERENTIABLE",
    "EVERY",
    "GEOMETRY",
    "MORE",
    "NUMBERS",
    "Control",
    "augment",
    "change_color",
    "cut_out",
    "moved",
    "overfit_by_pairs",
    "overfit_by_sign",
    "read",
    "translate",
]
