"""The drawings: bars and dots where the figures put them, and words that say the same."""

from __future__ import annotations

import re

import numpy as np
import pytest

from morelike.data.page import Borders, Originals, charts

TOTAL = charts.BOTTOM - charts.TOP


def bars(svg: str) -> list[tuple[float, float]]:
    """(left, height as a share of the axis) of each bar."""
    found = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="[\d.]+" height="([\d.]+)"', svg)
    return [(float(left), float(height) / TOTAL) for left, height in found]


def originals(*sizes: tuple[int, int], target: tuple[int, int] = (64, 64)) -> Originals:
    return Originals(np.array(sizes), target)


def test_the_shorter_side_counts_in_the_size_histogram() -> None:
    svg = charts.sizes(originals((500, 64), (64, 90), (70, 300), (128, 128)))
    (small, tall), (large, low) = bars(svg)
    assert small < large
    assert (tall, low) == pytest.approx((1, 1 / 3), abs=0.01)
    assert "64 to 128 px" in svg
    assert "None are below the target of 64 px" in svg


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ((10, 20), "All are below the target"),
        ((10, 200, 200, 200), "1 (25 %) is below"),
        ((10, 20, 200, 200), "2 (50 %) are below"),
        ((64, 64), "All have a shorter side of 64 px"),
    ],
)
def test_what_is_below_the_target_is_said(sides: tuple[int, ...], words: str) -> None:
    assert words in charts.sizes(originals(*((side, side) for side in sides)))


def test_every_size_is_on_the_axis() -> None:
    for sides in ((1, 1), (1, 100_000), (63, 64), (64, 65), (4096, 4096)):
        shares = [height for _, height in bars(charts.sizes(originals(*((s, s) for s in sides))))]
        top = max(shares)
        assert sum(shares) == pytest.approx(top * (1 if len(shares) == 1 else 2), abs=0.02)


def test_shapes_are_counted_and_the_most_extreme_stay_on_the_axis() -> None:
    svg = charts.shapes(originals((900, 10), (100, 100), (101, 100), (10, 900), (20, 900)))
    assert "1 wide, 2 about square, 2 tall" in svg
    lefts = [left for left, _ in bars(svg)]
    assert min(lefts) >= charts.LEFT
    assert max(lefts) < charts.RIGHT
    assert [round(height * 2) for _, height in bars(svg)] == [2, 2, 1]


def test_a_dot_lies_where_its_border_is_and_has_its_colour() -> None:
    found = Borders(
        np.array([0.0, 1.0, 0.5]),
        np.array([0.0, 1.0, 7.0]),
        np.array([[0, 0, 0], [255, 255, 255], [255, 0, 16]], np.uint8),
        "1 is white.",
    )
    svg = charts.borders(found)
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="3" fill="(#\w+)"', svg)
    left, right, top, bottom = map(float, (charts.LEFT, charts.RIGHT, charts.TOP, charts.BOTTOM))
    assert [(float(x), float(y), colour) for x, y, colour in dots] == [
        (left, bottom, "#000000"),
        (right, top, "#ffffff"),
        (right, (top + bottom) / 2, "#ff0010"),
    ]
    assert "1 is white." in svg


def test_at_most_two_thousand_dots_are_drawn() -> None:
    many = np.linspace(0, 1, 5_000)
    svg = charts.borders(Borders(many, many, np.zeros((5_000, 3), np.uint8)))
    assert svg.count("<circle") == 2_000
    assert "2,000 pictures, evenly chosen" in svg


@pytest.mark.parametrize(
    ("count", "rounded"), [(1, 1), (3, 3), (7, 8), (9, 10), (268, 300), (13_165, 20_000)]
)
def test_the_axis_ends_at_a_round_number(count: int, rounded: int) -> None:
    assert charts._round_up(count) == rounded


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0"), (1000, "1k"), (1500, "1500"), (20_000, "20k"), (5_000_000, "5M")]
)
def test_tick_labels_are_short(count: int, shown: str) -> None:
    assert charts._short(count) == shown
