"""Checkpoints are written beside the training, and nothing that fails there is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import morelike
from morelike.checkpoint import CheckpointFolder
from morelike.training import loop
from morelike.training.background import Background


def test_one_thing_after_the_other_in_another_thread() -> None:
    background, done = Background(), list[tuple[int, int]]()

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            time.sleep(0.01 * (3 - number))
            done.append((number, threading.get_ident()))

        return run

    for number in range(3):
        background.do(work(number))
    background.wait()
    background.close()
    assert [number for number, _ in done] == [0, 1, 2]
    assert threading.get_ident() not in {thread for _, thread in done}


def test_what_goes_wrong_is_raised_where_somebody_waits_and_once() -> None:
    background, begun = Background(), []

    def fail() -> None:
        raise OSError("no room")

    background.do(fail)
    with pytest.raises(OSError, match="no room"):
        background.do(lambda: begun.append(1))
    background.wait()
    assert begun == []
    background.do(lambda: begun.append(2))
    background.close()
    assert begun == [2]


def test_the_training_goes_on_while_a_checkpoint_is_written(
    tmp_path: Path,
    write_pictures: Callable[..., Path],
    tiny: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first write waits for a step that only a training which does not wait can take."""
    stepped, save, real_step = threading.Event(), CheckpointFolder.save, loop.step
    weights: list[dict[str, Tensor]] = []

    def slow(self: CheckpointFolder, images: int, tensors: dict[str, Tensor], meta: Any) -> Any:
        assert stepped.wait(30), "the training waits for the disk"
        weights.append(tensors)
        return save(self, images, tensors, meta)

    def step(*arguments: Any) -> Any:
        result = real_step(*arguments)
        stepped.set()
        return result

    monkeypatch.setattr(CheckpointFolder, "save", slow)
    monkeypatch.setattr(loop, "step", step)
    source = write_pictures(tmp_path / "photos", 12)
    run = morelike.train(source, run=tmp_path / "run", **tiny)
    first, last = (c.tensors("generator.") for c in run.checkpoints.all())
    assert [c.images for c in run.checkpoints.all()] == [0, 16]
    # What was written is a copy of that moment, though steps went on.
    assert all((weights[0][f"generator.{name}"] == t).all() for name, t in first.items())
    assert any((first[name] != t).any() for name, t in last.items())
