"""A prepared data set: a folder with a memory-mapped array of pictures and a manifest.

- images.npy: (N, H, W, C) uint8, the pictures that networks see.
- manifest.jsonl: one line per picture, in the order of the array: key, content, digest, split,
  label, attributes, mirrored.
- decisions.csv: one line per picture of the source: kept or left out, and why.
- dataset.json: settings, counts, digest, version, what could not be read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from morelike import files
from morelike.config import DataConfig
from morelike.errors import UserError

if TYPE_CHECKING:  # torch is for those who train
    from morelike.tasks import Fakes

SCHEMA = 2
NAMES = ("images.npy", "manifest.jsonl", "decisions.csv", "dataset.json")
UNFINISHED = ".writing-"


@dataclass(frozen=True)
class Dataset:
    """A prepared data set on disk; opening it reads no pixels."""

    path: Path
    source: str
    """How a person names it, to come back to it: what it was made from, or its own folder."""
    fakes: Fakes | None = None
    """Samples of a generator that a task is to do well on, too; they lie elsewhere."""

    @cached_property
    def info(self) -> dict[str, Any]:
        """Settings, counts, digest, rejections."""
        return files.read_json(self.path / "dataset.json")

    @cached_property
    def settings(self) -> DataConfig:
        """How it was made, with everything settled that was left to be chosen."""
        return DataConfig.model_validate(self.info["settings"])

    @cached_property
    def manifest(self) -> list[dict[str, Any]]:
        """One record per picture: key, content, digest, split, label, attributes, mirrored."""
        # Not splitlines(), which would also break at rare characters within a name.
        with (self.path / "manifest.jsonl").open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    @cached_property
    def images(self) -> np.ndarray:
        """All pictures, (N, H, W, C) uint8, memory-mapped."""
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
        shared = ("digest", "count", "settings", "rejected", "duplicates", "left_out", "labels")
        return {
            "source": self.source,
            **{key: self.info[key] for key in shared},
            "split": {
                side: [self.manifest[i]["key"] for i in indices] for side, indices in keys.items()
            },
        }

    def _split(self, side: str) -> np.ndarray:
        return np.array(
            [i for i, record in enumerate(self.manifest) if record["split"] == side], dtype=np.int64
        )


def is_prepared(path: Path) -> bool:
    """Whether this folder is a prepared data set, whole or not."""
    return (path / "dataset.json").is_file() and (path / "images.npy").is_file()


def is_complete(path: Path) -> bool:
    """Whether nothing is missing in this prepared data set."""
    return all((path / name).is_file() for name in NAMES)


def open_dataset(path: Path) -> Dataset:
    """Open a prepared data set that may come from anywhere.

    Raises:
        UserError: if it is damaged, or of a later version.
    """
    dataset = Dataset(path, str(path.absolute()))
    try:
        if dataset.info["schema"] > SCHEMA:
            raise UserError(f"{path} was made by a later version of morelike; update this one.")
        if dataset.info["schema"] < SCHEMA:
            raise UserError(f"{path} was made by an earlier version of morelike; prepare it again.")
        shape = (len(dataset.manifest), *dataset.settings.size, dataset.settings.channels)
        images = dataset.images
        if images.dtype != np.uint8 or images.shape != shape:
            raise ValueError(
                f"images.npy is {images.dtype} {images.shape}, the manifest says uint8 {shape}"
            )
        if not all(record["split"] in ("train", "held_out") for record in dataset.manifest):
            raise ValueError("a picture is neither in train nor held_out")
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        reason = "; ".join(str(error).splitlines()) or type(error).__name__
        raise UserError(f"{path} is a damaged data set ({reason}); prepare it again.") from error
    return dataset


def dataset_digest(records: Iterable[dict[str, Any]], channels: int) -> str:
    """One name for these pixels on these sides, in this order."""
    whole = hashlib.blake2b(str(channels).encode(), digest_size=16)
    for one in records:
        whole.update(json.dumps([one["digest"], one["split"], one["mirrored"]]).encode())
    return whole.hexdigest()


def write_images(path: Path, batches: Iterable[np.ndarray], shape: tuple[int, ...]) -> None:
    """Write batches of pictures as one .npy array of this shape, without holding it in memory.

    Raises:
        OSError: as the file system does.
    """
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(np.ascontiguousarray(batch).data)
        file.flush()
        os.fsync(file.fileno())


def write_manifest(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one line per picture."""
    lines = (json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
    files.write_atomically(path, lambda file: file.writelines(lines))


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A folder to write into that takes the place of `target` when everything is there.

    Raises:
        OSError: as the file system does; `target` is then as it was before.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=UNFINISHED))
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)  # mkdtemp's are for their owner only
        old = temporary.with_name(f"{temporary.name}.old")
        with contextlib.suppress(FileNotFoundError):
            target.rename(old)
        try:
            temporary.rename(target)
        except OSError:
            if not is_complete(target):  # else another process was faster; either will do
                raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
