from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.metrics import distances as module
from morelike.metrics.frechet import frechet_distance
from morelike.metrics.memorization import (
    authentic,
    authenticity,
    copying,
    mann_whitney_z,
    memorization_distance,
    mifid,
    nearest,
    nearest_others,
)
from morelike.rng import rng


def rows(count: int, size: int = 6, seed: int = 1) -> Tensor:
    return torch.from_numpy(rng(seed, "test").standard_normal((count, size)))


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


@pytest.fixture(params=[4, 1024])
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE", request.param)


@pytest.mark.usefixtures("tile")
def test_neighbours_whatever_the_tiles() -> None:
    a, b = rows(11, seed=1), rows(9, seed=2)
    x, y = a.numpy(), b.numpy()
    distances = np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    found = nearest(a, b, 6)
    assert found.which.numpy().tolist() == distances.argsort(1)[:, :6].tolist()
    assert found.distance.numpy() == pytest.approx(np.sort(distances, 1)[:, :6])
    own = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1)) + np.diag([np.inf] * 11)
    found = nearest_others(a, 10)
    assert found.which.numpy().tolist() == own.argsort(1)[:, :10].tolist()
    assert found.distance.numpy() == pytest.approx(np.sort(own, 1)[:, :10])


def test_copies_are_at_distance_0_even_far_from_the_origin() -> None:
    a = rows(50, 40) + 1e5
    found = nearest(a.flip(0), a)
    assert found.distance.max() == 0
    assert found.which[:, 0].tolist() == list(range(49, -1, -1))
    assert nearest_others(torch.cat([a, a])).distance.max() == 0
    assert nearest(a + 0.01, a).distance.min() > 0.06


def test_authentic_by_hand() -> None:
    train = column(0, 1, 5)  # nearest others at 1, 1 and 4
    fake = column(0.4, -1.5, 8.5, 9.5, 5)
    assert authentic(fake, train).tolist() == [False, True, False, True, False]
    assert authentic(column(-1, 9), train).tolist() == [False, False]  # just as far is not farther
    assert authenticity(fake, train) == 0.4
    known = nearest(fake, train, 3)
    assert authentic(fake, train, known).tolist() == [False, True, False, True, False]
    known.distance[:] = 100
    assert authentic(fake, train, known).all()


def test_authenticity_of_copies_and_of_honest_samples() -> None:
    train, honest = rows(300, seed=1), rows(300, seed=2)
    assert 0.35 < authenticity(honest, train) < 0.65
    assert authenticity(train.flip(0), train) == 0
    assert authenticity(train + 0.05 * honest, train) < 0.1


def brute_z(x: list[float], y: list[float]) -> float:
    u = sum((a > b) + (a == b) / 2 for a in x for b in y)
    n, m, both = len(x), len(y), [*x, *y]
    s = n + m
    tied = sum(both.count(v) ** 3 - both.count(v) for v in set(both)) / (s * (s - 1))
    return (u - n * m / 2) / (n * m / 12 * (s + 1 - tied)) ** 0.5


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1.0, 2.0, 3.0], [4.0, 5.0]),
        ([4.0, 5.0], [1.0, 2.0, 3.0]),
        ([1.0, 1.0, 2.0, 7.0], [1.0, 2.0, 2.0]),
        ([3.0, 0.0, 0.0], [0.0, 0.0, 1.0, 3.0, 3.0]),
    ],
)
def test_ranks_by_counting_pairs(x: list[float], y: list[float]) -> None:
    assert mann_whitney_z(torch.tensor(x), torch.tensor(y)) == pytest.approx(brute_z(x, y))


def test_ranks_without_any_difference() -> None:
    assert mann_whitney_z(torch.ones(5), torch.ones(3)) == 0
    for wrong in (torch.ones(0), torch.tensor([torch.nan])):
        with pytest.raises(ValueError, match="numbers are needed"):
            mann_whitney_z(torch.ones(5), wrong)


def test_copying_by_hand() -> None:
    """Nearest to the four pictures are 3, 1, 0 and 0 samples; exchanged, training has 2 +- sd."""
    train, held_out, fake = column(0, 10), column(20, 30), column(0.5, 1, -1, 11)
    found = copying(fake, train, held_out, rng(0, "test"))
    assert found.train_share == 1
    sums = [x + y for i, x in enumerate([3, 1, 0, 0]) for y in [3, 1, 0, 0][i + 1 :]]
    assert found.exchange_z == pytest.approx((4 - np.mean(sums)) / np.std(sums))
    distances = [[0.5, 1.0, 1.0, 1.0], [19.5, 19.0, 21.0, 9.0]]
    assert found.rank_z == pytest.approx(brute_z(*distances))


def test_copying_sees_copies_and_is_content_with_honest_samples_and_with_smears() -> None:
    z = []
    for seed in range(30):
        train, held_out = rows(120, seed=3 * seed), rows(40, seed=3 * seed + 1)
        honest = rows(200, seed=3 * seed + 2)
        z.append(copying(honest, train, held_out, rng(seed, "test")).exchange_z)
        z.append(copying(0.3 * honest, train, held_out, rng(seed, "test")).exchange_z)
    assert abs(np.mean(z)) < 0.4
    assert 0.75 < np.std(z) < 1.25
    # Copies are seen best where no training picture is left out of the comparison.
    train, held_out = rows(120, seed=1), rows(120, seed=2)
    copies = train[torch.from_numpy(rng(0, "test").randint(0, 120, 200))] + 0.05 * rows(200, seed=3)
    found = copying(copies, train, held_out, rng(0, "test"))
    assert found.exchange_z > 3
    assert found.train_share > 0.95
    assert found.rank_z < -2


def test_a_tie_belongs_to_both_sides() -> None:
    found = copying(column(1, 1), column(0, 9), column(2, 9), rng(0, "test"))
    assert found.train_share == 0.5
    assert (found.rank_z, found.exchange_z) == (0, 0)


def test_memorization_distance_by_hand() -> None:
    train = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).double()
    fake = torch.tensor([[0.0, 2.0], [3.0, 0.0], [-5.0, -5.0]]).double()
    expected = ((1 - 0.5**0.5) + 0 + 0) / 3  # the sign does not count
    assert memorization_distance(fake, train) == pytest.approx(expected)


@pytest.mark.usefixtures("tile")
def test_memorization_distance_whatever_the_tiles() -> None:
    a, b = rows(11, seed=1), rows(9, seed=2)
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a.numpy(), b.numpy()))
    assert memorization_distance(a, b) == pytest.approx((1 - np.abs(x @ y.T)).min(1).mean())


@pytest.mark.parametrize("seed", range(5))
def test_cosines_that_float32_cannot_tell_apart(seed: int) -> None:
    """Fifty training pictures at nearly one angle to the sample, the nearest by a hair."""
    train = torch.cat([torch.ones(50, 1).double(), torch.eye(50).double()], dim=1)
    train[:, 0] += 1e-11 * torch.from_numpy(rng(seed, "test").permutation(50)).double()
    train[::2] *= -7
    fake = torch.tensor([[3.0] + [0.0] * 50]).double()
    cosines = (train[:, 0] / train.norm(dim=1)).abs()
    expected = (1 - cosines.max()).item()
    assert memorization_distance(fake, train) == pytest.approx(expected, rel=1e-12)


def test_the_distance_of_copies_is_not_rounding() -> None:
    train = rows(60, 300).abs()
    assert memorization_distance(3 * train.flip(0), train) < 1e-14
    near = train + 1e-4 * rows(60, 300, 2)
    x, y = (v.numpy() / np.linalg.norm(v.numpy(), axis=1, keepdims=True) for v in (near, train))
    expected = (1 - np.abs(x @ y.T)).min(1).mean()
    assert expected < 1e-7
    assert memorization_distance(near, train) == pytest.approx(expected, rel=1e-6)


def test_a_known_frechet_distance_is_not_computed_again() -> None:
    train, fake = rows(50, seed=1), rows(50, seed=2)
    expected = 3.0 / memorization_distance(fake, train)
    assert mifid(fake, train, 1.0, frechet=3.0) == pytest.approx(expected)


def test_mifid_punishes_below_its_threshold_only() -> None:
    train, fake = rows(50, seed=1), rows(50, seed=2)
    distance, frechet = memorization_distance(fake, train), frechet_distance(fake, train)
    assert mifid(fake, train, threshold=distance * 0.99) == pytest.approx(frechet)
    assert mifid(fake, train, threshold=distance * 1.01) == pytest.approx(frechet / distance)
    copies = 2 * train
    assert np.isfinite(mifid(copies, train))
    assert mifid(copies, train) > 1e6 * frechet_distance(copies, train)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: nearest(a, a[:3], 4),
        lambda a: nearest_others(a, 5),
        lambda a: nearest_others(a, 0),
        lambda a: nearest(a, a[:, :3]),
        lambda a: nearest(a, a * torch.inf),
        lambda a: authentic(a, a[:1]),
        lambda a: copying(a, a, a[:1], rng(0, "test")),
        lambda a: memorization_distance(a, 0 * a),
    ],
)
def test_what_cannot_be_compared_is_refused(call: Callable[[Tensor], object]) -> None:
    with pytest.raises(ValueError, match=r"asked for|needed|not finite|no direction"):
        call(rows(5))
