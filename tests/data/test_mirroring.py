from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from morelike.config import DataConfig
from morelike.data import Dataset, open_source, prepare
from morelike.data.mirroring import may_be_mirrored


def given(images: np.ndarray) -> Dataset:
    return cast("Any", SimpleNamespace(images=images))


def bicycles(count: int) -> np.ndarray:
    settings = DataConfig(resolution=32, held_out=0)
    return np.array(prepare(open_source(f"toy:bicycles:{count}"), settings).images)


def test_bicycles_face_one_way_unless_half_of_them_are_turned() -> None:
    images = bicycles(200)
    assert not may_be_mirrored(given(images))
    images[::2] = images[::2, :, ::-1]
    assert may_be_mirrored(given(images))


def test_too_few_are_not_mirrored() -> None:
    images = bicycles(200)[:6]
    images[::2] = images[::2, :, ::-1]
    assert not may_be_mirrored(given(images))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_number_of_channels_and_any_shape(channels: int) -> None:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (8, 16, 24, channels), np.uint8)
    assert may_be_mirrored(given(images)) in (True, False)


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "expected"), [("bikes", False), ("roses", True)])
def test_real_bicycles_are_not_and_roses_are(folder: str, expected: bool, shared: Path) -> None:
    data = prepare(open_source(shared / "data" / folder), DataConfig())
    assert may_be_mirrored(data) is expected
