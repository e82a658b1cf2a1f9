from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from morelike.config import DataConfig
from morelike.data.item import Item, Rejection, Side
from morelike.data.sources import PatchesSource, open_source
from morelike.data.sources.patches import Regions, is_blank


class Given:
    """A source of the pictures that a test gives it."""

    name = "given"
    streamed = False

    def __init__(self, *pictures: Any, side: Side | None = None) -> None:
        self.pictures, self.its_side = pictures, side

    def count(self, settings: DataConfig) -> int:
        return len(self.pictures)

    def items(self, settings: DataConfig) -> Iterator[Item]:
        for number, picture in enumerate(self.pictures):
            read = picture if callable(picture) else lambda picture=picture: picture
            yield Item(f"{number}.png", read, "cat", {"size": 1.0}, side=self.its_side)


def numbered(height: int, width: int) -> np.ndarray:
    """Every pixel of another colour, in neighbours far apart, so that a patch tells its place."""
    number = np.arange(height * width).reshape(height, width)
    return np.stack([number % 251, number // 251 % 256, number // 64256], axis=2).astype(np.uint8)


def places(patch: np.ndarray, width: int) -> tuple[int, int]:
    """Row and column of a patch's upper left pixel in `numbered`."""
    low, middle, high = (int(value) for value in patch[0, 0])
    return divmod(low + 251 * middle + 64256 * high, width)


def cut(source: Any, **settings: Any) -> tuple[list[Item], PatchesSource]:
    patches = PatchesSource(source)
    found = list(patches.items(DataConfig(**settings)))
    assert len({item.key for item in found}) == len(found)
    return found, patches


def pixels(item: Item) -> np.ndarray:
    result = item.read()
    assert isinstance(result, np.ndarray)
    return result


def test_patches_cover_the_picture_to_its_edges_in_its_own_pixels() -> None:
    picture = numbered(70, 101)
    found, _ = cut(Given(picture), patches=(16,), held_out=0)
    seen = np.zeros(picture.shape[:2], int)
    for item in found:
        patch = pixels(item)
        top, left = places(patch, 101)
        assert item.key == f"0.png/0016-{top:05d}-{left:05d}"
        assert np.array_equal(patch, picture[top : top + 16, left : left + 16])
        seen[top : top + 16, left : left + 16] += 1
    assert seen.min() >= 1
    assert np.median(seen) == 4  # half a side from one to the next
    assert [item.key for item in found] == sorted(item.key for item in found)
    assert {(item.label, item.side) for item in found} == {("cat", "train")}
    assert found[0].attributes == {"size": 1.0}


def test_larger_patches_are_as_dense_as_small_ones() -> None:
    found, _ = cut(Given(numbered(128, 128)), patches=(32, 16), stride=16, held_out=0)
    sides = [pixels(item).shape[0] for item in found]
    assert sides == sorted(sides)
    assert (sides.count(16), sides.count(32)) == (64, 16)


@pytest.mark.parametrize("sides", [(16,), (16, 24)])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_no_pixel_is_on_both_sides(sides: tuple[int, ...], share: float) -> None:
    height, width = 500, 620
    found, source = cut(Given(numbered(height, width)), patches=sides, stride=5, held_out=share)
    seen = {"train": np.zeros((height, width), bool), "held_out": np.zeros((height, width), bool)}
    for item in found:
        patch = pixels(item)
        top, left = places(patch, width)
        assert item.side is not None
        seen[item.side][top : top + len(patch), left : left + len(patch)] = True
    assert not (seen["train"] & seen["held_out"]).any()
    # Beside the border a strip narrower than the stride is left over.
    assert (seen["train"] | seen["held_out"]).mean() > 0.9
    assert seen["held_out"].mean() == pytest.approx(share, abs=0.04)
    rows = len(range(0, height - 15, 5)), len(range(0, width - 15, 5))
    if sides == (16,):
        across = (rows[0] + 1) * (rows[1] + 1) - len(found)
        assert source.notes == [
            f"{len(found)} patches cut; left out: 0 nearly blank, {across} across the border "
            "between what is trained on and what is held out."
        ]


def test_the_split_depends_on_the_content_alone() -> None:
    one, other = numbered(300, 300), numbered(300, 300)[::-1].copy()

    def sides(*pictures: np.ndarray) -> list[list[Side | None]]:
        found, _ = cut(Given(*pictures), patches=(16,))
        return [
            [item.side for item in found if item.key.startswith(f"{number}.png/")]
            for number in range(len(pictures))
        ]

    first, second, third = sides(one, other, one)
    assert first == third != second
    assert sides(other, one) == [second, first]


def test_many_small_pictures_are_held_out_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    held_out = [
        Regions(rng.integers(0, 255, (40, 40), np.uint8), 16, 0.2).side(0, 0, 40) == "held_out"
        for _ in range(400)
    ]
    assert np.mean(held_out) == pytest.approx(0.2, abs=0.05)
    assert Regions(numbered(40, 40), 16, 0.0).side(0, 0, 40) == "train"


def test_cells_are_chosen_by_content_and_a_patch_within_one_is_on_its_side() -> None:
    rng = np.random.default_rng(0)
    chosen = set()
    for _ in range(8):
        regions = Regions(rng.integers(0, 255, (256, 256), np.uint8), 16, 0.1)
        sides = [regions.side(y, x, 64) for y in range(0, 256, 64) for x in range(0, 256, 64)]
        assert set(sides) == {"train", "held_out"}
        chosen.add(tuple(sides))
    assert len(chosen) > 4


def test_a_picture_that_brings_its_side_keeps_it() -> None:
    found, _ = cut(Given(numbered(300, 300), side="held_out"), patches=(16,))
    assert {item.side for item in found} == {"held_out"}
    assert len(found) == 37 * 37


def paper(side: int) -> np.ndarray:
    """Empty paper as a camera sees it: a slope of light, and grain."""
    light = np.linspace(215, 245, side)[:, None, None]
    grain = np.random.default_rng(0).normal(0, 4, (side, side, 3))
    return (light + grain).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [16, 64, 256])
def test_empty_paper_is_blank_and_a_thin_line_is_not(side: int) -> None:
    sheet = paper(side)
    assert is_blank(sheet)
    assert is_blank(sheet[..., 0])
    assert is_blank(sheet // 8)
    spot = sheet.copy()
    spot[3, 3 : 3 + side // 4] = 0
    assert is_blank(spot)
    line = sheet.copy()
    np.einsum("iic->ic", line)[:] = 90  # a diagonal one pixel wide
    assert not is_blank(line)
    assert not is_blank(line[..., 0])


def test_nothing_shows_through_where_all_is_transparent() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 4), np.uint8)
    noise[..., 3] = 0
    assert is_blank(noise)
    noise[..., 3] = 255
    assert not is_blank(noise)


def test_blank_patches_are_left_out_and_counted() -> None:
    picture = np.full((64, 128), 255, np.uint8)
    picture[::4, :64] = 0
    found, source = cut(Given(picture), patches=(32,), stride=32, held_out=0)
    assert [item.key[-11:] for item in found] == [
        "00000-00000",
        "00000-00032",
        "00032-00000",
        "00032-00032",
    ]
    assert "4 patches cut; left out: 4 nearly blank, 0 across" in source.notes[0]


def test_turned_and_mirrored_patches_are_the_eight_of_a_square() -> None:
    picture = numbered(16, 16)
    settings = {"patches": (16,), "held_out": 0}
    found, _ = cut(Given(picture), **settings, patch_rotations=True, patch_mirrors=True)
    names = ["", "-m", "-r90", "-r90m", "-r180", "-r180m", "-r270", "-r270m"]
    assert [item.key for item in found] == [f"0.png/0016-00000-00000{name}" for name in names]
    assert len({pixels(item).tobytes() for item in found}) == 8
    assert np.array_equal(pixels(found[1]), picture[:, ::-1])
    assert np.array_equal(pixels(found[2]), np.rot90(picture))
    assert len(cut(Given(picture), **settings, patch_rotations=True)[0]) == 4
    assert len(cut(Given(picture), **settings, patch_mirrors=True)[0]) == 2


def test_files_are_decoded_upright_in_full_size() -> None:
    picture = numbered(80, 120)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(np.rot90(picture)).save(buffer, "PNG", exif=exif)
    found, _ = cut(Given(buffer.getvalue()), patches=(80,), held_out=0)
    assert np.array_equal(pixels(found[0]), picture[:, :80])


def test_pictures_that_cannot_be_cut_are_named() -> None:
    def shut() -> bytes:
        raise PermissionError(13, "Permission denied")

    def refused() -> bytes:
        raise Rejection("a link in an archive")

    found, _ = cut(
        Given(shut, refused, b"no picture", numbered(12, 99), numbered(16, 16)), patches=(16,)
    )
    reasons = []
    for item in found[:4]:
        with pytest.raises(Rejection) as raised:
            item.read()
        reasons.append(str(raised.value))
    assert reasons[0] == "cannot be read: permission denied"
    assert reasons[1] == "a link in an archive"
    assert reasons[3] == "99 x 12 pixels are fewer than one patch has"
    assert [item.key for item in found] == [
        *(f"{i}.png" for i in range(4)),
        "4.png/0016-00000-00000",
    ]


def test_one_picture_is_opened_at_a_time() -> None:
    opened: list[int] = []

    def picture(number: int) -> Any:
        return lambda: opened.append(number) or numbered(32, 32)

    patches = PatchesSource(Given(*(picture(number) for number in range(5))))
    for item in patches.items(DataConfig(patches=(16,), held_out=0)):
        assert len(opened) == int(item.key[0]) + 1


@pytest.mark.shared
def test_the_real_drawings_give_thousands_of_patches(shared: Path) -> None:
    settings = DataConfig(patches=(64,), stride=64)
    source = open_source(shared / "data" / "doodles" / "giant-doodle.jpg", settings)
    found = list(source.items(settings))
    sides = [item.side for item in found]
    assert sides.count("train") > 700
    assert 40 < sides.count("held_out") < 150
    assert pixels(found[0]).shape == (64, 64, 3)
