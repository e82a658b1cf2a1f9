from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morelike import pictures
from morelike.directions import read_directions
from morelike.errors import UserError
from morelike.explore import reader as reading
from morelike.explore.directions import directions
from morelike.runs import Run
from morelike.sampling import load


def test_they_are_found_measured_and_usable(run_copy: Run) -> None:
    found = directions(run_copy.path, count=3, base=2, device="cpu")
    assert set(found.files) == {"directions.png", "directions.json"}
    assert found.folder == run_copy.path / "explore" / "directions"
    kept = read_directions(found.folder)
    assert list(kept.by_name) == [f"{kind}{i}" for kind in ("sefa", "pca") for i in (1, 2, 3)]
    # SeFa's first is what its name says: the strongest of the layer.
    sizes = [kept.by_name[f"sefa{i}"].facts["size"] for i in (1, 3)]
    assert sizes[0] > sizes[1] * 0.5 and found.facts["random_size"] > 0
    generator = load(run_copy.path, device="cpu")
    before, after = generator.sample([1]), generator.sample([1], move={"pca1": 3})
    assert (before != after).any()
    assert pictures.read_png(found.files["directions.png"]).shape[0] > 6 * 64


def test_traits_are_read_and_moved_along(
    labelled_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "STEPS", 40)
    found = directions(labelled_run.path, tmp_path, kinds=["traits"], base=2, device="cpu")
    names = [one["name"] for one in found.facts["directions"]]
    assert {"facing:left", "facing:right", "wheelbase", "kind:road"} <= set(names)
    assert found.facts["reader"]["facing"]["accuracy"] > 0.5
    kept = read_directions(tmp_path).by_name
    left, right = kept["facing:left"].vector, kept["facing:right"].vector
    assert float(left @ right / left.norm() / right.norm()) < -0.99
    for one in found.facts["directions"]:
        if one["name"] == "wheelbase":
            assert one["kind"] == "attribute" and len(one["read"]) == 7
            assert np.diff(one["read"]).mean() > 0 and one["slider_correlation"] > 0


def test_codes_have_directions_of_their_own(
    tmp_path: Path, pictures_folder: Path, tiny: dict[str, Any]
) -> None:
    from morelike.api import train

    tiny["generator"] |= {"categorical": [3], "continuous": 2}
    run = train(pictures_folder, out=tmp_path / "runs", family="infogan", **tiny)
    found = directions(run.path, kinds=["codes"], base=2, device="cpu")
    names = [one["name"] for one in found.facts["directions"]]
    assert names == ["choice0:0", "choice0:1", "choice0:2", "code0", "code1"]
    vector = read_directions(found.folder).by_name["code1"].vector
    assert vector[:-1].abs().sum() == 0
    # Uniform on [-1, 1] has a standard deviation of 1 / sqrt(3).
    assert float(vector[-1]) == pytest.approx(3**-0.5, rel=0.05)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kinds": ["seFa"]}, "'seFa' is no kind of direction; use sefa, pca, traits, codes"),
        ({"kinds": []}, "use sefa, pca, traits, codes"),
        ({"count": 0}, "--count must be 1 to 64"),
        ({"kinds": ["traits"]}, "neither labels nor attributes to learn from"),
        ({"kinds": ["codes"]}, "has no codes"),
    ],
)
def test_mistakes_are_one_sentence(
    trained_run: Run, tmp_path: Path, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        directions(trained_run.path, tmp_path, device="cpu", **wrong)


def test_a_shared_generator_has_no_labels(trained_run: Run, tmp_path: Path) -> None:
    found = directions(trained_run.generator, tmp_path, count=1, base=1, device="cpu")
    assert [one["name"] for one in found.facts["directions"]] == ["sefa1", "pca1"]
    with pytest.raises(UserError, match="shared generator, without discriminator"):
        directions(trained_run.generator, tmp_path, kinds=["traits"], device="cpu")
