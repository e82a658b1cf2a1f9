from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from morelike.data.toys import toy
from morelike.diagnostics.collapse import (
    FEWEST,
    LEAST_VARIETY,
    MOST_ALIKE,
    SHOWN,
    Yardstick,
    collapse_finding,
    distances,
)
from morelike.diagnostics.controls import repeated
from morelike.diagnostics.evidence import Evidence, Pictures
from morelike.diagnostics.finding import Finding
from morelike.diagnostics.matching import Matcher
from morelike.rng import rng


def seen(images: np.ndarray) -> Pictures:
    """With features that see colours and dirt: means over two by two pixels."""
    n, height, width, channels = images.shape
    means = images.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
    return Pictures(images, torch.from_numpy(means.reshape(n, -1) / 255).float())


def dirty(images: np.ndarray, strength: float) -> np.ndarray:
    noise = rng(0, "dirt").normal(0, strength, images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def bicycles() -> np.ndarray:
    """Training pictures (80), held-out ones (16), and others (64)."""
    return np.stack([one.draw() for one in toy("bicycles", 160, 32)])


@pytest.fixture(scope="module")
def matcher(bicycles: np.ndarray) -> Matcher:
    return Matcher.fitted(bicycles[:80])


def finding(bicycles: np.ndarray, matcher: Matcher, samples: np.ndarray) -> Finding:
    evidence = Evidence(seen(bicycles[:80]), seen(bicycles[80:96]), seen(samples), "means")
    return collapse_finding(evidence, matcher)


@pytest.fixture(scope="module")
def honest(bicycles: np.ndarray, matcher: Matcher) -> Finding:
    return finding(bicycles, matcher, bicycles[96:])


@pytest.mark.parametrize("few", [1, 10])
def test_few_pictures_are_a_collapse(bicycles: np.ndarray, matcher: Matcher, few: int) -> None:
    found = finding(bicycles, matcher, repeated(bicycles[96:], 64, few))
    assert (found.topic, found.state, found.word) == ("collapse", "yes", "COLLAPSED")
    assert "objective.joint_batch" in found.remedy
    assert "discriminator.minibatch_stddev" in found.remedy
    for figure in found.figures:
        assert figure.null is not None
        outside = figure.value < figure.null[0] or figure.value > figure.null[1]
        assert outside, figure.name


def test_the_panel_shows_samples_that_are_alike(bicycles: np.ndarray, matcher: Matcher) -> None:
    # Thirteen times the same, and all others different.
    samples = np.concatenate([bicycles[110:146], np.repeat(bicycles[150:151], 13, axis=0)])
    (panel,) = finding(bicycles, matcher, samples).panels
    for column in panel.pictures:
        assert len(column) == SHOWN - 1
        assert (column == bicycles[150]).all()


def test_one_picture_under_varied_dirt_is_a_collapse(
    bicycles: np.ndarray, matcher: Matcher
) -> None:
    samples = dirty(repeated(bicycles[100:], 64, 1), 60)
    found = finding(bicycles, matcher, samples)
    assert found.word == "COLLAPSED"
    by_name = {figure.name: figure for figure in found.figures}
    # In features the dirt passes for variety; the layout tells.
    features, layout = by_name["variety by features"], by_name["variety by layout"]
    assert features.value > LEAST_VARIETY["features"]
    assert layout.value < LEAST_VARIETY["layout"]
    assert "by layout" in found.sentence


def test_real_pictures_are_no_collapse(honest: Finding) -> None:
    assert (honest.state, honest.word, honest.remedy) == ("no", "", "")
    assert honest.panels == ()
    assert honest.sentence.endswith("that is no collapse.")
    for figure in honest.figures:
        assert figure.null is not None
        if figure.name.startswith("variety"):
            assert figure.null[0] < 1 < figure.null[1]
            assert figure.value > 0.85


@pytest.mark.parametrize("seed", range(4))
def test_real_halves_are_no_collapse(bicycles: np.ndarray, seed: int) -> None:
    order = rng(seed, "halves").permutation(len(bicycles))
    rows = seen(bicycles[order]).features
    found = Yardstick.of("features", rows[:80]).variety(distances(rows[80:]))
    assert not found.is_collapsed
    assert found.ratio == pytest.approx(1, abs=0.15)
    assert found.alike <= found.most_alike


def test_power_is_that_of_one_ten_and_half(honest: Finding) -> None:
    cases = [(each.case, each.found, each.expected) for each in honest.power]
    assert cases == [
        ("a generator of one picture", 1.0, True),
        ("a generator of ten pictures", 1.0, True),
        ("half of the real pictures", 0.0, False),
    ]


def test_without_power_it_is_not_called_healthy(
    bicycles: np.ndarray, matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("morelike.diagnostics.collapse.MOST_ALIKE", 1.0)
    for name in LEAST_VARIETY:
        monkeypatch.setitem(LEAST_VARIETY, name, 0.05)
    found = finding(bicycles, matcher, bicycles[96:])
    assert (found.state, found.word) == ("unknown", "")
    assert "would be noticed in" in found.sentence
    assert "no collapse" not in found.sentence


def test_too_few_real_pictures_are_no_yardstick(bicycles: np.ndarray) -> None:
    few = bicycles[: FEWEST - 3]
    for held, state in ((2, "unknown"), (3, "no")):
        evidence = Evidence(seen(few), seen(bicycles[80 : 80 + held]), seen(bicycles[96:]), "means")
        found = collapse_finding(evidence, Matcher.fitted(few))
        assert found.state == state
        assert found.word == ""
    assert "10 real pictures are too few" not in found.sentence


def test_vendi_score_counts_what_is_far_apart() -> None:
    # Points on the corners of a simplex, farther apart than the kernel reaches.
    real = torch.eye(40) * 100
    measure = Yardstick("features", distances(real), 1.0, 1.0)
    for few in (1, 5, 20):
        found = measure.variety(distances(real[torch.arange(20) % few]))
        assert found.ratio == pytest.approx(few / 20, abs=1e-3)
        pairs = 20 // few * (20 // few - 1) / 2 * few
        assert found.alike == pytest.approx(pairs / 190)
        assert found.alike_real == 0
        assert found.most_alike == MOST_ALIKE


def test_samples_that_differ_but_little_are_a_collapse_without_any_alike() -> None:
    real, others = (torch.from_numpy(rng(0, i).standard_normal((60, 8))) for i in (1, 2))
    measure = Yardstick.of("features", real)
    found = measure.variety(distances(0.55 * others))
    assert found.alike <= found.most_alike
    assert found.ratio < LEAST_VARIETY["features"]
    assert found.is_collapsed
    assert not measure.variety(distances(others)).is_collapsed


def test_samples_that_are_merely_too_uniform_are_no_collapse(bicycles: np.ndarray) -> None:
    rows = seen(bicycles).features
    measure = Yardstick.of("features", rows[:80])
    found = measure.variety(distances(0.8 * rows[80:]))
    assert found.ratio < found.null[0]
    assert not found.is_collapsed


@pytest.mark.parametrize("few", [3, 10, 20])
def test_variety_is_worth_as_many_pictures_as_it_comes_from(few: int) -> None:
    real = torch.from_numpy(rng(0).standard_normal((128, 20)))
    measure = Yardstick.of("features", real)
    repeated_rows = real[torch.arange(64) % few + 30]
    found = measure.worth(measure.variety(distances(repeated_rows)))
    assert found == pytest.approx(few, rel=0.15)


def test_pictures_that_are_often_alike_allow_samples_to_be() -> None:
    rows = torch.from_numpy(rng(0).standard_normal((30, 5)))
    real = torch.cat([rows, rows, rows, rows])
    found = Yardstick.of("features", real).variety(distances(real[:60]))
    assert found.alike_real == pytest.approx(3 / 119, rel=0.2)
    assert found.most_alike == pytest.approx(3 * found.alike_real)
    assert not found.is_collapsed


def test_where_all_real_pictures_are_one_nothing_breaks() -> None:
    real = torch.ones(20, 3)
    found = Yardstick.of("features", real).variety(distances(real))
    assert found.ratio == pytest.approx(1)
    assert found.alike == found.alike_real >= 0
    assert not found.is_collapsed


def test_distances_of_copies_are_zero() -> None:
    rows = torch.from_numpy(rng(0).standard_normal((5, 300))).float() + 1e4
    found = distances(torch.cat([rows, rows]))
    assert (found[:5, 5:].diagonal() == 0).all()
    assert found[0, 1].item() == pytest.approx((rows[0] - rows[1]).double().norm().item())


@pytest.mark.shared
def test_roses_are_varied_and_a_rose_is_not(shared: Path) -> None:
    files = sorted((shared / "data" / "roses").glob("*.jp*g"))[:60]
    roses = np.stack([np.asarray(Image.open(f).convert("RGB").resize((32, 32))) for f in files])
    roses = roses[rng(0, "roses").permutation(len(roses))]
    matcher = Matcher.fitted(roses[:30])
    for samples, state in ((roses[40:], "no"), (dirty(repeated(roses[40:], 32, 1), 40), "yes")):
        evidence = Evidence(seen(roses[:30]), seen(roses[30:40]), seen(samples), "means")
        assert collapse_finding(evidence, matcher).state == state
