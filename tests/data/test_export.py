from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import picture
from morelike.config import DataConfig
from morelike.data import Dataset, open_source, prepare
from morelike.data.export import export
from morelike.data.item import Item
from morelike.errors import UserError

NAMES = ["a b/über.png", "../x.png", "c.d.e.png", "=cmd.png", "same.png", "other/same.png"]


class Labelled:
    """Pictures with awkward names, labels and attributes."""

    name, streamed = "labelled", True

    def count(self, settings: DataConfig) -> int | None:
        return None

    def items(self, settings: DataConfig) -> Any:
        for number, key in enumerate([*NAMES, *(f"{n}.png" for n in range(20))]):
            yield Item(
                key,
                lambda number=number: picture(number, 16, 16),
                label=["cat/dog", "rose"][number % 2],
                attributes={"height": number / 2, "caption": 'a "small", one'},
                side="held_out" if number >= 20 else "train",
            )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    target = tmp_path_factory.mktemp("labelled") / "set.mld"
    return prepare(Labelled(), DataConfig(resolution=16), target=target)


def sides_of(dataset: Dataset) -> dict[str, str]:
    return {record["digest"]: record["split"] for record in dataset.manifest}


def read(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def test_imagefolder_comes_back_as_it_was(dataset: Dataset, tmp_path: Path) -> None:
    folder = export(dataset, "imagefolder", tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {"train", "test"}
    assert all(path.resolve().is_relative_to(folder) for path in folder.rglob("*"))
    again = prepare(open_source(folder, DataConfig(resolution=16)), DataConfig(resolution=16))
    assert sides_of(again) == sides_of(dataset)
    with (folder / "train" / "metadata.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["label"] for line in lines[:2]] == ["cat/dog", "rose"]
    assert [float(line["height"]) for line in lines[:3]] == [0, 0.5, 1]
    assert lines[0]["caption"] == 'a "small", one'
    assert again.info["labels"] == dataset.info["labels"]


def test_webdataset_shards_hold_picture_class_and_attributes(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("morelike.data.export.PER_SHARD", 8)
    folder = export(dataset, "webdataset", tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == [
        "test-000000.tar",
        *(f"train-{n:06d}.tar" for n in range(3)),
    ]
    pictures, classes = [], []
    for path in sorted(folder.glob("train-*.tar")):
        with tarfile.open(path) as tar:
            parts = {member.name: tar.extractfile(member) for member in tar}
        for name in parts:
            assert name.count(".") == 1 and "/" not in name
    for path in sorted(folder.glob("train-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                data = file.read()
                if member.name.endswith(".png"):
                    pictures.append(read(data))
                elif member.name.endswith(".cls"):
                    classes.append(int(data))
                else:
                    assert json.loads(data)["label"] in ("cat/dog", "rose")
    assert np.array_equal(np.stack(pictures), dataset.images[dataset.train])
    assert classes == [0, 1] * 10


def test_the_zip_follows_nvidias_convention(dataset: Dataset, tmp_path: Path) -> None:
    path = export(dataset, "zip", tmp_path / "set.zip")
    with zipfile.ZipFile(path) as archive:
        labels = json.loads(archive.read("dataset.json"))["labels"]
        assert [label for _, label in labels] == [0, 1] * 10
        pictures = np.stack([read(archive.read(name)) for name, _ in labels])
        assert len(archive.namelist()) == 21
    assert np.array_equal(pictures, dataset.images[dataset.train])


def test_twice_is_the_same_bytes(dataset: Dataset, tmp_path: Path) -> None:
    one, other = (export(dataset, "zip", tmp_path / f"{n}.zip").read_bytes() for n in "ab")
    assert one == other
    for n in "ab":
        export(dataset, "webdataset", tmp_path / n)
    shards = [(tmp_path / n / "train-000000.tar").read_bytes() for n in "ab"]
    assert shards[0] == shards[1]


def test_pictures_without_labels_have_none_in_any_layout(
    tmp_path: Path, pictures_folder: Path
) -> None:
    plain = prepare(open_source(pictures_folder), DataConfig(resolution=16, channels=1))
    with zipfile.ZipFile(export(plain, "zip", tmp_path / "a.zip")) as archive:
        assert json.loads(archive.read("dataset.json")) == {"labels": None}
        assert read(archive.read(archive.namelist()[0])).shape == (16, 16)
    folder = export(plain, "imagefolder", tmp_path / "b")
    assert not list(folder.rglob("metadata.csv"))


def test_nothing_is_overwritten(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for layout in ("imagefolder", "webdataset", "zip"):
        with pytest.raises(UserError, match="is there already"):
            export(dataset, layout, tmp_path / "there")
