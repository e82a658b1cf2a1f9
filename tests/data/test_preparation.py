from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import WritePictures, picture
from morelike.config import DataConfig
from morelike.data import Dataset, open_source, prepare, scan
from morelike.data.dataset import NAMES
from morelike.data.decisions import Decision, Overrides
from morelike.data.decode import decode
from morelike.data.item import Item
from morelike.data.preparation import decide
from morelike.data.scan import form_of
from morelike.errors import UserError

SMALL = DataConfig(resolution=16)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test begins with an empty cache."""
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "own cache"))
    return tmp_path / "own cache"


def ready(source: Path | str, target: Path | None = None, **settings: Any) -> Dataset:
    config = DataConfig(**{"resolution": 16, **settings})
    return prepare(open_source(source, config), config, target=target)


def plainly(data: bytes | np.ndarray) -> np.ndarray:
    return decode(data, form_of(SMALL, "center")).pixels


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("a picture was decoded again")

    monkeypatch.setattr(scan, "decode", fail)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_becomes_an_array_and_a_manifest(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "p", 12, width=30)
    write_pictures(folder / "more", 8, first=12)
    data = ready(folder, crop="center")
    assert data.images.shape == (20, 16, 16, 3)
    assert data.images.dtype == np.uint8
    assert isinstance(data.images, np.memmap)
    assert [record["key"] for record in data.manifest][11:13] == ["011.png", "more/012.png"]
    for record, image in zip(data.manifest, data.images, strict=True):
        assert np.array_equal(image, plainly((folder / record["key"]).read_bytes()))
    assert len(data.train) == 12
    assert len(data.held_out) == 8
    assert sorted([*data.train, *data.held_out]) == list(range(20))
    assert data.rejected == []
    assert data.info["count"] == 20
    assert {path.name for path in data.path.iterdir()} == set(NAMES)


def test_the_array_is_a_plain_npy_file(pictures_folder: Path) -> None:
    for channels in (1, 3, 4):
        data = ready(pictures_folder, channels=channels)
        whole = np.load(data.path / "images.npy", allow_pickle=False)
        assert whole.shape == (20, 16, 16, channels)
        assert np.array_equal(whole, data.images)


def test_what_cannot_be_used_is_named_with_its_reason(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "p", 3)
    (folder / "000 empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:60])
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "gone.png").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.png")
    data = ready(folder, most_rejected=1)
    reasons = {entry["key"]: entry["reason"] for entry in data.rejected}
    assert reasons.pop("cut.png") == "the file is cut short"
    assert reasons == {
        "000 empty.png": "the file is empty",
        "text.jpg": "not a picture in a known format",
        "gone.png": "cannot be read: No such file or directory",
        "pipe.png": "cannot be read: not a file",
    }
    # What comes after a rejected one is still in its own place.
    assert [record["key"] for record in data.manifest] == ["000.png", "001.png", "002.png"]
    for record, image in zip(data.manifest, data.images, strict=True):
        assert np.array_equal(image, plainly((folder / record["key"]).read_bytes()))
    assert np.load(data.path / "images.npy").shape == (3, 16, 16, 3)
    assert data.summary()["rejected"] == data.rejected


ODD = ["with space.png", "käse.png", "日本.png", "a\nb.png", "a\u2028b\x85c.png", '"quoted".png']


def test_odd_names_are_kept(tmp_path: Path, write_pictures: WritePictures) -> None:
    folder = write_pictures(tmp_path / "p", 3)
    names = ["000.png", "001.png", "002.png", *ODD, "#1.png", "%41.png"]
    for number, name in enumerate(names[3:]):
        Image.fromarray(picture(50 + number)).save(folder / name, "PNG")
    data = ready(folder)
    assert sorted(record["key"] for record in data.manifest) == sorted(names)
    split = data.summary()["split"]
    assert sorted(split["train"] + split["held_out"]) == sorted(names)


def test_names_that_are_not_utf8_are_prepared(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    try:
        for number, name in enumerate((b"\xe9.png", b"\xff.png", b"\xe8.png")):
            with (tmp_path / "p" / os.fsdecode(name)).open("wb") as file:
                if number < 2:
                    Image.fromarray(picture(number)).save(file, "PNG")
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    data = ready(tmp_path / "p")
    assert [record["key"] for record in data.manifest] == ["\\xe9.png", "\\xff.png"]
    assert data.rejected == [{"key": "\\xe8.png", "reason": "the file is empty"}]


def test_the_second_time_nothing_is_decoded(
    pictures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    first = prepare(open_source(pictures_folder), SMALL, lambda *x: told.append(x))
    assert told == [(20, 20)]
    forbid_decoding(monkeypatch)
    second = prepare(open_source(pictures_folder), SMALL, lambda *x: told.append(x))
    assert len(told) == 2
    assert second.path == first.path
    assert second.summary() == first.summary()


def test_mirroring_uses_the_same_array(
    pictures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ready(pictures_folder)
    forbid_decoding(monkeypatch)
    assert ready(pictures_folder, mirror=True).path == first.path


def test_every_setting_that_changes_pixels_or_split_has_its_own_array(
    pictures_folder: Path,
) -> None:
    settings: list[dict[str, Any]] = [{}, {"resolution": 32}, {"channels": 1}, {"held_out": 0.5}]
    made = [ready(pictures_folder, **values) for values in settings]
    assert len({data.path for data in made}) == 4
    assert len({data.digest for data in made}) == 4
    assert len(made[3].held_out) == 10
    assert len(ready(pictures_folder, held_out=0).held_out) == 0


def test_a_new_decoder_does_not_believe_the_old_pictures(
    pictures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ready(pictures_folder)
    monkeypatch.setattr("morelike.data.decode.VERSION", 1_000)
    monkeypatch.setattr("morelike.data.store.VERSION", 1_000)
    assert ready(pictures_folder).path != first.path
    forbid_decoding(monkeypatch)
    monkeypatch.setattr("morelike.data.store.VERSION", 1_001)
    with pytest.raises(AssertionError, match="decoded again"):
        ready(pictures_folder)


def test_other_pictures_make_another_data_set(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "p", 6)
    made = [ready(folder)]
    write_pictures(folder, 1, first=6)
    made.append(ready(folder))  # one more
    Image.fromarray(picture(99)).save(folder / "006.png")
    made.append(ready(folder))  # another picture under the same name
    (folder / "000.png").unlink()
    made.append(ready(folder))  # one less
    assert len({data.path for data in made}) == len({data.digest for data in made}) == 4


def test_a_changed_name_is_noticed_but_not_other_pictures(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "p", 4)
    before = ready(folder)
    (folder / "003.png").rename(folder / "9.png")
    after = ready(folder)
    assert after.manifest[-1]["key"] == "9.png"
    assert after.digest == before.digest


def test_neither_the_place_nor_the_order_on_the_disk_matters(
    tmp_path: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = write_pictures(tmp_path / "here", 9)
    there = Path(shutil.copytree(here, tmp_path / "far" / "away"))
    walk = os.walk

    def shuffled(*args: Any, **kwargs: Any) -> Any:
        for root, folders, names in walk(*args, **kwargs):
            random.Random(3).shuffle(names)
            yield root, folders, names

    first = ready(here)
    monkeypatch.setattr(os, "walk", shuffled)
    forbid_decoding(monkeypatch)
    second = ready(there)
    assert second.path == first.path
    assert second.digest == first.digest
    assert second.source == str(there)


def test_the_digest_is_the_same_on_every_machine(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for shade in (10, 200):
        Image.new("RGB", (16, 16), (shade, 0, 0)).save(tmp_path / "p" / f"{shade}.png")
    assert ready(tmp_path / "p", held_out=0).digest == "42e1eb3da954e8047cad2358fb847dce"


def with_copies(folder: Path, count: int) -> Path:
    for number in range(count):
        with Image.open(folder / f"{number:03d}.png") as image:
            image.save(folder / f"copy {number}.bmp")  # other bytes, the same pixels
    return folder


def test_exact_copies_are_left_out(tmp_path: Path, write_pictures: WritePictures) -> None:
    data = ready(with_copies(write_pictures(tmp_path / "p", 30), 30))
    assert data.info["duplicates"] == data.summary()["duplicates"] == 30
    assert data.info["left_out"] == {"exact copy": 30}
    assert len({record["digest"] for record in data.manifest}) == len(data.manifest) == 30


def test_copies_that_are_kept_stay_on_one_side(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = with_copies(write_pictures(tmp_path / "p", 30), 30)
    data = ready(folder, held_out=0.3, dedup="none")
    assert data.info["duplicates"] == 30
    assert data.info["left_out"] == {}
    sides: dict[str, set[str]] = {}
    for record in data.manifest:
        sides.setdefault(record["digest"], set()).add(record["split"])
    assert len(sides) == 30
    assert all(len(side) == 1 for side in sides.values())
    assert 18 <= len(data.held_out) <= 20


def test_near_copies_stay_on_one_side_and_go_when_asked(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "p", 40, width=64, height=64)
    for number in range(40):
        with Image.open(folder / f"{number:03d}.png") as image:
            image.save(folder / f"{number:03d} again.jpg", quality=70)
    data = ready(folder, resolution=64, held_out=0.3)
    assert len(data.manifest) == 80
    sides: dict[str, set[str]] = {}
    for record in data.manifest:
        sides.setdefault(record["key"][:3], set()).add(record["split"])
    assert all(len(side) == 1 for side in sides.values())
    fewer = ready(folder, resolution=64, dedup="near")
    assert fewer.info["left_out"] == {"near copy": 40}
    assert len({record["key"][:3] for record in fewer.manifest}) == 40


def test_a_toy_has_its_factors_in_the_manifest() -> None:
    data = ready("toy:bicycles:12", crop="center")
    assert data.source == "toy:bicycles:12"
    assert len(data.manifest) == 12
    items = open_source("toy:bicycles:12").items(SMALL)
    for record, item, image in zip(data.manifest, items, data.images, strict=True):
        assert record["key"] == item.key
        assert record["attributes"] == item.attributes
        assert record["label"] is None
        assert np.array_equal(image, plainly(item.read()))
    assert len({record["digest"] for record in data.manifest}) == 12
    lines = (data.path / "manifest.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["attributes"]["kind"] in ("road", "mountain", "step-through")


def test_gray_pictures_keep_one_channel_unless_one_has_colour(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    shades = np.random.default_rng(0).integers(0, 256, (5, 16, 16), np.uint8)
    for number, shade in enumerate(shades):
        Image.fromarray(shade).save(tmp_path / "p" / f"{number}.png")
    data = ready(tmp_path / "p")
    assert data.settings.channels == 1
    assert np.array_equal(data.images[..., 0], shades)
    colour = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(colour).save(tmp_path / "p" / "colour.png")
    more = ready(tmp_path / "p")
    assert more.settings.channels == 3
    assert np.array_equal(more.images[0], np.repeat(shades[0][..., None], 3, axis=-1))
    assert np.array_equal(more.images[5], colour)
    told = ready(tmp_path / "p", channels=1)
    expected = np.asarray(Image.fromarray(colour).convert("L")).astype(int)
    assert np.array_equal(told.images[0, ..., 0], shades[0])
    assert np.abs(told.images[5, ..., 0] - expected).max() <= 1


def test_a_set_of_other_shapes_is_told_why_it_is_cropped_so(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for number in range(4):
        wide = np.full((20, 60, 3), 255, np.uint8)
        wide[8:12, 2:58] = (200, 10 * number, 0)  # from edge to edge on white
        Image.fromarray(wide).save(tmp_path / "p" / f"{number}.png")
    data = ready(tmp_path / "p")
    assert data.settings.crop == "pad"
    assert "plain background in 4 of 4" in data.info["crop_reason"]
    assert (data.images[:, 0] == 255).all()
    assert (data.images[:, 6:9, 1:15, 1].min(axis=1) < 150).all()
    assert ready(tmp_path / "p", crop="center").settings.crop == "center"


def test_pictures_that_are_not_square(tmp_path: Path, write_pictures: WritePictures) -> None:
    folder = write_pictures(tmp_path / "p", 4, width=48, height=32)
    data = ready(folder, resolution=32, width=48)
    assert data.images.shape == (4, 32, 48, 3)
    for number, image in enumerate(data.images):
        assert np.array_equal(image, picture(number, 48, 32))


def test_a_hand_made_decision_goes_before_every_rule(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = with_copies(write_pictures(tmp_path / "p", 6), 1)
    told = Overrides([("copy 0.bmp", "", Decision(True)), ("003.png", "", Decision(False, "ugly"))])
    config = DataConfig(resolution=16)
    data = prepare(open_source(folder), config, target=tmp_path / "x.mld", overrides=told)
    keys = [record["key"] for record in data.manifest]
    assert keys == ["001.png", "002.png", "004.png", "005.png", "copy 0.bmp"]
    assert data.info["left_out"] == {"exact copy": 1, "ugly": 1}


def test_a_set_that_is_there_keeps_its_crop_as_it_grows(
    tmp_path: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "p", 6, width=40)
    target = tmp_path / "set.mld"
    first = ready(folder, target)
    assert (first.settings.crop, first.path) == ("center", target)
    decoded: list[int] = []
    inner = scan.decode

    def counted(data: Any, form: Any) -> Any:
        decoded.append(len(data))
        return inner(data, form)

    monkeypatch.setattr(scan, "decode", counted)
    monkeypatch.setattr(
        "morelike.data.preparation.survey", lambda *_: pytest.fail("it was chosen before")
    )
    write_pictures(folder, 2, first=6, width=40)
    assert len(ready(folder, target).manifest) == 8
    assert len(decoded) == 2  # only the new ones
    monkeypatch.undo()


def test_the_same_twice_is_the_same_byte_for_byte(
    tmp_path: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_copies(write_pictures(tmp_path / "p", 30, width=30), 5)
    (folder / "broken.png").write_bytes(b"no")
    one = bytes_of(ready(folder, tmp_path / "one.mld").path)
    again = bytes_of(ready(folder, tmp_path / "one.mld").path)
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "another cache"))
    other = bytes_of(ready(folder, tmp_path / "other.mld").path)
    assert one == again == other
    assert set(one) == set(NAMES)


KILLED = """
import sys
from pathlib import Path
from morelike.config import DataConfig
from morelike.data import open_source, prepare
print("ready", flush=True)
prepare(open_source(sys.argv[1]), DataConfig(resolution=16), target=Path(sys.argv[2]))
"""


def test_killed_at_any_moment_and_then_again_gives_the_same(
    tmp_path: Path, own_cache: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "p", 700, width=160, height=160)
    target = tmp_path / "set.mld"
    for wait in (0.05, 0.25, 0.5):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder), str(target)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    kept = sum(path.stat().st_size for path in own_cache.rglob("*.pixels"))
    resumed = bytes_of(ready(folder, target).path)
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "fresh cache"))
    assert resumed == bytes_of(ready(folder, tmp_path / "uninterrupted.mld").path)
    assert kept > 0, "nothing of what was done before was kept"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_what_an_interrupted_preparation_decoded_is_kept(
    tmp_path: Path,
    write_pictures: WritePictures,
    monkeypatch: pytest.MonkeyPatch,
    stop: type[BaseException],
) -> None:
    folder = write_pictures(tmp_path / "p", 40)
    monkeypatch.setattr("morelike.data.scan.BATCH", 4)

    def tired(done: int, total: int | None) -> None:
        if done == 36:
            raise stop

    with pytest.raises(stop):
        prepare(open_source(folder), SMALL, tired)
    decoded: list[Any] = []
    inner = scan.decode
    monkeypatch.setattr(
        scan, "decode", lambda data, form: decoded.append(data) or inner(data, form)
    )
    assert len(ready(folder).manifest) == 40
    assert len(decoded) <= 8


def test_what_a_killed_preparation_left_is_not_believed(
    pictures_folder: Path, own_cache: Path
) -> None:
    whole = ready(pictures_folder)
    # Killed half way: an unfinished folder with files that look right.
    unfinished = own_cache / "datasets" / ".writing-abc"
    whole.path.rename(unfinished)
    with (unfinished / "images.npy").open("r+b") as file:
        file.truncate(500)
    again = ready(pictures_folder)
    assert again.path == whole.path
    assert again.images.shape == (20, 16, 16, 3)
    assert unfinished.exists(), "it may be another's work"
    os.utime(unfinished, (0, 0))
    ready(pictures_folder, held_out=0)
    assert not unfinished.exists()


@pytest.mark.parametrize("missing", NAMES)
def test_a_cache_with_a_file_missing_is_made_again(pictures_folder: Path, missing: str) -> None:
    whole = ready(pictures_folder)
    (whole.path / missing).unlink()
    again = ready(pictures_folder)
    assert again.images.shape == (20, 16, 16, 3)
    assert len(again.manifest) == 20
    assert again.digest


def test_a_full_disk_is_said_in_a_sentence(
    pictures_folder: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"no space left on device; set MORELIKE_CACHE"):
            ready(pictures_folder)
        with pytest.raises(UserError, match=r"no space left on device; choose another folder"):
            ready(pictures_folder, tmp_path / "set.mld")
    assert not (tmp_path / "set.mld").exists()
    assert list((own_cache / "datasets").iterdir()) == []
    assert len(ready(pictures_folder).manifest) == 20


def test_a_set_that_is_there_survives_a_full_disk(
    tmp_path: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "p", 5)
    before = bytes_of(ready(folder, tmp_path / "set.mld").path)
    write_pictures(folder, 1, first=5)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left"):
        ready(folder, tmp_path / "set.mld")
    assert bytes_of(tmp_path / "set.mld") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own cache", "p", "set.mld"]


def test_a_cache_that_cannot_be_made_is_said_in_a_sentence(
    pictures_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot write the prepared pictures to .*file: "):
        ready(pictures_folder)


def test_nothing_else_is_overwritten(pictures_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds something else than a prepared data set"):
        ready(pictures_folder, tmp_path / "mine")
    with pytest.raises(UserError, match=r"is a file; name a folder, such as thesis\.mld"):
        ready(pictures_folder, tmp_path / "mine" / "thesis.txt")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_too_large_a_share_of_rejections_stops(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "p", 4)
    for number in range(5):
        (folder / f"bad {number}.png").write_bytes(b"" if number < 2 else b"what is this")
    with pytest.raises(
        UserError,
        match=r"5 of the 9 files .* cannot be used \(3 not a picture in a known format, 2 the file "
        r"is empty\); look at them with morelike inspect",
    ):
        ready(folder)
    assert len(ready(folder, most_rejected=0.6).manifest) == 4


def test_rules_that_leave_nothing_are_named(tmp_path: Path, write_pictures: WritePictures) -> None:
    folder = write_pictures(tmp_path / "p", 4)
    with pytest.raises(UserError, match=r"only 0 of the 4 .* \(4 too small\); ask for less"):
        ready(folder, min_side=1_000)


def test_a_decision_that_does_not_say_how_it_faces_leaves_that_to_the_rules() -> None:
    config = DataConfig(resolution=32, channels=3, face="right", crop="center")
    straight = prepare(open_source("toy:bicycles:80"), config.model_copy(update={"face": "any"}))
    items = [
        Item(f"{i}.png", lambda p=image[:, ::-1] if i in (7, 30) else image: np.array(p))
        for i, image in enumerate(straight.images)
    ]
    told = Overrides([("7.png", "", Decision()), ("12.png", "", Decision(facing="right"))])
    found = decide(Given(items), config, overrides=told)
    facing = {key: one.facing for key, one in zip(found.scan.keys, found.decisions, strict=True)}
    assert {key for key, way in facing.items() if way == "left"} == {"7.png", "30.png"}


def test_too_few_pictures_are_said_in_a_sentence(
    tmp_path: Path, own_cache: Path, write_pictures: WritePictures
) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "read me.txt").write_text("nothing here")
    with pytest.raises(UserError, match="holds no pictures; morelike reads JPEG"):
        ready(folder)
    (folder / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"no picture .*\(1 rejected; a\.png: the file is empty\)"):
        ready(folder)
    write_pictures(folder, 1)
    with pytest.raises(UserError, match="holds one picture that can be read; at least 2"):
        ready(folder)
    assert not (own_cache / "datasets").exists()
    write_pictures(folder, 2)
    assert len(ready(folder).train) == 1
    assert len(ready(folder).held_out) == 1


def test_a_file_that_vanishes_while_it_is_read_is_no_crash(
    tmp_path: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "p", 4)
    listed = list(open_source(folder).items(SMALL))
    (folder / "002.png").unlink()

    def as_it_was(*_: Any) -> Any:
        return iter(listed)

    monkeypatch.setattr("morelike.data.sources.folder.FolderSource.items", as_it_was)
    data = ready(folder)
    assert [entry["key"] for entry in data.rejected] == ["002.png"]
    assert len(data.manifest) == 3


def test_two_processes_may_prepare_the_same(
    pictures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from morelike.data import preparation

    write = preparation.write

    def twice(found: Any, target: Path) -> None:
        write(found, target)  # as if another process had been faster
        write(found, target)

    monkeypatch.setattr(preparation, "write", twice)
    data = ready(pictures_folder)
    assert len(data.manifest) == 20
    assert [path.name for path in data.path.parent.iterdir()] == [data.path.name]


class Given:
    """A source of items that a test has made."""

    name, streamed = "given", True

    def __init__(self, items: list[Item]) -> None:
        self._items = items

    def count(self, settings: DataConfig) -> int | None:
        return None

    def items(self, settings: DataConfig) -> Any:
        return iter(self._items)


def test_a_split_that_the_source_brings_is_kept_unless_none_is_wanted() -> None:
    items = [
        Item(
            f"{number}.png",
            lambda number=number: picture(number),
            label="ab"[number % 2],
            side="held_out" if number < 5 else "train",
        )
        for number in range(20)
    ]
    data = prepare(Given(items), SMALL)
    assert list(data.held_out) == list(range(5))
    assert data.info["labels"] == {"a": 10, "b": 10}
    none = prepare(Given(items), SMALL.model_copy(update={"held_out": 0.0}))
    assert len(none.held_out) == 0


def test_what_belongs_together_is_not_parted() -> None:
    items = [Item(f"{n}.png", lambda n=n: picture(n), group=f"scene {n // 4}") for n in range(40)]
    data = prepare(Given(items), SMALL)
    scenes: dict[int, set[str]] = {}
    for record in data.manifest:
        scenes.setdefault(int(record["key"][:-4]) // 4, set()).add(record["split"])
    assert all(len(sides) == 1 for sides in scenes.values())
    assert len(data.held_out) == 8


def test_what_faces_the_other_way_is_turned_round_when_asked(tmp_path: Path) -> None:
    config = DataConfig(resolution=32, channels=3, face="right", crop="center")
    straight = prepare(open_source("toy:bicycles:80"), config.model_copy(update={"face": "any"}))
    turned = {7, 30, 31, 55}
    items = [
        Item(record["key"], lambda p=image[:, ::-1] if i in turned else image: np.array(p))
        for i, (record, image) in enumerate(zip(straight.manifest, straight.images, strict=True))
    ]
    data = prepare(Given(items), config, target=tmp_path / "set.mld")
    found = {i for i, record in enumerate(data.manifest) if record["mirrored"]}
    assert found == turned
    assert np.array_equal(data.images, straight.images)


def test_warning_filters_are_only_touched_by_the_main_thread_and_put_back(
    pictures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There is one list of them for all threads: two that set and restore it in turns leave it
    # changed, but only now and then. So what is watched is who does it.
    threads: list[threading.Thread] = []

    class Watched(warnings.catch_warnings):  # pyright: ignore[reportMissingTypeArgument]
        def __enter__(self) -> Any:
            threads.append(threading.current_thread())
            return super().__enter__()

    before = list(warnings.filters)
    monkeypatch.setattr(warnings, "catch_warnings", Watched)
    ready(pictures_folder)
    assert set(threads) == {threading.main_thread()}
    assert warnings.filters == before


def test_pictures_with_odd_metadata_are_used_without_a_word(
    tmp_path: Path, write_pictures: WritePictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # Pillow now warns of 20 x 20 pixels
    folder = write_pictures(tmp_path / "p", 3)
    assert ready(folder).rejected == []


def test_the_summary_says_what_a_run_was_trained_on(pictures_folder: Path) -> None:
    data = ready(pictures_folder)
    summary = data.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["source"] == str(pictures_folder)
    assert summary["count"] == 20
    assert summary["digest"] == data.digest
    assert summary["settings"]["resolution"] == 16
    for side, indices in (("train", data.train), ("held_out", data.held_out)):
        assert summary["split"][side] == [data.manifest[i]["key"] for i in indices]


@pytest.mark.shared
def test_the_real_roses(shared: Path) -> None:
    data = ready(shared / "data" / "roses", resolution=64)
    assert data.rejected == []
    assert data.info["left_out"] == {"exact copy": 3}
    assert len(data.manifest) == 64
    assert len(data.held_out) == 8
    assert data.settings.crop == "center"
    assert data.images.std() > 40


@pytest.mark.shared
def test_the_real_bicycles(shared: Path) -> None:
    listed = Path(__file__).with_name("bikes_on_white.txt").read_text().splitlines()
    by_eye = {line for line in listed if line and not line.startswith("#")}
    folder = shared / "data" / "bikes"
    data = ready(folder, resolution=64, background="white", dedup="none")
    chosen = {record["key"] for record in data.manifest}
    assert len(chosen & by_eye) / len(chosen) >= 0.97
    assert len(chosen & by_eye) / len(by_eye) >= 0.97
    assert data.settings.crop == "pad"
