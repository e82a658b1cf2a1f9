from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from morelike import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_text_and_json_come_back(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "b", b"\x00\xff\r\n")
    assert (tmp_path / "b").read_bytes() == b"\x00\xff\r\n"
    files.write_text(tmp_path / "t", "Käse\n")
    assert (tmp_path / "t").read_bytes() == "Käse\n".encode()
    value = {"ä": [1, 2.5, None, True, "\u2028"], "nested": {"x": []}}
    files.write_json(tmp_path / "j", value)
    assert files.read_json(tmp_path / "j") == value
    assert "ä" in (tmp_path / "j").read_text(encoding="utf-8")
    assert names(tmp_path) == ["b", "j", "t"]


def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    files.write_text(tmp_path / "t", "a long text that was there before")
    files.write_text(tmp_path / "t", "new")
    assert (tmp_path / "t").read_text() == "new"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"x": [-float("inf")]}])
def test_json_never_holds_nan_or_infinity(tmp_path: Path, value: Any) -> None:
    files.write_json(tmp_path / "j", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "j", value)
    assert files.read_json(tmp_path / "j") == 1
    assert names(tmp_path) == ["j"]


def test_names_that_are_not_utf8_survive_json(tmp_path: Path) -> None:
    value = {"source": os.fsdecode(b"caf\xe9")}
    files.write_json(tmp_path / "j", value)
    assert files.read_json(tmp_path / "j") == value
    assert json.loads((tmp_path / "j").read_bytes().decode("utf-8"))


class Killed(BaseException):
    """Stands for anything that ends a process."""


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), Killed(), ValueError()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    (tmp_path / "f").write_text("old")

    def half(file: BinaryIO) -> None:
        file.write(b"half of the new")
        raise error

    with pytest.raises(type(error)):
        files.write_atomically(tmp_path / "f", half)
    with pytest.raises(type(error)):
        files.write_atomically(tmp_path / "new", half)
    assert (tmp_path / "f").read_text() == "old"
    assert names(tmp_path) == ["f"]


def test_the_new_file_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_text("old")
    seen: list[tuple[str, str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def look(when: str) -> None:
        (temporary,) = (path for path in tmp_path.iterdir() if path.name.startswith("."))
        seen.append((when, (tmp_path / "f").read_text(), temporary.read_text()))

    def watched_fsync(descriptor: int) -> None:
        look("flushed")
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        look("renamed")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    files.write_text(tmp_path / "f", "new")
    assert seen == [("flushed", "old", "new"), ("renamed", "old", "new")]
    assert (tmp_path / "f").read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_files_have_the_permissions_of_ordinary_ones(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "f", "x")
        (tmp_path / "ordinary").write_text("x")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("f", "ordinary")]
    assert modes == [0o640, 0o640]


def test_a_folder_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.write_text(tmp_path / "nowhere" / "f", "x")


def test_folders_can_be_flushed(tmp_path: Path) -> None:
    files.sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.sync_folder(tmp_path / "nowhere")


def test_the_cache_is_where_the_environment_says_or_the_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "kept"))
    assert files.cache_folder() == tmp_path / "kept"
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("MORELIKE_CACHE")
        else:
            monkeypatch.setenv("MORELIKE_CACHE", unset)
        assert files.cache_folder().is_absolute()
        assert files.cache_folder().name == "morelike"
