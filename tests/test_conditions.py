"""Labels and attributes as numbers, there and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from morelike.conditions import drawn, encoded, settled
from morelike.config import ConditionConfig
from morelike.errors import UserError
from morelike.rng import SeedDraws

CPU = torch.device("cpu")
RECORDS: list[dict[str, Any]] = [
    {"label": "rose", "attributes": {"age": 2.0, "petals": 5, "place": "garden"}},
    {"label": "tulip", "attributes": {"age": 6.0, "petals": 6, "place": "shop"}},
    {"label": "rose", "attributes": {"age": 3.0, "petals": 5, "place": "shop"}},
    {"label": "aster", "attributes": {"age": 10.0, "petals": 34, "place": "garden"}},
]


def settings(*on: str) -> ConditionConfig:
    return settled(ConditionConfig(on=on), RECORDS)


def draws(count: int, start: int = 0) -> SeedDraws:
    return SeedDraws(range(start, start + count), CPU)


def test_nothing_asked_for_is_nothing() -> None:
    condition = settings()
    assert condition.size == 0
    assert encoded(condition, RECORDS).shape == (4, 0)
    assert drawn(condition, draws(3)).shape == (3, 0)


def test_labels_and_ranges_come_from_the_pictures() -> None:
    condition = settings("label", "age")
    assert condition.classes == {"aster": 0.25, "rose": 0.5, "tulip": 0.25}
    assert condition.ranges == {"age": (2.0, 10.0)}
    assert condition.size == 4


def test_what_a_picture_shows_as_numbers() -> None:
    found = encoded(settings("age", "label", "petals"), RECORDS)
    expected = [  # aster, rose, tulip; age 2 to 10; petals 5 to 34
        [0, 1, 0, -1, -1],
        [0, 0, 1, 0, 2 / 29 - 1],
        [0, 1, 0, -0.75, -1],
        [1, 0, 0, 1, 1],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_what_is_not_asked_for_is_drawn_as_among_the_pictures() -> None:
    found = drawn(settings("label", "age"), draws(4000))
    labels, ages = found[:, :3], found[:, 3]
    assert set(labels.flatten().tolist()) == {0.0, 1.0}
    assert torch.equal(labels.sum(1), torch.ones(4000))
    # Five standard errors.
    for share, wanted in zip(labels.mean(0).tolist(), (0.25, 0.5, 0.25), strict=True):
        assert abs(share - wanted) < 5 * (wanted * (1 - wanted) / 4000) ** 0.5
    assert ages.min() >= -1
    assert ages.max() <= 1
    assert abs(ages.mean()) < 5 * (1 / 3 / 4000) ** 0.5
    assert abs(np.corrcoef(labels[:, 1], ages)[0, 1]) < 5 / 4000**0.5


def test_a_seed_decides_alone() -> None:
    condition = settings("label", "age")
    assert torch.equal(drawn(condition, draws(8))[5:6], drawn(condition, draws(1, start=5)))


def test_every_class_can_be_drawn_though_shares_are_rounded() -> None:
    condition = ConditionConfig(on=("label",), classes=dict.fromkeys("abc", 0.333333))
    assert drawn(condition, draws(200)).sum(0).min() > 30


def test_labels_are_asked_for_alone_and_mixed() -> None:
    condition = settings("label", "age")
    rose = drawn(condition, draws(3), {"rose": 1.0})
    assert rose[:, :3].tolist() == [[0, 1, 0]] * 3
    assert torch.equal(rose[:, 3], drawn(condition, draws(3))[:, 3])  # the rest is as before
    mixed = drawn(condition, draws(2), {"rose": 3.0, "aster": 1.0})
    assert mixed[:, :3].tolist() == [[0.25, 0.75, 0]] * 2


def test_attributes_are_asked_for_in_their_own_units_and_beyond_their_range() -> None:
    condition = settings("label", "age")
    found = drawn(condition, draws(2), attributes={"age": 6.0})
    assert found[:, 3].tolist() == [0, 0]
    assert torch.equal(found[:, :3], drawn(condition, draws(2))[:, :3])
    assert drawn(condition, draws(1), attributes={"age": 14.0})[0, 3] == 2


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"labels": {"rosse": 1.0}}, "knows no label 'rosse'; the nearest is 'rose'"),
        ({"labels": {"rose": 0.0}}, "not all of them 0"),
        ({"labels": {"rose": 2.0, "tulip": -1.0}}, "0 or more"),
        ({"attributes": {"agee": 1.0}}, "knows no attribute 'agee'; the nearest is 'age'"),
    ],
)
def test_what_cannot_be_asked_for(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        drawn(settings("label", "age"), draws(1), **asked)


def test_a_generator_without_conditions_says_so() -> None:
    with pytest.raises(UserError, match="trained without labels"):
        drawn(settings(), draws(1), {"rose": 1.0})
    with pytest.raises(UserError, match="no attribute 'age'; there are none"):
        drawn(settings(), draws(1), attributes={"age": 1.0})


UNLABELLED = [{"label": None, "attributes": {}} for _ in range(3)]


@pytest.mark.parametrize(
    ("on", "records", "sentence"),
    [
        ("label", UNLABELLED, "no label to be a condition; give data.labels=folders"),
        ("label", [*RECORDS, *UNLABELLED], "3 of 7 pictures have no label"),
        ("label", RECORDS[:1], "all pictures have the same label"),
        ("height", RECORDS, "no height to be a condition; known: age, petals, place"),
        ("agee", RECORDS, "no agee to be a condition; the nearest is 'age'"),
        ("place", RECORDS, "is text, and a condition needs numbers"),
        ("age", [*RECORDS, *UNLABELLED], "3 of 7 pictures have no age"),
    ],
)
def test_pictures_that_cannot_be_conditioned_on(on: str, records: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        settled(ConditionConfig(on=(on,)), records)
