"""When training cannot go on, one sentence says why, and what was earned is kept."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import morelike
from morelike import losses
from morelike.errors import TrainingFailure
from morelike.runs import Run
from morelike.training import failures, loop

BATCH = 8
TINY: dict[str, Any] = {
    "family": "dcgan",
    "data": {"resolution": 16},
    "generator": {"width": 4, "latent": 6},
    "discriminator": {"width": 4},
    "training": {"batch": BATCH, "precision": "fp32", "device": "cpu", "images": 10 * BATCH},
}


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_nan_is_named_and_the_last_checkpoint_kept(
    player: str, tmp_path: Path, pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = losses.LOSSES["non_saturating"]
    calls = 0

    def spoiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def loss(*arguments: Any) -> Tensor:
            nonlocal calls
            calls += 1
            value = function(*arguments)
            return value * float("nan") if calls == 4 else value

        return loss

    changed = sound._replace(**{player: spoiled(getattr(sound, player))})
    monkeypatch.setitem(losses.LOSSES, "non_saturating", changed)
    training = {**TINY["training"], "checkpoint_minutes": 1e-9}
    with pytest.raises(TrainingFailure) as caught:
        morelike.train(pictures(12), run=tmp_path / "run", **{**TINY, "training": training})
    assert f"the {player}'s loss became NaN or infinite in step 4" in str(caught.value)
    assert f"optimizer.{player}.learning_rate" in str(caught.value)
    assert caught.value.exit_code == 1
    checkpoint = Run(tmp_path / "run").checkpoints.pointed("latest")
    assert checkpoint is not None
    assert checkpoint.images == 3 * BATCH
    assert all(t.isfinite().all() for t in checkpoint.tensors().values())
    # The step that failed can be tried again once the cause is gone.
    monkeypatch.setitem(losses.LOSSES, "non_saturating", sound)
    run = morelike.train(run=tmp_path / "run")
    assert run.metrics()[-1]["images"] == 10 * BATCH


def test_out_of_memory_says_which_batch_fits(
    tmp_path: Path, pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real_step = loop.step

    def greedy(state: Any, family: Any, config: Any, feed: Any, world: Any) -> dict[str, Tensor]:
        if config.training.batch > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real_step(state, family, config, feed, world)

    monkeypatch.setattr(loop, "step", greedy)
    monkeypatch.setattr(failures, "step", greedy)
    with pytest.raises(TrainingFailure) as caught:
        morelike.train(pictures(12), run=tmp_path / "run", **TINY)
    assert "batch 2 fits" in str(caught.value)
    assert "training.accumulation=4" in str(caught.value)
    assert "the checkpoint at 0 images" in str(caught.value)


def test_what_devices_say_when_memory_runs_out_is_understood() -> None:
    too_much = 2**55
    for allocate in (torch.empty, np.empty):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate(too_much)
        assert failures.is_out_of_memory(caught.value)
    assert failures.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not failures.is_out_of_memory(RuntimeError("shapes cannot be multiplied"))


def test_a_full_disk_keeps_what_was_earned(
    tmp_path: Path, pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, full = os.fsync, False

    def fsync(descriptor: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    def fill_up_after(state: Any, *arguments: Any) -> dict[str, Tensor]:
        nonlocal full
        full = state.images >= 4 * BATCH
        return real_step(state, *arguments)

    real_step = loop.step
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(loop, "step", fill_up_after)
    training = {**TINY["training"], "checkpoint_minutes": 1e-9}
    with pytest.raises(TrainingFailure, match="the disk is full") as caught:
        morelike.train(pictures(12), run=tmp_path / "run", **{**TINY, "training": training})
    run = Run(tmp_path / "run")
    assert not list(run.checkpoints.path.glob(".writing-*"))
    checkpoint = run.checkpoints.pointed("latest")
    assert checkpoint is not None
    checkpoint.verify()
    # The one that was being written in the background just then is lost at most.
    assert checkpoint.images in (3 * BATCH, 4 * BATCH)
    assert f"the checkpoint at {checkpoint.images} images" in str(caught.value)
    monkeypatch.undo()
    morelike.train(run=run.path)
    assert run.metrics()[-1]["images"] == 10 * BATCH


def test_other_errors_are_not_dressed_up(
    tmp_path: Path, pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> dict[str, Tensor]:
        raise RuntimeError("a defect in the code")

    monkeypatch.setattr(loop, "step", broken)
    with pytest.raises(RuntimeError, match="a defect in the code"):
        morelike.train(pictures(12), run=tmp_path / "run", **TINY)
