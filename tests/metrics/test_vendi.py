from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.metrics import distances as module
from morelike.metrics.vendi import pair_distances, vendi_score
from morelike.rng import rng


def rows(count: int, size: int = 6, seed: int = 1) -> Tensor:
    return torch.from_numpy(rng(seed, "test").standard_normal((count, size)))


@pytest.mark.parametrize(("modes", "each"), [(1, 7), (4, 1), (4, 5), (9, 3)])
def test_directions_at_right_angles_are_counted(modes: int, each: int) -> None:
    features = 3 * torch.eye(10, dtype=torch.float64)[:modes].repeat(each, 1)
    assert vendi_score(features) == pytest.approx(modes)


def test_two_rows_in_closed_form() -> None:
    """Cosine c: the eigenvalues of K / 2 are (1 + c) / 2 and (1 - c) / 2."""
    c = 0.6
    features = torch.tensor([[2.0, 0.0, 0.0], [0.6, 0.8, 0.0]]).double()
    p, q = (1 + c) / 2, (1 - c) / 2
    assert vendi_score(features) == pytest.approx(math.exp(-p * math.log(p) - q * math.log(q)))


@pytest.mark.parametrize("count", [4, 20])
def test_both_sides_give_the_kernel_s_entropy(count: int) -> None:
    features = rows(count, 8)
    x = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    values = np.linalg.eigvalsh(x @ x.T / count)
    values = values[values > 1e-12]
    assert vendi_score(features) == pytest.approx(np.exp(-(values * np.log(values)).sum()))


def test_a_collapse_is_less_varied() -> None:
    features = rows(100, 20)
    assert vendi_score(features[:5].repeat(20, 1)) < 5.01 < 15 < vendi_score(features)


@pytest.mark.parametrize("tile", [4, 1024])
def test_pairs_whatever_the_tiles(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE", tile)
    features = rows(11)
    x = features.numpy()
    distances = [float(np.linalg.norm(x[i] - x[j])) for i in range(11) for j in range(i)]
    threshold = float(np.quantile(distances, 0.3))
    found = pair_distances(features, threshold)
    assert found.mean == pytest.approx(np.mean(distances))
    assert found.near_share == pytest.approx(np.mean(np.array(distances) <= threshold))


def test_pairs_by_hand() -> None:
    features = torch.tensor([[0.0], [0.0], [3.0], [4.0]]).double()
    assert pair_distances(features) == (pytest.approx((0 + 3 + 3 + 4 + 4 + 1) / 6), 1 / 6)
    assert pair_distances(features, 1.0).near_share == 2 / 6


def test_what_has_no_pairs_or_no_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 rows"):
        pair_distances(rows(1))
    with pytest.raises(ValueError, match="no direction"):
        vendi_score(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="not finite"):
        vendi_score(rows(3) * torch.nan)
