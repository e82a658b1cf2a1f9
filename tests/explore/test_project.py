from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from morelike import files, pictures
from morelike.config import DataConfig
from morelike.data import Dataset
from morelike.directions import FACTS, Direction, Directions, write_vectors
from morelike.errors import UserError
from morelike.explore import opened as opening
from morelike.explore import project as module
from morelike.explore.found import Found
from morelike.explore.opened import Opened, opened
from morelike.explore.project import percentile, project, read_photo, read_points
from morelike.features import extractor
from morelike.reopened import dataset_of
from morelike.runs import Run
from morelike.sampling import load


def lively(path: Any, *arguments: Any, **more: Any) -> Opened:
    """The run's generator with larger weights: as it is, its samples are half a level apart."""
    model = opened(path, *arguments, **more)
    for weights in model.generator.network.parameters():
        if weights.dim() > 1:
            weights.mul_(5)
    return model


@pytest.fixture(scope="module", autouse=True)
def quicker() -> Iterator[None]:
    """The extractor takes a second to draw, and is the same each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "opened", lively)
        patch.setattr(opening, "extractor", functools.cache(extractor))
        patch.setattr(module, "POOL", 96)
        yield


@pytest.fixture(scope="module")
def photos(trained_run: Run, pictures_folder: Path, tmp_path_factory: Any) -> list[Path]:
    """One of the training pictures, as its file is, and a sample of the generator."""
    sample = tmp_path_factory.mktemp("photos") / "sample.png"
    pictures.write_png(sample, lively(trained_run.path, device="cpu").generator.sample([3])[0])
    return [pictures_folder / "004.png", sample]


@pytest.fixture(scope="module")
def made(trained_run: Run, photos: list[Path], tmp_path_factory: Any) -> Found:
    folder = tmp_path_factory.mktemp("project") / "deep" / "down"
    return project(trained_run.path, photos, folder, steps=120, device="cpu")


@pytest.fixture(scope="module")
def dataset(trained_run: Run) -> Dataset:
    return dataset_of(trained_run)


def test_samples_are_found_again(made: Found, trained_run: Run) -> None:
    facts = made.facts
    samples = lively(trained_run.path, device="cpu").generator.sample(range(8)).astype(float)
    apart = np.sqrt(np.square(samples[1:] - samples[:-1]).mean((1, 2, 3)))
    assert [one["seed"] for one in facts["samples"]] == list(range(8))
    assert facts["samples_found_again"] == 1
    assert apart.min() > 15
    assert max(one["error"] for one in facts["samples"]) < 4
    photo, sample = facts["photos"]
    assert sample["error"] < 4 < photo["error"]
    assert sample["feature_distance"] < 0.5 * photo["feature_distance"]
    assert "8 of 8 found again" in made.lines[-1]
    for one in (*facts["photos"], *facts["held_out"], *facts["samples"]):
        assert 0 < one["norm"] <= facts["furthest_norm"] + 1e-3


def test_figures_are_those_of_the_points(made: Found, trained_run: Run, photos: list[Path]) -> None:
    model = lively(trained_run.path, device="cpu")
    points = read_points(made.folder / "points.safetensors")
    assert points.values.shape == (2, 8)
    found = model.show(points)
    for place, path in enumerate(photos):
        with Image.open(path) as image:
            shown = np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.LANCZOS))
        error = np.sqrt(np.square(shown.astype(float) - found[place]).mean())
        listed = made.facts["photos"][place]
        assert listed["error"] == pytest.approx(error, abs=1e-3)
        norm = np.linalg.norm(points.values[place].numpy())
        assert listed["norm"] == pytest.approx(norm, abs=2e-3)
        among = [one["error"] for one in made.facts["held_out"]]
        below = np.mean([(one < error) + 0.5 * (abs(one - error) < 1e-3) for one in among])
        assert listed["percentile_among_held_out"] == pytest.approx(100 * below, abs=0.1)


def test_held_out_pictures_are_looked_for(made: Found, dataset: Dataset) -> None:
    keys = [one["key"] for one in made.facts["held_out"]]
    known = {dataset.manifest[i]["key"] for i in dataset.held_out}
    assert len(set(keys)) == len(keys) == min(8, len(known))
    assert set(keys) <= known


def test_everything_is_written(made: Found, trained_run: Run, photos: list[Path]) -> None:
    names = {"project.png", "project.json", "points.safetensors"}
    assert set(made.files) == names == {path.name for path in made.folder.iterdir()}
    assert json.loads((made.folder / "project.json").read_text()) == made.facts
    shown = pictures.read_png(made.files["project.png"])
    for picture in lively(trained_run.path, device="cpu").generator.sample(range(8)):
        assert contains(shown, picture.repeat(4, 0).repeat(4, 1))
    assert contains(shown, read_photo(photos[0], config()).repeat(4, 0).repeat(4, 1))


def contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    """Whether the sheet shows it somewhere."""
    height, width = picture.shape[:2]
    corners = np.argwhere((sheet[: 1 - height, : 1 - width] == picture[0, 0]).all(-1))
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in corners)


def test_the_same_call_gives_the_same(made: Found, trained_run: Run, photos: list[Path]) -> None:
    again = project(trained_run.path, photos, made.folder.parent / "2", steps=120, device="cpu")
    assert again.facts == made.facts
    for name, path in made.files.items():
        assert path.read_bytes() == again.files[name].read_bytes()


def test_too_few_steps_are_told(trained_run: Run, photos: list[Path], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found = project(
        trained_run.path,
        photos[:1],
        tmp_path,
        steps=10,
        starts=1,
        device="cpu",
        progress=lambda *done: told.append(done),
    )
    assert found.facts["samples_found_again"] < 0.9
    assert "more --steps or --starts" in found.lines[-1]
    assert told[-1][0] == told[-1][1] == 10 * (1 + len(found.facts["held_out"]) + 8)


def test_a_shared_generator_has_its_samples_only(
    trained_run: Run, photos: list[Path], tmp_path: Path
) -> None:
    found = project(trained_run.generator, photos, tmp_path, steps=10, starts=1, device="cpu")
    assert found.facts["held_out"] == []
    assert found.facts["photos"][0]["percentile_among_held_out"] is None
    assert "held-out" not in " ".join(found.lines)


def test_what_is_found_is_moved(run_copy: Run, photos: list[Path], tmp_path: Path) -> None:
    model = lively(run_copy.path, device="cpu")
    vector = torch.zeros(8)
    vector[2] = 1.5
    folder = run_copy.path / "explore" / "directions"
    folder.mkdir(parents=True)
    one = Direction("left", "sefa", vector, {})
    known = Directions("z", model.generator.checkpoint, {"left": one})
    write_vectors(folder, known)
    files.write_json(folder / FACTS, known.facts())
    found = project(
        run_copy.path, photos[:1], tmp_path, steps=10, starts=1, moves={"left": 2}, device="cpu"
    )
    assert found.facts["moves"] == {"left": 2.0}
    shown = pictures.read_png(found.files["moves.png"])
    point = read_points(found.files["points.safetensors"])
    for steps in (-2, 0, 2):
        moved = model.show(point.at(point.values + steps * vector))[0]
        assert contains(shown, moved.repeat(4, 0).repeat(4, 1))
    with pytest.raises(UserError, match="there is no direction 'right'"):
        project(run_copy.path, photos, tmp_path, moves={"right": 2}, device="cpu")
    files.write_json(folder / FACTS, {**known.facts(), "space": "w"})
    with pytest.raises(UserError, match=r"are of the space w; leave out --space, or use w\."):
        project(run_copy.path, photos, tmp_path, space="z", moves={"left": 2}, device="cpu")


def config(**data: Any) -> Any:
    settings: dict[str, Any] = {"resolution": 16, "channels": 3, "crop": "center", **data}
    return SimpleNamespace(data=DataConfig(**settings))


def test_photos_are_brought_to_the_runs_shape(tmp_path: Path) -> None:
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, :20], wide[:, 60:] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    photo = tmp_path / "wide.png"
    middle = read_photo(photo, config())
    assert middle[:, 2:14].max() < 5 and middle.max() < 50  # only the middle, but for ringing
    whole = read_photo(photo, config(crop="fit"))
    assert whole.shape == (16, 16, 3)
    assert whole[8, 0].tolist() == [255, 0, 0]
    gray = read_photo(photo, config(crop="fit", channels=1))
    assert gray.shape == (16, 16, 1)
    assert gray[8, 0, 0] == round(0.299 * 255)
    assert read_photo(photo, config(crop="fit", channels=4, width=32)).shape == (16, 32, 4)


def test_pictures_are_decoded_as_the_run_decoded_them(
    trained_run: Run, pictures_folder: Path, dataset: Dataset
) -> None:
    settings = load(trained_run.path, device="cpu").config
    for place, record in enumerate(dataset.manifest[:4]):
        photo = read_photo(pictures_folder / record["key"], settings)
        np.testing.assert_array_equal(photo, dataset.images[place])


def test_percentiles_count_equals_by_half() -> None:
    among = np.array([1.0, 2.0, 2.0, 3.0])
    assert [percentile(value, among) for value in (0, 2, 2.5, 9)] == [0, 50, 75, 100]


def test_what_cannot_be_done_is_said(trained_run: Run, photos: list[Path], tmp_path: Path) -> None:
    run = trained_run.path
    with pytest.raises(UserError, match="give 1 to 64 photos, not 0"):
        project(run, [])
    with pytest.raises(UserError, match="give 1 to 64 photos, not 65"):
        project(run, photos[:1] * 65)
    wrong: dict[str, Any]
    for wrong in ({"steps": 9}, {"steps": 5001}, {"starts": 0}, {"starts": 65}):
        with pytest.raises(UserError, match="--steps must be 10 to 5000 and --starts 1 to 64"):
            project(run, photos, **wrong)
    for photo in (tmp_path, tmp_path / "none.png"):
        with pytest.raises(UserError, match="is no file; name a picture"):
            project(run, [photo])
    (tmp_path / "cut.png").write_bytes(photos[0].read_bytes()[:90])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_text("")
    for name in ("cut.png", "text.jpg", "empty.jpg"):
        with pytest.raises(UserError, match=f"{name} cannot be used: .*; name another picture"):
            project(run, [tmp_path / name])
    with pytest.raises(UserError, match="no space w"):
        project(run, photos, space="w")
    with pytest.raises(UserError, match="no directions are known"):
        project(run, photos, moves={"smile": 1})
    with pytest.raises(UserError, match="trained without labels"):
        project(run, photos, labels={"a": 1}, device="cpu")
    with pytest.raises(UserError, match="leave out --data, or give the run folder"):
        project(trained_run.generator, photos, data="somewhere", device="cpu")
    with pytest.raises(UserError, match="holds no points"):
        read_points(tmp_path / "none.safetensors")
    (tmp_path / "damaged.safetensors").write_text("x")
    with pytest.raises(UserError, match="holds no points"):
        read_points(tmp_path / "damaged.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        project(run, photos, tmp_path / "file" / "g", steps=10, starts=1, device="cpu")
    assert not (run / "explore").exists()
