"""The best, the worst and the oddest of many samples, each beside its nearest training picture."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morelike import files, pictures
from morelike.data import Dataset
from morelike.data.scan import Progress
from morelike.errors import UserError
from morelike.evaluate.criteria import CRITERIA, Chosen, chosen, names
from morelike.evaluate.gallery_page import page
from morelike.evaluate.receipts import detector
from morelike.evaluate.scored import MOST_REAL, Opinions, Say, Scored, asked, scored
from morelike.evaluate.sheets import sheet
from morelike.features import extractor
from morelike.players import players
from morelike.reopened import dataset_of
from morelike.runs import Run, cannot_write, is_run, open_run
from morelike.sampling import LICENCE_NOTE, load

FEWEST, MOST = 8, 20_000
MOST_SHOWN = 200
LEAST_AGREEMENT = 0.5
"""Correlation of the discriminator's order with itself below which it is said: then more than half
of what one sees of it is chance."""
SCHEMA = 1
NOTE = (
    "Left the sample, right the training picture it is most like, turned as it is; orange "
    "frames are near-copies. "
    "p: share of real pictures never trained on that lie lower, in percent; after a near-copy or "
    "none, that are more like a copy."
)


@dataclass(frozen=True)
class Gallery:
    """What was made."""

    folder: Path
    sheets: dict[str, Path]
    facts: dict[str, Any]
    """What gallery.json holds."""


def gallery(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    count: int = 256,
    show: int = 16,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    data: str | None = None,
    device: str = "auto",
    say: Say = lambda text: None,
    progress: Progress | None = None,
) -> Gallery:
    """Make samples of seeds 0 to count - 1 and lay out the best, the worst and the uncanny ones.

    Args:
        path: a run folder.
        out: where sheets, gallery.json and gallery.html go; `gallery` in the run, if not given.
        count: how many samples, 8 to 20,000.
        show: how many stand on each sheet, 1 to 200.
        checkpoint: "best", "latest" or a number of images seen.
        features: the extractor of realism and rarity, see `morelike.features`.
        weights: the extractor's weights, if it needs any.
        data: where the training pictures are now, if not where they were.
        device: auto, cpu, cuda, cuda:N or mps.
        say: told what is being done now.
        progress: told about the preparation of pictures, as (done, total or None).

    Raises:
        UserError: for anything that a person can mend.
    """
    run = _checked(Path(path), count, show)
    generator = load(run.path, checkpoint, device=device)
    look = extractor(features, None if weights is None else Path(weights))
    dataset = dataset_of(run, data, progress)
    say("getting ready to look for copies")
    copies = detector(dataset)
    seeds = range(count)
    say(f"making {count} samples")
    images = generator.sample(seeds)
    opinions, missing = _opinions(run, str(checkpoint), str(generator.device), seeds, dataset, say)
    samples = scored(seeds, images, dataset, copies, look, opinions, say)
    about = {
        "run": run.name,
        "checkpoint": generator.checkpoint,
        "extractor": look.name,
        "count": count,
        "train": len(dataset.train),
        "held_out": len(dataset.held_out),
        "compared_with": min(len(dataset.train), MOST_REAL),
        "discriminator_agreement": None if opinions is None else opinions.agreement,
        "notices": [*generator.notices, *missing],
    }
    folder = Path(out) if out is not None else run.path / "gallery"
    say("laying out the sheets")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(folder, samples, dataset, chosen(samples.values, show), about)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _checked(path: Path, count: int, show: int) -> Run:
    if not FEWEST <= count <= MOST:
        raise UserError(f"{count} samples are out of range; use --count {FEWEST} to {MOST}.")
    if not 1 <= show <= MOST_SHOWN:
        raise UserError(f"{show} on a sheet is out of range; use --show 1 to {MOST_SHOWN}.")
    if (path / "model.safetensors").is_file() and not is_run(path):
        raise UserError(
            f"{path} is a shared generator, without the pictures that it was trained on; give the "
            "run folder."
        )
    return open_run(path)


def _opinions(
    run: Run, checkpoint: str, device: str, seeds: Sequence[int], dataset: Dataset, say: Say
) -> tuple[Opinions | None, list[str]]:
    """The discriminator's opinions, or none and a sentence why."""
    found = players(run, checkpoint, device)
    if found.discriminator is None:
        return None, [f"the discriminator was not asked: {found.missing}."]
    say("asking the discriminator")
    opinions = asked(found, seeds, dataset)
    if opinions.agreement >= LEAST_AGREEMENT:
        return opinions, []
    return opinions, [
        "the order by the discriminator is mostly chance: asked again, it would agree with itself "
        f"by a correlation of {opinions.agreement:.2f}."
    ]


def caption(samples: Scored, number: int, keys: Sequence[str]) -> tuple[str, str, str]:
    """What stands beneath one sample: seed and figures, likeness to the nearest training picture,
    which that is.
    """
    receipt = samples.receipts[number]
    figures = [f"seed {samples.seeds[number]}"]
    for key in keys:
        place = _place(samples.percentile[key][number])
        figures.append(f"{key} {samples.values[key][number]:.3g}{place}")
    copying = _place(math.nan if receipt.percentile is None else receipt.percentile)
    called = "near-copy" if receipt.near_copy else "no near-copy"
    turned = "mirror image of " if receipt.mirrored else ""
    likeness = f"{called}{copying}, {receipt.distance:.2g} unexplained"
    return ", ".join(figures), likeness, f"{turned}{receipt.nearest}"


def _place(percentile: float) -> str:
    return "" if math.isnan(percentile) else f" (p{percentile:.0f})"


def _write(
    folder: Path,
    samples: Scored,
    dataset: Dataset,
    sheets: Sequence[Chosen],
    about: Mapping[str, Any],
) -> Gallery:
    """Write the sheets, gallery.json and the page; sheets that were there and are not made, go."""
    beside = dataset.images[dataset.train[samples.nearest]]
    turned = [receipt.mirrored for receipt in samples.receipts]
    beside[turned] = beside[turned, :, ::-1]  # so that the eye can compare
    near = [receipt.near_copy for receipt in samples.receipts]
    captions = {one.name: [caption(samples, i, one.keys) for i in one.order] for one in sheets}
    stamps = {key: str(about[key]) for key in ("run", "checkpoint", "extractor")}
    written = {one.name: folder / f"{one.name}.png" for one in sheets}
    for one in sheets:
        drawn = sheet(
            one.title,
            f"{one.note} {NOTE}",
            samples.images[one.order],
            beside[one.order],
            captions[one.name],
            [near[i] for i in one.order],
        )
        seeds = ",".join(str(samples.seeds[i]) for i in one.order)
        notes = {"Software": "morelike", **stamps, "seed": seeds, "licence": LICENCE_NOTE}
        pictures.write_png(written[one.name], drawn, notes)
    for name in set(names()) - set(written):
        (folder / f"{name}.png").unlink(missing_ok=True)
    facts = _facts(samples, sheets, about)
    html = page(facts, sheets, samples.images, beside, captions, near, NOTE)
    files.write_text(folder / "gallery.html", html)
    files.write_json(folder / "gallery.json", facts)
    return Gallery(folder, written, facts)


def _facts(samples: Scored, sheets: Sequence[Chosen], about: Mapping[str, Any]) -> dict[str, Any]:
    """What gallery.json holds; null stands for what has no number."""
    return {
        "schema": SCHEMA,
        **about,
        "near_copies": sum(receipt.near_copy for receipt in samples.receipts),
        "criteria": {one.key: one.meaning for one in CRITERIA if one.key in samples.values},
        "sheets": [
            {
                "file": f"{one.name}.png",
                "title": one.title,
                "note": one.note,
                "seeds": [int(samples.seeds[i]) for i in one.order],
            }
            for one in sheets
        ],
        "samples": [
            {
                "seed": int(seed),
                "scores": {key: _number(values[i]) for key, values in samples.values.items()},
                "percentiles": {key: _number(p[i]) for key, p in samples.percentile.items()},
                "receipt": samples.receipts[i].as_dict(),
            }
            for i, seed in enumerate(samples.seeds)
        ],
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
