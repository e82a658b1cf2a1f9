from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morelike.data.toys import toy
from morelike.diagnostics.controls import COPIES, DECOYS, averaged, blurred
from morelike.diagnostics.copies import (
    AVERAGES_BELOW,
    LOST,
    REAL_BELOW,
    Copies,
    share_below,
)
from morelike.errors import UserError
from morelike.rng import rng


@pytest.fixture(scope="module")
def bicycles() -> np.ndarray:
    """Training pictures (64), held-out ones (16), and others (60)."""
    return np.stack([one.draw() for one in toy("bicycles", 140, 32)])


@pytest.fixture(scope="module")
def copies(bicycles: np.ndarray) -> Copies:
    return Copies.fitted(bicycles[:64], bicycles[64:80])


@pytest.mark.parametrize("name", list(COPIES))
def test_every_kind_of_copy_is_near_its_picture(
    bicycles: np.ndarray, copies: Copies, name: str
) -> None:
    judged = copies.judge(COPIES[name](bicycles[:40], rng(0, name)))
    assert judged.near.mean() >= 0.9
    assert (judged.which[judged.near] == np.arange(40)[judged.near]).all()
    assert (judged.mirrored[judged.near] == (name == "mirrored")).all()
    assert (judged.distance[judged.near] < 0.05).all()


@pytest.mark.parametrize("name", list(DECOYS))
def test_decoys_are_not_near(bicycles: np.ndarray, copies: Copies, name: str) -> None:
    assert copies.judge(DECOYS[name](bicycles[:40], rng(0, name))).near.mean() <= 0.05


def test_pictures_never_seen_are_not_near(bicycles: np.ndarray, copies: Copies) -> None:
    others = bicycles[80:]
    for images in (others, bicycles[64:80], blurred(others, rng(0)), averaged(others, rng(0))):
        assert copies.judge(images).near.mean() <= 0.05


def test_without_detail_no_score_is_low_enough(bicycles: np.ndarray, copies: Copies) -> None:
    lenient = replace(copies, limit=np.inf)
    images = np.concatenate([bicycles, blurred(bicycles[:64], rng(0))])
    found = copies.matcher.match(images)
    near = lenient.judge(images).near
    assert np.array_equal(near, found.detail[:, 0] > copies.detail[found.which[:, 0]])
    assert near[:64].all()
    assert not near[140:].any()


def test_what_blur_leaves_as_it_is_has_no_copies(bicycles: np.ndarray) -> None:
    train = bicycles[:64].copy()
    for _ in range(8):
        train[:16] = blurred(train[:16], rng(0))
    copies = Copies.fitted(train, bicycles[64:80])
    left = copies.matcher.detail_left(blurred(train, rng(0)))
    assert (left[:16] > left[16:].max()).all()
    assert np.allclose(copies.detail, 1 - LOST * (1 - left))
    lenient = replace(copies, limit=np.inf)
    assert not lenient.judge(blurred(train, rng(0))).near[16:].any()
    assert lenient.judge(train).near[16:].all()


def test_scores_fall_as_a_copy_shows_through(bicycles: np.ndarray, copies: Copies) -> None:
    one, another = (bicycles[start : start + 20].astype(float) for start in (0, 100))
    before = np.inf
    for share in (0.0, 0.5, 0.9, 1.0):
        mixed = (share * one + (1 - share) * another).round().astype(np.uint8)
        median = float(np.median(copies.judge(mixed).score))
        assert median < before
        before = median


def test_percentiles_rank_among_real_pictures(bicycles: np.ndarray, copies: Copies) -> None:
    judged = copies.judge(np.concatenate([bicycles[:10], bicycles[80:]]))
    order = np.argsort(judged.score)
    assert (np.diff(judged.percentile[order]) >= 0).all()
    assert (judged.percentile[:10] == 0).all()
    assert 25 < np.median(judged.percentile[10:]) < 75
    for score, percentile in zip(judged.score, judged.percentile, strict=True):
        assert percentile == pytest.approx(100 * np.mean(copies.real < score))


def test_real_pictures_set_the_limit(copies: Copies) -> None:
    assert len(copies.real) == 64 + 16
    assert (np.diff(copies.real) >= 0).all()
    assert (copies.real < copies.limit).mean() <= REAL_BELOW


def test_so_do_averages_of_two(bicycles: np.ndarray, copies: Copies) -> None:
    numbers = rng(5, "other averages")
    means = np.concatenate([averaged(bicycles[:64], numbers, (2,)) for _ in range(3)])
    assert copies.judge(means).near.mean() <= 3 * AVERAGES_BELOW


def test_the_same_pictures_give_the_same_answer(bicycles: np.ndarray, copies: Copies) -> None:
    again = Copies.fitted(bicycles[:64].copy(), bicycles[64:80].copy())
    assert again.limit == copies.limit
    for one, other in zip(again.judge(bicycles), copies.judge(bicycles), strict=True):
        assert np.array_equal(one, other)


def test_a_picture_does_not_depend_on_those_beside_it(bicycles: np.ndarray, copies: Copies) -> None:
    alone, among = copies.judge(bicycles[5:6]), copies.judge(bicycles)
    assert alone.which[0] == among.which[5] == 5
    assert alone.near[0] == among.near[5]
    assert alone.score[0] == pytest.approx(among.score[5], abs=0.2)


def test_duplicates_inside_the_training_set_hide_no_copy(bicycles: np.ndarray) -> None:
    train = np.concatenate([bicycles[:40], bicycles[:20, :, ::-1], bicycles[:20]])
    copies = Copies.fitted(train, bicycles[64:80])
    assert len(np.unique(copies.group)) == 40
    assert np.array_equal(copies.group[40:], np.tile(copies.group[:20], 2))
    assert copies.judge(bicycles[:40]).near.all()
    # The next best match is another picture, and not the same one once more.
    assert (copies.judge(bicycles[:20]).score < -12).all()
    assert copies.judge(bicycles[80:]).near.mean() <= 0.05
    # Each is judged against the others, its own copies left out: else all scores were copies'.
    assert np.median(copies.real) > -4


@pytest.mark.parametrize("distinct", [7, 8])
def test_fewer_than_eight_different_pictures_are_too_few(
    bicycles: np.ndarray, distinct: int
) -> None:
    train = np.concatenate([bicycles[:distinct]] * 3)
    if distinct == 8:
        assert Copies.fitted(train, bicycles[64:64]).judge(train).near.all()
        return
    message = r"^7 different training pictures are too few .*; at least 8 are needed\.$"
    with pytest.raises(UserError, match=message):
        Copies.fitted(train, bicycles[64:80])


@pytest.mark.parametrize(("height", "width"), [(24, 48), (32, 20)])
def test_pictures_that_are_not_square(bicycles: np.ndarray, height: int, width: int) -> None:
    wide = np.repeat(np.repeat(bicycles, 2, axis=1), 2, axis=2)
    images = np.ascontiguousarray(wide[:, 20 : 20 + height, 8 : 8 + width])
    copies = Copies.fitted(images[:30], images[30:40])
    assert copies.judge(images[:30]).near.mean() >= 0.9
    assert copies.judge(images[40:80]).near.mean() <= 0.05


def test_the_tail_of_a_known_population_is_bounded_and_not_by_far() -> None:
    # Scores whose low side is exponential: the share below -x is exp(-x) / 2.
    true, limit = 0.005, -np.log(2 * 0.005)
    found = []
    for seed in range(200):
        numbers = rng(seed, "tail")
        scores = np.sort(numbers.laplace(size=80))
        found.append(share_below(scores, -limit))
    assert np.mean(np.array(found) >= true) >= 0.9
    assert np.median(found) < 10 * true


def test_where_the_tail_can_be_counted_the_count_counts() -> None:
    scores = np.linspace(0, 1, 2001)
    assert share_below(scores, 0.5) == pytest.approx(0.5, abs=0.01)
    assert share_below(scores, 2.0) == pytest.approx(1, abs=0.01)
    below = [share_below(scores, limit) for limit in np.linspace(-1, 1, 30)]
    assert (np.diff(below) >= 0).all()
    # However low the limit: of n seen above it, the next may lie below it.
    assert share_below(scores, -1e6) == pytest.approx(0.5 / 2002)


@pytest.mark.shared
def test_copies_of_roses_are_near_and_other_roses_are_not(shared: Path) -> None:
    files = sorted((shared / "data" / "roses").glob("*.jp*g"))
    images = np.stack([np.asarray(Image.open(f).convert("RGB").resize((32, 32))) for f in files])
    order = rng(0, "roses").permutation(len(images))
    # Three are there twice; a copy that was held out would be none.
    _, first = np.unique(images[order].reshape(len(order), -1), axis=0, return_index=True)
    images = images[order][np.sort(first)]
    copies = Copies.fitted(images[:44], images[44:52])
    for name, make in COPIES.items():
        assert copies.judge(make(images[:30], rng(0, name))).near.mean() >= 0.85, name
    assert copies.judge(images[52:]).near.sum() == 0
    assert copies.judge(DECOYS["averaged"](images[:44], rng(0))).near.mean() <= 0.05
