"""Where pictures come from: each source yields items of key, contents, label and attributes.

One small adaptor a source; everything after this package is the same for all of them.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from morelike.config import DataConfig
from morelike.data.item import Source
from morelike.data.sources import hub, members, pairs, toy
from morelike.data.sources.archive import ZipSource
from morelike.data.sources.arrays import ArraySource
from morelike.data.sources.folder import FolderSource, PictureSource, walk
from morelike.data.sources.hub import HubSource
from morelike.data.sources.pairs import PairsSource
from morelike.data.sources.patches import PatchesSource
from morelike.data.sources.table import ParquetSource
from morelike.data.sources.tar import TarSource
from morelike.data.sources.toy import ToySource
from morelike.data.sources.video import VideoSource
from morelike.errors import UserError

__all__ = [
    "ArraySource",
    "FolderSource",
    "HubSource",
    "PairsSource",
    "ParquetSource",
    "PatchesSource",
    "PictureSource",
    "TarSource",
    "ToySource",
    "VideoSource",
    "ZipSource",
    "open_source",
]

MOST_SHARDS = 100_000
RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")


def open_source(
    source: str | os.PathLike[str],
    settings: DataConfig = DataConfig(),  # noqa: B008
) -> Source:
    """The source that a person names.

    It is `toy:NAME` with an optional `:COUNT`, `hf:owner/name` with an optional `:split`,
    `pairs:DIR_A,DIR_B`, a folder, or a file: zip, tar (also packed, also several as in
    `shard-{000..099}.tar`), npy or npz, parquet, or a video. With `settings.patches` its pictures
    are cut up, and it may be a single picture.

    Raises:
        UserError: if there is no such thing.
    """
    opened = _open(os.fspath(source), settings)
    return PatchesSource(opened) if settings.patches else opened


def _open(text: str, settings: DataConfig) -> Source:
    if text.startswith(toy.PREFIX):
        return toy.parse(text)
    if text.startswith(hub.PREFIX):
        return hub.parse(text)
    if text.startswith(pairs.PREFIX):
        return pairs.parse(text)
    path = Path(text)
    if path.is_dir():
        return _open_folder(path.absolute())
    if path.is_file():
        return _open_file(text, path.absolute(), settings)
    if RANGE.search(text):
        return _open_several(text, _shards(text))
    raise UserError(f"there is no folder {text}; give a folder of pictures, or toy:bicycles.")


def _open_file(text: str, path: Path, settings: DataConfig) -> Source:
    suffix = members.suffix(path.name)
    if suffix == ".zip":
        return ZipSource(path)
    if suffix in (".npy", ".npz"):
        return ArraySource(path)
    if suffix in members.VIDEOS:
        return VideoSource(str(path), path.parent, (path,))
    if suffix == ".parquet" or path.name.lower().endswith(members.TARS):
        return _open_several(str(path), [path])
    if suffix in members.PICTURES and settings.patches:
        return PictureSource(path)
    if suffix in members.PICTURES:
        raise UserError(
            f"{text} is a file; give the folder that holds the pictures, or set patches to cut "
            "this one up."
        )
    raise UserError(f"{text} is a file; give the folder that holds the pictures.")


def _open_several(name: str, paths: Sequence[Path]) -> Source:
    if all(path.name.lower().endswith(members.TARS) for path in paths):
        return TarSource(name, tuple(paths))
    if all(members.suffix(path.name) == ".parquet" for path in paths):
        return ParquetSource(name, tuple(paths))
    raise UserError(f"{name} must name tar or parquet files; other files are given one by one.")


def _open_folder(folder: Path) -> Source:
    """The pictures in a folder, or what else it holds if there are none."""
    videos: list[Path] = []
    shards: list[Path] = []
    zips: list[Path] = []
    for name in walk(folder):
        if members.is_picture(name):
            return FolderSource(folder)
        if members.suffix(name) in members.VIDEOS:
            videos.append(folder / name)
        elif name.lower().endswith((*members.TARS, ".parquet")):
            shards.append(folder / name)
        elif members.suffix(name) == ".zip":
            zips.append(folder / name)
    if videos:
        return VideoSource(str(folder), folder, tuple(sorted(videos)))
    if shards and not zips:
        return _open_several(str(folder), sorted(shards))
    if len(zips) == 1 and not shards:
        return ZipSource(zips[0])
    return FolderSource(folder)


def _shards(pattern: str) -> list[Path]:
    """The files that a pattern such as `shard-{000..099}.tar` stands for.

    Raises:
        UserError: if they are too many, or one is not there.
    """
    texts, ends = RANGE.split(pattern)[::3], RANGE.findall(pattern)
    choices: list[list[str]] = []
    total = 1
    for first, last in ends:
        total *= max(0, int(last) - int(first) + 1)
        if not 1 <= total <= MOST_SHARDS:
            raise UserError(f"'{pattern}' must stand for 1 to {MOST_SHARDS} files.")
        choices.append([f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)])
    paths = []
    for numbers in itertools.product(*choices):
        name = texts[0] + "".join(n + t for n, t in zip(numbers, texts[1:], strict=True))
        if not Path(name).is_file():
            raise UserError(f"there is no file {name}, which {pattern} stands for.")
        paths.append(Path(name).absolute())
    return paths
