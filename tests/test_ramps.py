from __future__ import annotations

import math

import pytest

from morelike.config import OptimizerConfig, Ramp
from morelike.ramps import ramp, rate


@pytest.mark.parametrize("images", [0, 1, 999, 10**9])
@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_without_a_length_nothing_moves(images: int, shape: str) -> None:
    assert ramp(Ramp(), images) == 1
    assert ramp(Ramp.model_validate({"start": 5, "shape": shape}), images) == 1


@pytest.mark.parametrize(
    ("shape", "images", "factor"),
    [
        ("linear", 0, 1.0),
        ("linear", 1000, 1.0),
        ("linear", 1050, 0.9),
        ("linear", 1200, 0.6),
        ("linear", 1399, 0.202),
        ("linear", 1400, 0.2),
        ("linear", 10**9, 0.2),
        ("cosine", 0, 1.0),
        ("cosine", 1000, 1.0),
        ("cosine", 1100, 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2),
        ("cosine", 1200, 0.6),
        ("cosine", 1300, 0.2 + 0.8 * (1 - math.sqrt(0.5)) / 2),
        ("cosine", 1400, 0.2),
        ("cosine", 10**9, 0.2),
    ],
)
def test_known_values(shape: str, images: int, factor: float) -> None:
    settings = Ramp.model_validate({"to": 0.2, "images": 400, "start": 1000, "shape": shape})
    assert ramp(settings, images) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("to", [0.0, 1e-3, 0.1, 1 / 3, 0.7, 1.0, 3.3, 1e3])
def test_both_ends_are_exact(shape: str, to: float) -> None:
    for length in (1, 3, 7, 49, 100_000):
        settings = Ramp.model_validate({"to": to, "images": length, "start": 10, "shape": shape})
        assert ramp(settings, 9) == ramp(settings, 10) == 1
        assert ramp(settings, 10 + length) == ramp(settings, 11 + length) == to


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("to", [0.0, 2.5])
def test_it_goes_one_way(shape: str, to: float) -> None:
    settings = Ramp.model_validate({"to": to, "images": 97, "start": 3, "shape": shape})
    values = [ramp(settings, images) for images in range(110)]
    assert values == sorted(values, reverse=to < 1)
    assert len(set(values)) > 90


def test_the_learning_rate_warms_up_from_0() -> None:
    settings = OptimizerConfig(warmup=200)
    factors = [rate(settings, images) for images in (0, 50, 100, 199, 200, 201, 10**6)]
    assert factors == pytest.approx([0, 0.25, 0.5, 0.995, 1, 1, 1])
    assert rate(OptimizerConfig(), 0) == 1


def test_warm_up_and_ramp_are_multiplied() -> None:
    settings = OptimizerConfig(warmup=100, ramp=Ramp(to=0.5, images=200))
    factors = [rate(settings, images) for images in (50, 100, 150, 200, 300)]
    assert factors == pytest.approx([0.5 * 0.875, 0.75, 0.625, 0.5, 0.5])
