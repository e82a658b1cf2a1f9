from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.diagnostics.finding import Finding
from morelike.diagnostics.health import (
    dead_units,
    gradients,
    history,
    saturated_share,
    saturation,
    silences,
    weights,
)
from morelike.metrics.chances import wilson
from morelike.rng import rng

SHOWN = (1000, 2000, 4000, 8000)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(rng(seed, "weights").standard_normal(shape)).float()


def run(growth: dict[str, float]) -> list[tuple[int, dict[str, Tensor]]]:
    """Checkpoints of layers whose norm grows with the given power of the pictures shown."""
    checkpoints = []
    for shown in SHOWN:
        tensors = {
            name: drawn(6, 5) * (shown / SHOWN[0]) ** power for name, power in growth.items()
        }
        checkpoints.append((shown, tensors))
    return checkpoints


STEADY = {"generator.1.weight": 0.5, "discriminator.trunk.0.weight": 0.9}


def figure(found: Finding, start: str) -> float:
    return next(each.value for each in found.figures if each.name.startswith(start))


def test_the_history_holds_norms_and_changes() -> None:
    checkpoints = run({"generator.1.weight": 1.0})
    checkpoints[0][1]["generator.1.bias"] = torch.ones(3)
    found = history(checkpoints)
    assert found.images == SHOWN
    rows = found.layers["generator.1.weight"]
    assert list(found.layers) == ["generator.1.weight"]
    start = drawn(6, 5).norm().item()
    assert [row.norm for row in rows] == pytest.approx([start * n for n in (1, 2, 4, 8)])
    assert [row.change for row in rows] == [None, *[pytest.approx(1)] * 3]


def test_walks_and_drifts_are_healthy() -> None:
    found = weights(history(run(STEADY)))
    assert (found.topic, found.state, found.word) == ("health", "no", "")
    assert found.figures[0].null == (0, 2)
    assert figure(found, "growth of discriminator.trunk.0.weight") == pytest.approx(2**0.9)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_layer_that_runs_away_is_found_and_named(player: str) -> None:
    found = weights(history(run({**STEADY, f"{player}.9.weight": 2.0})))
    assert (found.state, found.word) == ("yes", "DIVERGED")
    assert f"{player}.9.weight" in found.sentence
    assert f"optimizer.{player}.learning_rate" in found.remedy
    assert figure(found, f"growth of {player}.9.weight") == pytest.approx(4)
    assert found.curves[0].images == SHOWN


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["generator.1.weight", "ema.1.weight", "optimizer.generator.x.v"])
def test_what_is_not_finite_is_found_and_dated(bad: float, name: str) -> None:
    checkpoints = run(STEADY)
    for _, tensors in checkpoints[2:]:
        tensors[name] = tensors.get(name, drawn(3)).clone()
        tensors[name].view(-1)[1] = bad
    found = weights(history(checkpoints))
    assert (found.state, found.word) == ("yes", "DIVERGED")
    assert name in found.sentence
    assert "4,000" in found.sentence


def test_weights_that_stopped_are_found() -> None:
    checkpoints = run(STEADY)
    last = dict(checkpoints[-1][1])
    last["generator.1.weight"] = last["generator.1.weight"] * 1.5
    last["discriminator.trunk.0.weight"] = last["discriminator.trunk.0.weight"].clone()
    found = weights(history([*checkpoints, (16000, last)]))
    assert found.state == "yes"
    assert "weights of the discriminator no longer move" in found.sentence
    assert found.word == ""
    last["discriminator.trunk.0.weight"] = last["discriminator.trunk.0.weight"] * (1 + 1e-5)
    assert weights(history([*checkpoints, (16000, last)])).state == "no"


def test_too_few_or_too_close_checkpoints_are_unknown() -> None:
    checkpoints = run(STEADY)
    for few in (checkpoints[:1], [(0, checkpoints[0][1]), checkpoints[0]]):
        assert weights(history(few)).state == "unknown"
    close = [checkpoints[0], (1050, checkpoints[1][1])]
    assert weights(history(close)).state == "unknown"


def squares(value: float, **others: Tensor) -> dict[str, Tensor]:
    name = "optimizer.generator.{}.weight.exp_avg_sq"
    base = {name.format(layer): torch.full((8, 4), value) for layer in (1, 4)}
    return {**base, **{name.format(k[1:]): v for k, v in others.items()}, "generator.1.weight": T}


T = torch.ones(8, 4)


def test_gradients_that_reach_all_layers_are_healthy() -> None:
    found = gradients(squares(1e-4), "generator", 1e-8)
    assert found.state == "no"
    assert figure(found, "the generator's smallest gradient") == pytest.approx(0.01)
    rms = {"optimizer.discriminator.0.weight.square_avg": torch.full((3, 3), 1e-4)}
    assert gradients(rms, "discriminator", 1e-8).state == "no"
    assert gradients(rms, "generator", 1e-8).state == "unknown"


def test_vanished_gradients_are_found() -> None:
    mostly = torch.full((8, 4), 1e-18)
    mostly[:3] = 1e-4
    found = gradients(squares(1e-4, _7=mostly), "generator", 1e-8)
    assert found.state == "yes"
    assert "vanished in 7.weight" in found.sentence
    assert figure(found, "weights of 7.weight") == pytest.approx(5 / 8)
    # For a larger epsilon the same gradients are none; for a smaller one they are some.
    assert gradients(squares(1e-10), "generator", 1e-4).state == "yes"
    assert gradients(squares(1e-10, _7=mostly), "generator", 1e-12).state == "no"


def test_exploded_gradients_are_found() -> None:
    bad = torch.ones(8, 4)
    bad[0, 0] = math.inf
    found = gradients(squares(1e-4, _7=bad), "generator", 1e-8)
    assert (found.state, found.word) == ("yes", "DIVERGED")
    assert "7.weight" in found.sentence


class Shift(nn.Module):
    """Moves the first channels so far down that no rectifier opens."""

    def __init__(self, down: int) -> None:
        super().__init__()
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        x[:, : self.down] -= 100
        return x


def network(down: int, rectifier: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 1), Shift(down), rectifier, nn.Conv2d(8, 3, 1), nn.Tanh())


@pytest.mark.parametrize(("down", "state"), [(0, "no"), (4, "no"), (5, "yes")])
def test_dead_channels_are_counted(down: int, state: str) -> None:
    torch.manual_seed(0)
    one = network(down, nn.ReLU(inplace=True))
    batches = [(drawn(6, 3, 4, 4, seed=seed),) for seed in (1, 2)]
    ((layer, channels, silent),) = silences(one, batches)
    assert (layer, channels, silent) == ("2", 8, down)
    assert dead_units(silences(one, batches), 12).state == state
    assert not one[2]._forward_hooks


def test_a_channel_that_opens_in_one_batch_only_is_alive() -> None:
    one = nn.Sequential(nn.ReLU())
    closed, opened = -torch.ones(3, 2, 4, 4), -torch.ones(3, 2, 4, 4)
    opened[0, 1, 2, 2] = 1
    assert silences(one, [(closed,), (opened,), (closed,)])[0].silent == 1
    assert silences(one, [(closed,)])[0].silent == 2


def test_leaky_rectifiers_cannot_die() -> None:
    found = silences(network(8, nn.LeakyReLU(0.2)), [(drawn(2, 3, 4, 4),)])
    assert found == []
    assert dead_units(found, 2).state == "no"


def pictures(count: int, seed: int, low: int = 20, high: int = 235) -> np.ndarray:
    return rng(seed, "pictures").randint(low, high, (count, 8, 8, 3)).astype(np.uint8)


def test_saturated_values_are_counted() -> None:
    images = pictures(2, 0)
    images[1, :4] = 255
    images[1, 4, :4] = 0
    assert saturated_share(images).tolist() == pytest.approx([0, 36 / 64])


def test_stuck_output_is_found_and_a_white_background_is_not() -> None:
    plain, stuck = pictures(80, 0), pictures(64, 1)
    stuck[:, :3] = 0
    found = saturation(stuck, plain)
    assert found.state == "yes"
    assert "100%" in found.sentence
    assert saturation(pictures(64, 2), plain).state == "no"
    on_white, like_it = pictures(80, 3), pictures(64, 4)
    on_white[:, :6], like_it[:, :5] = 255, 255
    assert saturation(like_it, on_white).state == "no"
    some = pictures(64, 5)
    some[:32, :3] = 0
    assert saturation(some, plain).state == "unknown"


def test_wilsons_interval_by_its_equation() -> None:
    low, high = wilson(0.3, 50)
    for edge in (low, high):
        assert abs(edge - 0.3) == pytest.approx(1.959964 * math.sqrt(edge * (1 - edge) / 50))
    assert wilson(0, 20)[0] == 0
    assert wilson(1, 20)[1] == 1
