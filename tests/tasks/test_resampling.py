from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from morelike.tasks.blurring import gaussian
from morelike.tasks.resampling import FILTERS, Filter, resample, shrunk, weights

PILLOW: dict[Filter, Image.Resampling] = {
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZES = [
    ((64, 64), (16, 16)),
    ((37, 50), (13, 20)),
    ((20, 16), (80, 64)),
    ((33, 20), (41, 7)),
    ((5, 7), (2, 3)),
    ((9, 9), (1, 9)),
]


def soft(height: int, width: int, channels: int = 3) -> np.ndarray:
    """(H, W, C) uint8: noise, a little blurred."""
    noise = torch.from_numpy(np.random.default_rng(0).random((1, channels, height, width)))
    blurred = gaussian(noise, torch.tensor([1.0]), 1.0)[0].permute(1, 2, 0)
    return (blurred * 255).round().to(torch.uint8).numpy()


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_as_pillow_does(filter: Filter, before: tuple[int, int], after: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random(before, np.float32)
    expected = Image.fromarray(picture).resize((after[1], after[0]), PILLOW[filter])
    for dtype in (torch.float32, torch.float64):
        found = resample(torch.from_numpy(picture)[None, None].to(dtype), after, filter)
        assert found.dtype == dtype
        assert found[0, 0].numpy() == pytest.approx(np.asarray(expected), abs=2e-6)


@pytest.mark.parametrize("filter", FILTERS)
def test_within_a_level_of_pillow_s_bytes(filter: Filter) -> None:
    picture = soft(60, 44)
    expected = Image.fromarray(picture).resize((11, 15), PILLOW[filter])
    values = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    found = (shrunk(values, 4, filter)[0].permute(1, 2, 0) + 1) * 127.5
    assert np.abs(found.numpy() - np.asarray(expected)).max() <= 1


def test_transparent_pictures_as_pillow_does() -> None:
    picture = soft(64, 64, 4)
    picture[16:40, 16:40, 3] = 0  # with colours below, which must not be seen
    picture[40:, 40:, 3] = 255
    expected = np.asarray(Image.fromarray(picture).resize((16, 16), Image.Resampling.BOX))
    values = torch.from_numpy(picture).permute(2, 0, 1)[None].double() / 127.5 - 1
    found = ((shrunk(values, 4, "area")[0].permute(1, 2, 0) + 1) * 127.5).numpy()
    assert np.abs(found[..., 3] - expected[..., 3]).max() <= 1
    seen = expected[..., 3] > 100
    assert 50 < seen.sum() < 256
    assert np.abs(found - expected)[seen].max() <= 4  # it rounds before it divides by the alpha
    assert np.abs(found - expected)[seen].mean() < 1


def test_area_is_the_mean_of_what_a_pixel_covers() -> None:
    pictures = torch.rand(2, 3, 8, 12)
    expected = pictures.unflatten(3, (3, 4)).unflatten(2, (2, 4)).mean((3, 5))
    assert torch.allclose(resample(pictures, (2, 3), "area"), expected, atol=1e-6)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("before", "after"), [(64, 16), (16, 64), (10, 3), (1, 5), (5, 1)])
def test_flat_pictures_stay_flat(filter: Filter, before: int, after: int) -> None:
    found = weights(before, after, filter)
    assert found.shape == (after, before)
    assert found.sum(1) == pytest.approx(np.ones(after))
    assert found[::-1, ::-1] == pytest.approx(found)  # and the borders are treated alike


def test_overshoot_is_cut_off() -> None:
    edge = torch.ones(1, 1, 32, 32)
    edge[..., :15] = -1
    assert resample(edge, (8, 8), "lanczos").abs().max() > 1.01
    assert shrunk(edge, 4, "lanczos").abs().max() == 1


def test_gradients_pass_though_the_weights_were_made_without() -> None:
    pictures = torch.rand(1, 1, 14, 14, requires_grad=True)
    with torch.inference_mode():
        resample(pictures.detach(), (7, 7), "area")
    resample(pictures, (7, 7), "area").sum().backward()
    assert pictures.grad is not None
    assert torch.allclose(pictures.grad, torch.full((1, 1, 14, 14), 0.25))
