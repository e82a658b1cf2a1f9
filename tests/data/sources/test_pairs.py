from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import WritePictures, picture
from morelike.config import DataConfig
from morelike.data.item import Item, Rejection
from morelike.data.preparation import prepare
from morelike.data.sources import PairsSource, open_source
from morelike.errors import UserError

SETTINGS = DataConfig(resolution=32, width=64)


@pytest.fixture
def folders(tmp_path: Path, write_pictures: WritePictures) -> tuple[Path, Path]:
    """Three pairs, of pictures that all differ."""
    return write_pictures(tmp_path / "a", 3), write_pictures(tmp_path / "b", 3, first=0)


def source(left: Path, right: Path) -> PairsSource:
    opened = open_source(f"pairs:{left},{right}", SETTINGS)
    assert isinstance(opened, PairsSource)
    return opened


def items(left: Path, right: Path) -> dict[str, Item]:
    return {item.key: item for item in source(left, right).items(SETTINGS)}


def pixels(item: Item) -> np.ndarray:
    read = item.read()
    assert isinstance(read, np.ndarray)
    return read


def save(path: Path, values: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return values


def reason(item: Item) -> str:
    with pytest.raises(Rejection) as caught:
        item.read()
    return str(caught.value)


def test_a_pair_is_both_pictures_left_and_right(tmp_path: Path) -> None:
    left = save(tmp_path / "a" / "one.png", picture(1))
    right = save(tmp_path / "b" / "one.png", picture(2))
    found = items(tmp_path / "a", tmp_path / "b")
    assert list(found) == ["one.png"]
    assert np.array_equal(pixels(found["one.png"]), np.concatenate([left, right], 1))


def test_names_are_compared_with_their_folders_and_without_their_suffix(tmp_path: Path) -> None:
    for name in ("x/1.png", "1.png", "x.y.png"):
        save(tmp_path / "a" / name, picture(1))
    for name in ("x/1.bmp", "1.JPG", "x.y.webp"):
        save(tmp_path / "b" / name, picture(2))
    found = items(tmp_path / "a", tmp_path / "b")
    assert list(found) == ["1.png", "x.y.png", "x/1.png"]
    assert all(pixels(item).shape == (20, 40, 3) for item in found.values())
    opened = source(tmp_path / "a", tmp_path / "b")
    assert opened.count(SETTINGS) == 3 and not opened.streamed
    assert opened.name == f"pairs:{tmp_path / 'a'},{tmp_path / 'b'}"


@pytest.mark.parametrize(("width", "height", "left", "top"), [(31, 20, 5, 0), (20, 29, 0, 4)])
def test_the_squares_in_the_middle_are_taken(
    tmp_path: Path, width: int, height: int, left: int, top: int
) -> None:
    both = [
        save(tmp_path / folder / "1.png", picture(number, width, height))
        for number, folder in enumerate("ab")
    ]
    expected = [whole[top : top + 20, left : left + 20] for whole in both]
    assert np.array_equal(
        pixels(items(tmp_path / "a", tmp_path / "b")["1.png"]), np.concatenate(expected, 1)
    )


def test_both_become_what_the_richer_one_is(tmp_path: Path) -> None:
    gray, color = picture(1)[..., 0], picture(2)
    clear = np.dstack([picture(3), np.arange(400, dtype=np.uint8).reshape(20, 20)])
    for name, (left, right) in {
        "1.png": (gray, gray),
        "2.png": (gray, color),
        "3.png": (clear, color),
        "4.png": (gray, clear),
    }.items():
        save(tmp_path / "a" / name, left)
        save(tmp_path / "b" / name, right)
    found = {name: pixels(item) for name, item in items(tmp_path / "a", tmp_path / "b").items()}
    assert [found[name].shape for name in sorted(found)] == [
        (20, 40), (20, 40, 3), (20, 40, 4), (20, 40, 4)
    ]  # fmt: skip
    assert np.array_equal(found["2.png"][:, :20], np.dstack([gray] * 3))
    assert np.array_equal(found["3.png"][:, :20], clear)
    assert (found["3.png"][:, 20:, 3] == 255).all()


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for folder in (a, b):
        save(folder / "good.png", picture(1))
    save(a / "alone.png", picture(1))
    save(b / "left.png", picture(1))
    save(a / "size.png", picture(1, 20, 18))
    save(b / "size.png", picture(1, 24, 18))
    for name, bad in (("broken", b), ("broken2", a)):
        for folder in (a, b):
            save(folder / f"{name}.png", picture(1))
        (bad / f"{name}.png").write_bytes(b"nothing that is a picture")
    save(a / "twice.png", picture(1))
    save(a / "twice.bmp", picture(2))
    save(b / "twice.png", picture(3))
    found = items(a, b)
    assert list(found) == sorted(found)
    assert reason(found["alone.png"]) == f"no picture of this name in {b}"
    assert reason(found["left.png"]) == f"no picture of this name in {a}"
    assert reason(found["size.png"]) == f"20 x 18 pixels in {a}, 24 x 18 in {b}"
    assert reason(found["broken.png"]) == f"in {b}: not a picture in a known format"
    assert reason(found["broken2.png"]) == f"in {a}: not a picture in a known format"
    assert reason(found["twice.png"]) == f"there is twice.bmp in {a}, too"
    assert np.array_equal(pixels(found["twice.bmp"])[:, :20], picture(2))
    assert pixels(found["good.png"]).shape == (20, 40, 3)


def test_a_file_that_is_gone_or_a_pipe_is_named(folders: tuple[Path, Path]) -> None:
    left, right = folders
    (right / "001.png").unlink()
    os.mkfifo(right / "001.png")
    found = items(left, right)
    (left / "000.png").unlink()
    assert reason(found["000.png"]) == f"in {left}: cannot be read: no such file or directory"
    assert reason(found["001.png"]) == f"in {right}: cannot be read: not a file"


def test_links_that_lead_in_a_circle_do_no_harm(folders: tuple[Path, Path]) -> None:
    left, right = folders
    (left / "loop").symlink_to(left, target_is_directory=True)
    (left / "self.png").symlink_to(left / "self.png")
    found = items(left, right)
    assert list(found) == ["000.png", "001.png", "002.png", "self.png"]
    assert reason(found["self.png"]) == f"no picture of this name in {right}"


def test_a_folder_that_may_not_be_entered_is_named(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = folders
    (right / "shut").mkdir()
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # as root, no real folder is shut
    found = items(left, right)
    assert reason(found["shut"]) == f"a folder in {right} that lets nobody in"
    assert len(found) == 4


def test_the_left_folder_tells_labels_and_sides(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    for folder in ("a", "b"):
        for side, first in (("train", 0), ("test", 5)):
            write_pictures(tmp_path / folder / side, 2, first=first)
    (tmp_path / "a" / "train" / "metadata.csv").write_text(
        "file_name,label\n000.png,cat\n001.png,dog\n"
    )
    found = items(tmp_path / "a", tmp_path / "b")
    assert {key: (item.side, item.label) for key, item in found.items()} == {
        "train/000.png": ("train", "cat"),
        "train/001.png": ("train", "dog"),
        "test/005.png": ("held_out", None),
        "test/006.png": ("held_out", None),
    }


def test_pairs_need_room_for_two_squares(folders: tuple[Path, Path]) -> None:
    opened = source(*folders)
    for settings, shape in (
        (DataConfig(resolution=32), "32 x 32"),
        (DataConfig(resolution=32, width=16), "16 x 32"),
        (DataConfig(resolution=32, width=48), "48 x 32"),
    ):
        with pytest.raises(UserError, match=rf"{shape} is not; give --set data\.width=64\.$"):
            list(opened.items(settings))
    with pytest.raises(UserError, match="cannot be cut into patches"):
        patches = DataConfig(resolution=16, width=32, patches=(16,))
        list(open_source(opened.name, patches).items(patches))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pairs:", "names one folder; give two, parted by a comma"),
        ("pairs:a", "names one folder; give two, parted by a comma"),
        ("pairs:a,", "there is no folder ''; give two"),
        ("pairs:a,missing", "there is no folder 'missing'; give two"),
        ("pairs:missing,b", "there is no folder 'missing'; give two"),
        ("pairs:a,b/000.png", "there is no folder 'b/000.png'; give two"),
    ],
)
def test_what_names_no_two_folders_is_refused(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    monkeypatch.chdir(folders[0].parent)
    with pytest.raises(UserError, match=sentence):
        open_source(text)


def test_folders_may_have_commas_in_their_names(
    tmp_path: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "red, green", 1)
    write_pictures(tmp_path / "b", 1)
    monkeypatch.chdir(tmp_path)
    opened = open_source("pairs:red, green,b")
    assert opened == PairsSource(tmp_path / "red, green", tmp_path / "b")
    assert open_source(opened.name) == opened  # as a run writes it down


def test_folders_without_a_name_in_common_are_refused(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    write_pictures(tmp_path / "a", 2)
    write_pictures(tmp_path / "b", 2, first=2)
    with pytest.raises(UserError, match="has the name of one in"):
        items(tmp_path / "a", tmp_path / "b")


def test_a_data_set_of_pairs_is_twice_as_wide_as_high(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    write_pictures(tmp_path / "a", 12, width=40, height=32)
    for number in range(12):
        inverse = 255 - picture(number, 40, 32)
        save(tmp_path / "b" / f"{number:03d}.png", inverse)
    settings = DataConfig(resolution=16, width=32)
    dataset = prepare(source(tmp_path / "a", tmp_path / "b"), settings)
    assert dataset.images.shape == (12, 16, 32, 3)
    left, right = np.split(np.asarray(dataset.images).astype(int), 2, axis=2)
    # Up to the seam, through which neither shines.
    assert np.abs(left + right - 255).max() <= 1


@pytest.mark.parametrize(("least", "side"), [(0, 16), (18, 18), (30, 20)])
def test_pictures_are_made_smaller_one_by_one(tmp_path: Path, least: int, side: int) -> None:
    save(tmp_path / "a" / "1.png", np.zeros((20, 24, 3), np.uint8))
    save(tmp_path / "b" / "1.png", np.full((20, 24, 3), 255, np.uint8))
    settings = DataConfig(resolution=16, width=32, min_side=least)
    (item,) = source(tmp_path / "a", tmp_path / "b").items(settings)
    found = pixels(item)
    assert found.shape == (side, 2 * side, 3)
    assert found[:, :side].max() == 0 and found[:, side:].min() == 255
