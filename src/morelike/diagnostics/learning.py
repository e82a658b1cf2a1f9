"""Learning: are samples coming nearer to real pictures, and is it worth going on?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from morelike.diagnostics.evidence import Evidence
from morelike.diagnostics.finding import Curve, Figure, Finding
from morelike.metrics.chances import student
from morelike.metrics.kernel import (
    KernelDistance,
    exceeding_share,
    kid,
    kid_interval,
    kid_permutations,
)
from morelike.rng import rng

FEWEST = 4
"""Held-out pictures below which KID is not measured."""
EXCHANGES = 200
MOST = 500
"""Pictures of each set whose labels are exchanged."""
CHANCE = 0.05
"""Samples are unlike real pictures if chance makes such a distance more rarely."""
RECENT = 0.5
"""The slope is that of the last half of the time."""
STEEP = 3.0
POINTS = 4
"""Measurements in it below which nothing is said about the slope."""
SMALL = 0.02
"""A change over that half by less than this share of the distance is standing still."""
WORTH = 0.25
"""A change over that half by this share of the distance would be worth going on for."""
LOST = 1.5
"""Diverged: farther from real pictures than at the best by this factor, and beyond chance."""


class Moment(NamedTuple):
    """One measurement of a run's history."""

    images: int
    minutes: float
    kid: float
    """KID x 1000 of samples to held-out pictures."""


def recorded(records: Sequence[Mapping[str, Any]], extractor: str, until: int) -> list[Moment]:
    """What probes wrote into a run's records, by this extractor, up to so many pictures shown."""
    return [
        Moment(record["images"], record["seconds"] / 60, record["kid"])
        for record in records
        if isinstance(record.get("kid"), (int, float))
        and math.isfinite(record["kid"])
        and record.get("extractor") == extractor
        and record["images"] <= until
    ]


class Trend(NamedTuple):
    """Where the distance goes."""

    slope: float
    """KID x 1000 a minute; below 0 is better."""
    error: float
    """Its standard error, from the scatter about the line."""
    reach: float
    """How far to each side of it the true slope lies, in 95 of 100 cases; 2 errors of many
    measurements, and 4 of four (Student 1908)."""
    change: float
    """Over the whole stretch, as a share of the distance at its beginning."""
    minutes: float
    """The stretch."""
    scatter: float
    """Standard deviation of one measurement about the line or, if that is smaller, as neighbours
    differ: a jump is no scatter."""
    points: int

    @property
    def improves(self) -> bool:
        """Beyond chance, and by more than a little."""
        return self.slope < -self.reach and self.change < -SMALL

    @property
    def worsens(self) -> bool:
        """Beyond chance, and by more than a little."""
        return self.slope > self.reach and self.change > SMALL

    @property
    def stands(self) -> bool:
        """Neither, and so surely that a gain worth having would have been seen."""
        if self.improves or self.worsens:
            return False
        level = abs(self.slope * self.minutes / self.change) if self.change else math.inf
        return (abs(self.slope) + self.reach) * self.minutes < WORTH * level


def trend(history: Sequence[Moment]) -> Trend | None:
    """The line through the last half of the time; None where that has too few measurements.

    A distance that falls to a third or less is followed in its logarithm, which is nearer to a
    line, and the slope is that at the end.
    """
    if not history:
        return None
    end, begin = history[-1].minutes, history[0].minutes
    recent = [m for m in history if m.minutes >= end - RECENT * (end - begin)]
    if len(recent) < POINTS or recent[-1].minutes <= recent[0].minutes:
        return None
    x = np.array([m.minutes for m in recent])
    y = np.array([m.kid for m in recent])
    x = x - x[0]
    steep = y.min() > 0 and y.max() > STEEP * y.min()
    y = np.log(y) if steep else y
    slope, start = np.polyfit(x, y, 1)
    freedom = len(x) - 2
    scatter = math.sqrt(np.square(y - start - slope * x).sum() / freedom)
    error = scatter / math.sqrt(np.square(x - x.mean()).sum())
    # Of a normal distribution, where differences have sqrt(2) of its spread.
    beside = float(np.median(np.abs(np.diff(y)))) / (0.6745 * math.sqrt(2))
    at_end = math.exp(start + slope * x[-1]) if steep else 1.0
    change = math.expm1(slope * x[-1]) if steep else float(slope * x[-1] / max(abs(start), 1e-9))
    return Trend(
        float(slope) * at_end,
        error * at_end,
        student(freedom) * error * at_end,
        change,
        float(x[-1]),
        min(scatter, beside) * at_end,
        len(x),
    )


def progress(history: Sequence[Moment]) -> str:
    """LEARNING, STALLED, DIVERGED or, where it cannot be told, UNKNOWN."""
    line = trend(history)
    if line is None:
        return "UNKNOWN"
    if line.improves:
        return "LEARNING"
    best = min(moment.kid for moment in history)
    # The lowest of many measurements lies about sqrt(2 log n) deviations low by chance alone.
    chance = math.sqrt(2 * math.log(len(history))) + student(line.points - 2)
    if history[-1].kid > max(LOST * best, best + chance * line.scatter):
        return "DIVERGED"
    return "STALLED" if line.worsens or line.stands else "UNKNOWN"


def distance_to_held_out(evidence: Evidence) -> KernelDistance | None:
    """KID of the samples to the held-out pictures; None where these are too few."""
    if len(evidence.held_out) < FEWEST:
        return None
    return kid_interval(evidence.samples.features, evidence.held_out.features)


def null_of(evidence: Evidence) -> tuple[float, float]:
    """Where KID lies between half of the training pictures and the held-out ones, in 95 of 100
    exchanges between them.
    """
    train, held = evidence.train.features, evidence.held_out.features
    numbers = rng(0, "learning null")
    # No more of them than there are samples: a small set scatters more.
    count = max(2, min(len(train) // 2, len(evidence.samples)))
    half = train[numbers.permutation(len(train))[:count]]
    exchanged = kid_permutations(half, held, EXCHANGES, numbers)
    low, high = np.quantile(exchanged.numpy(), [0.025, 0.975]).tolist()
    return low, high


def learning_finding(evidence: Evidence, history: Sequence[Moment] = ()) -> Finding:
    """Whether the run is learning, stands still, or has got worse, and what going on is worth.

    Args:
        evidence: the sets as they are now.
        history: earlier measurements, by time; none for a folder of pictures.
    """
    found = distance_to_held_out(evidence)
    if found is None:
        return Finding(
            "learning",
            "unknown",
            f"With {len(evidence.held_out)} held-out pictures the distance to real ones cannot be "
            f"measured; hold out {FEWEST} or more (data.held_out).",
            word="UNKNOWN",
        )
    low, high = (1000 * bound for bound in null_of(evidence))
    figure = Figure(
        "KID x 1000 to held-out pictures",
        1000 * found.value,
        1000 * found.low,
        1000 * found.high,
        (low, high),
        f"{len(evidence.samples)} samples, {len(evidence.held_out)} held-out pictures, "
        f"{evidence.extractor}",
    )
    like = 1000 * found.value <= high and unlike_by_chance(evidence) > CHANCE
    return _concluded(figure, history, like)


def _concluded(figure: Figure, history: Sequence[Moment], near: bool) -> Finding:
    assert figure.null is not None and figure.low is not None
    curve = Curve(
        "KID x 1000 to held-out pictures",
        tuple(m.images for m in history),
        tuple(m.kid for m in history),
        figure.null,
    )
    curves = (curve,) if len(history) > 1 else ()
    place = f"KID x 1000 is {figure.value:.0f}"
    place += (
        f", within what real pictures give (up to {figure.null[1]:.0f})"
        if near
        else f", where real pictures give up to {figure.null[1]:.0f}"
    )
    line = trend(history)
    if line is None:
        few = "one set of pictures has no history" if not history else "its history is too short"
        sentence = f"{place}; {few}, so nothing is known of its progress."
        return Finding("learning", "unknown", sentence, "", "UNKNOWN", (figure,), curves)
    worth = Figure(
        "continuing is worth, a minute",
        -line.slope,
        -line.slope - line.reach,
        -line.slope + line.reach,
        note=f"KID x 1000, if it goes on as in the last {_plain(line.minutes)} minutes",
    )
    best = min(history, key=lambda moment: moment.kid)
    slope, reach = _plain(abs(line.slope)), _plain(line.reach)
    signed = f"{'-' if line.slope < 0 else '+'}{slope} ± {reach} a minute"
    words = {
        "LEARNING": f"{place}, and it falls by {slope} (± {reach}) a minute.",
        "DIVERGED": f"{place}; it was {best.kid:.0f} after {best.images:,} images.",
        "STALLED": f"{place}, and "
        + ("it rises" if line.worsens else "it does not fall any more")
        + f" ({signed}).",
        "UNKNOWN": f"{place}; the last {_plain(line.minutes)} minutes are too unsteady to say "
        f"where it goes ({signed}).",
    }
    word = progress(history)
    if word == "UNKNOWN" and near:
        word = "STALLED"
    remedies = {
        "LEARNING": "Go on: morelike train --resume.",
        "DIVERGED": "Take the best checkpoint (--checkpoint best), and train with smaller "
        "optimizer.*.learning_rate or a penalty (penalty.r1).",
        "STALLED": "Stop here and take the best checkpoint (--checkpoint best); more pictures, a "
        "wider generator.width or smaller optimizer.*.learning_rate may bring it further.",
        "UNKNOWN": "Train on, and evaluate again.",
    }
    return Finding(
        topic="learning",
        state="yes" if word == "LEARNING" else "unknown" if word == "UNKNOWN" else "no",
        sentence=words[word],
        remedy=remedies[word],
        word=word,
        figures=(figure, worth),
        curves=curves,
    )


def _plain(number: float) -> str:
    """Two digits or more, and never a power of ten: 0.034, 1.7, 25, 380."""
    return (
        f"{number:.0f}" if number >= 10 else f"{float(f'{number:.2g}'):f}".rstrip("0").rstrip(".")
    )


def unlike_by_chance(evidence: Evidence) -> float:
    """How often chance parts pictures of one kind as far as samples and real pictures are.

    Held-out pictures are often too few to tell; here training pictures count, too, so a generator
    that copies them is like them.
    """
    numbers = rng(0, "unlike")
    real = torch.cat([evidence.train.features, evidence.held_out.features])
    both = (real, evidence.samples.features)
    some = [x[torch.from_numpy(numbers.permutation(len(x))[:MOST])] for x in both]
    exchanged = kid_permutations(some[0], some[1], EXCHANGES, numbers)
    return exceeding_share(kid(some[0], some[1]), exchanged)


def is_of_another_kind(evidence: Evidence) -> bool:
    """Whether held-out pictures are no part of what the training pictures are part of.

    Their KID is more than three times the largest that exchanges between the two give: parts of a
    set that were taken at another time or place differ, too, but not so much.

    Of a dozen held-out pictures or fewer some exchange leaves most where they were, and gives more
    than a third of the KID: then nothing is noticed, however different they are.
    """
    train, held = evidence.train.features, evidence.held_out.features
    numbers = rng(0, "another kind")
    some = train[numbers.permutation(len(train))[: max(FEWEST, len(held))]]
    found = kid_interval(some, held).value
    exchanged = kid_permutations(some, held, EXCHANGES, numbers)
    return exceeding_share(found, exchanged) <= 1 / EXCHANGES and found > 3 * exchanged.max().item()
