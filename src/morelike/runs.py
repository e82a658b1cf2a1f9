"""Run folders: where everything that a training earns is kept (see ARCHITECTURE.md)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from morelike import files
from morelike.checkpoint import CheckpointFolder
from morelike.errors import UserError

NUMBERED = re.compile(r"^(\d{5,})-")
SCHEMA = 1


@dataclass(frozen=True)
class Run:
    """A run folder."""

    path: Path

    @property
    def checkpoints(self) -> CheckpointFolder:
        """Full training states."""
        return CheckpointFolder(self.path / "checkpoints")

    @property
    def samples(self) -> Path:
        """Grids, panels, timelapse."""
        return self.path / "samples"

    @property
    def generator(self) -> Path:
        """What one hands to somebody else."""
        return self.path / "generator"

    @property
    def fakes(self) -> Path:
        """With `task.fakes`: samples of another generator, and how they differ from real ones."""
        return self.path / "fakes.safetensors"

    @property
    def metrics_file(self) -> Path:
        """One JSON record per line."""
        return self.path / "metrics.jsonl"

    @property
    def name(self) -> str:
        """The folder's name, such as 00007-roses-dcgan."""
        return self.path.name

    def config(self) -> dict[str, Any]:
        """The resolved configuration, with schema and versions.

        Raises:
            UserError: if the folder is not a run.
        """
        return self._json("config.json", "family", "recipe", "data", "training")

    def data(self) -> dict[str, Any]:
        """What it was trained on.

        Raises:
            UserError: if the folder is not a run.
        """
        return self._json("data.json", "source", "digest", "split")

    def metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl; a last line that a killed process cut short is left out."""
        if not self.metrics_file.exists():
            return []
        records = []
        text = self.metrics_file.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                break
            if not isinstance(record, dict) or "images" not in record:
                break
            records.append(record)
        return records

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder; a killed process lets go by itself.

        Raises:
            UserError: if another process trains here, or the folder cannot be written to.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"another process is training in {self.path}; wait for it, or start a new run."
            ) from None
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            yield
        finally:
            lock.release()

    def _json(self, name: str, *needed: str) -> dict[str, Any]:
        path = self.path / name
        try:
            value = files.read_json(path)
        except FileNotFoundError:
            raise UserError(f"{self.path} is not a run folder: it has no {name}.") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}.") from error
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            raise UserError(f"{path} was written by another version of morelike.")
        missing = [key for key in needed if key not in value]
        if missing:
            raise UserError(f"{path} is damaged: it lacks {', '.join(missing)}.")
        return value


def cannot_write(
    path: Path, error: OSError, choose: str = "another folder with --out"
) -> UserError:
    """The sentence for a place that takes no files."""
    reason = (error.strerror or str(error)).lower()
    return UserError(f"cannot write to {path}: {reason}; choose {choose}.")


def is_run(path: Path) -> bool:
    """Whether `path` looks like a run folder."""
    return (path / "config.json").is_file() and (path / "data.json").is_file()


def open_run(path: str | os.PathLike[str]) -> Run:
    """The run folder at `path`.

    Raises:
        UserError: if there is none.
    """
    run = Run(Path(path))
    if not run.path.is_dir():
        raise UserError(f"there is no run folder {path}; `morelike runs list` shows those there.")
    for stored in (run.config, run.data):
        stored()  # both must be readable
    return run


def create_run(root: str | os.PathLike[str], name: str) -> Run:
    """A new folder `root/NNNNN-name`, with the next free number.

    Raises:
        UserError: if it cannot be made.
    """
    root = Path(root)
    slug = re.sub(r"[^\w.]+", "-", name).strip("-.") or "run"
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Two processes never get the same number.
        with FileLock(root / ".lock"):
            taken = [int(m[1]) for p in root.iterdir() if (m := NUMBERED.match(p.name))]
            path = root / f"{max(taken, default=0) + 1:05d}-{slug}"
            path.mkdir()
        return Run(path)
    except OSError as error:
        raise cannot_write(root, error) from error


def list_runs(root: str | os.PathLike[str]) -> list[Run]:
    """The run folders in `root`, by number.

    Raises:
        UserError: if there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; give the folder that holds your runs.")
    return [Run(path) for path in sorted(root.iterdir()) if path.is_dir() and is_run(path)]
