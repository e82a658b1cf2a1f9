from __future__ import annotations

import numpy as np
import pytest

from morelike.diagnostics.discriminator import (
    apart,
    auc,
    balance,
    cut,
    forgetting,
    only_by_heart,
    overfit,
    r_t,
    r_v,
)
from morelike.diagnostics.finding import Finding
from morelike.rng import rng


def logits(count: int, mean: float, seed: int, spread: float = 1.0) -> np.ndarray:
    return mean + spread * rng(seed, "logits").standard_normal(count)


def figure(found: Finding, name: str) -> float:
    return next(each.value for each in found.figures if each.name == name)


def test_auc_is_the_share_of_pairs_in_order() -> None:
    high, low = rng(0, "a").randint(0, 5, 30), rng(0, "b").randint(0, 5, 41)
    pairs = [(a > b) + 0.5 * (a == b) for a in high for b in low]
    assert auc(high, low).value == pytest.approx(np.mean(pairs))
    assert auc(low, high).value == pytest.approx(1 - np.mean(pairs))


@pytest.mark.parametrize(("n", "m", "shift"), [(60, 9, 1.0), (200, 200, 0.0), (100, 30, 2.0)])
def test_the_interval_of_auc_holds_the_truth(n: int, m: int, shift: float) -> None:
    from statistics import NormalDist

    truth = NormalDist().cdf(shift / 2**0.5)
    held = 0
    for trial in range(300):
        found = auc(logits(n, shift, 2 * trial), logits(m, 0, 2 * trial + 1))
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 300 <= 0.995


def test_the_interval_has_a_width_where_all_is_right() -> None:
    found = auc(np.arange(10.0) + 100, np.arange(10.0))
    assert (found.value, found.high) == (1, 1)
    assert 0.6 < found.low < 0.9
    few, many = auc(np.ones(9) * 2, np.ones(256)), auc(np.ones(256) * 2, np.ones(256))
    assert few.low < many.low
    turned = auc(np.arange(10.0), np.arange(10.0) + 100)
    assert turned.low == 0
    assert turned.high == pytest.approx(1 - found.low)


def test_r_v_and_r_t_by_hand() -> None:
    train, held, fake = np.array([2.0, 4.0]), np.array([1.0]), np.array([-1.0, -1.0])
    assert r_v(train, held, fake) == pytest.approx((3 - 1) / (3 + 1))
    assert np.isnan(r_v(train, held, train))
    assert r_t(np.array([1.0, 2.0, -3.0, 4.0])) == pytest.approx(0.5)
    assert r_t(np.array([0.4, 0.6]), cut("least_squares")) == 0
    assert only_by_heart(0.9, 0.7) == pytest.approx(0.5)
    assert only_by_heart(0.9, 0.1) == pytest.approx(2)


def test_a_discriminator_that_learnt_by_heart_is_found() -> None:
    found = overfit(logits(200, 3, 0), logits(60, -1, 1), logits(200, -1, 2), "hinge")
    assert (found.topic, found.state) == ("discriminator", "yes")
    assert "by heart" in found.sentence
    assert "augment.policy" in found.remedy
    assert figure(found, "known only by heart") == pytest.approx(1, abs=0.15)
    assert figure(found, "r_v") == pytest.approx(1, abs=0.1)
    ranks, ratio = found.figures[:2]
    for each in (ranks, ratio):
        assert each.null is not None
        assert each.null[0] <= 0 <= each.null[1]
        assert each.low is not None
        assert each.low > each.null[1]


def test_one_that_learnt_what_holds_for_all_is_left_alone() -> None:
    found = overfit(logits(200, 3, 0), logits(60, 3, 1), logits(200, -1, 2), "hinge")
    assert found.state == "no"
    assert found.sentence.startswith("What the discriminator knows holds")


def test_some_by_heart_is_said_and_is_no_fault() -> None:
    found = overfit(logits(250, 2.0, 0), logits(250, 1.2, 1), logits(250, 0, 2), "hinge")
    assert found.state == "no"
    assert found.sentence.startswith("Most of what the discriminator knows")


def test_nine_held_out_pictures_are_too_few_for_a_middling_case() -> None:
    found = overfit(logits(58, 2, 0), logits(9, 0.9, 1), logits(256, 0, 2), "hinge")
    assert found.state == "unknown"
    assert "With 9 held-out pictures" in found.sentence
    assert "data.held_out" in found.remedy
    with_many = overfit(logits(58, 2, 0), logits(400, 0.1, 1), logits(256, 0, 2), "hinge")
    assert with_many.state == "yes"


def test_nothing_is_said_where_there_is_nothing_to_go_by() -> None:
    train, fake = logits(50, 0, 0), logits(50, 0, 1)
    assert overfit(train, np.zeros(0), fake, "hinge").state == "unknown"
    assert overfit(train, logits(20, 0, 2), fake, "hinge").state == "unknown"


def test_only_losses_with_a_border_have_a_sign() -> None:
    train, held, fake = logits(50, 3, 0), logits(50, 3, 1), logits(50, -1, 2)
    for loss, expected in (("hinge", True), ("wasserstein", False), ("relativistic", False)):
        names = [each.name for each in overfit(train, held, fake, loss).figures]
        assert ("r_t" in names) is expected
        names = [each.name for each in balance(train, fake, loss).figures]
        assert ("right about samples" in names) is expected


@pytest.mark.parametrize("scale", [0.001, 1, 1000])
def test_answers_do_not_depend_on_a_critics_scale(scale: float) -> None:
    train, held, fake = logits(80, 3, 0), logits(80, -1, 1), logits(80, -1, 2)
    expected = r_v(train, held, fake)
    train, held, fake = ((each + 7) * scale for each in (train, held, fake))
    found = overfit(train, held, fake, "wasserstein")
    assert found.state == "yes"
    assert figure(found, "r_v") == pytest.approx(expected)
    assert balance(train, fake, "wasserstein").state == "no"


def test_apart_is_in_spreads_of_the_samples() -> None:
    fake = np.linspace(0, 1, 101)
    assert apart(np.full(50, 0.95 + 1.8), fake) == pytest.approx(2)
    assert apart(fake, fake) == pytest.approx(-1)
    assert apart(np.ones(9), np.zeros(9)) == np.inf
    assert apart(np.zeros(9), np.zeros(9)) == -np.inf


def test_a_discriminator_that_is_far_ahead_is_found() -> None:
    found = balance(logits(100, 10, 0), logits(100, -10, 1, 0.5), "minimax")
    assert (found.topic, found.state) == ("balance", "yes")
    assert "far ahead" in found.sentence
    assert "non_saturating" in found.remedy
    same = balance(logits(100, 10, 0), np.full(100, -10.0), "hinge")
    assert same.state == "yes"
    assert "all samples are the same" in same.sentence
    assert "non_saturating" not in same.remedy


def test_a_lead_near_the_line_is_not_sure() -> None:
    fake = logits(60, 0, 0)
    low, high = np.quantile(fake, [0.05, 0.95])
    train = logits(60, 0, 1, 0.3)
    train += high + 1.05 * (high - low) - np.quantile(train, 0.05)
    assert balance(train, fake, "hinge").state == "unknown"
    assert balance(train + high - low, fake, "hinge").state == "yes"
    assert balance(train + low - high, fake, "hinge").state == "no"


def test_being_right_is_no_fault() -> None:
    found = balance(logits(256, 2, 0), logits(256, -2, 1), "non_saturating")
    assert found.state == "no"
    assert figure(found, "real above samples") > 0.99
    assert figure(found, "right about samples") > 0.95


def test_a_discriminator_that_sees_nothing_is_no_use_if_there_is_something_to_see() -> None:
    train, fake = logits(200, 0, 0), logits(200, 0, 1)
    assert [balance(train, fake, "hinge", differ=d).state for d in (True, None, False)] == [
        "yes",
        "unknown",
        "no",
    ]
    blind = np.zeros(200)
    assert balance(blind, blind, "hinge", differ=True).state == "yes"


def test_forgetting_is_found_and_dated() -> None:
    train, fake = logits(200, 2, 0), logits(200, -1, 1)
    older = {100: logits(200, 2.5, 2), 200: logits(200, 2.5, 3), 300: logits(200, -1, 4)}
    found = forgetting(train, fake, older, 400)
    assert (found.topic, found.state) == ("forgetting", "yes")
    (curve,) = found.curves
    assert curve.images == (100, 200, 300, 400)
    assert curve.onset == 200
    assert curve.values[0] < 0.5 < curve.values[3]
    kept = {100: logits(200, -3, 2), 200: logits(200, -2, 3), 300: logits(200, -1, 4)}
    found = forgetting(train, fake, kept, 400)
    assert found.state == "no"
    assert found.curves[0].onset is None


def test_losing_a_little_is_not_forgetting() -> None:
    train, fake = logits(200, 2, 0), logits(200, -1, 1)
    assert forgetting(train, fake, {100: logits(200, -0.2, 2)}, 400).state == "no"
    # About half of the skill is left: not sure.
    assert forgetting(train, fake, {100: logits(200, 1.05, 2)}, 400).state == "unknown"


def test_without_older_checkpoints_or_skill_forgetting_is_unknown() -> None:
    train, fake = logits(200, 2, 0), logits(200, 2, 1)
    assert "training.keep" in forgetting(train, fake, {}, 400).remedy
    assert forgetting(train, fake, {100: fake}, 400).state == "unknown"
