from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from morelike import files
from morelike.directions import Direction, Directions, read_directions, write_vectors
from morelike.errors import UserError
from morelike.runs import Run
from morelike.sampling import DIRECTIONS, load


def some(checkpoint: str = "32 images, averaged weights") -> Directions:
    def one(name: str, at: int) -> Direction:
        vector = torch.zeros(8)
        vector[at] = 2.0
        return Direction(name, "sefa", vector, {"size": 0.5})

    return Directions("z", checkpoint, {"smile": one("smile", 0), "a=b": one("a=b", 3)})


def kept(folder: Path, directions: Directions) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_vectors(folder, directions)
    files.write_json(folder / "directions.json", directions.facts())
    return folder


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    read = read_directions(kept(tmp_path, some()))
    assert (read.space, read.checkpoint) == ("z", some().checkpoint)
    assert list(read.by_name) == ["smile", "a=b"]
    assert read.by_name["smile"].facts == {"size": 0.5}
    assert torch.equal(read.by_name["a=b"].vector, some().by_name["a=b"].vector)


def test_steps_along_several_add_up() -> None:
    total = some().along({"smile": 1.5, "a=b": -1})
    assert total.tolist() == [3, 0, 0, -2, 0, 0, 0, 0]
    with pytest.raises(UserError, match="no direction 'smil'; the nearest is 'smile'"):
        some().along({"smil": 1})


def test_samples_move_along_them(run_copy: Run) -> None:
    before = load(run_copy.path, device="cpu").sample([3])
    with pytest.raises(UserError, match="find some with `morelike explore directions"):
        load(run_copy.path, device="cpu").sample([3], move={"smile": 1})
    generator = load(run_copy.path, device="cpu")
    folder = kept(run_copy.path / DIRECTIONS, some(generator.checkpoint))
    still = generator.sample([3], move={"smile": 0})
    moved = generator.sample([3], move={"smile": 2})
    assert (still == before).all() and (moved != before).any()
    # It is the latent that moved, by two steps of length 2.
    from morelike.explore.opened import opened

    model = opened(run_copy.path, device="cpu")
    points = model.points([3])
    shifted = points.values + torch.tensor([4.0, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(model.show(points.at(shifted)), moved)
    assert "move" in generator.notes(3, generator_wish())
    kept(folder, some("16 images, averaged weights"))
    with pytest.raises(UserError, match=r"found for its state at 16 images.*find them again"):
        generator.sample([3], move={"smile": 1})


def generator_wish() -> object:
    from morelike.sampling import Wish

    return Wish(moves={"smile": 2})


@pytest.mark.parametrize("damage", ["{}", "[1]", "no json"])
def test_damaged_ones_are_one_sentence(tmp_path: Path, damage: str) -> None:
    kept(tmp_path, some())
    (tmp_path / "directions.json").write_text(damage, encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read; find them again"):
        read_directions(tmp_path)
