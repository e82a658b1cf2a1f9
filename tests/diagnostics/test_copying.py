from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from morelike.diagnostics.controls import COPIES, DECOYS
from morelike.diagnostics.copies import Copies
from morelike.diagnostics.copying import ALARM, DECOYS_NEAR, SHOWN, copying_finding, most_honest
from morelike.diagnostics.evidence import Evidence, Pictures
from morelike.diagnostics.finding import Finding, Power
from morelike.metrics.chances import binomial_tail
from morelike.rng import rng


def seen(images: np.ndarray) -> Pictures:
    """With features that tell pictures apart: means over four by four pixels."""
    n, height, width, channels = images.shape
    means = images.reshape(n, height // 4, 4, width // 4, 4, channels).mean(axis=(2, 4))
    features = means.reshape(n, height * width * channels // 16) / 255
    return Pictures(images, torch.from_numpy(features).float())


@pytest.fixture(scope="module", autouse=True)
def fewer_planted() -> Iterator[None]:
    """A third of the pictures planted of each kind, for speed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("morelike.diagnostics.copying.PLANTED", 32)
        yield


@pytest.fixture(scope="module")
def scenes() -> np.ndarray:
    """Training pictures (64), held-out ones (16), and others (160): twelve boxes in each, so none
    is like another.
    """
    numbers = rng(0, "scenes")
    made = np.empty((240, 32, 32, 3), np.uint8)
    for picture in made:
        picture[:] = numbers.randint(0, 256, 3)
        for _ in range(12):
            top, left = numbers.randint(0, 30, 2)
            height, width = numbers.randint(3, 16, 2)
            picture[top : top + height, left : left + width] = numbers.randint(0, 256, 3)
    return made


@pytest.fixture(scope="module")
def copies(scenes: np.ndarray) -> Copies:
    return Copies.fitted(scenes[:64], scenes[64:80])


def finding(scenes: np.ndarray, copies: Copies, samples: np.ndarray) -> Finding:
    evidence = Evidence(seen(scenes[:64]), seen(scenes[64:80]), seen(samples), "means")
    return copying_finding(evidence, copies, copies.judge(samples))


@pytest.fixture(scope="module")
def honest(scenes: np.ndarray, copies: Copies) -> Finding:
    """Each of the other scenes four times."""
    return finding(scenes, copies, np.tile(scenes[80:240], (4, 1, 1, 1)))


@pytest.fixture(scope="module")
def copied(scenes: np.ndarray, copies: Copies) -> Finding:
    """One sample in five is the mirror image of a training picture."""
    return finding(scenes, copies, np.concatenate([scenes[:40, :, ::-1], scenes[80:240]]))


@pytest.mark.parametrize("samples", [16, 100, 640, 5000])
def test_most_honest_is_the_last_count_that_chance_gives(copies: Copies, samples: int) -> None:
    share = max(copies.usual, DECOYS_NEAR)
    honest = most_honest(samples, copies)
    assert binomial_tail(honest, samples, share) >= ALARM
    assert binomial_tail(honest + 1, samples, share) < ALARM


def test_most_honest_rises_with_samples_and_more_slowly_than_they(copies: Copies) -> None:
    counts = [16, 32, 64, 128, 256, 512, 1024, 2048]
    honest = [most_honest(samples, copies) for samples in counts]
    assert (np.diff(honest) >= 0).all()
    assert (np.diff([h / n for h, n in zip(honest, counts, strict=True)]) <= 0).all()
    assert honest[-1] > honest[0]


def test_decoys_set_it_where_real_pictures_are_never_near(copies: Copies) -> None:
    spread = replace(copies, limit=-1e6)
    assert spread.usual < DECOYS_NEAR
    assert binomial_tail(most_honest(512, spread) + 1, 512, DECOYS_NEAR) < ALARM


def test_one_copy_in_five_is_called_copying(copied: Finding) -> None:
    assert (copied.topic, copied.state, copied.word) == ("copying", "yes", "COPYING")
    assert "retell a training picture" in copied.sentence
    assert "augment.policy" in copied.remedy
    figure = copied.figures[0]
    assert figure.value == pytest.approx(0.2, abs=0.02)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < 0.2 < figure.high
    assert figure.null is not None
    assert figure.value > figure.null[1]


def test_the_panel_shows_copies_beside_what_they_copy(scenes: np.ndarray, copied: Finding) -> None:
    (panel,) = copied.panels
    sample, training = panel.pictures
    assert panel.columns == ("sample", "training picture")
    assert len(sample) == len(training) == len(panel.captions) == SHOWN
    # They are mirror images, and shown the same way round.
    assert np.array_equal(sample, training)
    assert not any(np.array_equal(sample[0], one) for one in scenes[80:])
    assert all(text.startswith("near-copy, nearer than 100 %") for text in panel.captions)


def test_pictures_never_seen_are_called_honest(honest: Finding) -> None:
    assert (honest.state, honest.word, honest.remedy) == ("no", "", "")
    assert "are near-copies of a training picture" in honest.sentence
    figure = honest.figures[0]
    assert figure.null is not None
    assert figure.value <= figure.null[1] < 0.05
    assert not any(text.startswith("near-copy") for text in honest.panels[0].captions[-3:])


def test_every_figure_has_what_real_pictures_give(copied: Finding, honest: Finding) -> None:
    for found in (copied, honest):
        names = [figure.name for figure in found.figures]
        assert names[0] == "near-copies"
        assert "nearer to training than to held-out pictures" in names
        assert "authenticity" in names
        for figure in found.figures:
            assert figure.null is not None
            assert figure.null[0] <= figure.null[1]
    assert copied.figures[1].value > honest.figures[1].value


def test_the_power_names_every_case(honest: Finding) -> None:
    expected = {each.case for each in honest.power if each.expected}
    assert expected == {f"5% copies, {name}" for name in COPIES}
    spared = {each.case for each in honest.power if not each.expected}
    assert spared == {f"all {name}" for name in DECOYS} | {"real pictures never trained on"}
    by_case = {each.case: each.found for each in honest.power}
    assert min(by_case[case] for case in expected) >= 0.95
    assert by_case["real pictures never trained on"] <= 0.05
    assert by_case["all noise"] == by_case["all smeared"] == 0
    assert all(each.trials == 200 for each in honest.power)


def test_few_samples_leave_it_unknown_and_say_how_many_would_do(
    scenes: np.ndarray, copies: Copies
) -> None:
    found = finding(scenes, copies, scenes[80:120])
    assert (found.state, found.word) == ("unknown", "")
    surely = min(each.found for each in found.power if each.expected)
    assert f"one copy in twenty would be noticed in {surely:.0%} of cases only" in found.sentence
    advised = int(found.sentence.split("; ")[1].split(" samples")[0])
    assert found.sentence.endswith(f"{advised} samples (--count) would do.")
    share = max(copies.usual, DECOYS_NEAR)
    assert binomial_tail(most_honest(advised, copies) + 1, advised, 0.05) >= 0.95 > 0.05 > share


def test_few_samples_that_are_all_copies_are_copying_all_the_same(
    scenes: np.ndarray, copies: Copies
) -> None:
    found = finding(scenes, copies, scenes[:16])
    assert found.state == "yes"
    near, authentic = found.figures[0], found.figures[-1]
    assert (near.value, authentic.value) == (1, 0)
    assert authentic.null is not None
    assert authentic.null[0] > 0


def test_where_copies_cannot_be_told_more_samples_are_not_advised(
    scenes: np.ndarray, copies: Copies
) -> None:
    blind = replace(copies, limit=-1e6)
    found = finding(scenes, blind, scenes[80:120])
    assert found.state == "unknown"
    assert "only 0% of planted copies (exact) are told from real pictures" in found.sentence
    assert "(--count)" not in found.sentence


def test_never_fewer_samples_are_advised_than_there_are(
    scenes: np.ndarray, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("morelike.diagnostics.copying._power", _unsure)
    monkeypatch.setattr("morelike.diagnostics.copying.MORE", (64, 20_000))
    monkeypatch.setattr("morelike.diagnostics.copying.POWER", 0.01)
    found = finding(scenes, copies, scenes[80:180])
    assert found.state == "unknown"
    assert found.sentence.endswith("20000 samples (--count) would do.")


def _unsure(*given: object) -> list[Power]:
    """As trials may fall by chance, below what is asked and was to be expected."""
    del given
    return [Power("5% copies, exact", 0.0, 200, True)]


def test_it_is_copying_from_one_more_than_chance_gives(scenes: np.ndarray, copies: Copies) -> None:
    samples = scenes[80:240]
    case = Evidence(seen(scenes[:64]), seen(scenes[:0]), seen(samples), "means")
    judged, most = copies.judge(samples), most_honest(160, copies)
    for near, accused in ((most, False), (most + 1, True)):
        found = copying_finding(case, copies, judged._replace(near=np.arange(160) < near))
        assert (found.state == "yes") == accused


def test_without_held_out_pictures_features_say_nothing(scenes: np.ndarray, copies: Copies) -> None:
    samples = scenes[80:120]
    evidence = Evidence(seen(scenes[:64]), seen(scenes[:0]), seen(samples), "means")
    found = copying_finding(evidence, copies, copies.judge(samples))
    assert [figure.name for figure in found.figures] == ["near-copies"]
