"""How far pictures are apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from morelike.data.spread import spread_of


def dataset(images: np.ndarray, train: np.ndarray | None = None) -> Any:
    return SimpleNamespace(images=images, train=np.arange(len(images)) if train is None else train)


def test_it_is_the_mean_squared_distance_of_two_pictures() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 5, 3), dtype=np.uint8)
    values = images.reshape(40, -1) / 127.5 - 1
    apart = np.square(values[:, None] - values[None]).sum(2)
    # Of two drawn with replacement, so that each is at distance 0 from itself.
    assert spread_of(dataset(images)) == pytest.approx(apart.mean(), rel=1e-5)


def test_it_grows_with_values_and_pixels_and_only_training_counts() -> None:
    numbers = np.random.default_rng(1)
    gray = numbers.integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    three = np.repeat(gray, 3, 3)
    assert spread_of(dataset(three)) == pytest.approx(3 * spread_of(dataset(gray)))
    flat = np.full((10, 8, 8, 1), 77, np.uint8)
    assert spread_of(dataset(flat)) == pytest.approx(0, abs=1e-9)
    both = np.concatenate([gray, flat])
    assert spread_of(dataset(both, np.arange(300))) == pytest.approx(spread_of(dataset(gray)))


def test_of_many_some_are_looked_at_from_end_to_end() -> None:
    images = np.zeros((5_000, 2, 2, 1), np.uint8)
    images[2_500:] = 255
    assert spread_of(dataset(images)) == pytest.approx(8.0, rel=0.01)
