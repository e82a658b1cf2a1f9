"""What a run learnt, lost and wandered through: its checkpoints, watched one after the other."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from morelike.conditions import encoded
from morelike.data import Dataset
from morelike.devices import pick_device
from morelike.diagnostics import discriminator
from morelike.diagnostics.coverage import Kinds
from morelike.errors import UserError
from morelike.explore.forgetting import (
    Move,
    Question,
    Remembered,
    fallen,
    features_of_pictures,
    move,
    probed,
    questions,
    remembered,
    untrained,
)
from morelike.explore.found import Found, folder_for, write
from morelike.explore.observatory_panels import panels
from morelike.explore.observatory_words import readings
from morelike.explore.opened import Progress, quiet
from morelike.explore.reader import traits_of
from morelike.explore.spectrum import (
    Band,
    apart,
    azimuthal,
    band_pictures,
    band_powers,
    chance_of_decibels,
    cosines,
    decibels,
    octaves,
    order,
)
from morelike.explore.timelapse import Milestone, at, milestones, run_at, spread
from morelike.explore.watched import WITHIN, Asked, Probe, Spectra, Wandering
from morelike.features import Extractor, extractor, features_of
from morelike.players import COMPANY_FROM, Players, players
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import Run
from morelike.sheet import Row, sheet

SEEDS_FROM = 2_000_000
"""Seeds of the samples that are measured, others at each checkpoint, so that two checkpoints have
only the generator in common."""
FEWEST_CHECKPOINTS, MOST_CHECKPOINTS = 2, 48
FEWEST, MOST = 64, 4_000
MOST_REAL = 2_000
VALUES = 1 << 24
"""Numbers in the pictures that spectra are taken of, at most."""
SHOWN = 10
OPPONENTS, ASKED = 8, 64
"""Discriminators that are asked, and about how many pictures of each kind."""
MEMORY = 1 << 30
"""Bytes that kept samples may take."""
MOST_PROBED, FEWEST_PROBED = 400, 40
NOTE = (
    "The same seeds at each checkpoint. Beside them what the figures of observatory.json were "
    "measured at: pictures shown until then, and minutes of training."
)


def observatory(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    checkpoints: int = 12,
    count: int = 256,
    raw: bool = False,
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    data: str | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Watch a run: when each octave of spatial frequency appears, what its discriminator forgets,
    and how its samples wander over the kinds of training pictures.

    Writes `observatory.png`, the panels; `samples.png`, the same seeds at each checkpoint;
    `observatory.json`, all figures.

    Args:
        path: a run folder with two checkpoints or more; the more it keeps, the more is seen.
        out: where results go; `explore/observatory` in `path`, if not given.
        checkpoints: how many of them are looked at, at most, 2 to 48.
        count: samples at each, 64 to 4,000.
        raw: take samples from the weights as they were trained instead of their running average;
            discriminators are always shown those of raw weights, as in training.
        features: the extractor by which kinds of pictures are told, see `morelike.features`.
        weights: its weights, if it needs any.
        data: where the training pictures are now, if not where they were.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (checkpoints done, checkpoints in all), generators first.

    Raises:
        UserError: for anything that a person can mend.
    """
    if not FEWEST_CHECKPOINTS <= checkpoints <= MOST_CHECKPOINTS:
        raise UserError(
            f"{checkpoints} checkpoints are out of range; use --checkpoints {FEWEST_CHECKPOINTS} "
            f"to {MOST_CHECKPOINTS}."
        )
    if not FEWEST <= count <= MOST:
        raise UserError(f"{count} samples are out of range; use --count {FEWEST} to {MOST}.")
    run = run_at(path)
    stops, notices = milestones(run, checkpoints)
    where = pick_device(device)
    look = extractor(features, None if weights is None else Path(weights), where)
    dataset = dataset_of(run, data)
    asked_stops = spread(stops, OPPONENTS)
    total = len(stops) + 2 * len(asked_stops)

    def watched(done: int) -> None:
        progress(done, total)

    spectra, wandering, strips = _samples(run, stops, dataset, look, count, raw, device, watched)
    asked = _discriminators(
        run, asked_stops, dataset, device, lambda done: watched(len(stops) + done)
    )
    progress(total, total)
    chosen = "raw" if raw else "averaged"
    lines = readings(stops, spectra, wandering, asked)
    facts = {
        "run": run.name,
        "checkpoint": f"{len(stops)} of {len(run.checkpoints.all())}, {chosen} weights",
        "weights": chosen,
        "samples_at_each": count,
        "extractor": look.name,
        "checkpoints": [stop.facts() for stop in stops],
        "spectrum": _spectrum_facts(stops, spectra),
        "kinds": _wandering_facts(wandering),
        "discriminator": _asked_facts(asked),
        "reading": lines,
        "notices": [*notices, *asked.missing],
    }
    sheets = {
        "observatory": panels(run.name, stops, spectra, wandering, asked),
        "samples": sheet(f"{run.name}: the same seeds, checkpoint by checkpoint", strips, NOTE),
    }
    folder = folder_for(path, "observatory", out)
    return write(folder, "observatory", facts, sheets, lines=[*lines, *notices, *asked.missing])


# Samples ------------------------------------------------------------------------------------------


def _samples(
    run: Run,
    stops: Sequence[Milestone],
    dataset: Dataset,
    look: Extractor,
    count: int,
    raw: bool,
    device: str,
    watched: Any,
) -> tuple[Spectra, Wandering | None, list[Row]]:
    """All that is measured of samples, and strips of them."""
    train = dataset.train[rng(0, "observatory").permutation(len(dataset.train))[:MOST_REAL]]
    size = dataset.settings.size
    most = min(256, max(16, VALUES // (3 * size[0] * size[1])), count)
    real = cosines(dataset.images[train[:most]])
    bands = octaves(size)
    powers = band_powers(real, bands)
    half = len(real) // 2
    ruled = [band_pictures(real[: 2 * half], band) for band in bands]
    usual = np.array(
        [_apart(one[:half], one[half:], band) for one, band in zip(ruled, bands, strict=True)]
    )
    frequencies, spectrum = azimuthal(real)
    seen = features_of(look, dataset.images[np.sort(train)])
    kinds = Kinds.of(seen)
    ratios, far, curves, counts, strips = [], [], [], [], []
    for number, stop in enumerate(stops):
        generator = at(run, stop, raw, device)
        first = SEEDS_FROM + number * count
        images = generator.sample(range(first, first + count))
        found = cosines(images[:most])
        ratios.append(decibels(band_powers(found, bands), powers))
        curves.append(azimuthal(found)[1])
        far.append(
            [
                _apart(one[:half], band_pictures(found[:half], band), band)
                for one, band in zip(ruled, bands, strict=True)
            ]
        )
        if len(kinds.members) > 1:
            counts.append(np.rint(kinds.shares(features_of(look, images)) * count).astype(int))
        strips.append(Row(stop.words, list(generator.sample(range(SHOWN)))))
        watched(number + 1)
    spectra = Spectra(
        bands,
        np.array(ratios),
        chance_of_decibels(powers, min(most, count)),
        np.array(far) / np.maximum(usual, 1e-9),
        frequencies,
        spectrum,
        np.array(curves),
    )
    if not counts:
        return spectra, None, strips
    of_real = np.rint(kinds.shares(seen) * len(seen)).astype(int)
    return spectra, wandering_of(of_real, np.array(counts)), strips


def _apart(real: np.ndarray, other: np.ndarray, band: Band) -> float:
    return apart(real[: len(other)], other, rng(0, "patches", band.name))


def wandering_of(real: np.ndarray, counts: np.ndarray) -> Wandering:
    """From counts of training pictures (K,) and of samples (T, K), by kind."""
    largest = np.argsort(-real, kind="stable")
    real, counts = real[largest], counts[:, largest]
    moves = [move(counts[t], counts[t + 1], t) for t in range(len(counts) - 1)]
    to_real = [move(real, one, f"real {t}") for t, one in enumerate(counts)]
    return Wandering(real, counts, moves, to_real)


# Discriminators -----------------------------------------------------------------------------------


def _discriminators(
    run: Run, stops: list[Milestone], dataset: Dataset, device: str, watched: Any
) -> Asked:
    """Ask each discriminator about the samples of each generator, and probe its features."""
    place = str(pick_device(device))
    first = players(run, stops[-1].checkpoint, place)
    nobody = Asked(stops, np.full((len(stops),) * 2, np.nan), "", "unknown", [], [])
    if first.discriminator is None:
        return nobody._replace(missing=[f"no discriminator was asked: {first.missing}"])
    stops = spread(stops, _affordable(first, dataset))
    seeds = range(SEEDS_FROM, SEEDS_FROM + ASKED)
    company = range(COMPANY_FROM, COMPANY_FROM + (4 * first.batch if first.mixes else 1))
    makers: list[Remembered] = []
    for stop in stops:
        makers.append(remembered(players(run, stop.checkpoint, place), (seeds, company)))
        watched(len(makers))
    condition = first.config.condition
    around = dataset.train[np.sort(rng(0, "asked").permutation(len(dataset.train))[:256])]
    # Not the first of them: files may stand in the order of their labels.
    shown = around[np.sort(rng(0, "asked", "some").permutation(len(around))[:ASKED])]
    images, told = dataset.images[around], _told(condition, dataset, around)
    about, missing = _questions(dataset)
    real: list[np.ndarray] = []
    rows: list[list[np.ndarray]] = []
    scores: list[list[np.ndarray]] = []
    for stop in stops:
        now = players(run, stop.checkpoint, place)
        real.append(
            now.logits_of_pictures(
                dataset.images[shown], images, _told(condition, dataset, shown), told
            )
        )
        rows.append(
            [
                now.logits_of_samples(seeds, maker=maker, train=images, train_condition=told)
                for maker in makers
            ]
        )
        scores.append([_probed(now, dataset, question) for question in about])
        watched(len(stops) + len(real))
    matrix = np.array(
        [
            [discriminator.auc(answers, fake).value for fake in fakes]
            for answers, fakes in zip(real, rows, strict=True)
        ]
    )
    older = {
        stop.images: fake
        for stop, fake in zip(stops[:-1], rows[-1][:-1], strict=True)
        if stop.images > 0
    }
    finding = discriminator.forgetting(real[-1], rows[-1][-1], older, stops[-1].images)
    fresh = untrained(first)
    probes = [
        probe
        for number, question in enumerate(about)
        for probe in probes_of(
            question,
            [moment[number] for moment in scores],
            _probed(fresh, dataset, question),
            sum(len(one.names) for one in about),
        )
    ]
    return Asked(stops, matrix, finding.sentence, finding.state, probes, missing)


def _affordable(one: Players, dataset: Dataset) -> int:
    """How many checkpoints' samples fit the memory that is set aside."""
    height, width = dataset.settings.size
    kept = ASKED + (4 * one.batch if one.mixes else 1)
    return max(2, min(OPPONENTS, MEMORY // (kept * height * width * 3 * 4)))


def _told(condition: Any, dataset: Dataset, rows: np.ndarray) -> np.ndarray | None:
    records = [dataset.manifest[i] for i in rows]
    return encoded(condition, records) if condition.size else None


def _questions(dataset: Dataset) -> tuple[list[Question], list[str]]:
    """What D's features are probed for, and a sentence where they are not."""
    traits = traits_of(dataset.manifest)
    if not traits:
        return [], [
            "D's features were not probed: the pictures have neither labels nor attributes; give "
            "data.labels=folders, or a metadata.csv beside the pictures"
        ]
    asked = questions(dataset.manifest, traits, MOST_PROBED)
    enough = [one for one in asked if len(one.rows) >= FEWEST_PROBED]
    if len(enough) < len(asked):
        few = [name for one in asked if len(one.rows) < FEWEST_PROBED for name in one.names]
        return enough, [
            f"D's features were not probed for {', '.join(few)}: fewer than {FEWEST_PROBED} "
            "pictures tell them evenly"
        ]
    return enough, []


def _probed(one: Players, dataset: Dataset, question: Question) -> np.ndarray:
    return probed(features_of_pictures(one, dataset.images[question.rows]), question)


def probes_of(
    question: Question, moments: Sequence[np.ndarray], fresh: np.ndarray, asked: int
) -> list[Probe]:
    """From scores (n, names) at each moment, and those of an untrained D; `asked` are all names."""
    found = []
    for column, name in enumerate(question.names):
        scores = [moment[:, column] for moment in moments]
        loss = fallen(scores, asked)
        found.append(
            Probe(
                name,
                question.classes,
                question.chance,
                float(fresh[:, column].mean()),
                [float(one.mean()) for one in scores],
                float(scores[-1].std() / math.sqrt(len(scores[-1]))),
                loss.best,
                loss.fall,
                loss.lost,
            )
        )
    return found


# Figures ------------------------------------------------------------------------------------------


def _spectrum_facts(stops: Sequence[Milestone], spectra: Spectra) -> dict[str, Any]:
    found = order(spectra.appeared)
    return {
        "unit": "cycles per picture, along its shorter side",
        "within_db": WITHIN,
        "bands": [
            {
                "band": band.name,
                "from": band.low,
                "to": None if math.isinf(band.high) else band.high,
                "power_ratio_db": _rounded(spectra.ratios[:, i], 2),
                "chance_db": _rounded(spectra.chance[:, i], 2),
                "patch_distance_to_that_of_real_halves": _rounded(spectra.far[:, i], 2),
                "appears_at_images": None if when is None else stops[when].images,
            }
            for i, (band, when) in enumerate(zip(spectra.bands, spectra.appeared, strict=True))
        ],
        "low_before_high": {
            "spearman": None if found.correlation is None else round(found.correlation, 3),
            "p_two_sided": round(found.chance, 4),
        },
    }


def _wandering_facts(wandering: Wandering | None) -> dict[str, Any] | None:
    if wandering is None:
        return None

    def told(one: Move) -> dict[str, float]:
        names = ("total_variation", "mean_by_chance", "p95_by_chance", "p")
        return {name: round(x, 4) for name, x in zip(names, one, strict=True)}

    return {
        "shares_of_training_pictures": _rounded(wandering.real / wandering.real.sum(), 4),
        "shares_of_samples": [_rounded(one / one.sum(), 4) for one in wandering.counts],
        "moves": [told(one) for one in wandering.moves],
        "to_training_pictures": [told(one) for one in wandering.to_real],
    }


def _asked_facts(asked: Asked) -> dict[str, Any] | None:
    if not asked.finding:
        return None
    return {
        "images": [stop.images for stop in asked.stops],
        "auc_of_discriminator_by_generator": [_rounded(row, 4) for row in asked.matrix],
        "asked_about": ASKED,
        "forgets": asked.state,
        "finding": asked.finding,
        "probes": [
            {
                "trait": one.name,
                "measure": "accuracy, classes alike in number" if one.classes else "R^2",
                "chance": round(one.chance, 4),
                "untrained": round(one.fresh, 4),
                "scores": _rounded(one.scores, 4),
                "standard_error_of_last": round(one.error, 4),
                "best_at_images": asked.stops[one.best].images,
                "fall": round(one.fall, 4),
                "lost": one.lost,
            }
            for one in asked.probes
        ],
    }


def _rounded(values: Any, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]
