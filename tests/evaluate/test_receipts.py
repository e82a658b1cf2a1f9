from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from conftest import WritePictures
from morelike import files, reopened
from morelike.config import DataConfig
from morelike.data import open_source, prepare
from morelike.diagnostics.copies import Copies, Judged
from morelike.errors import UserError
from morelike.evaluate.receipts import Receipt, checking, detector, receipts, train_keys
from morelike.reopened import dataset_of
from morelike.runs import Run
from morelike.samples import write_samples
from morelike.sampling import Wish, load


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "own cache"))
    return tmp_path / "own cache"


def judged(**columns: Sequence[Any]) -> Judged:
    return Judged(**{key: np.asarray(values) for key, values in columns.items()})


TWO = judged(
    which=[2, 0],
    mirrored=[True, False],
    distance=[0.01234, 0.5],
    score=[-9.0, -1.0],
    percentile=[0.0, np.nan],
    near=[True, False],
)


class Stand:
    """Calls every third picture a near-copy of the training picture of its place."""

    def __init__(self) -> None:
        self.asked = 0

    def judge(self, images: np.ndarray) -> Judged:
        places = np.arange(self.asked, self.asked + len(images))
        self.asked += len(images)
        near = places % 3 == 0
        return Judged(places % 5, near, near * -1.0 + 1, -9.0 * near, 50.0 * ~near, near)


# Receipts -----------------------------------------------------------------------------------------


def test_receipts_say_what_was_judged() -> None:
    first, second = receipts(TWO, ["a.png", "b.png", "c.png"])
    assert first == Receipt("c.png", True, 0.01234, 0.0, True)
    assert second == Receipt("a.png", False, 0.5, None, False)
    assert first.notes() == {
        "nearest training picture": "c.png, mirrored",
        "distance to it": "0.01234",
        "percentile": "0.0",
        "near-copy": "yes",
    }
    assert second.notes()["percentile"] == "unknown"
    assert second.notes()["near-copy"] == "no"
    assert "the mirror image of c.png" in first.sentence()
    assert "0 % of real pictures never trained on" in first.sentence()
    assert "none were held out" in second.sentence()


def test_receipts_are_ready_for_json(tmp_path: Path) -> None:
    listed = [one.as_dict() for one in receipts(TWO, ["a.png", "b.png", "c.png"])]
    files.write_json(tmp_path / "x.json", listed)
    assert files.read_json(tmp_path / "x.json") == listed
    assert listed[1]["percentile"] is None


def test_a_copy_of_a_training_picture_gets_its_receipt(pictures_folder: Path) -> None:
    settings = DataConfig(resolution=16)
    dataset = prepare(open_source(pictures_folder, settings), settings)
    keys = train_keys(dataset)
    assert keys == [dataset.manifest[i]["key"] for i in dataset.train]
    assert len(dataset.held_out)
    copied = dataset.images[dataset.train[[7, 3]]]
    copied[1] = copied[1, :, ::-1]
    first, second = receipts(detector(dataset).judge(copied), keys)
    assert (first.nearest, first.mirrored) == (keys[7], False)
    assert (second.nearest, second.mirrored) == (keys[3], True)
    assert max(first.distance, second.distance) < 0.02


def text_of(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        image.load()
        return dict(image.text)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("safe", [True, False])
def test_samples_carry_receipts_and_near_copies_are_left_out(
    trained_run: Run, tmp_path: Path, safe: bool
) -> None:
    generator = load(trained_run.path, device="cpu")
    issued: dict[int, Receipt] = {}
    keys = [f"{letter}.png" for letter in "abcde"]
    copies = cast("Copies", Stand())
    check = checking(copies, keys, safe, issued.__setitem__)
    seeds = list(range(40, 80))  # more than one chunk
    out, grid = tmp_path / "out", tmp_path / "grid.png"
    write_samples(generator, seeds, out, grid, Wish(), check)
    near = seeds[::3]
    there = [seed for seed in seeds if not safe or seed not in near]
    assert {int(path.stem) for path in out.iterdir()} == set(there)
    assert list(issued) == seeds
    assert [seed for seed in seeds if issued[seed].near_copy] == near
    seed = there[35 if not safe else 24]
    notes = text_of(out / f"{seed}.png")
    place = seeds.index(seed)
    assert notes["seed"] == str(seed)
    assert notes["nearest training picture"].startswith(keys[place % 5])
    assert notes["near-copy"] == ("yes" if place % 3 == 0 else "no")
    with Image.open(out / f"{seed}.png") as image:
        assert np.array_equal(np.asarray(image), generator.sample([seed])[0])
    assert text_of(grid)["seed"] == ",".join(map(str, there))
    with Image.open(grid) as image:
        assert image.size == ((96, 80) if safe else (112, 96))  # 26 and 40 pictures of 16 px


def test_what_is_left_out_is_not_there_from_an_earlier_call(
    trained_run: Run, tmp_path: Path
) -> None:
    generator = load(trained_run.path, device="cpu")
    grid = tmp_path / "grid.png"
    write_samples(generator, [1, 2], tmp_path, grid)
    assert grid.exists()
    write_samples(generator, [1, 2], tmp_path, grid, Wish(), lambda seeds, images: [None, {}])
    assert not (tmp_path / "1.png").exists()
    assert (tmp_path / "2.png").exists()
    write_samples(generator, [2], tmp_path, grid, Wish(), lambda seeds, images: [None])
    assert list(tmp_path.iterdir()) == []


# The data set of a run ----------------------------------------------------------------------------


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("the source was opened")

    monkeypatch.setattr(reopened, "open_source", fail)


def test_it_is_found_in_the_cache(trained_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    dataset = dataset_of(trained_run)
    assert dataset.digest == trained_run.data()["digest"]
    assert dataset.summary()["split"] == trained_run.data()["split"]
    assert dataset.source == trained_run.data()["source"]


def test_it_is_prepared_again_without_a_cache(trained_run: Run, own_cache: Path) -> None:
    told: list[tuple[int, int | None]] = []
    dataset = dataset_of(trained_run, progress=lambda *done: told.append(done))
    assert dataset.digest == trained_run.data()["digest"]
    assert dataset.path.is_relative_to(own_cache)
    assert told


def test_what_is_damaged_in_the_cache_is_made_again(trained_run: Run, own_cache: Path) -> None:
    first = dataset_of(trained_run)
    (first.path / "images.npy").write_bytes(b"short")
    (own_cache / "datasets" / "odd").mkdir()
    (own_cache / "datasets" / "odd" / "dataset.json").write_text("[]")
    again = reopened._cached(trained_run.data())
    assert again is None


def test_other_names_in_the_cache_are_not_taken(run_copy: Run) -> None:
    stored = run_copy.data()
    assert reopened._cached(stored) is not None
    keys = stored["split"]["train"]
    keys[0], keys[1] = keys[1], keys[0]
    assert reopened._cached(stored) is None
    for key in ("settings", "labels"):
        assert reopened._cached({**run_copy.data(), key: {"other": 1}}) is None
    assert reopened._cached({"digest": stored["digest"]}) is None


def moved(run: Run, source: Path | str) -> Run:
    data = files.read_json(run.path / "data.json")
    files.write_json(run.path / "data.json", {**data, "source": str(source)})
    return run


def test_a_source_that_is_gone_is_said(run_copy: Run, own_cache: Path) -> None:
    with pytest.raises(UserError) as caught:
        dataset_of(moved(run_copy, "/nowhere/roses"))
    assert str(caught.value) == (
        f"the pictures that {run_copy.path} was trained on cannot be found (there is no folder "
        "/nowhere/roses); name where they are now with --data."
    )


def test_a_source_that_moved_is_named(
    run_copy: Run, own_cache: Path, pictures_folder: Path, tmp_path: Path
) -> None:
    there = shutil.copytree(pictures_folder, tmp_path / "moved")
    dataset = dataset_of(moved(run_copy, "/nowhere/roses"), str(there))
    assert dataset.digest == run_copy.data()["digest"]


def test_pictures_that_changed_are_said(
    run_copy: Run, own_cache: Path, tmp_path: Path, write_pictures: WritePictures
) -> None:
    other = write_pictures(tmp_path / "other", 19)
    with pytest.raises(UserError, match=r"no longer those .* with --data\.$"):
        dataset_of(moved(run_copy, other))
    with pytest.raises(UserError, match=r"other does not hold the pictures that .* trained on"):
        dataset_of(run_copy, str(other))


def test_a_prepared_data_set_may_move(
    run_copy: Run, own_cache: Path, tmp_path: Path, pictures_folder: Path
) -> None:
    settings = DataConfig(resolution=16, crop=run_copy.config()["data"]["crop"])
    made = prepare(open_source(pictures_folder, settings), settings, target=tmp_path / "a.mld")
    assert dataset_of(moved(run_copy, made.path)).path == made.path
    moved_to = made.path.rename(tmp_path / "b.mld")
    with pytest.raises(UserError, match=r"cannot be found \(there is no folder .*a\.mld\)"):
        dataset_of(run_copy)
    assert dataset_of(run_copy, str(moved_to)).path == moved_to
    (moved_to / "images.npy").write_bytes(b"short")
    with pytest.raises(UserError, match="is a damaged data set"):
        dataset_of(run_copy, str(moved_to))
