from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.data.toys import toy
from morelike.diagnostics.controls import repeated
from morelike.diagnostics.gauge import Gauge, Reading, word
from morelike.diagnostics.learning import Moment
from morelike.metrics.kernel import kid


def features(images: np.ndarray) -> Tensor:
    n, height, width, channels = images.shape
    means = images.reshape(n, height // 4, 4, width // 4, 4, channels).mean(axis=(2, 4))
    return torch.from_numpy(means.reshape(n, height * width * channels // 16) / 255).float()


@pytest.fixture(scope="module")
def bicycles() -> np.ndarray:
    return np.stack([one.draw() for one in toy("bicycles", 144, 32)])


@pytest.fixture(scope="module")
def gauge(bicycles: np.ndarray) -> Gauge:
    train, held = bicycles[:64], bicycles[64:80]
    return Gauge.of(train, held, features(train), features(held))


def read(gauge: Gauge, images: np.ndarray) -> Reading:
    return gauge.read(images, features(images))


def test_real_pictures_read_as_healthy(bicycles: np.ndarray, gauge: Gauge) -> None:
    samples = bicycles[80:144]
    reading = read(gauge, samples)
    assert not reading.copying
    assert not reading.collapsed
    assert reading.near <= 2
    assert reading.variety == pytest.approx(1, abs=0.15)
    held = features(bicycles[64:80])
    assert reading.kid == pytest.approx(1000 * kid(features(samples), held))


def test_training_pictures_read_as_copies(bicycles: np.ndarray, gauge: Gauge) -> None:
    reading = read(gauge, bicycles[:64])
    assert reading.near == 64
    assert reading.copying
    assert not reading.collapsed


def test_one_picture_reads_as_collapsed(bicycles: np.ndarray, gauge: Gauge) -> None:
    reading = read(gauge, repeated(bicycles[100:], 64, 1))
    assert reading.collapsed
    assert reading.variety < 0.2
    assert not reading.copying
    assert reading.kid > read(gauge, bicycles[80:]).kid


def test_collapse_in_one_space_is_enough(bicycles: np.ndarray, gauge: Gauge) -> None:
    # As if dirt made one picture varied in features.
    reading = gauge.read(repeated(bicycles[100:], 64, 1), features(bicycles[80:144]))
    assert reading.collapsed
    assert reading.variety < 0.2


def test_without_enough_held_out_pictures_training_ones_are_the_measure(
    bicycles: np.ndarray,
) -> None:
    train = bicycles[:32]
    gauge = Gauge.of(train, bicycles[64:67], features(train), features(bicycles[64:67]))
    assert torch.equal(gauge.reference, features(train))
    gauge = Gauge.of(train, bicycles[64:68], features(train), features(bicycles[64:68]))
    assert torch.equal(gauge.reference, features(bicycles[64:68]))


def test_few_training_pictures_can_be_read_but_for_copies(bicycles: np.ndarray) -> None:
    train = bicycles[:6]
    gauge = Gauge.of(train, bicycles[64:64], features(train), features(bicycles[64:64]))
    assert gauge.copies is None
    reading = read(gauge, np.tile(train, (3, 1, 1, 1)))
    assert (reading.near, reading.copying) == (0, False)
    assert np.isfinite(reading.kid)
    assert np.isfinite(reading.variety)


def test_pictures_that_are_not_square_can_be_read(bicycles: np.ndarray) -> None:
    wide = np.ascontiguousarray(bicycles[:, 8:24])
    gauge = Gauge.of(wide[:32], wide[64:80], features(wide[:32]), features(wide[64:80]))
    assert read(gauge, wide[:16]).copying
    assert not read(gauge, wide[80:112]).copying


def history(*values: float) -> list[Moment]:
    return [Moment(1000 * i, float(i), value) for i, value in enumerate(values)]


FALLING = history(*range(100, 20, -8))
FLAT = history(*[40.0, 41.0] * 5)
LOST = history(90, 60, 40, 30, 60, 90, 120, 150, 180, 210)


@pytest.mark.parametrize(
    ("copying", "collapsed", "past", "said"),
    [
        (True, True, FALLING, "COPYING"),
        (True, False, [], "COPYING"),
        (False, True, FALLING, "LEARNING"),
        (False, True, FLAT, "COLLAPSED"),
        (False, True, FLAT[:3], ""),
        (False, False, FLAT[:3], ""),
        (False, False, FALLING, "LEARNING"),
        (False, False, FLAT, "STALLED"),
        (False, False, LOST, "DIVERGED"),
        (False, True, LOST, "COLLAPSED"),
        (False, False, FLAT[:5], "UNKNOWN"),
    ],
)
def test_one_word(copying: bool, collapsed: bool, past: list[Moment], said: str) -> None:
    assert word(Reading(40.0, 4.0, 0, copying, 0.5, collapsed, 128), past) == said
