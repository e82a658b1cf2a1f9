from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from morelike import pictures
from morelike.errors import UserError
from morelike.explore import reader as reading
from morelike.explore.dream import dream
from morelike.runs import Run


def test_units_of_the_discriminator_are_shown(trained_run: Run, tmp_path: Path) -> None:
    found = dream(trained_run.path, tmp_path, device="cpu")
    assert set(found.files) == {"discriminator.png", "gradients.png", "dream.json"}
    facts = found.facts["discriminator"]
    assert facts["layer"] == 1 and facts["layers"] == [[4, 8, 8], [8, 4, 4]]
    units = facts["units"]
    told = [one["samples_d_prime"] for one in units]
    assert len(units) == 4 and told == sorted(told, reverse=True)
    # What is made for a unit excites it more than chance does, and is a picture of two starts.
    assert all(one["dream"] > 0 for one in units)
    sheet = pictures.read_png(found.files["discriminator.png"])
    assert sheet.shape[0] > 4 * 64 and sheet.shape[1] > 10 * 64


def test_layers_and_units_can_be_named(trained_run: Run, tmp_path: Path) -> None:
    found = dream(trained_run.path, tmp_path, layer=2, units=[5, 1], device="cpu")
    facts = found.facts["discriminator"]
    assert [one["unit"] for one in facts["units"]] == [5, 1] and facts["layer"] == 2
    assert facts["receptive_field"] == [10, 10]


def test_a_classifier_stands_beside_it_where_there_are_labels(
    labelled_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "STEPS", 20)
    found = dream(labelled_run.path, tmp_path, device="cpu")
    assert {"discriminator.png", "classifier.png"} <= set(found.files)
    classifier = found.facts["classifier"]
    told = [one["labels_d_prime"] for one in classifier["units"]]
    assert told == sorted(told, reverse=True) and told[0] > 0
    alone = dream(labelled_run.path, tmp_path / "only", of=["classifier"], device="cpu")
    assert set(alone.files) == {"classifier.png", "dream.json"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"layer": 3}, "no layer 3; its convolutions are 1 to 2"),
        ({"layer": 0}, "no layer 0"),
        ({"units": [4]}, "layer 1 of the discriminator has no unit 4; it has 0 to 3"),
        ({"of": ["generator"]}, "'generator' cannot be looked into; use discriminator or"),
        ({"of": ["classifier"]}, "neither labels nor attributes to learn from"),
    ],
)
def test_mistakes_are_one_sentence(
    trained_run: Run, tmp_path: Path, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        dream(trained_run.path, tmp_path, device="cpu", **wrong)


@pytest.mark.parametrize("name", ["msggan", "fastgan", "style"])
def test_other_discriminators_are_looked_into(
    name: str, tmp_path: Path, pictures_folder: Path, tiny: dict[str, Any]
) -> None:
    from morelike.api import train

    settings = copy.deepcopy(tiny)
    run = train(pictures_folder, out=tmp_path / "runs", family=name, **settings)
    found = dream(run.path, device="cpu", units=[0])
    assert found.facts["discriminator"]["units"][0]["best_real"] != 0


def test_a_run_without_a_discriminator_says_so(
    tmp_path: Path, write_pictures: Any, tiny: dict[str, Any]
) -> None:
    from morelike.api import train

    for number, kind in enumerate("ab"):
        write_pictures(tmp_path / "faces" / kind, 10, first=10 * number)
    tiny["generator"].pop("latent")
    tiny["discriminator"] = {}
    tiny["data"]["labels"] = "folders"
    run = train(
        tmp_path / "faces",
        out=tmp_path / "runs",
        family="regressor",
        condition={"on": ["label"]},
        **tiny,
    )
    with pytest.raises(UserError, match="no discriminator to look into: the family regressor"):
        dream(run.path, device="cpu")
