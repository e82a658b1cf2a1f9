from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from morelike.config import DataConfig
from morelike.data.item import Item, Rejection
from morelike.data.sources import TarSource, open_source, tar, tar_blocks
from morelike.errors import UserError

SETTINGS = DataConfig()
Member = tuple[str | tarfile.TarInfo, bytes]


def make(path: Path, *members: Member, format: int = tarfile.PAX_FORMAT) -> Path:
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode, format=format) as file:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = info.size or len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def special(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def items(path: Path | str, settings: DataConfig = SETTINGS) -> list[Item]:
    source = open_source(path)
    assert source.streamed
    found = list(source.items(settings))
    assert len({item.key for item in found}) == len(found)
    assert source.count(settings) == len(found)
    return found


def refusal(item: Item) -> str:
    with pytest.raises(Rejection) as raised:
        item.read()
    return str(raised.value)


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz", "X.TAR"])
@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_pictures_come_in_the_order_of_the_tar(tmp_path: Path, name: str, format: int) -> None:
    sizes = [0, 1, 511, 512, 513, 8191, 8192, 8704, 16384, 70_000, 2**20]
    members = [(f"{i}.png", bytes([i % 251]) * size) for i, size in enumerate(sizes[::-1])]
    skipped = [("notes.bin", bytes(100_000)), ("more.bin", bytes(512))]
    path = make(tmp_path / name, ("./b/a.jpg", b"first"), *skipped, *members, format=format)
    found = items(path)
    assert [(i.key, i.read()) for i in found] == [("b/a.jpg", b"first"), *members]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_are_kept(tmp_path: Path, format: int) -> None:
    names = ["a/" * 120 + "x.png", "\u017ea\u0142.png", "caf\udce9.png"]
    found = items(make(tmp_path / "x.tar", *((n, b"x") for n in names), format=format))
    assert [item.key for item in found] == [*names[:2], "caf\\xe9.png"]


def test_webdataset_examples_are_put_together(tmp_path: Path) -> None:
    more = json.dumps({"width": 64, "label": "cat", "by": "me", "score": None}).encode()
    path = make(
        tmp_path / "x.tar",
        ("a/0001.cls", b"7\n"),
        ("a/0001.jpg", b"one"),
        ("a/0001.txt", b"a caption"),
        ("a/0002.jpg", b"two"),
        ("a/0002.json", more),
        ("b/0002.jpg", b"three"),
        ("b/0002.mask.png", b"four"),
        ("b/0002.cls", b"9"),
    )
    one, two, three, four = items(path)
    assert (one.key, one.label, one.attributes) == ("a/0001.jpg", "7", {"caption": "a caption"})
    assert (two.key, two.label, two.attributes) == (
        "a/0002.jpg",
        "cat",
        {"width": 64.0, "by": "me"},
    )
    assert (three.label, four.key, four.label) == ("9", "b/0002.mask.png", "9")
    assert {item.label for item in items(path, DataConfig(labels="none"))} == {None}
    assert items(path, DataConfig(labels="metadata"))[0].label == "7"
    assert {item.label for item in items(path, DataConfig(labels="folders"))} == {"a", "b"}


@pytest.mark.parametrize(
    ("name", "data"),
    [("1.json", b"{"), ("1.json", b"[1]"), ("1.json", b"[" * 99_999), ("1.cls", b"\xff")],
)
def test_a_broken_label_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    found = items(make(tmp_path / "x.tar", ("1.png", b"x"), (name, data), ("2.png", b"y")))
    assert refusal(found[0]) == "what the tar file says about it is broken"
    assert found[1].read() == b"y"


def test_a_tar_of_folders_is_read_as_a_folder(tmp_path: Path) -> None:
    names = ["train/cat/1.png", "train/dog/1.png", "test/cat/1.png"]
    path = make(tmp_path / "x.tar", *((name, b"x") for name in names))
    found = items(path, DataConfig(labels="folders"))
    assert [(i.label, i.side) for i in found] == [
        ("cat", "train"),
        ("dog", "train"),
        ("cat", "held_out"),
    ]
    table = b"file_name,label\n1.png,3\n2.png,4\n"
    found = list(
        open_source(make(tmp_path / "y.tar", ("1.png", b"x"), ("metadata.csv", table))).items(
            SETTINGS
        )
    )
    assert found[0].label == "3"
    assert "not there" in refusal(found[1])
    with pytest.raises(UserError, match="has no labels in"):
        items(path, DataConfig(labels="metadata"))


def test_what_must_not_be_read_is_named(tmp_path: Path) -> None:
    path = make(
        tmp_path / "x.tar",
        special("a.png", tarfile.SYMTYPE, "/etc/passwd"),
        special("b.png", tarfile.LNKTYPE, "c.png"),
        special("c", tarfile.CHRTYPE),
        special("pipe.png", tarfile.FIFOTYPE),
        special("folder.png", tarfile.DIRTYPE),
        ("../d.png", b"x"),
        ("/e.png", b"x"),
        ("f.zip", b"x"),
        ("._hidden.png", b"x"),
        ("__MACOSX/g.png", b"x"),
        ("z.png", b"fine"),
    )
    found = items(path)
    assert found.pop().read() == b"fine"
    assert {item.key: refusal(item) for item in found} == {
        "a.png": "a link in an archive",
        "b.png": "a link in an archive",
        "c": "a device in an archive",
        "pipe.png": "a device in an archive",
        "../d.png": "a path that leads out of the archive",
        "/e.png": "an absolute path in an archive",
        "f.zip": "an archive within an archive",
    }


def test_members_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MOST_BYTES", 2**20)
    monkeypatch.setattr(tar, "MOST_SIDECAR", 2**19)
    read: list[int] = []
    take = tar_blocks.TarBlocks.data
    monkeypatch.setattr(
        tar_blocks.TarBlocks, "data", lambda self: read.append(self._size) or take(self)
    )
    members = [("1.txt", bytes(2**19 + 512)), ("2.png", bytes(2**20 + 512)), ("3.png", b"x")]
    found = items(make(tmp_path / "x.tar.gz", *members))
    assert [refusal(item) for item in found[:2]] == ["over 0 MB", "over 1 MB"]
    assert found[2].read() == b"x"
    assert max(read) < 100


def test_pictures_do_not_wait_for_their_labels_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar, "MOST_WAITING", 3_000)
    members = [(f"IMG.{i}.png", bytes(1_000)) for i in range(50)]
    source = open_source(make(tmp_path / "x.tar", *members))
    taken: list[int] = []
    blocks = tar_blocks.TarBlocks.data
    monkeypatch.setattr(tar_blocks.TarBlocks, "data", lambda self: taken.append(1) or blocks(self))
    for number, _ in enumerate(source.items(SETTINGS)):
        assert len(taken) <= number + 6
    assert len(taken) == 50


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_what_comes_before_a_cut_is_used(tmp_path: Path, name: str) -> None:
    noise = [bytes((i * 7 + n * n) % 256 for n in range(3_000)) for i in range(8)]
    path = make(tmp_path / name, *((f"{i}.png", data) for i, data in enumerate(noise)))
    whole = path.read_bytes()
    usable = set()
    for place in range(1, len(whole) - 1, 97):
        path.write_bytes(whole[:place])
        try:
            found = items(path)
        except UserError as error:
            assert "is not a tar file that can be read" in str(error)
            continue
        good = [item for item in found if "tar" not in item.key and _readable(item)]
        assert [item.read() for item in good] == noise[: len(good)]
        assert len(found) - len(good) <= 2  # what is cut, and the tar itself
        usable.add(len(good))
    assert usable >= set(range(1, 8))


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_a_cut_in_something_that_is_no_picture_is_named_too(tmp_path: Path, name: str) -> None:
    noise = bytes(n * n // 7 % 256 for n in range(30_000))
    path = make(tmp_path / name, ("1.png", b"x"), ("notes.bin", noise), ("2.png", b"y"))
    path.write_bytes(path.read_bytes()[: 5_000 if name == "x.tar" else 400])
    first, rest = items(path)
    assert first.read() == b"x"
    assert refusal(rest).startswith("the tar file is cut short")


def _readable(item: Item) -> bool:
    try:
        item.read()
    except Rejection as rejection:
        assert "cut short" in str(rejection)
        return False
    return True


def test_any_byte_changed_is_no_crash(tmp_path: Path) -> None:
    members = [("a" * 120 + ".png", b"one"), ("b.json", b"{}"), ("b.png", b"two")]
    path = make(tmp_path / "x.tar", *members)
    whole = path.read_bytes().rstrip(b"\0") + bytes(1024)
    for place in range(0, len(whole), 7):
        changed = whole[place] ^ (1 + place % 255)
        path.write_bytes(whole[:place] + bytes([changed]) + whole[place + 1 :])
        try:
            for item in open_source(path).items(SETTINGS):
                item.read()
        except (UserError, Rejection):
            pass


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_name_of_gigabytes_is_not_read(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 2**33
    first = tarfile.TarInfo("a.png")
    first.size = 3
    data = first.tobuf() + b"one" + bytes(509) + info.tobuf(tarfile.GNU_FORMAT)
    with (tmp_path / "x.tar").open("wb") as file:
        file.write(data)
        file.truncate(2**33 + 2**20)  # sparse: takes no room
    first_item, rest = items(tmp_path / "x.tar")
    assert first_item.read() == b"one"
    assert refusal(rest) == "the tar file has a name of over 1 MB"


@pytest.mark.parametrize(
    "content", [b"", b"x", b"no tar" * 200, gzip.compress(b"x" * 2000), b"\x1f\x8b"]
)
def test_what_is_no_tar_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.tar is not a tar file that can be read: it "):
        items(tmp_path / "x.tar")


def test_an_empty_tar_has_no_pictures(tmp_path: Path) -> None:
    assert items(make(tmp_path / "x.tar")) == []


def test_shards_are_read_one_after_another(tmp_path: Path) -> None:
    for shard in range(3):
        members = [(f"{shard}{i}.png", b"x") for i in range(2)]
        make(tmp_path / f"s-{shard:03d}.tar", *members, ("same.png", b"y"))
    found = [item.key for item in items(f"{tmp_path}/s-{{000..002}}.tar")]
    assert found == [
        *("00.png", "01.png", "same.png", "10.png", "11.png", "same.png (2)"),
        *("20.png", "21.png", "same.png (3)"),
    ]
    (tmp_path / "s-001.tar").write_bytes(b"no tar" * 200)
    found = items(f"{tmp_path}/s-{{000..002}}.tar")
    assert refusal(found[3]) == "the tar file is none"
    assert [item.key for item in found[3:5]] == ["s-001.tar", "20.png"]


def test_shards_named_after_a_split_make_it(tmp_path: Path) -> None:
    for name in ("train-0", "train-1", "val-0"):
        make(tmp_path / f"{name}.tar", (f"{name}.png", b"x"))
    source = open_source(tmp_path)
    assert isinstance(source, TarSource)
    assert [item.side for item in source.items(SETTINGS)] == ["train", "train", "held_out"]
