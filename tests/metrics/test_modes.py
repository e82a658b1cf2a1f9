from __future__ import annotations

import math

import numpy as np
import pytest

from morelike.data.points import EDGES, POINTS, Points, points
from morelike.metrics.modes import (
    LEAST,
    high_quality_share,
    modes_found,
    total_variation,
    total_variation_floor,
)
from morelike.rng import rng

COUNT = 10_000
with_modes = pytest.mark.parametrize("toy", [points("ring8"), points("grid25")], ids=str)
every_toy = pytest.mark.parametrize("toy", POINTS.values(), ids=str)


def exact(toy: Points, count: int = COUNT) -> np.ndarray:
    return toy.sample(rng(1, "test"), count)


def noise() -> np.ndarray:
    return rng(2, "test").uniform(-1.25, 1.25, (COUNT, 2))


@with_modes
def test_exact_samples_find_all_modes(toy: Points) -> None:
    found = exact(toy)
    assert modes_found(found, toy.centres, toy.sigma) == toy.modes
    share = high_quality_share(found, toy.centres, toy.sigma)
    assert share == pytest.approx(1 - math.exp(-9 / 2), abs=0.004)


@pytest.mark.parametrize("name", ["quadratic", "swissroll", "moons"])
def test_exact_samples_lie_near_the_line(name: str) -> None:
    toy = points(name)
    share = high_quality_share(exact(toy), toy.centres, toy.sigma)
    assert share == pytest.approx(math.erf(3 / math.sqrt(2)), abs=0.004)


@with_modes
def test_a_collapse_finds_one_mode_of_perfect_quality(toy: Points) -> None:
    found = np.repeat(toy.centres[3:4], COUNT, axis=0)
    assert modes_found(found, toy.centres, toy.sigma) == 1
    assert high_quality_share(found, toy.centres, toy.sigma) == 1
    variation = total_variation(found, toy.masses(), EDGES)
    assert 1 - 1.05 / (toy.modes or 1) < variation < 1


@with_modes
def test_noise_is_of_no_quality(toy: Points) -> None:
    modes = toy.modes or 0
    area = modes * math.pi * (3 * toy.sigma) ** 2 / 2.5**2
    assert high_quality_share(noise(), toy.centres, toy.sigma) == pytest.approx(area, abs=0.005)
    assert modes_found(noise(), toy.centres, toy.sigma) == 0
    assert total_variation(noise(), toy.masses(), EDGES) > 0.94


def test_a_mode_needs_its_samples_and_they_must_be_close() -> None:
    toy = points("ring8")
    for count, expected in ((LEAST - 1, 0), (LEAST, 1)):
        found = np.repeat(toy.centres[:1], count, axis=0)
        assert modes_found(found, toy.centres, toy.sigma) == expected
    for distance, expected in ((2.99, 1), (3.01, 0)):
        away = np.repeat(toy.centres[:1] + np.array([distance * toy.sigma, 0]), COUNT, axis=0)
        assert modes_found(away, toy.centres, toy.sigma) == expected
        assert high_quality_share(away, toy.centres, toy.sigma) == expected


def test_total_variation_has_known_values() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    truth = np.array([[0.5, 0.25], [0.25, 0.0]])  # x first
    same = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 1.5], [1.5, 0.5]])
    assert total_variation(same, truth, edges) == 0
    assert total_variation(same + 1, truth, edges) == 1  # the free bin, and outside
    assert total_variation(same + 5, truth, edges) == 1
    assert total_variation(same[:3], truth, edges) == pytest.approx(0.25)
    assert total_variation(same[1:], truth, edges) == pytest.approx(1 / 6)
    assert total_variation(same[[2]], truth, edges) == 0.75
    left = np.array([[0.5, 0.5], [0.5, 1.5]])
    assert total_variation(left, np.array([[0.5, 0.5], [0, 0]]), edges) == 0


@every_toy
@pytest.mark.parametrize("count", [1000, COUNT])
def test_exact_samples_reach_the_floor(toy: Points, count: int) -> None:
    truth = toy.masses()
    floor = total_variation_floor(truth, count)
    found = [total_variation(toy.sample(rng(n, "test"), count), truth, EDGES) for n in range(20)]
    assert np.mean(found) == pytest.approx(floor, rel=0.1)
    assert floor < {1000: 0.3, COUNT: 0.1}[count]


@every_toy
def test_total_variation_grows_with_planted_damage(toy: Points) -> None:
    truth, found = toy.masses(), exact(toy)
    shifted = [
        total_variation(found + np.array([by, 0]), truth, EDGES) for by in (0, 0.02, 0.05, 0.1)
    ]
    assert shifted == sorted(shifted)
    assert shifted[-1] > 0.4
    half = found[found[:, 0] > 0]
    assert 0.3 < total_variation(half, truth, EDGES) < 0.65


def test_the_floor_of_nearly_empty_bins_is_twice_their_mass() -> None:
    """One sample in a bin of mass p or none: on average nearly p (1 - p) + (1 - p) p."""
    assert total_variation_floor(np.full((10, 10), 1e-6), 10) == pytest.approx(100 * 1e-6)
