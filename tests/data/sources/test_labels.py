from __future__ import annotations

import json
from pathlib import Path

import pytest

from morelike.config import DataConfig
from morelike.data.item import Item, Rejection
from morelike.data.sources import FolderSource
from morelike.data.sources.labels import Rule
from morelike.errors import UserError


def write(folder: Path, *names: str, **tables: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    for name, content in tables.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return folder


def items(folder: Path, rule: Rule = "auto") -> dict[str, Item]:
    found = list(FolderSource(folder).items(DataConfig(labels=rule)))
    assert [item.key for item in found] == sorted({item.key for item in found})
    return {item.key: item for item in found}


def labels(folder: Path, rule: Rule = "auto") -> dict[str, str | None]:
    return {key: item.label for key, item in items(folder, rule).items()}


# Folders ------------------------------------------------------------------------------------------


def test_the_first_folder_is_the_class_only_when_asked(tmp_path: Path) -> None:
    write(tmp_path, "cat/1.png", "dog/deep/1.png", "2.png")
    assert set(labels(tmp_path).values()) == {None}
    assert labels(tmp_path, "none") == labels(tmp_path)
    assert labels(tmp_path, "folders") == {
        "2.png": None,
        "cat/1.png": "cat",
        "dog/deep/1.png": "dog",
    }


@pytest.mark.parametrize("other", ["test", "val", "valid", "Validation"])
def test_split_folders_make_the_split_and_are_no_classes(tmp_path: Path, other: str) -> None:
    write(tmp_path, "train/cat/1.png", "train/dog/1.png", f"{other}/cat/1.png")
    found = items(tmp_path, "folders")
    assert found["train/dog/1.png"].label == "dog"
    assert found[f"{other}/cat/1.png"].label == "cat"
    assert found["train/cat/1.png"].side == "train"
    assert found[f"{other}/cat/1.png"].side == "held_out"
    assert items(tmp_path, "none")["train/cat/1.png"].side == "train"


def test_one_side_alone_is_no_split(tmp_path: Path) -> None:
    write(tmp_path, "train/cat/1.png", "train/dog/1.png")
    found = items(tmp_path, "folders")
    assert {item.side for item in found.values()} == {None}
    assert {item.label for item in found.values()} == {"cat", "dog"}


@pytest.mark.parametrize("beside", ["cats/1.png", "1.png"])
def test_a_class_called_test_is_a_class(tmp_path: Path, beside: str) -> None:
    write(tmp_path, "train/1.png", "test/1.png", beside)
    found = items(tmp_path, "folders")
    assert {item.side for item in found.values()} == {None}
    assert found["test/1.png"].label == "test"


def test_a_folder_around_everything_is_no_class(tmp_path: Path) -> None:
    write(tmp_path / "a", "pets/cat/1.png", "pets/dog/1.png")
    assert set(labels(tmp_path / "a", "folders").values()) == {"cat", "dog"}
    write(tmp_path / "b", "pets/train/cat/1.png", "pets/test/cat/1.png")
    found = items(tmp_path / "b", "folders")
    assert {item.label for item in found.values()} == {"cat"}
    assert found["pets/test/cat/1.png"].side == "held_out"
    write(tmp_path / "c", "cat/1.png", "cat/2.png")
    assert set(labels(tmp_path / "c", "folders").values()) == {"cat"}


def test_labels_from_folders_need_folders(tmp_path: Path) -> None:
    write(tmp_path, "1.png")
    with pytest.raises(UserError, match="has no folders to take labels from"):
        items(tmp_path, "folders")


# metadata.csv and metadata.jsonl ------------------------------------------------------------------


def test_numbers_become_attributes_and_a_named_column_the_label(tmp_path: Path) -> None:
    csv = "file_name,Label,age,caption\na/1.png,3,0.5,one cat\na/2.png,4,,two\n"
    write(tmp_path, "a/1.png", "a/2.png", "3.png", metadata_csv=csv)
    for rule in ("auto", "metadata"):
        found = items(tmp_path, rule)
        assert found["a/1.png"].label == "3"
        assert found["a/1.png"].attributes == {"age": 0.5, "caption": "one cat"}
        assert found["a/2.png"].attributes == {"caption": "two"}
        assert (found["3.png"].label, found["3.png"].attributes) == (None, {})
    assert set(labels(tmp_path, "none").values()) == {None}
    assert items(tmp_path, "none")["a/1.png"].attributes == {}


def test_a_column_of_few_words_is_the_label_and_one_of_many_a_caption(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(10)]
    rows = [f"{name},text {name},{'red' if i % 2 else 'blue'}" for i, name in enumerate(names)]
    csv = "\r\n".join(["file_name,text,colour", *rows])
    write(tmp_path, *names, metadata_csv="\ufeff" + csv)
    found = items(tmp_path)
    assert found["3.png"].label == "red"
    assert found["3.png"].attributes == {"text": "text 3.png"}
    few = "\n".join(csv.split("\r\n")[:4])  # 2 colours in 3 rows say nothing
    write(tmp_path, metadata_csv=few)
    assert items(tmp_path)["1.png"].label is None
    assert items(tmp_path)["1.png"].attributes == {"text": "text 1.png", "colour": "red"}


def test_metadata_in_split_folders_is_relative_to_them_and_judged_as_one(tmp_path: Path) -> None:
    write(tmp_path, "train/1.png", "test/1.png")
    (tmp_path / "train" / "metadata.csv").write_text("file_name,size\n1.png,7\n")
    (tmp_path / "test" / "metadata.csv").write_text("file_name,size\n1.png,large\n")
    found = items(tmp_path)
    assert found["train/1.png"].attributes == {"size": "7"}
    assert found["train/1.png"].side == "train"
    assert found["test/1.png"].attributes == {"size": "large"}


def test_jsonl_holds_numbers_truths_vectors_and_nothing(tmp_path: Path) -> None:
    row = {"file_name": "1.png", "class": True, "pose": [1, 0.5], "n": 7, "none": None, "o": {}}
    other = {"file_name": "./2.png", "class": False, "pose": [2, 3], "n": 1.5}
    lines = "\n".join(map(json.dumps, (row, other))) + "\n\n"
    write(tmp_path, "1.png", "2.png", metadata_jsonl=lines)
    found = items(tmp_path)
    assert found["1.png"].attributes == {"pose_0": 1.0, "pose_1": 0.5, "n": 7.0}
    assert found["1.png"].label == "True"
    assert found["2.png"].label == "False"


def test_a_column_can_make_the_split(tmp_path: Path) -> None:
    csv = "file_name,split\n" + "".join(
        f"{i}.png,{'test' if i > 8 else 'train'}\n" for i in range(10)
    )
    write(tmp_path, *(f"{i}.png" for i in range(10)), metadata_csv=csv)
    found = items(tmp_path)
    assert [found[f"{i}.png"].side for i in (0, 9)] == ["train", "held_out"]
    assert found["0.png"].label is None


def test_what_is_named_but_not_there_is_rejected_and_nothing_outside_is_read(
    tmp_path: Path,
) -> None:
    write(tmp_path, "secret.png", "in/1.png")
    write(tmp_path / "in", metadata_csv="file_name,label\n1.png,a\n../secret.png,b\ngone.png,c\n")
    found = items(tmp_path / "in")
    assert found["1.png"].label == "a"
    for key in ("../secret.png", "gone.png"):
        with pytest.raises(Rejection, match=r"named in metadata.csv, but not there"):
            found[key].read()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("metadata_csv", "name,label\n1.png,2\n", "has no file_name"),
        ("metadata_jsonl", "{'file_name'", "Expecting property name"),
        ("metadata_jsonl", "[1]", "has no file_name"),
        ("metadata_jsonl", "[" * 100_000, "nested too deeply"),
        ("dataset_json", '{"labels": [', "Expecting value"),
        ("dataset_json", '{"labels": [["1.png"]]}', "not enough values"),
        ("dataset_json", '{"labels": 7}', "not iterable"),
    ],
)
def test_a_broken_file_is_one_sentence(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    write(tmp_path, "1.png", **{name: content})
    with pytest.raises(UserError, match=f"cannot be used: .*{reason}.*; mend it, or choose"):
        items(tmp_path)
    assert labels(tmp_path, "none") == {"1.png": None}


def test_a_file_that_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, "1.png")
    (tmp_path / "metadata.csv").write_bytes(b"file_name,label\n1.png,caf\xe9\n")
    with pytest.raises(UserError, match="it is not UTF-8"):
        items(tmp_path)


# dataset.json -------------------------------------------------------------------------------------


def test_nvidias_file_gives_labels(tmp_path: Path) -> None:
    table = json.dumps({"labels": [["a/1.png", 0], ["a\\2.png", 10]]})
    write(tmp_path, "a/1.png", "a/2.png", dataset_json=table)
    assert labels(tmp_path) == {"a/1.png": "0", "a/2.png": "10"}


def test_nvidias_file_gives_attributes(tmp_path: Path) -> None:
    write(tmp_path, "1.png", "2.png", dataset_json='{"labels": [["1.png", 0.5], ["2.png", 1]]}')
    found = items(tmp_path)
    assert (found["1.png"].label, found["1.png"].attributes) == (None, {"label": 0.5})
    assert found["2.png"].attributes == {"label": 1.0}
    write(tmp_path, dataset_json='{"labels": [["1.png", [0.5, 2]]]}')
    assert items(tmp_path)["1.png"].attributes == {"label_0": 0.5, "label_1": 2.0}


@pytest.mark.parametrize("content", ['{"labels": null}', '{"images": [1]}', "[1]"])
def test_a_file_without_labels_gives_none(tmp_path: Path, content: str) -> None:
    write(tmp_path, "1.png", dataset_json=content)
    assert labels(tmp_path) == {"1.png": None}
    with pytest.raises(UserError, match=r"has no labels in a dataset.json, metadata.csv or"):
        items(tmp_path, "metadata")
