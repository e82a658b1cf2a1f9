from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.metrics.resampling import Interval, bootstrap, checked
from morelike.rng import rng


def rows(count: int, size: int = 1, seed: int = 1) -> Tensor:
    return torch.from_numpy(rng(seed, "test").standard_normal((count, size)))


def mean(a: Tensor) -> float:
    return a.mean().item()


def difference(a: Tensor, b: Tensor) -> float:
    return (a.mean() - b.mean()).item()


def test_the_interval_is_that_of_the_draws() -> None:
    a = rows(12)
    drawn = [
        a.numpy()[rng(3, "bootstrap", number, 0).randint(0, 12, 12)].mean() for number in range(50)
    ]
    found = bootstrap(mean, a, seed=3, count=50, level=0.8)
    assert found.value == pytest.approx(a.mean().item())
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.1, 0.9]))


def test_each_set_is_drawn_by_itself_and_to_its_own_size() -> None:
    seen = []

    def note(a: Tensor, b: Tensor) -> float:
        seen.append((len(a), len(b), a[:5].equal(b[:5])))
        return 0.0

    shared = rows(20)
    assert bootstrap(note, shared, shared[:15], seed=0, count=4) == Interval(0, 0, 0)
    assert [each[:2] for each in seen] == [(20, 15)] * 5
    assert [each[2] for each in seen] == [False] * 4 + [True]


def test_the_same_seed_gives_the_same_interval() -> None:
    a, b = rows(30), rows(20, seed=2)
    one, same, other = (bootstrap(difference, a, b, seed=s, count=20) for s in (0, 0, 1))
    assert one == same
    assert one.value == other.value
    assert one.low != other.low


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    covered = []
    for seed in range(100):
        found = bootstrap(mean, rows(40, seed=seed) + 2, seed=seed, count=60)
        covered.append(found.low <= 2 <= found.high)
    assert 0.85 <= np.mean(covered) <= 0.99


def test_features_are_made_float64_and_what_is_none_is_refused() -> None:
    (found,) = checked(rows(3).float())
    assert found.dtype == torch.float64
    for sets in ((torch.zeros(3),), (rows(3), rows(3, 2)), (rows(3), rows(3)[None])):
        with pytest.raises(ValueError, match="one F are needed"):
            checked(*sets)
    with pytest.raises(ValueError, match="at least 4 rows"):
        checked(rows(3), least=4)
    for wrong in (torch.nan, torch.inf, -torch.inf):
        with pytest.raises(ValueError, match="not finite"):
            checked(rows(3), torch.tensor([[wrong], [0.0]]))


@pytest.mark.parametrize(("count", "level"), [(0, 0.5), (5, 0.0), (5, 1.0)])
def test_no_draws_and_no_share_are_refused(count: int, level: float) -> None:
    with pytest.raises(ValueError, match="one draw and a level"):
        bootstrap(mean, rows(3), seed=0, count=count, level=level)
    with pytest.raises(ValueError, match="at least one set"):
        bootstrap(mean, seed=0)
