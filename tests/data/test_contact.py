"""The contact sheet: where each picture lies, what is dimmed, what is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from morelike.data.contact import FRAME, PAPER, contact_sheet, evenly_chosen


def plain(*colours: int, size: tuple[int, int] = (8, 8), channels: int = 3) -> np.ndarray:
    """(N, H, W, C) pictures of one gray each."""
    return np.stack([np.full((*size, channels), colour, np.uint8) for colour in colours])


def test_pictures_lie_in_rows_with_paper_between_and_after_them() -> None:
    sheet = contact_sheet(plain(10, 20, 30), columns=2)
    assert sheet.shape == (22, 22, 3)
    assert sheet.dtype == np.uint8
    expected = np.full((22, 22, 3), PAPER[0], np.uint8)
    expected[2:10, 2:10], expected[2:10, 12:20], expected[12:20, 2:10] = 10, 20, 30
    np.testing.assert_array_equal(sheet, expected)


@pytest.mark.parametrize(
    ("count", "size", "columns"),
    [(9, (8, 8), 3), (8, (8, 32), 2), (8, (32, 8), 6), (1, (8, 8), 1)],
)
def test_without_columns_the_sheet_is_about_square(
    count: int, size: tuple[int, int], columns: int
) -> None:
    sheet = contact_sheet(plain(*range(count), size=size))
    rows = -(-count // columns)
    assert sheet.shape == (2 + rows * (size[0] + 2), 2 + columns * (size[1] + 2), 3)


def test_a_dropped_picture_is_dimmed_and_framed_and_its_neighbour_is_not() -> None:
    sheet = contact_sheet(plain(0, 0), columns=2, dropped=[True, False])
    assert tuple(sheet[1, 1]) == tuple(sheet[10, 10]) == FRAME
    assert tuple(sheet[0, 0]) == PAPER
    assert abs(int(sheet[5, 5, 0]) - 0.6 * PAPER[0]) <= 1
    assert sheet[5, 15].tolist() == [0, 0, 0]
    assert tuple(sheet[1, 14]) == PAPER


def test_captions_get_a_line_of_their_own_and_cannot_leave_it() -> None:
    hostile = "\udc80\n\u202e<b>é" + "W" * 500
    without = contact_sheet(plain(0, 0, size=(32, 32)), columns=2)
    sheet = contact_sheet(plain(0, 0, size=(32, 32)), columns=2, captions=["", hostile])
    assert sheet.shape == (without.shape[0] + 13, without.shape[1], 3)
    np.testing.assert_array_equal(sheet[2:34], without[2:34])
    below = sheet[34:]
    assert (below[:, :36] == PAPER).all()
    assert (below[:, 36:68] != PAPER).any()
    assert (below[:, 68:] == PAPER).all()


def test_transparency_shows_the_paper_and_gray_is_gray() -> None:
    clear = plain(0, channels=4)
    assert (contact_sheet(clear) == PAPER).all()
    assert contact_sheet(plain(77, channels=1))[5, 5].tolist() == [77, 77, 77]


def test_large_pictures_are_shown_smaller_in_their_shape() -> None:
    assert contact_sheet(plain(9, size=(128, 256))).shape == (4 + 64 + 4, 4 + 128 + 4, 3)


def test_of_many_pictures_only_the_chosen_are_read() -> None:
    class Counted(list[np.ndarray]):
        """As long as its list, and remembers what is asked for."""

        def __getitem__(self, index: Any) -> Any:
            read.add(index)
            return super().__getitem__(index)

    read: set[int] = set()
    sheet = contact_sheet(Counted([plain(7)[0]] * 5_000), most=25)
    assert sheet.shape == (52, 52, 3)
    assert sorted(read) == evenly_chosen(5_000, 25)


def test_the_same_pictures_give_the_same_sheet() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    names = ["a.jpg"] * 5
    one, two = (contact_sheet(pictures, captions=names) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_no_picture_is_no_sheet() -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (9, 1, [0]), (0, 4, []), (400, 400, list(range(400)))],
)
def test_evenly_chosen(count: int, most: int, expected: list[int]) -> None:
    assert evenly_chosen(count, most) == expected


def test_evenly_chosen_are_never_the_same_twice() -> None:
    for count in range(1, 60):
        for most in range(1, 60):
            chosen = evenly_chosen(count, most)
            assert len(set(chosen)) == min(count, most)
            assert chosen == sorted(chosen)
            assert chosen[-1] < count
