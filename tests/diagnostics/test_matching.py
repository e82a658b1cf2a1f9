from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from morelike.data.toys import toy
from morelike.diagnostics.controls import noise
from morelike.diagnostics.matching import FINALISTS, LEAST, Matcher, squeezed
from morelike.rng import rng

Recolour = Callable[[np.ndarray], np.ndarray]


def bicycles(count: int, side: int = 48, seed: int = 0) -> np.ndarray:
    return np.stack([one.draw() for one in toy("bicycles", count, side, seed)])


@pytest.fixture(scope="module")
def train() -> np.ndarray:
    return bicycles(30)


@pytest.fixture(scope="module")
def matcher(train: np.ndarray) -> Matcher:
    return Matcher.fitted(train)


def test_a_copy_is_found_and_leaves_nothing_unexplained(
    train: np.ndarray, matcher: Matcher
) -> None:
    found = matcher.match(train)
    assert found.which.shape == found.unexplained.shape == (30, FINALISTS)
    assert found.which[:, 0].tolist() == list(range(30))
    assert not found.mirrored[:, 0].any()
    assert found.unexplained[:, 0] == pytest.approx(LEAST, rel=0.1)
    assert found.detail[:, 0] == pytest.approx(1, abs=0.02)
    assert (np.diff(found.unexplained, axis=1) >= 0).all()
    assert (found.unexplained[:, 1] > 0.02).all()


def test_a_mirror_image_is_known_as_one(train: np.ndarray, matcher: Matcher) -> None:
    found = matcher.match(train[:, :, ::-1])
    assert found.which[:, 0].tolist() == list(range(30))
    assert found.mirrored[:, 0].all()
    assert (found.unexplained[:, 0] < 0.001).all()


@pytest.mark.parametrize("shift", [(0, 6), (6, 0), (-6, 6), (3, -5), (-1, -2)])
def test_a_shifted_copy_is_found(
    train: np.ndarray, matcher: Matcher, shift: tuple[int, int]
) -> None:
    moved = np.roll(train, shift, axis=(1, 2))
    found = matcher.match(moved)
    assert np.mean(found.which[:, 0] == np.arange(30)) >= 0.95
    assert np.median(found.unexplained[:, 0]) < 0.02


def test_a_shift_beyond_an_eighth_is_no_copy(train: np.ndarray, matcher: Matcher) -> None:
    moved = np.roll(train[:10], 16, axis=2)
    assert (matcher.match(moved).unexplained[:, 0] > 0.1).all()


def test_what_is_excluded_is_not_found(train: np.ndarray, matcher: Matcher) -> None:
    found = matcher.match(train, np.eye(30, dtype=bool))
    assert (found.which != np.arange(30)[:, None]).all()
    assert np.isfinite(found.unexplained).all()
    only = np.ones((30, 30), bool)
    only[:, 7] = False
    found = matcher.match(train, only)
    assert (found.which[:, 0] == 7).all()
    assert np.isfinite(found.unexplained[:, 0]).all()
    assert np.isinf(found.unexplained[:, 1:]).all()


def test_exclusions_belong_to_their_pictures_when_there_are_many(
    train: np.ndarray, matcher: Matcher
) -> None:
    many = np.tile(np.arange(30), 3)
    without = np.zeros((90, 30), bool)
    without[70, many[70]] = True
    found = matcher.match(train[many], without)
    assert np.flatnonzero(found.which[:, 0] != many).tolist() == [70]


@pytest.mark.parametrize(
    "recolour",
    [
        lambda x: 60 + 0.5 * x,
        lambda x: x[..., [1, 2, 0]],
        lambda x: x @ np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.0, 0.3, 0.7]]),
    ],
    ids=["paler", "other channels", "other hues"],
)
def test_recolouring_does_not_count(
    train: np.ndarray, matcher: Matcher, recolour: Recolour
) -> None:
    images = recolour(train.astype(float)).round().clip(0, 255).astype(np.uint8)
    found = matcher.match(images)
    same = found.which[:, 0] == np.arange(30)
    assert same.mean() >= 0.9
    assert (found.unexplained[same, 0] < 0.02).all()


def test_blur_costs_detail_and_noise_does_not_count_as_it(
    train: np.ndarray, matcher: Matcher
) -> None:
    soft = [Image.fromarray(x).filter(ImageFilter.GaussianBlur(1.5)) for x in train]
    found = matcher.match(np.stack([np.asarray(x) for x in soft]))
    assert (found.which[:, 0] == np.arange(30)).mean() >= 0.6
    assert (found.detail[:, 0] < 0.7).all()
    # Noise has fine detail of its own, which explains nothing of a training picture's.
    assert (matcher.match(noise(train, rng(0))).detail[:, 0] < 0.5).all()


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_training_pictures_are_enough(count: int) -> None:
    train = bicycles(count)
    found = Matcher.fitted(train).match(train)
    assert found.which[:, 0].tolist() == list(range(count))
    assert np.isfinite(found.unexplained[:, :count]).all()
    assert np.isinf(found.unexplained[:, count:]).all()
    assert found.unexplained[:, 0] == pytest.approx(LEAST, rel=0.1)


@pytest.mark.parametrize(
    ("height", "width"), [(16, 16), (8, 8), (18, 18), (28, 28), (128, 128), (32, 64), (48, 20)]
)
def test_pictures_of_any_size_and_proportion(height: int, width: int) -> None:
    side = max(height, width)
    train = bicycles(6, side)[:, (side - height) // 2 :, (side - width) // 2 :]
    train = np.ascontiguousarray(train[:, :height, :width])
    matcher = Matcher.fitted(train)
    for images, turned in ((train, False), (train[:, :, ::-1], True)):
        found = matcher.match(images)
        assert found.which[:, 0].tolist() == list(range(6))
        assert (found.mirrored[:, 0] == turned).all()
        assert (found.unexplained[:, 0] < 0.01).all()
    across = max(1, width // 10)
    found = matcher.match(np.roll(train, across, axis=2))
    assert found.which[:, 0].tolist() == list(range(6))


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_transparent_pictures(train: np.ndarray, channels: int) -> None:
    images = train[:12, ..., :1]
    if channels == 4:
        # Black everywhere: only transparency, laid on white, shows anything.
        images = np.concatenate([np.zeros_like(train[:12]), 255 - images], axis=-1)
    found = Matcher.fitted(images).match(np.roll(images, 3, axis=1))
    assert found.which[:, 0].tolist() == list(range(12))
    assert (found.unexplained[:, 0] < 0.05).all()


def test_blank_pictures_explain_nothing(train: np.ndarray, matcher: Matcher) -> None:
    blank = np.full((3, 48, 48, 3), 200, np.uint8)
    found = matcher.match(blank)
    assert (found.unexplained > 0.5).all()
    assert (found.detail[:, 0] < 0.5).all()
    found = Matcher.fitted(blank).match(np.concatenate([train[:2], blank]))
    assert np.isfinite(found.unexplained).all()
    assert np.isfinite(found.detail).all()


def test_layout_is_of_light_and_dark_alone(train: np.ndarray, matcher: Matcher) -> None:
    layout = matcher.layout(train)
    assert np.linalg.norm(layout, axis=1) == pytest.approx(1, abs=1e-5)
    dirty = train + rng(0).normal(0, 12, train.shape)
    dirtied = matcher.layout(dirty.round().clip(0, 255).astype(np.uint8))
    nearest = (dirtied @ layout.T).argmax(axis=1)
    assert np.mean(nearest == np.arange(30)) >= 0.9
    turned = matcher.layout(train[..., [1, 2, 0]])
    assert np.mean((turned @ layout.T).argmax(axis=1) == np.arange(30)) >= 0.9


def test_squeezing_averages_areas() -> None:
    shown = rng(0).standard_normal((2, 8, 12, 3)).astype(np.float32)
    means = shown.reshape(2, 4, 2, 4, 3, 3).mean(axis=(2, 4))
    assert squeezed(shown, 4) == pytest.approx(means, abs=1e-6)
    # Five pixels to four: each cell is one and a quarter wide.
    row = np.arange(1, 6, dtype=np.float32)[None, None, :, None] * np.ones((1, 4, 1, 1), np.float32)
    weights = np.array([[4, 1, 0, 0, 0], [0, 3, 2, 0, 0], [0, 0, 2, 3, 0], [0, 0, 0, 1, 4]]) / 5
    assert squeezed(row, 4)[0, 0, :, 0] == pytest.approx(weights @ np.arange(1, 6), abs=1e-6)
    square = rng(1).standard_normal((1, 6, 6, 1)).astype(np.float32)
    assert squeezed(square, 6) is square
    wide = np.repeat(square, 2, axis=2)
    assert squeezed(wide, 3) == pytest.approx(squeezed(square, 3), abs=1e-6)
