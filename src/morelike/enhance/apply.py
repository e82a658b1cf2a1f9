"""Apply a model to pictures, or to the samples of a generator."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from morelike import pictures
from morelike.data.item import Rejection
from morelike.data.sources import members
from morelike.enhance.found import check_free, find, read, wanted
from morelike.enhance.given import Given, derived, given, is_gray
from morelike.enhance.model import Model
from morelike.enhance.strips import write_strips
from morelike.enhance.tiles import plan, tiled
from morelike.errors import MorelikeError, UserError
from morelike.runs import cannot_write
from morelike.sampling import LICENCE_NOTE, TrainedGenerator
from morelike.seeds import check_seeds

Progress = Callable[[int, int], None]
"""Told (tiles done, tiles in all, as far as is known)."""
ROWS = 64
"""Rows that become pixels together, a multiple of every scale: what that takes stays small."""
MOST_IN_GRID = 2**26
"""Pixels of a grid; of more samples, it shows the first."""


def quiet(done: int, total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Applied:
    """What was written."""

    folder: Path
    written: list[Path] = field(default_factory=list)
    inputs: list[Path] = field(default_factory=list)
    """Where inputs were derived from the pictures: these inputs, in the same order."""
    rejected: list[dict[str, str]] = field(default_factory=list)
    """key and reason of each picture that could not be used."""
    lines: list[str] = field(default_factory=list)
    """What a person should know, in sentences."""


def apply(
    model: Model,
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    again: bool = False,
    from_whole: bool = False,
    tile: int | None = None,
    progress: Progress = quiet,
) -> Applied:
    """Make a PNG of every picture, under its own name in `out`.

    Any size is taken, in tiles. Gray pictures stay gray and alpha is kept, where the task allows it
    (`given.given`). What cannot be used is named in the result.

    Args:
        model: from `model.of_run` or `general.of_file`.
        sources: picture files, and folders of them.
        out: a folder, made if need be.
        again: write over earlier results; never over one of the pictures.
        from_whole: the pictures are what the model should make: derive its inputs from them first,
            as in its training, and write these as well, as `NAME.input.png`.
        tile: the longest side of a tile, in pixels of the input.
        progress: told about tiles.

    Raises:
        UserError: if nothing can be read, something is in the way, or tiles are too small.
        MorelikeError: if a tile does not fit the memory.
    """
    if from_whole and (model.learnt is None or model.learnt.halves):
        raise UserError(
            f"{model.name} does not say how its inputs come from pictures ({model.task}); leave "
            "out --from-whole, and give it inputs."
        )
    folder = Path(out)
    done, named = Applied(folder), wanted(find(sources), folder, again, from_whole)
    count = _Count(len(named), progress)
    colourless = 0
    for number, one in enumerate(named):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd metadata; what matters raises
                image = read(one.source)
            shown = derived(image, model, number) if from_whole else given(image, model)
        except Rejection as rejection:
            key = members.text(one.source.name)
            done.rejected.append({"key": key, "reason": str(rejection)})
            count.skip()
            continue
        notes = {"picture": members.text(one.source.name)}
        colourless += _loses_colour(image, model)
        count.begin(model, shown, tile)
        if from_whole:
            seen = shown.picture()
            _write(one.given, seen.shape, iter([seen]), model, notes, folder)
            done.inputs.append(one.given)
        strips = made(model, shown, tile, count.tell)
        _write(one.target, shown.shape, strips, model, notes, folder)
        done.written.append(one.target)
    if not done.written:
        first = done.rejected[0]
        raise UserError(
            f"none of {len(named)} pictures can be used; {first['key']}: {first['reason']}."
        )
    if colourless:
        done.lines.append(
            f"{model.name} makes gray pictures; {colourless} had colours, which are left out"
        )
    return done


class Samples(NamedTuple):
    """What was made of samples."""

    applied: Applied
    grid: Path


def apply_to_samples(
    model: Model,
    generator: TrainedGenerator,
    seeds: Sequence[int],
    out: str | os.PathLike[str],
    *,
    again: bool = False,
    tile: int | None = None,
    progress: Progress = quiet,
) -> Samples:
    """Make `SEED.png` of every sample, and all of them as one, `grid.png`.

    Args:
        model: from `model.of_run` or `general.of_file`.
        generator: from `sampling.load`, of pictures of any size.
        seeds: which samples.
        out: a folder, made if need be.
        again: write over earlier results.
        tile: the longest side of a tile, in pixels of the input.
        progress: told about tiles.

    Raises:
        UserError: if the samples are nothing that the model can start from, or something is in the
            way.
        MorelikeError: if a tile does not fit the memory.
    """
    folder, seeds = Path(out), check_seeds(seeds)
    grid, done = folder / "grid.png", Applied(Path(out))
    for path in (*(folder / f"{seed}.png" for seed in seeds), grid):
        check_free(path, folder, again)
    count = _Count(len(seeds), progress)
    shown: list[np.ndarray] = []
    colourless = 0
    left = iter(seeds)
    for chunk in generator.chunks(seeds):
        for sample in chunk:
            seed, image = next(left), pictures.to_image(sample)
            try:
                each = given(image, model)
            except Rejection as rejection:
                raise UserError(
                    f"samples of {generator.name} are nothing that {model.name} ({model.task}) can "
                    f"start from: {rejection}."
                ) from None
            colourless += _loses_colour(image, model)
            count.begin(model, each, tile)
            strips: list[np.ndarray] = []
            taken = _kept(made(model, each, tile, count.tell), strips)
            notes = {f"sample {key}": text for key, text in _origin(generator, seed).items()}
            path = folder / f"{seed}.png"
            _write(path, each.shape, taken, model, notes, folder)
            done.written.append(path)
            if (len(shown) + 1) * math.prod(each.shape[:2]) <= MOST_IN_GRID:
                shown.append(_in_grid(np.concatenate(strips)))
    if shown:
        sheet = pictures.grid(np.stack(shown))
        _write(grid, sheet.shape, iter([sheet]), model, {}, folder)
    if colourless:
        done.lines.append(f"{model.name} makes gray pictures; the samples' colours are left out")
    return Samples(done, grid)


def made(
    model: Model, shown: Given, tile: int | None = None, tell: Callable[[], None] = lambda: None
) -> Iterator[np.ndarray]:
    """What the model makes of it, as strips (rows, W, C) uint8 from top to bottom.

    Raises:
        MorelikeError: if a tile does not fit the memory.
    """
    top = 0
    try:
        for strip in tiled(model, shown.values, tile, shown.prepare, tell):
            yield from _finished(shown, strip, top)
            top += strip.shape[1]
            del strip  # so that there is one at a time
    except torch.OutOfMemoryError as error:
        raise MorelikeError(
            "a tile does not fit the memory of the device; give a smaller --tile, or --device cpu."
        ) from error


def _finished(shown: Given, strip: Tensor, top: int) -> Iterator[np.ndarray]:
    for rows in strip.split(ROWS, dim=1):
        yield shown.finished(rows, top)
        top += rows.shape[1]


class _Count:
    """Tiles done, and how many there will be: of pictures not yet opened, as many as of others."""

    def __init__(self, pictures: int, progress: Progress) -> None:
        self._left, self._progress = pictures, progress
        self._begun = self._done = self._total = 0

    def skip(self) -> None:
        """A picture has none."""
        self._left -= 1
        self._say()

    def begin(self, model: Model, shown: Given, tile: int | None) -> None:
        """A picture has as many."""
        self._left -= 1
        self._begun += 1
        height, width = shown.values.shape[1:]
        self._total += plan(model, height, width, tile).tiles

    def tell(self) -> None:
        """One more is done."""
        self._done += 1
        self._say()

    def _say(self) -> None:
        if self._begun:
            expected = self._left * self._total / self._begun
            self._progress(self._done, self._total + round(expected))


def _write(
    path: Path,
    shape: tuple[int, ...],
    strips: Iterator[np.ndarray],
    model: Model,
    notes: dict[str, str],
    out: Path,
) -> None:
    height, width, channels = shape
    said = {"Software": "morelike", **model.notes, **notes, "licence": LICENCE_NOTE}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_strips(path, (height, width, channels), strips, said)
    except OSError as error:
        raise cannot_write(out, error) from error


def _kept(strips: Iterator[np.ndarray], kept: list[np.ndarray]) -> Iterator[np.ndarray]:
    for strip in strips:
        kept.append(strip)
        yield strip


def _in_grid(picture: np.ndarray) -> np.ndarray:
    """(H, W, 1 to 4) as RGB; gray with alpha is on white, too."""
    if picture.shape[2] == 2:
        picture = np.concatenate([picture[..., [0, 0, 0]], picture[..., 1:]], axis=2)
    return pictures.to_rgb(picture)


def _origin(generator: TrainedGenerator, seed: int) -> dict[str, str]:
    own = generator.notes(seed)
    return {key: own[key] for key in ("run", "checkpoint", "seed")}


def _loses_colour(image: Image.Image, model: Model) -> bool:
    """Whether a picture with colours becomes one without."""
    return model.gives == 1 and image.mode != "L" and not is_gray(np.asarray(image)[..., :3])
