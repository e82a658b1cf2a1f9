"""What the discriminator looks at: pictures made for its units, the patches that they like best,
and what it wants changed; beside a classifier that learnt the labels.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike import pictures
from morelike.conditions import encoded
from morelike.data import Dataset
from morelike.devices import pick_device
from morelike.errors import UserError
from morelike.explore.dreaming import (
    Best,
    Layer,
    Network,
    best,
    dreams,
    layers_of,
    patch,
    receptive_field,
    responses,
    separation,
)
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Progress, quiet
from morelike.explore.reader import Reader, reader_of, truth
from morelike.players import Players, as_in_training, players
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import open_run
from morelike.sheet import Row, heat, sheet

OF = ("discriminator", "classifier")
LOOKED_AT = 512
"""Pictures of each kind that units are shown."""
UNITS, STARTS, PATCHES = 6, 2, 4
ASKED, COPIES, NOISE = 8, 16, 0.1
"""Samples whose gradient is shown; noisy copies over which it is averaged, and their noise."""
MOVED = 0.15
"""Mean change along a gradient, of the range [-1, 1], with which it is shown."""
CHUNK = 64
SEEDS_FROM = 2_000_000
NOTE = (
    "Left two pictures made for a unit, from different noise; then the patches of real pictures "
    "that it responds to most, then those of samples. d': how far apart its responses to real "
    "pictures and to samples are, in standard deviations."
)
GRADIENT_NOTE = (
    "A sample; what the discriminator's logit depends on (brighter: more); the sample moved the "
    "way the discriminator wants, exaggerated. The last two rows are real pictures."
)


class Shown(NamedTuple):
    """A layer's peaks over many pictures."""

    peaks: Tensor
    """(N, channels), the largest response over each map."""
    where: Tensor
    """(N, channels), the place of it, counted through the map."""


@dataclass(frozen=True)
class Look:
    """A network that is looked into."""

    name: str
    network: Network
    layers: list[Layer]


def dream(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    layer: int | None = None,
    units: Sequence[int] | None = None,
    of: Sequence[str] | None = None,
    checkpoint: str | int = "best",
    data: str | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Look into the discriminator, and into a classifier of the labels where there are any.

    Writes `discriminator.png` and `classifier.png` (units of one layer), `gradients.png` (what the
    discriminator wants changed) and `dream.json`.

    Args:
        path: a run folder.
        out: where results go; `explore/dream` in the run, if not given.
        layer: which convolution, from 1; the middle one, if not given.
        units: which of its channels, from 0; those by which the network tells most, if not given:
            the discriminator's samples from real pictures, the classifier's labels.
        of: which networks, of "discriminator" and "classifier"; both, if there are labels.
        checkpoint: best, latest or a number of images seen.
        data: where the training pictures are now, if not where they were.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (steps done, in all).

    Raises:
        UserError: for a layer or unit that there is none of, no discriminator, or no labels.
    """
    wrong = [name for name in of or () if name not in OF]
    if wrong or (of is not None and not of):
        raise UserError(f"'{''.join(wrong[:1])}' cannot be looked into; use {' or '.join(OF)}.")
    run = open_run(path)
    play = players(run, str(checkpoint), str(pick_device(device)))
    dataset = dataset_of(run, data)
    chosen = rng(0, "dream", "real").permutation(dataset.train)[:LOOKED_AT]
    real = pictures.from_uint8(dataset.images[np.sort(chosen)], play.device)
    fake = play.made(range(SEEDS_FROM, SEEDS_FROM + LOOKED_AT), averaged=True)
    looks = list(_looks(play, dataset, run.path, of, real))
    facts: dict[str, Any] = {
        "run": run.name,
        "checkpoint": f"{play.images} images",
        "pictures": [len(real), len(fake.scales[-1])],
    }
    sheets: dict[str, np.ndarray] = {}
    lines: list[str] = []
    for look, reader in looks:
        found, page = _units(look, reader, dataset, real, fake.scales[-1], layer, units, progress)
        facts[look.name], sheets[look.name] = found, page
        lines.append(_line(look, found))
    if play.discriminator is not None and (of is None or "discriminator" in of):
        sheets["gradients"], facts["gradients"] = _gradients(play, dataset, fake)
    return write(folder_for(path, "dream", out), "dream", facts, sheets, lines=lines)


def _looks(
    play: Players,
    dataset: Dataset,
    path: Any,
    of: Sequence[str] | None,
    real: Tensor,
) -> Iterator[tuple[Look, Reader | None]]:
    shape = play.config.data.shape
    if of is None or "discriminator" in of:
        judging = play.discriminator
        if judging is None:
            raise UserError(f"there is no discriminator to look into: {play.missing}.")
        company = real[: 3 * CHUNK] if play.mixes else real[:0]

        def see(some: Tensor) -> Tensor:
            # With batch norm, in the company of real pictures, as it always was.
            with as_in_training(judging, batch_norm=True):
                return judging.features(*judging.scales(torch.cat([some, company])))

        yield Look("discriminator", see, layers_of(judging, see, shape)), None
    if of is not None and "classifier" not in of:
        return
    with contextlib.ExitStack() as may_lack:
        if of is None:
            may_lack.enter_context(contextlib.suppress(UserError))
        reader = reader_of(dataset, path / "explore" / "reader", play.device)
        trunk = reader.network[0].requires_grad_(False)
        yield Look("classifier", trunk, layers_of(trunk, trunk, shape)), reader


def _units(
    look: Look,
    reader: Reader | None,
    dataset: Dataset,
    real: Tensor,
    fake: Tensor,
    layer: int | None,
    units: Sequence[int] | None,
    progress: Progress,
) -> tuple[dict[str, Any], np.ndarray]:
    """The units of one layer of one network."""
    number = (len(look.layers) + 1) // 2 if layer is None else layer
    if not 1 <= number <= len(look.layers):
        raise UserError(
            f"the {look.name} has no layer {number}; its convolutions are 1 to {len(look.layers)}."
        )
    one = look.layers[number - 1]
    first, last = _seen(look, one, real), _seen(look, one, fake)
    telling = separation(first.peaks, last.peaks)
    by_label = None if reader is None else _by_label(reader, dataset, look, one)
    told = telling if by_label is None else by_label
    picked = [int(i) for i in told.argsort(descending=True)[:UNITS]] if units is None else [*units]
    for unit in picked:
        if not 0 <= unit < one.channels:
            raise UserError(
                f"layer {number} of the {look.name} has no unit {unit}; it has 0 to "
                f"{one.channels - 1}."
            )
    spread = first.peaks.std(0).clamp_min(1e-6)
    shape = (real.shape[1], real.shape[2], real.shape[3])
    made, reached = dreams(look.network, one, picked, spread, shape, STARTS, progress)
    field = receptive_field(look.network, one, shape)
    tops = [best(s.peaks, s.where, picked, PATCHES, one.size[1]) for s in (first, last)]
    facts = {
        "layer": number,
        "layers": [[other.channels, *other.size] for other in look.layers],
        "receptive_field": list(field),
        "separation_of_samples": _summary(telling),
        **({} if by_label is None else {"separation_of_labels": _summary(by_label)}),
        "units": [
            {
                "unit": unit,
                "samples_d_prime": round(float(telling[unit]), 3),
                **({} if by_label is None else {"labels_d_prime": round(float(by_label[unit]), 3)}),
                "dream": round(float(reached[i].max()), 3),
                "best_real": round(float(tops[0].values[i, 0]), 3),
                "best_sample": round(float(tops[1].values[i, 0]), 3),
            }
            for i, unit in enumerate(picked)
        ],
    }
    images = [pictures.to_uint8(some) for some in (real, fake)]
    rows = []
    for i, entry in enumerate(facts["units"]):
        words = [f"unit {entry['unit']}", f"d' real, samples {entry['samples_d_prime']:.2f}"]
        if "labels_d_prime" in entry:
            words.append(f"d' labels {entry['labels_d_prime']:.2f}")
        shown_here = [*pictures.to_uint8(made[i])]
        for some, top in zip(images, tops, strict=True):
            shown_here += _patches(some, top, i, one, field)
        rows.append(Row(words, shown_here))
    header = ["made for it", "", "real", *[""] * (PATCHES - 1), "samples"]
    title = f"{look.name}, layer {number} of {len(look.layers)}"
    return facts, sheet(title, rows, NOTE, header)


def _patches(
    images: np.ndarray, top: Best, unit: int, layer: Layer, field: tuple[int, int]
) -> list[np.ndarray]:
    """A unit's best patches, each as large as a picture is shown."""
    height, width = images.shape[1:3]
    seen = (min(field[0], height), min(field[1], width))
    found = []
    for which, place in zip(top.which[unit], top.places[unit], strict=True):
        cut = patch(images[which], place, layer.size, seen)
        rows = np.arange(height) * cut.shape[0] // height
        columns = np.arange(width) * cut.shape[1] // width
        found.append(cut[rows][:, columns])
    return found


@torch.no_grad()
def _seen(look: Look, layer: Layer, images: Tensor) -> Shown:
    found = []
    for start in range(0, len(images), CHUNK):
        maps = responses(look.network, layer, images[start : start + CHUNK])
        found.append(maps.flatten(2).max(2))
    return Shown(torch.cat([f.values for f in found]), torch.cat([f.indices for f in found]))


def _by_label(reader: Reader, dataset: Dataset, look: Look, layer: Layer) -> Tensor | None:
    """How well each unit tells two classes of the first trait in words, those told best."""
    trait = next((one for one in reader.traits if one.classes), None)
    if trait is None:
        return None
    rows = np.sort(rng(0, "dream", "labels").permutation(dataset.train)[: 2 * LOOKED_AT])
    (classes,) = truth(dataset, rows, [trait])
    peaks = _seen(look, layer, pictures.from_uint8(dataset.images[rows], reader.device)).peaks
    each = torch.from_numpy(classes)
    apart = [
        separation(peaks[each == number], peaks[each != number])
        for number in range(len(trait.classes))
        if 1 < int((each == number).sum()) < len(each) - 1
    ]
    return torch.stack(apart).amax(0) if apart else None


def _gradients(play: Players, dataset: Dataset, fake: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """What D wants changed: its logit's gradient by the picture, averaged over noisy copies
    (Smilkov et al. 2017, "SmoothGrad", arXiv 1706.03825, eq. 1).
    """
    judging = play.discriminator
    assert judging is not None
    held = dataset.held_out if len(dataset.held_out) > 1 else dataset.train
    real = held[:2]
    condition = None
    if play.config.condition.size:
        condition = encoded(play.config.condition, [dataset.manifest[i] for i in real])
    made = fake.rows(slice(ASKED))
    asked = play.shown(dataset.images[real], condition)
    both = torch.cat([made.scales[-1], asked.scales[-1]])
    told = None
    if made.condition is not None and asked.condition is not None:
        told = torch.cat([made.condition, asked.condition])
    rows, changed = [], []
    numbers = rng(0, "gradients")
    with as_in_training(judging, batch_norm=True), torch.enable_grad():
        gradient = torch.zeros_like(both)
        for _ in range(COPIES):
            noise = torch.from_numpy(numbers.standard_normal(both.shape)).to(both)
            noisy = (both + NOISE * noise).requires_grad_()
            logits = judging.logits(judging.features(*judging.scales(noisy)), told)
            gradient += torch.autograd.grad(logits.sum(), noisy)[0] / COPIES
    size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
    moved = (both + MOVED * gradient / size).clamp(-1, 1)
    before, after = pictures.to_uint8(both), pictures.to_uint8(moved)
    maps = gradient.abs().mean(1).cpu().numpy()
    for i, (image, other) in enumerate(zip(before, after, strict=True)):
        words = [f"seed {SEEDS_FROM + i}" if i < len(made.scales[-1]) else "real, held out"]
        rows.append(Row(words, [image, heat(maps[i]), other]))
        changed.append(round(float(size[i]), 6))
    page = sheet("what the discriminator wants changed", rows, GRADIENT_NOTE)
    return page, {"mean_gradient": changed, "noise": NOISE, "copies": COPIES}


def _summary(values: Tensor) -> dict[str, float]:
    return {
        "median": round(float(values.median()), 3),
        "largest": round(float(values.max()), 3),
    }


def _line(look: Look, found: dict[str, Any]) -> str:
    best_unit = found["units"][0]
    text = (
        f"{look.name}: layer {found['layer']} of {len(look.layers)}, unit {best_unit['unit']} "
        f"tells samples from real pictures with d' {best_unit['samples_d_prime']:.2f}"
    )
    if "labels_d_prime" in best_unit:
        text += f", labels with d' {best_unit['labels_d_prime']:.2f}"
    return text
