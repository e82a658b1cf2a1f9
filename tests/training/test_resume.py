"""A run is the same however often it was stopped: by budget, by Ctrl-C, or by SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import morelike
from morelike.checkpoint import Checkpoint
from morelike.errors import UserError
from morelike.runs import Run

BATCH = 8
TINY: dict[str, Any] = {
    "data": {"resolution": 16},
    "generator": {"width": 4, "latent": 6},
    "discriminator": {"width": 4},
    "augment": {"policy": ["color", "translation", "cutout"]},
    "training": {"batch": BATCH, "precision": "fp32", "device": "cpu"},
}


def train(source: Path, run: Path, steps: int, **training: Any) -> Run:
    settings = {**TINY, "training": {**TINY["training"], "images": steps * BATCH, **training}}
    return morelike.train(source, run=run, **settings)


def final(run: Run) -> dict[str, torch.Tensor]:
    checkpoint = run.checkpoints.pointed("latest")
    assert checkpoint is not None
    checkpoint.verify()
    return checkpoint.tensors()


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert different == []


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, pictures: Callable[..., Path]) -> Run:
    folder = tmp_path_factory.mktemp("straight")
    return train(pictures(20), folder / "run", 12)


def test_a_run_in_two_parts_equals_a_run_in_one(
    straight: Run, tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    run = train(pictures(20), tmp_path / "run", 5)
    first = final(run)
    train(pictures(20), tmp_path / "run", 12)
    assert_same_bits(final(run), final(straight))
    # A restore that restored nothing would pass if nothing ever changed.
    changed = [n for n, t in final(run).items() if not torch.equal(t, first[n])]
    assert {name.split(".")[0] for name in changed} == {
        "generator",
        "discriminator",
        "ema",
        "optimizer",
    }


ADAPTIVE: dict[str, Any] = {
    # A probability that rises fast, means and a beta2 that move: all that has a memory.
    "augment": {"policy": ["ada", "color", "cutout"], "target": 0.1, "adjust_images": 12 * BATCH},
    "penalty": {"lecam": 0.3},
    "discriminator": {"width": 4, "norm": "none"},
    "optimizer": {"beta2_ramp": {"to": 0.9, "images": 10 * BATCH}},
}


@pytest.mark.parametrize("stop", [4, 7, 10])
def test_adaptive_augmentation_goes_on_as_if_nothing_had_been(
    stop: int, tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    def trained(name: str, *parts: int) -> tuple[Run, Any]:
        for steps in parts:
            settings = {**TINY, **ADAPTIVE}
            settings["training"] = {**TINY["training"], "images": steps * BATCH, "log_every": 1}
            run = morelike.train(pictures(20), run=tmp_path / name, **settings)
        latest = run.checkpoints.pointed("latest")
        assert latest is not None
        return run, latest.meta()["augment"]

    (one, held), (other, also) = trained("whole", 11), trained("parts", stop, 11)
    assert_same_bits(final(one), final(other))
    assert held == also
    assert held[2] == 3  # readings since the last move, which are carried over, too
    assert "discriminator.means.real" in final(one)
    keys = ("augment_probability", "overfit", "discriminator_lecam")
    for a, b in zip(one.metrics(), other.metrics(), strict=True):
        assert [a[key] for key in keys] == [b[key] for key in keys]
    # It has moved; the stop fell on a move, and between two.
    assert 0 < one.metrics()[-1]["augment_probability"] < 0.8
    assert len({record["augment_probability"] for record in one.metrics()}) > 1


def test_the_records_of_steps_taken_again_are_not_doubled(
    tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    run = train(pictures(20), tmp_path / "run", 6, log_every=1)
    # As a killed process leaves it: records of steps that no checkpoint holds, and half a line.
    with run.metrics_file.open("a") as file:
        file.write(json.dumps({"images": 7 * BATCH, "step": 7, "seconds": 1.0}) + '\n{"images": 6')
    train(pictures(20), tmp_path / "run", 9, log_every=1)
    assert [record["step"] for record in run.metrics()] == list(range(1, 10))


def test_going_on_without_naming_anything(
    straight: Run, tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    run = train(pictures(20), tmp_path / "run", 5)
    morelike.train(run=run.path, images=12 * BATCH)
    assert_same_bits(final(run), final(straight))
    assert run.config()["training"]["images"] == 12 * BATCH


def test_another_seed_gives_another_run(
    straight: Run, tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    other = final(train(pictures(20), tmp_path / "run", 12, seed=1))
    same = [n for n, t in final(straight).items() if torch.equal(t, other[n]) and t.numel() > 1]
    assert same == []


def test_a_changed_setting_is_refused_by_name(
    tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    train(pictures(20), tmp_path / "run", 2)
    with pytest.raises(UserError, match=r"generator\.width"):
        morelike.train(run=tmp_path / "run", generator={"width": 8})


def test_a_damaged_checkpoint_is_passed_over_and_named(
    straight: Run, tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    run = train(pictures(20), tmp_path / "run", 5)
    train(pictures(20), tmp_path / "run", 8)
    tensors = run.path / "checkpoints" / str(8 * BATCH) / "state.safetensors"
    data = bytearray(tensors.read_bytes())
    data[-1] ^= 1
    tensors.write_bytes(data)
    said: list[str] = []
    listener = Listener(said)
    morelike.train(run=run.path, images=12 * BATCH, readers=[listener])
    assert any("was cut short or changed" in text for text in said)
    assert any(f"going on from {5 * BATCH} images" in text for text in said)
    assert_same_bits(final(run), final(straight))


class Listener:
    """A reader that keeps the messages."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def record(self, record: Any) -> None: ...
    def picture(self, name: str, picture: Any, images: int) -> None: ...
    def message(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None: ...


KILLED = """
import os, random, signal, sys, time
import morelike.api  # once, so that the children start at once
from test_settings import train

source, run, steps, kills = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
random.seed(0)
survivors = 0
for _ in range(kills):
    child = os.fork()
    if child == 0:
        train(source, run, steps)
        os._exit(0)
    time.sleep(random.uniform(0.1, 0.7))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    survivors += os.WIFEXITED(status)
print("finished before it could be killed:", survivors)
train(source, run, steps)
"""

SETTINGS = """
import morelike

def train(source, run, steps):
    morelike.train(
        source,
        run=run,
        data={{"resolution": 16}},
        generator={{"width": 4, "latent": 6}},
        discriminator={{"width": 4}},
        augment={{"policy": ["color", "translation", "cutout"]}},
        training={{
            "batch": {batch}, "precision": "fp32", "device": "cpu", "images": steps * {batch},
            "checkpoint_minutes": 1e-9,
        }},
    )
"""


def test_twenty_sigkills_change_no_bit(tmp_path: Path, pictures: Callable[..., Path]) -> None:
    """Every step writes a checkpoint, so that many of the kills hit a write."""
    source, steps, kills = pictures(20), 160, 20
    (tmp_path / "test_settings.py").write_text(SETTINGS.format(batch=BATCH))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    arguments = [str(source), str(tmp_path / "killed"), str(steps), str(kills)]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert "finished before it could be killed: 0" in ended.stdout
    straight = (
        "import sys; from test_settings import train; train(*sys.argv[1:3], int(sys.argv[3]))"
    )
    subprocess.run(
        [sys.executable, "-c", straight, str(source), str(tmp_path / "straight"), str(steps)],
        env=environment,
        check=True,
        timeout=300,
    )
    killed, whole = Run(tmp_path / "killed"), Run(tmp_path / "straight")
    assert_same_bits(final(killed), final(whole))
    assert Checkpoint(killed.path / "checkpoints" / str(steps * BATCH)).images == steps * BATCH
    assert not list((killed.path / "checkpoints").glob(".writing-*"))


def test_ctrl_c_saves_and_the_run_goes_on_as_if_nothing_had_been(
    tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    source = pictures(20)
    settings = [
        *("--set", "data.resolution=16", "--set", "generator.width=4"),
        *("--set", "generator.latent=6", "--set", "discriminator.width=4"),
        *("--set", 'augment.policy=["color","translation","cutout"]'),
        *("--set", f"training.batch={BATCH}", "--precision", "fp32", "--device", "cpu"),
    ]
    command = [sys.executable, "-m", "morelike", "train", str(source), *settings]
    command += ["--run", str(tmp_path / "run"), "--images", str(10**8)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (metrics.exists() and metrics.read_text()):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == 130, complaint
    assert "Traceback" not in complaint
    assert "with everything saved" in complaint
    run = Run(tmp_path / "run")
    stopped = run.checkpoints.pointed("latest")
    assert stopped is not None
    steps = stopped.images // BATCH
    assert steps >= 1
    whole = train(source, tmp_path / "whole", steps)
    assert_same_bits(final(run), final(whole))


def test_a_dry_run_and_a_locked_run_change_nothing(
    tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    run = train(pictures(20), tmp_path / "run", 2)
    before = run.config()
    morelike.plan(run=run.path, images=999)
    assert run.config() == before
    with run.locked(), pytest.raises(UserError, match="another process is training"):
        morelike.train(run=run.path, images=999)
    assert run.config() == before


def test_a_spent_run_says_that_nothing_is_left(
    tmp_path: Path, pictures: Callable[..., Path]
) -> None:
    run = train(pictures(20), tmp_path / "run", 3)
    before = final(run)
    said: list[str] = []
    morelike.train(run=run.path, readers=[Listener(said)])
    assert any("nothing left to do: 24 of 24 images" in text for text in said)
    assert_same_bits(final(run), before)
