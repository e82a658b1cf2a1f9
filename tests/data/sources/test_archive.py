from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from morelike.config import DataConfig
from morelike.data.item import Item, Rejection
from morelike.data.sources import ZipSource, archive, open_source
from morelike.errors import UserError

SETTINGS, FOLDERS = DataConfig(), DataConfig(labels="folders")
CENTRAL_DIRECTORY = b"PK\x01\x02"


def make(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = 8) -> Path:
    with zipfile.ZipFile(path, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two of the same name
        for name, data in members:
            file.writestr(name, data)
    return path


def items(path: Path, settings: DataConfig = SETTINGS) -> dict[str, Item]:
    found = list(open_source(path).items(settings))
    assert [item.key for item in found] == sorted({item.key for item in found})
    return {item.key: item for item in found}


def refusal(item: Item) -> str:
    with pytest.raises(Rejection) as raised:
        item.read()
    return str(raised.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_pictures_are_read_in_place_sorted_by_path(tmp_path: Path, method: int) -> None:
    data = bytes(range(256)) * 40
    members = [("b/1.png", data), ("a/1.JPG", b"first"), ("a/notes.txt", b"x"), ("c.png", b"")]
    path = make(tmp_path / "x.ZIP", *members, method=method)
    found = items(path)
    assert list(found) == ["a/1.JPG", "b/1.png", "c.png"]
    assert [item.read() for item in found.values()] == [b"first", data, b""]
    assert open_source(path).count(SETTINGS) == 3
    assert list(tmp_path.iterdir()) == [path]


def test_members_are_read_by_many_threads_at_once(tmp_path: Path) -> None:
    members = [(f"{i:03d}.png", struct.pack("<H", i) * (1000 + 37 * i)) for i in range(300)]
    found = list(items(make(tmp_path / "x.zip", *members)).values())
    assert len(found) == 300  # and the listing is over
    with ThreadPoolExecutor(16) as pool:
        for _ in range(3):
            assert list(pool.map(lambda item: item.read(), found)) == [data for _, data in members]


def test_litter_is_passed_over(tmp_path: Path) -> None:
    names = ["__MACOSX/._a.png", ".DS_Store", ".hidden/a.png", "a/.b.png", "__MACOSX/b.zip", "d/"]
    path = make(tmp_path / "x.zip", *((name, b"x") for name in names), ("./a.png", b"x"))
    assert list(items(path)) == ["a.png"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../a.png", "leads out of the archive"),
        ("a/../../b.png", "leads out of the archive"),
        ("..\\evil.png", "leads out of the archive"),
        ("../evil.txt", "leads out of the archive"),
        ("/etc/a.png", "absolute path"),
        ("C:\\a.png", "absolute path"),
        ("more.zip", "archive within an archive"),
        ("more.tar.gz", "archive within an archive"),
    ],
)
def test_names_that_lead_elsewhere_are_named(tmp_path: Path, name: str, reason: str) -> None:
    found = items(make(tmp_path / "x.zip", (name, b"x"), ("ok.png", b"fine")))
    assert found.pop("ok.png").read() == b"fine"
    (item,) = found.values()
    assert item.key == name.replace("\\", "/")
    assert reason in refusal(item)


def test_links_are_named(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    other = zipfile.ZipInfo("passwords")
    other.external_attr = link.external_attr
    found = items(make(tmp_path / "x.zip", (link, b"/etc/hostname"), (other, b"/etc/passwd")))
    assert {refusal(item) for item in found.values()} == {"a link in an archive"}
    assert len(found) == 2


def test_encrypted_members_are_named(tmp_path: Path) -> None:
    path = make(tmp_path / "x.zip", ("a.png", b"x"), ("b.txt", b"x"))
    data = path.read_bytes().replace(
        CENTRAL_DIRECTORY + b"\x14\x03\x14\x00\x00", CENTRAL_DIRECTORY + b"\x14\x03\x14\x00\x01"
    )
    path.write_bytes(data)
    (item,) = items(path).values()
    assert refusal(item) == "encrypted"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_named(tmp_path: Path, method: int) -> None:
    (item,) = items(make(tmp_path / "x.zip", ("a.png", b"x" * 99), method=method)).values()
    assert refusal(item) == f"packed by method {method}, which is not read; only deflate is"


def test_members_too_large_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 2**20)
    path = make(tmp_path / "x.zip", ("a.png", bytes(2**20 + 1)), ("b.png", bytes(2**20)))
    found = items(path)
    assert refusal(found["a.png"]) == "over 1 MB"
    assert len(found["b.png"].read()) == 2**20


def test_a_bomb_that_lies_about_its_size_is_unpacked_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "x.zip", ("a.png", bytes(2**22)))
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 2**22), struct.pack("<I", 100)))
    (item,) = items(path).values()
    unpacked: list[int] = []
    make_unpacker = archive.zlib.decompressobj

    class Watched:
        def __init__(self, *args: int) -> None:
            self.inner = make_unpacker(*args)

        def decompress(self, data: bytes, most: int) -> bytes:
            result = self.inner.decompress(data, most)
            unpacked.append(len(result))
            return result

    monkeypatch.setattr(archive.zlib, "decompressobj", Watched)
    assert refusal(item) == "larger than the archive says"
    assert unpacked == [101]


def test_many_names_for_the_same_bytes_are_named(tmp_path: Path) -> None:
    path = make(tmp_path / "x.zip", ("a.png", bytes(5000)), ("b.png", b"other"), ("c.png", b"fine"))
    data = bytearray(path.read_bytes())
    second = data.index(CENTRAL_DIRECTORY, data.index(CENTRAL_DIRECTORY) + 1)
    data[second + 42 : second + 46] = struct.pack("<I", 10)  # begins within the first one
    path.write_bytes(data)
    found = items(path)
    assert "lies over another" in refusal(found["b.png"])
    assert found["a.png"].read() == bytes(5000)
    assert found["c.png"].read() == b"fine"


def test_damaged_members_are_named(tmp_path: Path) -> None:
    members = [(f"{i}.png", bytes(range(256)) * 20) for i in range(4)]
    path = make(tmp_path / "x.zip", *members, method=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[100] ^= 1  # contents of the first
    data[5200:5202] = b"??"  # header of the second, or its contents
    data[data.index(b"PK\x03\x04", 8000)] = 0  # header of the third
    path.write_bytes(data)
    found = items(path)
    for name in ("0.png", "1.png", "2.png"):
        assert refusal(found[name]) == "damaged in the archive"
    assert found["3.png"].read() == members[3][1]


def test_broken_packed_bytes_are_named(tmp_path: Path) -> None:
    path = make(tmp_path / "x.zip", ("a.png", bytes(range(256)) * 20))
    data = bytearray(path.read_bytes())
    data[35] = 0x07  # a block of the kind that there is not
    path.write_bytes(data)
    (item,) = items(path).values()
    assert refusal(item) == "damaged in the archive"


def test_two_members_of_one_name_get_two_keys(tmp_path: Path) -> None:
    found = items(make(tmp_path / "x.zip", ("a.png", b"1"), ("b.png", b"2"), ("a.png", b"3")))
    assert [(key, item.read()) for key, item in found.items()] == [
        ("a.png", b"1"),
        ("a.png (2)", b"3"),
        ("b.png", b"2"),
    ]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(7)])
def test_what_is_no_zip_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.zip is not a zip file that can be read: "):
        items(tmp_path / "x.zip")


def test_a_zip_cut_anywhere_or_with_any_byte_changed_is_no_crash(tmp_path: Path) -> None:
    members = [("a/1.png", b"one" * 50), ("b/2.png", b"two" * 50), ("metadata.csv", b"file_name\n")]
    whole = make(tmp_path / "x.zip", *members).read_bytes()
    for place in range(len(whole)):
        for data in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :],
        ):
            (tmp_path / "y.zip").write_bytes(data)
            try:
                for item in ZipSource(tmp_path / "y.zip").items(SETTINGS):
                    item.read()
            except (UserError, Rejection):
                pass


def test_labels_and_sides_come_as_from_a_folder(tmp_path: Path) -> None:
    names = ["train/cat/1.png", "train/dog/1.png", "test/cat/1.png"]
    found = items(make(tmp_path / "x.zip", *((name, b"x") for name in names)), FOLDERS)
    assert {key: (item.label, item.side) for key, item in found.items()} == {
        "test/cat/1.png": ("cat", "held_out"),
        "train/cat/1.png": ("cat", "train"),
        "train/dog/1.png": ("dog", "train"),
    }
    table = b'{"labels": [["00/1.png", 3], ["00/2.png", 4]]}'
    found = items(make(tmp_path / "y.zip", ("00/1.png", b"x"), ("dataset.json", table)))
    assert found["00/1.png"].label == "3"
    assert "not there" in refusal(found["00/2.png"])


def test_a_zip_behind_something_else_is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO(make(tmp_path / "x.zip", ("a.png", b"hello")).read_bytes())
    (tmp_path / "y.zip").write_bytes(b"#!/bin/sh\n" * 30 + buffer.getvalue())
    assert items(tmp_path / "y.zip")["a.png"].read() == b"hello"


@pytest.mark.shared
def test_real_zips_have_their_classes_and_splits(shared: Path) -> None:
    smiles = items(shared / "data" / "smiles.zip", FOLDERS)
    assert Counter(item.label for item in smiles.values()) == {
        "smiling": 3_690,
        "not_smiling": 9_475,
    }
    dogs = items(shared / "data" / "dogs64.zip", FOLDERS)
    assert sorted(Counter(item.label for item in dogs.values()).values()) == [500] * 6
    for item in list(dogs.values())[::10]:
        assert bytes(item.read()).startswith(b"\xff\xd8")


@pytest.mark.shared
def test_cifar_brings_its_own_split(shared: Path) -> None:
    cifar = items(shared / "data" / "cifar10.zip", FOLDERS)
    assert Counter(item.side for item in cifar.values()) == {"train": 50_000, "held_out": 10_000}
    assert set(Counter(item.label for item in cifar.values()).values()) == {6_000}
    assert len({item.label for item in cifar.values()}) == 10
