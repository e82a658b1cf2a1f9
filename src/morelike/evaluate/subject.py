"""What is evaluated: a run's generator, or a folder of pictures from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from morelike import sampling
from morelike.conditions import drawn
from morelike.config import RESOLUTIONS, DataConfig
from morelike.data import Dataset, open_dataset, open_source, prepare
from morelike.data.dataset import is_prepared
from morelike.data.scan import Progress
from morelike.errors import UserError
from morelike.reopened import dataset_of
from morelike.rng import SeedDraws
from morelike.runs import Run, open_run

SEEDS_FROM = 2_000_000
"""Seeds of the samples that are evaluated: not those that grids show, nor those of the probe."""
FEWEST_TRAIN = 8


@dataclass(frozen=True)
class Subject:
    """Three sets of pictures (N, H, W, C) uint8 of one size, and where they come from."""

    name: str
    train: np.ndarray
    held_out: np.ndarray
    samples: np.ndarray
    train_labels: tuple[str | None, ...] = ()
    """Of training pictures."""
    asked: tuple[str | None, ...] = ()
    """What each sample was made for, of a run that was trained with labels."""
    checkpoint: str = ""
    images: int = 0
    """Pictures shown in training at this checkpoint."""
    run: Run | None = None
    dataset: Dataset | None = None
    notices: tuple[str, ...] = ()


def from_run(
    path: Path,
    *,
    checkpoint: str = "best",
    count: int = 1000,
    data: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Subject:
    """A run's averaged generator at a checkpoint, on seeds that nothing else uses.

    Raises:
        UserError: if there is no such run or checkpoint, or its pictures are gone.
    """
    run = open_run(path)
    generator = sampling.load(run.path, checkpoint, device=device)
    dataset = dataset_of(run, data, progress)
    samples = generator.sample(range(SEEDS_FROM, SEEDS_FROM + count))
    labels = tuple(dataset.manifest[i]["label"] for i in dataset.train)
    return Subject(
        run.name,
        dataset.images[dataset.train],
        dataset.images[dataset.held_out],
        samples,
        labels,
        _asked(generator, count),
        generator.checkpoint,
        int(generator.checkpoint.split()[0]),
        run,
        dataset,
        generator.notices,
    )


def _asked(generator: sampling.TrainedGenerator, count: int) -> tuple[str, ...]:
    """The label that each seed chose by itself."""
    condition = generator.config.condition
    if not condition.classes:
        return ()
    draws = SeedDraws(list(range(SEEDS_FROM, SEEDS_FROM + count)), generator.device)
    chosen = drawn(condition, draws)[:, : len(condition.classes)].argmax(dim=1)
    names = list(condition.classes)
    return tuple(names[i] for i in chosen.tolist())


def from_folders(
    folder: Path,
    train: Path,
    held_out: Path | None = None,
    *,
    size: int | None = None,
    progress: Progress | None = None,
) -> Subject:
    """Generated pictures of anybody, the pictures they were trained on, and some held out.

    Args:
        folder: generated pictures, or anything else that prepare takes.
        train: what the generator was trained on; a prepared data set brings its own held-out ones.
        held_out: of the same kind, never trained on.
        size: side to which all are brought; by default that of the generated pictures.
        progress: told about the preparation, as (done, total or None).

    Raises:
        UserError: for sets that cannot be compared.
    """
    side = size or _side_of(folder)
    if side not in RESOLUTIONS:
        raise UserError(
            f"the pictures in {folder} are {side} pixels wide; give one of "
            f"{', '.join(map(str, RESOLUTIONS))} with --size, to which all sets are brought."
        )
    settings = DataConfig(resolution=side, held_out=0.0, dedup="none", labels="none", channels=3)
    samples = prepare(open_source(folder, settings), settings, progress)
    notices = [f"{len(samples.rejected)} files in {folder} cannot be used"] * bool(samples.rejected)
    if is_prepared(train) and held_out is None:
        dataset = open_dataset(train)
        if dataset.settings.shape[1:] != (side, side) or dataset.settings.channels != 3:
            raise UserError(
                f"{train} holds pictures of {dataset.settings.size}, not of {side}x{side} in RGB; "
                "prepare it again, or give --size."
            )
        kept, held = dataset.images[dataset.train], dataset.images[dataset.held_out]
    else:
        kept = _all(train, settings, progress)
        held = kept[:0] if held_out is None else _all(held_out, settings, progress)
    if len(kept) < FEWEST_TRAIN:
        raise UserError(
            f"{len(kept)} training pictures in {train} are too few to compare with; "
            f"give {FEWEST_TRAIN} or more."
        )
    if held_out is None and not len(held):
        notices.append("no held-out pictures were given (--held), so learning is not measured")
    name = folder.resolve().name
    return Subject(name, kept, held, samples.images[:], notices=tuple(notices))


def _all(source: Path, settings: DataConfig, progress: Progress | None) -> np.ndarray:
    return prepare(open_source(source, settings), settings, progress).images[:]


def _side_of(folder: Path) -> int:
    """The side that all pictures in a folder have.

    Raises:
        UserError: if they have several, or are not square.
    """
    if not folder.is_dir():
        raise UserError(f"there is no run folder and no folder of pictures {folder}.")
    sizes: dict[tuple[int, int], int] = {}
    for path in sorted(folder.iterdir()):
        try:
            with Image.open(path) as image:
                sizes[image.size] = sizes.get(image.size, 0) + 1
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # it is named when the folder is read
    if not sizes:
        raise UserError(f"{folder} is no run folder, and there is no picture in it.")
    if len(sizes) > 1 or any(width != height for width, height in sizes):
        named = ", ".join(f"{w}x{h}" for w, h in sorted(sizes, key=lambda s: -sizes[s])[:4])
        raise UserError(
            f"the pictures in {folder} are not of one square size ({named}); give --size, "
            "to which all sets are brought."
        )
    return next(iter(sizes))[0]
