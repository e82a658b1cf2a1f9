"""The Python API, on real pictures where they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import morelike
from morelike.api import settle
from morelike.config import DataConfig
from morelike.data import open_source, prepare
from morelike.errors import UserError
from morelike.runs import Run

FEW_STEPS: dict[str, Any] = {
    "images": 192,
    "generator": {"width": 8},
    "discriminator": {"width": 8},
}


def assert_complete(run: Run, trained_on: int, held_out: int) -> None:
    """All that a run folder promises is there, and samples are pictures that differ."""
    split = run.data()["split"]
    assert (len(split["train"]), len(split["held_out"])) == (trained_on, held_out)
    assert {"images", "images_per_second", "loss_generator", "loss_discriminator"} <= set(
        run.metrics()[-1]
    )
    for name in ("config.json", "losses.png", "tensorboard", "generator/model.safetensors"):
        assert (run.path / name).exists()
    for name in ("step-0000000-averaged.png", "timelapse.gif", "timelapse.mp4"):
        assert (run.samples / name).exists()
    pictures = morelike.load(run.path).sample(seeds=range(8))
    assert pictures.shape == (8, 64, 64, 3)
    assert pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 8


def test_drawn_bicycles_need_no_data(tmp_path: Path) -> None:
    run = morelike.train("toy:bicycles:120", "bicycles", out=tmp_path, **FEW_STEPS)
    assert run.name == "00001-bicycles"
    assert_complete(run, 108, 12)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "recipe", "trained_on", "held_out"),
    [("roses", "roses-dcgan", 56, 8), ("bikes", "bicycles", 257, 29)],
)
def test_real_pictures_train(
    folder: str, recipe: str, trained_on: int, held_out: int, shared: Path, tmp_path: Path
) -> None:
    run = morelike.train(shared / "data" / folder, recipe, out=tmp_path, **FEW_STEPS)
    assert run.name == f"00001-{recipe}"
    assert_complete(run, trained_on, held_out)


def test_samples_as_pillow_images(tmp_path: Path, write_pictures: Callable[..., Path]) -> None:
    source = write_pictures(tmp_path / "photos", 12)
    run = morelike.train(source, run=tmp_path / "run", data={"resolution": 16}, **FEW_STEPS)
    images = morelike.load(run.path).sample([3, 4], as_pil=True)
    assert all(isinstance(image, Image.Image) and image.size == (16, 16) for image in images)
    array = morelike.load(run.path / "generator").sample([4])
    assert np.array_equal(np.asarray(images[1]), array[0])


def test_shorthand_and_sections_say_the_same(
    tmp_path: Path, write_pictures: Callable[..., Path]
) -> None:
    source = write_pictures(tmp_path / "photos", 12)
    one = morelike.plan(source, batch=16, images=32, data={"resolution": 16})
    other = morelike.plan(source, training={"batch": 16, "images": 32}, data={"resolution": 16})
    assert one.images == other.images == 32
    assert one.generator_parameters == other.generator_parameters


@pytest.mark.parametrize(
    ("family", "loss", "smoothing"),
    [(None, "relativistic", 0.0), ("fastgan", "hinge", 0.0), ("resnet", "non_saturating", 0.0)],
)
def test_without_a_recipe_a_family_brings_its_own(
    family: str | None,
    loss: str,
    smoothing: float,
    tmp_path: Path,
    write_pictures: Callable[..., Path],
) -> None:
    source = write_pictures(tmp_path / "photos", 12)
    named = {} if family is None else {"family": family}
    job = settle(source, None, None, None, {**named, "data": {"resolution": 16}})
    assert job.config.family == (family or "dcgan")
    assert (job.config.objective.loss, job.config.objective.label_smoothing) == (loss, smoothing)


def test_without_a_recipe_one_is_chosen_and_the_run_says_why(
    tmp_path: Path, write_pictures: Callable[..., Path]
) -> None:
    source = write_pictures(tmp_path / "photos", 12)
    run = morelike.train(source, run=tmp_path / "run", data={"resolution": 16}, **FEW_STEPS)
    config = run.config()
    assert config["recipe"] == "tiny-cpu"
    assert "pictures of 16x16, a CPU" in config["why"]
    assert config["why"] == morelike.plan(source, data={"resolution": 16}, **FEW_STEPS).why
    # It goes on as what it is, whatever would be chosen now.
    longer = morelike.train(run=run.path, images=2 * FEW_STEPS["images"])
    assert longer.config()["why"] == config["why"]


def test_what_a_person_asks_for_holds_and_is_named(
    tmp_path: Path, write_pictures: Callable[..., Path]
) -> None:
    source = write_pictures(tmp_path / "photos", 12)
    asked = {"penalty": {"r1": 3.0}, "data": {"resolution": 16}, "seed": 5, "minutes": 2.0}
    job = settle(source, None, None, None, asked)
    assert (job.config.penalty.r1, job.config.training.seed) == (3.0, 5)
    assert job.why is not None
    assert job.why.endswith("You asked for other values of penalty.r1.")
    assert "it ends after 2 minutes" in job.why
    with pytest.raises(UserError, match="r3"):
        settle(source, None, None, None, {"penalty": {"r3": 1.0}})


def test_small_pictures_are_not_enlarged_and_prepared_ones_stay_as_they_are(
    tmp_path: Path, write_pictures: Callable[..., Path]
) -> None:
    source = write_pictures(tmp_path / "photos", 12, width=30, height=33)
    assert settle(source, None, None, None, {}).config.data.resolution == 32
    prepared = prepare(open_source(source), DataConfig(resolution=16))
    assert settle(prepared.path, None, None, None, {}).config.data.resolution == 16
