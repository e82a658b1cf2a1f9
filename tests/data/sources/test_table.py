from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from morelike.config import DataConfig
from morelike.data.item import Item, Rejection
from morelike.data.sources import ParquetSource, open_source, table
from morelike.errors import UserError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
SETTINGS = DataConfig()
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path: Path, columns: dict[str, Any], classes: dict[str, list[str]] | None = None) -> Path:
    content = pa.table(columns)
    if classes:
        features = {
            name: {"names": names, "_type": "ClassLabel"} for name, names in classes.items()
        }
        info = json.dumps({"info": {"features": {**features, "image": {"_type": "Image"}}}})
        content = content.replace_schema_metadata({"huggingface": info})
    pq.write_table(content, path, row_group_size=50)
    return path


def pictures(*contents: bytes | None, path: str | None = None) -> Any:
    return pa.array([{"bytes": content, "path": path} for content in contents], PICTURE)


def items(path: Path | str, settings: DataConfig = SETTINGS) -> list[Item]:
    source = open_source(path)
    assert source.streamed
    found = list(source.items(settings))
    assert source.count(settings) == len(found)
    assert len({item.key for item in found}) == len(found)
    return found


def test_rows_come_in_order_with_labels_and_attributes(tmp_path: Path) -> None:
    names = [b"%d" % i for i in range(130)]
    columns = {
        "image": pictures(*names),
        "label": [i % 3 - 1 for i in range(130)],
        "age": [i / 2 for i in range(130)],
        "text": [f"text {i}" for i in range(130)],
        "box": [[1.0, 2.0]] * 130,
        "mask": pa.array([b"x"] * 130),
    }
    found = items(write(tmp_path / "x.parquet", columns, {"label": ["cat", "dog"]}))
    assert [item.read() for item in found] == names
    assert [item.label for item in found[:3]] == [None, "cat", "dog"]
    assert found[129].key == "x/000129"
    assert found[129].attributes == {"age": 64.5, "text": "text 129", "box_0": 1.0, "box_1": 2.0}
    bare = items(tmp_path / "x.parquet", DataConfig(labels="none"))[1]
    assert (bare.label, bare.attributes) == (None, {})


def test_plain_bytes_under_any_name_are_pictures(tmp_path: Path) -> None:
    found = items(
        write(tmp_path / "x.parquet", {"foto": pa.array([b"a", b"b"]), "category": [7, 8]})
    )
    assert [(item.read(), item.label) for item in found] == [(b"a", "7"), (b"b", "8")]


def test_classes_of_another_name_are_labels(tmp_path: Path) -> None:
    columns = {"img": pictures(b"a", b"b"), "breed": [1, 0], "colour": [0, 1]}
    classes = {"breed": ["pug", "poodle"], "colour": ["red", "blue"]}
    found = items(write(tmp_path / "x.parquet", columns, classes))
    assert [item.label for item in found] == ["poodle", "pug"]
    assert [item.attributes for item in found] == [{"colour": "red"}, {"colour": "blue"}]


def test_a_path_in_a_table_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    columns = {"image": pictures(None, b"ok", path=str(tmp_path / "secret.png"))}
    first, second = items(write(tmp_path / "x.parquet", columns))
    with pytest.raises(Rejection, match="only the path of a picture"):
        first.read()
    assert second.read() == b"ok"


def test_rows_without_a_picture_or_too_large_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MOST_BYTES", 2**20)
    path = write(tmp_path / "x.parquet", {"image": pa.array([None, bytes(2**20 + 1)], pa.binary())})
    for item, reason in zip(items(path), ("no picture", "over 1 MB"), strict=True):
        with pytest.raises(Rejection, match=reason):
            item.read()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": [1], "b": ["x"]}, r"no column of pictures \(it has a, b\); name the one"),
        ({"a": pa.array([b"x"]), "b": pa.array([b"x"])}, r"several columns of pictures \(a, b\)"),
    ],
)
def test_tables_of_something_else_are_refused(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        items(write(tmp_path / "x.parquet", columns))


def test_broken_files_are_a_sentence_or_a_rejection(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": pictures(*[b"picture"] * 120)})
    whole = path.read_bytes()
    (tmp_path / "y.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"y.parquet cannot be read as a parquet file: "):
        items(tmp_path / "y.parquet")
    path.write_bytes(whole[:50] + b"\xff" * 200 + whole[250:])
    with pytest.raises(Rejection, match="damaged"):
        for item in open_source(path).items(SETTINGS):
            item.read()


def test_files_named_after_a_split_make_it(tmp_path: Path) -> None:
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"):
        write(tmp_path / f"{name}.parquet", {"image": pictures(b"x")})
    assert isinstance(open_source(tmp_path), ParquetSource)
    found = items(tmp_path)
    assert [item.side for item in found] == ["train", "train", "held_out"]
    assert found[0].key == "train-00000-of-00002/000000"
    pattern = f"{tmp_path}/train-{{00000..00001}}-of-00002.parquet"
    assert [item.side for item in items(pattern)] == [None, None]
