from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from morelike.data.item import Rejection
from morelike.enhance.given import Given, derived, given, is_gray, luma, spread
from morelike.enhance.model import Model
from morelike.rng import SeedDraws
from morelike.tasks import Task
from morelike.tasks.masks import with_holes
from morelike.tasks.resampling import shrunk


def model(task: str = "deblur", takes: int = 3, gives: int = 3, scale: int = 1) -> Model:
    """Nearest pixels; of a mask nothing."""

    def network(shown: Tensor) -> Tensor:
        large = shown.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
        return large[:, :1].expand(-1, gives, -1, -1) if takes == 1 else large[:, :gives]

    keeps_gray = task not in ("colorize", "from-edges")
    return Model("nearest", task, network, takes, gives, scale, keeps_gray=keeps_gray)


def through(shown: Given, own: Model) -> np.ndarray:
    made = own.network(shown.prepare(shown.values)[None])[0]
    half = own.scale * (shown.values.shape[1] // 2)
    top, bottom = shown.finished(made[:, :half], 0), shown.finished(made[:, half:], half)
    whole = np.concatenate([top, bottom])
    assert whole.shape == shown.shape
    return whole


def colours(height: int = 8, width: int = 10) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_picture_stays_as_it_is() -> None:
    pixels = colours()
    shown = given(Image.fromarray(pixels), model())
    assert shown.values.dtype == torch.uint8  # a quarter of what float32 would take
    np.testing.assert_array_equal(through(shown, model()), pixels)
    np.testing.assert_array_equal(shown.picture(), pixels)


def test_gray_stays_gray_through_colours() -> None:
    gray = colours()[..., 0]
    for image in (Image.fromarray(gray), Image.fromarray(gray).convert("RGB")):
        shown = given(image, model())
        assert shown.values.shape == (3, 8, 10)
        np.testing.assert_array_equal(through(shown, model())[..., 0], gray)
        assert shown.shape == (8, 10, 1)


def test_what_is_coloured_is_not_made_gray() -> None:
    own = model("colorize", takes=1)
    shown = given(Image.fromarray(colours()[..., 0]), own)
    assert shown.shape == (8, 10, 3)
    assert through(shown, own).shape == (8, 10, 3)


def test_colours_become_luma_for_one_channel() -> None:
    pixels = colours()
    own = model("colorize", takes=1)
    shown = given(Image.fromarray(pixels), own)
    wanted = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_array_equal(shown.values[0].numpy(), wanted)
    np.testing.assert_array_equal(luma(pixels)[..., 0], wanted)
    one = model(takes=1, gives=1)
    assert through(given(Image.fromarray(pixels), one), one).shape == (8, 10, 1)


def test_alpha_is_enlarged_as_pillow_does_it() -> None:
    own = model("enlarge:4", scale=4)
    alpha = np.zeros((8, 10), np.uint8)
    alpha[2:7, 3:8] = 255
    alpha[3, 4] = 100
    image = Image.fromarray(np.dstack([colours(), alpha]))
    made = through(given(image, own), own)
    wanted = Image.fromarray(alpha).resize((40, 32), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(made[..., 3], np.asarray(wanted))
    gray = Image.merge("RGBA", [Image.fromarray(colours()[..., 0])] * 3 + [Image.fromarray(alpha)])
    assert given(gray, own).shape == (32, 40, 2)


def test_an_opaque_alpha_is_none() -> None:
    opaque = np.dstack([colours(), np.full((8, 10), 255, np.uint8)])
    assert given(Image.fromarray(opaque), model()).shape == (8, 10, 3)


def test_no_dark_rim_is_made_under_transparency() -> None:
    """A light disc on nothing: what programs leave there is black."""
    y, x = np.mgrid[0:40, 0:40] - 19.5
    disc = y**2 + x**2 < 144
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[disc] = (240, 200, 180, 255)
    shown = given(Image.fromarray(pixels), model())
    np.testing.assert_allclose(shown.values.numpy()[0], 240, atol=1)
    np.testing.assert_allclose(shown.values.numpy()[2], 180, atol=1)


def test_colours_spread_from_what_is_near() -> None:
    pixels = np.zeros((33, 21, 3), np.uint8)
    known = np.zeros((33, 21), bool)
    pixels[:4], known[:4] = (200, 0, 0), True
    pixels[-4:], known[-4:] = (0, 0, 100), True
    made = spread(pixels, known)
    np.testing.assert_array_equal(made[known], pixels[known])
    assert made[4, :, 0].min() > 150 and made[4, :, 2].max() < 20
    assert made[-5, :, 2].min() > 75 and made[-5, :, 0].max() < 40
    down = made[:, 10, 0].astype(int)
    assert (np.diff(down) <= 0).all() and down[0] == 200 and down[-1] == 0
    np.testing.assert_array_equal(spread(pixels, np.zeros_like(known)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3)], ids=str)
def test_colours_spread_in_pictures_of_any_size(size: tuple[int, int]) -> None:
    known = np.zeros(size, bool)
    known[0, 0] = True
    pixels = np.full((*size, 3), 9, np.uint8)
    pixels[0, 0] = 77
    assert (spread(pixels, known) == 77).all()


def test_a_model_that_knows_alpha_is_shown_it() -> None:
    own = model("enlarge:2", takes=4, gives=4, scale=2)
    pixels = np.dstack([colours(), np.full((8, 10), 255, np.uint8)])
    pixels[:3, :, 3] = 0
    made = through(given(Image.fromarray(pixels), own), own)
    assert made.shape == (16, 20, 4)
    assert not made[:6].any()  # as transparent pixels are in training
    np.testing.assert_array_equal(made[6::2, ::2], pixels[3:])
    assert through(given(Image.fromarray(colours()), own), own).shape == (16, 20, 3)


def test_a_drawing_on_glass_is_one_on_paper() -> None:
    own = model("from-edges", takes=1)
    drawing = np.zeros((6, 6, 4), np.uint8)
    drawing[3, :, 3] = 255
    shown = given(Image.fromarray(drawing), own)
    wanted = np.full((6, 6), 255)
    wanted[3] = 0
    np.testing.assert_array_equal(shown.values[0].numpy(), wanted)
    assert shown.shape == (6, 6, 3)


@pytest.mark.parametrize("gives", [1, 3])
def test_only_transparent_pixels_are_filled(gives: int) -> None:
    def network(shown: Tensor) -> Tensor:
        assert not shown[:, :-1][(shown[:, -1:] > 0).expand(-1, gives, -1, -1)].any()
        assert set(shown[:, -1].unique().tolist()) == {-1, 1}
        return torch.full((1, gives, *shown.shape[2:]), 1.0)

    own = Model("white", "inpaint", network, gives + 1, gives)
    pixels = np.dstack([colours(), np.full((8, 10), 255, np.uint8)])
    pixels[2:5, 3:6, 3] = 0
    pixels[6, 6, 3] = 128  # half of its colour is gone
    made = through(given(Image.fromarray(pixels), own), own)
    holes = pixels[..., 3] < 255
    known = pixels[..., :3] if gives == 3 else luma(pixels[..., :3])
    assert made.shape == (8, 10, gives)
    assert (made[holes] == 255).all()
    np.testing.assert_array_equal(made[~holes], known[~holes])


def test_without_a_hole_there_is_nothing_to_fill() -> None:
    own = model("inpaint", takes=4)
    for mode in ("L", "RGB", "RGBA"):
        with pytest.raises(Rejection, match="no transparent pixels to fill in; erase what is to"):
            given(Image.fromarray(colours()).convert(mode), own)


def deriving(own: Model, task: Task) -> Model:
    return Model(**{**vars(own), "learnt": task})


def test_inputs_are_derived_as_in_training() -> None:
    task = Task("enlarge:2", 3, 2, lambda pictures, _: shrunk(pictures, 2, "lanczos"))
    own = deriving(model("enlarge:2", scale=2), task)
    pixels = colours(9, 11)
    shown = derived(Image.fromarray(pixels), own, 5)
    assert shown.shape == (8, 10, 3)
    target = torch.from_numpy(pixels[:8, :10].transpose(2, 0, 1))[None] / 127.5 - 1
    wanted = shrunk(target, 2, "lanczos")[0]
    torch.testing.assert_close(shown.values, wanted)
    assert shown.picture().shape == (4, 5, 3)
    with pytest.raises(Rejection, match="10 x 1 pixels are too few to be made smaller"):
        derived(Image.fromarray(colours(1, 10)), own, 0)


def test_holes_are_derived_and_filled() -> None:
    task = Task("inpaint", 4, 1, with_holes)
    own = deriving(model("inpaint", takes=4), task)
    pixels = colours(32, 40)
    shown = derived(Image.fromarray(pixels), own, 5)
    mask = with_holes(torch.zeros(1, 3, 32, 40), SeedDraws([5], torch.device("cpu")))[0, -1] > 0
    picture, made = shown.picture(), through(shown, own)
    np.testing.assert_array_equal(picture[..., 3] == 0, mask.numpy())
    np.testing.assert_array_equal(made[~mask.numpy()], pixels[~mask.numpy()])
    np.testing.assert_allclose(made[mask.numpy()], 127.5, atol=0.5)
    other = derived(Image.fromarray(pixels), own, 6)
    assert not torch.equal(other.values[-1], shown.values[-1])


def test_targets_with_transparency_are_laid_on_white() -> None:
    task = Task("deblur", 3, 1, lambda pictures, _: pictures)
    clear = np.zeros((4, 4, 4), np.uint8)
    shown = derived(Image.fromarray(clear), deriving(model(), task), 0)
    assert (shown.picture() == 255).all() and shown.shape == (4, 4, 1)


def test_what_gray_is() -> None:
    assert is_gray(np.zeros((2, 2, 1), np.uint8)) and is_gray(np.full((2, 2, 3), 9, np.uint8))
    assert not is_gray(colours())
