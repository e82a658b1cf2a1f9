from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morelike.data import outliers as module
from morelike.data.outliers import outliers
from morelike.data.toys import toy
from morelike.data.traits import thumbs
from proxies import folder


@cache
def bicycles(count: int = 120) -> np.ndarray:
    return np.stack([drawn.draw() for drawn in toy("bicycles", count, 32)])


def scenes(count: int) -> np.ndarray:
    """Smooth random pictures, each unlike any other."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    resized = [Image.fromarray(one).resize((32, 32), Image.Resampling.BICUBIC) for one in coarse]
    return np.stack([np.asarray(image) for image in resized])


def planted(odd: np.ndarray) -> tuple[np.ndarray, set[int]]:
    """Bicycles with odd pictures among them, and where these are."""
    pictures = np.concatenate([bicycles(), odd])
    order = np.random.default_rng(1).permutation(len(pictures))
    return pictures[order], set(np.flatnonzero(order >= len(bicycles())).tolist())


def top(score: np.ndarray, count: int) -> set[int]:
    return set(np.argsort(-score)[:count].tolist())


def test_planted_pictures_are_found_first() -> None:
    pictures, where = planted(scenes(6))
    found = outliers(pictures)
    assert top(found.score, 6) == where
    assert top(found.distance, 6) == where
    usual = np.delete(found.distance, list(where))
    assert found.distance[list(where)].min() > 1.5 * usual.max()


def test_a_few_copies_of_an_odd_picture_do_not_hide_it() -> None:
    pictures, where = planted(np.repeat(scenes(1), 4, axis=0))
    assert top(outliers(pictures).score, 4) == where


def test_a_picture_is_no_neighbour_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEIGHBOUR", 1)
    pictures = np.concatenate([bicycles()[:30], bicycles()[7:8]])
    distance = outliers(pictures).distance
    assert np.flatnonzero(distance < 1e-3).tolist() == [7, 30]
    assert np.delete(distance, [7, 30]).min() > 0.1


def test_the_score_is_the_share_of_pictures_that_are_less_odd() -> None:
    found = outliers(bicycles())
    assert sorted(found.score.tolist()) == pytest.approx(np.linspace(0, 1, 120).tolist())
    assert (np.diff(found.distance[np.argsort(found.score)]) >= 0).all()


def test_a_mixture_comes_apart_into_its_modes() -> None:
    negatives = 255 - bicycles(60)[:40, ::-1]
    pictures, where = planted(negatives)
    found = outliers(pictures)
    for number, mode in enumerate(found.modes):
        members = set(np.flatnonzero(found.mode == number).tolist())
        assert mode.size == len(members)
        assert mode.medoid in members
        assert members <= where or not members & where
    assert sum(mode.size for mode in found.modes) == len(pictures)
    assert [mode.size for mode in found.modes] == sorted(
        (mode.size for mode in found.modes), reverse=True
    )


def test_the_same_pictures_give_the_same_result_in_any_order() -> None:
    pictures, _ = planted(scenes(6))
    found, again, backwards = (
        outliers(some) for some in (pictures, pictures.copy(), pictures[::-1].copy())
    )
    assert np.array_equal(found.score, again.score)
    assert np.array_equal(found.mode, again.mode)
    assert found.modes == again.modes
    assert np.allclose(found.distance, backwards.distance[::-1], atol=1e-4)
    assert np.array_equal(found.mode, backwards.mode[::-1])


def test_of_many_pictures_a_part_serves_as_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REFERENCES", 50)
    pictures, where = planted(scenes(4))
    found = outliers(pictures)
    assert len(top(found.score, 8) & where) == 4
    assert np.array_equal(outliers(pictures, seed=0).distance, found.distance)
    assert not np.array_equal(outliers(pictures, seed=1).distance, found.distance)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_hardly_any_pictures(count: int) -> None:
    found = outliers(bicycles()[:count])
    assert len(found.score) == len(found.distance) == len(found.mode) == count
    assert np.isfinite(found.distance).all()
    assert len(found.modes) == min(count, 1)


def test_equal_pictures_are_all_alike() -> None:
    found = outliers(np.repeat(bicycles()[:1], 50, axis=0))
    assert found.distance == pytest.approx(np.zeros(50), abs=1e-3)
    assert found.modes[0].size == 50


@pytest.mark.shared
def test_scenes_and_odd_views_are_the_bicycles_least_like_the_others(shared: Path) -> None:
    bikes = folder(shared / "data" / "bikes")
    lines = Path(__file__).with_name("bikes_on_white.txt").read_text("utf-8").splitlines()
    elsewhere = {i for i, name in enumerate(bikes.names) if name not in lines}
    found = outliers(thumbs(bikes.proxies))
    assert elsewhere <= top(found.score, 10)
    # Seen from the front left, by eye; with those in scenes they make a mode of their own.
    views = {58, 114, 117, 138, 164, 177, 195, 205, 213, 251, 257, 267}
    assert len(top(found.score, 30) & views) >= 9
    odd = set(np.flatnonzero(found.mode == len(found.modes) - 1).tolist())
    assert len(odd & (views | elsewhere)) >= 0.9 * len(odd)
    assert len(odd & (views | elsewhere)) >= 0.9 * len(views | elsewhere)
