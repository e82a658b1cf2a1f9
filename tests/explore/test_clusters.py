"""Kinds of training pictures: counted rightly, and no alarm by chance."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
import torch

from morelike.explore.clusters import clusters, fewer_by_chance, holm
from morelike.rng import rng


@pytest.mark.parametrize(
    ("count", "of", "others", "of_others"), [(0, 30, 5, 12), (3, 30, 5, 12), (7, 9, 1, 40)]
)
def test_fisher_is_counted(count: int, of: int, others: int, of_others: int) -> None:
    both, every = count + others, of + of_others
    ways = sum(comb(both, k) * comb(every - both, of - k) for k in range(count + 1))
    assert fewer_by_chance(count, of, others, of_others) == pytest.approx(ways / comb(every, of))


def test_fewer_by_chance_at_its_ends() -> None:
    assert fewer_by_chance(30, 30, 12, 12) == pytest.approx(1)
    assert fewer_by_chance(0, 2000, 0, 50) == pytest.approx(1)
    assert fewer_by_chance(0, 2000, 5, 257) == pytest.approx((257 / 2257) ** 5, rel=0.05)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def mixture(count: int, weights: list[float], name: str) -> torch.Tensor:
    """Rows of five kinds that lie far apart."""
    numbers = rng(0, "mixture", name)
    kind = numbers.choice(5, count, p=np.array(weights) / sum(weights))
    return torch.from_numpy(20 * np.eye(5)[kind] + numbers.standard_normal((count, 5)))


def test_a_kind_that_is_left_out_is_unreached() -> None:
    even = [1.0] * 5
    train = mixture(60, even, "train")
    found = clusters(train, mixture(800, [1, 1, 1, 1, 0], "left out"))
    assert sum(len(one.train) for one in found) == 60
    assert sum(len(one.samples) for one in found) == 800
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    sizes = [len(one.train) for one in found]
    assert sizes == sorted(sizes, reverse=True)
    states = {one.state for one in found}
    assert states == {"unreached", "reached"}
    for one in found:
        missing = bool((train[one.train.tolist()].argmax(dim=1) == 4).all())
        assert (one.state == "unreached") == missing
        assert one.seen == len(one.samples) / 800
        assert one.interval[0] <= one.seen <= one.interval[1]
    rare = clusters(train, mixture(800, [1, 1, 1, 1, 0.3], "rare"))
    assert {one.state for one in rare} == {"undercovered", "reached"}
    # Surely less, but not much less.
    less = clusters(mixture(4000, even, "many"), mixture(4000, [1, 1, 1, 1, 0.7], "somewhat rare"))
    assert min(one.chance for one in less) < 0.01
    assert {one.state for one in less} == {"reached"}


def test_members_come_in_the_order_of_how_typical_they_are() -> None:
    train = mixture(60, [1.0] * 5, "train")
    for one in clusters(train, train):
        rows = train[one.train.tolist()]
        apart = (rows - rows.mean(0)).norm(dim=1)
        assert torch.allclose(apart, apart.sort().values)
        assert one.train.tolist() == one.samples.tolist()


def test_a_perfect_generator_raises_no_alarm() -> None:
    """A binomial test against the training shares would, in four of five of these trials."""
    alarms = 0
    for trial in range(10):
        numbers = rng(trial, "a perfect generator")
        rows = torch.from_numpy(numbers.standard_normal((1060, 8)))
        alarms += any(one.state != "reached" for one in clusters(rows[:60], rows[60:]))
    assert alarms == 0
