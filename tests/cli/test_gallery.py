from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import Command
from morelike.diagnostics.copies import Copies, Judged
from morelike.evaluate import receipts
from morelike.runs import Run


class Stand:
    """Calls the first `near` pictures near-copies, or all."""

    def __init__(self, near: int) -> None:
        self.left = near

    def judge(self, images: np.ndarray) -> Judged:
        places = np.arange(len(images))
        near = places < self.left
        self.left = max(0, self.left - len(images))
        return Judged(0 * places, near, 0.25 + 0.0 * places, -1.0 * near, 50.0 * ~near, near)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Any:
    """found(n): the first n samples will be near-copies."""

    def stand(near: int) -> None:
        def fitted(cls: type[Copies], train: np.ndarray, held_out: np.ndarray) -> Any:
            assert len(train) > len(held_out)
            assert train.dtype == np.uint8
            return Stand(near)

        monkeypatch.setattr(receipts.Copies, "fitted", classmethod(fitted))

    return stand


# morelike gallery ---------------------------------------------------------------------------------


def test_a_gallery_of_a_run(command: Command, trained_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "look"
    ended = command("gallery", trained_run.path, "--count", 8, "--show", 3, "-o", out)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == str(out)
    assert "of 8 samples are near-copies of training pictures" in ended.out
    assert "making 8 samples" in ended.err
    assert (out / "best-realism.png").is_file()
    assert (out / "gallery.html").is_file()
    facts = json.loads((out / "gallery.json").read_text())
    assert len(facts["samples"]) == 8


def test_a_gallery_lies_in_the_run_and_is_json(command: Command, run_copy: Run) -> None:
    ended = command("gallery", run_copy.path, "--count", 8, "--checkpoint", 16, "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["out"] == str(run_copy.path / "gallery")
    assert told["checkpoint"].startswith("16 images")
    assert Path(told["sheets"]["worst-realism"]).is_file()
    assert set(told["criteria"]) == set(told["samples"][0]["scores"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--count", "7"], "use --count 8 to 20000."),
        (["--show", "0"], "use --show 1 to 200."),
        (["--checkpoint", "first"], "checkpoint 'first' is not best, latest or a number"),
        (["--features", "dinov2"], "needs its weights: give their file"),
        (["--data", "/nowhere"], "name where they are now with --data."),
    ],
)
def test_a_gallery_that_cannot_be_made(
    command: Command, trained_run: Run, options: list[str], sentence: str
) -> None:
    ended = command("gallery", trained_run.path, *options)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("morelike: ")
    assert sentence in ended.err
    assert ended.err.count("\n") == 1


# morelike sample --safe ---------------------------------------------------------------------------


def test_safe_samples(command: Command, trained_run: Run, tmp_path: Path, found: Any) -> None:
    found(2)
    out, grid = tmp_path / "out", tmp_path / "grid.png"
    ended = command(
        "sample", trained_run.path, "--seeds", "4-8", "--safe", "-o", out, "--grid", grid
    )
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in out.iterdir()) == ["6.png", "7.png", "8.png"]
    assert ended.out == f"3 pictures in {out}, grid in {grid}\n"
    first, second, third = ended.err.splitlines()
    assert first == "2 near-copies of training pictures were left out:"
    assert second.startswith("  seed 4: leaves 0.25 of the mirror image of ")
    assert third.startswith("  seed 5: ")


def test_safe_samples_as_json(
    command: Command, trained_run: Run, tmp_path: Path, found: Any
) -> None:
    found(2)
    ended = command(
        "sample", trained_run.path, "--seeds", "4-7", "--safe", "-o", tmp_path / "out", "--json"
    )
    told = json.loads(ended.out)
    assert told["left_out"] == [4, 5]
    assert [Path(path).name for path in told["files"]] == ["6.png", "7.png"]
    assert set(told["receipts"]) == {"4", "5", "6", "7"}
    assert told["receipts"]["4"]["near_copy"] is True
    assert told["receipts"]["7"]["nearest"] in trained_run.data()["split"]["train"]


def test_receipts_alone_leave_nothing_out(
    command: Command, trained_run: Run, tmp_path: Path, found: Any
) -> None:
    found(2)
    out = tmp_path / "out"
    ended = command("sample", trained_run.path, "--seeds", "4-7", "--receipts", "-o", out, "--json")
    told = json.loads(ended.out)
    assert len(told["files"]) == len(list(out.iterdir())) == 4
    assert len(told["receipts"]) == 4
    assert "left_out" not in told
    assert ended.err == ""


def test_without_them_nothing_is_judged(
    command: Command, trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "detector", None)
    ended = command("sample", trained_run.path, "--seeds", "4", "-o", tmp_path, "--json")
    assert "receipts" not in json.loads(ended.out)


def test_if_all_are_copies_it_says_so(
    command: Command, trained_run: Run, tmp_path: Path, found: Any
) -> None:
    found(99)
    out, grid = tmp_path / "out", tmp_path / "grid.png"
    ended = command(
        *("sample", trained_run.path, "--seeds", "0-39", "--safe"),
        *("-o", out, "--grid", grid, "--json"),
    )
    assert ended.code == 1
    assert "all 40 samples are near-copies of training pictures" in ended.err.splitlines()[-1]
    assert "and 20 more" in ended.err
    told = json.loads(ended.out)
    assert (told["files"], told["grid"], len(told["left_out"])) == ([], None, 40)
    assert list(out.iterdir()) == []
    assert not grid.exists()


@pytest.mark.parametrize("option", ["--safe", "--receipts"])
def test_a_shared_generator_has_no_training_pictures(
    command: Command, trained_run: Run, option: str
) -> None:
    ended = command("sample", trained_run.generator, option)
    assert ended.code == 2
    assert "is a shared generator, without the pictures that it was trained on" in ended.err
    assert ended.err.count("\n") == 1


def test_data_is_for_receipts(command: Command, trained_run: Run) -> None:
    ended = command("sample", trained_run.path, "--data", "x")
    assert ended.code == 2
    assert "--data is for --safe and --receipts" in ended.err
    ended = command("sample", trained_run.path, "--safe", "--data", "/nowhere")
    assert ended.code == 2
    assert "name where they are now with --data." in ended.err
