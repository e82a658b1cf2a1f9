"""The point of a space whose picture is nearest to a given one (GAN inversion).

Zhu et al. 2016, "Generative Visual Manipulation on the Natural Image Manifold", arXiv 1609.03552,
eq. 1, solved by Adam; noise as in Karras et al. 2020, "Analyzing and Improving the Image Quality of
StyleGAN", arXiv 1912.04958, appendix D. What is not the papers':

- The loss compares pixels, and averages of 2x2, 4x4, ... of them, and no features: a step through
  the features of the `random` extractor takes 13 times as long on a CPU.
- Points are moved in units in which samples have mean 0 and variance 1 in every direction, and are
  kept within the distance from the mean that samples have.
- Steps are larger (0.5 instead of 0.1), with a memory of 20 steps for their size. Of samples of
  two DCGANs at 64 pixels with 64 latents, 200 steps of 0.1 found 46 % and 88 % again within 4
  levels, of four starts each; 300 steps of 0.5 all, of two.
- The noise's autocorrelation weighs less (`QUIET`).
- Nothing is added to w at random; there are several starts instead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.space import Points, Space, joined

RATE, NOISE_RATE = 0.5, 0.1
BETAS = (0.9, 0.95)
RISE, FALL = 0.05, 0.75
"""Shares of the steps in which the rate rises, and falls again."""
QUIET = 1.0
"""Weight of the noise's autocorrelation. The paper's is 1e5 beside a loss of features of large
pictures. At 64 pixels, samples of an untrained network whose noise is worth 30 levels were found
within 4 to 6 levels with 0, where the noise became a picture (autocorrelation 58; 0.5 when drawn);
within 8 to 11 with 1 (3e-6), within 22 to 25 with 100, and with 1e5 no better than without moving
the noise."""
COARSEST = 4
"""The pyramid ends before its shorter side would be below this."""
NOISE_COARSEST = 8
SEEN = 32
"""Shorter side at which starts are compared."""
ROWS = 32
"""Pictures that are moved together, so that memory does not grow with their number."""
FLAT = 1e-6
"""Least variance along an axis, in units of the largest."""

Progress = Callable[[int, int], None]


class Room(NamedTuple):
    """Where in a space is looked: values = mean + moved @ axes, where they may move at all."""

    mean: Tensor
    """(D,)"""
    axes: Tensor
    """(D, D), each as long as samples vary along it."""
    back: Tensor
    """(D, D), its inverse."""
    normal: Tensor
    """(D,) of 1 where a value counts for the distance."""
    fixed: Tensor
    """(D,), whether a value stays as it is: choices."""
    bounded: Tensor
    """(D,), whether a value stays within [-1, 1]."""
    furthest: float
    """The distance from the mean that is not exceeded, in standard deviations."""

    def moved(self, values: Tensor) -> Tensor:
        """(N, D) values in units of standard deviations from the mean."""
        return (values - self.mean) @ self.back

    def values(self, moved: Tensor) -> Tensor:
        """The inverse of `moved`."""
        return self.mean + moved @ self.axes

    def distance(self, values: Tensor) -> Tensor:
        """(N,), how many standard deviations from the mean; about sqrt(D) for a sample."""
        return (self.moved(values) * self.normal).norm(dim=1)

    def within(self, moved: Tensor) -> Tensor:
        """The nearest that is in the room."""
        length = (moved * self.normal).norm(dim=1, keepdim=True)
        share = (self.furthest / length.clamp_min(1e-12)).clamp(max=1)
        nearer = torch.where(self.normal > 0, moved * share, moved)
        return torch.where(self.bounded, nearer.clamp(-1, 1), nearer)


class Inverted(NamedTuple):
    """What was found for each of T targets."""

    points: Points
    loss: Tensor
    """(T,), the pyramid's loss of the best start."""
    losses: Tensor
    """(T, S), of each start."""


def room_of_latents(samples: Tensor, latent: int, choices: int) -> Room:
    """z: N(0, 1) for `latent` values, then one-hot choices, then numbers in [-1, 1].

    Args:
        samples: (N, D), which say how far from 0 is usual.
        latent: how many values are normal.
        choices: how many values are choices.
    """
    size = samples.shape[1]
    place, one = torch.arange(size, device=samples.device), torch.eye(size).to(samples)
    normal = (place < latent).to(samples)
    fixed = (place >= latent) & (place < latent + choices)
    furthest = float((samples * normal).norm(dim=1).max())
    bounded = place >= latent + choices
    return Room(torch.zeros_like(normal), one, one, normal, fixed, bounded, furthest)


def room_of_styles(samples: Tensor) -> Room:
    """W: the mean and the axes of samples (N, D), the distance of the furthest."""
    found = samples.double()
    mean = found.mean(0)
    variance, axes = torch.linalg.eigh((found - mean).T @ (found - mean) / len(found))
    scale = variance.clamp_min(FLAT * max(float(variance[-1]), 1e-12)).sqrt()
    none = torch.zeros_like(mean).bool()
    room = Room(
        mean.to(samples),
        (axes * scale).T.to(samples),
        (axes / scale).to(samples),
        torch.ones_like(mean).to(samples),
        none,
        none,
        math.inf,
    )
    return room._replace(furthest=float(room.distance(samples).max()))


def noise_areas(network: nn.Module) -> list[tuple[int, int]]:
    """(height, width) of each map of noise, which are the generator's last input, in its order."""
    known: Any = getattr(network, "areas", None) or getattr(network, "noises", ())
    return [tuple(area) for area in known if area]


def pyramid(pictures: Tensor) -> list[Tensor]:
    """(N, C, H, W) and the averages of 2x2, 4x4, ... pixels of it."""
    levels = [pictures]
    while min(levels[-1].shape[2:]) >= 2 * COARSEST:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def unlike(pictures: Tensor, targets: Sequence[Tensor]) -> Tensor:
    """(N,), mean squared differences from the targets' pyramid, summed over its levels."""
    levels = zip(pyramid(pictures), targets, strict=True)
    return torch.stack([(a - b).square().mean((1, 2, 3)) for a, b in levels]).sum(0)


def summary(pictures: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, F), the pyramid's levels of 32 pixels and less: the squared distance of
    two rows is how unlike their pictures are there.
    """
    levels = pyramid(pictures)
    coarse = [one for one in levels if min(one.shape[2:]) <= SEEN] or levels[-1:]
    return torch.cat([one.flatten(1) / math.sqrt(one[0].numel()) for one in coarse], 1)


def nearest(samples: Tensor, targets: Tensor, count: int) -> Tensor:
    """(T, count), the rows of samples (N, F) that are nearest to each of (T, F), the best first."""
    # One target's row must not depend on the others, so nothing is multiplied by matrices.
    far = torch.cdist(targets, samples, compute_mode="donot_use_mm_for_euclid_dist")
    return far.argsort(dim=1, stable=True)[:, :count]


def invert(
    space: Space,
    room: Room,
    targets: Tensor,
    starts: Points,
    steps: int,
    areas: Sequence[tuple[int, int]] = (),
    progress: Progress = lambda done, total: None,
) -> Inverted:
    """Look for the points whose pictures are nearest to the targets, from several starts each.

    Conditions and choices stay as they are at the start. What is found for one target does not
    depend on the others, up to rounding.

    Args:
        space: of a generator whose weights need no gradient.
        room: where is looked.
        targets: (T, C, H, W) in [-1, 1].
        starts: T x S points, the S of each target beside each other.
        steps: of Adam.
        areas: the maps of noise in the last of `starts.rest`, which is then moved as well.
        progress: told (steps done, steps in all), each of one picture.

    Returns:
        The best for each target, and how good it is.
    """
    total, each = len(starts.values), len(starts.values) // len(targets)
    whose = torch.arange(total, device=targets.device) // each
    found, losses = [], []
    for begin in range(0, total, ROWS):
        part = slice(begin, min(begin + ROWS, total))

        def told(step: int, begin: int = begin, count: int = part.stop - begin) -> None:
            progress(begin * steps + step * count, total * steps)

        points, loss = _moved(
            space, room, targets[whose[part]], starts.rows(part), steps, areas, told
        )
        found.append(points)
        losses.append(loss)
    by_start = torch.cat(losses).unflatten(0, (len(targets), each))
    best, which = by_start.min(1)
    first = torch.arange(len(targets), device=targets.device) * each
    return Inverted(joined(found).rows(first + which), best, by_start)


@torch.enable_grad()
def _moved(
    space: Space,
    room: Room,
    targets: Tensor,
    starts: Points,
    steps: int,
    areas: Sequence[tuple[int, int]],
    told: Callable[[int], None],
) -> tuple[Points, Tensor]:
    """N points after all steps, and their losses (N,)."""
    wanted = pyramid(targets)
    moved = room.moved(starts.values).detach().clone().requires_grad_()
    noise = starts.rest[-1].detach().clone().requires_grad_() if areas else None
    groups: list[dict[str, Any]] = [{"params": [moved], "most": RATE}]
    if noise is not None:
        groups.append({"params": [noise], "most": NOISE_RATE})
    adam = torch.optim.Adam(groups, lr=RATE, betas=BETAS)

    def points() -> Points:
        rest = starts.rest if noise is None else (*starts.rest[:-1], noise)
        values = room.values(moved)
        return Points(torch.where(room.fixed, starts.values, values), rest)

    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = group["most"] * rate(step / steps)
        # Adam takes each number by itself, so the sum lets each picture go its own way.
        loss = unlike(space.pictures(points()), wanted).sum()
        if noise is not None:
            loss = loss + QUIET * autocorrelation(noise, areas).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            moved.copy_(room.within(moved))
            if noise is not None:
                noise.copy_(renormalised(noise, areas))
        told(step + 1)
    with torch.no_grad():
        ends = points()
        ends = Points(ends.values.detach(), tuple(part.detach() for part in ends.rest))
        return ends, unlike(space.pictures(ends), wanted)


def rate(done: float) -> float:
    """The learning rate's share after so much of all steps: up in a line, down in a half cosine."""
    rising = min(1.0, (done + 0.01) / RISE)
    return rising * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / FALL)))


def autocorrelation(noise: Tensor, areas: Sequence[tuple[int, int]]) -> Tensor:
    """(N,), L of appendix D: squared correlation of each map with itself shifted by one, across and
    down, at every scale down to 8 pixels; 0 in the mean for white noise of infinitely many pixels.

    Args:
        noise: (N, M), all maps one after the other.
        areas: (height, width) of each.
    """
    found = noise.new_zeros(len(noise))
    for part, area in _maps(noise, areas):
        level = part.unflatten(1, (1, *area))
        while min(level.shape[2:]) >= 2:
            for axis in (2, 3):
                shifted = (level * level.roll(1, axis)).mean((1, 2, 3))
                found = found + shifted.square()
            if min(level.shape[2:]) <= NOISE_COARSEST:
                break
            level = 2 * F.avg_pool2d(level, 2)  # the mean of four has half the deviation
    return found


def renormalised(noise: Tensor, areas: Sequence[tuple[int, int]]) -> Tensor:
    """Each map with mean 0 and variance 1."""
    parts = []
    for part, _ in _maps(noise, areas):
        centred = part - part.mean(1, keepdim=True)
        parts.append(centred / centred.square().mean(1, keepdim=True).sqrt().clamp_min(1e-8))
    return torch.cat(parts, 1)


def _maps(noise: Tensor, areas: Sequence[tuple[int, int]]) -> list[tuple[Tensor, tuple[int, int]]]:
    ends = itertools.accumulate(math.prod(area) for area in areas)
    return [
        (noise[:, end - math.prod(area) : end], area) for end, area in zip(ends, areas, strict=True)
    ]
