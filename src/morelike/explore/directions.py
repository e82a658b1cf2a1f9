"""Named directions of a generator's space: those that change pictures most, and those that labels,
attributes and codes name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.conditions import LABEL
from morelike.directions import Direction, Directions, write_vectors
from morelike.errors import UserError
from morelike.explore.effects import Effect, effects, ruler
from morelike.explore.found import Found, folder_for, write
from morelike.explore.latent_directions import (
    activations,
    first_maps,
    in_steps,
    linear_direction,
    logistic_direction,
    principal_directions,
    semantic_factors,
)
from morelike.explore.opened import Opened, Progress, opened, quiet
from morelike.explore.reader import Reader, reader_of
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import is_run
from morelike.sheet import Row, heat, sheet
from morelike.space import Points, joined

KINDS = ("sefa", "pca", "traits", "codes")
SAMPLES = 2_000
"""From whose points directions are learnt: three quarters of them, the others check."""
RANDOM = 10
"""Random directions that the others are compared with."""
REACH = 2.0
"""Steps to either side over which an effect is measured."""
STOPS = (-3, -2, -1, 0, 1, 2, 3)
SLID = 64
"""Seeds that are moved along a trait's direction to see what is read then."""
MOST_COUNT, MOST_BASE = 64, 256
NOTE = (
    "In the middle the sample, to the right so many steps along the direction, to the left against "
    "it; a step is one standard deviation of what seeds have along it. At the end, where it "
    "changes something. size: how far features move from -2 to 2, 1 is as far as from one sample "
    "to another."
)


class Candidate(NamedTuple):
    """A direction before it is measured."""

    name: str
    kind: str
    vector: Tensor
    facts: dict[str, Any]


def directions(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    kinds: Sequence[str] = KINDS,
    count: int = 8,
    base: int = 8,
    seed: int = 0,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    data: str | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Find directions, measure what each does, and keep them for `sample --move NAME=STEPS`.

    - sefa1, sefa2, ...: the strongest of the layer that the point enters by (SeFa);
    - pca1, pca2, ...: the principal components of activations (GANSpace);
    - of each label and attribute of the training pictures one, by its name: what a small network,
      which learns to read them off real pictures first, reads off samples;
    - code0, code1, ...: InfoGAN's codes.

    Writes `directions.png`, `directions.json` (figures) and `directions.safetensors` (vectors).

    Args:
        path: a run folder or a shared generator; traits need the run folder.
        out: where results go; `explore/directions` in `path`, if not given, where `sample` looks.
        kinds: which to look for.
        count: how many of sefa and of pca, 1 to 64.
        base: seeds from which effects are measured, 1 to 256.
        seed: the first of them, and the one that is shown.
        checkpoint: best, latest or a number of images seen.
        features: the extractor, see `morelike.features`.
        weights: its weights, if it needs any.
        data: where the training pictures are now, if not where they were.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (done, in all).

    Raises:
        UserError: for an unknown kind, counts out of bounds, traits asked for that there are none
            of, or no usable generator.
    """
    _check(kinds, count, base)
    model = opened(path, checkpoint, device)
    points = model.points(range(1_000_000, 1_000_000 + SAMPLES))
    found: list[Candidate] = []
    if "codes" in kinds:
        found += _codes(model, points)
    reader: Reader | None = None
    if "traits" in kinds:
        reader = _reader(model, data, only=list(kinds) == ["traits"], progress=progress)
    if reader is not None:
        found += _of_traits(reader, model.show(points, progress), points.values)
    if "sefa" in kinds:
        vectors = semantic_factors(first_maps(model.space, points.rows(slice(2))), count)
        found += _numbered("sefa", vectors, points.values)
    if "pca" in kinds:
        with torch.no_grad():
            seen = activations(model, points)
        found += _numbered("pca", principal_directions(points.values, seen, count), points.values)
    if not found:
        raise UserError(
            "the generator has no codes, which only the family infogan has; use --kind sefa, pca "
            "or traits."
        )
    size = points.values.shape[1]
    drawn = torch.from_numpy(rng(0, "directions").standard_normal((RANDOM, size))).float()
    random = _numbered("random", drawn.to(points.values), points.values)
    from_points = model.points(range(seed, seed + base))
    by = ruler(model, model.extractor(features, weights))
    measured = effects(
        model,
        joined([from_points.at(from_points.values - REACH * c.vector) for c in found + random]),
        joined([from_points.at(from_points.values + REACH * c.vector) for c in found + random]),
        base,
        by,
        progress,
    )
    usual = float(np.median([effect.size for effect in measured[len(found) :]]))
    if reader is not None:
        found = [_checked(model, reader, c, points.rows(slice(SLID))) for c in found]
    by_name = {
        c.name: Direction(c.name, c.kind, c.vector.cpu(), {**c.facts, **effect.facts()})
        for c, effect in zip(found, measured, strict=False)
    }
    kept = Directions(model.space.name, model.generator.checkpoint, by_name)
    folder = folder_for(path, "directions", out)
    write_vectors(folder, kept)
    sheets = {"directions": _sheet(model, from_points.rows(slice(1)), found, measured, seed)}
    facts = {
        **model.about(),
        **kept.facts(),
        "extractor": by.look.name,
        "samples": SAMPLES,
        "random_size": round(usual, 4),
        "reader": dict(reader.scores) if reader else None,
    }
    return write(folder, "directions", facts, sheets, lines=_lines(by_name, usual))


def _check(kinds: Sequence[str], count: int, base: int) -> None:
    wrong = [kind for kind in kinds if kind not in KINDS]
    if wrong or not kinds:
        raise UserError(
            f"'{wrong[0] if wrong else ''}' is no kind of direction; use {', '.join(KINDS)}."
        )
    if not 1 <= count <= MOST_COUNT or not 1 <= base <= MOST_BASE:
        raise UserError(
            f"--count must be 1 to {MOST_COUNT} and --base 1 to {MOST_BASE}, not {count} and "
            f"{base}."
        )


def _numbered(kind: str, vectors: Tensor, values: Tensor) -> list[Candidate]:
    steps = in_steps(vectors, values)
    return [Candidate(f"{kind}{i}", kind, vector, {}) for i, vector in enumerate(steps, 1)]


def _codes(model: Opened, points: Points) -> list[Candidate]:
    """InfoGAN's codes, each a direction of its own."""
    settings = model.generator.config.generator
    place, size = settings.latent, points.values.shape[1]
    names: list[str] = []
    for number, values in enumerate(getattr(settings, "categorical", ())):
        names += [f"choice{number}:{value}" for value in range(values)]
    names += [f"code{number}" for number in range(size - place - len(names))]
    if model.space.name != "z" or not names:
        return []
    units = torch.eye(size, device=points.values.device)[place:]
    vectors = in_steps(units, points.values)
    return [Candidate(name, "code", v, {}) for name, v in zip(names, vectors, strict=True)]


def _reader(model: Opened, data: str | None, only: bool, progress: Progress) -> Reader | None:
    """What reads labels and attributes; nothing where there are none, unless only they were asked
    for.
    """
    if not is_run(model.path) and not only:
        return None
    dataset = dataset_of(model.run, data) if only or data else _dataset_if_there(model)
    if dataset is None:
        return None
    try:
        return reader_of(
            dataset, model.path / "explore" / "reader", model.generator.device, progress
        )
    except UserError:
        if only:
            raise
        return None


def _dataset_if_there(model: Opened) -> Any:
    try:
        return dataset_of(model.run)
    except UserError:
        return None


def _of_traits(reader: Reader, images: np.ndarray, values: Tensor) -> list[Candidate]:
    """One direction for each class of a trait in words, one for each number."""
    said = reader.read(images)
    split = 3 * len(values) // 4
    found = []
    for trait in reader.traits:
        for column, value in enumerate(trait.classes or ("",)):
            target = torch.from_numpy(said[trait.name][:, column]).to(values)
            if not float(target[:split].std()) > 0:
                continue  # all samples are alike in it
            learn = logistic_direction if trait.classes else linear_direction
            vector = in_steps(learn(values[:split], target[:split])[None], values)[0]
            along = (values[split:] - values.mean(0)) @ vector
            facts = {"unseen_correlation": _correlation(along, target[split:])}
            kind = "label" if trait.name == LABEL else "attribute"
            found.append(Candidate(_name(trait.name, value), kind, vector, facts))
    return found


def _name(trait: str, value: str) -> str:
    if trait == LABEL:
        return value
    return f"{trait}:{value}" if value else trait


def _checked(model: Opened, reader: Reader, candidate: Candidate, points: Points) -> Candidate:
    """Slide some seeds along a trait's direction, and read the trait off what comes of it."""
    place = {
        _name(trait.name, value): (trait, column)
        for trait in reader.traits
        for column, value in enumerate(trait.classes or ("",))
    }
    if candidate.kind not in ("label", "attribute"):
        return candidate
    trait, column = place[candidate.name]
    slid = [points.at(points.values + stop * candidate.vector) for stop in STOPS]
    read = reader.read(model.show(joined(slid)))[trait.name][:, column]
    means = read.reshape(len(STOPS), -1).mean(1)
    amounts = np.repeat(STOPS, len(points.values))
    facts = {
        **candidate.facts,
        "slider": list(STOPS),
        "read": [round(float(mean), 4) for mean in means],
        "slider_correlation": _correlation(torch.tensor(amounts), torch.from_numpy(read)),
    }
    return candidate._replace(facts=facts)


def _correlation(one: Tensor, other: Tensor) -> float:
    both = torch.stack([one.double(), other.double()])
    if not bool((both.std(1) > 0).all()):
        return 0.0
    return round(float(torch.corrcoef(both)[0, 1]), 4)


def _sheet(
    model: Opened,
    point: Points,
    found: Sequence[Candidate],
    measured: Sequence[Effect],
    seed: int,
) -> np.ndarray:
    most = max((float(effect.where.max()) for effect in measured), default=1.0)
    rows = []
    for candidate, effect in zip(found, measured, strict=False):
        stops = [point.at(point.values + stop * candidate.vector) for stop in STOPS]
        words = [
            f"{candidate.name}: mostly {effect.mostly}",
            f"size {effect.size:.2f}, consistency {effect.consistency:.2f}",
        ]
        if "slider_correlation" in candidate.facts:
            low, high = candidate.facts["read"][0], candidate.facts["read"][-1]
            words.append(f"reads {low:.2f} to {high:.2f}")
        rows.append(Row(words, [*model.show(joined(stops)), heat(effect.where, most)]))
    header = [f"{stop:+d}" if stop else "0" for stop in STOPS]
    title = f"{model.generator.name}: directions of {model.space.name}, seed {seed}"
    return sheet(title, rows, NOTE, header)


def _lines(by_name: Mapping[str, Direction], usual: float) -> list[str]:
    width = max(map(len, by_name), default=0)
    lines = []
    for name, one in by_name.items():
        line = f"{name:<{width}}  size {one.facts['size']:.2f}  mostly {one.facts['mostly']}"
        if "slider_correlation" in one.facts:
            read = one.facts["read"]
            line += f"  reads {read[0]:.2f} to {read[-1]:.2f}"
        lines.append(line)
    return [*lines, f"a random direction has size {usual:.2f}"]
