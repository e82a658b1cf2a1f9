from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from morelike.augment import ADAPTIVE
from morelike.diagnostics.leak import Setting, leak, planted
from morelike.diagnostics.undoing import UNDO, gains, reference
from morelike.rng import rng

GEOMETRIC = [name for name in ADAPTIVE if name in UNDO]
EVERYTHING = Setting(policy=ADAPTIVE)


@cache
def scenes(count: int, seed: int = 0, side: int = 32, width: int = 32) -> np.ndarray:
    """A blue sky above a green ground, a red sun at its left, and some noise: no turn, no mirroring
    and no other colours would do.
    """
    state = rng(seed, "scenes")
    y, x = np.mgrid[0:side, 0:width] / side
    images = np.empty((count, side, width, 3))
    for image in images:
        horizon = state.uniform(0.45, 0.6)
        image[:] = (150, 190, 240)
        image[y > horizon] = (30, 90, 30)
        sun = (x - state.uniform(0.2, 0.3)) ** 2 + (y - state.uniform(0.2, 0.3)) ** 2 < 0.02
        image[sun] = (220, 40, 20)
        image += state.uniform(-15, 15) + 10 * state.standard_normal(image.shape)
    return images.clip(0, 255).round().astype(np.uint8)


def mixed(images: np.ndarray, changed: np.ndarray, share: float) -> np.ndarray:
    result = images.copy()
    count = round(share * len(images))
    result[:count] = changed[:count]
    return result


def test_everything_is_looked_for_but_what_has_a_statistic_of_its_own() -> None:
    assert set(ADAPTIVE) - set(UNDO) == {"brightness", "contrast", "saturation"}


def test_a_turned_picture_fits_once_it_is_turned_back() -> None:
    real, fresh = scenes(60), scenes(8, seed=1)
    known = reference(real)
    upright = gains(fresh, known, ["quarter_turns", "mirror"])
    turned = gains(np.rot90(fresh, 1, (1, 2)), known, ["quarter_turns", "mirror"])
    mirrored = gains(fresh[:, :, ::-1], known, ["quarter_turns", "mirror"])
    assert max(values.max() for values in upright.values()) < 0
    # A quarter of all pictures, real ones too, fits too little to count.
    assert (turned["quarter_turns"] > 0.8).sum() == (turned["quarter_turns"] > -2).sum() >= 4
    assert turned["mirror"].max() < 0
    assert (mirrored["mirror"] > 0.1).sum() == (mirrored["mirror"] > -2).sum() >= 4
    # Turned over by a matrix of colours: what is bright becomes dark.
    how = Setting(policy=("luma_flip",))
    changed = planted(fresh, ("luma_flip",), how)
    inverted = (changed != fresh).any((1, 2, 3))
    assert 0 < inverted.sum() < 8
    found = gains(changed, known, ["luma_flip"])["luma_flip"]
    assert (found[inverted] > 1).any()
    assert ((found[inverted] > 1) | (found[inverted] == -2)).all()
    assert (found[~inverted] < 0).all()


def test_a_picture_that_fits_nowhere_gains_nothing() -> None:
    noise = rng(0, "noise").randint(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    found = gains(noise, reference(scenes(60)), GEOMETRIC)
    assert all((values == -2).all() for values in found.values())


def test_a_picture_of_the_set_is_compared_with_the_others() -> None:
    real = scenes(5)
    known = reference(real)
    among = gains(real, known, ["hue"], real)["hue"]
    for i in range(5):
        others = reference(np.delete(real, i, axis=0))
        # What is usual is that of the whole set.
        alone = gains(real[i : i + 1], others._replace(usual=known.usual), ["hue"])["hue"]
        assert alone[0] == pytest.approx(among[i], abs=1e-5)


def test_a_mirrored_set_fits_either_way() -> None:
    real = scenes(40)
    one, both = reference(real), reference(real, mirrored=True)
    assert np.allclose(both.total, both.total.flip(2), atol=1e-4)
    turned = scenes(5, seed=1)[:, :, ::-1]
    assert gains(turned, one, ["mirror"])["mirror"].max() > 0.1
    assert gains(turned, both, ["mirror"])["mirror"].max() < 1e-5
    # Nothing is then said of mirroring.
    how = Setting(policy=("mirror", "quarter_turns"), mirrored=True)
    found = leak(scenes(100, 1)[:, :, ::-1], scenes(150), how, power=False)
    assert found.state == "no"
    assert not any("mirror" in figure.name for figure in found.figures)


@pytest.mark.parametrize("part", GEOMETRIC)
def test_what_all_pictures_have_is_found(part: str) -> None:
    real, fresh = scenes(150), scenes(100, seed=1)
    found = leak(planted(fresh, (part,), EVERYTHING), real, EVERYTHING, power=False)
    assert found.state == "yes"
    assert part in found.remedy
    assert "augment.probability" in found.remedy
    assert f"{part.replace('_', ' ')} undone" in found.sentence
    (panel,) = found.panels
    assert len({len(each) for each in (*panel.pictures, panel.captions)}) == 1


@pytest.mark.parametrize("part", ["mirror", "quarter_turns", "luma_flip", "rotation"])
def test_what_half_of_them_have_is_found(part: str) -> None:
    real, fresh = scenes(150), scenes(100, seed=1)
    samples = mixed(fresh, planted(fresh, (part,), EVERYTHING), 0.5)
    assert leak(samples, real, EVERYTHING, power=False).state == "yes"


def test_untouched_pictures_are_left_alone() -> None:
    real = scenes(150)
    spoke = [leak(scenes(100, seed), real, EVERYTHING, power=False).state for seed in range(1, 9)]
    assert spoke == ["no"] * 8


@pytest.mark.parametrize("poor", ["blurred", "pale", "noisy", "mean"])
def test_poor_pictures_are_no_leak(poor: str) -> None:
    real, fresh = scenes(150), scenes(100, seed=1).astype(np.float64)
    samples = {
        "blurred": sum(np.roll(fresh, (i, j), (1, 2)) for i in range(-2, 3) for j in range(-2, 3))
        / 25,
        "pale": 128 + 0.4 * (fresh - 128),
        "noisy": fresh + 80 * rng(0, "noise").standard_normal(fresh.shape),
        "mean": np.broadcast_to(fresh.mean(0), fresh.shape),
    }[poor]
    how = Setting(policy=tuple(GEOMETRIC))
    changed = np.asarray(samples).clip(0, 255).astype(np.uint8)
    assert leak(changed, real, how, power=False).state == "no"


def test_what_cannot_be_seen_is_named() -> None:
    """Of noise that is alike everywhere, no turn shows; of scenes, it does."""
    state = rng(3, "grain")
    grain = state.randint(0, 256, (200, 16, 16, 3)).astype(np.uint8)
    how = Setting(policy=("quarter_turns", "luma_flip"))
    blind = leak(grain[:60], grain[60:], how)
    assert blind.state == "unknown"
    assert "would not be noticed of: quarter turns, luma flip." in blind.sentence
    sharp = leak(scenes(60, 1), scenes(140), how)
    assert sharp.state == "no"
    assert "(quarter_turns, luma_flip) does not show in the samples." in sharp.sentence
    assert "not be noticed" not in sharp.sentence
    by_case = {each.case: each.found for each in sharp.power}
    assert by_case["100% of real pictures with quarter turns"] == 1
    assert by_case["real pictures as they are"] <= 0.05


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_pictures_and_those_with_alpha(channels: int) -> None:
    def of(images: np.ndarray) -> np.ndarray:
        if channels == 1:
            return images[..., 2:]
        return np.concatenate([images, np.full_like(images[..., :1], 255)], axis=3)

    real, fresh = of(scenes(120)), of(scenes(80, seed=1))
    assert leak(fresh, real, EVERYTHING, power=False).state == "no"
    turned = planted(fresh, ("quarter_turns",), EVERYTHING)
    assert leak(turned, real, EVERYTHING, power=False).state == "yes"


def test_wide_pictures() -> None:
    real, fresh = scenes(120, width=48), scenes(80, seed=1, width=48)
    assert leak(fresh, real, EVERYTHING, power=False).state == "no"
    upside = fresh[:, ::-1, ::-1]
    found = leak(upside, real, Setting(policy=("quarter_turns",)), power=False)
    assert found.state == "yes"
