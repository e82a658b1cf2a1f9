"""Pictures inside the page: stored once, small, and within the bound."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from morelike.page import thumbs as module
from morelike.page.thumbs import Thumbs


def noise(number: int, height: int = 64, width: int = 64, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, channels), np.uint8)


def stored(thumbs: Thumbs) -> list[Image.Image]:
    """The pictures as a browser would decode them."""
    data = re.findall(r'href="data:image/webp;base64,([^"]+)"', thumbs.symbols())
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in data]


def test_a_picture_shown_three_times_is_stored_once() -> None:
    thumbs = Thumbs()
    places = [thumbs.place(noise(0), f"picture {n}") for n in range(3)]
    assert ["#p0" in place for place in places] == [True] * 3
    assert "<title>picture 2</title>" in places[2]
    assert len(stored(thumbs)) == 1


def test_equal_bytes_of_another_shape_are_another_picture() -> None:
    thumbs = Thumbs()
    thumbs.place(np.zeros((8, 16, 3), np.uint8), "")
    thumbs.place(np.zeros((16, 8, 3), np.uint8), "")
    assert [image.size for image in stored(thumbs)] == [(16, 8), (8, 16)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_small_pictures_keep_every_pixel(channels: int) -> None:
    pixels = noise(1, 16, 24, channels)
    if channels == 4:
        pixels[..., 3] = np.where(pixels[..., 3] > 127, 255, 128)
    thumbs = Thumbs()
    thumbs.place(pixels, "")
    (image,) = stored(thumbs)
    found = np.asarray(image.convert("RGBA" if channels == 4 else "RGB"))
    np.testing.assert_array_equal(found, np.broadcast_to(pixels, found.shape))
    assert 'class="pixels"' in thumbs.symbols()


@pytest.mark.parametrize(
    ("size", "expected"),
    [((256, 256), (96, 96)), ((64, 256), (96, 24)), ((256, 128), (48, 96)), ((90, 60), (60, 90))],
)
def test_large_pictures_are_made_smaller_in_their_shape(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    thumbs = Thumbs()
    place = thumbs.place(noise(2, *size), "")
    assert f'viewBox="0 0 {expected[0]} {expected[1]}"' in place
    assert [image.size for image in stored(thumbs)] == [expected]


def test_a_picture_looks_as_it_did() -> None:
    y, x = np.mgrid[0:64, 0:64]
    pixels = np.stack([x * 4, y * 4, 255 - x * 2], -1).astype(np.uint8)
    thumbs = Thumbs()
    thumbs.place(pixels, "")
    (image,) = stored(thumbs)
    error = np.abs(np.asarray(image, float) - pixels).mean()
    assert error < 4


@pytest.mark.parametrize(("bytes_each", "side"), [(30_000, 96), (9_000, 96), (4_000, 64), (1, 48)])
def test_quality_and_then_size_give_way_where_all_would_take_too_much(
    monkeypatch: pytest.MonkeyPatch, bytes_each: int, side: int
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 6 * bytes_each)
    thumbs = Thumbs()
    for number in range(6):
        thumbs.place(noise(number, 96, 96), "")
    assert {image.size for image in stored(thumbs)} == {(side, side)}
    if bytes_each > 1:
        assert len("".join(thumbs._uris())) <= 6 * bytes_each


def test_the_worst_pictures_fit_at_the_last_step() -> None:
    """As many as a page can hold, all noise, at the smallest size."""
    side, quality = module.STEPS[-1]
    one = len(module._uri(Image.fromarray(noise(0, side, side)), quality))
    assert one * 2_400 < module.MOST_BYTES


def test_no_pictures_no_symbols() -> None:
    assert Thumbs().symbols() == ""
