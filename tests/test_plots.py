from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from morelike.plots import COLORS, plot_losses


def records(count: int, *without: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(count):
        record: dict[str, Any] = {
            "images": 64 * number,
            "loss_discriminator": 1.4 - 0.01 * number,
            "loss_generator": 0.7 + 0.02 * number,
            "probability_real": 0.5,
            "probability_fake": 0.4,
        }
        if number % 5 == 0:
            record["kid"] = 100.0 - number
        made.append({key: value for key, value in record.items() if key not in without})
    return made


def height(path: Path) -> int:
    with Image.open(path) as image:
        assert image.format == "PNG"
        image.load()
        return image.height


def ink(path: Path, color: str) -> int:
    """How many pixels have nearly this colour."""
    wanted = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - wanted).max(axis=-1) < 20).sum())


def test_each_kind_of_number_has_its_panel(tmp_path: Path) -> None:
    plot_losses(tmp_path / "all.png", records(50), "00001-roses")
    plot_losses(tmp_path / "two.png", records(50, "kid"), "00001-roses")
    probabilities = ("probability_real", "probability_fake")
    plot_losses(tmp_path / "one.png", records(50, "kid", *probabilities), "00001-roses")
    heights = [height(tmp_path / f"{name}.png") for name in ("one", "two", "all")]
    assert heights[0] < heights[1] < heights[2]
    assert heights[2] - heights[1] == pytest.approx(heights[1] - heights[0], abs=2)
    for color in COLORS:
        assert ink(tmp_path / "one.png", color) > 300


@pytest.mark.parametrize(
    "kept",
    [
        {"probability_real"},
        {"probability_fake", "kid"},
        {"kid"},
        {"loss_generator"},
        {"loss_discriminator", "kid"},
    ],
)
def test_any_of_the_numbers_may_be_missing(tmp_path: Path, kept: set[str]) -> None:
    some = [{k: v for k, v in r.items() if k in kept | {"images"}} for r in records(8)]
    plot_losses(tmp_path / "a.png", some, "x")
    assert height(tmp_path / "a.png") > 100
    assert sum(ink(tmp_path / "a.png", color) for color in COLORS) > 100


def test_values_that_are_null_are_left_out(tmp_path: Path) -> None:
    some = [*records(8), {"images": 512, "loss_generator": None, "kid": None}]
    plot_losses(tmp_path / "a.png", some, "x")
    assert height(tmp_path / "a.png") > 100
    plot_losses(tmp_path / "b.png", [{"images": 512, "kid": None}], "x")
    assert not (tmp_path / "b.png").exists()


def test_without_numbers_nothing_is_drawn(tmp_path: Path) -> None:
    plot_losses(tmp_path / "none.png", [], "x")
    plot_losses(tmp_path / "other.png", [{"images": 8, "seconds": 1.0}], "x")
    assert list(tmp_path.iterdir()) == []


def test_a_single_record_can_be_seen(tmp_path: Path) -> None:
    only = {"images": 8, "loss_generator": 0.5}
    plot_losses(tmp_path / "one.png", [only], "x")
    plot_losses(tmp_path / "many.png", [only | {"images": 8 * n} for n in range(40)], "x")
    # Forty points in a line have no markers; the single one is nothing else.
    assert ink(tmp_path / "one.png", COLORS[1]) > 60


def test_a_title_is_taken_as_it_is(tmp_path: Path) -> None:
    plot_losses(tmp_path / "a.png", records(3), "00001-a_b^c")
    assert height(tmp_path / "a.png") > 100


def test_kid_by_another_network_is_left_out(tmp_path: Path) -> None:
    made = records(20)
    for number, record in enumerate(made):
        if "kid" in record:
            record["extractor"] = "old@1" if number < 10 else "new@1"
    plot_losses(tmp_path / "both.png", made, "a run")
    only_new = [
        {**record, "kid": None} if record.get("extractor") == "old@1" else record for record in made
    ]
    plot_losses(tmp_path / "new.png", only_new, "a run")
    plot_losses(tmp_path / "all.png", [{**r, "extractor": "new@1"} for r in made], "a run")
    both, new, everything = (
        (tmp_path / f"{name}.png").read_bytes() for name in ("both", "new", "all")
    )
    assert both == new != everything
