from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from morelike.data import facing as module
from morelike.data.facing import facing
from morelike.data.toys import toy
from morelike.data.traits import thumbs
from proxies import folder


@cache
def bicycles(count: int = 120) -> np.ndarray:
    """Drawn bicycles, all facing right: (count, 32, 32, 3)."""
    return np.stack([drawn.draw() for drawn in toy("bicycles", count, 32)])


@cache
def text(count: int = 120) -> np.ndarray:
    """Lines of letters and digits that do not look the same mirrored."""
    numbers, font = np.random.default_rng(0), ImageFont.load_default(12)
    letters = list("BCDEFGJKLNPQRSZabcdefghjkmnpqrstyz2345679")
    pages = []
    for _ in range(count):
        image = Image.new("RGB", (64, 64), (255, 255, 255))
        for line in range(4):
            words = "".join(numbers.choice(letters, 9))
            ImageDraw.Draw(image).text((2, 2 + 15 * line), words, fill=(0, 0, 0), font=font)
        pages.append(np.asarray(image.resize((32, 32), Image.Resampling.BOX)))
    return np.stack(pages)


def blobs(count: int, seed: int = 0) -> np.ndarray:
    """Smooth random pictures, which face no way."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    resized = [Image.fromarray(one).resize((32, 32), Image.Resampling.BICUBIC) for one in coarse]
    return np.stack([np.asarray(image) for image in resized])


def turned(pictures: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mirror a random share of the pictures, and say which."""
    flipped = np.random.default_rng(seed).random(len(pictures)) < share
    return np.where(flipped[:, None, None, None], pictures[:, :, ::-1], pictures), flipped


def test_things_that_face_one_way_are_found_to() -> None:
    found = facing(bicycles())
    assert found.asymmetric is True
    assert found.consistency >= 0.98
    assert 0.9 < found.low < found.consistency
    assert found.score.shape == (120,)
    assert (found.score > 0).all()
    assert np.median(found.score) == pytest.approx(1, abs=0.15)
    assert found.majority == "right"


def test_letters_do_not_mirror() -> None:
    found = facing(text())
    assert found.asymmetric is True
    assert found.consistency > 0.9


@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_those_that_face_the_other_way_are_found(share: float, seed: int) -> None:
    pictures, flipped = turned(bicycles(), share, seed)
    found = facing(pictures)
    assert np.mean((found.score < 0) == flipped) >= 0.97
    assert found.consistency == pytest.approx(1 - flipped.mean(), abs=0.03)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_set_that_faces_either_way_equally_often_may_be_mirrored(seed: int) -> None:
    pictures = bicycles().copy()
    order = np.random.default_rng(seed).permutation(120)
    pictures[order[:60]] = pictures[order[:60], :, ::-1]
    found = facing(pictures)
    assert found.consistency == pytest.approx(0.5, abs=0.12)
    assert found.asymmetric is False


@pytest.mark.parametrize("seed", range(6))
def test_pictures_that_face_no_way_may_be_mirrored(seed: int) -> None:
    found = facing(blobs(120, seed))
    assert found.asymmetric is False
    assert found.low < 0.5 < found.consistency + 0.15


def test_what_is_its_own_mirror_image_gives_nothing_to_learn() -> None:
    halves = blobs(80)
    found = facing(np.concatenate([halves[:, :, :16], halves[:, :, 15::-1]], axis=2))
    assert found.consistency == 0.5
    assert not found.score.any()
    assert found.asymmetric is False


def test_too_few_cannot_tell() -> None:
    assert facing(blobs(20)).asymmetric is None
    assert facing(text()[:3]).asymmetric is None
    # Copies, mirrored ones too, are no further evidence.
    few = blobs(30)
    assert facing(np.concatenate([few, few[:, :, ::-1]] * 3)).asymmetric is None
    copies = np.repeat(bicycles()[:4], 40, axis=0)
    assert facing(copies).asymmetric is None
    assert facing(copies).low == facing(copies[::40]).low


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_pictures(count: int) -> None:
    found = facing(bicycles()[:count])
    assert found.asymmetric is None
    assert found.score.shape == (count,)
    assert np.isfinite(found.score).all()


def test_anchors_name_the_way() -> None:
    pictures, flipped = turned(bicycles(), 0.2)
    others, most = np.flatnonzero(flipped), np.flatnonzero(~flipped)
    assert facing(pictures, {int(most[0]): "right"}).majority == "right"
    assert facing(pictures, {int(most[0]): "left"}).majority == "left"
    assert facing(pictures, {int(others[0]): "left"}).majority == "right"
    assert facing(pictures, {int(others[0]): "right", int(most[3]): "left"}).majority == "left"
    plain, named = facing(pictures), facing(pictures, {0: "left"})
    assert np.array_equal(plain.score, named.score)


def test_the_order_of_the_pictures_does_not_matter() -> None:
    pictures, _ = turned(bicycles(), 0.2)
    order = np.random.default_rng(0).permutation(len(pictures))
    found, shuffled = facing(pictures), facing(pictures[order])
    assert found.consistency == shuffled.consistency
    assert np.allclose(found.score[order], shuffled.score, atol=1e-4)


def test_a_part_is_enough_to_fit_and_all_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FITTED", 70)
    pictures, flipped = turned(bicycles(), 0.2)
    found = facing(pictures)
    assert found.score.shape == (120,)
    assert np.mean((found.score < 0) == flipped) >= 0.97


def test_a_picture_has_no_say_in_its_own_score(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = text()[:60]
    last = int(np.argmax(module._groups(pictures)))
    found = facing(pictures).score[last]
    monkeypatch.setattr(module, "MOST_FITTED", 59)  # the last group is not fitted to
    assert facing(pictures).score[last] == pytest.approx(found, abs=0.03)


@pytest.mark.shared
def test_real_bicycles_face_one_way_and_roses_do_not(shared: Path) -> None:
    bikes, roses = (thumbs(folder(shared / "data" / name).proxies) for name in ("bikes", "roses"))
    found = facing(bikes)
    assert found.asymmetric is True
    assert found.consistency >= 0.98
    assert facing(roses).asymmetric is False
    assert facing(roses).low < 0.5
    for share in (0.1, 0.3):
        pictures, flipped = turned(bikes, share)
        assert np.mean((facing(pictures).score < 0) == flipped) >= 0.97
    order = np.random.default_rng(0).permutation(len(bikes))[: len(bikes) // 2]
    bikes[order] = bikes[order][:, :, ::-1]
    assert facing(bikes).consistency == pytest.approx(0.5, abs=0.1)
