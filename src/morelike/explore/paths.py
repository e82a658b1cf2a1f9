"""Ways from one point to another, and places on them that are equally far apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.config import Config
from morelike.space import Points, Space


class Parts(NamedTuple):
    """Which numbers of a generator's points are latents, conditions and noise."""

    latents: int
    """The first so many columns of the values are independent normal numbers: z, without InfoGAN's
    code. None in w."""
    conditions: int
    """The first so many of the rest are conditions, those after them noise."""


def parts(config: Config, space: Space) -> Parts:
    """Those of the points of a space."""
    if space.name == "w":
        return Parts(0, 0)  # the condition is in w
    # The family regressor has its condition in the place of latents.
    latents = getattr(config.generator, "latent", 0)
    return Parts(latents, int(bool(latents and config.condition.size)))


def between(one: Points, other: Points, at: Sequence[float], has: Parts, mode: str) -> Points:
    """Points on the way from each row to its like.

    Latents go round the sphere if `mode` is slerp, else straight; codes, w and conditions always go
    straight; noise always round, as the sum of two noises is weaker than either, and so there would
    be less detail on the way than at its ends.

    Args:
        one: N points, where the ways begin; at 0 they are these to the last bit.
        other: N points, where they end, the same at 1.
        at: N numbers from 0 to 1, the place on each way.
        has: what the points consist of.
        mode: slerp, or anything else.
    """
    place = torch.tensor(at, dtype=torch.float64)
    turned = has.latents if mode == "slerp" else 0
    values = torch.cat(
        [
            slerp(one.values[:, :turned], other.values[:, :turned], place),
            lerp(one.values[:, turned:], other.values[:, turned:], place),
        ],
        dim=1,
    )
    ways = [lerp if number < has.conditions else slerp for number in range(len(one.rest))]
    pairs = zip(ways, one.rest, other.rest, strict=True)
    return Points(values, tuple(way(a, b, place) for way, a, b in pairs))


def lerp(a: Tensor, b: Tensor, at: Tensor) -> Tensor:
    """(1 - t) a + t b of rows (N, D), at places t (N,); exact at 0 and 1."""
    x, y, t = a.cpu().double(), b.cpu().double(), at.double()[:, None]
    return _exact(a, b, t, (1 - t) * x + t * y)


def slerp(a: Tensor, b: Tensor, at: Tensor) -> Tensor:
    """From row to row of (N, D) by places t (N,), turning at an even rate; exact at 0 and 1.

    Shoemake 1985, "Animating Rotation with Quaternion Curves", section 3.3, for unit vectors:
    (sin((1 - t) A) a + sin(t A) b) / sin A, A the angle between them. Here both may have any
    length, and the length between goes linearly from one to the other: of latents it hardly differs
    (Gaussian numbers lie about a sphere), and a straight way would cut through its inside, where no
    sample is. Rows that point the same way, or that have no direction, are joined by a straight
    line; and so are opposite ones, between which there is no shortest turn.
    """
    x, y, t = a.cpu().double(), b.cpu().double(), at.double()[:, None]
    lengths = [v.norm(dim=1, keepdim=True) for v in (x, y)]
    first, last = (v / n.clamp_min(1e-30) for v, n in zip((x, y), lengths, strict=True))
    # 2 atan2(|a - b|, |a + b|) (Kahan 2006): unlike an arc cosine, exact for small angles, too.
    angle = 2 * torch.atan2(*((first + s * last).norm(dim=1, keepdim=True) for s in (-1, 1)))
    sine = torch.sin(angle)
    unit = (torch.sin((1 - t) * angle) * first + torch.sin(t * angle) * last) / sine
    turned = torch.lerp(lengths[0], lengths[1], t) * unit
    usable = (sine > 1e-9) & (lengths[0] > 0) & (lengths[1] > 0)
    return _exact(a, b, t, torch.where(usable, turned, (1 - t) * x + t * y))


def _exact(a: Tensor, b: Tensor, t: Tensor, found: Tensor) -> Tensor:
    """What was found, in the dtype of a and where a is, but a and b themselves at the ends."""
    start, end = (t == 0).to(a.device), (t == 1).to(a.device)
    # float32 first: MPS has no float64.
    return torch.where(start, a, torch.where(end, b, found.to(a.dtype).to(a.device)))


def evenly(steps: np.ndarray, count: int) -> np.ndarray:
    """Places on a way at which it is cut into `count` parts of equal length.

    Args:
        steps: (S,), lengths of S pieces of the way, whose ends are at 0, 1/S, .. 1.
        count: of parts.

    Returns:
        (count + 1,), rising from 0 to 1; evenly spaced if nothing has a length.
    """
    places = np.linspace(0, 1, len(steps) + 1)
    total = float(steps.sum())
    if not total > 0:
        return np.linspace(0, 1, count + 1)
    gone = np.concatenate([[0.0], np.cumsum(steps)])
    # A little for every piece, so that one on which nothing moves has an inverse, too.
    gone = gone / gone[-1] + 1e-6 * places
    found = np.interp(np.linspace(0, gone[-1], count + 1), gone, places)
    found[0], found[-1] = 0, 1
    return found


def unevenness(steps: np.ndarray) -> float:
    """The largest step over the median one: 1 if all are equal, or if nothing moves; infinite if
    most do not move and some do.
    """
    most, middle = float(steps.max()), float(np.median(steps))
    if not most > 0:
        return 1.0
    return most / middle if middle > 0 else float("inf")
