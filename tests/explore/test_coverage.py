"""The map from end to end on a tiny run, and what it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from morelike import api
from morelike.diagnostics.finding import Finding
from morelike.errors import UserError
from morelike.explore import coverage as module
from morelike.explore.atlas import Atlas
from morelike.explore.atlas_panels import draw, mosaic
from morelike.explore.clusters import clusters
from morelike.explore.coverage import coverage, duplicates, quality
from morelike.explore.found import Found
from morelike.explore.projection import Explained
from morelike.rng import rng
from morelike.runs import Run

COUNT = 64


@pytest.fixture(scope="module")
def made(trained_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return coverage(trained_run.path, tmp_path_factory.mktemp("x") / "c", count=COUNT, device="cpu")


def test_files_and_figures_agree(made: Found) -> None:
    assert set(made.files) == {"coverage.png", "clusters.png", "coverage.json"}
    facts = json.loads(made.files["coverage.json"].read_text())
    assert facts == made.facts
    with Image.open(made.files["coverage.png"]) as image:
        assert (image.width, image.height) == (1815, 946)
    assert (facts["count"], facts["space"], facts["dimensions"]) == (COUNT, "z", 8)
    columns = facts["samples"]
    assert {len(columns[key]) for key in ("seed", "x", "y", "kind", "near_duplicate")} == {COUNT}
    assert np.std(columns["x"]) == pytest.approx(1, abs=1e-3)
    for one in facts["kinds"]:
        assert columns["kind"].count(one["number"]) == one["samples"]
        assert one["sample_share"] == pytest.approx(one["samples"] / COUNT, abs=1e-4)
    assert sum(one["samples"] for one in facts["kinds"]) == COUNT
    assert sum(columns["near_duplicate"]) == facts["near_duplicates"]["samples"]
    assert facts["quality"]["poor"] == pytest.approx(
        np.mean(np.array(columns["log_realism"]) < facts["quality"]["poor_below"]), abs=1e-3
    )
    assert len(made.lines) >= 4


def test_the_same_call_gives_the_same(made: Found, trained_run: Run, tmp_path: Path) -> None:
    counted: list[tuple[int, int]] = []
    again = coverage(
        trained_run.path,
        tmp_path,
        count=COUNT,
        device="cpu",
        progress=lambda done, total: counted.append((done, total)),
    )
    assert again.facts == made.facts
    for name, path in made.files.items():
        assert again.files[name].read_bytes() == path.read_bytes()
    assert counted == sorted(counted)
    assert counted[-1] == (2 * COUNT, 2 * COUNT)


def test_the_mosaic_shows_each_sample_where_it_lies() -> None:
    y, x = np.divmod(np.arange(64), 8)
    images = np.zeros((64, 4, 4, 3), np.uint8)
    images[..., 0], images[..., 1] = (30 * x)[:, None, None], (30 * y)[:, None, None]
    order = rng(0, "mosaic").permutation(64)
    places = np.stack([x, y], axis=1)[order] + 1e-6 * rng(0, "ties").standard_normal((64, 2))
    made = mosaic(images[order], places, cells=4)
    assert made.shape == (4 * 5 - 1, 4 * 5 - 1, 3)
    # Reading right, red rises; reading up, green does.
    red, green = made[2::5, 2::5, 0].astype(int), made[2::5, 2::5, 1].astype(int)
    assert (np.diff(red, axis=1) > 0).all()
    assert (np.diff(green, axis=0) < 0).all()
    # Each cell shows the most typical of those in it.
    cell = np.zeros((5, 2, 2, 1), np.uint8)
    cell[:, ..., 0] = np.array([0, 100, 110, 120, 255])[:, None, None]
    assert mosaic(cell, rng(0, "one cell").standard_normal((5, 2)), 9)[0, 0, 0] == 120


def test_empty_cells_are_white() -> None:
    along = np.arange(64.0)
    made = mosaic(np.zeros((64, 2, 2, 1), np.uint8), np.stack([along, along], axis=1), cells=4)
    shown = made[::3, ::3, 0]
    assert (shown == 255).sum() == 12
    assert np.diag(shown[::-1]).tolist() == [0] * 4


def test_quality_is_beside_real_pictures() -> None:
    numbers = rng(0, "quality")
    real = torch.from_numpy(numbers.standard_normal((200, 4)))
    good = torch.from_numpy(numbers.standard_normal((100, 4)))
    found = quality(real, torch.cat([good, good + 30]))
    assert found is not None
    assert found.poor[:100].mean() < 0.15
    assert found.poor[100:].all()
    assert quality(real[:10], good) is None


def test_each_sample_has_the_number_of_its_kind() -> None:
    numbers = rng(0, "numbers of kinds")
    rows = torch.from_numpy(20 * np.eye(4)[np.arange(80) % 4] + numbers.random_sample((80, 4)))
    kinds = clusters(rows, rows)
    images = np.zeros((80, 8, 8, 1), np.uint8)
    finding = Finding("latent", "no", "")
    nothing = np.zeros(80, bool)
    atlas = Atlas(
        images,
        rows.numpy()[:, :2],
        Explained(0, 0, 0),
        None,
        None,
        None,
        finding,
        nothing,
        None,
        kinds,
    )
    assert len(np.unique(atlas.kind)) == len(kinds) > 3
    for one in kinds:
        assert set(one.samples) == set(np.flatnonzero(atlas.kind == one.number))
    assert draw(atlas, "run", "1 image").shape[2] == 3


def test_near_duplicates_are_marked(write_pictures: Any, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", 12, width=32, height=32)
    images = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])
    assert not duplicates(images).any()
    images[7] = images[2]
    images[7, 4, 4] += 1
    assert np.flatnonzero(duplicates(images)).tolist() == [2, 7]


def test_a_map_of_w(pictures_folder: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    del tiny["generator"]["width"], tiny["discriminator"]["width"]
    run = api.train(pictures_folder, out=tmp_path / "runs", family="style", **tiny)
    made = coverage(run.path, count=COUNT, device="cpu")
    assert made.facts["space"] == "w"
    assert made.folder == run.path / "explore" / "coverage"


def test_few_pictures_and_conditions_are_said(
    write_pictures: Any, tiny: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write_pictures(tmp_path / "p" / name, 4, first=ord(name))
    run = api.train(
        tmp_path / "p",
        out=tmp_path / "runs",
        family="dcgan",
        **{
            **tiny,
            "condition": {"on": ["label"]},
            "data": {"resolution": 16, "held_out": 0, "labels": "folders"},
        },
    )
    made = coverage(run.path, count=COUNT, device="cpu")
    assert made.facts["quality"] is None
    assert any("too few" in line for line in made.lines)


def test_what_cannot_be_done_is_said(
    trained_run: Run,
) -> None:
    for count in (63, 5001):
        with pytest.raises(UserError, match=r"use --count 64 to 5000\."):
            coverage(trained_run.path, count=count)
    with pytest.raises(UserError, match=r"is a shared generator.*give the run folder"):
        coverage(trained_run.generator)
    with pytest.raises(UserError, match="name where they are now with --data"):
        coverage(trained_run.path, data="/nowhere")


def test_a_generator_without_latents_has_no_map(
    trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = module.opened(trained_run.path)
    points = found.points(range(COUNT))
    same = points.at(points.values[:1].expand_as(points.values))
    monkeypatch.setattr(type(found), "points", lambda self, seeds: same)
    with pytest.raises(UserError, match="no space to be mapped"):
        coverage(trained_run.path, count=COUNT)
