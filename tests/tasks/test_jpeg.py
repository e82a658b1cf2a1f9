from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from morelike.tasks.blurring import gaussian
from morelike.tasks.jpeg import OF_CHROMA, OF_LUMA, jpeg, tables


def drawn(height: int, width: int, channels: int) -> np.ndarray:
    """(H, W, C) uint8: a disc on a gradient, with grain."""
    numbers = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / max(height, width)
    colors = np.stack([y, x, 1 - y], 2)
    colors[(y - 0.5) ** 2 + (x - 0.4) ** 2 < 0.05] = (0.9, 0.2, 0.1)
    grainy = colors + numbers.normal(0, 0.02, colors.shape)
    return (grainy.clip(0, 1)[..., :channels] * 255).round().astype(np.uint8)


def tensor(pictures: np.ndarray, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(pictures).permute(2, 0, 1)[None].to(dtype) / 127.5 - 1


def levels(values: Tensor) -> np.ndarray:
    return ((values[0].permute(1, 2, 0) + 1) * 127.5).numpy()


def by_pillow(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture.squeeze()).save(file, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(file), np.float64).reshape(picture.shape)


@pytest.mark.parametrize("quality", [10, 30, 50, 75, 95])
@pytest.mark.parametrize(("height", "width", "channels"), [(64, 48, 3), (61, 83, 3), (39, 50, 1)])
def test_as_pillow_does(quality: int, height: int, width: int, channels: int) -> None:
    picture = drawn(height, width, channels)
    expected = by_pillow(picture, quality)
    done = np.abs(expected - picture).mean()
    for dtype in (torch.float32, torch.float64):
        found = levels(jpeg(tensor(picture, dtype), torch.tensor([float(quality)])))
        # libjpeg calculates in whole numbers.
        assert np.abs(found - expected).mean() < 0.25 * done
        assert np.abs(found - expected).max() < 30


def test_tables_follow_the_quality() -> None:
    luma, chroma, other = tables(torch.tensor([50.0]), 3)[0]
    assert torch.equal(luma, torch.tensor(OF_LUMA).float())
    assert torch.equal(chroma, torch.tensor(OF_CHROMA).float()) and torch.equal(other, chroma)
    for quality in (1, 30, 62, 95, 100):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
        own = getattr(Image.open(file), "quantization")  # noqa: B009  # only JPEG's have it
        found = tables(torch.tensor([float(quality)]), 3)[0]
        for number in (0, 1):
            assert sorted(found[number].flatten().tolist()) == sorted(own[number])


def test_each_picture_has_its_own_quality() -> None:
    pictures = tensor(drawn(24, 24, 3)).repeat(3, 1, 1, 1)
    qualities = torch.tensor([30.0, 60.0, 95.0])
    found = jpeg(pictures, qualities)
    away = (found - pictures).abs().mean((1, 2, 3)).tolist()
    assert away == sorted(away, reverse=True) and away[0] > 2 * away[2]
    for row in range(3):
        assert torch.equal(jpeg(pictures[row : row + 1], qualities[row : row + 1]), found[[row]])


@pytest.mark.parametrize("value", [-1.0, 1.0, 0.2])
@pytest.mark.parametrize("quality", [30.0, 50.0, 95.0])
def test_flat_pictures_stay_flat_to_what_the_table_can_tell(value: float, quality: float) -> None:
    found = jpeg(torch.full((1, 3, 5, 9), value), torch.tensor([quality]))
    assert found.unique().numel() <= 3 and (found - value).abs().max() < 0.035
    gray = np.full((16, 16, 1), round((value + 1) * 127.5), np.uint8)
    expected = by_pillow(gray, int(quality))
    assert levels(jpeg(tensor(gray), torch.tensor([quality]))) == pytest.approx(expected, abs=0.01)


def test_what_is_smooth_survives_what_is_fine_does_not() -> None:
    noise = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)).double() - 0.5
    smooth = gaussian(noise, torch.tensor([3.0]), 3.0) * 4
    low = torch.tensor([30.0])
    assert (jpeg(smooth, low) - smooth).std() < 0.2 * smooth.std()
    fine = noise * 0.1
    assert jpeg(fine, low).std() < 0.5 * fine.std()
