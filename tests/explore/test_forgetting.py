from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from morelike.explore.forgetting import (
    FOLDS,
    STRENGTHS,
    Question,
    fallen,
    falls,
    features_of_pictures,
    move,
    probed,
    questions,
    remembered,
    ridge,
    total_variation,
    untrained,
)
from morelike.explore.reader import Trait
from morelike.models import configure, family
from morelike.players import BATCH_NORMS, COMPANY_FROM, Players, players
from morelike.rng import rng
from morelike.runs import Run

# Probes -------------------------------------------------------------------------------------------


def refitted(features: np.ndarray, values: np.ndarray, strength: float) -> np.ndarray:
    """Leave-one-out errors (n,) of a ridge through the origin, by fitting n times."""
    errors = []
    for i in range(len(features)):
        x, y = np.delete(features, i, 0), np.delete(values, i)
        weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)
        errors.append(values[i] - features[i] @ weights)
    return np.array(errors)


def test_ridge_takes_the_strength_of_the_least_error_left_out() -> None:
    numbers = rng(0, "ridge")
    features = numbers.standard_normal((30, 6)) * [1, 5, 1, 1, 0.1, 1] + 3
    values = features @ [1, 0.2, 0, 0, 3, 0] + 2 * numbers.standard_normal(30)
    asked = numbers.standard_normal((4, 6)) + 3
    level, spread, mean = features.mean(0), features.std(0), values.mean()
    x, y = (features - level) / spread, values - mean
    # The mean of the eigenvalues of X X^T, which are those of X^T X and 24 times 0.
    unit = np.trace(x.T @ x) / 30
    strengths = STRENGTHS * unit
    best = min(strengths, key=lambda one: float(np.square(refitted(x, y, one)).sum()))
    weights = np.linalg.solve(x.T @ x + best * np.eye(6), x.T @ y)
    assert strengths[0] < best < strengths[-1]
    expected = (asked - level) / spread @ weights + mean
    found = ridge(features, np.stack([values, -values], 1), asked)
    assert found[:, 0] == pytest.approx(expected)
    assert found[:, 1] == pytest.approx(-expected)


def test_ridge_bears_features_that_never_change() -> None:
    features = np.ones((20, 3))
    features[:, 0] = np.arange(20)
    found = ridge(features, features[:, :1], np.array([[4.5, 2, 1]]))
    assert found[0, 0] == pytest.approx(4.5, abs=0.01)


def test_probes_find_what_is_there_and_nothing_where_there_is_nothing() -> None:
    numbers = rng(0, "probes")
    features = numbers.standard_normal((200, 40)).astype(np.float32)
    direction = numbers.standard_normal(40)
    known, noise = features @ direction, numbers.standard_normal(200)
    asked = Question(("known", "noise"), np.arange(200), np.stack([known, noise], 1), False)
    means = probed(features, asked).mean(0)
    assert means[0] > 0.95
    assert means[1] < 0.1
    assert asked.chance == 0
    hot = np.eye(4)[np.argsort(np.argsort(known)) // 50]
    classes = Question(("quarter",), np.arange(200), hot, True)
    scores = probed(features, classes)
    assert set(scores.ravel()) == {0.0, 1.0}
    assert 0.5 < scores.mean() <= 1
    assert classes.chance == 0.25
    other = Question(("any",), np.arange(200), numbers.permutation(hot), True)
    assert probed(features, other).mean() < 0.4


def test_probes_are_judged_on_pictures_they_were_not_fitted_to() -> None:
    # With more features than pictures any answer fits those that were seen.
    numbers = rng(0, "not fitted to")
    features, values = numbers.standard_normal((60, 500)), numbers.standard_normal((60, 1))
    asked = Question(("noise",), np.arange(60), values, False)
    assert probed(features.astype(np.float32), asked).mean() < 0.2
    assert FOLDS >= 2


def records() -> list[dict[str, Any]]:
    return [
        {"label": "ab"[i % 4 == 0], "attributes": {"size": i / 10, "kind": "xyz"[i % 3]}}
        for i in range(120)
    ]


def test_questions_have_as_many_pictures_of_each_class() -> None:
    traits = (Trait("label", ("a", "b")), Trait("kind", ("x", "y", "z")), Trait("size", ()))
    of_label, of_kind, of_size = questions(records(), traits, 60)
    assert of_label.values.sum(0).tolist() == [30, 30]
    assert [records()[i]["label"] for i in of_label.rows] == [
        "ab"[one] for one in of_label.values.argmax(1)
    ]
    assert of_kind.values.sum(0).tolist() == [20, 20, 20]
    assert len(of_size.rows) == 60
    assert of_size.values[:, 0] == pytest.approx(of_size.rows / 10)
    assert (of_size.names, of_size.classes) == (("size",), False)
    # There are no more than 30 of b.
    assert len(questions(records(), traits[:1], 400)[0].rows) == 60


def test_a_fall_counts_beyond_chance_only() -> None:
    numbers = rng(0, "falls")
    before = (numbers.random_sample(300) < 0.9).astype(float)
    after = (numbers.random_sample(300) < 0.6).astype(float)
    lost = fallen([after, before, after])
    assert (lost.best, lost.lost) == (1, True)
    assert lost.fall == pytest.approx(before.mean() - after.mean())
    assert not fallen([after, before])[2]
    noise = [(numbers.random_sample(300) < 0.8).astype(float) for _ in range(8)]
    assert not fallen(noise).lost
    # 0.04 with an error of 0.0114 or so: 3.5 errors, beyond chance in one case, not in one of 1000.
    small = np.zeros(300)
    small[:12] = 1
    assert fallen([small, np.zeros(300)]).lost
    assert not fallen([small, np.zeros(300)], asked=1000).lost


NARROW = {"generator": {"width": 4, "latent": 8}, "discriminator": {"width": 4}}


@pytest.mark.parametrize("name", ["dcgan", "msggan", "resnet", "fastgan", "style", "r3gan"])
def test_features_are_those_that_the_logit_is_of(name: str) -> None:
    base = {"data": {"resolution": 16, "channels": 1}, "training": {"batch": 8}}
    condition = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}
    config = configure({**base, "family": name, **NARROW, "condition": condition})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = family(name).build(config)
    made.discriminator.eval().requires_grad_(False)
    networks = (made.generator, made.generator, made.discriminator)
    one = Players(config, 0, *networks, "", torch.device("cpu"))
    images = rng(0, "pictures").randint(0, 256, (11, 16, 16, 1)).astype(np.uint8)
    before = {k: v.clone() for k, v in made.discriminator.state_dict().items()}
    found = features_of_pictures(one, images)
    for key, values in made.discriminator.state_dict().items():
        assert key.endswith("num_batches_tracked") or torch.equal(values, before[key]), key
    assert not any(module.training for module in made.discriminator.modules())
    # The same by hand: as in training, the last batch filled up from the front.
    for module in made.discriminator.modules():
        module.train(isinstance(module, BATCH_NORMS))
    expected = []
    for rows in (range(8), (8, 9, 10, 0, 1, 2, 3, 4)):
        pictures = torch.from_numpy(images[list(rows)]).permute(0, 3, 1, 2).float() / 127.5 - 1
        expected.append(
            made.discriminator.features(*made.discriminator.scales(pictures)).flatten(1)
        )
    assert np.allclose(found, torch.cat(expected)[:11], atol=1e-4)


def test_an_untrained_discriminator_is_another_one_and_always_the_same(trained_run: Run) -> None:
    one = players(trained_run, "latest")
    states = []
    for each in (untrained(one), untrained(one), one):
        assert each.discriminator is not None
        states.append(each.discriminator.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    weights = [key for key in states[0] if key.endswith("0.weight")]
    assert not any(torch.equal(states[0][key], states[2][key]) for key in weights)


# Earlier samples ----------------------------------------------------------------------------------


def test_remembered_samples_are_answered_like_made_ones(trained_run: Run) -> None:
    now, then = players(trained_run, "latest"), players(trained_run, "16")
    seeds, company = range(6), range(COMPANY_FROM, COMPANY_FROM + 4 * then.batch)
    kept = remembered(then, (seeds, company))
    assert not list(kept.generator.parameters())
    expected = now.logits_of_samples(seeds, maker=then)
    assert np.array_equal(now.logits_of_samples(seeds, maker=kept), expected)
    assert not np.array_equal(now.logits_of_samples(seeds), expected)


def test_falls_are_in_skill_and_below_the_diagonal() -> None:
    matrix = np.array([[0.9, 0.1, 0.2], [0.7, 0.8, 0.3], [1.0, 0.6, 0.75]])
    found = falls(matrix)
    assert found[1, 0] == pytest.approx(0.4)
    assert found[2, :2] == pytest.approx([-0.2, 0.4])
    assert np.isnan(found).tolist() == [[True] * 3, [False, True, True], [False, False, True]]


# Kinds --------------------------------------------------------------------------------------------


def test_total_variation_is_half_the_differences() -> None:
    assert total_variation(np.array([0.5, 0.5, 0]), np.array([0.25, 0.25, 0.5])) == 0.5
    assert total_variation(np.array([1, 0]), np.array([0, 1])) == 1


def test_moves_beyond_chance_and_within() -> None:
    far = move(np.array([80, 20, 0]), np.array([20, 40, 40]), 0)
    assert far.distance == pytest.approx(0.6)
    assert far.chance < 0.002
    assert far.most < 0.25
    assert move(np.array([50, 50]), np.array([50, 50]), 0).chance == 1
    # Chance is that of both together, whichever comes first.
    one, other = np.array([90, 10]), np.array([40, 60])
    assert move(one, other, 0).usual == pytest.approx(move(other, one, 0).usual, rel=0.05)
    # Two bins of a half each: the distance is |difference of shares|, about normal.
    usual = move(np.array([500, 500]), np.array([500, 500]), 0)
    spread = (2 * 0.25 / 1000) ** 0.5
    assert usual.usual == pytest.approx(spread * (2 / np.pi) ** 0.5, rel=0.07)
    assert usual.most == pytest.approx(1.96 * spread, rel=0.07)


def test_moves_of_one_distribution_alarm_in_one_case_of_twenty() -> None:
    numbers = rng(0, "one of twenty")
    drawn = numbers.multinomial(100, [0.4, 0.3, 0.2, 0.1], (200, 2))
    alarms = np.mean([move(a, b, n).chance < 0.05 for n, (a, b) in enumerate(drawn)])
    assert alarms == pytest.approx(0.05, abs=0.035)
