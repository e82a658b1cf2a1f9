"""`morelike inspect` and `morelike prepare`, as a person runs them."""

from __future__ import annotations

import html
import inspect
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commands import Command
from conftest import WritePictures, picture
from morelike.cli import main, pictures
from morelike.config import DataConfig


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, write_pictures: WritePictures) -> Path:
    """Twenty pictures, a copy and a broken file."""
    folder = write_pictures(tmp_path_factory.mktemp("cli") / "my photos", 20, width=40, height=40)
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "copy.png").write_bytes((folder / "004.png").read_bytes())
    return folder


def test_looking_changes_nothing_and_gives_advice(command: Command, photos: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in photos.iterdir()}
    ended = command("inspect", photos, "--size", "16")
    assert ended.code == 0
    assert ended.out.strip() == str(Path("inspect-my photos") / "index.html")
    assert {path.name for path in Path("inspect-my photos").iterdir()} == {
        "index.html",
        "contact.png",
        "decisions.csv",
    }
    assert "broken.jpg: not a picture" in ended.err
    assert "left out: exact copy" in ended.err
    assert "warning: 20 pictures are very few" in ended.err
    assert {path: path.stat().st_mtime_ns for path in photos.iterdir()} == before


def test_prepare_then_train(command: Command, photos: Path, tiny_options: list[str]) -> None:
    ended = command("prepare", photos, "-o", "set.mld", "--size", "16")
    assert (ended.code, ended.out.strip()) == (0, "set.mld")
    assert {path.name for path in Path("set.mld").iterdir()} == {
        *("images.npy", "manifest.jsonl", "decisions.csv", "dataset.json"),
        *("index.html", "contact.png"),
    }
    trained = command("train", "set.mld", *tiny_options)
    assert trained.code == 0, trained.err
    run = Path(trained.out.strip())
    assert run.name == "00001-set-dcgan"
    data = json.loads((run / "data.json").read_text())
    assert data["source"] == str(Path("set.mld").absolute())
    assert data["count"] == 20
    again = command("train", "--resume", run, "--images", "24")
    assert again.code == 0, again.err


def test_training_on_other_settings_than_prepared_is_refused(
    command: Command, photos: Path
) -> None:
    assert command("prepare", photos, "-o", "set.mld", "--size", "16").code == 0
    ended = command("train", "set.mld", "--set", "data.resolution=32")
    assert ended.code == 2
    assert "was prepared with data.resolution = 16, not 32; prepare it again, or" in ended.err


def test_every_option_reaches_its_setting(
    command: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    class Stop(Exception):
        pass

    def prepare(
        *_: Any, command: str, progress: Any, to: Any, decisions: Any, **settings: Any
    ) -> None:
        told.append(settings)
        raise Stop

    monkeypatch.setattr("morelike.ingest.prepare", prepare)
    options = (
        "--size 96x64 --channels rgba --matte #102030 --crop smart --labels folders --dedup near "
        "--background plain --drop blank,blurred --drop-outliers 2% --min-side 40 --face left "
        "--patches 64,128 --stride 16 --patch-rotations --patch-mirrors --every 2.5s "
        "--held-out 0.2 --most-rejected 90%"
    )
    monkeypatch.setattr(
        sys, "argv", ["morelike", "prepare", str(photos), "-o", "x.mld", *shlex.split(options, "")]
    )
    with pytest.raises(Stop):
        main()
    found = DataConfig.model_validate(told[0])
    default = DataConfig()
    unchanged = {
        name for name in DataConfig.model_fields if getattr(found, name) == getattr(default, name)
    }
    assert unchanged == {"mirror", "resolution"}  # training's choice; 64 is the height of 96x64
    assert found.size == (64, 96)
    assert (found.drop_outliers, found.held_out, found.most_rejected) == (0.02, 0.2, 0.9)
    assert (found.patches, found.every, found.channels) == ((64, 128), 2.5, 4)


def test_both_commands_have_the_same_settings() -> None:
    shared = set(inspect.signature(pictures._settings).parameters)
    for one in (pictures.inspect, pictures.prepare):
        assert shared < set(inspect.signature(one).parameters)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "48"], "must be one of 16, 32, 64, 128, 256"),
        (["--size", "big"], "--size must be like 64 or 96x64"),
        (["--size", "64x100"], "do not fit"),
        (["--drop-outliers", "lots"], "--drop-outliers must be a share such as 2%"),
        (["--drop-outliers", "80%"], "drop_outliers should be less than or equal to 0.5"),
        (["--crop", "middle"], "crop should be"),
        (["--drop", "ugly"], "should be 'blank', 'blurred', 'framed' or 'enlarged'"),
        (["--patches", "64,x"], "patches"),
        (["--decisions", "none.csv"], "cannot read the decisions in none.csv"),
        (["--to", "webdatset"], "the nearest is 'webdataset'"),
        (["--min-side", "1000"], "would be kept (20 too small, 1 exact copy); ask for less"),
        (["--most-rejected", "0"], "1 of the 22 files"),
        (["--matte", "red"], "matte"),
    ],
)
def test_mistakes_are_one_sentence(
    command: Command, photos: Path, options: list[str], said: str
) -> None:
    ended = command("prepare", photos, "-o", "x.mld", *options)
    assert ended.code == 2, ended
    assert said in ended.err
    assert ended.err.startswith("morelike: ") and ended.err.count("\n") == 1
    assert not Path("x.mld").exists()


def test_other_things_are_not_overwritten(command: Command, photos: Path) -> None:
    Path("mine").mkdir()
    Path("mine", "thesis.txt").write_text("years")
    ended = command("prepare", photos, "-o", "mine")
    assert ended.code == 2
    assert "holds something else than a prepared data set" in ended.err
    assert Path("mine", "thesis.txt").read_text() == "years"


def test_json_is_one_object_and_nothing_else(command: Command, photos: Path) -> None:
    looked = json.loads(command("inspect", photos, "--size", "16", "--json").out)
    assert looked["facts"]["kept"] == 20
    assert looked["rejected"][0]["key"] == "broken.jpg"
    made = json.loads(command("prepare", photos, "-o", "x.mld", "--size", "16", "--json").out)
    assert made["count"] == 20
    assert made["split"] == {"train": 12, "held_out": 8}
    assert made["left_out"] == {"exact copy": 1}


def test_the_page_says_how_to_decide_otherwise(command: Command, photos: Path) -> None:
    assert command("inspect", photos, "-o", "look", "--size", "16", "--dedup", "near").code == 0
    page = Path("look", "index.html").read_text()
    expected = shlex.join(["morelike", "prepare", str(photos), "--size", "16", "--dedup", "near"])
    text = html.unescape(re.sub("<[^>]*>", "", page))
    assert f"{expected} -o SET.mld --decisions decisions.csv" in text


def test_a_prepared_set_is_converted_but_not_prepared_again(command: Command, photos: Path) -> None:
    assert command("prepare", photos, "-o", "x.mld", "--size", "16").code == 0
    ended = command("prepare", "x.mld", "-o", "y.mld")
    assert ended.code == 2 and "is prepared already" in ended.err
    assert "is prepared already" in command("inspect", "x.mld").err
    shards = command("prepare", "x.mld", "--to", "webdataset", "-o", "shards")
    assert (shards.code, shards.out.strip()) == (0, "shards")
    assert sorted(path.name for path in Path("shards").iterdir()) == [
        "test-000000.tar",
        "train-000000.tar",
    ]
    assert command("prepare", photos, "--to", "zip", "-o", "p.zip", "--size", "16").code == 0
    back = command("inspect", "p.zip", "--json", "--size", "16")
    assert json.loads(back.out)["facts"]["kept"] == 12


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("dataset.json", b"{"),
        ("dataset.json", b'{"schema": 99}'),
        ("dataset.json", b'{"schema": 2, "settings": {}}'),
        ("manifest.jsonl", b'{"key": "a"}\n'),
        ("manifest.jsonl", b"\xff\xfe"),
        (
            "images.npy",
            b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        ),
        ("images.npy", b""),
    ],
)
def test_a_damaged_set_is_one_sentence(
    command: Command, photos: Path, name: str, damage: bytes
) -> None:
    assert command("prepare", photos, "-o", "x.mld", "--size", "16").code == 0
    Path("x.mld", name).write_bytes(damage)
    ended = command("train", "x.mld")
    assert ended.code == 2, ended.err
    assert "x.mld" in ended.err and ended.err.count("\n") == 1


def test_a_set_of_another_shape_trains(
    command: Command, tmp_path: Path, write_pictures: WritePictures, tiny_options: list[str]
) -> None:
    folder = write_pictures(tmp_path / "wide", 20, width=48, height=32)
    assert command("prepare", folder, "-o", "wide.mld", "--size", "24x16").code == 0
    trained = command("train", "wide.mld", *tiny_options)
    assert trained.code == 0, trained.err
    sampled = command("sample", trained.out.strip(), "--seeds", "0-3", "--grid", "grid.png")
    assert sampled.code == 0, sampled.err
    with Image.open("grid.png") as grid:
        assert grid.width > grid.height


def test_a_gray_set_trains_with_one_channel(
    command: Command, tmp_path: Path, tiny_options: list[str]
) -> None:
    (tmp_path / "gray").mkdir()
    for number in range(20):
        gray = np.asarray(Image.fromarray(picture(number)).convert("L"))
        Image.fromarray(gray).save(tmp_path / "gray" / f"{number}.png")
    trained = command("train", tmp_path / "gray", *tiny_options)
    assert trained.code == 0, trained.err
    run = Path(trained.out.strip())
    assert json.loads((run / "config.json").read_text())["data"]["channels"] == 1
