from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from morelike.checkpoint import TENSORS
from morelike.errors import UserError
from morelike.explore import timelapse as module
from morelike.explore.timelapse import frame, milestones, timelapse
from morelike.runs import Run
from morelike.sampling import load


def test_a_film_of_all_checkpoints(trained_run: Run, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found = timelapse(
        trained_run.path,
        tmp_path / "out",
        seeds=[3, 0, 7],
        device="cpu",
        progress=lambda *done: told.append(done),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    facts = json.loads(found.files["timelapse.json"].read_text())
    assert facts["seeds"] == [3, 0, 7]
    assert [one["images"] for one in facts["frames"]] == [0, 16, 32]
    assert [one["step"] for one in facts["frames"]] == [0, 2, 4]  # 8 in a batch
    assert facts["rows"] == [0, 16, 32]
    assert facts["frames"][0]["minutes"] == 0
    with Image.open(found.files["timelapse.gif"]) as film:
        assert film.n_frames == 3  # pyright: ignore[reportAttributeAccessIssue]
        # Two columns of 128 pixels with a gap, a line of words, margins.
        assert film.width >= 260 + 24
        assert film.height == 260 + 13 + 36 + 1
    with av.open(str(found.files["timelapse.mp4"])) as film:
        assert sum(1 for _ in film.decode(video=0)) >= 3
    sheet = np.asarray(Image.open(found.files["timelapse.png"]))
    for row, images in enumerate((0, 16, 32)):
        for column, seed in enumerate((3, 0, 7)):
            sample = load(trained_run.path, images, device="cpu").sample([seed])[0]
            large = sample.repeat(4, 0).repeat(4, 1)
            left = 12 + 190 + column * 68
            tops = [
                top
                for top in range(sheet.shape[0] - 64)
                if np.array_equal(sheet[top : top + 64, left : left + 64], large)
            ]
            assert len(tops) == 1
            assert abs(tops[0] - (63 + 68 * row)) < 30
    assert "step 4 (32 images" in found.lines[0]


def test_raw_weights_give_another_film(trained_run: Run, tmp_path: Path) -> None:
    one, other = (
        timelapse(trained_run.path, tmp_path / name, raw=raw, device="cpu")
        for name, raw in (("a", False), ("b", True))
    )
    assert other.facts["weights"] == "raw"
    first, last = (np.asarray(Image.open(x.files["timelapse.png"])) for x in (one, other))
    assert first.shape == last.shape
    assert (first[50:] != last[50:]).any()


def test_of_many_checkpoints_some_are_shown(
    trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 2)
    found = timelapse(trained_run.path, tmp_path, seeds=[1], device="cpu")
    assert found.facts["rows"] == [0, 32]
    assert len(found.facts["frames"]) == 3


@pytest.mark.parametrize(
    ("shape", "inner"),
    [((4, 32, 32, 3), (260, 260)), ((1, 16, 32, 1), (64, 128)), ((2, 128, 256, 4), (64, 260))],
)
def test_frames_are_as_large_as_their_pictures(
    shape: tuple[int, ...], inner: tuple[int, int]
) -> None:
    made = frame(np.full(shape, 9, np.uint8), "x")
    height, width = inner[0] + 13 + 36, inner[1] + 24
    assert made.shape == (height + height % 2, width + width % 2, 3)


def test_damaged_checkpoints_are_left_out_and_named(run_copy: Run) -> None:
    (run_copy.checkpoints.all()[1].path / TENSORS).write_bytes(b"")
    stops, notices = milestones(run_copy, 12)
    assert [stop.images for stop in stops] == [0, 32]
    assert len(notices) == 1
    assert "16" in notices[0] and "left out" in notices[0]
    assert milestones(run_copy, 12)[0][1].words[0] == "step 4"


def test_what_cannot_be_done_is_said(trained_run: Run, run_copy: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a shared generator, without checkpoints; give the run"):
        timelapse(trained_run.generator)
    with pytest.raises(UserError, match="at most 64 seeds, not 65; name fewer"):
        timelapse(trained_run.path, seeds=range(65))
    with pytest.raises(UserError, match="give more than 0"):
        timelapse(trained_run.path, seconds=0)
    run_copy.checkpoints.prune(1)
    for checkpoint in run_copy.checkpoints.all()[:-1]:  # the best one
        (checkpoint.path / TENSORS).write_bytes(b"")
    with pytest.raises(UserError, match=r"keeps 1 usable checkpoint, .*checkpoint_minutes=0\.2"):
        timelapse(run_copy.path, tmp_path)
    with pytest.raises(UserError, match="there is no run folder"):
        timelapse(tmp_path / "nothing")
