from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.metrics import distances as module
from morelike.metrics.manifold import manifold
from morelike.rng import rng


def rows(count: int, size: int = 6, seed: int = 1) -> Tensor:
    return torch.from_numpy(rng(seed, "test").standard_normal((count, size)))


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_by_hand() -> None:
    real = column(0, 1, 3, 10)  # radii at k = 1: 1, 1, 2, 7; the median, 1.5, trusts the first two
    fake = column(0.5, 5, 14, 40)  # radii 4.5, 4.5, 9, 26
    found = manifold(real, fake, k=1)
    assert found.balls.tolist() == [2, 2, 1, 0]
    assert found.inside.tolist() == [True, True, True, False]
    assert (found.precision, found.density) == (0.75, 1.25)
    assert found.covered.tolist() == [True, True, True, True]
    assert found.recalled.tolist() == [True, True, True, True]
    assert found.rarity.tolist() == [1, 2, 7, math.inf]
    assert found.realism.numpy() == pytest.approx([2, 1 / 4, 1 / 13, 1 / 39])


def brute(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, Any]:
    def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))

    real_radius = np.sort(distances(real, real), 1)[:, k]  # column 0 is the row itself
    fake_radius = np.sort(distances(fake, fake), 1)[:, k]
    between = distances(real, fake)
    held = between <= real_radius[:, None]
    trusted = real_radius <= np.median(real_radius)
    return {
        "balls": held.sum(0).tolist(),
        "recalled": (between <= fake_radius).any(1).tolist(),
        "covered": held.any(1).tolist(),
        "realism": (real_radius[:, None] / between)[trusted].max(0).tolist(),
        "rarity": np.where(held, real_radius[:, None], np.inf).min(0).tolist(),
    }


@pytest.mark.parametrize("tile", [4, 1024])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_against_all_pairs_whatever_the_tiles(
    k: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TILE", tile)
    real, fake = rows(13, seed=1), 1.2 * rows(9, seed=2)
    found, expected = manifold(real, fake, k), brute(real.numpy(), fake.numpy(), k)
    for name, values in expected.items():
        assert getattr(found, name).tolist() == pytest.approx(values), name


@pytest.mark.parametrize("tile", [16, 1024])
@pytest.mark.parametrize("surface", [0, 250])
def test_what_lies_just_inside_and_just_outside(
    surface: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples a billionth from a ball's surface, where float32 cannot tell: few, then most."""
    monkeypatch.setattr(module, "TILE", tile)
    real = rows(150, 12)
    radius = np.sort(np.linalg.norm(real.numpy()[:, None] - real.numpy(), axis=-1), 1)[:, 2]
    away = rows(30 + surface, 12, 2)
    away *= torch.from_numpy(radius)[torch.arange(len(away)) % 150, None] / away.norm(
        dim=1, keepdim=True
    )
    sides = 1 + 1e-9 * torch.from_numpy(rng(0, "test").choice([-1.0, 1.0], (len(away), 1)))
    fake = real[torch.arange(len(away)) % 150] + sides * away
    found, expected = manifold(real, fake, 2), brute(real.numpy(), fake.numpy(), 2)
    for name, values in expected.items():
        assert getattr(found, name).tolist() == pytest.approx(values), name


def test_realism_where_every_trusted_ball_is_as_good() -> None:
    """All ratios are equal to a billionth, so that float64 has to search again."""
    real = 2**0.5 * torch.eye(30).double()
    real[20:] *= 3
    fake = 1e-9 * rows(5, 30)
    found, expected = manifold(real, fake, 2), brute(real.numpy(), fake.numpy(), 2)
    for name, values in expected.items():
        assert getattr(found, name).tolist() == pytest.approx(values, rel=1e-12), name


def test_equal_distributions_are_covered_as_the_lemma_says() -> None:
    real, fake = rows(600, seed=1), rows(600, seed=2)
    found = manifold(real, fake)
    n = m = 600
    expected = 1 - math.prod((n - i) / (m + n - i) for i in range(1, 6))
    assert found.coverage == pytest.approx(expected, abs=0.03)
    assert found.density == pytest.approx(1, abs=0.15)


def test_a_set_compared_with_itself() -> None:
    real = rows(40)
    found = manifold(real, real.flip(0), k=3)
    assert found.precision == found.recall == found.coverage == 1
    assert found.realism.isinf().sum() >= 20  # copies of those whose ball is not left out
    # Each lies in its own ball and in those it is the surface of: k others' rows per ball, and one.
    assert found.density == pytest.approx(4 / 3)


def test_repeated_pictures_have_balls_of_radius_0_that_only_copies_reach() -> None:
    real = column(0, 0, 7, 7)
    found = manifold(real, column(0, 0.1), k=1)
    assert found.inside.tolist() == [True, False]
    assert found.realism.tolist() == [1, 0]
    assert found.rarity.tolist() == [0, math.inf]


@pytest.mark.parametrize("tile", [4, 1024])
def test_repeated_pictures_do_not_shift_the_others(
    tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TILE", tile)
    real = torch.cat([rows(12), rows(3), 50 + rows(4, seed=3)])  # the first three are there twice
    fake = 1.2 * rows(9, seed=2)
    found = manifold(real, fake, 1)
    with np.errstate(divide="ignore"):
        expected = brute(real.numpy(), fake.numpy(), 1)
    for name, values in expected.items():
        assert getattr(found, name).tolist() == pytest.approx(values), name


def test_a_collapse_has_precision_and_neither_recall_nor_coverage() -> None:
    real, fake = rows(300, seed=1), rows(300, seed=2)
    collapsed = manifold(real, real[:1] + 0.01 * fake)
    assert collapsed.precision == 1
    assert collapsed.recall < 0.05
    assert collapsed.coverage < 0.3


def test_lonely_pictures_deceive_precision_and_not_realism() -> None:
    """A few real outliers, whose balls hold everything; the samples are a smear far off."""
    generator = rng(0, "test")
    outliers = torch.from_numpy(generator.standard_normal((12, 6))) * 15
    real = torch.cat([rows(300), outliers])
    smear = torch.from_numpy(generator.standard_normal((300, 6))) * 5
    found = manifold(real, smear)
    assert found.precision > 0.9
    assert (found.realism >= 1).double().mean() < 0.1
    assert found.coverage < 0.7


def test_too_large_a_k_and_sets_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="5 nearest neighbours were asked for, among 4"):
        manifold(rows(5), rows(9))
    with pytest.raises(ValueError, match="5 nearest neighbours were asked for, among 4"):
        manifold(rows(9), rows(5))
    with pytest.raises(ValueError, match="one F"):
        manifold(rows(9), rows(9, 5))


def test_agrees_with_prdc() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("prdc")
    real, fake = rows(200, 32, 1).relu(), (1.1 * rows(150, 32, 2)).relu()
    found = manifold(real, fake, k=5)
    expected = theirs.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-3), name
