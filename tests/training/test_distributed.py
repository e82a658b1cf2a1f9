"""Two processes with half the batch each do what one process does with all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from morelike.distributed import World
from morelike.errors import UserError
from morelike.runs import list_runs

WORKER = Path(__file__).with_name("distributed_worker.py")


def launch(arguments: list[str], processes: int) -> None:
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        command += [str(processes)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(WORKER.parents[1]),
    }
    ended = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr


def test_gradients_weights_and_numbers_are_those_of_one_process(tmp_path: Path) -> None:
    for processes in (1, 2):
        launch([str(WORKER), str(tmp_path / f"{processes}.safetensors")], processes)
    one, two = (load_file(tmp_path / f"{processes}.safetensors") for processes in (1, 2))
    assert one.keys() == two.keys()
    assert any(name.startswith("gradient.") for name in one)
    for name, value in one.items():
        assert torch.allclose(value, two[name], rtol=1e-10, atol=1e-14), name


def test_the_command_under_torchrun_makes_one_run(
    tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    arguments = [
        *("-m", "morelike", "train", str(pictures(12)), "--out", str(tmp_path), "--images", "40"),
        *("--set", "data.resolution=16", "--set", "generator.width=4", "--device", "cpu"),
        *("--set", "discriminator.width=4", "--set", "training.batch=8"),
    ]
    launch(arguments, 2)
    (run,) = list_runs(tmp_path)
    assert run.metrics()[-1]["images"] == 40
    latest = run.checkpoints.pointed("latest")
    assert latest is not None
    assert latest.images == 40


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UserError, match="batch 7 does not divide among 2 processes"):
        World(0, 2).rows(7)
    assert [list(World(rank, 2).rows(6)) for rank in (0, 1)] == [[0, 1, 2], [3, 4, 5]]
