from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.metrics import distances as module
from morelike.metrics.distances import (
    SPARE,
    Search,
    distance_tiles,
    located,
    lower_bounds,
    nearest,
    nearest_others,
    slack,
)
from morelike.rng import rng


def rows(count: int, size: int = 6, seed: int = 1) -> Tensor:
    return torch.from_numpy(rng(seed, "test").standard_normal((count, size)))


def brute(a: Tensor, b: Tensor) -> np.ndarray:
    return np.sqrt(((a.numpy()[:, None] - b.numpy()[None]) ** 2).sum(-1))


@pytest.fixture(params=[16, 1024])
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE", request.param)


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize("k", [1, 4])
def test_neighbours_among_many_more_than_are_kept(k: int) -> None:
    a, b = rows(70, seed=1), rows(90, seed=2)
    expected = brute(a, b)
    found = nearest(a, b, k)
    assert found.which.tolist() == expected.argsort(1)[:, :k].tolist()
    assert found.distance.numpy() == pytest.approx(np.sort(expected, 1)[:, :k], rel=1e-12)
    expected = brute(b, b) + np.diag([np.inf] * 90)
    found = nearest_others(b, k)
    assert found.which.tolist() == expected.argsort(1)[:, :k].tolist()
    assert found.distance.numpy() == pytest.approx(np.sort(expected, 1)[:, :k], rel=1e-12)


@pytest.mark.usefixtures("tile")
def test_what_float32_cannot_tell_apart_is_told_apart() -> None:
    """Sixty pictures around a sample, each farther than the last by a billionth."""
    directions = rows(30, 20)
    directions = torch.cat([directions, -directions]) / directions.norm(dim=1).repeat(2)[:, None]
    order = rng(0, "test").permutation(60).astype(float)
    b = directions * (1 + 1e-9 * torch.from_numpy(order)[:, None])
    found = nearest(torch.zeros(1, 20).double(), b, 5)
    assert order[found.which[0].numpy()].tolist() == [0, 1, 2, 3, 4]
    # The same about every picture of a set: 40 of them, all nearly at one distance.
    simplex = torch.eye(40).double() * (1 + 1e-9 * torch.from_numpy(order[:40])[:, None])
    expected = brute(simplex, simplex) + np.diag([np.inf] * 40)
    assert nearest_others(simplex, 2).which.tolist() == expected.argsort(1)[:, :2].tolist()


def test_float64_searches_again_only_what_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[int] = []
    exact = module.squares

    def counted(*arguments: object) -> Tensor:
        found = exact(*arguments)  # type: ignore[arg-type]
        again.append(len(found))
        return found

    monkeypatch.setattr(module, "squares", counted)
    nearest(rows(200, 64, 1), rows(300, 64, 2), 3)
    assert sum(again) == 0
    nearest_others(torch.eye(50).double(), 1)
    assert sum(again) == 50


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("size", [2, 700])
def test_bounds_are_below_the_distances_and_not_far_below(scale: float, size: int) -> None:
    a, b = scale * (rows(40, size, 1).abs() + 3), scale * rows(30, size, 2).abs()
    x, y, unit = located(a, b)
    exact = brute(a / scale, b / scale) ** 2 * (scale**2 / unit)
    sums = (x.norms[:, None] + y.norms).numpy()
    seen = np.zeros(exact.shape, int)
    for here, there, bounds in lower_bounds(x, y):
        assert (bounds.double().numpy() <= exact[here, there]).all()
        assert (bounds.double().numpy() >= (exact - 2 * slack(size) * sums)[here, there]).all()
        seen[here, there] += 1
    assert (seen == 1).all()
    assert 0.1 < max(x.norms.max().item(), y.norms.max().item()) <= 1


@pytest.mark.usefixtures("tile")
def test_tiles_are_all_distances_once() -> None:
    # As far from 0 that sums of squares there would have no digits left.
    a, b = rows(37, seed=1) + 1e7, rows(21, seed=2) + 1e7
    expected, seen = brute(a, b) ** 2, np.full((37, 21), np.nan)
    for here, there, squared in distance_tiles(a, b):
        seen[here, there] = squared.numpy()
    assert seen == pytest.approx(expected)
    own, seen = brute(a, a) ** 2 + np.diag([np.inf] * 37), np.full((37, 37), np.nan)
    for here, there, squared in distance_tiles(a):
        seen[here, there] = squared.numpy()
    upper = ~np.isnan(seen)
    assert upper[np.triu_indices(37)].all()
    assert seen[upper] == pytest.approx(own[upper])


def test_a_search_keeps_some_more_than_it_is_asked_for() -> None:
    """Its bounds have the order wrong, as far as the spare ones reach."""
    true = torch.arange(20.0).double()[None]
    bounds = true.float().clone()
    bounds[0, : SPARE + 1] = bounds[0, : SPARE + 1].flip(0) - SPARE
    search = Search(1, 1)
    search.add(slice(0, 1), 0, bounds[:, :9])
    search.add(slice(0, 1), 9, bounds[:, 9:])
    values, which = search.settled(
        lambda rows, which: true[rows[:, None], which], lambda rows: true[rows]
    )
    assert (values.tolist(), which.tolist()) == ([[0.0]], [[0]])


def test_the_last_that_is_asked_for_decides_whether_there_is_doubt() -> None:
    """The first is sure, and the next two are not among those that were kept."""
    true = torch.arange(20.0).double()[None]
    bounds = true.float().clone()
    bounds[0, 1:13] = 0.9 - 0.01 * torch.arange(1, 13)
    search = Search(1, 3)
    search.add(slice(0, 1), 0, bounds)
    values, which = search.settled(
        lambda rows, which: true[rows[:, None], which], lambda rows: true[rows]
    )
    assert (values.tolist(), which.tolist()) == ([[0.0, 1.0, 2.0]], [[0, 1, 2]])


def test_a_set_smaller_than_what_is_kept() -> None:
    a, b = rows(3, seed=1), rows(5, seed=2)
    assert nearest(a, b, 5).which.tolist() == brute(a, b).argsort(1).tolist()
    own = brute(b, b) + np.diag([np.inf] * 5)
    assert nearest_others(b, 4).which.tolist() == own.argsort(1)[:, :4].tolist()
    for wrong in (lambda: nearest_others(b, 5), lambda: nearest(a, b, 6), lambda: nearest(a, b, 0)):
        with pytest.raises(ValueError, match="nearest neighbours were asked for"):
            wrong()


def test_what_differs_by_float32_s_own_noise_is_equal() -> None:
    a = rows(50)
    assert nearest(a + 1e-8, a).distance.max() == 0
    assert nearest(a + 1e-4, a).distance.min() > 1e-4
    (_, _, squared), *_ = distance_tiles(a + 1e-8, a)
    assert squared.diagonal().max() == 0
