from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import WritePictures, picture
from morelike import ingest
from morelike.config import DataConfig
from morelike.data import open_source
from morelike.data.inspection import Inspection, vendi_score
from morelike.data.preparation import decide


def inspected(folder: Path, **settings: object) -> Inspection:
    config = DataConfig.model_validate({"resolution": 16, **settings})
    found = decide(open_source(folder, config), config)
    return Inspection(found, "morelike prepare it again", thorough=True)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, write_pictures: WritePictures) -> Path:
    """Pictures of which some are copies, small, blank, or no pictures at all."""
    folder = write_pictures(tmp_path_factory.mktemp("mixed") / "<b>mixed", 30, width=40, height=40)
    with Image.open(folder / "003.png") as image:
        image.save(folder / "again.bmp")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirrored.png")
    Image.new("RGB", (40, 40), "white").save(folder / "blank.png")
    Image.fromarray(picture(90, 8, 8)).save(folder / "tiny.png")
    (folder / "broken.png").write_bytes(b"nonsense")
    (folder / "empty.jpg").write_bytes(b"")
    return folder


def test_the_facts_are_counted(mixed: Path) -> None:
    facts = inspected(mixed).facts
    assert (facts.found, facts.rejected, facts.left_out, facts.kept) == (36, 2, 1, 33)
    assert (facts.exact, facts.near) == (1, 1)
    assert facts.enlarged == pytest.approx(1 / 33)
    assert facts.blank == pytest.approx(1 / 33)
    assert facts.mirrored == "different"  # each is lighter to one side
    assert facts.effective is not None and 3 < facts.effective < 33


def test_what_was_not_asked_for_is_not_measured(mixed: Path) -> None:
    config = DataConfig(resolution=16)
    found = decide(open_source(mixed, config), config)
    quick = Inspection(found, "again", thorough=False)
    assert (quick.facts.near, quick.facts.effective) == (None, None)
    assert quick.facts.mirrored == "not measured"
    report = quick.report()
    assert report.modes == [] and report.facing is None
    assert not {"near", "facing", "outliers"} & set(vars(found.judgements))


def test_the_report_shows_each_thing_where_it_belongs(mixed: Path) -> None:
    report = inspected(mixed, drop=("enlarged",)).report()
    assert (report.counts.kept, report.counts.left_out, report.counts.unreadable) == (32, 2, 2)
    left_out = {group.title: [one.key for one in group.pictures] for group in report.left_out}
    assert left_out == {"exact copy": ["again.bmp"], "enlarged": ["tiny.png"]} or left_out == {
        "exact copy": ["003.png"],
        "enlarged": ["tiny.png"],
    }
    copies = [{one.key: one.mark for one in group.pictures} for group in report.copies]
    assert set(copies[0]) == {"003.png", "again.bmp"}
    assert set(copies[0].values()) == {"kept", "left out"}
    assert "mirrored.png" in copies[1]
    assert set(copies[1].values()) == {"kept"}
    reasons = {one.key: one.reason for one in report.unreadable}
    assert set(reasons) == {"broken.png", "empty.jpg"}
    flagged = {group.title: [one.key for one in group.pictures] for group in report.flagged}
    assert flagged["Blank"] == ["blank.png"]
    assert sum(group.size for group in report.modes) in (0, 32)
    assert report.originals is not None and len(report.originals.sizes) == 34


def test_files_for_people_are_written_and_nothing_else_is_touched(
    mixed: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in mixed.iterdir()}
    found = ingest.inspect(mixed, tmp_path / "look", resolution=16)
    assert {path.name for path in found.folder.iterdir()} == {
        "index.html",
        "contact.png",
        "decisions.csv",
    }
    assert {path: path.read_bytes() for path in mixed.iterdir()} == before
    page = (found.folder / "index.html").read_text()
    assert "&lt;b&gt;mixed" in page and "<b>mixed" not in page
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", page)
    lines = list(csv.DictReader(io.StringIO((found.folder / "decisions.csv").read_text())))
    assert len(lines) == 34
    assert sum(line["decision"] == "drop" for line in lines) == 1
    with Image.open(found.folder / "contact.png") as sheet:
        assert sheet.width > 16 * 5
    told = found.as_dict()
    assert told["facts"]["kept"] == 33
    assert {one["key"] for one in told["rejected"]} == {"broken.png", "empty.jpg"}


def test_decisions_edited_by_hand_come_back(mixed: Path, tmp_path: Path) -> None:
    look = ingest.inspect(mixed, tmp_path / "look", resolution=16).folder / "decisions.csv"
    lines = look.read_text().replace("blank.png", "renamed.png").splitlines()
    edited = [line.replace(",keep,", ",drop,") if "renamed" in line else line for line in lines]
    look.write_text("\n".join(edited))
    made = ingest.prepare(mixed, tmp_path / "set.mld", decisions=look, resolution=16)
    assert made.inspection is not None
    assert made.inspection.facts.kept == 32
    assert "blank.png" not in {record["key"] for record in made.dataset.manifest}
    # It grows: what is new is decided by the rules, what was told stays.
    Image.fromarray(picture(91, 40, 40)).save(mixed / "new.png")
    try:
        told = tmp_path / "set.mld" / "decisions.csv"
        again = ingest.prepare(mixed, tmp_path / "set.mld", decisions=told, resolution=16)
    finally:
        (mixed / "new.png").unlink()
    keys = {record["key"] for record in again.dataset.manifest}
    assert "new.png" in keys and "blank.png" not in keys
    assert len(keys) == 33


def test_a_source_without_one_usable_picture_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(b"")
    found = ingest.inspect(tmp_path / "p", tmp_path / "look")
    assert found.inspection.facts.kept == 0
    assert "the file is empty" in (found.folder / "index.html").read_text()


@pytest.mark.parametrize("count", [1, 7, 60])
def test_equal_pictures_have_a_vendi_score_of_one(count: int) -> None:
    one = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    assert vendi_score(np.repeat(one, count, axis=0)) == pytest.approx(1, abs=1e-6)


def test_the_vendi_score_counts_kinds_not_pictures() -> None:
    numbers = np.random.default_rng(0)
    kinds = numbers.integers(0, 256, (12, 32, 32, 3), np.uint8).astype(int)
    # Twelve of no common mean are 11 directions in the space of differences from their mean.
    many = np.concatenate([kinds + numbers.integers(-2, 3, kinds.shape) for _ in range(10)])
    assert vendi_score(many.clip(0, 255).astype(np.uint8)) == pytest.approx(11, abs=0.6)
    assert vendi_score(kinds.astype(np.uint8)) == pytest.approx(11, abs=0.6)


@pytest.mark.shared
def test_the_real_roses_are_warned_of(shared: Path) -> None:
    config = DataConfig()
    found = decide(open_source(shared / "data" / "roses", config), config)
    inspection = Inspection(found, "again", thorough=True)
    assert inspection.facts.exact == 3
    assert inspection.facts.mirrored == "alike"
    assert inspection.advice[0].severity == "warning"
    assert "64 pictures" in inspection.advice[0].text
