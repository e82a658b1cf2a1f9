"""By what samples are best and worst, and which of them are uncanny: good by one, poor by another.

Three views of a picture are compared with training pictures by the same figure, realism
(`metrics.manifold`): by an extractor's features; by its layout, the picture at 8 x 8 pixels; and by
its detail, how much changes from pixel to pixel, wherever in the picture that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.features.extractor import rgb
from morelike.metrics.manifold import manifold

NEIGHBOURS = 5
FEWEST_HELD = 5
"""Held-out pictures needed before a percentile among them is given."""
GAP = 0.5
"""By how much the ranks of an uncanny sample differ at least, as a share of all samples."""
BLOCK = 256
"""Pictures looked at together."""
COARSE, CELLS, SCALES = 8, 8, 2
QUANTILES = (0.1, 0.5, 0.9)


class Criterion(NamedTuple):
    """One figure by which samples are ordered."""

    key: str
    high: str
    """What the sheet of those with the largest figures is called."""
    low: str
    meaning: str


CRITERIA = (
    Criterion(
        "realism",
        "best-realism",
        "worst-realism",
        "Realism in features: how near a sample lies to a training picture, against how near other "
        "training pictures lie to that one; 1 and more is among them. Only the half of them with "
        "the nearest others counts, so the usual is high, and even a copy of an odd one is not.",
    ),
    Criterion(
        "discriminator",
        "best-discriminator",
        "worst-discriminator",
        "The discriminator's own score, the larger the more it takes the sample for real.",
    ),
    Criterion(
        "rarity",
        "rarest",
        "commonest",
        "Rarity: how far apart training pictures lie where the sample is. Samples that lie outside "
        "of all of them have none, for they are not rare but off.",
    ),
    Criterion(
        "copying",
        "farthest-from-copies",
        "nearest-copies",
        "How much nearer the nearest training picture is than the next: the lower, the more the "
        "sample is a copy.",
    ),
    Criterion(
        "layout",
        "best-layout",
        "worst-layout",
        "Realism of the layout: of the sample at 8 x 8 pixels.",
    ),
    Criterion(
        "detail",
        "best-detail",
        "worst-detail",
        "Realism of the detail: of how much changes from pixel to pixel and over two pixels.",
    ),
)
UNCANNY = (
    ("realism", "discriminator"),
    ("discriminator", "realism"),
    ("layout", "detail"),
    ("detail", "layout"),
)
"""High by the first and low by the second."""


AS_THEY_COME = "as-they-come"


class Chosen(NamedTuple):
    """The samples of one sheet."""

    name: str
    title: str
    note: str
    keys: tuple[str, ...]
    """The criteria that it is about."""
    order: np.ndarray
    """Which samples, the most telling first."""


def layout_features(images: np.ndarray) -> Tensor:
    """The pictures at 8 x 8 pixels: (N, H, W, C) uint8 -> (N, 192) float32."""
    return _in_blocks(images, lambda x: F.adaptive_avg_pool2d(x, COARSE).flatten(1))


def detail_features(images: np.ndarray) -> Tensor:
    """How much changes between neighbouring pixels: (N, H, W, C) uint8 -> (N, 18) float32.

    The mean size of brightness steps across, down, and over the corner (x - across - down +
    diagonal, which checkerboards are made of) in 8 x 8 cells, as logarithms; of the cells the 10,
    50 and 90 % quantiles, so that it does not matter where in the picture they are; at full size
    and at half.
    """
    return _in_blocks(images, _detail)


def _in_blocks(images: np.ndarray, look: Callable[[Tensor], Tensor]) -> Tensor:
    blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
    return torch.cat([look(rgb(torch.from_numpy(np.ascontiguousarray(one)))) for one in blocks])


def _detail(shown: Tensor) -> Tensor:
    luma = (shown * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    found: list[Tensor] = []
    ends = torch.tensor(QUANTILES)
    for _ in range(SCALES):
        across, down = luma.diff(dim=3), luma.diff(dim=2)
        for steps in (across, down, across.diff(dim=2)):
            cells = F.adaptive_avg_pool2d(steps.abs(), CELLS).flatten(1)
            found.append((cells + 1).log().quantile(ends, dim=1).T)  # 1 of 255 is the least step
        luma = F.avg_pool2d(luma, 2)
    return torch.cat(found, dim=1)


class Realism(NamedTuple):
    """`manifold`'s figures for samples, and for real pictures that were never trained on."""

    realism: np.ndarray
    rarity: np.ndarray
    """Infinite outside of all balls."""
    held_realism: np.ndarray
    held_rarity: np.ndarray


def realism(train: Tensor, samples: Tensor, held_out: Tensor) -> Realism:
    """Realism and rarity of samples (N, F) and held-out pictures (H, F) to the training pictures.

    Args:
        train: (T, F), T at least 2.
        samples: N at least 2.
        held_out: H may be 0.
    """
    both = torch.cat([samples, held_out])
    k = min(NEIGHBOURS, len(train) - 1, len(both) - 1)
    found = manifold(train, both, k)
    count = len(samples)
    first, second = found.realism.numpy(), found.rarity.numpy()
    return Realism(first[:count], second[:count], first[count:], second[count:])


def percentiles(values: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Share, 0 to 100, of held-out pictures whose figure is lower, equal ones half: (N,).

    NaN where the figure is none, and everywhere if fewer than 5 were held out.
    """
    known = np.sort(held_out[~np.isnan(held_out)])
    if len(known) < FEWEST_HELD:
        return np.full(len(values), np.nan)
    below = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    return np.where(np.isnan(values), np.nan, 50 * below / len(known))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, the lowest, to 1, equal values alike: (N,), N at least 2."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    return middle[which] / (len(values) - 1)


def chosen(values: dict[str, np.ndarray], show: int) -> list[Chosen]:
    """The samples of every sheet.

    Args:
        values: (N,) of each criterion that is known, NaN for a sample without.
        show: how many stand on a sheet at most.

    Returns:
        The first samples as they come, the highest and lowest of every criterion, and the uncanny
        ones, if there are any.
    """
    count = len(next(iter(values.values())))
    every = np.arange(min(show, count))
    found = [Chosen(AS_THEY_COME, "As they come", "The first seeds, not chosen.", (), every)]
    for criterion in CRITERIA:
        if criterion.key not in values:
            continue
        figures = values[criterion.key]
        known = np.flatnonzero(~np.isnan(figures))
        rising = known[np.argsort(figures[known], kind="stable")]
        falling = known[np.argsort(-figures[known], kind="stable")]
        for name, order in ((criterion.high, falling), (criterion.low, rising)):
            if len(order):
                title = name.replace("best-", "best by ").replace("worst-", "worst by ")
                title = title.replace("-", " ").capitalize()
                keys = (criterion.key,)
                found.append(Chosen(name, title, criterion.meaning, keys, order[:show]))
    for first, second in UNCANNY:
        if first in values and second in values:
            order = uncanny(values[first], values[second])[:show]
            if len(order):
                name, title = _uncanny_name(first, second), f"Uncanny: {first} without {second}"
                note = _uncanny_note(first, second)
                found.append(Chosen(name, title, note, (first, second), order))
    return found


def names() -> list[str]:
    """What all sheets are called that there can be."""
    ends = [name for criterion in CRITERIA for name in (criterion.high, criterion.low)]
    return [AS_THEY_COME, *ends, *(_uncanny_name(*pair) for pair in UNCANNY)]


def uncanny(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The samples whose rank by `first` is above that by `second` by half of all ranks and more.

    It is relative to the other samples: the ranks of two criteria that have nothing to do with each
    other differ by as much, in this direction, for one sample of eight.

    Args:
        first: (N,), N at least 2, no NaN.
        second: (N,), the same samples.

    Returns:
        Which samples, the largest difference first.
    """
    gap = ranks(first) - ranks(second)
    order = np.argsort(-gap, kind="stable")
    return order[gap[order] >= GAP]


def _uncanny_name(first: str, second: str) -> str:
    return f"uncanny-{first}-without-{second}"


def _uncanny_note(first: str, second: str) -> str:
    return (
        f"Among these samples the rank by {first} is above the rank by {second} by at least half "
        "of all ranks, the largest difference first."
    )
