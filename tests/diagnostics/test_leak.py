from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from morelike.augment import NUMBERS
from morelike.diagnostics.leak import Setting, _tail, leak, planted, unusual
from morelike.diagnostics.marks import colors, squares, strips
from morelike.rng import rng

EVERYTHING = Setting()


@cache
def pictures(count: int, seed: int = 0, white: bool = False, side: int = 32) -> np.ndarray:
    """Discs on a plain ground of any colour, or on white, with some noise."""
    state = rng(seed, "pictures", white)
    y, x = np.mgrid[0:side, 0:side] / side
    images = np.empty((count, side, side, 3))
    for image in images:
        ground = np.full(3, 255.0) if white else state.randint(0, 256, 3)
        image[:] = ground
        where = (x - state.uniform(0.3, 0.7)) ** 2 + (y - state.uniform(0.3, 0.7)) ** 2
        image[where < state.uniform(0.02, 0.1)] = state.randint(0, 256, 3)
        if not white:
            image += 8 * state.standard_normal(image.shape)
    return images.clip(0, 255).round().astype(np.uint8)


def mixed(images: np.ndarray, changed: np.ndarray, share: float) -> np.ndarray:
    result = images.copy()
    count = round(share * len(images))
    result[:count] = changed[:count]
    return result


def test_strips_have_their_depth() -> None:
    images = np.full((5, 32, 32, 3), 255, dtype=np.uint8)
    images[1, :3] = 128
    images[2, :, -4:] = 127
    images[3, -1:] = 135
    images[4, :6] = 127
    assert strips(images).tolist() == [0, 0.75, 1, 0.25, 0]
    assert strips(images, 0.25).tolist() == [0, 3 / 8, 0.5, 1 / 8, 0.75]


def test_a_gray_ground_and_a_faint_picture_have_no_strip() -> None:
    gray = np.full((2, 32, 32, 3), 127, dtype=np.uint8)
    gray[1, 2:] += np.uint8(20)
    assert strips(gray).tolist() == [0, 0]
    gray[1, 2:] += np.uint8(20)
    assert strips(gray).tolist() == [0, 0.5]


def test_squares_are_found_wherever_they_are_cut() -> None:
    images = pictures(40).copy()
    cut = planted(images, ("cutout",), EVERYTHING)
    assert (squares(cut) >= 0.9).all()
    assert (squares(images) == 0).all()
    assert squares(np.full((1, 32, 32, 3), 127, dtype=np.uint8)).tolist() == [0]


def test_colours_are_what_colour_changes() -> None:
    image = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    image[:, :2] = (90, 120, 150)
    image[:, 2:] = (30, 60, 90)
    brightness, saturation, contrast = colors(image)[0]
    assert brightness == pytest.approx(90)
    assert saturation == pytest.approx(np.sqrt(600))
    assert contrast == pytest.approx(30)
    gray = np.repeat(image[..., :1], 3, axis=3)
    assert colors(gray)[0, 1] == 0


def test_planted_pictures_are_what_training_shows() -> None:
    import torch

    from morelike.augment import augment

    images = pictures(3)
    numbers = torch.from_numpy(rng(4, "planted", "translation").random_sample((3, NUMBERS))).float()
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    seen = augment(scaled, numbers, ("translation",), 0.25)
    expected = (seen + 1).mul(127.5).round().permute(0, 2, 3, 1).numpy()
    how = Setting(translation=0.25)
    assert np.array_equal(planted(images, ("translation",), how, seed=4), expected)


def test_the_null_is_that_of_more_pictures_of_the_set() -> None:
    state = rng(0, "null")
    k, real, count, trials = 2, 80, 30, 4000
    beyond = np.empty(trials, dtype=int)
    for trial in range(trials):
        values = state.standard_normal(real + count)
        line = np.sort(values[:real])[-k]
        beyond[trial] = (values[real:] > line).sum()
    tail = _tail(count, k, real + 1 - k)
    assert tail[0] == pytest.approx(1)
    for most in (1, 2, 4):
        assert (beyond >= most).mean() == pytest.approx(tail[most], abs=0.025)


def test_real_pictures_are_rarely_unusual() -> None:
    state = rng(1, "null")
    chances = []
    for _ in range(300):
        above, below = unusual(
            "contrast", state.standard_exponential(40), state.standard_exponential(60)
        )
        chances.append((above.chance < 0.05, below.chance < 0.05))
    assert np.mean(chances, axis=0).max() < 0.08


@pytest.mark.parametrize("white", [False, True])
@pytest.mark.parametrize("share", [1.0, 0.2])
@pytest.mark.parametrize("part", ["translation", "cutout"])
def test_what_is_planted_is_found(part: str, share: float, white: bool) -> None:
    real, fresh = pictures(120, white=white), pictures(100, seed=1, white=white)
    samples = mixed(fresh, planted(fresh, (part,), EVERYTHING), share)
    found = leak(samples, real, EVERYTHING, power=False)
    assert (found.topic, found.state) == ("leak", "yes")
    assert part in found.remedy
    assert "color" not in found.remedy
    (panel,) = found.panels
    assert len(panel.columns) == len(panel.pictures) == 3
    assert len({len(each) for each in (*panel.pictures, panel.captions)}) == 1


def test_colours_that_leak_are_found() -> None:
    real, fresh = pictures(120, white=True), pictures(100, seed=1, white=True)
    found = leak(planted(fresh, ("color",), EVERYTHING), real, EVERYTHING, power=False)
    assert found.state == "yes"
    assert found.remedy.startswith("Take color out of augment.policy")


@pytest.mark.parametrize("white", [False, True])
def test_untouched_pictures_are_left_alone(white: bool) -> None:
    real = pictures(120, white=white)
    for seed in range(1, 9):
        assert leak(pictures(100, seed, white), real, EVERYTHING, power=False).state == "no"


def test_pale_pictures_are_poor_and_no_leak() -> None:
    real, fresh = pictures(120), pictures(100, seed=1)
    pale = (128 + 0.6 * (fresh.astype(float) - 128)).astype(np.uint8)
    assert leak(pale, real, Setting(policy=("color",)), power=False).state == "no"


def test_a_few_dark_pictures_are_no_leak() -> None:
    real, fresh = pictures(120, white=True), pictures(100, seed=1, white=True)
    dark = mixed(fresh, (fresh * 0.5).astype(np.uint8), 0.45)
    found = leak(dark, real, Setting(policy=("color",)), power=False)
    below = next(each for each in found.figures if each.name.startswith("brightness below"))
    assert below.value > 0.4
    assert found.state == "no"


def test_only_what_was_trained_with_can_leak() -> None:
    real, fresh = pictures(120), pictures(100, seed=1)
    shifted = planted(fresh, ("translation",), EVERYTHING)
    assert leak(shifted, real, Setting(policy=()), power=False).state == "no"
    assert leak(shifted, real, Setting(policy=("cutout",)), power=False).state == "no"
    assert leak(shifted[:5], real, EVERYTHING, power=False).state == "unknown"


def test_the_power_is_that_of_these_pictures() -> None:
    real = pictures(120, white=True)
    how = Setting(policy=("translation", "color"))
    found = leak(pictures(100, 1, white=True), real, how)
    assert [each.expected for each in found.power] == [False, True, True, True, True]
    by_case = {each.case: each.found for each in found.power}
    assert by_case["real pictures as they are"] <= 0.05
    assert by_case["100% of real pictures with translation"] == 1
    assert by_case["20% of real pictures with translation"] == 1
    for part in ("color", "translation"):
        all_of_them, some = (by_case[f"{n}% of real pictures with {part}"] for n in (100, 20))
        assert 0 < all_of_them >= some


def test_gray_pictures_have_no_saturation() -> None:
    real, fresh = pictures(60)[..., :1], pictures(60, 1)[..., :1]
    found = leak(fresh, real, EVERYTHING, power=False)
    assert not any("saturation" in each.name for each in found.figures)
    assert leak(planted(fresh, ("cutout",), EVERYTHING), real, EVERYTHING).state == "yes"


@pytest.mark.shared
def test_bicycles_on_white_are_left_alone_and_shifted_ones_found(shared: Path) -> None:
    from PIL import Image

    files = sorted((shared / "data" / "bikes").glob("*"))[:160]
    images = np.stack(
        [np.asarray(Image.open(file).convert("RGB").resize((32, 32))) for file in files]
    )
    order = rng(0, "split").permutation(len(images))
    real, fresh = images[order[:110]], images[order[110:]]
    assert leak(fresh, real, EVERYTHING, power=False).state == "no"
    for part in ("translation", "cutout"):
        samples = mixed(fresh, planted(fresh, (part,), EVERYTHING), 0.2)
        assert leak(samples, real, EVERYTHING, power=False).state == "yes"
