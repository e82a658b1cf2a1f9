from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from morelike.data.quality import Quality, judge
from morelike.data.toys import toy
from morelike.data.traits import TRAITS, measure
from proxies import folder

BICYCLES = [drawn.draw() for drawn in toy("bicycles", 12, 64)]


def judged(*pictures: np.ndarray) -> Quality:
    return judge(measure(np.stack(pictures), np.stack(pictures)))


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    image = Image.fromarray(picture)
    small = image.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


def test_good_pictures_have_no_fault() -> None:
    found = judged(*BICYCLES)
    for flags in (found.blank, found.blurred, found.framed):
        assert flags.dtype == bool
        assert not flags.any()


def test_nearly_blank_pictures_are_blank_and_not_blurred() -> None:
    flat = np.full((64, 64, 3), 230, np.uint8)
    dot = flat.copy()
    dot[30:35, 30:35] = 0
    image = Image.fromarray(flat)
    ImageDraw.Draw(image).line((5, 5, 50, 60), fill=(0, 0, 0), width=3)
    y, x = np.mgrid[:64, :64] - 31.5
    bump = np.rint(230 - 28 * np.exp(-(x**2 + y**2) / (2 * 2.6**2))).astype(np.uint8)
    soft = bump[..., None].repeat(3, axis=2)
    found = judged(flat, dot, soft, np.asarray(image))
    assert found.blank.tolist() == [True, True, True, False]
    assert found.blank_score[:2].tolist() == pytest.approx([1, 1 - 25 / 4096])
    assert found.blurred_score[2] > 1.2
    assert not found.blurred.any()


def test_what_was_enlarged_fourfold_or_blurred_is_blurred() -> None:
    assert judged(*(resized(picture, 16) for picture in BICYCLES)).blurred.all()
    blur = ImageFilter.GaussianBlur(2)
    soft = judged(*(np.asarray(Image.fromarray(picture).filter(blur)) for picture in BICYCLES))
    assert soft.blurred.all()
    assert not judged(*(resized(picture, 44) for picture in BICYCLES)).blurred.any()
    faint = [(picture // 4 + 128).astype(np.uint8) for picture in BICYCLES]
    assert not judged(*faint).blurred.any()


def test_a_blurred_ground_behind_a_sharp_subject_is_not_blurred() -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)).copy()
    assert judged(picture).blurred.all()
    picture[20:44, 20:44] = 255 - BICYCLES[0][20:44, 20:44]
    assert not judged(picture).blurred.any()


def test_bars_are_a_frame_and_what_is_cut_off_is_not() -> None:
    scene = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    letterbox, frame, half = scene.copy(), scene.copy(), scene.copy()
    letterbox[:9] = letterbox[-9:] = 0
    frame[:3] = frame[-3:] = frame[:, :3] = frame[:, -3:] = 250
    half[:32] = 250
    found = judged(letterbox, frame, half, scene)
    assert found.framed.tolist() == [True, True, False, False]
    assert found.framed_score[0] > 0.9


def test_no_pictures() -> None:
    found = judge(np.empty(0, TRAITS))
    assert all(len(values) == 0 for values in found)


@pytest.mark.shared
def test_real_sets_of_good_pictures_keep_nearly_all(shared: Path) -> None:
    for name in ("bikes", "roses", "dogs64.zip"):
        pictures = folder(shared / "data" / name)
        found = judge(measure(pictures.proxies, pictures.pixels))
        assert not found.blank.any(), name
        assert not found.blurred.any(), name
        assert found.framed.mean() <= 0.02, name
    soft = np.stack([resized(picture, 16) for picture in pictures.pixels])
    assert judge(measure(pictures.proxies, soft)).blurred.mean() > 0.97
