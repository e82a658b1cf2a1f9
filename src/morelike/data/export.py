"""A prepared data set as files for other programs: imagefolder, WebDataset shards, NVIDIA's zip.

Pictures are written as PNG, so nothing is lost. The same data set gives the same bytes.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from PIL import Image

from morelike import files
from morelike.data.dataset import Dataset, replacing
from morelike.errors import UserError, nearest

Layout = Literal["imagefolder", "webdataset", "zip"]
LAYOUTS: tuple[Layout, ...] = ("imagefolder", "webdataset", "zip")
PER_SHARD = 10_000
SPLITS = {"train": "train", "held_out": "test"}


class _Picture(NamedTuple):
    """One picture on its way out."""

    name: str
    """Unique, and safe on every file system."""
    record: dict[str, Any]
    png: bytes


def layout_of(name: str) -> Layout:
    """The layout of this name.

    Raises:
        UserError: if there is none; the nearest is given.
    """
    for layout in LAYOUTS:
        if layout == name:
            return layout
    raise UserError(f"there is no layout '{name}'; {nearest(name, LAYOUTS)}.")


def export(dataset: Dataset, layout: Layout, target: Path) -> Path:
    """Write `dataset` in another layout.

    - imagefolder: a folder, `train/LABEL/NAME.png` and `test/...`, with a metadata.csv in each that
      holds label and attributes (the convention of Hugging Face's imagefolder).
    - webdataset: a folder of `train-000000.tar`, `test-000000.tar`, ..., each picture a `.png` with
      a `.json`, and a `.cls` with the number of its class.
    - zip: one file with `dataset.json` (`{"labels": [[name, class]]}`), as NVIDIA's tools read it;
      training pictures only, since it knows no split.

    Returns:
        What was written.

    Raises:
        UserError: if something is there already, or it cannot be written.
    """
    if target.exists():
        raise UserError(f"{target} is there already; name another place.")
    try:
        if layout == "zip":
            target.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomically(target, lambda file: _write_zip(dataset, file))
        else:
            with replacing(target) as folder:
                (_write_folder if layout == "imagefolder" else _write_shards)(dataset, folder)
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {(error.strerror or str(error)).lower()}."
        ) from error
    return target


def _pictures(dataset: Dataset) -> Iterator[_Picture]:
    for index, (record, image) in enumerate(zip(dataset.manifest, dataset.images, strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
        yield _Picture(f"{index:07d}-{_safe(Path(record['key']).stem)}", record, buffer.getvalue())


def _safe(name: str) -> str:
    # A dot would end the key of a WebDataset sample.
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:40] or "picture"


def _classes(dataset: Dataset) -> dict[str, int]:
    return {label: number for number, label in enumerate(sorted(dataset.info["labels"]))}


def _write_folder(dataset: Dataset, folder: Path) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    for picture in _pictures(dataset):
        split, label = SPLITS[picture.record["split"]], picture.record["label"]
        name = f"{picture.name}.png" if label is None else f"{_safe(label)}/{picture.name}.png"
        path = folder / split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.png)
        row = {"file_name": name} | ({} if label is None else {"label": label})
        rows.setdefault(split, []).append(row | picture.record["attributes"])
    for split, lines in rows.items():
        columns = sorted({key for line in lines for key in line} - {"file_name"})
        if columns:
            buffer = io.StringIO()
            writer = csv.DictWriter(buffer, ["file_name", *columns], lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
            files.write_text(folder / split / "metadata.csv", buffer.getvalue())


def _write_shards(dataset: Dataset, folder: Path) -> None:
    classes = _classes(dataset)
    with contextlib.ExitStack() as stack:
        shards = {
            split: stack.enter_context(contextlib.closing(_Shards(folder, split)))
            for split in sorted(set(SPLITS.values()))
        }
        for picture in _pictures(dataset):
            label = picture.record["label"]
            told = {"label": label} if label is not None else {}
            told |= {"key": picture.record["key"], **picture.record["attributes"]}
            parts = {"png": picture.png, "json": json.dumps(told, ensure_ascii=False).encode()}
            if label is not None:
                parts["cls"] = str(classes[label]).encode()
            shards[SPLITS[picture.record["split"]]].add(picture.name, parts)


class _Shards:
    """Numbered tar files of equal length."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split, self._count = folder, split, 0
        self._tar: tarfile.TarFile | None = None

    def add(self, name: str, parts: dict[str, bytes]) -> None:
        if self._count % PER_SHARD == 0:
            self.close()
            path = self._folder / f"{self._split}-{self._count // PER_SHARD:06d}.tar"
            self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        assert self._tar is not None, "the first sample opens a shard"
        for kind in sorted(parts):
            member = tarfile.TarInfo(f"{name}.{kind}")  # its time is 0, so that bytes repeat
            member.size = len(parts[kind])
            self._tar.addfile(member, io.BytesIO(parts[kind]))
        self._count += 1

    def close(self) -> None:
        if self._tar is not None:
            self._tar.close()


def _write_zip(dataset: Dataset, file: BinaryIO) -> None:
    classes = _classes(dataset)
    labels: list[list[Any]] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # PNG does not shrink further

        def add(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)

        for number, picture in enumerate(_pictures(dataset)):
            if picture.record["split"] != "train":
                continue
            name = f"{number // 1000:05d}/img{number:08d}.png"
            add(name, picture.png)
            label = picture.record["label"]
            labels.append([name, None if label is None else classes[label]])
        known = any(label is not None for _, label in labels)
        add("dataset.json", json.dumps({"labels": labels if known else None}).encode())
