"""How strongly to augment: moved by how far the discriminator is ahead (Karras et al. 2020, arXiv
2006.06676, section 3.2).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

EVERY = 4
"""Steps from one move of the probability to the next, as in the paper."""


class Control(NamedTuple):
    """The probability, and what was read since it last moved."""

    probability: float = 0.0
    total: float = 0.0
    """Sum of the readings."""
    readings: int = 0


def read(control: Control, overfit: float) -> Control:
    """Take note of one of D's updates.

    Args:
        control: as it is.
        overfit: from -1 to 1, the mean over the batch and all processes.
    """
    return control._replace(total=control.total + overfit, readings=control.readings + 1)


def moved(control: Control, target: float, most: float, by: float) -> Control:
    """The probability `by` more if D was further ahead than `target`, `by` less if it was not so
    far, as the mean of the readings has it; never below 0, never above `most`.
    """
    if not control.readings:
        return control
    ahead = control.total / control.readings - target
    by = by if ahead > 0 else -by if ahead < 0 else 0.0
    return Control(min(max(control.probability + by, 0.0), most))


def overfit_by_sign(real_logits: Tensor, threshold: float = 0.0) -> Tensor:
    """r_t = E[sign(D(x) - threshold)] over real pictures, eq. 1, for losses by which D says "real"
    above a threshold: from -1 to 1, a scalar.
    """
    return (real_logits - threshold).sign().mean()


def overfit_by_pairs(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """2 P - 1 with P the share of all pairs of a real and a generated picture that D ranks right,
    half of equal ones counted: from -1 to 1, a scalar.

    It stands in for r_t where logits have no zero, as only their differences count (relativistic
    losses) or are meant (Wasserstein's). Of the same D it reads more: logits of both kinds that are
    normal with the same spread, and 0.6 by the sign, give 0.77 by pairs.
    """
    return (real_logits.flatten()[:, None] - fake_logits.flatten()).sign().mean()
