from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.metrics.frechet import (
    FEWEST,
    frechet_distance,
    frechet_distance_extrapolated,
    is_biased,
)
from morelike.rng import rng


def rows(count: int, size: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(rng(seed, "test").standard_normal((count, size)) * scale + shift)


def reference(a: Tensor, b: Tensor) -> float:
    """By the eigenvalues of the product, which is not symmetric."""
    x, y = a.numpy(), b.numpy()
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(np.sqrt(np.linalg.eigvals(s @ t).astype(complex))).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * root


def test_one_feature_in_closed_form() -> None:
    a = torch.tensor([[-1.0], [1.0]]).double()  # mean 0, variance 2
    b = torch.tensor([[1.0], [3.0], [5.0]]).double()  # mean 3, variance 4
    assert frechet_distance(a, b) == pytest.approx(9 + (2**0.5 - 2) ** 2)


def test_one_direction_in_many_features_in_closed_form() -> None:
    """Fewer rows than features: sets along one axis, of standard deviations s and t."""
    axis = torch.tensor([[0.6, 0.0, 0.8, 0.0]]).double()
    a, b = (torch.tensor([[-w], [0.0], [w]]).double() @ axis for w in (1.0, 3.0))
    assert frechet_distance(a, b) == pytest.approx((3 - 1) ** 2)
    across = torch.tensor([[0.0, 1.0, 0.0, 0.0]]).double()
    c = torch.tensor([[-3.0], [0.0], [3.0]]).double() @ across
    assert frechet_distance(a, c) == pytest.approx(1 + 9)


@pytest.mark.parametrize(("n", "m"), [(50, 60), (60, 50), (8, 50), (50, 8), (8, 11), (11, 8)])
def test_every_route_agrees_with_the_product_s_eigenvalues(n: int, m: int) -> None:
    mixing = rows(12, 12, 3)
    a, b = rows(n, 12, 1) @ mixing, rows(m, 12, 2, 1.5, 0.3) @ mixing
    assert frechet_distance(a, b) == pytest.approx(reference(a, b), rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-9)


@pytest.mark.parametrize("count", [10, 50])
def test_equal_sets_are_no_distance_apart_and_a_shift_is_its_square(count: int) -> None:
    a = rows(count, 20, 1)
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + 0.5) == pytest.approx(20 * 0.25, rel=1e-6)
    # Scaled by 3, mean and standard deviations both move by twice what they are.
    size = a.mean(dim=0).square().sum() + a.var(dim=0).sum()
    assert frechet_distance(a, 3 * a) == pytest.approx(4 * size.item(), rel=1e-6)


def test_a_feature_without_variance_is_no_trouble() -> None:
    a, b = rows(50, 6, 1), rows(40, 6, 2, 2.0)
    a[:, 2], b[:, 2] = 1.0, 4.0
    rest = [0, 1, 3, 4, 5]
    assert frechet_distance(a, b) == pytest.approx(9 + frechet_distance(a[:, rest], b[:, rest]))


def test_directions_without_variance_do_not_add_up() -> None:
    """100 features of rank 3: the 97 roots of rounding would make some 1e-7 of the variances."""
    a = rows(150, 3, 1) @ rows(3, 100, 2)
    size = a.mean(dim=0).square().sum() + a.var(dim=0).sum()
    assert frechet_distance(a, 3 * a) == pytest.approx(4 * size.item(), rel=1e-9)


def test_a_collapse_and_a_blur_are_seen() -> None:
    a, b = rows(200, 10, 1), rows(200, 10, 2)
    honest = frechet_distance(a, b)
    assert frechet_distance(a, 0.8 * b) > 1.5 * honest
    assert frechet_distance(a, b[:5].repeat(40, 1)) > 5 * honest


def test_extrapolation_removes_the_bias() -> None:
    truth, plain, found = 0.2**2 * 8, [], []
    for seed in range(20):
        a, b = rows(160, 8, 2 * seed), rows(160, 8, 2 * seed + 1, shift=0.2)
        extrapolated = frechet_distance_extrapolated(a, b, rng(seed, "test"))
        assert extrapolated.points[0] == (1.0, pytest.approx(frechet_distance(a, b)))
        plain.append(extrapolated.points[0][1])
        found.append(extrapolated.value)
    assert np.mean(plain) - truth > 0.05
    assert abs(np.mean(found) - truth) < 0.3 * (np.mean(plain) - truth)


def test_the_fit_is_that_of_least_squares() -> None:
    fit = frechet_distance_extrapolated(rows(90, 5, 1), rows(70, 5, 2, 2.0), rng(0, "test"), 6)
    x, y = np.array(fit.points).T
    assert x == pytest.approx(np.linspace(1, 4, 6))
    coefficients, covariance = np.polyfit(x, y, 1, cov=True)
    assert fit.value == pytest.approx(coefficients[1])
    assert fit.standard_error == pytest.approx(covariance[1, 1] ** 0.5)


def test_the_same_seed_gives_the_same_fit() -> None:
    a, b = rows(40, 4, 1), rows(40, 4, 2)
    one, same, other = (frechet_distance_extrapolated(a, b, rng(s, "test")) for s in (0, 0, 1))
    assert one == same != other


def test_small_sets_are_called_biased() -> None:
    assert FEWEST == 2_000
    assert is_biased(1_999)
    assert is_biased(50_000, 1_999)
    assert not is_biased(2_000, 50_000)


def test_what_is_no_two_sets_is_refused() -> None:
    a = rows(10, 4, 1)
    for wrong, message in (
        (rows(10, 5, 1), "one F"),
        (a[:1], "at least 2 rows"),
        (a[:, 0], "one F"),
        (a.clone().index_fill_(0, torch.tensor(3), torch.nan), "not finite"),
        (a.clone().index_fill_(0, torch.tensor(3), torch.inf), "not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            frechet_distance(a, wrong)
    for points, thinnest in ((2, 0.5), (5, 0.1), (5, 1.0)):
        with pytest.raises(ValueError, match="at least 3 points"):
            frechet_distance_extrapolated(a, a, rng(0, "test"), points, thinnest)


@pytest.mark.parametrize("count", [40, 300])
def test_agrees_with_torch_fidelity(count: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("torch_fidelity.metric_fid")
    a, b = rows(count, 64, 1).relu(), rows(count + 20, 64, 2, 1.3).relu()
    statistics = [theirs.fid_features_to_statistics(x) for x in (a, b)]
    expected = theirs.fid_statistics_to_metric(*statistics, verbose=False)
    expected = expected[theirs.KEY_METRIC_FID]
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-3)
