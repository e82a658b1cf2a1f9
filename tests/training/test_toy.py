from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from morelike import losses
from morelike.cli import main
from morelike.data.points import points
from morelike.errors import TrainingFailure, UserError
from morelike.rng import StepDraws
from morelike.training import toy
from morelike.training.state import State
from morelike.training.step import NotFinite
from networks import Critic

CPU = torch.device("cpu")
SMALL = {
    "generator": {"width": 16},
    "discriminator": {"width": 16},
    "training": {"batch": 32},
}
FIGURES = {
    "modes_found",
    "modes_total",
    "high_quality_share",
    "total_variation",
    "steps",
    "seconds",
    "objective",
    "history",
}
PICTURES = ("training.gif", "training.mp4", "last.png", "figures.json")


def draws(images: int = 0, start: int = 0, stop: int = 6) -> StepDraws:
    return StepDraws(0, images, "discriminator.0", 6, start, stop, CPU)


def test_the_points_depend_on_the_seed_and_the_place_alone() -> None:
    config = toy.settle(seed=3)
    feed = toy.PointFeed(points("moons"), config, CPU)
    whole = feed.batch(12, draws())
    assert whole.shape == (6, 2, 1, 1)
    assert torch.equal(feed.batch(12, draws(images=600)), whole)
    parts = [feed.batch(12, draws(start=a, stop=b)) for a, b in ((0, 2), (2, 6))]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.isin(feed.batch(18, draws()), whole).any()
    other = toy.PointFeed(points("moons"), toy.settle(seed=4), CPU)
    assert not torch.isin(other.batch(12, draws()), whole).any()


def test_networks_take_points() -> None:
    config = toy.settle(values=SMALL)
    state = State(config, CPU)
    made = state.networks.generator(torch.zeros(5, config.generator.latent))
    assert made.shape == (5, 2, 1, 1)
    assert state.networks.discriminator(made).shape == (5,)


@pytest.mark.parametrize("objective", losses.LOSSES)
def test_every_objective_has_settings_that_are_allowed(objective: str) -> None:
    for given in (None, {}, {"one_centered": 2.0}):
        config = toy.settle(objective, given, steps=7)
        assert config.objective.loss == objective
        assert config.training.images == 7 * config.training.batch
    assert config.penalty.one_centered == 2
    assert config.penalty.r1 == 0  # those given take the place of the table's
    assert config.data.shape == (2, 1, 1)


@pytest.mark.parametrize("name", toy.SETTINGS)
def test_the_table_names_objectives_and_penalties(name: str) -> None:
    objective, *pair = name.split("+")
    assert objective in losses.LOSSES
    assert pair == sorted(pair)
    found = toy.settle(objective, dict.fromkeys(pair, 1.0) if pair else None)
    assert found.penalty.model_dump().keys() >= set(pair)
    assert found.training.images == toy.SETTINGS[name].steps * found.training.batch


def test_settings_given_go_before_the_table() -> None:
    values = {"optimizer": {"generator": {"learning_rate": 0.5}}, "penalty": {"r1": 7.0}}
    config = toy.settle(values=values | {"training": {"batch": 10}}, steps=20)
    assert config.optimizer.generator.learning_rate == 0.5
    assert config.penalty.r1 == 7
    assert config.training.images == config.optimizer.ramp.images == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "wasser"}, "objective.loss"),
        ({"penalties": {"r3": 1.0}}, r"penalty\.r3"),
        ({"values": {"generator": {"depth": 3}}}, r"generator\.depth"),
        ({"family_name": "dcgan"}, "dcgan takes pictures, not points; take mlp"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        toy.settle(**options)


def test_watching_changes_nothing() -> None:
    values = {**SMALL, "discriminator": {"width": 16, "spectral_norm": True}}
    config = toy.settle("hinge", values=values, steps=6)
    alone = toy.train(points("ring8"), config)
    scenes: list[toy.Scene] = []
    watched = toy.train(points("ring8"), config, scenes.append)
    assert [scene.steps for scene in scenes] == [0, 2, 4, 6]
    for figures in (alone, watched):
        assert figures.pop("seconds") > 0
    assert watched == alone


def test_arrows_point_where_the_discriminator_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slope(Critic):
        def forward(self, at: torch.Tensor) -> torch.Tensor:
            return at.flatten(1) @ torch.tensor([3.0, -1.0])

    config = toy.settle("wasserstein", {}, SMALL)
    state = State(config, CPU)
    state.networks = state.networks._replace(discriminator=Slope())
    feed = toy.PointFeed(points("ring8"), config, CPU)
    scene = toy.look(state, config, feed, 0)
    assert scene.arrows == pytest.approx(np.tile([3.0, -1.0], (toy.ARROWS, 1)), abs=1e-5)
    assert np.all(np.diff(scene.field, axis=1) > 0)  # D rises with x, the columns,
    assert np.all(np.diff(scene.field, axis=0) < 0)  # and falls with y, the rows


def test_a_loss_that_explodes_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: Any) -> None:
        raise NotFinite("generator", "loss", 1)

    monkeypatch.setattr(toy, "step", explode)
    with pytest.raises(
        TrainingFailure, match=r"NaN.*in step 1; .*optimizer.generator.learning_rate"
    ):
        toy.train(points("ring8"), toy.settle(values=SMALL, steps=1))


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["morelike", "toy", *arguments])
        code: Any = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capsys.readouterr()

    return run


def test_the_command_from_end_to_end(command: Run) -> None:
    code, out, _ = command("ring8", "--steps", "150", "--seed", "1", "--json")
    assert code == 0
    figures = json.loads(out)
    assert figures.keys() == FIGURES
    assert (figures["modes_total"], figures["steps"]) == (8, 150)
    assert figures["objective"] == "non_saturating"
    first, last = figures["history"][0], figures["history"][-1]
    assert (first["steps"], last["steps"]) == (0, 150)
    assert last["total_variation"] < first["total_variation"] - 0.01
    assert last.keys() >= {"modes_found", "high_quality_share", "loss_generator"}
    folder = Path("toys/ring8-non_saturating-1")
    assert {path.name for path in folder.iterdir()} == set(PICTURES)
    assert json.loads((folder / "figures.json").read_text()) == figures
    with Image.open(folder / "training.gif") as film:
        assert film.size == (480, 480)
        assert getattr(film, "n_frames", 1) > 5


def test_a_recipe_may_be_for_points(command: Run, tmp_path: Path) -> None:
    given = ["quadratic", "--recipe", "quadratic", "--steps", "5", "--out", str(tmp_path)]
    code, _, _ = command(*given, "--set", "generator.width=4", "--json")
    assert code == 0
    figures = json.loads((tmp_path / "quadratic-quadratic-0" / "figures.json").read_text())
    assert (figures["objective"], figures["steps"]) == ("non_saturating", 5)
    code, out, _ = command(*given, "--objective", "hinge", "--json")
    assert json.loads(out)["objective"] == "hinge"


def test_a_line_has_no_modes_and_the_last_line_is_the_folder(command: Run) -> None:
    options = ("--set", "generator.width=8", "--penalty", "none", "--out", "here")
    code, out, err = command("moons", "--steps", "2", *options)
    assert (code, out.splitlines()[-1]) == (0, "here/moons-non_saturating-0")
    assert "modes" not in err
    assert "total variation" in err
    figures = json.loads(Path("here/moons-non_saturating-0/figures.json").read_text())
    assert figures["modes_found"] is figures["modes_total"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ring9"], "the nearest is 'ring8'"),
        (["ring8", "--penalty", "r1"], "like one_centered=10, or none"),
        (["ring8", "--penalty", "r3=1"], "unknown key 'penalty.r3'"),
        (["ring8", "--family", "dcgan"], "takes pictures, not points"),
    ],
)
def test_mistakes_are_one_sentence(command: Run, arguments: list[str], message: str) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not Path("toys").exists()


def test_the_default_finds_every_mode() -> None:
    figures = toy.train(points("ring8"), toy.settle(steps=1000))
    assert figures["modes_found"] == 8
    assert figures["high_quality_share"] > 0.5  # 0.94 and more after all 8000
