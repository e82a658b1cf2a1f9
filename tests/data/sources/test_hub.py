from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conftest import WritePictures
from morelike.config import DataConfig
from morelike.data.item import Item, Rejection
from morelike.data.sources import HubSource, open_source
from morelike.errors import UserError

SETTINGS = DataConfig()


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = pytest.importorskip("datasets")
    monkeypatch.setattr(module.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(module.config, "HF_CACHE_HOME", tmp_path / "cache")
    module.disable_progress_bars()
    return module


@pytest.fixture
def pets(tmp_path: Path, write_pictures: WritePictures) -> Path:
    for number, name in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        write_pictures(tmp_path / "pets" / name, 2, first=10 * number)
    return tmp_path / "pets"


def items(source: str, settings: DataConfig = SETTINGS) -> list[Item]:
    opened = open_source(source)
    found = list(opened.items(settings))
    assert opened.count(settings) == len(found)
    return found


def test_names_and_splits_are_told_apart() -> None:
    assert open_source("hf:owner/name") == HubSource("owner/name")
    assert open_source("hf:owner/name:train[:10%]") == HubSource("owner/name", "train[:10%]")
    assert open_source("hf:owner/name:test").name == "hf:owner/name:test"
    with pytest.raises(UserError, match="names no data set"):
        open_source("hf:")


def test_a_local_data_set_has_pictures_labels_and_sides(datasets: ModuleType, pets: Path) -> None:
    found = items(f"hf:{pets}")
    assert [item.key for item in found] == [
        f"{s}/00000{i}" for s in ("test", "train") for i in range(4)
    ]
    assert [item.label for item in found] == ["cat", "cat", "dog", "dog"] * 2
    assert [item.side for item in found] == ["held_out"] * 4 + ["train"] * 4
    assert found[0].read() == (pets / "test" / "cat" / "020.png").read_bytes()
    part = items(f"hf:{pets}:train", DataConfig(labels="none"))
    assert [(item.label, item.side) for item in part] == [(None, None)] * 4


def serve(monkeypatch: pytest.MonkeyPatch, datasets: ModuleType, result: Any) -> list[Any]:
    asked: list[Any] = []

    def load_dataset(name: str, split: str | None = None) -> Any:
        asked.append((name, split))
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_other_columns_become_attributes(
    datasets: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {
        "image": [{"bytes": b"one", "path": None}, {"bytes": b"two", "path": "x.png"}],
        "size": [1.5, None],
        "kind": [1, -1],
    }
    features = datasets.Features(
        image=datasets.Image(),
        size=datasets.Value("float32"),
        kind=datasets.ClassLabel(names=["red", "blue"]),
    )
    rows = datasets.Dataset.from_dict(columns, features=features)
    asked = serve(monkeypatch, datasets, rows)
    one, two = items("hf:owner/name:train")
    assert asked[0] == ("owner/name", "train")
    assert (one.read(), one.label, one.attributes) == (b"one", "blue", {"size": 1.5})
    assert (two.read(), two.label, two.attributes) == (b"two", None, {})


def test_a_path_that_leads_elsewhere_is_not_followed(
    datasets: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "fine.png").write_bytes(b"fine")
    paths = [tmp_path / "cache" / "fine.png", tmp_path / "cache" / ".." / "secret.png"]
    paths.append(tmp_path / "cache" / "gone.png")
    columns = {"image": [{"bytes": None, "path": str(path)} for path in paths]}
    features = datasets.Features(image=datasets.Image())
    serve(monkeypatch, datasets, datasets.Dataset.from_dict(columns, features=features))
    fine, secret, gone = items("hf:owner/name")
    assert fine.read() == b"fine"
    with pytest.raises(Rejection, match="only the path"):
        secret.read()
    with pytest.raises(Rejection, match="no picture"):
        gone.read()


def test_what_cannot_be_had_is_one_sentence(
    datasets: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, datasets, ConnectionError("Couldn't reach the Hub.\nmore"))
    with pytest.raises(UserError, match=r"^hf:owner/name cannot be had: Couldn't reach the Hub\.$"):
        items("hf:owner/name")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"datasets is needed: pip install 'morelike\[hub\]'"):
        items("hf:owner/name")
