"""Where the time goes: the parts are those of the loop and of a step, and nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import morelike
from morelike.training.clock import Clock
from morelike.training.step import PARTS


def test_each_part_counts_its_own_time() -> None:
    clock = Clock()
    with clock("outer"):
        time.sleep(0.02)
        with clock("inner"):
            time.sleep(0.05)
    with clock("inner"):
        time.sleep(0.01)
    assert clock.seconds["outer"] == pytest.approx(0.02, abs=0.015)
    assert clock.seconds["inner"] == pytest.approx(0.06, abs=0.02)
    assert list(clock.shares()) == ["inner", "outer"]
    assert sum(clock.shares().values()) == pytest.approx(1)
    assert Clock().shares() == {}


def test_time_counts_though_something_went_wrong() -> None:
    clock = Clock()
    with pytest.raises(KeyError), clock("part"):
        raise KeyError
    assert list(clock.seconds) == ["part"]


def test_a_profile_has_all_parts_and_leaves_nothing(
    tmp_path: Path,
    write_pictures: Callable[..., Path],
    tiny: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_pictures(tmp_path / "photos", 12)
    before = sorted(tmp_path.rglob("*"))
    found = morelike.profile(source, **tiny)
    assert sorted(tmp_path.rglob("*")) == before
    assert {"steps", "grids and frames", "records", "checkpoints"} <= set(found.loop)
    assert sum(found.loop.values()) == pytest.approx(1)
    assert tuple(found.step) == PARTS
    assert sum(found.step.values()) == pytest.approx(1)
    assert "aten::convolution_backward" in {one.name for one in found.operators}
    shares = [one.share for one in found.operators]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) < 1.05
    assert found.images_per_second > 0
