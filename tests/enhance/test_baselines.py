from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from morelike.enhance.baselines import baselines
from morelike.pictures import to_uint8


def pictures(count: int = 3, channels: int = 3, side: int = 8) -> np.ndarray:
    numbers = np.random.default_rng(channels)
    return numbers.integers(0, 256, (count, side, side, channels), np.uint8)


def values(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [2, 4])
def test_enlargements_are_pillows(channels: int, scale: int) -> None:
    pixels = pictures(channels=channels)
    found = baselines(f"enlarge:{scale}", values(pixels), scale, channels)
    assert list(found) == ["bicubic", "Lanczos"]
    for name, kernel in (
        ("bicubic", Image.Resampling.BICUBIC),
        ("Lanczos", Image.Resampling.LANCZOS),
    ):
        assert found[name].shape == (3, 8 * scale, 8 * scale, channels)
        one = Image.fromarray(pixels[1, ..., 0] if channels == 1 else pixels[1])
        wanted = np.asarray(one.resize((8 * scale, 8 * scale), kernel))
        np.testing.assert_array_equal(found[name][1].squeeze(), wanted)


def test_colours_of_the_mean_are_found_again() -> None:
    """Where every picture is gray, but for one tint at each place, that is the truth."""
    tint = np.zeros((8, 8, 3))
    tint[:4] = (30, 0, -30 * 0.299 / 0.114)  # without luma
    gray = np.random.default_rng(0).integers(90, 160, (5, 8, 8, 1))
    train = np.rint(gray + tint).astype(np.uint8)
    luma = values(np.rint(gray[:2]).astype(np.uint8))
    found = baselines("colorize", luma, 1, 3, train)
    assert list(found) == ["gray", "mean colour"]
    np.testing.assert_array_equal(found["gray"], gray[:2].repeat(3, 3))
    assert np.abs(found["mean colour"].astype(int) - train[:2]).max() <= 1


def test_the_mean_picture_is_the_mean() -> None:
    train = pictures(200)
    found = baselines("from-edges", values(pictures(2, 1)), 1, 3, train)
    assert list(found) == ["edges", "mean picture"]
    assert found["mean picture"].shape == (2, 8, 8, 3)
    wanted = train.astype(float).mean(0)
    assert np.abs(found["mean picture"][1] - wanted).max() <= 0.51
    np.testing.assert_array_equal(found["edges"], pictures(2, 1).repeat(3, 3))


def test_without_training_pictures_there_is_the_input() -> None:
    given = pictures(2, 1)
    for task in ("colorize", "from-edges"):
        found = baselines(task, values(given), 1, 3)
        assert list(found) == ["input"]
        np.testing.assert_array_equal(found["input"], given.repeat(3, 3))
    for task in ("deblur", "pairs"):
        assert (baselines(task, values(pictures()), 1, 3, pictures())["input"] == pictures()).all()


def test_holes_are_filled_with_what_is_around_them() -> None:
    pixels = np.full((2, 16, 16, 3), 200, np.uint8)
    pixels[:, 4:11, 4:11] = (10, 60, 110)
    mask = np.zeros((2, 16, 16), bool)
    mask[:, 6:9, 6:9] = True
    given = torch.cat([values(pixels), 2 * torch.from_numpy(mask)[:, None].float() - 1], 1)
    given[:, :3] *= given[:, 3:] < 0
    (made,) = baselines("inpaint", given, 1, 3).values()
    np.testing.assert_array_equal(made, pixels)
    empty = torch.cat([torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4)], 1)
    assert (
        baselines("inpaint", empty, 1, 3)["colour around"] == to_uint8(torch.zeros(1, 3, 4, 4))
    ).all()
