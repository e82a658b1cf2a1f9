"""Coverage: which kinds of training pictures does the generator leave out?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.diagnostics.evidence import Evidence
from morelike.diagnostics.finding import Figure, Finding, Panel
from morelike.metrics.chances import binomial_tail
from morelike.metrics.memorization import nearest
from morelike.rng import rng

FEWEST, MOST = 3, 24
"""Kinds that training pictures are parted into."""
ENOUGH = 5
"""Training pictures that make a kind."""
MISSING = 0.2
"""A kind is missing if it has at most this share of the samples that it should have."""
ALARM = 0.01
"""How often chance may make any kind seem missing."""
SHOWN, KINDS_SHOWN = 6, 5


class Kinds(NamedTuple):
    """Training pictures parted into kinds by k-means (Lloyd 1982) in features."""

    centers: Tensor
    """(K, F) float64."""
    members: tuple[np.ndarray, ...]
    """Of each kind, the training pictures, the most typical first."""

    @classmethod
    def of(cls, features: Tensor) -> Kinds:
        """From the features (N, F) of training pictures; about sqrt(N / 2) kinds."""
        x = features.double()
        count = min(max(round((len(x) / 2) ** 0.5), FEWEST), MOST, len(x))
        centers = _spread(x, count)
        count = len(centers)  # fewer where pictures are equal
        for _ in range(50):
            owner = nearest(x, centers).which[:, 0]
            sums = torch.zeros_like(centers).index_add_(0, owner, x)
            sizes = owner.bincount(minlength=count)
            moved = torch.where(sizes[:, None] > 0, sums / sizes.clamp_min(1)[:, None], centers)
            if torch.equal(moved, centers):
                break
            centers = moved
        found = nearest(x, centers)
        owner, apart = found.which[:, 0].numpy(), found.distance[:, 0].numpy()
        members = []
        for kind in range(count):
            own = np.flatnonzero(owner == kind)
            members.append(own[np.argsort(apart[own], kind="stable")])
        large = [kind for kind, own in enumerate(members) if len(own) >= ENOUGH]
        return cls(centers[large], tuple(members[kind] for kind in large))

    def shares(self, features: Tensor) -> np.ndarray:
        """(K,) share of these pictures (n, F) that are of each kind."""
        owner = nearest(features, self.centers).which[:, 0]
        return (owner.bincount(minlength=len(self.centers)) / len(owner)).numpy()


def coverage_finding(evidence: Evidence) -> Finding:
    """Whether kinds of training pictures are missing among the samples."""
    kinds = Kinds.of(evidence.train.features)
    if len(kinds.members) < 2:
        return Finding(
            "coverage",
            "unknown",
            f"{len(evidence.train)} training pictures are too few to tell kinds among them.",
        )
    expected, found = (kinds.shares(x.features) for x in (evidence.train, evidence.samples))
    samples, every = len(evidence.samples), len(expected)
    seen = np.rint(found * samples).astype(int)
    # How likely it is to see as few, as the chance to see at least as many of the others.
    rare = [binomial_tail(samples - s, samples, 1 - e) for s, e in zip(seen, expected, strict=True)]
    missing = [
        kind
        for kind in np.argsort(-expected, kind="stable").tolist()
        if found[kind] <= MISSING * expected[kind] and rare[kind] < ALARM / every
    ]
    lost = float(expected[missing].sum())
    figure = Figure(
        "kinds left out",
        len(missing),
        null=(0, 0),
        note=f"of {every}, by k-means in features",
    )
    share = Figure("training pictures of these kinds", lost, null=(0.0, 0.0), note="share")
    if not missing:
        sure = sum(binomial_tail(samples, samples, 1 - e) < ALARM / every for e in expected)
        return Finding(
            "coverage",
            "no" if sure == every else "unknown",
            f"All {every} kinds of training pictures have their like among the samples."
            if sure == every
            else f"No kind seems left out, but {samples} samples are enough for {sure} of {every} "
            "kinds only; more samples (--count) would do.",
            figures=(figure, share),
        )
    return Finding(
        topic="coverage",
        state="yes",
        sentence=f"{len(missing)} of {every} kinds of training pictures, with {lost:.0%} of them, "
        "are hardly ever generated.",
        remedy="Train longer, keep batches apart (objective.joint_batch=false), enlarge "
        "training.batch, or train on one kind alone.",
        word="COLLAPSED" if lost > 0.5 else "",
        figures=(figure, share),
        panels=(_left_out(evidence, kinds, missing, expected, found),),
    )


def _left_out(
    evidence: Evidence, kinds: Kinds, missing: list[int], expected: np.ndarray, found: np.ndarray
) -> Panel:
    """One column a kind: typical training pictures of it."""
    shown = missing[:KINDS_SHOWN]
    rows = min(SHOWN, *(len(kinds.members[kind]) for kind in shown))
    columns = tuple(
        f"{expected[kind]:.0%} of training pictures, {found[kind]:.1%} of samples" for kind in shown
    )
    pictures = tuple(evidence.train.images[kinds.members[kind][:rows]] for kind in shown)
    return Panel("Kinds of training pictures that are left out", columns, pictures)


def _spread(x: Tensor, count: int) -> Tensor:
    """Rows far from one another to begin with: k-means++ (Arthur & Vassilvitskii 2007)."""
    numbers = rng(0, "kinds")
    chosen = [int(numbers.randint(len(x)))]
    apart = nearest(x, x[chosen]).distance[:, 0].square()
    while len(chosen) < count:
        total = apart.cumsum(0)
        if total[-1] <= 0:
            break
        pick = int(torch.searchsorted(total, numbers.random_sample() * total[-1]))
        chosen.append(min(pick, len(x) - 1))
        apart = torch.minimum(apart, nearest(x, x[chosen[-1:]]).distance[:, 0].square())
    return x[chosen]
