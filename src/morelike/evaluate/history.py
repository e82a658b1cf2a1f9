"""A run's history, measured: its checkpoints one by one, or what its own probes wrote down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from morelike import sampling
from morelike.diagnostics.copies import Copies
from morelike.diagnostics.copying import most_honest
from morelike.diagnostics.evidence import Evidence
from morelike.diagnostics.finding import Curve
from morelike.diagnostics.learning import FEWEST, Moment, recorded
from morelike.evaluate.subject import SEEDS_FROM, Subject
from morelike.features import Extractor, features_of
from morelike.metrics.kernel import kid
from morelike.players import spread_over

SAMPLES = 128
CHECKPOINTS = 12


class Measured(NamedTuple):
    """One checkpoint."""

    images: int
    minutes: float
    kid: float | None
    """KID x 1000 to held-out pictures; None where too few were held out."""
    near: int | None
    """Near-copies among `samples`; None where nobody looked."""
    samples: int


def measured(
    subject: Subject,
    evidence: Evidence,
    copies: Copies | None,
    look: Extractor,
    say: Callable[[str], None] = lambda text: None,
) -> list[Measured]:
    """At most a dozen of the run's checkpoints, oldest first; none for a folder of pictures."""
    if subject.run is None:
        return []
    found = []
    until = [c for c in subject.run.checkpoints.all() if c.images <= subject.images]
    for checkpoint in spread_over(until, CHECKPOINTS):
        say(f"looking at the checkpoint after {checkpoint.images:,} images")
        generator = sampling.load(subject.run.path, str(checkpoint.images), device="cpu")
        images = generator.sample(range(SEEDS_FROM, SEEDS_FROM + SAMPLES))
        held = evidence.held_out.features
        distance = None
        if len(held) >= FEWEST:
            distance = 1000 * kid(features_of(look, images), held)
        near = None if copies is None else int(copies.judge(images).near.sum())
        minutes = checkpoint.meta()["seconds"] / 60
        found.append(Measured(checkpoint.images, minutes, distance, near, SAMPLES))
    return found


def moments(subject: Subject, extractor: str, found: Sequence[Measured]) -> list[Moment]:
    """By time: the run's own probes, if they used this extractor and are more; else `found`."""
    records = subject.run.metrics() if subject.run is not None else []
    probed = recorded(records, extractor, subject.images)
    seen = [Moment(m.images, m.minutes, m.kid) for m in found if m.kid is not None]
    # The first one is of untrained weights, and no part of a slope.
    chosen = probed if len(probed) > len(seen) else seen
    return [moment for moment in chosen if moment.images > 0]


def onset(found: Sequence[Measured], copies: Copies) -> int | None:
    """Pictures shown when copying was first beyond chance and stayed so to the end."""
    begun = None
    for one in found:
        if one.near is None:
            continue
        honest = most_honest(one.samples, copies)
        before = one.images if begun is None else begun
        begun = before if one.near > honest else None
    return begun


def near_curve(found: Sequence[Measured], copies: Copies) -> tuple[Curve, ...]:
    """The share of near-copies over the run."""
    seen = [(m.images, m.near / m.samples) for m in found if m.near is not None]
    if len(seen) < 2:
        return ()
    honest = most_honest(SAMPLES, copies) / SAMPLES
    images, values = zip(*seen, strict=True)
    begun = onset(found, copies)
    return (Curve("share of near-copies", images, values, (0.0, honest), begun),)
