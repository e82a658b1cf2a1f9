from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import WritePictures
from morelike.config import DataConfig
from morelike.data.sources import (
    ArraySource,
    FolderSource,
    ParquetSource,
    PatchesSource,
    PictureSource,
    TarSource,
    VideoSource,
    ZipSource,
    open_source,
)
from morelike.errors import UserError

PATCHES = DataConfig(patches=(16,))


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_what_a_person_writes_opens_the_source(tmp_path: Path) -> None:
    assert open_source(str(tmp_path)) == open_source(tmp_path) == FolderSource(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.zip", ZipSource),
        ("a.ZIP", ZipSource),
        ("a.tar", TarSource),
        ("a.tar.gz", TarSource),
        ("a.tgz", TarSource),
        ("a.npy", ArraySource),
        ("a.npz", ArraySource),
        ("a.parquet", ParquetSource),
        ("a.mp4", VideoSource),
        ("a.MKV", VideoSource),
    ],
)
def test_files_are_told_by_their_names(tmp_path: Path, name: str, kind: type) -> None:
    touch(tmp_path, name)
    source = open_source(tmp_path / name)
    assert type(source) is kind
    assert source.name == str(tmp_path / name)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["a.png", "b.mp4", "c.tar"], FolderSource),
        (["a.mp4", "deep/b.mov", "c.tar"], VideoSource),
        (["a.tar", "deep/b.tar", "notes.txt"], TarSource),
        (["a.parquet", "README.md"], ParquetSource),
        (["a.zip", "README.md"], ZipSource),
        (["a.zip", "b.zip"], FolderSource),
        (["README.md"], FolderSource),
        ([".hidden.mp4"], FolderSource),
    ],
)
def test_a_folder_without_pictures_is_what_it_holds(
    tmp_path: Path, names: list[str], kind: type
) -> None:
    assert type(open_source(touch(tmp_path, *names))) is kind


def test_a_folder_of_two_kinds_of_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must name tar or parquet files"):
        open_source(touch(tmp_path, "a.tar", "b.parquet"))


def test_patches_are_cut_out_of_any_source(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    assert open_source(tmp_path, PATCHES) == PatchesSource(FolderSource(tmp_path))
    assert open_source(tmp_path / "a.png", PATCHES) == PatchesSource(
        PictureSource(tmp_path / "a.png")
    )
    assert open_source("toy:bicycles", PATCHES).name == "toy:bicycles:2000"


def test_a_file_or_nothing_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.txt")
    with pytest.raises(UserError, match=r"a\.png is a file; give the folder.* or set patches"):
        open_source(tmp_path / "a.png")
    with pytest.raises(
        UserError, match=r"a\.txt is a file; give the folder that holds the pictures"
    ):
        open_source(tmp_path / "a.txt", PATCHES)
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"there is no folder .*nowhere.zip"):
        open_source(tmp_path / "nowhere.zip")


def test_braces_stand_for_several_files(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{a}-{b:02d}.tar" for a in (8, 9, 10) for b in (0, 1)))
    source = open_source(f"{tmp_path}/{{8..10}}-{{00..01}}.tar")
    assert isinstance(source, TarSource)
    names = [path.name for path in source.paths]
    assert names == ["8-00.tar", "8-01.tar", "9-00.tar", "9-01.tar", "10-00.tar", "10-01.tar"]
    touch(tmp_path, "{1..2}.tar")
    assert open_source(f"{tmp_path}/{{1..2}}.tar").name == f"{tmp_path}/{{1..2}}.tar"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("a-{0..2}.tar", r"there is no file .*a-2\.tar, which .* stands for"),
        ("a-{0..1}.png", "must name tar or parquet files"),
        ("a-{2..0}.tar", "must stand for 1 to 100000 files"),
        ("a-{0..999999999}.tar", "must stand for 1 to 100000 files"),
        ("a-{0..999}-{0..999}.tar", "must stand for 1 to 100000 files"),
    ],
)
def test_braces_that_stand_for_something_else_are_refused(
    tmp_path: Path, pattern: str, said: str
) -> None:
    touch(tmp_path, "a-0.tar", "a-1.tar", "a-0.png", "a-1.png")
    with pytest.raises(UserError, match=said):
        open_source(f"{tmp_path}/{pattern}")


def test_every_source_says_the_same_twice(tmp_path: Path, write_pictures: WritePictures) -> None:
    write_pictures(tmp_path / "a", 3, width=40, height=40)
    np.save(tmp_path / "b.npy", np.zeros((3, 9, 9), np.uint8))
    for source in (
        open_source(tmp_path / "a"),
        open_source(tmp_path / "a", PATCHES),
        open_source(tmp_path / "b.npy"),
    ):
        once, again = ([item.key for item in source.items(PATCHES)] for _ in range(2))
        assert once == again
        assert len(set(once)) == len(once) >= 3


def test_opening_a_folder_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from morelike.data.sources import open_source; open_source(sys.argv[1]);"
        "print([name for name in ('torch', 'av', 'pyarrow', 'datasets') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
