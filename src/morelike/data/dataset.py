"""A prepared data set: a memory-mapped array of pictures and a manifest.

`images.npy` (N, S, S, C) uint8, `manifest.jsonl` with one line per picture, and `dataset.json`
with settings, counts and digest. It is made once for the same pictures and settings and then
found again in the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import platformdirs

from morelike import files
from morelike.config import DataConfig
from morelike.data import decode as decoder
from morelike.data.decode import Rejection, decode
from morelike.data.sources import Item, Source
from morelike.data.split import held_out
from morelike.errors import MorelikeError, UserError

SCHEMA = 1
FEWEST = 2
UNFINISHED = ".writing-"
WINDOW = 512  # items in flight at once, so that memory stays bounded

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Told (pictures done, pictures in all)."""


@dataclass(frozen=True)
class Dataset:
    """A prepared data set on disk; opening it reads no pixels."""

    path: Path
    source: str

    @cached_property
    def info(self) -> dict[str, Any]:
        """Settings, counts, digest, rejections."""
        return files.read_json(self.path / "dataset.json")

    @cached_property
    def manifest(self) -> list[dict[str, Any]]:
        """One record per picture: key, digest, split, label, attributes."""
        # Not splitlines(), which would also break at rare characters within a name.
        with (self.path / "manifest.jsonl").open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    @cached_property
    def images(self) -> np.ndarray:
        """All pictures, (N, S, S, C) uint8, memory-mapped."""
        return np.load(self.path / "images.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def train(self) -> np.ndarray:
        """Indices of the pictures to train on."""
        return self._split("train")

    @cached_property
    def held_out(self) -> np.ndarray:
        """Indices of the pictures kept away from training."""
        return self._split("held_out")

    @property
    def digest(self) -> str:
        """Changes whenever a pixel or the split does."""
        return self.info["digest"]

    @property
    def rejected(self) -> list[dict[str, str]]:
        """Files that could not be used: key and reason."""
        return self.info["rejected"]

    def summary(self) -> dict[str, Any]:
        """What `data.json` of a run says about it."""
        keys = {"train": self.train, "held_out": self.held_out}
        return {
            "source": self.source,
            "digest": self.digest,
            "count": len(self.manifest),
            "settings": self.info["settings"],
            "rejected": self.rejected,
            "duplicates": self.info["duplicates"],
            "split": {
                side: [self.manifest[i]["key"] for i in indices] for side, indices in keys.items()
            },
        }

    def _split(self, side: str) -> np.ndarray:
        return np.array(
            [i for i, record in enumerate(self.manifest) if record["split"] == side], dtype=np.int64
        )


def cache_folder() -> Path:
    """Where prepared data sets are kept: $MORELIKE_CACHE, or the user's cache folder."""
    chosen = os.environ.get("MORELIKE_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("morelike"))


def prepare(source: Source, config: DataConfig, progress: Progress | None = None) -> Dataset:
    """Decode every picture of `source` once, or find the result in the cache.

    Raises:
        UserError: if there are no pictures, or fewer than two that can be read, or if the cache
            cannot be written.
    """
    items = source.items(config.resolution)
    if not items:
        raise UserError(
            f"{source.name} holds no pictures; morelike reads JPEG, PNG, WebP, GIF, BMP and TIFF."
        )
    report = progress or (lambda done, total: None)
    settings = {"decoder": decoder.VERSION, **config.model_dump(exclude={"mirror"})}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        fingerprint = _fingerprint(pool, items, settings)
        path = cache_folder() / "datasets" / fingerprint
        if not _is_complete(path):
            _build(pool, path, items, source.name, config, settings, report)
    return Dataset(path, source.name)


def _is_complete(path: Path) -> bool:
    return all((path / name).exists() for name in ("images.npy", "manifest.jsonl", "dataset.json"))


def _fingerprint(pool: ThreadPoolExecutor, items: Sequence[Item], settings: dict[str, Any]) -> str:
    total = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for item, digest in zip(items, _windowed(pool, _hash_item, items), strict=True):
        total.update(json.dumps([item.key, digest, item.label, item.attributes]).encode())
    return total.hexdigest()


def _hash_item(item: Item) -> str:
    if item.identity:
        return item.identity
    try:
        return hashlib.blake2b(item.read(), digest_size=16).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _build(
    pool: ThreadPoolExecutor,
    path: Path,
    items: Sequence[Item],
    name: str,
    config: DataConfig,
    settings: dict[str, Any],
    report: Progress,
) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=UNFINISHED))
    except OSError as error:
        raise _cannot_cache(error) from error
    try:
        records, rejected = _decode_all(pool, temporary / "images.npy", items, config, report)
        if len(records) < FEWEST:
            raise UserError(_too_few(name, len(records), rejected))
        digests = [record["digest"] for record in records]
        sides = held_out(digests, config.held_out)
        for record, is_out in zip(records, sides, strict=True):
            record["split"] = "held_out" if is_out else "train"
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        files.write_text(temporary / "manifest.jsonl", "\n".join(lines) + "\n")
        whole = json.dumps([[record["digest"], record["split"]] for record in records])
        info = {
            "schema": SCHEMA,
            "settings": settings,
            "count": len(records),
            "duplicates": len(records) - len(set(digests)),
            "digest": hashlib.blake2b(whole.encode(), digest_size=16).hexdigest(),
            "rejected": rejected,
        }
        files.write_json(temporary / "dataset.json", info)
        # Another process may have finished the same one meanwhile; either will do.
        if not _is_complete(path):
            shutil.rmtree(path, ignore_errors=True)  # somebody tidied up old files
        try:
            temporary.rename(path)
        except OSError:
            if not _is_complete(path):
                raise
    except OSError as error:
        raise _cannot_cache(error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left; anything younger than a day may be another's work."""
    for leftover in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # another process may be tidying as well
            if time.time() - leftover.stat().st_mtime > 86_400:
                shutil.rmtree(leftover, ignore_errors=True)


def _decode_all(
    pool: ThreadPoolExecutor,
    target: Path,
    items: Sequence[Item],
    config: DataConfig,
    report: Progress,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    def decode_item(item: Item) -> np.ndarray | Rejection:
        try:
            return decode(item.read(), config.resolution, config.channels)
        except Rejection as rejection:
            return rejection
        except OSError as error:
            return Rejection(f"cannot be read: {error.strerror}")

    records: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    shape = (config.resolution, config.resolution, config.channels)
    # Python keeps one list of warning filters for all threads, so it is set here and not in each.
    with warnings.catch_warnings(), target.open("wb") as file:
        warnings.simplefilter("ignore")  # odd metadata; what matters raises
        _write_header(file, (len(items), *shape))
        results = _windowed(pool, decode_item, items)
        for done, (item, result) in enumerate(zip(items, results, strict=True), start=1):
            if isinstance(result, Rejection):
                rejected.append({"key": item.key, "reason": str(result)})
            else:
                file.write(result.tobytes())
                digest = hashlib.blake2b(result.tobytes(), digest_size=16).hexdigest()
                records.append(
                    {
                        "key": item.key,
                        "digest": digest,
                        "label": item.label,
                        "attributes": item.attributes,
                    }
                )
            report(done, len(items))
        # numpy pads its header so that the first number may change in place.
        file.seek(0)
        _write_header(file, (len(records), *shape))
        file.flush()
        os.fsync(file.fileno())
    return records, rejected


def _write_header(file: Any, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _windowed(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    for start in range(0, len(items), WINDOW):
        yield from pool.map(work, items[start : start + WINDOW])


def _too_few(name: str, count: int, rejected: list[dict[str, str]]) -> str:
    found = "one picture" if count == 1 else "no picture"
    sentence = f"{name} holds {found} that can be read; at least {FEWEST} are needed"
    if rejected:
        first = rejected[0]
        sentence += f" ({len(rejected)} rejected; {first['key']}: {first['reason']})"
    return f"{sentence}."


def _cannot_cache(error: OSError) -> MorelikeError:
    reason = (error.strerror or str(error)).lower()
    return UserError(
        f"cannot write the prepared pictures to {cache_folder()}: {reason}; "
        "set MORELIKE_CACHE to a folder with room."
    )
