"""In how many parts a batch is taken, so that a step fits the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import morelike
from morelike.config import Config
from morelike.data import Dataset, open_source, prepare
from morelike.distributed import World
from morelike.models import configure
from morelike.settings import merge
from morelike.training import fitting
from morelike.training.fitting import MOST, fitted, needed_bytes
from morelike.training.memory import free_bytes

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "family": "dcgan",
    "data": {"resolution": 16, "channels": 3, "mirror": False},
    "generator": {"width": 4, "latent": 3},
    "discriminator": {"width": 4, "norm": "none"},
    "training": {"batch": 12, "device": "cpu", "precision": "fp32"},
}


def settings(**sections: Any) -> Config[Any, Any]:
    return configure(merge(SMALL, sections))


@pytest.fixture(scope="module")
def dataset(pictures_folder: Path) -> Dataset:
    return prepare(open_source(pictures_folder), settings().data)


def weighed(monkeypatch: pytest.MonkeyPatch, free: float | None) -> None:
    """Let so much be free, and nothing be too small to be weighed."""
    monkeypatch.setattr(fitting, "free_bytes", lambda: free)
    monkeypatch.setattr(fitting, "AMPLE", 2**40)


@pytest.mark.parametrize(
    ("at_once", "parts"), [(12, 1), (11, 2), (6, 2), (5, 4), (3, 4), (2, 12), (1, 12), (0, 12)]
)
def test_parts_are_as_large_as_the_free_memory_lets_them_be(
    at_once: int, parts: int, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, each = needed_bytes(settings(), dataset, CPU)
    weighed(monkeypatch, (state + each * (at_once + 0.5)) / MOST)
    config, said = fitted(settings(), dataset, CPU, World())
    assert config.training.accumulation == parts
    assert (f"in {parts} parts" in said) == (parts > 1)


def test_what_a_person_chose_stays_and_where_nothing_is_known_batches_are_whole(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed(monkeypatch, 0)
    chosen = settings(training={"accumulation": 3})
    assert fitted(chosen, dataset, CPU, World()) == (chosen, "")
    assert fitted(settings(), dataset, CPU, World(size=2))[0].training.accumulation == 1
    weighed(monkeypatch, None)
    assert fitted(settings(), dataset, CPU, World())[0].training.accumulation == 1


def test_small_networks_are_not_even_weighed(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "free_bytes", lambda: 2**30)
    monkeypatch.setattr(fitting, "needed_bytes", None)
    assert fitted(settings(), dataset, CPU, World())[0].training.accumulation == 1


def test_gpus_are_tried(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def attempt(config: Config[Any, Any], *_: Any) -> None:
        tried.append(config.training.batch)
        if config.training.batch > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(fitting, "try_step", attempt)
    config, _ = fitted(settings(), dataset, torch.device("cuda"), World())
    assert tried == [12, 6, 3]
    assert config.training.accumulation == 4


def test_wider_networks_and_penalties_need_more(dataset: Dataset) -> None:
    state, each = needed_bytes(settings(), dataset, CPU)
    wider = needed_bytes(settings(generator={"width": 16}), dataset, CPU)
    assert wider[0] > 2 * state
    assert wider[1] > 1.5 * each
    assert needed_bytes(settings(penalty={"r1": 1.0}), dataset, CPU)[1] > 1.3 * each
    halves = needed_bytes(settings(training={"precision": "bf16"}), dataset, CPU)
    assert halves[0] == state
    assert halves[1] < each


def test_the_memory_that_is_free_is_known_on_linux() -> None:
    if not Path("/proc/meminfo").is_file():
        pytest.skip("only Linux says it")
    free = free_bytes()
    assert free is not None
    assert 2**20 < free < 2**50


def test_a_run_keeps_the_parts_it_began_with(
    pictures_folder: Path, tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed(monkeypatch, 0)
    run = morelike.train(pictures_folder, run=tmp_path / "run", **tiny)
    parts = run.config()["training"]["accumulation"]
    assert parts == tiny["training"]["batch"]
    weighed(monkeypatch, 2**40)
    more = run.metrics()[-1]["images"] + 2 * parts
    again = morelike.train(run=run.path, training={"images": more})
    assert again.config()["training"]["accumulation"] == parts
