"""The usual measures, each with its uncertainty and what real pictures give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from morelike.diagnostics.evidence import Evidence
from morelike.diagnostics.finding import Figure, Finding
from morelike.metrics.frechet import frechet_distance, frechet_distance_extrapolated, is_biased
from morelike.metrics.kernel import kid_interval
from morelike.metrics.manifold import manifold
from morelike.metrics.memorization import mifid
from morelike.metrics.per_class import kid_per_class
from morelike.metrics.resampling import bootstrap
from morelike.metrics.sliced_wasserstein import sliced_wasserstein
from morelike.pictures import from_uint8
from morelike.rng import rng

K = 5
ROWS_A_FEATURE = 3
"""Fewer than these, and the extrapolation says nothing (`frechet_distance_extrapolated`)."""
MOST = 2_000
"""Pictures of each set that the measures of neighbours look at."""
MOST_CLASSES = 20
MOST_PATCHED = 256


def measures_finding(
    evidence: Evidence, labels: Sequence[str | None] = (), asked: Sequence[str | None] = ()
) -> Finding:
    """All of them, to training pictures: beside each, what a half of these gives to the other."""
    numbers = rng(0, "measures")
    order = numbers.permutation(len(evidence.train))
    half, rest = (evidence.train.features[x] for x in np.array_split(order, 2))
    train, samples = evidence.train.features, evidence.samples.features
    count = len(samples)
    biased = is_biased(len(train), count)
    found = kid_interval(samples, train)
    usual = kid_interval(half, rest) if min(len(half), len(rest)) >= 4 else None
    figures = [
        Figure(
            "KID x 1000 to training pictures",
            1000 * found.value,
            1000 * found.low,
            1000 * found.high,
            (1000 * usual.low, 1000 * usual.high) if usual else None,
            "says nothing of copying",
        ),
        Figure(
            "Fréchet distance to training pictures",
            frechet_distance(samples, train),
            note=(
                f"biased upwards: {min(len(train), count)} pictures are fewer than 2,000, so "
                "compare only figures of equal counts, or KID"
                if biased
                else f"{count} samples, {len(train)} training pictures"
            ),
        ),
    ]
    if min(len(train), count) >= ROWS_A_FEATURE * train.shape[1]:
        limit = frechet_distance_extrapolated(samples, train, numbers)
        reach = 1.96 * limit.standard_error
        figures.append(
            Figure(
                "Fréchet distance at infinite N",
                limit.value,
                limit.value - reach,
                limit.value + reach,
            )
        )
    if len(half) > K and count > K:
        some = [x[:MOST] for x in (train[order], samples)]
        now = manifold(some[0], some[1], K)
        among = manifold(half[:MOST], rest[:MOST], K)
        trusted = (now.realism >= 1).double()[:, None]
        usual_share = (among.realism >= 1).double().mean().item()
        share = bootstrap(lambda x: x.mean().item(), trusted, seed=0)
        for name, value, null, note in (
            ("precision", now.precision, among.precision, "in balls of real pictures"),
            ("recall", now.recall, among.recall, "of real pictures, in balls of samples"),
            ("density", now.density, among.density, "about 1 for real pictures"),
            ("coverage", now.coverage, among.coverage, "of real pictures' balls"),
        ):
            figures.append(Figure(name, value, null=(null, null), note=f"{note}, k = {K}"))
        figures.append(
            Figure(
                "realistic samples",
                share.value,
                share.low,
                share.high,
                (usual_share, usual_share),
                "share with realism of at least 1; lonely real pictures left out",
            )
        )
    figures.append(_texture(evidence))
    figures.append(
        Figure("MiFID", mifid(samples, train), note="Fréchet distance, raised where samples copy")
    )
    return Finding(
        topic="measures",
        state="none",
        sentence=f"By {evidence.extractor}. Figures of different extractors or counts do not "
        "compare.",
        figures=(*figures, *_by_class(evidence, labels, asked)),
    )


def _texture(evidence: Evidence) -> Figure:
    """How far patches are apart, without any extractor."""
    train, samples = (
        from_uint8(x.images[:MOST_PATCHED], torch.device("cpu"))
        for x in (evidence.train, evidence.samples)
    )
    count, half = min(len(train), len(samples)), len(train) // 2
    found = sliced_wasserstein(train[:count], samples[:count], rng(0, "patches"))
    usual = sliced_wasserstein(train[:half], train[half : 2 * half], rng(0, "patches"))
    note = "sliced Wasserstein distance x 1000, with no extractor; band: half of training pictures"
    return Figure("patches", found, null=(0.0, usual), note=note)


def _by_class(
    evidence: Evidence, labels: Sequence[str | None], asked: Sequence[str | None]
) -> list[Figure]:
    """Each class by itself: of samples that were asked for it; or, where nothing was asked for, how
    much of it the samples cover.
    """
    train, samples = evidence.train.features, evidence.samples.features
    if asked:
        found = kid_per_class(train, labels, samples, asked)
        return [
            Figure(f"KID x 1000 of {name}", 1000 * one.value, 1000 * one.low, 1000 * one.high)
            for name, one in found.figures.items()
        ] + [
            Figure(f"KID x 1000 of {few.label}", float("nan"), note="too few pictures")
            for few in found.left_out
        ]
    kinds = sorted({label for label in labels if label is not None})
    figures = []
    for kind in kinds[:MOST_CLASSES] if len(kinds) > 1 else ():
        own = np.array([label == kind for label in labels])
        if own.sum() > K:
            reached = manifold(train[own][:MOST], samples[:MOST], K).coverage
            figures.append(Figure(f"coverage of {kind}", reached, note=f"{own.sum()} pictures"))
    return figures
