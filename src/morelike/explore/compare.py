"""Runs side by side: the same seeds, the same measures, the same real pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.data import Dataset
from morelike.devices import pick_device
from morelike.diagnostics.collapse import Yardstick, distances
from morelike.diagnostics.copies import Copies
from morelike.diagnostics.copying import most_honest
from morelike.errors import UserError
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Progress, quiet
from morelike.explore.timelapse import run_at
from morelike.features import Extractor, extractor, features_of
from morelike.metrics.kernel import kernel, kid_interval
from morelike.metrics.manifold import manifold
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import Run
from morelike.sampling import TrainedGenerator, load
from morelike.sheet import Row, sheet

K = 5
MOST_RUNS, SHOWN = 12, 10
FEWEST, MOST = 16, 5_000
MOST_REAL = 2_000
"""Training pictures that samples are compared with by neighbours."""
FEWEST_HELD = 8
"""Held-out pictures, below which training pictures stand for them."""
EFFORT = 256
"""Of learning what a copy is; `morelike evaluate` takes more."""
SEEDS_FROM = 2_000_000
"""Those of the measures, which `morelike evaluate` takes as well; the sheet shows the first."""
NOTE = (
    "The same seeds in all rows. KID x 1000: distance to real pictures that were not trained on, "
    "lower is better, with its standard error; that of real pictures is from those trained on. "
    "Precision: share of samples among real pictures; recall: share of real pictures among "
    "samples; variety: share of that of real pictures."
)


class Measures(NamedTuple):
    """What is measured of one set of pictures against one set of real ones."""

    kid: float
    """KID x 1000 to real pictures that were not trained on."""
    error: float
    """Its standard error."""
    precision: float
    recall: float
    coverage: float
    variety: float
    """Vendi score by that of as many real pictures."""
    near_copies: int | None
    """None where nobody can tell."""

    def facts(self) -> dict[str, float | int | None]:
        """Rounded, by their standard names."""
        return {
            "kid_x_1000": round(self.kid, 3),
            "kid_standard_error": round(self.error, 3),
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "coverage": round(self.coverage, 4),
            "vendi_ratio": round(self.variety, 4),
            "near_copies": self.near_copies,
        }


@dataclass(frozen=True)
class Reals:
    """Real pictures, and all that is known of them before a sample is seen."""

    dataset: Dataset
    held: Tensor
    """(M, F) features that KID is measured to."""
    train: Tensor
    """(N, F)"""
    copies: Copies | None
    yardstick: Yardstick
    notices: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset, look: Extractor) -> Reals:
        """Look at the real pictures of a run.

        Raises:
            UserError: if they are too few.
        """
        train, held, notices = dataset.train, dataset.held_out, []
        if len(train) <= 2 * K:
            raise UserError(
                f"{len(train)} training pictures are too few to measure by; {2 * K + 1} or more "
                "are needed."
            )
        some = train[np.sort(rng(0, "compare").permutation(len(train))[:MOST_REAL])]
        features = features_of(look, dataset.images[some])
        if len(held) >= FEWEST_HELD:
            reference = features_of(look, dataset.images[held])
        else:
            reference = features
            notices.append(
                f"{len(held)} pictures were held out, too few to measure by, so KID is to training "
                "pictures and does not know copies from new ones"
            )
        try:
            copies = Copies.fitted(dataset.images[train], dataset.images[held], EFFORT)
        except UserError as error:
            copies = None
            notices.append(f"near-copies cannot be told: {str(error).rstrip('.')}")
        yardstick = Yardstick.of("features", features)
        return cls(dataset, reference, features, copies, yardstick, tuple(notices))

    def measure(self, features: Tensor, images: np.ndarray | None) -> Measures:
        """Measure pictures with features (n, F); copies are looked for among `images` (n, ...)."""
        distance = kid_interval(features, self.held)
        among = manifold(self.train, features[:MOST_REAL], K)
        near = None
        if self.copies is not None and images is not None:
            near = int(self.copies.judge(images).near.sum())
        return Measures(
            1000 * distance.value,
            1000 * distance.standard_error,
            among.precision,
            among.recall,
            among.coverage,
            self.yardstick.variety(distances(features)).ratio,
            near,
        )

    def usual(self) -> Measures:
        """What real pictures get: half of the training pictures, by the other half."""
        order = torch.from_numpy(rng(0, "halves").permutation(len(self.train)))
        one, other = (self.train[half] for half in order.tensor_split(2))
        distance = kid_interval(self.train, self.held)
        among = manifold(one, other, K)
        shares = among.precision, among.recall, among.coverage
        return Measures(1000 * distance.value, 1000 * distance.standard_error, *shares, 1.0, None)


class Compared(NamedTuple):
    """One run."""

    name: str
    generator: TrainedGenerator
    reals: Reals
    shown: np.ndarray
    features: Tensor
    measures: Measures
    images: int
    minutes: float
    parameters: int

    def facts(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "run": self.name,
            "checkpoint": self.generator.checkpoint,
            "family": self.generator.config.family,
            "data": self.reals.dataset.digest,
            "size": list(self.reals.dataset.settings.size),
            "images": self.images,
            "minutes": round(self.minutes, 2),
            "generator_parameters": self.parameters,
            **self.measures.facts(),
        }


def compare(
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    count: int = 256,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    data: str | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Lay runs side by side.

    All are measured against the real pictures of the first one; a run that learnt from others is
    measured against its own, and that is said.

    Writes `compare.png`, a row for each run, after one of real pictures; `compare.json`, with all
    figures.

    Args:
        paths: two to twelve run folders.
        out: where results go; `explore/compare` in the first, if not given.
        count: samples of each run that are measured, 16 to 5,000.
        checkpoint: best, latest or a number of images seen, of all runs.
        features: the extractor, see `morelike.features`.
        weights: its weights, if it needs any.
        data: where the pictures of all runs are now, if not where they were.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (runs done, runs in all).

    Raises:
        UserError: for anything that a person can mend.
    """
    if not 2 <= len(paths) <= MOST_RUNS:
        raise UserError(f"compare takes 2 to {MOST_RUNS} run folders, not {len(paths)}.")
    if not FEWEST <= count <= MOST:
        raise UserError(f"{count} samples are out of range; use --count {FEWEST} to {MOST}.")
    runs = [run_at(path) for path in paths]
    names = different([run.path for run in runs])
    where = pick_device(device)
    look = extractor(features, None if weights is None else Path(weights), where)
    known: dict[str, Reals] = {}
    found: list[Compared] = []
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        generator = load(run.path, checkpoint, device=device)
        digest = run.data()["digest"]
        if digest not in known:
            known[digest] = Reals.of(dataset_of(run, data), look)
        found.append(compared(run, name, generator, known[digest], look, count))
        progress(number + 1, len(runs))
    notices = [*unlike(found), *dict.fromkeys(n for r in known.values() for n in r.notices)]
    notices += [f"{one.name}: {n}" for one in found for n in one.generator.notices]
    usual = {digest: reals.usual() for digest, reals in known.items()}
    sentences, differences = nearest(found)
    facts = {
        "run": ", ".join(names),
        "checkpoint": str(checkpoint),
        "extractor": look.name,
        "samples": count,
        "seeds": [SEEDS_FROM, SEEDS_FROM + count - 1],
        "k": K,
        "real": [
            {
                "data": digest,
                "kid_to": len(reals.held),
                "neighbours_among": len(reals.train),
                "near_copies_by_chance": _by_chance(reals, count),
                "usual": usual[digest].facts(),
            }
            for digest, reals in known.items()
        ],
        "runs": [one.facts() for one in found],
        "differences": differences,
        "notices": notices,
    }
    lines = [*table(found, usual, count), *notices, *sentences]
    made = sheet("Runs side by side", _rows(found, known, usual, count), NOTE)
    return write(
        folder_for(paths[0], "compare", out), "compare", facts, {"compare": made}, None, lines
    )


def different(paths: Sequence[Path]) -> list[str]:
    """What to call run folders: their names, or their paths where two are called the same."""
    names = [path.resolve().name for path in paths]
    if len(set(names)) == len(names):
        return names
    return [str(path) for path in paths]


def compared(
    run: Run, name: str, generator: TrainedGenerator, reals: Reals, look: Extractor, count: int
) -> Compared:
    """Measure one run against real pictures."""
    images = generator.sample(range(SEEDS_FROM, SEEDS_FROM + count))
    seen = int(generator.checkpoint.split()[0])
    meta = run.checkpoints.find(str(seen))[0].meta()
    features = features_of(look, images)
    return Compared(
        name,
        generator,
        reals,
        images[:SHOWN],
        features,
        reals.measure(features, images),
        seen,
        meta["seconds"] / 60,
        sum(weight.numel() for weight in generator.network.parameters()),
    )


def unlike(found: Sequence[Compared]) -> list[str]:
    """What keeps runs from being compared by their figures."""
    sizes = {one.reals.dataset.settings.size for one in found}
    if len(sizes) > 1:
        named = " and ".join(f"{width}x{height}" for height, width in sorted(sizes))
        return [
            f"the pictures differ in size ({named}), and each run is measured against its own: "
            "figures of different sizes do not compare"
        ]
    if len({one.reals.dataset.digest for one in found}) > 1:
        return [
            "the runs learnt from different pictures, and each is measured against its own: "
            "figures of different data do not compare"
        ]
    return []


class Difference(NamedTuple):
    """How much farther one set is from real pictures than another."""

    value: float
    error: float
    """Its standard error."""


def farther(one: Tensor, other: Tensor, real: Tensor) -> Difference:
    """KID of `one` (N, F) to `real` (M, F) minus that of `other` (N, F), times 1000.

    Both are measured to the same few real pictures and from the same seeds, so most of what chance
    does to each is common to both. With f_i the derivative of the difference by what row i
    weighs, its variance is Var(f_real) / M + Var(f_one - f_other) / N, seed by seed (Bounliphone et
    al. 2016, "A Test of Relative Similarity for Model Selection in Generative Models", section 3):
    f_real = 2 (mean k(real, other) - mean k(real, one)), f_one = 2 (mean k(one, one') -
    mean k(one, real)), f_other likewise.
    """
    one, other, real = (rows.double() for rows in (one, other, real))
    towards, within, distances = [], [], []
    for rows in (one, other):
        among, between = kernel(rows, rows).fill_diagonal_(0), kernel(rows, real)
        near = among.sum(1) / (len(rows) - 1)
        within.append(2 * (near - between.mean(1)))
        towards.append(2 * between.mean(0))
        distances.append(float(near.mean() - 2 * between.mean()))
    spread = (towards[1] - towards[0]).var() / len(real) + (within[0] - within[1]).var() / len(one)
    return Difference(1000 * (distances[0] - distances[1]), 1000 * float(spread.sqrt()))


def nearest(found: Sequence[Compared]) -> tuple[list[str], list[dict[str, Any]]]:
    """Which run is nearest to the real pictures, and how much farther each of the others is; to be
    called farther, it must be so in more than 95 of 100 cases (Bonferroni, for as many others).
    """
    if len({one.reals.dataset.digest for one in found}) > 1:
        return [], []
    first, *rest = sorted(found, key=lambda one: one.measures.kid)
    bound = NormalDist().inv_cdf(1 - 0.025 / len(rest))
    alike, facts = [], []
    for other in rest:
        more = farther(other.features, first.features, first.reals.held)
        if more.value <= bound * more.error:
            alike.append(other.name)
        facts.append(
            {
                "run": other.name,
                "farther_than": first.name,
                "kid_x_1000_difference": round(more.value, 3),
                "standard_error": round(more.error, 3),
                "sure": more.value > bound * more.error,
            }
        )
    if not alike:
        return [f"by KID {first.name} is nearest to the real pictures, beyond chance"], facts
    return [
        f"by KID {first.name} is nearest to the real pictures, but chance could have put it before "
        f"{', '.join(alike)}"
    ], facts


def table(found: Sequence[Compared], usual: dict[str, Measures], count: int) -> list[str]:
    """The figures in columns, with what real pictures get beneath them."""
    head = (
        "run", "KID x 1000", "precision", "recall", "coverage", "variety", "near-copies", "images",
        "minutes", "parameters",
    )  # fmt: skip
    rows = [
        (
            one.name,
            *_figures(one.measures),
            "?" if one.measures.near_copies is None else f"{one.measures.near_copies}/{count}",
            f"{one.images:,}",
            f"{one.minutes:.1f}",
            f"{one.parameters:,}",
        )
        for one in found
    ]
    for number, measures in enumerate(usual.values()):
        name = "real pictures" if len(usual) == 1 else f"real pictures {number + 1}"
        rows.append((name, *_figures(measures), "", "", "", ""))
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]


def _figures(measures: Measures) -> tuple[str, ...]:
    shares = measures.precision, measures.recall, measures.coverage, measures.variety
    return f"{measures.kid:.1f} +-{measures.error:.1f}", *(f"{share:.2f}" for share in shares)


def _by_chance(reals: Reals, count: int) -> int | None:
    return None if reals.copies is None else most_honest(count, reals.copies)


def _rows(
    found: Sequence[Compared], known: dict[str, Reals], usual: dict[str, Measures], count: int
) -> list[Row]:
    """A row of real pictures for each data set, and beneath it its runs."""
    rows = []
    for digest, reals in known.items():
        dataset = reals.dataset
        there = dataset.held_out if len(dataset.held_out) >= FEWEST_HELD else dataset.train
        held = len(dataset.held_out) >= FEWEST_HELD
        rows.append(
            Row(
                [f"real pictures, {'held out' if held else 'trained on'}", *_words(usual[digest])],
                list(dataset.images[there[:SHOWN]]),
            )
        )
        for one in (each for each in found if each.reals is reals):
            near = one.measures.near_copies
            by_chance = _by_chance(reals, count)
            words = [
                one.name,
                *_words(one.measures),
                f"{one.images:,} images, {one.minutes:.0f} min",
                f"{one.parameters:,} parameters in G",
            ]
            if near is not None:
                words.insert(3, f"near-copies {near}/{count} (chance: {by_chance})")
            rows.append(Row(words, list(one.shown)))
    return rows


def _words(measures: Measures) -> list[str]:
    return [
        f"KID {measures.kid:.1f} +- {measures.error:.1f}, variety {measures.variety:.2f}",
        f"precision {measures.precision:.2f}, recall {measures.recall:.2f}",
    ]
