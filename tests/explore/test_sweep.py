from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from morelike import pictures
from morelike.errors import UserError
from morelike.explore.opened import opened
from morelike.explore.sweep import at_stop, dimensions, sweep
from morelike.runs import Run
from morelike.sampling import load
from morelike.space import Points


def config(**generator: Any) -> Any:
    return SimpleNamespace(generator=SimpleNamespace(**generator))


def test_dimensions_of_noise_and_codes() -> None:
    found = dimensions(config(latent=2, categorical=(3,), continuous=1), 6, -2, 2, 5)
    assert [one.name for one in found] == ["z0", "z1", "choice0", "number0"]
    assert [one.columns for one in found] == [(0,), (1,), (2, 3, 4), (5,)]
    assert found[0].stops[:, 0].tolist() == [-2, -1, 0, 1, 2]
    assert (found[2].stops == np.eye(3)).all()
    assert found[3].stops[:, 0].tolist() == [-1, -1, 0, 1, 1]


def test_only_the_dimension_moves() -> None:
    (_, one) = dimensions(config(latent=2), 2, -1, 1, 3)
    points = Points(torch.zeros(4, 2), (torch.ones(4, 1),))
    moved = at_stop(points, one, -1)
    assert moved.values.tolist() == [[0, 1]] * 4
    assert points.values.sum() == 0 and moved.rest == points.rest


def test_a_seeds_own_point_gives_its_sample(trained_run: Run) -> None:
    model = opened(trained_run.path, device="cpu")
    seeds = range(5, 45)
    expected = load(trained_run.path, device="cpu").sample(seeds)
    np.testing.assert_array_equal(model.show(model.points(seeds)), expected)


def test_effects_are_sorted_and_written(trained_run: Run, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found = sweep(
        trained_run.path,
        tmp_path / "out",
        steps=5,
        base=3,
        device="cpu",
        progress=lambda *done: told.append(done),
    )
    listed = found.facts["dimensions"]
    assert sorted(one["name"] for one in listed) == [f"z{i}" for i in range(8)]
    sizes = [one["size"] for one in listed]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] > 0
    assert set(found.files) == {"sweep.png", "effects.png", "sweep.json"}
    assert pictures.read_png(found.files["sweep.png"]).shape[0] > 8 * 64
    assert told[-1] == (2 * 8 * 3, 2 * 8 * 3)
    assert found.facts["run"] == trained_run.name and found.facts["base_seeds"] == [0, 2]


def test_a_dead_dimension_does_nothing(run_copy: Run, tmp_path: Path) -> None:
    model = opened(run_copy.path, device="cpu")
    dead = next(p for p in model.generator.network.parameters() if p.shape[0] == 8)
    before = sweep(run_copy.path, tmp_path / "a", base=2, device="cpu").facts["dimensions"]
    assert next(one for one in before if one["name"] == "z3")["size"] > 0
    from safetensors.torch import load_file, save_file

    checkpoint, _ = run_copy.checkpoints.find("best")
    path = checkpoint.path / "state.safetensors"
    tensors = load_file(path)
    name = next(
        key
        for key, value in tensors.items()
        if key.startswith("ema.") and value.shape == dead.shape and value.dim() == 4
    )
    tensors[name][3] = 0
    save_file(tensors, path)
    import json

    from morelike.checkpoint import _digest

    meta = json.loads((checkpoint.path / "state.json").read_text())
    meta["digest"] = _digest(path)
    (checkpoint.path / "state.json").write_text(json.dumps(meta))
    after = sweep(run_copy.path, tmp_path / "b", base=2, device="cpu").facts["dimensions"]
    assert after[-1]["name"] == "z3" and after[-1]["size"] == 0 and after[-1]["pixels"] == 0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"dims": [8]}, "no dimension 8; the generator has 0 to 7"),
        ({"low": 1, "high": 1}, "the range 1:1 is empty"),
        ({"high": float("nan")}, "the range -1:nan is empty"),
        ({"steps": 1}, "--steps must be 2 to 64"),
        ({"base": 0}, "--base 1 to 256"),
    ],
)
def test_mistakes_are_one_sentence(
    trained_run: Run, tmp_path: Path, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        sweep(trained_run.path, tmp_path, device="cpu", **wrong)
