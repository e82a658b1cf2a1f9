from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import WritePictures
from morelike.data import sources
from morelike.data.sources import FolderSource, ToySource, open_source
from morelike.errors import UserError


def keys(folder: Path) -> list[str]:
    return [item.key for item in open_source(folder).items(16)]


def test_a_folder_is_read_with_those_below_it_sorted_by_path(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    write_pictures(tmp_path / "b" / "deep", 1)
    write_pictures(tmp_path / "a", 2)
    write_pictures(tmp_path, 1, first=7)
    assert keys(tmp_path) == ["007.png", "a/000.png", "a/001.png", "b/deep/000.png"]


def test_only_names_of_pictures_count_in_either_case(tmp_path: Path) -> None:
    wanted = ["A.JPG", "b.jpeg", "c.PNG", "d.webp", "e.gif", "f.bmp", "g.tif", "h.TIFF"]
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
        open_source(tmp_path).items(16)[1].read()


def test_links_to_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"content")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").symlink_to(tmp_path / "elsewhere")
    (item,) = open_source(tmp_path / "pictures").items(16)
    assert item.read() == b"content"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (item,) = open_source(tmp_path).items(16)
    with pytest.raises(OSError, match="not a file"):
        item.read()


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 2**20)
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(2**20 + 1)
    (item,) = open_source(tmp_path).items(16)
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
    items = open_source(tmp_path).items(16)
    assert [item.key for item in items] == ["open/a.png", "shut"]
    with pytest.raises(OSError, match="shut"):
        items[1].read()


def test_names_that_are_not_utf8_become_keys_that_are(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (tmp_path / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    (item,) = open_source(tmp_path).items(16)
    assert item.key == "caf\\xe9.png"
    assert item.read() == b"x"


def test_a_folder_source_reads_nothing_until_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"first")
    (item,) = open_source(tmp_path).items(16)
    (tmp_path / "a.png").write_bytes(b"second")
    assert item.read() == b"second"
    assert item.identity is None


def test_what_a_person_writes_opens_the_source(tmp_path: Path) -> None:
    assert open_source(str(tmp_path)) == open_source(tmp_path) == FolderSource(tmp_path)
    assert open_source("toy:bicycles") == ToySource("bicycles", 2000)
    assert open_source("toy:bicycles:12") == ToySource("bicycles", 12)
    assert open_source("toy:bicycles:12").name == "toy:bicycles:12"
    assert open_source("toy:bicycles:12") == open_source(open_source("toy:bicycles:12").name)


@pytest.mark.parametrize("count", ["1", "0", "-3", "1000001", "x", "2.5", "²", "9" * 5000])
def test_a_toys_count_must_be_a_number_in_range(count: str) -> None:
    with pytest.raises(UserError, match="from 2 to 1000000"):
        open_source(f"toy:bicycles:{count}")


def test_unknown_toys_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="the nearest is 'bicycles'"):
        open_source("toy:bicycle").items(16)


def test_a_file_or_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"a\.png is a file; give the folder"):
        open_source(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        open_source(tmp_path / "nowhere")


def test_toys_are_drawn_at_the_resolution_and_carry_their_factors() -> None:
    items = open_source("toy:bicycles:3").items(32)
    assert [item.key for item in items] == [f"bicycles/0000{i}.png" for i in range(3)]
    assert len({item.identity for item in items}) == 3
    assert items[0].identity != open_source("toy:bicycles:3").items(16)[0].identity
    assert items[0].attributes["kind"] in ("road", "mountain", "step-through")
    with Image.open(io.BytesIO(items[0].read())) as image:
        assert image.size == (32, 32)
        drawn = np.asarray(image)
    with Image.open(io.BytesIO(items[1].read())) as image:
        assert not np.array_equal(drawn, np.asarray(image))


@pytest.mark.shared
def test_the_real_folder_of_roses_is_listed(shared: Path) -> None:
    found = keys(shared / "data" / "roses")
    assert len(found) == 67
    assert found == sorted(found)
