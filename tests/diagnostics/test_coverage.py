from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.diagnostics.coverage import ENOUGH, KINDS_SHOWN, Kinds, coverage_finding
from morelike.diagnostics.evidence import Evidence, Pictures
from morelike.rng import rng

COLOURS = np.array([[220, 40, 40], [40, 200, 60], [50, 60, 230], [230, 220, 60], [240, 240, 240]])


def drawn(counts: list[int], seed: int) -> Pictures:
    """Discs, as many of each colour as asked; features are the mean colours and radii."""
    numbers = rng(seed, "discs")
    y, x = np.mgrid[0:16, 0:16] - 7.5
    colours, radii = [], []
    for kind, count in enumerate(counts):
        colours.append(COLOURS[kind] + numbers.uniform(-14, 14, (count, 3)))
        radii.append(numbers.uniform(4, 7, count))
    colour, radius = np.concatenate(colours), np.concatenate(radii)
    inside = (x**2 + y**2)[None] < radius[:, None, None] ** 2
    images = np.where(inside[..., None], colour[:, None, None], 20).round().astype(np.uint8)
    features = np.concatenate([colour / 60, radius[:, None] / 20], axis=1)
    return Pictures(images, torch.from_numpy(features).float())


def evidence(train: list[int], samples: list[int]) -> Evidence:
    return Evidence(drawn(train, 0), drawn([2, 2], 1), drawn(samples, 2), "colours")


def kind_of(images: np.ndarray) -> np.ndarray:
    """The colour in the middle of each."""
    apart = np.abs(images[:, 8, 8, None].astype(int) - COLOURS).sum(axis=-1)
    return apart.argmin(axis=1)


def test_kinds_are_the_colours() -> None:
    train = drawn([30, 10, 10], 0)
    kinds = Kinds.of(train.features)
    shown = [set(kind_of(train.images[own])) for own in kinds.members]
    assert all(len(colours) == 1 for colours in shown)
    assert {colour for colours in shown for colour in colours} == {0, 1, 2}
    assert kinds.shares(train.features).sum() == pytest.approx(1)
    for center, own in zip(kinds.centers, kinds.members, strict=True):
        apart = (train.features[own].double() - center).norm(dim=1)
        assert (apart.diff() >= 0).all()
        assert len(own) >= ENOUGH


def test_a_colour_that_is_left_out_is_named_and_shown() -> None:
    found = coverage_finding(evidence([40, 40], [200, 0]))
    assert (found.topic, found.state, found.word) == ("coverage", "yes", "")
    left_out, share = found.figures
    assert share.value == pytest.approx(0.5, abs=0.001)
    assert left_out.null == share.null == (0, 0)
    assert f"{left_out.value} of " in found.sentence
    assert "with 50% of them" in found.sentence
    (panel,) = found.panels
    assert len(panel.columns) == len(panel.pictures) == min(left_out.value, KINDS_SHOWN)
    assert len({len(pictures) for pictures in panel.pictures}) == 1
    for title, pictures in zip(panel.columns, panel.pictures, strict=True):
        assert (kind_of(pictures) == 1).all()
        assert title.endswith("of training pictures, 0.0% of samples")
    # The most typical of each first.
    train = drawn([40, 40], 0)
    typical = [train.images[own[0]].tolist() for own in Kinds.of(train.features).members]
    assert all(pictures[0].tolist() in typical for pictures in panel.pictures)


def test_most_of_all_kinds_left_out_is_a_collapse() -> None:
    found = coverage_finding(evidence([30, 30, 30], [200, 0, 0]))
    assert found.word == "COLLAPSED"
    assert found.figures[1].value == pytest.approx(2 / 3, abs=0.001)


@pytest.mark.parametrize("rare", [3, 60])
def test_a_kind_with_few_samples_is_missing_and_one_with_some_is_not(rare: int) -> None:
    found = coverage_finding(evidence([60, 60], [200, rare]))
    assert found.state == ("yes" if rare == 3 else "no"), found.sentence


def test_with_all_kinds_nothing_is_left_out() -> None:
    found = coverage_finding(evidence([40, 40], [200, 180]))
    assert (found.state, found.word, found.panels) == ("no", "", ())
    assert [figure.value for figure in found.figures] == [0, 0]
    assert found.sentence.startswith("All 6 kinds of training pictures have their like")


def test_real_pictures_never_seem_to_leave_a_kind_out() -> None:
    states = []
    for seed in range(40):
        parts = [drawn([20, 20, 20, 20, 20], number) for number in (3 * seed, 3 * seed + 1)]
        states.append(coverage_finding(Evidence(parts[0], parts[1], parts[1], "colours")).state)
    assert states.count("yes") <= 1


def test_too_few_samples_leave_it_unknown() -> None:
    found = coverage_finding(evidence([40, 40], [10, 10]))
    assert found.state == "unknown"
    assert "20 samples are enough for 0 of 6 kinds only" in found.sentence
    # A handful of pictures is no proof that the others are missing.
    few = [30, 8, 8]
    assert coverage_finding(evidence(few, [16, 0, 0])).state == "unknown"


@pytest.mark.parametrize("count", [1, 6])
def test_too_few_training_pictures_have_no_kinds(count: int) -> None:
    found = coverage_finding(evidence([count], [40]))
    assert found.state == "unknown"
    assert f"{count} training pictures are too few" in found.sentence


def test_equal_pictures_make_no_more_kinds_than_there_are() -> None:
    two: Tensor = torch.tensor([[0.0, 0.0], [1.0, 2.0]]).repeat(20, 1)
    kinds = Kinds.of(two)
    assert sorted(len(own) for own in kinds.members) == [20, 20]
    assert Kinds.of(torch.ones(30, 4)).shares(torch.ones(3, 4)).tolist() == [1.0]


def test_equal_features_give_equal_kinds() -> None:
    train = drawn([30, 10, 10], 0)
    one, other = (Kinds.of(train.features) for _ in range(2))
    assert torch.equal(one.centers, other.centers)
