from __future__ import annotations

import io
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morelike.data import duplicates, likeness
from morelike.data.duplicates import Group, best_copy, exact_groups, near_groups
from morelike.data.toys import toy

COUNT = 120
COPIES = ("mirrored", "cropped", "jpeg", "half", "cropped and mirrored")
EACH = 8


@cache
def bicycle(index: int) -> np.ndarray:
    return next(toy("bicycles", 1, 128, seed=index)).draw()


@cache
def scene(index: int) -> np.ndarray:
    """A colourful picture full of edges, (96, 128, 3): discs and bars on a gradient."""
    random = np.random.default_rng(index)
    y, x = np.mgrid[0:96, 0:128] / 128
    low, high = random.integers(0, 256, (2, 3))
    slope = random.random(2)
    picture = low + (high - low) * (slope[0] * x + slope[1] * y)[..., None]
    for _ in range(12):
        left, top, width, height = random.random(4) * (1, 0.75, 0.3, 0.3)
        inside = (np.abs(x - left) < width / 2) & (np.abs(y - top) < height / 2)
        picture[inside] = random.integers(0, 256, 3)
        left, top, radius = random.random(3) * (1, 0.75, 0.15)
        picture[(x - left) ** 2 + (y - top) ** 2 < radius**2] = random.integers(0, 256, 3)
    return picture.astype(np.uint8)


def thumb(picture: np.ndarray) -> np.ndarray:
    small = Image.fromarray(picture).resize((64, 64), Image.Resampling.BOX)
    return np.rint(np.asarray(small, float).reshape(32, 2, 32, 2, 3).mean((1, 3))).astype(np.uint8)


def copied(picture: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    if kind.startswith("cropped"):
        h, w = round(0.9 * height), round(0.9 * width)
        top, left = random.integers(height - h + 1), random.integers(width - w + 1)
        picture = picture[top : top + h, left : left + w]
    if kind.endswith("mirrored"):
        picture = picture[:, ::-1]
    image = Image.fromarray(picture)
    if kind == "jpeg":
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=30)
        image = Image.open(buffer)
    elif kind == "half":
        image = image.resize((width // 2, height // 2))
    return np.asarray(image)


@cache
def planted() -> np.ndarray:
    """COUNT scenes and EACH copies of every kind, of the first scenes in turn."""
    random = np.random.default_rng(0)
    thumbs = [thumb(scene(index)) for index in range(COUNT)]
    for index in range(EACH * len(COPIES)):
        kind = COPIES[index // EACH]
        thumbs.append(thumb(copied(scene(index), kind, random)))
    return np.stack(thumbs)


def members(groups: list[Group]) -> set[tuple[int, ...]]:
    return {group.members for group in groups}


def noisy(thumbs: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-2, 3, thumbs.shape)
    return (thumbs.astype(int) + noise).clip(0, 255).astype(np.uint8)


def test_planted_copies_are_found_and_nothing_else() -> None:
    groups = near_groups(planted())
    assert members(groups) == {(index, COUNT + index) for index in range(EACH * len(COPIES))}
    for group in groups:
        (pair,) = group.pairs
        assert pair[:2] == group.members
        assert 0 <= pair.distance <= 1
        kind = COPIES[group.members[0] // EACH]
        assert pair.relation == {"jpeg": "same", "half": "same"}.get(kind, kind)


def test_bicycles_on_white_are_not_copies_of_one_another_but_of_their_own_copies() -> None:
    random = np.random.default_rng(0)
    thumbs = [thumb(bicycle(index)) for index in range(60)]
    copies = [thumb(copied(bicycle(i), kind, random)) for i, kind in enumerate(COPIES)]
    assert near_groups(np.stack(thumbs)) == []
    expected = {(index, 60 + index) for index in range(len(COPIES))}
    assert members(near_groups(np.stack(thumbs + copies))) == expected


def test_the_order_of_the_pictures_does_not_matter() -> None:
    order = np.random.default_rng(1).permutation(len(planted()))
    shuffled = near_groups(planted()[order])
    distances = {
        frozenset((int(order[p.first]), int(order[p.second]))): p.distance
        for group in shuffled
        for p in group.pairs
    }
    assert distances == {
        frozenset((p.first, p.second)): p.distance for g in near_groups(planted()) for p in g.pairs
    }
    assert shuffled == sorted(shuffled)


def test_small_blocks_give_the_same_as_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = near_groups(planted())
    for name, value in {"CHUNK": 7, "BLOCK": 100, "PAIRS": 3}.items():
        monkeypatch.setattr(duplicates if name == "PAIRS" else likeness, name, value)
    found = near_groups(planted())
    assert members(found) == members(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.pairs[0].distance == pytest.approx(other.pairs[0].distance, abs=1e-3)


def test_buckets_find_nearly_all(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = members(near_groups(planted()))
    monkeypatch.setattr(likeness, "BRUTE", 0)
    monkeypatch.setattr(likeness, "BUCKET", 10)
    found = members(near_groups(planted()))
    assert found <= expected
    assert len(found) >= 0.9 * len(expected)


@pytest.mark.parametrize("kind", COPIES)
def test_two_pictures_are_enough(kind: str) -> None:
    copy = copied(scene(0), kind, np.random.default_rng(0))
    assert members(near_groups(np.stack([thumb(scene(0)), thumb(copy)]))) == {(0, 1)}
    assert near_groups(np.stack([thumb(scene(0)), thumb(scene(1))])) == []


def test_fewer_than_two_have_no_copies() -> None:
    assert near_groups(np.stack([thumb(scene(0))])) == []
    assert near_groups(np.empty((0, 32, 32, 3), np.uint8)) == []


def test_equal_thumbnails_are_one_group_with_a_pair_each() -> None:
    thumbs = np.repeat(thumb(scene(0))[None], 3000, axis=0)
    (group,) = near_groups(thumbs)
    assert group.members == tuple(range(3000))
    assert [pair[:3] for pair in group.pairs] == [(0, index, 0.0) for index in range(1, 3000)]


def test_nearly_equal_thumbnails_do_not_explode() -> None:
    groups = near_groups(noisy(np.repeat(thumb(scene(0))[None], 100, axis=0)))
    assert sum(len(group.members) for group in groups) >= 90
    assert sum(len(group.pairs) for group in groups) < 100 * likeness.NEIGHBOURS


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pictures_are_not_judged(level: int) -> None:
    blank = np.full((500, 32, 32, 3), level, np.uint8)
    assert near_groups(blank) == []
    assert near_groups(noisy(blank)) == []
    mixed = np.concatenate([noisy(blank), planted()])
    shifted = {tuple(i + 500 for i in found) for found in members(near_groups(planted()))}
    assert members(near_groups(mixed)) == shifted


def test_equal_copies_stay_with_a_group_whose_centre_is_another() -> None:
    random = np.random.default_rng(3)
    copies = [thumb(copied(scene(0), kind, random)) for kind in ("cropped", "jpeg", "half")]
    thumbs = np.stack([copies[0], *copies, thumb(scene(0)), thumb(scene(1))])
    assert members(near_groups(thumbs)) == {(0, 1, 2, 3, 4)}


def test_a_chain_of_small_steps_is_cut() -> None:
    wide = np.concatenate([scene(index) for index in range(5)], axis=1)
    frames = np.stack([thumb(wide[:, left : left + 96]) for left in range(0, 500, 3)])
    others = np.stack([thumb(scene(index)) for index in range(100, 160)])
    groups = near_groups(np.concatenate([frames, others]))
    assert groups
    for group in groups:
        assert len(group.pairs) >= len(group.members) - 1
        steps = (group.members[-1] - group.members[0]) * 3
        assert steps <= 2 * duplicates.FARTHEST * 96


def test_a_smaller_limit_finds_less() -> None:
    distances = [pair.distance for group in near_groups(planted()) for pair in group.pairs]
    middle = float(np.median(distances))
    fewer = [p.distance for group in near_groups(planted(), middle) for p in group.pairs]
    assert sorted(fewer) == pytest.approx(sorted(d for d in distances if d <= middle))


def test_a_memory_map_is_read_in_pieces(tmp_path: Path) -> None:
    np.save(tmp_path / "thumbs.npy", planted())
    mapped = np.load(tmp_path / "thumbs.npy", mmap_mode="r")
    assert near_groups(mapped) == near_groups(planted())


def test_memory_grows_little_with_the_number_of_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(likeness, "CHUNK", 128)
    monkeypatch.setattr(likeness, "BLOCK", 2**14)
    monkeypatch.setattr(likeness, "SAMPLE", 64)
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (2000, 8, 8, 3), dtype=np.uint8)
    thumbs = coarse.repeat(4, axis=1).repeat(4, axis=2)
    peaks = []
    for count in (500, 2000):
        tracemalloc.start()
        assert near_groups(thumbs[:count]) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 1500 < 2000  # bytes a picture; a row of cosines has 8,000


def test_equal_digests_are_grouped() -> None:
    assert exact_groups(["a", "b", "a", "c", "b", "a"]) == [(0, 2, 5), (1, 4)]
    assert exact_groups(["a", "b"]) == []
    assert exact_groups([]) == []


def test_the_largest_copy_is_kept_and_then_the_first_name() -> None:
    keys = ["d", "c", "b", "a"]
    assert best_copy([0, 1, 2], [10, 30, 20, 99], keys) == 1
    assert best_copy([0, 1, 2], [30, 30, 20, 99], keys) == 1
    assert best_copy((0, 1, 3), [(30, 5), (30, 7), (9, 9), (30, 6)], keys) == 1
    assert best_copy((0, 1, 3), [(30, 7), (30, 7), (9, 9), (30, 7)], keys) == 3


@pytest.mark.shared
def test_the_three_exact_copies_among_the_roses_are_found(shared: Path) -> None:
    paths = sorted((shared / "data" / "roses").iterdir())
    thumbs = np.stack([thumb(np.asarray(Image.open(p).convert("RGB"))) for p in paths])
    groups = near_groups(thumbs)
    assert sum(group.pairs[0].distance == 0 for group in groups) == 3
    assert len(groups) == 4  # and one picture in two sizes
