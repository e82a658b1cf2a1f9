"""Which recipe a situation gets, and that the reason says what was chosen."""

from __future__ import annotations

import pytest

from morelike import recipes
from morelike.models import configure
from morelike.recipes.choice import (
    USUAL_SPREAD,
    Situation,
    choose,
    narrow_width,
    r1_weight,
    usual_resolution,
)
from morelike.settings import merge

ROSES = Situation(58, 64, 64, "cpu", 10.0)


@pytest.mark.parametrize(
    ("device", "pictures", "recipe"),
    [
        ("cpu", 58, "tiny-cpu"),
        ("cpu", 50_000, "tiny-cpu"),
        ("mps", 58, "tiny-cpu"),
        ("cuda", 58, "small"),
        ("cuda", 1_999, "small"),
        ("cuda", 2_000, "modern"),
        ("cuda", 150_000, "modern"),
    ],
)
@pytest.mark.parametrize("side", [16, 64, 256])
@pytest.mark.parametrize("minutes", [None, 10.0, 600.0])
def test_every_choice_is_a_configuration_and_says_what_it_is(
    device: str, pictures: int, recipe: str, side: int, minutes: float | None
) -> None:
    choice = choose(Situation(pictures, side, side, device, minutes))
    assert choice.recipe == recipe
    values = merge(recipes.find(recipe).values(), choice.settings)
    config = configure(merge(values, {"data": {"resolution": side, "channels": 3}}))
    assert recipe in choice.why
    assert f"{pictures:,} pictures of {side}x{side}" in choice.why
    assert bool(config.augment.policy) == (pictures < 20_000)
    if config.penalty.of_gradients:
        assert f"weighs {config.penalty.r1:g}" in choice.why
    if minutes is None:
        assert f"{config.training.images:,} pictures shown" in choice.why
        assert config.training.images >= 40 * pictures
    else:
        assert f"{minutes:g} minutes" in choice.why


def test_one_minute_is_not_minutes() -> None:
    why = choose(ROSES._replace(minutes=1.0)).why
    assert "and 1 minute:" in why
    assert why.endswith("it ends after 1 minute.")


def test_few_pictures_on_a_cpu_get_what_won_there() -> None:
    choice = choose(ROSES)
    plain = recipes.find("tiny-cpu").values()
    endless = {"training": {"images": 10**9}}
    assert merge(plain, choice.settings) == merge(plain, endless)


def test_the_penalty_goes_by_how_far_pictures_are_apart() -> None:
    for recipe, usual in (("tiny-cpu", 1.0), ("modern", 1.0)):
        # For pictures that a recipe is for, it is the recipe's own.
        own = recipes.find(recipe).values()["penalty"]
        assert r1_weight(recipe, USUAL_SPREAD) == usual == own["r1"] == own["r2"]
        assert r1_weight(recipe, 16 * USUAL_SPREAD) == pytest.approx(16 * usual)
        assert r1_weight(recipe, 0.0) > 0
    faces, roses = (choose(ROSES._replace(spread=spread)) for spread in (836.0, 5979.0))
    assert faces.settings["penalty"] == {"r1": 0.2, "r2": 0.2}
    assert roses.settings["penalty"] == {"r1": 1.5, "r2": 1.5}
    assert "weighs 0.2," in faces.why


@pytest.mark.parametrize(("side", "width"), [(16, 64), (32, 64), (64, 32), (128, 16), (256, 8)])
def test_larger_pictures_get_narrower_networks(side: int, width: int) -> None:
    assert narrow_width(side, side) == width
    assert narrow_width(side, 4 * side) == width


@pytest.mark.parametrize(
    ("pictures", "minutes", "device", "width"),
    [
        (58, 10.0, "cpu", 32),
        (1_999, 10.0, "cpu", 32),
        (2_000, 10.0, "cpu", 16),
        (2_000, 30.0, "cpu", 16),
        (50_000, 30.0, "cpu", 16),
        (50_000, 31.0, "cpu", 32),
        (50_000, None, "cpu", 32),
        (50_000, 10.0, "mps", 32),
    ],
)
def test_thousands_of_pictures_get_half_the_width_where_minutes_are_few(
    pictures: int, minutes: float | None, device: str, width: int
) -> None:
    choice = choose(Situation(pictures, 64, 64, device, minutes))
    assert choice.settings["generator"] == choice.settings["discriminator"] == {"width": width}
    assert f"{width} maps" in choice.why
    assert ("fewer than usual" in choice.why) == (width == 16)


@pytest.mark.parametrize(("side", "width"), [(32, 64), (63, 32), (96, 16), (128, 16), (256, 8)])
def test_small_pictures_keep_their_width_and_large_ones_are_narrow_already(
    side: int, width: int
) -> None:
    choice = choose(Situation(50_000, side, 2 * side, "cpu", 10.0))
    assert choice.settings["generator"] == {"width": width}
    assert ("fewer than usual" in choice.why) == (side == 96)


@pytest.mark.parametrize(
    ("side", "resolution"),
    [(None, 64), (16, 16), (28, 32), (32, 32), (47, 32), (48, 64)],
)
def test_pictures_are_hardly_enlarged(side: int | None, resolution: int) -> None:
    assert usual_resolution(side) == resolution
    if side is not None and side > 16:
        assert resolution < 1.5 * side
