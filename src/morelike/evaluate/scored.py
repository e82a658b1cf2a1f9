"""Samples and all that is known about each: by every criterion, and beside real pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from morelike.conditions import encoded
from morelike.data import Dataset
from morelike.diagnostics.copies import Copies
from morelike.evaluate.criteria import (
    CRITERIA,
    detail_features,
    layout_features,
    percentiles,
    realism,
)
from morelike.evaluate.receipts import Receipt, receipts, train_keys
from morelike.features import Extractor, features_of
from morelike.players import Players
from morelike.rng import rng

MOST_REAL = 2_000
"""Training pictures that samples are compared with, for realism and rarity, at most: the cost
grows with their square. Copies are looked for among all."""
MOST_HELD = 500
ASKED = 16
"""How often the discriminator is asked about each picture, if its answers depend on chance: even,
so that halves can be compared."""
BLOCK = 64
"""Samples that it is asked about at a time."""

Say = Callable[[str], None]
"""Told what is being done now."""


class Opinions(NamedTuple):
    """The discriminator's logits, the larger the more it takes a picture for real."""

    samples: np.ndarray
    """(N,)"""
    held_out: np.ndarray
    """(H,), of the pictures `held_out(dataset)`."""
    agreement: float
    """How well the order of samples would come out again if all were asked anew, as a correlation:
    1 if no chance is in it."""


@dataclass(frozen=True)
class Scored:
    """Many samples and what is known about each."""

    seeds: Sequence[int]
    images: np.ndarray
    """(N, H, W, C) uint8."""
    values: dict[str, np.ndarray]
    """(N,) of each criterion, NaN where it has none."""
    percentile: dict[str, np.ndarray]
    """(N,) where each lies among real pictures never trained on, 0 to 100; NaN if unknown."""
    receipts: list[Receipt]
    nearest: np.ndarray
    """(N,) which training picture is nearest, counted among the training pictures."""


def scored(
    seeds: Sequence[int],
    images: np.ndarray,
    dataset: Dataset,
    copies: Copies,
    look: Extractor,
    opinions: Opinions | None = None,
    say: Say = lambda text: None,
) -> Scored:
    """Score samples by every criterion.

    Args:
        seeds: N, of the samples.
        images: (N, H, W, C) uint8, N at least 2.
        dataset: what the generator was trained on.
        copies: the copying detector, fitted to it.
        look: the extractor of realism and rarity.
        opinions: the discriminator's, if there is one.
        say: told what is being done now.
    """
    values: dict[str, np.ndarray] = {}
    real: dict[str, np.ndarray] = {}
    train = dataset.images[_some(dataset.train, MOST_REAL)]
    held = dataset.images[held_out(dataset)]
    views = {
        "realism": lambda some: features_of(look, some),
        "layout": layout_features,
        "detail": detail_features,
    }
    for key, view in views.items():
        say(f"comparing samples with training pictures by {key}")
        found = realism(view(train), view(images), view(held))
        values[key], real[key] = found.realism, found.held_realism
        if key == "realism":
            values["rarity"], real["rarity"] = _inside(found.rarity), _inside(found.held_rarity)
    if opinions is not None:
        values["discriminator"], real["discriminator"] = opinions[:2]
    say("looking for copies")
    judged = copies.judge(images)
    values["copying"] = np.asarray(judged.score, np.float64)
    percentile = {key: percentiles(values[key], real[key]) for key in real}
    percentile["copying"] = np.asarray(judged.percentile, np.float64)
    ordered = {one.key: values[one.key] for one in CRITERIA if one.key in values}
    issued = receipts(judged, train_keys(dataset))
    return Scored(seeds, images, ordered, percentile, issued, np.asarray(judged.which))


def held_out(dataset: Dataset) -> np.ndarray:
    """Indices of the held-out pictures that samples are seen beside."""
    return _some(dataset.held_out, MOST_HELD)


def asked(players: Players, seeds: Sequence[int], dataset: Dataset) -> Opinions:
    """What the discriminator thinks of the samples of these seeds, and of held-out pictures.

    It is asked as training asks it, where a picture is augmented, and may be seen in the company of
    others; so it is asked 16 times about each, and the mean is taken. How far chance is left in the
    means is judged by those of the odd and even times: 2r / (1 + r), where r is their correlation
    (Spearman 1910; Brown 1910).

    Args:
        players: with a discriminator.
        seeds: of the samples, made with the averaged weights.
        dataset: what it was trained on.
    """
    settings = players.config.condition
    times = ASKED if players.mixes or players.config.augment.policy else 1

    def told(indices: np.ndarray) -> np.ndarray | None:
        records = [dataset.manifest[i] for i in indices]
        return encoded(settings, records) if settings.size else None

    around = _some(dataset.train, MOST_REAL)
    train, train_condition = dataset.images[around], told(around)
    answers: list[np.ndarray] = []
    for start in range(0, len(seeds), BLOCK):
        # All in turn and then again, so that a picture meets other company each time.
        again = list(seeds[start : start + BLOCK]) * times
        found = players.logits_of_samples(
            again, averaged=True, train=train, train_condition=train_condition
        )
        answers.append(found.reshape(times, -1))
    samples = np.concatenate(answers, axis=1)
    again = np.tile(held_out(dataset), times)
    real = players.logits_of_pictures(dataset.images[again], train, told(again), train_condition)
    held = real.reshape(times, -1).mean(axis=0)
    return Opinions(samples.mean(axis=0), held, _agreement(samples))


def _agreement(answers: np.ndarray) -> float:
    """Of the means of (times, N) answers."""
    if len(answers) == 1:
        return 1.0
    halves = answers[::2].mean(axis=0), answers[1::2].mean(axis=0)
    if not all(half.std() > 0 for half in halves):
        return 0.0
    once = max(0.0, float(np.corrcoef(*halves)[0, 1]))
    return 2 * once / (1 + once)


def _some(indices: np.ndarray, most: int) -> np.ndarray:
    """At most so many of these indices, in their order."""
    return indices[np.sort(rng(0, "gallery").permutation(len(indices))[:most])]


def _inside(rarity: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(rarity), np.nan, rarity)
