from __future__ import annotations

import numpy as np
import pytest
import torch

from morelike.cosines import basis, radii


@pytest.mark.parametrize("side", [1, 2, 8, 13])
def test_the_cosines_are_orthonormal(side: int) -> None:
    assert basis(side) @ basis(side).T == pytest.approx(np.eye(side), abs=1e-6)
    assert basis(side)[0] == pytest.approx(np.full(side, side**-0.5))


def test_a_picture_is_the_sum_of_its_cosines() -> None:
    picture = np.random.default_rng(0).normal(size=(6, 10))
    down, right = basis(6), basis(10)
    coefficients = down @ picture @ right.T
    assert np.square(coefficients).sum() == pytest.approx(np.square(picture).sum(), rel=1e-5)
    assert down.T @ coefficients @ right == pytest.approx(picture, abs=1e-5)


def test_each_row_is_a_wave_of_its_frequency() -> None:
    # Cosine k of n has k / 2n waves in a pixel: here 3 / 32, which is a wave of 32 / 3 pixels.
    place = torch.arange(16).double() + 0.5
    wave = (2 * torch.pi * place * 3 / 32).cos()
    assert basis(16)[3] == pytest.approx((wave / wave.norm()).numpy(), abs=1e-6)


def test_radii_count_cycles_along_the_shorter_side() -> None:
    found = radii((16, 32))
    assert found.shape == (16, 32)
    assert (found[0, 0], found[2, 0], found[0, 4]) == pytest.approx((0, 1, 1))
    assert found[6, 16] == pytest.approx(5)
