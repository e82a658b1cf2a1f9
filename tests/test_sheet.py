from __future__ import annotations

import numpy as np
import pytest

from morelike.sheet import Row, enlarged, heat, sheet


def picture(side: int) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)


@pytest.mark.parametrize(
    ("side", "about", "shown"), [(16, 64, 64), (64, 128, 128), (256, 128, 256), (300, 128, 256)]
)
def test_pictures_are_shown_about_as_large_as_asked(side: int, about: int, shown: int) -> None:
    image = enlarged(picture(side), about)
    assert image.size == (shown, shown)
    if shown >= side:
        times = shown // side
        wanted = picture(side).repeat(times, 0).repeat(times, 1)
        np.testing.assert_array_equal(np.asarray(image), wanted)


def test_rows_lie_beneath_each_other() -> None:
    first, second = picture(64), picture(65)[:64, :64]
    page = sheet("title", [Row(["one"], [first, second]), Row(["two"], [second])], side=64)
    places = [np.argwhere((page == one[0, 0]).all(-1)) for one in (first, second)]
    found = [
        [(y, x) for y, x in place if np.array_equal(page[y : y + 64, x : x + 64], one)]
        for place, one in zip(places, (first, second), strict=True)
    ]
    ((top, left),), ((same, right), (below, under)) = found
    assert top == same < below and left == under < right


def test_heat_goes_from_black_to_white() -> None:
    shown = heat(np.array([[0.0, 1.0, 2.0, 3.0]]))
    assert shown.tolist() == [[[0, 0, 0], [255, 0, 0], [255, 255, 0], [255, 255, 255]]]
    assert heat(np.array([[3.0]]), most=6.0).tolist() == [[[255, 128, 0]]]
    assert not heat(np.zeros((2, 2))).any()
