from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from morelike.cosines import radii
from morelike.explore.spectrum import (
    LEAST_DB,
    Band,
    Order,
    apart,
    appearances,
    azimuthal,
    band_pictures,
    band_powers,
    chance_of_decibels,
    cosines,
    decibels,
    octaves,
    order,
    shared_ranks,
)
from morelike.rng import rng


def wave(
    down: int, right: int, size: tuple[int, int] = (32, 32), height: float = 100
) -> np.ndarray:
    """(1, H, W, 1) uint8: so many half waves down and to the right, of amplitude `height`."""
    y, x = ((np.arange(side) + 0.5) / side for side in size)
    product = np.cos(np.pi * down * y)[:, None] * np.cos(np.pi * right * x)[None]
    return np.rint(127.5 + height * product).astype(np.uint8)[None, ..., None]


def noise(count: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> np.ndarray:
    return rng(seed, "noise").randint(0, 256, (count, *size, 3)).astype(np.uint8)


def test_octaves_double_up_to_the_corners() -> None:
    assert octaves((32, 32)) == (
        Band(0, 1), Band(1, 2), Band(2, 4), Band(4, 8), Band(8, math.inf)
    )  # fmt: skip
    assert len(octaves((64, 128))) == 6
    assert [band.name for band in octaves((16, 16))] == ["below 1", "1 to 2", "2 to 4", "from 4"]


@pytest.mark.parametrize(
    ("down", "right", "size", "cycles"),
    [(0, 1, (32, 32), 0.5), (6, 0, (32, 32), 3), (6, 8, (32, 32), 5), (0, 12, (32, 64), 3)],
)
def test_a_wave_lies_in_the_band_of_its_frequency(
    down: int, right: int, size: tuple[int, int], cycles: float
) -> None:
    found = cosines(wave(down, right, size))
    assert radii(size)[down, right] == pytest.approx(cycles)
    bands = octaves(size)
    powers = band_powers(found, bands)[0]
    own = next(i for i, band in enumerate(bands) if band.low <= cycles < band.high)
    # Its mean square: a half for each side along which it is a wave.
    expected = (100 / 127.5) ** 2 / 2 ** ((down > 0) + (right > 0))
    assert powers[own] == pytest.approx(expected, rel=0.01)
    assert np.delete(powers, own).max() < 1e-4
    frequencies, curve = azimuthal(found)
    assert frequencies[curve.argmax()] == pytest.approx(cycles)


def test_bands_and_the_mean_make_up_all_power() -> None:
    images = noise(5, (16, 32))
    values = images / 127.5 - 1
    found = cosines(images)
    means = np.square(values.mean((1, 2))).mean(1)
    powers = band_powers(found, octaves((16, 32)))
    assert np.allclose(powers.sum(1) + means, np.square(values).mean((1, 2, 3)), atol=1e-5)
    gray, clear = images[..., :1], np.concatenate([images, images[..., :1] * 0 + 255], -1)
    assert cosines(gray).shape == (5, 1, 16, 32)
    assert np.allclose(cosines(clear), found)


def test_white_noise_has_a_flat_azimuthal_average() -> None:
    _, curve = azimuthal(cosines(noise(40)))
    assert curve[3:] == pytest.approx(np.full(28, 1 / 3), rel=0.15)  # variance of [-1, 1]


def test_band_pictures_hold_what_the_band_adds() -> None:
    images = noise(4, (16, 32))
    found = cosines(images)
    bands = octaves((16, 32))
    powers = band_powers(found, bands)
    for number, band in enumerate(bands):
        made = band_pictures(found, band)
        assert np.square(made).mean((1, 2, 3)) == pytest.approx(powers[:, number], rel=1e-4)
    assert [band_pictures(found, band).shape[2:] for band in bands] == [
        (2, 4), (4, 8), (8, 16), (16, 32)
    ]  # fmt: skip
    # A slow wave on the smaller grid is the same wave.
    slow = band_pictures(cosines(wave(2, 0)), Band(1, 2))
    y = (np.arange(4) + 0.5) / 4
    expected = np.repeat(100 / 127.5 * np.cos(2 * np.pi * y)[:, None], 4, 1)
    assert slow[0, 0] == pytest.approx(expected, abs=0.01)


def test_decibels_are_ten_for_ten_times_the_power() -> None:
    real = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert decibels(real * [10, 1, 0.5], real) == pytest.approx([10, 0, -3.0103])
    assert decibels(real * 0, real) == pytest.approx([LEAST_DB] * 3)


def test_chance_of_decibels_holds_nearly_all_ratios_of_real_sets() -> None:
    numbers = rng(0, "chance of decibels")
    powers = numbers.standard_exponential((80, 3))
    low, high = chance_of_decibels(powers, 40)
    # The error of a mean of exponentials is mean / sqrt(n), by both sets.
    spread = 1.96 * 10 / math.log(10) * math.sqrt(1 / 40 + 1 / 80)
    assert high == pytest.approx(np.full(3, spread), rel=0.35)
    assert low == pytest.approx(np.full(3, -spread), rel=0.35)


def test_sets_with_equal_power_and_other_patterns_are_apart() -> None:
    y = np.arange(32)[:, None] + 0 * np.arange(32)[None]
    numbers = rng(0, "stripes")
    stripes = np.stack([np.sin(y * np.pi / 2 + a) for a in numbers.uniform(0, 6, 64)])
    images = np.rint(127.5 + 90 * stripes).astype(np.uint8)[..., None]
    same, turned = images[32:], images[32:].transpose(0, 2, 1, 3)
    band = octaves((32, 32))[-1]
    parts = [band_pictures(cosines(one), band) for one in (images[:32], same, turned)]
    near, far = (apart(parts[0], one, rng(0, "apart")) for one in parts[1:])
    assert near < 0.1
    assert far > 3 * near
    assert apart(parts[0], parts[0], rng(0, "apart")) == 0
    powers = [band_powers(cosines(one), [band]) for one in (same, turned)]
    assert decibels(powers[1], powers[0])[0] == pytest.approx(0, abs=0.1)


def test_apart_is_the_distance_of_means_for_shifted_sets() -> None:
    flat = np.zeros((8, 1, 2, 2), np.float32)
    flat[::2] = 1  # spread 1/2
    numbers = rng(0, "apart")
    moved = apart(flat, flat + 0.5, numbers, directions=4096)
    # |<1, u>| for random unit vectors u of 4 dimensions: 2 E|u_1|, E|u_1| = 4 / (3 pi).
    assert moved == pytest.approx(2 * 4 / (3 * math.pi), rel=0.03)


def test_a_band_appears_where_it_comes_to_stay() -> None:
    ratios = np.array([[-9, 0, -9, 4.0], [-2, 5, -9, 2], [-9, -3, -4, 1], [0, 0, -3.1, 0]])
    assert appearances(ratios) == [3, 2, None, 1]
    assert appearances(ratios, 10) == [0, 0, 0, 0]


def test_shared_ranks() -> None:
    assert shared_ranks(np.array([5, 1, 5, 9])).tolist() == [1.5, 0, 1.5, 3]


def test_order_by_spearman_with_all_orders_tried() -> None:
    assert tuple(order([0, 1, 2, 3, None])) == pytest.approx((1, 2 / 120))
    assert order([3, 2, 1, 0]).correlation == pytest.approx(-1)
    assert order([2, 2, 2]) == Order(None, 1.0)
    assert order([None, None]) == Order(None, 1.0)
    times = [0, 2, 2, 1, None]
    ranks = [0, 2.5, 2.5, 1, 4]
    seen = np.corrcoef(range(5), ranks)[0, 1]
    every = [np.corrcoef(range(5), p)[0, 1] for p in itertools.permutations(ranks)]
    share = np.mean([abs(one) >= abs(seen) - 1e-9 for one in every])
    assert tuple(order(times)) == pytest.approx((seen, share))
    many = order(list(range(9)))
    assert many.correlation == pytest.approx(1)
    assert many.chance < 0.001
