"""Training on labels and attributes: bright and dark pictures, whose means are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import morelike
from morelike.data import open_source, prepare
from morelike.errors import UserError
from morelike.pictures import read_png
from morelike.runs import Run
from morelike.sampling import stored_config
from morelike.settings import merge

SIDE = 16
BY_FOLDER: dict[str, Any] = {"data": {"labels": "folders", "held_out": 0.0, "mirror": False}}


@pytest.fixture(scope="session")
def lamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen gray pictures of lamps that are on, and of lamps that are off."""
    folder = tmp_path_factory.mktemp("lamps")
    numbers = np.random.default_rng(0)
    for name, level in (("on", 190), ("off", 60)):
        (folder / name).mkdir()
        for number in range(16):
            noise = numbers.integers(-40, 41, (SIDE, SIDE))
            noise[4:12, 4:12] += number  # each has a mean of its own
            picture = Image.fromarray((level + noise).clip(0, 255).astype(np.uint8))
            picture.save(folder / name / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="session")
def dimmed(lamps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures with their brightness in metadata.csv."""
    folder = tmp_path_factory.mktemp("dimmed")
    rows = ["file_name,volts"]
    for number, path in enumerate(sorted(lamps.glob("*/*.png"))):
        (folder / f"{number}.png").write_bytes(path.read_bytes())
        rows.append(f"{number}.png,{220 if path.parent.name == 'on' else 110}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


def train(source: Path, out: Path, tiny: dict[str, Any], **sections: Any) -> Run:
    layers = {"training": {"images": 16 * 40, "ema_half_life": 20}}
    return morelike.train(source, out=out, **merge(tiny, layers, sections))


def brightness(run: Run, **asked: Any) -> float:
    return float(morelike.load(run.path, "latest").sample(range(32), **asked).mean())


def test_a_label_is_what_the_picture_shows(lamps: Path, tmp_path: Path, tiny: Any) -> None:
    on = {"condition": {"on": ["label"]}, "training": {"batch": 16}}
    run = train(lamps, tmp_path, tiny, **BY_FOLDER, **on)
    lit, mixed, out = (
        brightness(run, label=asked) for asked in ("on", {"on": 1.0, "off": 1.0}, "off")
    )
    assert lit > out + 60
    assert out < mixed < lit
    # Without being asked, seeds show either, as often as the pictures do.
    assert out + 20 < brightness(run) < lit - 20
    stored = run.config()["condition"]
    assert stored["classes"] == {"off": 0.5, "on": 0.5}


def test_an_attribute_is_a_slider(dimmed: Path, tmp_path: Path, tiny: Any) -> None:
    on = {"condition": {"on": ["volts"]}, "training": {"batch": 16}}
    run = train(dimmed, tmp_path, tiny, data={"resolution": SIDE, "held_out": 0.0}, **on)
    low, middle, high = (brightness(run, attributes={"volts": v}) for v in (110, 165, 220))
    assert low < middle < high
    assert high > low + 60


@pytest.fixture
def naive(tmp_path: Path) -> Path:
    """A recipe without anything but the family."""
    path = tmp_path / "naive.toml"
    path.write_text('# No opponent.\nfamily = "regressor"\n[generator]\nwidth = 8\n')
    return path


def test_the_regressor_makes_the_average_of_each_label(
    lamps: Path, naive: Path, tmp_path: Path, tiny: Any
) -> None:
    run = train(
        lamps,
        tmp_path,
        merge({k: tiny[k] for k in ("data", "optimizer", "training")}, BY_FOLDER),
        recipe=str(naive),
        condition={"on": ["label"]},
        training={"batch": 32, "images": 32 * 150},
    )
    config = stored_config(run.config(), "config.json")
    dataset = prepare(open_source(lamps, config.data), config.data)
    generator = morelike.load(run.path, "latest")
    for label in ("on", "off"):
        chosen = [i for i, one in enumerate(dataset.manifest) if one["label"] == label]
        mean = dataset.images[chosen].astype(float).mean(0)
        made = generator.sample([1, 2], label=label).astype(float)
        assert np.array_equal(made[0], made[1])  # nothing is left to chance
        assert np.abs(made[0] - mean).mean() < 6
    records = run.metrics()
    assert "loss_discriminator" not in records[-1]
    assert records[-1]["generator_pixels"] < records[0]["generator_pixels"] / 4
    assert run.path.joinpath("losses.png").is_file()


def test_the_regressor_needs_something_to_be_asked_for(lamps: Path, naive: Path) -> None:
    with pytest.raises(UserError, match=r"condition.on=\[\"label\"\]"):
        morelike.train(lamps, str(naive), device="cpu")


def test_a_grid_shows_the_same_seeds_for_each_label(lamps: Path, tmp_path: Path, tiny: Any) -> None:
    on = {"condition": {"on": ["label"]}, "training": {"images": 8}}
    run = train(lamps, tmp_path, tiny, **BY_FOLDER, **on)
    sheet = read_png(run.samples / "step-0000000-by-condition.png")
    assert sheet.shape == (2 * SIDE, 8 * SIDE, 3)
    generator = morelike.load(run.path, 0)
    expected = generator.sample(range(8), label="on")[..., 0]
    row = sheet[SIDE:, :, 0].reshape(SIDE, 8, SIDE).transpose(1, 0, 2)
    assert np.array_equal(row, expected)


def test_a_conditional_run_goes_on_to_the_bit(lamps: Path, tmp_path: Path, tiny: Any) -> None:
    on = {"condition": {"on": ["label"], "generator": "norm", "auxiliary": 0.5}}
    whole = train(lamps, tmp_path / "whole", tiny, **BY_FOLDER, **on, training={"images": 64})
    part = train(lamps, tmp_path / "part", tiny, **BY_FOLDER, **on, training={"images": 32})
    morelike.train(run=part.path, images=64)
    one, other = (run.checkpoints.find("latest")[0].tensors("", "cpu") for run in (whole, part))
    assert one.keys() == other.keys()
    assert any("projection" in name for name in one)
    assert any("classifier" in name for name in one)
    assert [name for name in one if not (one[name] == other[name]).all()] == []


def test_the_generator_to_hand_on_says_what_it_can_be_asked_for(
    lamps: Path, tmp_path: Path, tiny: Any
) -> None:
    on = {"condition": {"on": ["label"]}, "training": {"images": 16}}
    run = train(lamps, tmp_path, tiny, **BY_FOLDER, **on)
    assert "Labels (`--label`): off, on." in (run.generator / "README.md").read_text()
    shared = morelike.load(run.generator)
    assert shared.sample([1], label="on").shape == (1, SIDE, SIDE, 1)
    with pytest.raises(UserError, match="knows no label 'onn'; the nearest is 'on'"):
        shared.sample([1], label="onn")
    notes = json.dumps(shared.notes(1, morelike.sampling.Wish(labels={"on": 0.25, "off": 0.75})))
    assert "on=0.25, off=0.75" in notes
