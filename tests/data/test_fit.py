from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morelike.data.decode import decode
from morelike.data.fit import (
    Crop,
    Decoded,
    Form,
    border_colour,
    choose_crop,
    pixels_for_one,
    too_long,
    window,
)

WHITE = (255, 255, 255)
FLAT = np.full((64, 64, 3), 128, np.uint8)


def form(height: int, width: int, crop: Crop = "center", channels: int = 3) -> Form:
    assert channels in (3, 4)
    return Form(height, width, channels, crop, WHITE)


@pytest.mark.parametrize(
    ("picture", "target", "box"),
    [
        ((300, 200), (64, 64), (50, 0, 250, 200)),
        ((200, 301), (64, 64), (0, 50, 200, 250)),
        ((300, 200), (64, 96), (0, 0, 300, 200)),
        ((300, 200), (64, 128), (0, 25, 300, 175)),
        ((300, 200), (128, 64), (100, 0, 200, 200)),
    ],
)
def test_the_center_has_the_targets_shape(
    picture: tuple[int, int], target: tuple[int, int], box: tuple[float, ...]
) -> None:
    cut, size = window(*picture, form(*target), FLAT)
    assert cut == box
    assert size == target[::-1]


def test_how_many_pixels_become_one() -> None:
    assert pixels_for_one(640, 320, form(64, 64)) == 5
    assert pixels_for_one(640, 320, form(64, 64, "smart")) == 5
    assert pixels_for_one(640, 320, form(64, 64, "fit")) == 5
    assert pixels_for_one(640, 320, form(64, 64, "pad")) == 10
    assert pixels_for_one(640, 320, form(64, 128, "pad")) == 5


def test_what_is_too_long_depends_on_the_targets_shape() -> None:
    assert not too_long(2000, 100, form(64, 64))
    assert too_long(2001, 100, form(64, 64))
    assert too_long(100, 2001, form(64, 64))
    assert not too_long(8000, 100, form(64, 256))
    assert too_long(100, 600, form(64, 256))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96), (96, 32)])
@pytest.mark.parametrize(("across", "down"), [(120, 60), (60, 120), (61, 59)])
def test_pad_shows_the_whole_picture_on_its_borders_colour(
    height: int, width: int, across: int, down: int
) -> None:
    picture = np.full((down, across, 3), (10, 120, 200), np.uint8)
    picture[down // 3 : -(down // 3), across // 3 : -(across // 3)] = 255
    pixels = decode(picture, form(height, width, "pad")).pixels
    ring = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (ring == (10, 120, 200)).all()
    share = (pixels == 255).all(axis=-1).sum() / (height * width)
    shown = min(1, (across * height) / (down * width)) * min(1, (down * width) / (across * height))
    assert abs(share - shown / 9) < 0.05


def test_pad_is_transparent_beside_a_transparent_border() -> None:
    picture = np.zeros((40, 80, 4), np.uint8)
    picture[10:30, 20:60] = (200, 50, 50, 255)
    pixels = decode(picture, form(64, 64, "pad", 4)).pixels
    assert (pixels[:8] == 0).all()
    assert (pixels[-8:] == 0).all()
    assert pixels[32, 32].tolist() == [200, 50, 50, 255]
    opaque = np.full((40, 80, 4), (1, 2, 3, 255), np.uint8)
    assert (decode(opaque, form(64, 64, "pad", 4)).pixels == (1, 2, 3, 255)).all()


def test_the_borders_colour_is_that_of_most_of_it() -> None:
    pixels = np.full((20, 20, 3), 250, np.uint8)
    pixels[5:15, :3] = (255, 0, 0)
    assert border_colour(pixels) == (250, 250, 250)


def test_fit_squeezes_the_whole_picture() -> None:
    picture = np.zeros((50, 200, 3), np.uint8)
    picture[:, 100:] = 255
    pixels = decode(picture, form(32, 32, "fit")).pixels
    assert (pixels[:, :12] == 0).all()
    assert (pixels[:, 20:] == 255).all()


def textured(height: int, width: int, top: int, left: int, side: int) -> np.ndarray:
    """A flat picture with one textured square in it."""
    picture = np.full((height, width, 3), 200, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8)
    picture[top : top + side, left : left + side] = noise.repeat(4, axis=0).repeat(4, axis=1)
    return picture


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("place", [0, 60, 150, 240, 300])
def test_smart_finds_the_detail_along_the_free_side(place: int, turned: bool) -> None:
    picture = textured(100, 400, 0, place, 100)
    result = decode(picture.swapaxes(0, 1) if turned else picture, form(50, 50, "smart")).pixels
    assert (np.abs(result.astype(int) - 200) > 20).any(axis=-1).mean() > 0.8


def test_smart_prefers_the_middle_where_nothing_speaks_against_it() -> None:
    flat = np.full((100, 400, 3), 7, np.uint8)
    even = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for proxy in (FLAT, even):
        (left, top, _, _), _ = window(400, 100, form(64, 64, "smart"), proxy)
        assert top == 0
        assert abs(left - 150) < 40
    assert decode(flat, form(64, 64, "smart")).pixels.shape == (64, 64, 3)


def sample(height: int, width: int, kind: str, target: Form) -> Decoded:
    """A picture of a thing as long as the picture, or of a scene, or of a thing in the middle."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.full((height, width, 3), 255, np.uint8)
    if kind == "long":
        picture[height // 4 : -height // 4, 5 : width - 5] = (30, 60, 90)
    elif kind == "small":
        picture[np.hypot(y - height / 2, x - width / 2) < height / 4] = (30, 60, 90)
    else:
        picture[..., 0], picture[..., 1] = x * 255 // width, y * 255 // height
    return decode(picture, target)


@pytest.mark.parametrize(
    ("height", "width", "kind", "target", "crop"),
    [
        (90, 160, "long", form(64, 64), "pad"),
        (90, 160, "long", form(64, 112), "center"),
        (90, 160, "long", form(64, 64, "pad"), "pad"),
        (90, 160, "small", form(64, 64), "center"),
        (90, 160, "scene", form(64, 64), "center"),
        (90, 90, "long", form(64, 64), "center"),
        (90, 90, "long", form(32, 128), "pad"),
    ],
)
def test_the_crop_is_chosen_by_what_it_would_cut(
    height: int, width: int, kind: str, target: Form, crop: str
) -> None:
    chosen, why = choose_crop([sample(height, width, kind, target)] * 5)
    assert chosen == crop
    assert "5 pictures" in why or "all pictures" in why


def test_most_pictures_decide() -> None:
    long = sample(90, 160, "long", form(64, 64))
    small = sample(90, 160, "small", form(64, 64))
    assert choose_crop([long] * 3 + [small] * 2)[0] == "pad"
    assert choose_crop([long] * 2 + [small] * 2)[0] == "center"
    assert choose_crop([])[0] == "center"
    crop, why = choose_crop([long] * 200 + [small] * 800)
    assert crop == "center"
    assert "51 of 256" in why


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "crop"), [("bikes", "pad"), ("roses", "center")])
def test_bicycles_are_kept_whole_and_roses_are_not(shared: Path, folder: str, crop: str) -> None:
    files = sorted((shared / "data" / folder).glob("*.jp*g"))
    samples = [decode(file.read_bytes(), form(64, 64)) for file in files]
    assert choose_crop(samples)[0] == crop


@pytest.mark.shared
def test_squares_are_left_alone(shared: Path) -> None:
    picture = Image.open(sorted((shared / "data" / "bikes").glob("*.jp*g"))[0])
    square = np.asarray(picture.resize((100, 100)))
    assert choose_crop([decode(square, form(64, 64))] * 9)[0] == "center"
