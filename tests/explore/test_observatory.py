from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from morelike.checkpoint import Checkpoint
from morelike.diagnostics.discriminator import auc
from morelike.errors import UserError
from morelike.explore import observatory as module
from morelike.explore.forgetting import Question
from morelike.explore.found import Found
from morelike.explore.observatory import observatory, probes_of, wandering_of
from morelike.explore.observatory_panels import panels
from morelike.explore.observatory_words import order_words, readings
from morelike.explore.spectrum import Band, Order, order
from morelike.explore.timelapse import Milestone, at, milestones
from morelike.explore.watched import Asked, Probe, Spectra, ranked_probes
from morelike.players import players
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import Run


@pytest.fixture(scope="module")
def made(labelled_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return observatory(
        labelled_run.path, tmp_path_factory.mktemp("observatory"), count=64, device="cpu"
    )


def test_the_figures_are_of_one_piece(made: Found) -> None:
    facts = json.loads(made.files["observatory.json"].read_text())
    assert [one["images"] for one in facts["checkpoints"]] == [0, 800]
    bands = facts["spectrum"]["bands"]
    assert [one["band"] for one in bands] == ["below 1", "1 to 2", "2 to 4", "from 4"]
    appeared = []
    for one in bands:
        assert len(one["power_ratio_db"]) == 2
        low, high = one["chance_db"]
        assert -5 < low < 0 < high < 5
        near = [abs(ratio) <= 3 for ratio in one["power_ratio_db"]]
        expected = None if not near[-1] else 0 if all(near) else 800
        assert one["appears_at_images"] == expected
        appeared.append({None: None, 0: 0, 800: 1}[expected])
        # An untrained generator's samples are nearly all gray.
        assert one["power_ratio_db"][0] < -10
        assert one["patch_distance_to_that_of_real_halves"][0] > 1
    found = order(appeared).correlation
    stored = facts["spectrum"]["low_before_high"]["spearman"]
    assert stored == (None if found is None else pytest.approx(found, abs=1e-3))
    kinds = facts["kinds"]
    for shares in [kinds["shares_of_training_pictures"], *kinds["shares_of_samples"]]:
        assert sum(shares) == pytest.approx(1, abs=0.01)
    first, last = (np.array(one) for one in kinds["shares_of_samples"])
    moved = np.abs(first - last).sum() / 2
    assert kinds["moves"][0]["total_variation"] == pytest.approx(moved, abs=1e-3)
    assert len(kinds["to_training_pictures"]) == 2
    assert [*facts["reading"], *facts["notices"]] == list(made.lines)


def test_discriminators_are_asked_about_all_samples(made: Found, labelled_run: Run) -> None:
    told = made.facts["discriminator"]
    matrix = told["auc_of_discriminator_by_generator"]
    assert told["images"] == [0, 800]
    dataset = dataset_of(labelled_run)
    around = dataset.train[np.sort(rng(0, "asked").permutation(len(dataset.train))[:256])]
    shown = around[np.sort(rng(0, "asked", "some").permutation(len(around))[:64])]
    both = [players(labelled_run, str(images)) for images in (0, 800)]
    for row, now in enumerate(both):
        real = now.logits_of_pictures(dataset.images[shown], dataset.images[around])
        for column, maker in enumerate(both):
            fake = now.logits_of_samples(range(2_000_000, 2_000_064), maker=maker)
            assert matrix[row][column] == pytest.approx(auc(real, fake).value, abs=1e-4)
    names = {one["trait"]: one for one in told["probes"]}
    assert names["facing"]["chance"] == 0.5
    assert names["wheelbase"]["measure"] == "R^2"
    assert names["wheelbase"]["chance"] == 0
    assert all(len(one["scores"]) == 2 for one in told["probes"])
    # Which way it faces can be told with a line even from fresh features.
    assert names["facing"]["untrained"] > 0.8


def test_sheets_are_pictures(made: Found) -> None:
    sizes = {}
    for name in ("observatory.png", "samples.png"):
        with Image.open(made.files[name]) as image:
            sizes[name] = image.size
    # Spectrum, power, patterns, kinds, wandering, matrix, probes.
    assert sizes["observatory.png"] == (880, round(110 * (7 * 3.1 + 0.6)))
    assert sizes["samples.png"][0] == 24 + 190 + 10 * 68


def test_without_labels_it_says_so_and_does_the_rest(
    trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    seeds: list[int] = []

    def noting(*where: Any) -> Any:
        made = at(*where)

        def sample(wanted: range) -> np.ndarray:
            seeds.extend(wanted)
            return made.sample(wanted)

        return SimpleNamespace(sample=sample)

    monkeypatch.setattr(module, "at", noting)
    found = observatory(
        trained_run.path,
        tmp_path,
        checkpoints=2,
        count=64,
        raw=True,
        device="cpu",
        progress=lambda *done: told.append(done),
    )
    # Both strips show the same ten seeds; all others are taken once.
    assert sorted(seeds)[:20] == sorted([*range(10), *range(10)])
    assert len(set(seeds)) == len(seeds) - 10 == 2 * 64 + 10
    assert told[-1] == (6, 6)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert [one["images"] for one in found.facts["checkpoints"]] == [0, 32]
    assert found.facts["weights"] == "raw"
    assert found.facts["discriminator"]["probes"] == []
    assert any("neither labels nor attributes" in line for line in found.lines)


def test_without_a_discriminator_it_says_so(
    trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*where: Any) -> Any:
        one = players(*where)
        object.__setattr__(one, "discriminator", None)
        object.__setattr__(one, "missing", "the family regressor trains without one")
        return one

    monkeypatch.setattr(module, "players", without)
    stops, _ = milestones(trained_run, 2)
    asked = module._discriminators(
        trained_run, stops, dataset_of(trained_run), "cpu", lambda done: None
    )
    assert asked.missing == ["no discriminator was asked: the family regressor trains without one"]
    assert readings(STOPS, spectra(LOW_FIRST), None, asked)[-1].startswith("Kinds")


def test_the_same_call_gives_the_same(made: Found, labelled_run: Run, tmp_path: Path) -> None:
    again = observatory(labelled_run.path, tmp_path, count=64, device="cpu")
    assert again.facts == made.facts


def test_what_cannot_be_done_is_said(trained_run: Run, tmp_path: Path) -> None:
    run = trained_run.path
    for count in (63, 4001):
        with pytest.raises(UserError, match=r"use --count 64 to 4000\."):
            observatory(run, count=count)
    for checkpoints in (1, 49):
        with pytest.raises(UserError, match=r"use --checkpoints 2 to 48\."):
            observatory(run, checkpoints=checkpoints)
    with pytest.raises(UserError, match="is a shared generator, without checkpoints"):
        observatory(trained_run.generator)
    with pytest.raises(UserError, match="name where they are now with --data"):
        observatory(run, data="/nowhere", device="cpu")
    with pytest.raises(UserError, match="there is no extractor 'x'"):
        observatory(run, features="x")
    assert not (run / "explore" / "observatory").exists()


# Words and panels ---------------------------------------------------------------------------------

STOPS = [Milestone(Checkpoint(Path(str(n * 100))), n * 100, n * 10, n / 2) for n in range(4)]
BANDS = (Band(0, 1), Band(1, 2), Band(2, 4), Band(4, 8), Band(8, float("inf")))


def spectra(ratios: Any, far: float = 1.0) -> Spectra:
    values = np.array(ratios, float)
    curve = np.ones(16)
    return Spectra(
        BANDS, values, np.zeros((2, 5)), np.full(values.shape, far), curve.cumsum(), curve,
        np.ones((4, 16)),
    )  # fmt: skip


LOW_FIRST = [[-9] * 5, [0, 0, -9, -9, -9], [0, 0, 0, -9, -9], [0, 0, 0, 0, -9]]


def nothing_asked() -> Asked:
    return Asked(STOPS, np.full((4, 4), np.nan), "", "unknown", [], [])


def test_bands_are_read_out() -> None:
    lines = readings(STOPS, spectra(LOW_FIRST), None, nothing_asked())
    assert "below 1 at 100 images, 1 to 2 at 100 images, 2 to 4 at 200 images" in lines[0]
    assert "from 8 (-9.0 dB at the end)" in lines[1]
    assert lines[2].startswith("Low frequencies come before high ones (rank correlation +0.9")
    assert "too few to part them into kinds" in lines[3]
    assert len(lines) == 4
    lines = readings(STOPS, spectra(LOW_FIRST, 3.0), None, nothing_asked())
    assert "other patterns" in lines[3]
    assert "below 1 (3.0 times)" in lines[3]
    assert "from 8" not in lines[3]  # whose power is not there either
    lines = readings(STOPS[1:], spectra(np.zeros((3, 5))), None, nothing_asked())
    assert "At the first checkpoint, after 100 images, all frequencies" in lines[0]
    assert "too few" in lines[1]


def test_order_is_said_as_surely_as_it_is_known() -> None:
    assert order_words(Order(0.9, 0.03)).startswith("Low frequencies come before high")
    assert order_words(Order(-0.9, 0.03)).startswith("High frequencies come before low")
    assert "is undecided" in order_words(Order(0.9, 0.06))
    assert "all come together" in order_words(Order(None, 1.0))


def test_wandering_is_counted_from_the_first_trained_checkpoint() -> None:
    real = np.array([10, 30])
    counts = np.array([[0, 100], [100, 0], [25, 75], [25, 75]])
    found = wandering_of(real, counts)
    assert found.real.tolist() == [30, 10]
    assert found.counts[0].tolist() == [100, 0]
    assert [one.distance for one in found.moves] == [1, 0.75, 0]
    assert [one.distance for one in found.to_real] == pytest.approx([0.25, 0.75, 0, 0])
    words = readings(STOPS, spectra(LOW_FIRST), found, nothing_asked())
    # 0.75 and 0 from 100 images on; of these one is beyond chance.
    assert any("38% of the samples change kind" in line for line in words)
    assert any("beyond chance in 1 of 2 steps" in line for line in words)
    assert any("at the end 0% of the samples" in line for line in words)


def test_forgetting_is_said_of_trained_discriminators() -> None:
    matrix = np.full((4, 4), 0.9)
    matrix[1:, 0] = 0.5  # what the untrained one made does not count
    matrix[2:, 1] = 0.7
    asked = nothing_asked()._replace(matrix=matrix, finding="It forgets.", state="yes")
    lines = readings(STOPS, spectra(LOW_FIRST), None, asked)
    assert lines[-2] == "D: It forgets."
    # (0.4 + 0.4 + 0) / 3
    assert "27% of full skill worse" in lines[-1]


def test_probes_are_put_together_and_ranked() -> None:
    numbers = rng(0, "probes of")
    asked = Question(("a", "b"), np.arange(400), np.zeros((400, 2)), False)
    noise = numbers.standard_normal((3, 400, 2)) * 0.1
    moments = list(noise + np.array([[[0.5, 0.1]], [[0.8, 0.9]], [[0.8, 0.2]]]))
    found = probes_of(asked, moments, np.zeros((400, 2)), 2)
    assert [one.name for one in found] == ["a", "b"]
    assert [one.lost for one in found] == [False, True]
    assert found[1].scores == pytest.approx([0.1, 0.9, 0.2], abs=0.02)
    assert found[1].best == 1
    assert found[1].fall == pytest.approx(0.7, abs=0.03)
    assert found[0].error == pytest.approx(0.1 / 20, rel=0.1)
    assert [one.name for one in ranked_probes(found)] == ["b", "a"]
    half = Probe("c", True, 0.5, 0.5, [0.75], 0.1, 0, 0.0, False)
    assert half.knowledge(0.75) == 0.5
    words = readings(STOPS, spectra(LOW_FIRST), None, nothing_asked()._replace(probes=found))
    assert "once told more of b (from 0.90 to 0.2" in words[-1]
    assert "more than an untrained D of 2 of 2" in words[-2]


def test_panels_are_as_many_as_there_is_to_show() -> None:
    few = panels("x", STOPS, spectra(LOW_FIRST), None, nothing_asked())
    many = wandering_of(np.arange(12) + 5, np.full((4, 12), 5))
    more = panels("x", STOPS, spectra(LOW_FIRST), many, nothing_asked())
    assert few.shape == (round(110 * (3 * 3.1 + 0.6)), 880, 3)
    assert more.shape == (round(110 * (5 * 3.1 + 0.6)), 880, 3)
