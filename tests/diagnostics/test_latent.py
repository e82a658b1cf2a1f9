from __future__ import annotations

import numpy as np
import pytest

from morelike.diagnostics.latent import (
    STRENGTHS,
    identical,
    planted,
    poor_region,
    told_from,
)
from morelike.rng import rng

POOR = -1.645
"""The 5 % quantile of the planted qualities, which are standard normal where nothing is wrong."""


def test_telling_is_leave_one_out_ridge() -> None:
    z, quality = planted(40, 5, 0.5, 3, 0)
    length = np.linalg.norm(z, axis=1, keepdims=True)
    x = np.concatenate([z / length, length], axis=1)
    x = (x - x.mean(0)) / x.std(0)
    best, told = -np.inf, None
    for strength in STRENGTHS:
        answers = []
        for out in range(40):
            kept = np.arange(40) != out
            # The inputs' mean is 0, so that of the values is fitted apart, unpenalised.
            design = np.concatenate([np.ones((39, 1)), x[kept]], axis=1)
            ridge = np.diag([0.0, *[strength * 40] * x.shape[1]])
            weights = np.linalg.solve(design.T @ design + ridge, design.T @ quality[kept])
            answers.append(weights[0] + x[out] @ weights[1:])
        r2 = 1 - np.square(quality - answers).sum() / np.square(quality - quality.mean()).sum()
        if r2 > best:
            best, told = r2, answers
    found = told_from(z, quality)
    assert found.r2 == pytest.approx(best)
    assert found.told == pytest.approx(told)


def test_shuffled_values_cannot_be_told() -> None:
    spoke = 0
    for seed in range(30):
        z, quality = planted(120, 30, 0.1, 0, seed)
        found = told_from(z, quality)
        spoke += found.r2 > np.quantile(found.null, 0.99)
    assert spoke <= 2


@pytest.mark.parametrize(("share", "count", "dimensions"), [(0.5, 500, 64), (0.1, 2000, 32)])
def test_a_planted_poor_region_is_found(share: float, count: int, dimensions: int) -> None:
    z, quality = planted(count, dimensions, share, 3, 0)
    images = rng(0, "images").randint(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    found = poor_region(z, quality, POOR, images)
    assert (found.topic, found.state) == ("latent", "yes")
    inside, best = (found.figures[i] for i in (1, 2))
    assert inside.value > 0.5 > best.value
    (panel,) = found.panels
    assert [len(column) for column in panel.pictures] == [8, 8]


def test_a_cap_is_at_least_suspected_with_fewer_samples() -> None:
    states = [poor_region(*planted(512, 64, 0.1, 3, seed), POOR).state for seed in range(8)]
    assert states.count("no") <= 1


def test_an_even_space_is_left_alone() -> None:
    for seed in range(10):
        assert poor_region(*planted(300, 64, 0.1, 0, seed), POOR).state == "no"


def test_an_even_space_in_which_many_are_poor_is_left_alone_too() -> None:
    images = np.zeros((300, 4, 4, 3), dtype=np.uint8)
    found = [poor_region(*planted(300, 64, 0.1, 0, seed), -0.15, images) for seed in range(5)]
    # Where nothing depends on z there is nothing to show.
    assert [each.state for each in found if not each.panels].count("no") >= 4
    assert "yes" not in [each.state for each in found]


def test_a_region_that_is_hardly_poorer_is_no_fault() -> None:
    z, quality = planted(1500, 10, 0.1, 0, 0)
    found = poor_region(z, quality + 0.15 * z[:, 0], 0)
    assert found.figures[0].value > found.figures[0].null[1]  # pyright: ignore[reportOptionalSubscript]
    assert found.figures[1].value > 0.5
    assert found.state != "yes"


def test_where_even_the_best_is_poor_there_is_no_poor_region() -> None:
    z, quality = planted(1500, 10, 0.1, 0, 0)
    found = poor_region(z, quality + 0.4 * z[:, 0], 1)
    assert found.figures[2].value > 0.5
    assert found.figures[1].low > found.figures[1].null[1]  # pyright: ignore
    assert found.state == "no"


def test_a_slope_alone_is_no_fault() -> None:
    z, quality = planted(800, 20, 0.1, 0, 0)
    sloping = quality + 0.8 * z[:, 0]
    found = poor_region(z, sloping, -4)
    assert found.figures[0].value > 0.2
    assert found.state == "no"


def test_all_poor_is_no_region() -> None:
    z, quality = planted(500, 20, 0.5, 3, 0)
    assert poor_region(z, quality, 10).state == "no"


def test_copies_have_an_infinite_realism() -> None:
    z, quality = planted(500, 20, 0.5, 3, 0)
    quality[:5] = np.inf
    quality[5:9] = -np.inf
    found = poor_region(z, quality, POOR)
    assert found.state == "yes"
    assert all(np.isfinite(each.value) for each in found.figures)


def test_too_few_samples_or_no_latents_are_unknown() -> None:
    z, quality = planted(40, 20, 0.5, 3, 0)
    assert poor_region(z, quality, POOR).state == "unknown"
    labels = np.eye(2)[rng(0, "labels").randint(0, 2, 300)]
    found = poor_region(labels, np.arange(300.0), 5)
    assert found.state == "unknown"
    assert "no latent space" in found.sentence
    assert identical(labels, features(300, 0), features(100, 1)).state == "unknown"
    assert identical(z, features(40, 0), features(100, 1)).state == "unknown"


def features(count: int, seed: int) -> np.ndarray:
    return rng(seed, "features").standard_normal((count, 24)) * np.linspace(1, 0.1, 24)


def replaced(count: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Latents, and features of which those of a cap are of one picture, nearly."""
    state = rng(seed, "replaced")
    z = state.standard_normal((count, 64))
    made = features(count, seed + 100)
    cap = z[:, 0] > np.quantile(z[:, 0], 1 - share)
    made[cap] = made[0] + 0.01 * state.standard_normal((cap.sum(), 24))
    return z, made


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_one_picture_from_many_latents_is_found(share: float) -> None:
    z, made = replaced(300, share, 0)
    images = rng(0, "images").randint(0, 256, (300, 4, 4, 3)).astype(np.uint8)
    found = identical(z, made, features(200, 7), images)
    assert found.state == "yes"
    assert found.figures[0].value == pytest.approx(share, abs=0.05)
    (panel,) = found.panels
    assert panel.pictures[0].shape == panel.pictures[1].shape


def test_different_pictures_are_left_alone() -> None:
    for seed in range(5):
        z, made = replaced(300, 0, seed)
        assert identical(z, made, features(200, 7)).state == "no"


def test_twins_from_near_latents_are_no_fault() -> None:
    z, made = replaced(300, 0, 0)
    z[150:] = z[:150] + 0.1
    made[150:] = made[:150]
    assert identical(z, made, features(200, 7)).state == "no"


def test_twins_among_real_pictures_are_in_the_null() -> None:
    real = features(200, 7)
    real[:6] = real[6:12] + 1e-3
    z, made = replaced(300, 0, 0)
    none = identical(z, made, features(200, 7)).figures[0].null
    some = identical(z, made, real).figures[0].null
    assert none is not None
    assert some is not None
    assert none[1] == 0 < some[1]
    assert identical(*replaced(300, 0.5, 0), real).state == "yes"
    # Where they are the rule, nothing is unusual.
    assert identical(*replaced(300, 0.1, 0), np.concatenate([real, real + 1e-4])).state == "no"
