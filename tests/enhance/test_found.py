from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from morelike.data.item import Rejection
from morelike.enhance.found import Found, find, read, wanted
from morelike.errors import UserError


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 5)).save(path)


def names(found: list[Found], out: Path = Path("out")) -> list[str]:
    return [one.target.relative_to(out).as_posix() for one in wanted(found, out, False)]


def test_a_folder_is_searched_and_keeps_its_paths(tmp_path: Path) -> None:
    write(tmp_path / "b" / "x.jpg", tmp_path / "a.png", tmp_path / ".hidden" / "y.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = find([tmp_path])
    assert [one.name for one in found] == ["a.png", "b/x.jpg"]
    assert names(found) == ["a.png", "b/x.png"]


def test_files_and_folders_may_be_mixed(tmp_path: Path) -> None:
    write(tmp_path / "one" / "a.jpg", tmp_path / "two" / "b.jpg", tmp_path / "c.bmp")
    found = find([tmp_path / "c.bmp", tmp_path / "one", tmp_path / "two"])
    assert names(found) == ["c.png", "a.png", "b.png"]


def test_no_two_become_one_file() -> None:
    given = ["a.jpg", "a.png", "A.gif", "b.jpg", "b.jpg", "sub/a.jpg", "c.d.jpg"]
    found = [Found(Path(str(number)), name) for number, name in enumerate(given)]
    made = names(found)
    assert made == [
        "a.jpg.png",
        "a.png.png",
        "A.gif.png",
        "b.jpg.png",
        "b.jpg (2).png",
        "sub/a.png",
        "c.d.png",
    ]
    inputs = ["a.jpg", "a.input.jpg"]
    both = wanted([Found(Path(name), name) for name in inputs], Path("out"), False, True)
    files = [path.name for one in both for path in (one.target, one.given)]
    assert len(set(files)) == 4 and files[:2] == ["a.png", "a.input.png"]


def test_a_target_is_never_one_of_the_pictures(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    for again in (False, True):
        with pytest.raises(UserError, match=r"a\.png is one of the pictures themselves; choose"):
            wanted(find([tmp_path]), tmp_path, again)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(UserError, match="is one of the pictures themselves"):
        wanted(find([tmp_path]), link, True)


def test_results_are_not_overwritten_unless_asked(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.png", tmp_path / "out" / "a.png")
    found = find([tmp_path / "in"])
    with pytest.raises(UserError, match=r"out/a\.png is there already; make it anew with --again"):
        wanted(found, tmp_path / "out", False)
    assert len(wanted(found, tmp_path / "out", True)) == 1
    write(tmp_path / "in2" / "b.png", tmp_path / "out" / "b.input.png")
    found = find([tmp_path / "in2"])
    assert len(wanted(found, tmp_path / "out", False)) == 1
    with pytest.raises(UserError, match=r"b\.input\.png is there already"):
        wanted(found, tmp_path / "out", False, True)


def test_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    write(tmp_path / "in" / "sub" / "a.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"sub/a\.png leads out of .*out by a link"):
        wanted(find([tmp_path / "in"]), tmp_path / "out", True)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no nowhere; name a picture, or a folder"):
        find(["nowhere"])
    with pytest.raises(UserError, match=r"there is no picture in .*; name a picture"):
        find([tmp_path])


def test_files_that_cannot_be_read_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "b.png").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        with pytest.raises(Rejection):
            read(Found(tmp_path / name, name))
    with pytest.raises(Rejection, match="cannot be read: no such file"):
        read(Found(tmp_path / "c.png", "c.png"))
