"""Checkpoints: a folder with `state.safetensors` and `state.json`, written whole or not at all.

The folder is filled under a temporary name and renamed when all of it is on the disk, and
`state.json` holds the digest of the tensors, so a half-written or damaged one is never believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from morelike import files
from morelike.errors import MorelikeError, UserError

SCHEMA = 1
TENSORS, META = "state.safetensors", "state.json"


class DamagedCheckpoint(MorelikeError):
    """A checkpoint whose files are missing, cut short or changed."""


@dataclass(frozen=True)
class Checkpoint:
    """One complete checkpoint on disk."""

    path: Path

    @property
    def images(self) -> int:
        """Images seen when it was written."""
        return int(self.path.name)

    def meta(self) -> dict[str, Any]:
        """Everything in it that is not a tensor.

        Raises:
            DamagedCheckpoint: if `state.json` is missing or unreadable.
        """
        try:
            meta = files.read_json(self.path / META)
        except (OSError, ValueError) as error:
            raise DamagedCheckpoint(f"{self.path} has no readable {META}") from error
        if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
            raise DamagedCheckpoint(f"{self.path / META} is of an unknown kind")
        return meta

    def verify(self) -> dict[str, Any]:
        """The meta data, once the tensors were found to be those that were written.

        Raises:
            DamagedCheckpoint: if they were not.
        """
        meta = self.meta()
        try:
            digest = _digest(self.path / TENSORS)
        except OSError as error:
            raise DamagedCheckpoint(f"{self.path} has no readable {TENSORS}") from error
        if digest != meta.get("digest"):
            raise DamagedCheckpoint(f"{self.path / TENSORS} was cut short or changed")
        return meta

    def tensors(self, prefix: str = "", device: str = "cpu") -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix`, which is taken off.

        Raises:
            DamagedCheckpoint: if the file cannot be read.
        """
        return read_tensors(self.path / TENSORS, prefix, device)


def read_tensors(path: Path, prefix: str = "", device: str = "cpu") -> dict[str, Tensor]:
    """The tensors of a safetensors file whose names begin with `prefix`, which is taken off.

    Raises:
        DamagedCheckpoint: if the file cannot be read.
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error}") from error


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors to a safetensors file and flush it to the disk.

    Raises:
        OSError: as the file system does, such as when the disk is full.
    """
    try:
        save_file({name: _plain(tensor) for name, tensor in tensors.items()}, path)
    except SafetensorError as error:  # it wraps the system's error in a text
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", memory_format=torch.contiguous_format).contiguous()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class CheckpointFolder:
    """The `checkpoints` folder of a run: numbered by images seen, with `latest` and `best`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[Checkpoint]:
        """Every checkpoint, oldest first; unfinished ones do not count."""
        if not self.path.is_dir():
            return []
        found = [Checkpoint(p) for p in self.path.iterdir() if p.name.isdigit() and p.is_dir()]
        return sorted(found, key=lambda checkpoint: checkpoint.images)

    def save(self, images: int, tensors: dict[str, Tensor], meta: dict[str, Any]) -> Checkpoint:
        """Write a checkpoint and let `latest` point at it.

        Raises:
            OSError: as the file system does; earlier checkpoints are then untouched.
        """
        final = Checkpoint(self.path / str(images))
        self.path.mkdir(parents=True, exist_ok=True)
        temporary = self.path / f".writing-{images}-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir()
            save_tensors(temporary / TENSORS, tensors)
            digest = _digest(temporary / TENSORS)
            meta = {"schema": SCHEMA, "images": images, "digest": digest, **meta}
            files.write_json(temporary / META, meta)
            files.sync_folder(temporary)
            if final.path.exists():  # the same once more, or a damaged one
                shutil.rmtree(final.path)
            temporary.rename(final.path)
            files.sync_folder(self.path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self.point("latest", final)
        return final

    def point(self, name: str, checkpoint: Checkpoint) -> None:
        """Let `latest` or `best` name this checkpoint."""
        files.write_text(self.path / name, f"{checkpoint.images}\n")

    def pointed(self, name: str) -> Checkpoint | None:
        """The checkpoint that `latest` or `best` names, if it is there."""
        try:
            images = (self.path / name).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
        checkpoint = Checkpoint(self.path / images)
        return checkpoint if images.isdigit() and checkpoint.path.is_dir() else None

    def prune(self, keep: int, history: bool = False) -> None:
        """Remove all but the last `keep` checkpoints and `best`, and what killed processes left.

        With `history` the first checkpoint since each doubling of the images stays as well: few,
        and close together where much happens.
        """
        best, found, octaves = self.pointed("best"), self.all(), set[int]()
        for checkpoint in found[:-keep]:
            octave = checkpoint.images.bit_length()
            is_first = octave not in octaves
            octaves.add(octave)
            if history and is_first:
                continue
            if best is None or checkpoint.path != best.path:
                shutil.rmtree(checkpoint.path)
        for leftover in self.path.glob(".writing-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def newest_sound(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest undamaged checkpoint, and a sentence about each newer one that was damaged."""
        complaints: list[str] = []
        for checkpoint in reversed(self.all()):
            try:
                checkpoint.verify()
            except DamagedCheckpoint as error:
                complaints.append(f"{error}; falling back to the checkpoint before it.")
            else:
                return checkpoint, complaints
        return None, complaints

    def find(self, which: str) -> tuple[Checkpoint, list[str]]:
        """The sound checkpoint that a person means by `best`, `latest` or a number of images.

        `best` and `latest` fall back to the newest sound one; the sentences say so.

        Raises:
            UserError: if there is none, or the one that was named by its number is damaged.
        """
        known = [str(checkpoint.images) for checkpoint in self.all()]
        if which.isdigit():
            if which not in known:
                there = ", ".join(known) or "none"
                raise UserError(f"there is no checkpoint {which} in {self.path}; there: {there}.")
            checkpoint = Checkpoint(self.path / which)
            try:
                checkpoint.verify()
            except DamagedCheckpoint as error:
                raise UserError(f"{error}; choose another of {', '.join(known)}.") from error
            return checkpoint, []
        if which not in ("best", "latest"):
            raise UserError(f"checkpoint '{which}' is not best, latest or a number of images.")
        complaints: list[str] = []
        pointed = self.pointed(which)
        if pointed is not None:
            with contextlib.suppress(DamagedCheckpoint):
                pointed.verify()
                return pointed, []
            complaints.append(f"{pointed.path} is damaged; using the newest sound checkpoint.")
        newest, more = self.newest_sound()
        if newest is None:
            raise UserError(
                f"{self.path} holds no usable checkpoint; train the run first "
                f"(morelike train --resume {self.path.parent})."
            )
        return newest, complaints + (more if pointed is None else [])
