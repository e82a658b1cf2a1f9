"""The map of a space: does it find what makes pictures differ, and is it honest about chance?"""

from __future__ import annotations

import numpy as np
import pytest

from morelike.explore.projection import STRENGTH, explained, projection, told_from_place
from morelike.rng import rng


def planted(count: int = 600, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 12), of which only dimensions 3 and 7 move the features (count, 40)."""
    numbers = rng(0, "planted projection")
    points = numbers.standard_normal((count, 12))
    loadings = numbers.standard_normal((2, 40)) * [[3], [2]]
    return points, points[:, [3, 7]] @ loadings + noise * numbers.standard_normal((count, 40))


def test_the_map_is_of_the_dimensions_that_move_pictures() -> None:
    points, features = planted()
    places = projection(points, features).places(points)
    # The two planted dimensions can be told from the map, all others cannot.
    told = [
        np.linalg.lstsq(places, points[:, d] - points[:, d].mean(), rcond=None) for d in range(12)
    ]
    shares = np.array(
        [
            1 - rest[0] / np.square(points[:, d] - points[:, d].mean()).sum()
            for d, (_, rest, _, _) in enumerate(told)
        ]
    )
    assert (shares[[3, 7]] > 0.98).all()
    assert np.delete(shares, [3, 7]).max() < 0.03
    assert np.allclose(np.cov(places.T, bias=True), np.eye(2), atol=1e-9)


def test_it_is_reduced_rank_regression() -> None:
    """Written in another way: the fitted values themselves are taken apart (Izenman 1975)."""
    points, features = planted(80, 3.0)
    x = (points - points.mean(0)) / points.std(0)
    y = features - features.mean(0)
    fitted = x @ np.linalg.inv(x.T @ x + STRENGTH * 80 * np.eye(12)) @ x.T @ y
    left = np.linalg.svd(fitted)[0][:, :2] * 80**0.5
    places = projection(points, features).places(points)
    signs = np.sign((left * places).sum(0))
    assert np.allclose(left * signs, places, atol=1e-8)


def test_what_never_changes_has_no_part() -> None:
    points, features = planted(100)
    more = np.concatenate([points, np.full((100, 1), 5.0)], axis=1)
    assert np.allclose(
        projection(points, features).places(points), projection(more, features).places(more)
    )
    one = projection(points, features[:, :1]).places(points)
    assert one[:, 1].tolist() == [0.0] * 100
    assert one[:, 0].std() == pytest.approx(1)


def test_shares_are_those_of_unseen_pictures() -> None:
    points, features = planted()
    found = explained(points, features)
    signal = np.square(features - features.mean(0)).sum() / features.size
    assert found.map == pytest.approx(1 - 0.25 / signal, abs=0.02)
    assert found.point == pytest.approx(found.map, abs=0.02)
    assert found.pictures >= found.map
    # A whole point tells more than two numbers of it where all dimensions count.
    numbers = rng(0, "all dimensions count")
    even = points @ numbers.standard_normal((12, 40))
    told = explained(points, even)
    assert told.point > 0.98 > 0.6 > told.map
    # Of noise nothing can be told, though a fit to the same pictures would tell something.
    noise = numbers.standard_normal((600, 40))
    told = explained(points, noise)
    assert -0.1 < told.map < 0.0
    assert -0.1 < told.point < 0.0
    told = explained(numbers.standard_normal((120, 60)), noise[:120])
    assert max(told.map, told.point) < 0
    assert explained(points, np.ones((600, 3))) == (0, 0, 0)


def test_values_that_depend_on_the_place_are_told_and_others_are_not() -> None:
    points, features = planted()
    numbers = rng(0, "values that depend on the place")
    told = told_from_place(points, features, points[:, 3] ** 2 + 0.5 * numbers.standard_normal(600))
    assert told.r2 > 0.5 > 0.1 > told.chance
    for values in (points[:, 0], numbers.standard_normal(600)):
        told = told_from_place(points, features, values)
        assert told.r2 < told.chance + 0.02
        assert told.chance < 0.02  # no value is told from itself
    assert told_from_place(points, features, np.ones(600)) == (0, 0)


def test_a_map_fitted_to_few_pictures_does_not_know_their_values() -> None:
    """A map that was fitted to the same features would seem to tell them."""
    numbers = rng(0, "a map fitted to few pictures")
    beyond = 0
    for _ in range(10):
        points, features = numbers.standard_normal((120, 60)), numbers.standard_normal((120, 4))
        told = told_from_place(points, features, features[:, 0])
        beyond += told.r2 > max(told.chance, 0)
    assert beyond <= 2
