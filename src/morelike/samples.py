"""Samples on the disk: a PNG for each seed, all of them as one picture, or shards of many."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from morelike import files, pictures
from morelike.errors import UserError
from morelike.runs import cannot_write
from morelike.sampling import TrainedGenerator, Wish

Check = Callable[[Sequence[int], np.ndarray], Sequence[Mapping[str, str] | None]]
"""Asked about the pictures (n, H, W, C) uint8 of n seeds before they are written: what more each
says about itself, or None for one that is left out."""


def write_samples(
    generator: TrainedGenerator,
    seeds: Sequence[int],
    folder: Path,
    grid: Path | None = None,
    wish: Wish = Wish(),  # noqa: B008
    check: Check | None = None,
) -> Path:
    """Write `<seed>.png` for every seed into `folder`, and all of them as one picture to `grid`.

    Each file says in its metadata which run, checkpoint and seed it comes from. What `check` leaves
    out is not in the grid either, and files of earlier calls in its place are removed, so that
    nothing is there afterwards that was left out.

    Raises:
        UserError: if they cannot be written.
    """
    if grid is not None and grid.suffix.lower() != ".png":
        raise UserError(f"the grid is written as PNG; name it {grid.with_suffix('.png')}.")
    shown: list[tuple[int, np.ndarray]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for seed, picture, more in _checked(generator, seeds, wish, check):
            path = folder / f"{seed}.png"
            if more is None:
                path.unlink(missing_ok=True)
                continue
            pictures.write_png(path, picture, {**generator.notes(seed, wish), **more})
            if grid is not None:
                shown.append((seed, picture))
    except OSError as error:
        raise cannot_write(folder, error) from error
    if grid is None:
        return folder
    try:
        if not shown:
            grid.unlink(missing_ok=True)
            return folder
        grid.parent.mkdir(parents=True, exist_ok=True)
        notes = generator.notes(shown[0][0], wish)
        notes["seed"] = ",".join(str(seed) for seed, _ in shown[:1000])
        pictures.write_png(grid, pictures.grid(np.stack([one for _, one in shown])), notes)
    except OSError as error:
        raise cannot_write(grid, error, "another file with --grid") from error
    return folder


def _checked(
    generator: TrainedGenerator, seeds: Sequence[int], wish: Wish, check: Check | None
) -> Iterator[tuple[int, np.ndarray, Mapping[str, str] | None]]:
    """Each seed, its picture, and what the check says of it."""
    done = 0
    for chunk in generator.chunks(seeds, wish):
        part = seeds[done : done + len(chunk)]
        said = check(part, chunk) if check is not None else [{}] * len(chunk)
        yield from zip(part, chunk, said, strict=True)
        done += len(chunk)


FORMS = ("tar", "npy")


def write_shards(
    generator: TrainedGenerator,
    seeds: Sequence[int],
    folder: Path,
    size: int = 10_000,
    form: str = "tar",
    wish: Wish = Wish(),  # noqa: B008
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write any number of samples as files of `size` pictures each, in memory that does not grow.

    `tar` holds SEED.png in the order of the seeds, as WebDataset has it, which `prepare` and
    `train` read again; `npy` one array (n, H, W, C) uint8, many times as fast to write. A shard is
    written whole or not at all, and one that is there already is not made again, so what was
    interrupted goes on. `shards.json` says what they were made with; a folder that holds others is
    refused.

    Args:
        generator: what makes them.
        seeds: which, in order.
        folder: where `00000.tar`, `00001.tar`, ... go.
        size: pictures in each, the last one excepted.
        form: what the files are.
        wish: as for other samples.
        progress: told (pictures done, pictures in all).

    Returns:
        All shards.

    Raises:
        UserError: if the folder holds shards of something else, or cannot be written to.
    """
    made_with = {
        **generator.notes(0, wish),
        "seed": f"{len(seeds)} from {seeds[0]} to {seeds[-1]}",
        "size": size,
        "form": form,
    }
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _claim(folder, made_with)
        for number, start in enumerate(range(0, len(seeds), size)):
            part = seeds[start : start + size]
            path = folder / f"{number:05d}.{form}"
            if path.exists():
                progress(start + len(part), len(seeds))
            else:
                made = _counted(generator.chunks(part, wish), start, len(seeds), progress)
                write = _tar if form == "tar" else _array
                files.write_atomically(path, partial(write, chunks=made, seeds=part))
            paths.append(path)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return paths


def _claim(folder: Path, made_with: dict[str, object]) -> None:
    """Note what the shards are made with, or check that it is the same as what is there."""
    note = folder / "shards.json"
    if not note.exists():
        if any(folder.glob("*.tar")) or any(folder.glob("*.npy")):
            raise UserError(f"{folder} holds other shards; choose another folder with --out.")
        files.write_json(note, made_with)
    elif files.read_json(note) != made_with:
        raise UserError(
            f"{folder} holds shards of other seeds, weights or settings; choose another folder "
            "with --out."
        )


def _counted(
    chunks: Iterator[np.ndarray], done: int, total: int, progress: Callable[[int, int], None]
) -> Iterator[np.ndarray]:
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        progress(done, total)


def _tar(file: BinaryIO, chunks: Iterator[np.ndarray], seeds: Sequence[int]) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        made = itertools.chain.from_iterable(chunks)
        for seed, picture in zip(seeds, made, strict=True):
            encoded = io.BytesIO()
            pictures.to_image(picture).save(encoded, "PNG", compress_level=1)
            member = tarfile.TarInfo(f"{seed}.png")
            member.size = encoded.tell()
            encoded.seek(0)
            archive.addfile(member, encoded)


def _array(file: BinaryIO, chunks: Iterator[np.ndarray], seeds: Sequence[int]) -> None:
    first = next(chunks)
    shape = (len(seeds), *first.shape[1:])
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for chunk in itertools.chain([first], chunks):
        file.write(np.ascontiguousarray(chunk).data)
