"""What is measured while training, which checkpoint is best, and when a run ends by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from morelike.api import train
from morelike.diagnostics.gauge import Reading
from morelike.errors import UserError
from morelike.models import configure
from morelike.runs import Run
from morelike.training import probe as module
from morelike.training.probe import Probe, check_features

GOOD = Reading(
    kid=100.0, error=15.0, near=0, copying=False, variety=1.0, collapsed=False, samples=128
)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let probes say one after the other what is given, whatever the time."""

    def script(*said: tuple[Reading, str]) -> None:
        queue: Iterator[tuple[Reading, str]] = iter(said)
        monkeypatch.setattr(Probe, "is_affordable", lambda self, seconds, last=False: seconds > 0)
        monkeypatch.setattr(Probe, "read", lambda self, state: next(queue))

    return script


def often(tiny: dict[str, Any]) -> dict[str, Any]:
    tiny["training"] |= {"checkpoint_minutes": 1e-9, "images": 32, "keep": 9, "log_every": 1}
    return tiny


def test_best_has_the_lowest_kid_and_copies_only_if_all_do(
    readings: Callable[..., None], pictures_folder: Path, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    copying = GOOD._replace(kid=1.0, near=60, copying=True)
    readings((copying, "COPYING"), (GOOD, ""), (GOOD._replace(kid=120.0), ""), (copying, "COPYING"))
    run = train(pictures_folder, run=tmp_path / "run", **often(tiny))
    best = run.checkpoints.pointed("best")
    assert best is not None
    assert best.images == 16
    assert best.meta()["kid"] == 100.0
    card = (run.generator / "README.md").read_text()
    assert "KID x 1000 to real pictures was 100" in card
    records = [r for r in run.metrics() if "kid" in r]
    assert [r["kid"] for r in records] == [1.0, 100.0, 120.0, 1.0]
    assert records[0]["verdict"] == "COPYING"
    assert records[0]["near_copies"] == 60 / 128


@pytest.mark.parametrize(("kids", "best"), [((100, 114, 90, 104), 3), ((100, 114, 90, 106), 2)])
def test_of_those_within_the_error_of_the_lowest_the_latest_is_best(
    kids: tuple[int, ...],
    best: int,
    readings: Callable[..., None],
    pictures_folder: Path,
    tmp_path: Path,
    tiny: dict[str, Any],
) -> None:
    readings(*((GOOD._replace(kid=float(kid)), "") for kid in kids))
    run = train(pictures_folder, run=tmp_path / "run", **often(tiny))
    pointed = run.checkpoints.pointed("best")
    assert pointed is not None
    assert pointed.images == 8 * (best + 1)


def test_a_run_ends_when_it_is_asked_to_after_two_readings_that_agree(
    readings: Callable[..., None], pictures_folder: Path, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    said = ["COPYING", "LEARNING", "COPYING", "COPYING", "COPYING"]
    readings(*((GOOD._replace(kid=float(100 - n)), word) for n, word in enumerate(said)))
    options = often(tiny)
    options["training"] |= {"images": 400, "stop_when": ["copying", "stalled"]}
    heard: list[str] = []
    run = train(pictures_folder, run=tmp_path / "run", readers=[_Ear(heard)], **options)
    assert run.metrics()[-1]["images"] == 32
    assert any("stopping" in text for text in heard)
    assert run.checkpoints.pointed("best") is not None


class _Ear:
    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    def record(self, record: dict[str, Any]) -> None: ...

    def picture(self, name: str, picture: Any, images: int) -> None: ...

    def message(self, text: str) -> None:
        self.heard.append(text)

    def close(self) -> None: ...


def test_short_runs_are_not_measured_and_their_newest_checkpoint_is_best(trained_run: Run) -> None:
    best, latest = (trained_run.checkpoints.pointed(name) for name in ("best", "latest"))
    assert best is not None
    assert best == latest
    assert not any("kid" in record for record in trained_run.metrics())
    assert "Nothing has been measured" in (trained_run.generator / "README.md").read_text()


def test_a_real_reading_knows_copies_from_new_pictures(
    trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from morelike.checkpoint import Checkpoint
    from morelike.reopened import dataset_of
    from morelike.sampling import stored_config
    from morelike.training.resume import resolve
    from morelike.training.state import State

    config, device = resolve(stored_config(trained_run.config(), "run"))
    dataset = dataset_of(trained_run)
    latest = trained_run.checkpoints.pointed("latest")
    assert isinstance(latest, Checkpoint)
    state = State(config, device)
    state.restore(latest.tensors(), latest.meta())
    probe = Probe(dataset, config)
    reading, _ = probe.read(state)
    assert (reading.near, reading.copying) == (0, False)
    assert reading.kid > 0
    copies = dataset.images[dataset.train]
    monkeypatch.setattr(
        module, "generate", lambda *_: iter([copies[[i % len(copies) for i in range(128)]]])
    )
    again, _ = probe.read(state)
    assert again.kid < reading.kid
    assert again.variety > reading.variety


@pytest.mark.shared
def test_another_network_may_say_which_is_best_and_training_is_the_same(
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    pictures_folder: Path,
    tmp_path: Path,
    tiny: dict[str, Any],
) -> None:
    monkeypatch.setattr(module, "SHORTEST", 0.0)
    weights = str(shared / "weights" / "mobilenetv2_100.imagenet.safetensors")
    options = often(tiny)
    runs = []
    for features in ({}, {"features": "timm:mobilenetv2_100", "features_weights": weights}):
        options["training"] |= features
        runs.append(train(pictures_folder, run=tmp_path / str(len(runs)), **options))
    first, second = (
        [str(record["extractor"]) for record in run.metrics() if "kid" in record] for run in runs
    )
    assert {name.split("@")[0] for name in first} == {"random"}
    assert {name.split("@")[0] for name in second} == {"timm:mobilenetv2_100"}
    assert f"the features of {second[-1]}" in (runs[1].generator / "README.md").read_text()
    handed_on = json.loads((runs[1].generator / "config.json").read_text())
    assert (
        handed_on["training"]["features_weights"] == Path(weights).name
    )  # no path of this machine
    before, after = (run.checkpoints.pointed("latest") for run in runs)
    assert before is not None
    assert after is not None
    others = after.tensors()
    assert all(torch.equal(tensor, others[name]) for name, tensor in before.tensors().items())


@pytest.mark.parametrize(("then", "best"), [("random@1", 32), ("other@1", 64)])
def test_figures_of_two_networks_are_not_compared(
    then: str,
    best: int,
    readings: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    pictures_folder: Path,
    tmp_path: Path,
    tiny: dict[str, Any],
) -> None:
    options = often(tiny)
    for name, images, kid in (("random@1", 32, 100.0), (then, 64, 500.0)):
        monkeypatch.setattr(module.Samples, "extractor", name)
        readings(*[(GOOD._replace(kid=kid - step), "") for step in range(4)])
        options["training"]["images"] = images
        run = train(pictures_folder, run=tmp_path / "run", **options)
    chosen = run.checkpoints.pointed("best")
    assert chosen is not None
    assert chosen.images == best


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": "inception"}, "needs its weights"),
        ({"features": "timm:vgg16", "features_weights": "nowhere.safetensors"}, "there is no file"),
        ({"features_weights": __file__}, "'random' takes no weights"),
        ({"features": "vgg16"}, "training.features"),
    ],
)
def test_features_that_cannot_be_had_are_said_before_there_is_a_run(
    settings: dict[str, str],
    message: str,
    pictures_folder: Path,
    tmp_path: Path,
    tiny: dict[str, Any],
) -> None:
    tiny["training"] |= settings
    with pytest.raises(UserError, match=message):
        train(pictures_folder, run=tmp_path / "run", **tiny)
    assert not (tmp_path / "run").exists()


def test_a_task_has_no_use_for_another_network() -> None:
    task = {"family": "unet", "task": {"name": "colorize"}}
    with pytest.raises(UserError, match="measured by nearness to the truth"):
        check_features(configure({**task, "training": {"features": "inception"}}))


def test_probes_keep_to_their_budget() -> None:
    probe = Probe.__new__(Probe)
    probe._seconds, probe._last = 3.0, 1.0
    assert not probe.is_affordable(266.0)
    assert probe.is_affordable(267.0)
    assert probe.is_affordable(40.0, last=True)
    assert not probe.is_affordable(29.0, last=True)
    assert probe.share(100.0) == pytest.approx(0.03)
