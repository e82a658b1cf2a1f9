from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from morelike import pictures


def flat(*shades: int, side: int = 4, channels: int = 3) -> np.ndarray:
    """One picture of a single value for each shade."""
    return np.stack([np.full((side, side, channels), shade, np.uint8) for shade in shades])


def test_values_from_minus_one_to_one_become_bytes() -> None:
    values = torch.tensor([-1.0, 1.0, 0.0, -2.0, 2.0, 1 / 255, -1 / 255, 0.5])
    result = pictures.to_uint8(values.reshape(1, 2, 2, 2))
    assert result.dtype == np.uint8
    assert result.shape == (1, 2, 2, 2)
    # 127.5 (x + 1), to the nearest and beyond the ends to the ends; halves go to even.
    assert result.transpose(0, 3, 1, 2).reshape(-1).tolist() == [0, 255, 128, 0, 255, 128, 127, 191]


def test_every_byte_survives_the_way_there_and_back() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    scaled = every.float() / 127.5 - 1
    assert np.array_equal(pictures.to_uint8(scaled)[..., 0], every[0].numpy())
    strided = scaled.to(memory_format=torch.channels_last).requires_grad_()
    assert pictures.to_uint8(strided).flags.c_contiguous


def test_any_channels_become_three() -> None:
    assert np.array_equal(pictures.to_rgb(flat(7, channels=1)), flat(7))
    rgb = flat(9)
    assert pictures.to_rgb(rgb) is rgb
    rgba = np.array([[[200, 100, 0, 51], [1, 2, 3, 0], [1, 2, 3, 255]]], np.uint8)
    assert pictures.to_rgb(rgba).tolist() == [[[244, 224, 204], [255, 255, 255], [1, 2, 3]]]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_grid_goes_along_rows_and_ends_in_white(channels: int) -> None:
    made = flat(10, 20, 30, 40, 50, channels=channels)
    if channels == 4:
        made[..., 3] = 255
    sheet = pictures.grid(made)
    assert sheet.shape == (8, 12, 3)
    shades = [[int(sheet[y, x, 0]) for x in (1, 5, 9)] for y in (1, 5)]
    assert shades == [[10, 20, 30], [40, 50, 255]]
    for number in range(5):
        top, left = number // 3 * 4, number % 3 * 4
        assert (sheet[top : top + 4, left : left + 4] == 10 * (number + 1)).all()


def test_the_columns_and_the_gap_can_be_chosen() -> None:
    sheet = pictures.grid(flat(10, 20, 30, side=5), columns=2, gap=3)
    assert sheet.shape == (13, 13, 3)
    assert (sheet[:5, :5] == 10).all()
    assert (sheet[:5, 5:8] == 255).all()
    assert (sheet[:5, 8:] == 20).all()
    assert (sheet[5:8] == 255).all()
    assert (sheet[8:, :5] == 30).all()
    assert pictures.grid(flat(1, 2, 3), columns=3).shape == (4, 12, 3)
    assert pictures.grid(flat(1)).shape == (4, 4, 3)
    assert pictures.grid(flat(*range(64), side=2)).shape == (16, 16, 3)


def test_two_grids_stand_beside_each_other() -> None:
    both = pictures.beside(flat(10)[0], flat(20)[0], gap=2)
    assert both.shape == (4, 10, 3)
    assert both[0, :, 0].tolist() == [10] * 4 + [32] * 2 + [20] * 4


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_png_files_hold_the_pixels_and_the_notes(tmp_path: Path, channels: int, mode: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 5, channels), dtype=np.uint8)
    notes = {"run": "00001-käse", "seed": "7", "licence": "see the card\nand ask"}
    pictures.write_png(tmp_path / "a.png", picture, notes)
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert (image.format, image.mode, image.size) == ("PNG", mode, (5, 6))
        assert dict(image.text) == notes  # pyright: ignore[reportAttributeAccessIssue]
        assert np.array_equal(np.asarray(image).reshape(6, 5, channels), picture)


def test_png_files_without_notes_and_back(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    pictures.write_png(tmp_path / "a.png", picture)
    assert np.array_equal(pictures.read_png(tmp_path / "a.png"), picture)
    with Image.open(tmp_path / "a.png") as image:
        assert not image.info


def moving(count: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """A bright bar that goes from left to right."""
    frames = [np.full((height, width, 3), 20, np.uint8) for _ in range(count)]
    for number, frame in enumerate(frames):
        frame[:, number * 4 : number * 4 + 6] = (250, 200, 40)
    return frames


def test_a_gif_holds_every_frame_and_rests_on_the_last(tmp_path: Path) -> None:
    frames = moving(9)
    pictures.write_gif(tmp_path / "a.gif", frames, seconds=1.8)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 9  # pyright: ignore[reportAttributeAccessIssue]
        assert image.info["loop"] == 0
        durations = []
        for number, frame in enumerate(frames):
            image.seek(number)
            durations.append(image.info["duration"])
            shown = np.asarray(image.convert("RGB")).astype(int)
            assert np.abs(shown - frame).max() <= 2
        assert durations == [200] * 8 + [2000]


def test_one_frame_makes_a_gif_and_a_film(tmp_path: Path) -> None:
    pictures.write_gif(tmp_path / "a.gif", moving(1))
    pictures.write_mp4(tmp_path / "a.mp4", moving(1))
    with Image.open(tmp_path / "a.gif") as image:
        assert image.size == (48, 32)
    assert len(film(tmp_path / "a.mp4")[1]) == 3  # itself, and a second of rest at 2 a second


def film(path: Path) -> tuple[float, list[np.ndarray]]:
    """Frames a second, and the frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return float(stream.average_rate or 0), frames


def test_a_film_holds_every_frame_and_rests_on_the_last(tmp_path: Path) -> None:
    frames = moving(10)
    pictures.write_mp4(tmp_path / "a.mp4", frames, seconds=2.0)
    rate, shown = film(tmp_path / "a.mp4")
    assert rate == 5
    assert len(shown) == 10 + 5
    for number, frame in enumerate(frames):
        assert np.abs(shown[number].astype(int) - frame).mean() < 12
        bright = shown[number].astype(int).sum(axis=(0, 2)).argmax()
        assert abs(bright - (number * 4 + 3)) <= 3


def test_a_film_of_odd_size_loses_one_line(tmp_path: Path) -> None:
    pictures.write_mp4(tmp_path / "a.mp4", moving(3, height=33, width=47))
    assert film(tmp_path / "a.mp4")[1][0].shape == (32, 46, 3)


def test_the_rate_has_bounds(tmp_path: Path) -> None:
    pictures.write_mp4(tmp_path / "slow.mp4", moving(2), seconds=100)
    assert film(tmp_path / "slow.mp4")[0] == 2
    pictures.write_mp4(tmp_path / "fast.mp4", moving(9), seconds=0.01)
    assert film(tmp_path / "fast.mp4")[0] == 30


def test_a_failed_picture_leaves_the_old_one(tmp_path: Path) -> None:
    pictures.write_gif(tmp_path / "a.gif", moving(2))
    before = (tmp_path / "a.gif").read_bytes()
    with pytest.raises((ValueError, TypeError)):
        pictures.write_gif(tmp_path / "a.gif", [moving(1)[0], np.zeros((3, 3, 7), np.uint8)])
    assert (tmp_path / "a.gif").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
