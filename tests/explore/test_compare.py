from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from morelike.errors import UserError
from morelike.explore.compare import (
    SEEDS_FROM,
    Compared,
    Measures,
    Reals,
    compare,
    different,
    farther,
    nearest,
    table,
    unlike,
)
from morelike.explore.found import Found
from morelike.features import extractor
from morelike.metrics.kernel import kid
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import Run
from morelike.sampling import load


@pytest.fixture(scope="module")
def made(trained_run: Run, labelled_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Found:
    paths = [trained_run.path, labelled_run.path, trained_run.path]
    return compare(paths, tmp_path_factory.mktemp("compare"), count=24, device="cpu")


def test_each_run_is_measured_by_its_own_pictures(
    made: Found, trained_run: Run, labelled_run: Run
) -> None:
    facts = json.loads(made.files["compare.json"].read_text())
    first, second, third = facts["runs"]
    assert {**third, "run": ""} == {**first, "run": ""}
    assert first["run"] == str(trained_run.path)  # two are called the same
    assert (first["images"], second["images"]) == (32, 800)
    generator = load(trained_run.path, device="cpu")
    assert first["generator_parameters"] == sum(p.numel() for p in generator.network.parameters())
    dataset = dataset_of(labelled_run)
    look = extractor()
    samples = load(labelled_run.path, device="cpu").sample(range(SEEDS_FROM, SEEDS_FROM + 24))
    expected = 1000 * kid(look(samples), look(dataset.images[dataset.held_out]))
    assert second["kid_x_1000"] == pytest.approx(expected, rel=1e-3)
    assert [one["data"] for one in facts["real"]] == [
        run.data()["digest"] for run in (trained_run, labelled_run)
    ]
    assert any("learnt from different pictures" in line for line in made.lines)
    assert facts["differences"] == []
    assert made.lines[0].split()[:2] == ["run", "KID"]
    assert sum(line.startswith("real pictures") for line in made.lines) == 2


def test_the_sheet_has_a_row_for_each(made: Found, trained_run: Run, labelled_run: Run) -> None:
    sheet = np.asarray(Image.open(made.files["compare.png"]))
    assert sheet.shape[1] == 2 * 12 + 190 + 10 * 68
    for run, rows in ((trained_run, 2), (labelled_run, 1)):
        first = load(run.path, device="cpu").sample([SEEDS_FROM])[0].repeat(4, 0).repeat(4, 1)
        column = sheet[:, 202:266]
        places = range(len(sheet) - 63)
        assert sum(np.array_equal(column[y : y + 64], first) for y in places) == rows


def test_runs_on_the_same_pictures_are_compared(trained_run: Run, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found = compare(
        [trained_run.path, trained_run.path],
        tmp_path,
        count=16,
        device="cpu",
        progress=lambda *done: told.append(done),
    )
    assert told == [(1, 2), (2, 2)]
    (one,) = found.facts["differences"]
    assert (one["kid_x_1000_difference"], one["sure"]) == (0, False)
    assert "chance could have put it before" in found.lines[-1]
    few = len(dataset_of(trained_run).held_out)
    assert any(f"{few} pictures were held out, too few" in line for line in found.lines) == (
        few < 8
    )


# Maths --------------------------------------------------------------------------------------------


def test_farther_is_the_difference_of_two_distances() -> None:
    numbers = rng(0, "farther")
    a, b, real = (torch.from_numpy(numbers.standard_normal((n, 5))) for n in (30, 30, 12))
    expected = 1000 * (kid(a + 0.5, real) - kid(b, real))
    assert farther(a + 0.5, b, real).value == pytest.approx(expected)
    assert farther(b, a + 0.5, real).value == pytest.approx(-expected)
    assert farther(a, a, real) == (0, 0)


def test_its_error_is_that_of_many_draws() -> None:
    numbers = rng(0, "error of farther")

    def sample(count: int) -> np.ndarray:
        return numbers.standard_normal((count, 4))

    drawn = []
    for _ in range(150):
        sets = sample(60) + 0.6, sample(60) - 0.3, sample(12)
        drawn.append(farther(*(torch.from_numpy(x) for x in sets)))
    values, errors = np.array(drawn).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.2)
    alone = [
        kid(*(torch.from_numpy(x) for x in (sample(60) + 0.6, sample(12)))) for _ in range(150)
    ]
    # What two distances to real pictures drawn apart would differ by is more.
    assert values.std() < 1000 * np.std(alone) * 2**0.5


def standing(name: str, features: torch.Tensor, real: torch.Tensor, digest: str = "a") -> Compared:
    settings = SimpleNamespace(size=(16, 16) if digest == "a" else (32, 32))
    dataset = SimpleNamespace(digest=digest, settings=settings)
    reals = cast("Reals", SimpleNamespace(dataset=dataset, held=real))
    measures = Measures(1000 * kid(features, real), 1.0, 0.5, 0.25, 0.75, 0.9, None)
    nothing: Any = None
    return Compared(name, nothing, reals, np.zeros(0), features, measures, 1234, 2.5, 10_000)


def test_a_run_is_nearest_where_chance_could_not_have_done_it() -> None:
    numbers = rng(0, "nearest")
    real, noise = (torch.from_numpy(numbers.standard_normal((n, 8))) for n in (40, 60))
    near, far = standing("near", noise, real), standing("far", noise + 1, real)
    lines, facts = nearest([far, near])
    assert lines == ["by KID near is nearest to the real pictures, beyond chance"]
    assert facts[0]["run"] == "far" and facts[0]["sure"]
    alike = standing("alike", torch.from_numpy(numbers.standard_normal((60, 8))), real)
    lines, _ = nearest([far, near, alike])
    assert lines[0].endswith(("before alike", "before near"))
    assert nearest([near, standing("b", noise, real, "b")]) == ([], [])


def test_unlike_runs_are_said_to_be() -> None:
    real = torch.from_numpy(rng(0, "unlike").standard_normal((10, 3)))
    one = standing("a", real, real)
    assert unlike([one, one]) == []
    assert "differ in size (16x16 and 32x32)" in unlike([one, standing("b", real, real, "b")])[0]


def test_the_table_is_in_columns() -> None:
    real = torch.from_numpy(rng(0, "table").standard_normal((10, 3)))
    usual = Measures(0.0, 2.0, 1.0, 1.0, 1.0, 1.0, None)
    head, one, two, last = table(
        [standing("a-long-name", real, real), standing("b", real, real)], {"a": usual}, 24
    )
    assert len(one) == len(two) == len(head)
    assert one.split()[-4:] == ["?", "1,234", "2.5", "10,000"]
    assert last.startswith("real pictures")


def test_runs_of_one_name_are_called_by_their_paths(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "1", tmp_path / "b" / "2"]
    assert different(paths) == ["1", "2"]
    same = [tmp_path / "a" / "1", tmp_path / "b" / "1"]
    assert different(same) == [str(path) for path in same]


def test_what_cannot_be_done_is_said(trained_run: Run, tmp_path: Path) -> None:
    run = trained_run.path
    with pytest.raises(UserError, match="takes 2 to 12 run folders, not 1"):
        compare([run])
    for count in (15, 5001):
        with pytest.raises(UserError, match=r"use --count 16 to 5000\."):
            compare([run, run], count=count)
    with pytest.raises(UserError, match="is a shared generator"):
        compare([run, trained_run.generator])
    with pytest.raises(UserError, match="there is no checkpoint 5"):
        compare([run, run], checkpoint=5, device="cpu")
    with pytest.raises(UserError, match="name where they are now with --data"):
        compare([run, run], data="/nowhere", device="cpu")
    few = SimpleNamespace(train=np.arange(10), held_out=np.arange(0))
    with pytest.raises(UserError, match="10 training pictures are too few to measure by; 11"):
        Reals.of(cast("Any", few), extractor())
