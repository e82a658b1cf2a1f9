"""The generator's nearest picture to a photo: can it make this at all?"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from morelike.checkpoint import DamagedCheckpoint, read_tensors, save_tensors
from morelike.config import Config
from morelike.data.decode import MOST_BYTES, decode
from morelike.data.item import Rejection
from morelike.data.scan import form_of
from morelike.errors import UserError
from morelike.explore.effects import Ruler, ruler
from morelike.explore.found import Found, folder_for, write
from morelike.explore.inversion import (
    ROWS,
    Room,
    invert,
    nearest,
    noise_areas,
    room_of_latents,
    room_of_styles,
    summary,
)
from morelike.explore.opened import Opened, Progress, opened, quiet
from morelike.pictures import from_uint8
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import cannot_write, is_run
from morelike.sampling import Wish
from morelike.sheet import Row, heat, sheet
from morelike.space import Points, joined

POINTS = "points.safetensors"
POOL, POOL_FROM = 1024, 4_000_000
"""Samples among which starts are looked for, and the first of their seeds."""
COMPARED = 8
"""Held-out pictures, and samples, that are looked for in the same way."""
MOST_PHOTOS, MOST_STEPS, MOST_STARTS = 64, 5000, 64
FOUND = 4.0
"""Levels of 255 within which a picture counts as found again: differences that one hardly sees."""
WHITE = 0.5
"""Share of the range that is white in the pictures of differences."""
STOPS = (-1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3, 1.0)
"""Where along a move pictures are made, as shares of it."""
NOTE = (
    "From left to right: the photo, the generator's nearest picture, and where the two differ "
    "(black: not at all; white: by half of the range or more). Beneath, the same search for "
    "pictures that it was not trained on, and for its own samples, which it should find again. "
    "off: root mean squared difference of a value, of 255 levels."
)


class _Search(NamedTuple):
    """What was found for pictures (N, H, W, C) uint8."""

    pictures: np.ndarray
    points: Points
    found: np.ndarray
    """(N, H, W, C) uint8"""
    error: np.ndarray
    """(N,), in levels."""
    apart: np.ndarray
    """(N,), the distance of features, in units of how far two samples are apart."""
    norm: np.ndarray
    """(N,), in standard deviations from the mean."""

    def rows(self, rows: slice) -> _Search:
        return _Search(
            self.pictures[rows],
            self.points.rows(rows),
            *(part[rows] for part in self[2:]),
        )


def project(
    path: str | os.PathLike[str],
    photos: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    space: str | None = None,
    steps: int = 300,
    starts: int = 2,
    moves: Mapping[str, float] | None = None,
    labels: Mapping[str, float] | None = None,
    attributes: Mapping[str, float] | None = None,
    data: str | None = None,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Look for the point of the generator whose picture is nearest to each photo.

    The same is done for held-out pictures, which say how near a good answer is, and for samples,
    which say how well the search itself does. Writes `project.png`; `moves.png`, if moves are asked
    for; `project.json`; and `points.safetensors`, what was found, for `read_points`.

    Args:
        path: a run folder or a shared generator; the latter has no held-out pictures.
        photos: picture files, 1 to 64, brought to the run's size as its own pictures were.
        out: where results go; `explore/project` in `path`, if not given.
        space: z or w; without, that of the moves, else w if there is one.
        steps: of the search, 10 to 5000.
        starts: from how many points each is looked for, 1 to 64: the nearest of 1,024 samples, and
            one that is any sample.
        moves: how far along named directions the found pictures are moved, there and back.
        labels: what is looked among, for a generator trained with labels; without, whatever the
            nearest samples show.
        attributes: the same, as values by name.
        data: where the training pictures are now, if not where they were.
        checkpoint: best, latest or a number of images seen.
        features: the extractor that says how unlike two pictures are.
        weights: its weights, if it needs any.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (steps done, steps in all), each of one picture.

    Raises:
        UserError: if a photo cannot be read, a number is out of range, or there is no usable
            generator, no such direction, or no such space.
    """
    if not 1 <= len(photos) <= MOST_PHOTOS:
        raise UserError(f"give 1 to {MOST_PHOTOS} photos, not {len(photos)}.")
    if not 10 <= steps <= MOST_STEPS or not 1 <= starts <= MOST_STARTS:
        raise UserError(
            f"--steps must be 10 to {MOST_STEPS} and --starts 1 to {MOST_STARTS}, not {steps} and "
            f"{starts}."
        )
    model, along = _opened_for(path, checkpoint, device, space, moves or {})
    config = model.generator.config
    given = np.stack([read_photo(Path(photo), config) for photo in photos])
    keys, held_out = _held_out(model, data)
    seeds = list(range(COMPARED))
    wish = Wish(labels=labels, attributes=attributes)
    samples = model.show(model.points(seeds, wish))
    by = ruler(model, model.extractor(features, weights))
    everything = np.concatenate([given, held_out, samples])
    room, whole = _searched(model, everything, steps, starts, wish, by, progress)
    ends = np.cumsum([0, len(given), len(held_out), len(samples)])
    of_photos, of_held_out, of_samples = (
        whole.rows(slice(int(a), int(b))) for a, b in itertools.pairwise(ends)
    )
    names = [Path(photo).name for photo in photos]
    facts = {
        **model.about(),
        "space": model.space.name,
        "extractor": by.look.name,
        "steps": steps,
        "starts": starts,
        "error": "root mean squared difference of a value, in levels of 255",
        "feature_distance": "1 is the mean distance of two samples",
        "norm": "standard deviations from the mean of samples",
        "photos": [
            {"photo": str(photo), **_figures(of_photos, i, of_held_out)}
            for i, photo in enumerate(photos)
        ],
        "held_out": [{"key": key, **_figures(of_held_out, i)} for i, key in enumerate(keys)],
        "samples": [{"seed": seed, **_figures(of_samples, i)} for i, seed in enumerate(seeds)],
        "samples_found_again": round(float((of_samples.error <= FOUND).mean()), 3),
        "found_again_within": FOUND,
        "furthest_norm": round(room.furthest, 3),
        "points": POINTS,
    }
    sheets = {"project": _sheet(model, names, of_photos, of_held_out, of_samples)}
    if along:
        facts["moves"] = {name: float((moves or {})[name]) for name in along}
        sheets["moves"] = _moved_sheet(model, names, of_photos, along, moves or {})
    folder = folder_for(path, "project", out)
    written = _write_points(folder / POINTS, of_photos.points)
    lines = _lines(names, of_photos, of_held_out, of_samples)
    found = write(folder, "project", facts, sheets, lines=lines)
    return replace(found, files={**found.files, POINTS: written})


def read_photo(path: Path, config: Config[Any, Any]) -> np.ndarray:
    """A picture file as the run's pictures are: (H, W, C) uint8.

    Raises:
        UserError: if it is no picture that can be used.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; name a picture.")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Rejection(f"the file is over {MOST_BYTES // 2**20} MB")
        crop = "center" if config.data.crop == "auto" else config.data.crop
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata; what matters raises
            pixels = decode(path.read_bytes(), form_of(config.data, crop)).pixels
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path} cannot be read: {reason}; name another picture.") from error
    except Rejection as rejection:
        raise UserError(f"{path} cannot be used: {rejection}; name another picture.") from None
    if config.data.channels == 1:
        # Pillow's luma is the data layer's, to the bit.
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    return pixels


def read_points(path: str | os.PathLike[str]) -> Points:
    """The points that `project` wrote, one for each photo.

    Raises:
        UserError: if the file holds none.
    """
    try:
        stored = read_tensors(Path(path))
        rest = tuple(stored[f"rest.{number}"] for number in range(len(stored) - 1))
        return Points(stored["values"], rest)
    except (OSError, LookupError, DamagedCheckpoint) as error:
        raise UserError(
            f"{path} holds no points; make some with `morelike explore project`."
        ) from error


def _opened_for(
    path: str | os.PathLike[str],
    checkpoint: str | int,
    device: str,
    space: str | None,
    moves: Mapping[str, float],
) -> tuple[Opened, dict[str, Tensor]]:
    """The generator, in the space of the moves if there are any; and each move as a vector."""
    model = opened(path, checkpoint, device, space)
    if not moves:
        return model, {}
    known = model.generator.directions()
    if space is None:
        model = opened(path, checkpoint, device, known.space)
    elif space != known.space:
        raise UserError(
            f"the directions of {path} are of the space {known.space}; leave out --space, or use "
            f"{known.space}."
        )
    place = model.generator.device
    return model, {name: known.along({name: far}).to(place) for name, far in moves.items()}


def _held_out(model: Opened, data: str | None) -> tuple[list[str], np.ndarray]:
    """Some pictures that were kept away from training, and their keys; none, if there are none."""
    channels, height, width = model.generator.config.data.shape
    if not is_run(model.path):
        if data is not None:
            raise UserError(
                f"{model.path} is a shared generator, which does not say what was held out; leave "
                "out --data, or give the run folder."
            )
        return [], np.zeros((0, height, width, channels), np.uint8)
    dataset = dataset_of(model.run, data)
    count = min(COMPARED, len(dataset.held_out))
    chosen = np.sort(rng(0, "explore", "project").choice(dataset.held_out, count, replace=False))
    return [dataset.manifest[i]["key"] for i in chosen], np.asarray(dataset.images[chosen])


def _searched(
    model: Opened,
    images: np.ndarray,
    steps: int,
    starts: int,
    wish: Wish,
    by: Ruler,
    progress: Progress,
) -> tuple[Room, _Search]:
    """The room that was searched, and what was found."""
    pool = model.points(range(POOL_FROM, POOL_FROM + POOL), wish)
    targets, shown = from_uint8(images, pool.values.device), model.show(pool)
    seen = [
        summary(from_uint8(shown[at : at + ROWS], pool.values.device))
        for at in range(0, POOL, ROWS)
    ]
    # One start is any sample, so that not all of them lie in one wrong place.
    near = nearest(torch.cat(seen), summary(targets), max(1, starts - 1))
    other = torch.arange(len(targets), device=near.device)[:, None] % POOL
    places = torch.cat([near, other], 1)[:, :starts].reshape(-1)
    room = _room(model, pool.values)
    areas = noise_areas(model.generator.network)
    inverted = invert(model.space, room, targets, pool.rows(places), steps, areas, progress)
    found = model.show(inverted.points)
    apart = (by.look(images) - by.look(found)).norm(dim=1) / by.unit
    difference = images.astype(np.float64) - found
    return room, _Search(
        images,
        inverted.points,
        found,
        np.sqrt(np.square(difference).mean((1, 2, 3))),
        apart.numpy(),
        room.distance(inverted.points.values).cpu().numpy(),
    )


def _room(model: Opened, samples: Tensor) -> Room:
    if model.space.name == "w":
        return room_of_styles(samples)
    config = model.generator.config
    latent = getattr(config.generator, "latent", 0)
    # The family regressor is fed conditions in place of latents, and a label is a choice.
    choices = sum(getattr(config.generator, "categorical", ())) if latent else 0
    return room_of_latents(samples, latent, choices or len(config.condition.classes) * (not latent))


def percentile(value: float, among: np.ndarray) -> float:
    """Per cent of `among` below the value, those equal to it by half."""
    return 100 * float(((among < value) + 0.5 * (among == value)).mean())


def _figures(found: _Search, place: int, among: _Search | None = None) -> dict[str, Any]:
    figures = {
        "error": round(float(found.error[place]), 3),
        "feature_distance": round(float(found.apart[place]), 4),
        "norm": round(float(found.norm[place]), 3),
    }
    if among is None:
        return figures
    told = len(among.error) > 0
    rank = round(percentile(found.error[place], among.error), 1) if told else None
    return {**figures, "percentile_among_held_out": rank}


def _write_points(path: Path, points: Points) -> Path:
    rest = {f"rest.{number}": part for number, part in enumerate(points.rest)}
    temporary = path.with_name(f".{path.name}")
    try:
        save_tensors(temporary, {"values": points.values, **rest})
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    return path


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(H, W, C) and its like as a picture of how far apart they are."""
    return heat(np.abs(one.astype(float) - other).mean(-1) / 255, WHITE)


def _sheet(
    model: Opened, names: Sequence[str], photos: _Search, held_out: _Search, samples: _Search
) -> np.ndarray:
    rows = []
    for place, name in enumerate(names):
        words = [name, f"{photos.error[place]:.1f} levels off"]
        if len(held_out.error):
            below = int((held_out.error < photos.error[place]).sum())
            words.append(f"{below} of {len(held_out.error)} held-out pictures come nearer")
        words.append(
            f"features {photos.apart[place]:.2f} times as far apart as those of two samples"
        )
        one, other = photos.pictures[place], photos.found[place]
        rows.append(Row(words, [one, other, _difference(one, other)]))
    for title, some in (("held-out pictures", held_out), ("samples", samples)):
        if not len(some.error):
            continue
        pairs = zip(some.pictures, some.found, strict=True)
        rows += [
            Row([title], list(some.pictures)),
            Row(["the nearest to each", f"{_spread(some.error)} levels off"], list(some.found)),
            Row(["difference"], [_difference(*pair) for pair in pairs]),
        ]
    return sheet(f"{model.generator.name}: nearest pictures to photos", rows, NOTE)


def _moved_sheet(
    model: Opened,
    names: Sequence[str],
    photos: _Search,
    along: Mapping[str, Tensor],
    moves: Mapping[str, float],
) -> np.ndarray:
    rows = []
    for place, name in enumerate(names):
        point = photos.points.rows(slice(place, place + 1))
        for move, vector in along.items():
            stops = [point.at(point.values + share * vector) for share in STOPS]
            words = [name, f"{move}: {-moves[move]:+g} to {moves[move]:+g}"]
            rows.append(Row(words, [photos.pictures[place], *model.show(joined(stops))]))
    note = (
        "First the photo, then the generator's nearest picture moved along a direction, from left "
        "to right; in the middle it is not moved. 1 is one standard deviation of samples."
    )
    header = ["photo", *(f"{share:+.0%}" if share else "found" for share in STOPS)]
    return sheet(f"{model.generator.name}: photos moved", rows, note, header)


def _spread(error: np.ndarray) -> str:
    return f"{error.min():.1f} to {error.max():.1f}, median {np.median(error):.1f}"


def _lines(names: Sequence[str], photos: _Search, held_out: _Search, samples: _Search) -> list[str]:
    lines = []
    for place, name in enumerate(names):
        off = photos.error[place]
        line = f"{name}: the nearest picture is {off:.1f} levels off"
        if len(held_out.error):
            below = int((held_out.error < off).sum())
            line += f"; {below} of {len(held_out.error)} held-out pictures come nearer"
        lines.append(line)
    if len(held_out.error):
        lines.append(f"held-out pictures: {_spread(held_out.error)} levels")
    again = int((samples.error <= FOUND).sum())
    lines.append(
        f"samples: {_spread(samples.error)} levels; {again} of {len(samples.error)} found again"
    )
    if again < 0.9 * len(samples.error):
        lines.append(
            "The search does not find all samples again, so the photos may be nearer than it says; "
            "try more --steps or --starts."
        )
    return lines
