"""What pictures from pictures are trained for, against maths written separately."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.config import Config
from morelike.distributed import World
from morelike.errors import UserError
from morelike.features.perceptual import perceptual
from morelike.metrics.fidelity import feature_distance
from morelike.models import Batch, check_playable, configure, enlarger, family
from morelike.models.translation import Sight, inputs
from morelike.rng import SeedDraws, StepDraws
from morelike.settings import merge
from morelike.tasks import Fakes, task_of
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step
from networks import TASKS, assert_slopes, copies, moved
from reference import numpy_enlarger as reference

CPU = torch.device("cpu")
SIDE, BATCH, SEED, SCALE = 16, 4, 3, 4
WEIGHTS = {
    "pixels": 0.7,
    "perceptual": 0.3,
    "matching": 0.2,
    "adversarial": 0.05,
    "unpaired": 0.02,
    "faithful": 0.4,
}
R1 = 0.6
GAME: dict[str, Any] = {
    "family": "enlarger",
    "task": {"name": f"enlarge:{SCALE}", "fakes": "somewhere"},
    "data": {"resolution": SIDE, "channels": 3, "mirror": False},
    "generator": {"width": 4, "blocks": 1, **WEIGHTS},
    "discriminator": {"width": 3, "layers": 1, "norm": "none", "sees_input": True},
    "objective": {"loss": "relativistic"},
    "penalty": {"r1": R1},
    "optimizer": {
        "generator": {"learning_rate": 3e-3, "beta1": 0.0, "beta2": 0.9, "epsilon": 1e-5},
        "discriminator": {"learning_rate": 7e-3, "beta1": 0.0, "beta2": 0.9, "epsilon": 1e-4},
    },
    "training": {"batch": BATCH, "seed": SEED, "precision": "fp32", "device": "cpu"},
}


def settings(**sections: Any) -> Config[Any, Any]:
    return configure(merge(GAME, sections))


def plain(name: str, task: str = "", channels: int = 3, **sections: Any) -> Config[Any, Any]:
    """A family with nothing but the settings it has by default, in narrow networks."""
    base = {
        "family": name,
        "task": {"name": task or TASKS[name]},
        "data": {"resolution": SIDE, "channels": channels, "mirror": False},
        "generator": {"width": 4},
        "discriminator": {"width": 4, "layers": 1},
        "training": {"batch": BATCH, "precision": "fp32", "device": "cpu"},
    }
    return configure(merge(base, sections))


def dataset(channels: int = 3, width: int = SIDE) -> Any:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (11, SIDE, width, channels), dtype=np.uint8)
    side = SIDE // SCALE
    samples = random.integers(80, 170, (9, side, side, channels), dtype=np.uint8)
    fakes = Fakes(torch.from_numpy(samples), torch.ones(side, side), torch.zeros(side, side))
    return SimpleNamespace(images=images, train=random.permutation(11), fakes=fakes)


def double_state(config: Config[Any, Any]) -> State:
    state = State(config, CPU)
    for network in state.networks:
        moved(network, 0.1)
    state.ema.double()
    return state


def steps(state: State, config: Config[Any, Any], count: int, data: Any = None) -> dict[str, float]:
    """The metrics of the last of so many steps."""
    feed = Feed(data or dataset(config.data.shape[0]), config, CPU)
    metrics: dict[str, Tensor] = {}
    for _ in range(count):
        metrics = step(state, family(config.family), config, feed, World())
    return {key: value.item() for key, value in metrics.items()}


def a_batch(config: Config[Any, Any], **more: Any) -> Batch:
    draws = StepDraws(SEED, 0, "test", BATCH, 0, BATCH, CPU, torch.float64)
    shown = Feed(dataset(config.data.shape[0]), config, CPU).shown(0, draws)
    return Batch(
        shown.real, (shown.condition,), draws, shown.condition, unpaired=shown.unpaired, **more
    )


def terms(config: Config[Any, Any], player: str, state: State, batch: Batch) -> dict[str, Any]:
    asked = getattr(family(config.family), f"{player}_terms")
    return {term.name: term for term in asked(config, state.networks, batch)}


# --- one whole step ---


def test_one_step_is_that_of_the_papers() -> None:
    config, data = settings(), dataset()
    state = double_state(config)
    g, d = (copies(network) for network in state.networks)
    feed = Feed(data, config, CPU)

    def given(update: str) -> list[np.ndarray]:
        draws = StepDraws(SEED, 0, update, BATCH, 0, BATCH, CPU, torch.float64)
        real, condition, unpaired = feed.shown(0, draws)
        assert unpaired is not None
        return [each.numpy() for each in (real, condition, unpaired)]

    def made(small: np.ndarray) -> np.ndarray:
        pictures = reference.generated(g, small, SCALE, 1)
        assert np.abs(pictures).max() < 1  # nothing to cut off, where a slope says nothing
        return pictures

    def beside(pictures: np.ndarray, small: np.ndarray) -> np.ndarray:
        return np.concatenate([pictures, reference.repeated(small, SCALE)], 1)

    metrics = steps(state, config, 1, data)

    real, small, other = given("discriminator.0")
    share = WEIGHTS["unpaired"] / WEIGHTS["adversarial"]

    def of_d() -> dict[str, float]:
        shown = beside(real, small), beside(made(small), small), beside(made(other), other)
        return reference.discriminator_value(d, *shown, share, R1)

    expected = of_d()
    assert expected["r1"] > 0.01 * expected["adversarial"]  # or its gradient would not show
    assert metrics["discriminator_adversarial"] == pytest.approx(expected["adversarial"], rel=1e-9)
    assert metrics["discriminator_unpaired"] == pytest.approx(
        expected["unpaired"] / share, rel=1e-9
    )
    assert metrics["discriminator_r1"] == pytest.approx(expected["r1"] / R1, rel=1e-9)
    assert metrics["loss_discriminator"] == pytest.approx(sum(expected.values()), rel=1e-9)
    assert_slopes(lambda: sum(of_d().values()), state.networks.discriminator, d)

    # Adam's first step without momentum: each weight by the rate, but for epsilon.
    for weight, parameter in zip(d, state.networks.discriminator.parameters(), strict=True):
        gradient = parameter.grad.numpy()
        weight -= 7e-3 * gradient / (np.abs(gradient) + 1e-4)
        np.testing.assert_allclose(parameter.detach(), weight, rtol=0, atol=1e-12)

    real, small, other = given("generator.0")

    def of_g() -> dict[str, float]:
        fake, unpaired = made(small), made(other)
        (of_real, on_real, _), (of_fake, on_fake, _), (_, on_other, _) = (
            reference.judged(d, beside(*pair))
            for pair in ((real, small), (fake, small), (unpaired, other))
        )
        return {
            "pixels": np.abs(fake - real).mean(),
            "perceptual": reference.distance(of_fake, of_real),
            "matching": reference.matched(of_fake, of_real),
            "adversarial": reference.softplus(on_real - on_fake).mean(),
            "unpaired": reference.softplus(on_real - on_other).mean(),
            "faithful": np.abs(reference.averaged(unpaired, SCALE) - other).mean(),
        }

    def weighted() -> float:
        return float(sum(WEIGHTS[name] * value for name, value in of_g().items()))

    assert {name: metrics[f"generator_{name}"] for name in WEIGHTS} == pytest.approx(
        of_g(), rel=1e-7
    )
    assert metrics["loss_generator"] == pytest.approx(weighted(), rel=1e-7)
    assert_slopes(weighted, state.networks.generator, g)
    for weight, parameter in zip(g, state.networks.generator.parameters(), strict=True):
        gradient = parameter.grad.numpy()  # type: ignore[union-attr]
        weight -= 3e-3 * gradient / (np.abs(gradient) + 1e-5)
        np.testing.assert_allclose(parameter.detach(), weight, rtol=0, atol=1e-12)


# --- which terms there are ---


@pytest.mark.parametrize("name", WEIGHTS)
def test_what_has_no_weight_is_not_there(name: str) -> None:
    off = {"adversarial": {"matching": 0, "perceptual": 0}}.get(name, {})
    config = settings(generator={name: 0, **off})
    state, batch = double_state(config), a_batch(config)
    found = terms(config, "generator", state, batch)
    gone = {name, *off} | ({"unpaired"} if name == "adversarial" else set())
    assert found.keys() == WEIGHTS.keys() - gone
    assert {n: term.weight for n, term in found.items()} == {n: WEIGHTS[n] for n in found}
    of_d = terms(config, "discriminator", state, batch)
    assert ("unpaired" in of_d) == (name not in ("unpaired", "adversarial"))


def test_without_samples_of_a_generator_there_are_pairs_only() -> None:
    config = settings(task={"fakes": None})
    state, batch = double_state(config), a_batch(config)
    assert batch.unpaired is None
    assert terms(config, "generator", state, batch).keys() == {
        "pixels",
        "perceptual",
        "matching",
        "adversarial",
    }
    assert "unpaired" not in terms(config, "discriminator", state, batch)


def test_without_a_game_the_discriminator_is_idle() -> None:
    config = plain("enlarger", generator={"adversarial": 0}, penalty={"r1": 1.0})
    state = double_state(config)
    assert terms(config, "discriminator", state, a_batch(config)) == {}
    g, d = (copies(network) for network in state.networks)
    metrics = steps(state, config, 2)
    assert metrics.keys() == {"loss_generator", "generator_pixels", "gradient_norm_generator"}
    for before, after in zip(d, copies(state.networks.discriminator), strict=True):
        assert np.array_equal(before, after)
    assert not np.array_equal(g[0], copies(state.networks.generator)[0])


def test_both_pictures_in_one_batch_or_in_two_are_the_same() -> None:
    values = []
    for joint in (False, True):
        config = settings(objective={"joint_batch": joint})
        state, batch = double_state(config), a_batch(config)
        found = terms(config, "discriminator", state, batch)
        values.append([term.function().item() for term in found.values()])
    assert values[0] == values[1]


def test_salimans_s_feature_matching_is_there_too() -> None:
    settings = {"objective": {"feature_matching": 2.0}, "discriminator": {"norm": "none"}}
    config = plain("enlarger", **settings)
    state, batch = double_state(config), a_batch(config)
    term = terms(config, "generator", state, batch)["feature_matching"]
    d = state.networks.discriminator
    means = [d.features(x).mean(0) for x in (batch.real, state.networks.generator(*batch.inputs))]
    assert term.weight == 2
    torch.testing.assert_close(term.function(), (means[0] - means[1]).square().sum())


# --- what pictures are compared by ---


def test_an_untrained_network_can_be_what_they_are_compared_by() -> None:
    config = plain("enlarger", generator={"perceptual": 2.0, "perceptual_network": "random"})
    check_playable(config)
    state, batch = double_state(config), a_batch(config)
    value = terms(config, "generator", state, batch)["perceptual"].function()
    made = state.networks.generator(*batch.inputs)
    look = perceptual("random")
    expected = feature_distance(look.maps(made), look.maps(batch.real)).mean()
    torch.testing.assert_close(value, expected)
    value.backward()
    assert all(p.grad is not None and p.grad.any() for p in state.networks.generator.parameters())
    # Its weights are nobody's: they are neither trained nor saved.
    assert not [name for name in state.tensors() if "look" in name or "perceptual" in name]


def test_a_trained_network_without_its_weights_is_refused_before_the_training() -> None:
    by = {"perceptual": 1.0, "perceptual_network": "timm:vgg16"}
    with pytest.raises(UserError, match="'timm:vgg16' needs its weights"):
        check_playable(plain("enlarger", generator=by))
    with pytest.raises(UserError, match=r"there is no file .*nowhere\.safetensors"):
        check_playable(
            plain("enlarger", generator={**by, "perceptual_weights": "nowhere.safetensors"})
        )
    # What has no weight is not asked for.
    check_playable(plain("enlarger", generator={**by, "perceptual": 0.0}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"adversarial": 0, "matching": 1}, "set matching = 0"),
        ({"adversarial": 0, "perceptual": 1}, "another perceptual_network"),
        ({"adversarial": 0, "pixels": 0}, "nothing to learn; set pixels=1"),
        ({"perceptual_network": "vgg"}, "perceptual_network"),
        ({"pixels": -1}, "pixels"),
    ],
)
def test_goals_that_mean_nothing_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        plain("unet", generator=values)
    plain("unet", generator={"adversarial": 0, "perceptual": 1, "perceptual_network": "random"})


# --- what D sees ---


def sight(config: Config[Any, Any], batch: Batch, *, moving_g: bool = False) -> Sight:
    return Sight(config, double_state(config).networks, batch, moving_g=moving_g)


@pytest.mark.parametrize(
    "policy", [["translation"], ["cutout"], ["translation", "cutout", "mirror"]]
)
def test_a_picture_its_input_and_what_was_made_are_moved_alike(policy: list[str]) -> None:
    augment = {"policy": policy, **({"probability": 0.7} if "mirror" in policy else {})}
    # Spectral norm would go on from pass to pass.
    config = plain("unet", augment=augment, discriminator={"norm": "none"})
    check_playable(config)
    batch = a_batch(config)
    # Where all three are the same picture, they stay so.
    same = Batch(batch.real, (batch.real,), batch.draws, batch.real, kept={"made": (batch.real,)})
    seen = sight(config, same)
    (real,), (fake,) = seen.real, seen.fake
    assert real.shape == (BATCH, 6, SIDE, SIDE)
    assert torch.equal(real, fake)
    assert torch.equal(real[:, :3], real[:, 3:])
    assert not torch.equal(real[:, :3], batch.real)
    for one, other in zip(seen.real_maps, seen.fake_maps, strict=True):
        assert torch.equal(one, other)


def test_samples_without_a_real_picture_are_seen_beside_themselves() -> None:
    config = settings()
    batch = a_batch(config)
    assert batch.unpaired is not None
    seen = sight(config, batch)
    network, d = seen.networks.generator, seen.networks.discriminator
    expected = d(network(batch.unpaired), condition=batch.unpaired)
    torch.testing.assert_close(seen.unpaired_logits, expected)
    assert not torch.allclose(seen.unpaired_logits, seen.fake_logits)


def test_only_in_its_own_update_do_gradients_reach_the_generator() -> None:
    config = settings()
    for moving in (False, True):
        seen = sight(config, a_batch(config), moving_g=moving)
        seen.networks.discriminator.requires_grad_(False)
        for logits in (seen.fake_logits, seen.unpaired_logits):
            assert logits.requires_grad == moving
        assert not seen.real_logits.requires_grad


# --- the same pictures in both updates, a batch in parts, a stop ---


def test_with_the_same_fakes_both_kinds_are_made_once_a_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0
    forward = enlarger.Generator.forward

    def counted(self: enlarger.Generator, given: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return forward(self, given)

    monkeypatch.setattr(enlarger.Generator, "forward", counted)
    for same, expected in ((False, 4), (True, 2)):
        calls = 0
        config = settings(training={"same_fakes": same})
        steps(double_state(config), config, 1)
        assert calls == expected


def after(config: Config[Any, Any], count: int = 3) -> list[Tensor]:
    state = double_state(config)
    steps(state, config, count)
    return [p.detach().clone() for network in state.networks for p in network.parameters()]


@pytest.mark.parametrize("same", [False, True])
def test_a_batch_in_parts_is_the_batch(same: bool) -> None:
    augment = {"policy": ["translation"]}
    one, other = (
        after(settings(training={"accumulation": parts, "same_fakes": same}, augment=augment))
        for parts in (1, 2)
    )
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-11)


def test_what_was_kept_of_the_samples_is_what_would_be_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = settings(training={"same_fakes": True})
    once = after(config)
    made = Sight.made_unpaired.func

    def again(self: Sight) -> Tensor:
        assert self.batch.kept is not None
        self.batch.kept.pop("unpaired", None)
        return made(self)

    monkeypatch.setattr(Sight.made_unpaired, "func", again)
    for one, other in zip(once, after(config), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("stop", [1, 2])
def test_a_state_restored_goes_on_to_the_bit(name: str, stop: int) -> None:
    config = plain(
        name,
        generator={"matching": 0.1, "perceptual": 0.1},
        penalty={"r1": 0.1, "lecam": 0.1, "every": 2},
        augment={"policy": ["translation"]},
    )
    straight = State(config, CPU)
    steps(straight, config, 4)
    first = State(config, CPU)
    steps(first, config, stop)
    kept = {key: value.detach().clone() for key, value in first.tensors().items()}
    other_seed = config.training.model_copy(update={"seed": 99})
    second = State(config.model_copy(update={"training": other_seed}), CPU)
    second.restore(kept, first.meta())
    steps(second, config, 4 - stop)
    one, other = straight.tensors(), second.tensors()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []
    # A restore that restored nothing would pass if nothing ever changed.
    assert [k for k in kept if kept[k].numel() > 3 and torch.equal(kept[k], one[k])] == []


# --- every task ---

EVERY = [
    *(("enlarger", f"enlarge:{scale}", channels) for scale in (2, 4, 8) for channels in (1, 3, 4)),
    *((name, "deblur", channels) for name in TASKS for channels in (1, 3, 4)),
    *((name, task, 3) for name in TASKS for task in ("colorize", "from-edges", "inpaint", "pairs")),
    ("unet", "inpaint", 1),
    ("unet", "from-edges", 1),
]


@pytest.mark.parametrize(("name", "task", "channels"), EVERY)
@pytest.mark.parametrize("sees_input", [False, True])
def test_every_task_trains(name: str, task: str, channels: int, sees_input: bool) -> None:
    width = 2 * SIDE if task == "pairs" else SIDE
    config = plain(
        name,
        task,
        channels,
        data={"width": width},
        discriminator={"sees_input": sees_input},
        generator={"matching": 0.1},
    )
    check_playable(config)
    found = task_of(config)
    assert found is not None
    state = State(config, CPU)
    before = [copies(network) for network in state.networks]
    metrics = steps(state, config, 2, dataset(channels, width))
    assert all(np.isfinite(value) for value in metrics.values())
    for old, network in zip(before, state.networks, strict=True):
        assert all(not np.array_equal(a, b) for a, b in zip(old, copies(network), strict=True))
    made = state.ema(torch.zeros(2, found.channels, SIDE, 2 * SIDE))
    assert made.shape == (2, channels, found.scale * SIDE, found.scale * 2 * SIDE)


@pytest.mark.parametrize(
    ("name", "task", "rate"), [("enlarger", "enlarge:2", 2e-3), ("unet", "colorize", 2e-4)]
)
def test_what_can_be_learnt_is_learnt(name: str, task: str, rate: float) -> None:
    """Flat pictures of two colours, of which the input says which."""
    shades = np.array([[200, 60, 40], [30, 80, 220]], dtype=np.uint8)
    images = np.repeat(shades, 8, 0)[:, None, None].repeat(SIDE, 1).repeat(SIDE, 2)
    images = images.copy()
    images[:, ::2, ::2] //= 2  # which area averages lose
    data: Any = SimpleNamespace(images=images, train=np.arange(16), fakes=None)
    rates = {player: {"learning_rate": rate} for player in ("generator", "discriminator")}
    config = plain(name, task, optimizer=rates, generator={"width": 8}, training={"batch": 8})
    state = State(config, CPU)
    first = steps(state, config, 1, data)["generator_pixels"]
    assert steps(state, config, 80, data)["generator_pixels"] < 0.3 * first


# --- what is refused ---


@pytest.mark.parametrize("name", TASKS)
def test_there_are_no_pictures_from_chance(name: str) -> None:
    draws = SeedDraws(range(3), CPU)
    for condition in (None, torch.zeros(3, 0)):
        with pytest.raises(UserError, match="makes pictures from other pictures") as caught:
            inputs(plain(name), draws, condition)
        assert "\n" not in str(caught.value)
    given = torch.zeros(3, 3, 8, 8)
    assert inputs(plain(name), draws, given) == (given,)
