from __future__ import annotations

import math

import numpy as np
import pytest

from morelike.data.points import EDGES, LIMIT, POINTS, Points, points
from morelike.errors import UserError
from morelike.rng import rng

every_toy = pytest.mark.parametrize("toy", POINTS.values(), ids=str)
MANY = 100_000


def drawn(toy: Points, count: int = MANY, seed: int = 0) -> np.ndarray:
    return toy.sample(rng(seed, "test"), count)


def test_there_are_five() -> None:
    assert list(POINTS) == ["quadratic", "ring8", "grid25", "swissroll", "moons"]


def test_an_unknown_toy_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'ring9'.*the nearest is 'ring8'"):
        points("ring9")


@every_toy
def test_the_same_place_gives_the_same_points(toy: Points) -> None:
    assert np.array_equal(drawn(toy, 50), drawn(toy, 50))
    assert not np.isin(drawn(toy, 50), drawn(toy, 50, seed=1)).any()
    assert drawn(toy, 7).shape == (7, 2)


@every_toy
def test_they_fill_the_plane_drawn_and_stay_inside(toy: Points) -> None:
    found = drawn(toy)
    assert np.abs(found).max() < LIMIT
    assert np.abs(found).max() > 0.9


@every_toy
def test_the_noise_is_as_wide_as_said(toy: Points) -> None:
    where = rng(0, "test").random_sample(MANY)  # the first that `sample` draws
    noise = drawn(toy) - toy.line(where)
    assert noise.std(axis=0) == pytest.approx([toy.sigma] * 2, rel=0.02)
    assert np.abs(noise.mean(axis=0)).max() < 5 * toy.sigma / math.sqrt(MANY)


@every_toy
def test_the_masses_are_those_of_very_many_samples(toy: Points) -> None:
    masses = toy.masses()
    assert masses.sum() == pytest.approx(1, abs=1e-6)
    found = drawn(toy)
    counts, _, _ = np.histogram2d(*found.T, bins=(EDGES, EDGES))
    # A count is about Poisson; of thousands of bins, chance takes one this far once in 10^5 trials.
    spread = np.sqrt(np.maximum(masses * MANY, 1))
    assert (np.abs(counts - masses * MANY) / spread).max() < 7


def test_a_mass_is_the_integral_of_the_gaussian() -> None:
    one = Points("one", lambda u: np.array([[0.2, 0.4]] * len(u)), 0.1, 1)
    edges = np.array([0.1, 0.3, 0.5])
    within_sigma, within_three = (math.erf(n / math.sqrt(2)) for n in (1, 3))
    beyond = (within_three - within_sigma) / 2
    expected = np.outer(
        [within_sigma, beyond],
        [0.5 * math.erf(3 / math.sqrt(2)) - 0.5 * math.erf(1 / math.sqrt(2)), within_sigma],
    )
    assert one.masses(edges) == pytest.approx(expected, abs=1e-12)


def test_modes_are_where_the_papers_have_them() -> None:
    ring, grid = points("ring8"), points("grid25")
    assert np.linalg.norm(ring.centres, axis=1) == pytest.approx(np.ones(8))
    assert ring.sigma / np.linalg.norm(ring.centres[0]) == 0.02 / 2
    distances = np.linalg.norm(ring.centres - np.roll(ring.centres, 1, axis=0), axis=1)
    assert distances == pytest.approx(np.full(8, 2 * math.sin(math.pi / 8)))
    assert len(np.unique(grid.centres, axis=0)) == grid.modes == 25
    assert np.unique(grid.centres).tolist() == [-1, -0.5, 0, 0.5, 1]
    assert grid.sigma / 0.5 == 0.05 / 2  # of the distance between two


@pytest.mark.parametrize("name", ["ring8", "grid25"])
def test_modes_are_equally_likely(name: str) -> None:
    toy = points(name)
    found = drawn(toy)
    which = ((found[:, None] - toy.centres) ** 2).sum(axis=2).argmin(axis=1)
    shares = np.bincount(which) / MANY
    assert shares == pytest.approx(np.full(toy.modes or 0, 1 / (toy.modes or 1)), rel=0.08)


def test_lines_have_their_shapes() -> None:
    x, y = points("quadratic").centres.T
    assert y == pytest.approx(x**2)
    assert x == pytest.approx(np.linspace(x[0], -x[0], len(x)))  # uniform
    radius = np.linalg.norm(points("swissroll").centres, axis=1)
    assert np.all(np.diff(radius) > 0)
    assert radius[[0, -1]] == pytest.approx([1 / 3, 1], abs=0.01)
    moons = points("moons").centres
    half = len(moons) // 2
    for moon, centre in ((moons[:half], (-1 / 3, -1 / 6)), (moons[half:], (1 / 3, 1 / 6))):
        assert np.linalg.norm(moon - centre, axis=1) == pytest.approx(np.full(half, 2 / 3))
    assert moons[:half].mean(axis=0)[1] > 0 > moons[half:].mean(axis=0)[1]


@pytest.mark.parametrize("name", ["quadratic", "swissroll", "moons"])
def test_places_on_a_line_are_closer_than_its_noise(name: str) -> None:
    toy = points(name)
    gaps = np.linalg.norm(np.diff(toy.centres, axis=0), axis=1)
    assert np.sort(gaps)[-2] < toy.sigma  # the largest leads from one moon to the other
