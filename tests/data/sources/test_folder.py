from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import WritePictures
from morelike.config import DataConfig
from morelike.data.item import Item
from morelike.data.sources import FolderSource, folder, open_source

SETTINGS = DataConfig()


def items(path: Path) -> list[Item]:
    return list(open_source(path).items(SETTINGS))


def keys(path: Path) -> list[str]:
    return [item.key for item in items(path)]


def test_a_folder_is_read_with_those_below_it_sorted_by_path(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    write_pictures(tmp_path / "b" / "deep", 1)
    write_pictures(tmp_path / "a", 2)
    write_pictures(tmp_path, 1, first=7)
    assert keys(tmp_path) == ["007.png", "a/000.png", "a/001.png", "b/deep/000.png"]
    assert open_source(tmp_path).count(SETTINGS) == 4
    assert not open_source(tmp_path).streamed


def test_only_names_of_pictures_count_in_either_case(tmp_path: Path) -> None:
    wanted = ["A.JPG", "b.jpeg", "c.PNG", "d.webp", "e.gif", "f.bmp", "g.tif", "h.TIFF"]
    wanted += ["k.avif", "l.heic", "m.HEIF", "n.jfif", "o.jpe"]
    for name in (*wanted, "notes.txt", "Thumbs.db", "png", "i.png.part", "j.pdf"):
        (tmp_path / name).write_bytes(b"x")
    assert keys(tmp_path) == wanted


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    for name in (".hidden.png", "._a.png", ".cache/b.png", "c/.d/e.png", "f.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert keys(tmp_path) == ["f.png"]


def test_links_to_folders_do_not_lead_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.png").write_bytes(b"x")
    (tmp_path / "inner" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    assert keys(tmp_path) == ["inner/a.png", "self.png"]
    with pytest.raises(OSError, match="self"):
        items(tmp_path)[1].read()


def test_links_to_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"content")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").symlink_to(tmp_path / "elsewhere")
    (item,) = items(tmp_path / "pictures")
    assert item.read() == b"content"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (item,) = items(tmp_path)
    with pytest.raises(OSError, match="not a file"):
        item.read()


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MOST_BYTES", 2**20)
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(2**20 + 1)
    (item,) = items(tmp_path)
    with pytest.raises(OSError, match="over 1 MB"):
        item.read()


def test_a_folder_that_may_not_be_entered_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.png").write_bytes(b"x")
    (tmp_path / "shut").mkdir()
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # as root, no real folder is shut
    found = items(tmp_path)
    assert [item.key for item in found] == ["open/a.png", "shut"]
    with pytest.raises(OSError, match="shut"):
        found[1].read()


def test_names_that_are_not_utf8_become_keys_that_are(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    (tmp_path / "caf\\xe9.png").write_bytes(b"y")
    first, second = items(tmp_path)
    assert (first.key, second.key) == ("caf\\xe9.png", "caf\\xe9.png (2)")
    assert {first.read(), second.read()} == {b"x", b"y"}


def test_a_folder_source_reads_nothing_until_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"first")
    (item,) = items(tmp_path)
    (tmp_path / "a.png").write_bytes(b"second")
    assert item.read() == b"second"
    assert item.identity is None


def test_the_order_on_disk_does_not_matter(
    tmp_path: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "b", 3)
    write_pictures(tmp_path / "a", 3)
    before = keys(tmp_path)
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda *args, **more: reversed(list(walk(*args, **more))))
    assert keys(tmp_path) == before == sorted(before)


@pytest.mark.shared
def test_the_real_folder_of_roses_is_listed(shared: Path) -> None:
    found = keys(shared / "data" / "roses")
    assert len(found) == 67
    assert found == sorted(found)
    assert isinstance(open_source(shared / "data" / "roses"), FolderSource)
