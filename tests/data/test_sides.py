"""How large pictures are, known before they are made ready."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from morelike.config import DataConfig
from morelike.data.sides import LOOKED_AT, usual_side
from morelike.data.sources import open_source


def write(folder: Path, *sizes: tuple[int, int]) -> None:
    folder.mkdir(exist_ok=True)
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (number, 0, 0)).save(folder / f"{number:03}.png")


def test_the_median_of_the_shorter_sides(tmp_path: Path) -> None:
    write(tmp_path / "p", (100, 30), (40, 200), (500, 500))
    assert usual_side(open_source(tmp_path / "p"), DataConfig()) == 40


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "p", (33, 33))
    (tmp_path / "p" / "000a.png").write_bytes(b"no picture")
    assert usual_side(open_source(tmp_path / "p"), DataConfig()) == 33
    (tmp_path / "p" / "000.png").unlink()
    assert usual_side(open_source(tmp_path / "p"), DataConfig()) is None


def test_only_the_first_pictures_are_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "p", *[(20, 20)] * LOOKED_AT, *[(90, 90)] * (2 * LOOKED_AT))
    assert usual_side(open_source(tmp_path / "p"), DataConfig()) == 20


def test_arrays_have_a_size_too_and_streams_are_left_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 28, 28, 3), np.uint8))
    assert usual_side(open_source(tmp_path / "a.npy"), DataConfig()) == 28
    write(tmp_path / "p", (100, 100))
    patches = DataConfig(patches=(32,))
    assert usual_side(open_source(tmp_path / "p", patches), patches) is None
