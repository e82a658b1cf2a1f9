"""Every objective and penalty through the step itself, against maths written separately."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.augment import augment
from morelike.config import Config
from morelike.data.sampler import indices
from morelike.devices import autocast
from morelike.distributed import World
from morelike.losses import LOSSES
from morelike.models import Batch, Networks, adversarial, configure, dcgan
from morelike.rng import StepDraws, rng
from morelike.settings import merge
from morelike.training import state as state_module
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import (
    average_decay,
    clip_weights,
    discriminator_turns,
    discriminator_updates,
    step,
)
from networks import Critic
from reference import numpy_mlp as reference

CPU = torch.device("cpu")
SIDE, BATCH, LATENT, HIDDEN, SEED = 16, 6, 4, 5, 7
PLAYERS = ("generator", "discriminator")
OF_GRADIENTS = ("r1", "r2", "one_centered", "zero_centered")
PENALTIES = (*OF_GRADIENTS, "drift", "consistency")
# The last bias shifts all logits alike, which none of these can feel.
ONLY_DIFFERENCES = {
    "wasserstein",
    "relativistic",
    "relativistic_average",
    "relativistic_average_hinge",
}
# Different for each player, so that swapped settings show.
RATES: dict[str, Any] = {
    "generator": {"learning_rate": 3e-3, "beta1": 0.5, "beta2": 0.99, "epsilon": 1e-5},
    "discriminator": {"learning_rate": 7e-3, "beta1": 0.3, "beta2": 0.9, "epsilon": 1e-4},
}


def settings(*layers: dict[str, Any], **sections: Any) -> Config[Any, Any]:
    base = {
        "data": {"resolution": SIDE, "channels": 1, "mirror": False},
        "generator": {"width": 2, "latent": LATENT},
        "discriminator": {"width": 2},
        "optimizer": RATES,
        "training": {"batch": BATCH, "seed": SEED, "precision": "fp32", "device": "cpu"},
    }
    return configure(merge(base, *layers, sections))


def pictures(count: int = 27) -> Any:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (count, SIDE, SIDE, 1), dtype=np.uint8)
    return SimpleNamespace(images=images, train=numbers.permutation(count))


def rows(dataset: Any, start: int, batch: int = BATCH) -> np.ndarray:
    """The batch after `start` pictures, in [-1, 1], a row of pixels each."""
    chosen = dataset.train[indices(len(dataset.train), start, batch, SEED)]
    return dataset.images[chosen].reshape(batch, -1).astype(np.float64) / 127.5 - 1


# --- two networks of one hidden layer, smooth everywhere ---


def build(config: Config[Any, Any]) -> Networks:
    generator = nn.Sequential(
        nn.Linear(LATENT, HIDDEN),
        nn.Tanh(),
        nn.Linear(HIDDEN, SIDE * SIDE),
        nn.Tanh(),
        nn.Unflatten(1, (1, SIDE, SIDE)),
    )
    discriminator = Critic(
        nn.Flatten(), nn.Linear(SIDE * SIDE, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1), nn.Flatten(0)
    )
    return Networks(generator, discriminator)


MLP: Any = SimpleNamespace(
    build=build,
    inputs=dcgan.inputs,
    discriminator_terms=adversarial.discriminator_terms,
    generator_terms=adversarial.generator_terms,
)


@pytest.fixture
def mlp(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(state_module, "family", lambda name: MLP)
    return MLP


def double_state(config: Config[Any, Any]) -> State:
    """In float64, with weights for which gradients have norms on both sides of 1."""
    state = State(config, CPU)
    for module in state.modules().values():
        module.double()
    numbers = np.random.default_rng(11)
    with torch.no_grad():
        for network in state.networks:
            for parameter in network.parameters():
                size = {2: 1 / math.sqrt(parameter.shape[-1]), 1: 0.3}[parameter.ndim]
                parameter.copy_(torch.from_numpy(numbers.normal(0, 2.2 * size, parameter.shape)))
    state.ema.load_state_dict(state.networks.generator.state_dict())
    return state


def arrays(network: nn.Module, gradients: bool = False) -> dict[str, np.ndarray]:
    """A network's weights, or their gradients, under the reference's names."""
    tensors = [p.grad if gradients else p for p in network.parameters()]
    values = [t.detach().numpy().copy() for t in tensors if t is not None]
    return dict(zip(("W1", "b1", "W2", "b2"), values, strict=True))


def assert_equal(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray], where: str) -> None:
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        np.testing.assert_allclose(
            value, theirs[name], rtol=0, atol=1e-10, err_msg=f"{where} {name}"
        )


def gradients_of(network: nn.Module) -> Tensor:
    found = [p.grad for p in network.parameters()]
    return torch.cat([g.flatten() for g in found if g is not None])


def steps(
    state: State, config: Config[Any, Any], count: int, family: Any = MLP, dataset: Any = None
) -> Iterator[dict[str, float]]:
    """The metrics of so many steps, as plain numbers."""
    feed = Feed(dataset or pictures(), config, CPU)
    for _ in range(count):
        yield {k: v.item() for k, v in step(state, family, config, feed, World()).items()}


# --- random numbers of the step, drawn once more ---


def uniform(images: int, update: str, purpose: str, *shape: int) -> np.ndarray:
    drawn = rng(SEED, images, update, purpose).random_sample((BATCH, *shape))
    return drawn.astype(np.float32).astype(np.float64)


def latents(images: int, update: str) -> np.ndarray:
    drawn = rng(SEED, images, update, "latents").standard_normal((BATCH, LATENT))
    return drawn.astype(np.float32).astype(np.float64)


def changed(flat: np.ndarray, images: int, update: str) -> np.ndarray:
    """Every other picture mirrored, all shifted by up to an eighth of the side; gray enters."""
    most = SIDE // 8
    numbers = uniform(images, update, "consistency", 8)
    mirrored = uniform(images, update, "consistency.mirror") < 0.5
    result = np.zeros((len(flat), SIDE, SIDE))
    for number, picture in enumerate(flat.reshape(-1, SIDE, SIDE)):
        picture = picture[:, ::-1] if mirrored[number] else picture
        down, right = (int(numbers[number, k] * (2 * most + 1)) - most for k in (3, 4))
        for row in range(SIDE):
            for column in range(SIDE):
                if 0 <= row - down < SIDE and 0 <= column - right < SIDE:
                    result[number, row, column] = picture[row - down, column - right]
    return result.reshape(len(flat), -1)


# --- several steps against the reference ---

RMSPROP = {
    "generator": {"method": "rmsprop", "learning_rate": 2e-3, "beta2": 0.95},
    "discriminator": {"method": "rmsprop", "learning_rate": 5e-3},
}
ADAMW = {
    "generator": {"method": "adamw", "weight_decay": 0.3},
    "discriminator": {"method": "adamw", "weight_decay": 0.5},
}
GAMES: dict[str, dict[str, Any]] = {
    "wgan": {
        "objective": {"loss": "wasserstein"},
        "penalty": {"clip": 0.2},
        "optimizer": RMSPROP,
        "training": {"discriminator_steps": 5},
    },
    "wgan with a burst": {
        "objective": {"loss": "wasserstein"},
        "penalty": {"clip": 0.05},
        "optimizer": RMSPROP,
        "training": {"discriminator_burst": 7},
    },
    "wgan-gp": {
        "objective": {"loss": "wasserstein"},
        "penalty": {"one_centered": 10.0, "drift": 0.001},
        "training": {"discriminator_steps": 2},
    },
    "r3gan": {"objective": {"loss": "relativistic"}, "penalty": {"r1": 0.7, "r2": 0.4}},
    "hinge": {"objective": {"loss": "hinge"}},
    "hinge, zero-centred, adamw": {
        "objective": {"loss": "hinge"},
        "penalty": {"zero_centered": 1.3},
        "optimizer": ADAMW,
    },
    "non-saturating, r1, lazily": {
        "objective": {"loss": "non_saturating"},
        "penalty": {"r1": 0.5, "every": 2, "drift": 0.1},
    },
    "consistency": {"objective": {"loss": "hinge"}, "penalty": {"consistency": 3.0}},
    "average": {
        "objective": {"loss": "relativistic_average"},
        "penalty": {"one_centered": 2.0, "consistency": 0.3},
        "training": {"discriminator_steps": 2},
    },
    "average hinge, joint": {
        "objective": {"loss": "relativistic_average_hinge", "joint_batch": True},
        "penalty": {"r1": 0.5},
    },
    "minimax, all at once": {
        "objective": {"loss": "minimax"},
        "penalty": dict.fromkeys(PENALTIES, 0.3),
    },
    "least squares, all lazily": {
        "objective": {"loss": "least_squares", "joint_batch": True},
        "penalty": dict.fromkeys(PENALTIES, 0.3) | {"every": 3},
        "optimizer": {"generator": ADAMW["generator"], "discriminator": RMSPROP["discriminator"]},
    },
    "ramps": {
        "objective": {"loss": "relativistic"},
        "penalty": {"r1": 0.5, "consistency": 1.0, "ramp": {"to": 0.1, "images": 3 * BATCH}},
        "optimizer": {
            "warmup": 2 * BATCH,
            "ramp": {"to": 0.5, "start": BATCH, "images": 2 * BATCH},
        },
    },
}


@pytest.mark.parametrize("name", GAMES)
def test_steps_equal_the_papers(name: str, mlp: Any) -> None:
    config = settings(GAMES[name])
    game, training = config.penalty, config.training
    dataset, state = pictures(), double_state(settings(GAMES[name]))
    g, d = (arrays(network) for network in state.networks)
    memories = {player: reference.Memory() for player in PLAYERS}
    penalties = {p: getattr(game, p) for p in PENALTIES if getattr(game, p)}
    shown = 0
    for number, metrics in enumerate(steps(state, config, 4, dataset=dataset)):
        images = number * BATCH
        ramped = (
            1 - min(images / game.ramp.images, 1) * (1 - game.ramp.to) if game.ramp.images else 1
        )
        due = {
            p: ramped * weight * (game.every if p in OF_GRADIENTS else 1)
            for p, weight in penalties.items()
            if p not in OF_GRADIENTS or number % game.every == 0
        }
        # Two steps of warm-up; from the first to the third a fall to a half.
        factor = [0.5, 0.75, 0.5, 0.5][number] if config.optimizer.warmup else 1.0
        rates = {
            player: reference.Rates(c.method, factor * c.learning_rate, *moments(c), c.weight_decay)
            for player, c in ((p, getattr(config.optimizer, p)) for p in PLAYERS)
        }
        for turn in range(training.discriminator_burst or training.discriminator_steps):
            update = f"discriminator.{turn}"
            real = rows(dataset, shown)
            shown += BATCH
            played = reference.discriminator_update(
                g,
                d,
                real,
                latents(images, update),
                config.objective.loss,
                due,
                uniform(images, update, "between"),
                changed(real, images, update) if game.consistency else real,
            )
            memory = memories["discriminator"]
            d = reference.move(d, played.gradients, memory, rates["discriminator"])
            if game.clip:
                d = reference.clipped(d, game.clip)
        answer = reference.generator_update(
            g, d, real, latents(images, "generator.0"), config.objective.loss
        )
        g = reference.move(g, answer.gradients, memories["generator"], rates["generator"])

        assert_equal(arrays(state.networks.discriminator, True), played.gradients, "D's gradient")
        assert_equal(arrays(state.networks.generator, True), answer.gradients, "G's gradient")
        assert_equal(arrays(state.networks.discriminator), d, "D")
        assert_equal(arrays(state.networks.generator), g, "G")
        expected = {f"discriminator_{part}": value for part, value in played.parts.items()}
        expected["generator_adversarial"] = expected["loss_generator"] = answer.value
        expected["loss_discriminator"] = played.value
        extra = {f"gradient_norm_{p}" for p in PLAYERS} | {"probability_real", "probability_fake"}
        assert metrics.keys() == expected.keys() | extra
        assert {k: metrics[k] for k in expected} == pytest.approx(expected, rel=1e-9, abs=1e-10)


def moments(config: Any) -> tuple[float, float, float]:
    return config.beta1, config.beta2, config.epsilon


def test_every_loss_and_penalty_is_compared() -> None:
    assert {game["objective"]["loss"] for game in GAMES.values()} == set(LOSSES)
    assert {p for game in GAMES.values() for p in game.get("penalty", ())} >= {*PENALTIES}


def test_the_reference_is_put_to_the_test(mlp: Any) -> None:
    # Norms on both sides of 1 and logits on both sides of the margins, or it says little.
    g, d = (arrays(network) for network in double_state(settings()).networks)
    real, fake = rows(pictures(), 0), reference.generate(g, latents(0, "discriminator.0"))[0]
    norms = np.sqrt((reference.input_gradients(d, np.concatenate([real, fake])) ** 2).sum(1))
    assert norms.min() < 1 < norms.max()
    for logits in (reference.judge(d, real), -reference.judge(d, fake)):
        assert 0 < (logits < 1).sum() < BATCH


# --- clipping ---


@pytest.mark.parametrize("limit", [0.01, 0.1])
def test_after_a_step_every_weight_of_the_critic_is_within_the_clip(limit: float, mlp: Any) -> None:
    objective = {"loss": "wasserstein"}
    config = settings(objective=objective, optimizer=RMSPROP, penalty={"clip": limit})
    state = double_state(config)
    for _ in steps(state, config, 2):
        critic, generator = (
            torch.cat([p.detach().flatten() for p in network.parameters()]).abs()
            for network in state.networks[::-1]
        )
        assert critic.max() == limit  # some at the edge, none beyond
        assert 0 < (critic < limit).sum() < len(critic)
        assert generator.max() > 1  # G keeps its own


def test_clipping_known_numbers() -> None:
    network = nn.BatchNorm1d(3)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([0.5, -0.001, -3.0]))
        network.bias.copy_(torch.tensor([-0.01, 0.01, 0.02]))
        assert network.running_var is not None
        clip_weights(network, 0.01)
    assert network.weight.tolist() == pytest.approx([0.01, -0.001, -0.01])
    assert network.bias.tolist() == pytest.approx([-0.01, 0.01, 0.01])
    assert network.running_var.tolist() == [1, 1, 1]  # statistics are no weights


def test_without_a_clip_weights_go_where_they_go(mlp: Any) -> None:
    config = settings(objective={"loss": "wasserstein"}, optimizer=RMSPROP)
    state = double_state(config)
    for _ in steps(state, config, 2):
        pass
    assert torch.cat([p.flatten() for p in state.networks.discriminator.parameters()]).max() > 0.5


# --- now and then, with n times the weight ---


@pytest.mark.parametrize("name", OF_GRADIENTS)
def test_lazy_penalties_are_applied_in_each_fourth_step(name: str, mlp: Any) -> None:
    weight = 0.3
    config = settings(penalty={name: weight, "every": 4, "drift": 0.2})
    for number, metrics in enumerate(steps(double_state(config), config, 9)):
        always = metrics["discriminator_adversarial"] + 0.2 * metrics["discriminator_drift"]
        lazy = metrics.get(f"discriminator_{name}", 0.0)
        assert (lazy > 0) == (number in (0, 4, 8))
        assert metrics["loss_discriminator"] == pytest.approx(always + 4 * weight * lazy)


def test_lazily_or_not_the_average_gradient_is_the_same(mlp: Any) -> None:
    # Pictures that are all alike and networks that stand still: each step has the same penalty.
    still = {p: {"learning_rate": 1e-300} for p in PLAYERS}
    dataset = pictures()
    dataset.images[:] = dataset.images[:1]
    averages = []
    for every in (1, 4):
        config = settings(optimizer=still, penalty={"r1": 0.8, "every": every})
        state = double_state(config)
        found = [
            gradients_of(state.networks.discriminator).clone()
            for _ in steps(state, config, 4, dataset=dataset)
        ]
        averages.append(torch.stack(found).mean(dim=0))
        apart = (found[0] - found[1]).abs().max()
    torch.testing.assert_close(averages[0], averages[1], rtol=0, atol=1e-13)
    assert apart > 0.01  # yet no single step was


def test_lazy_penalties_are_in_all_turns_of_their_step(mlp: Any) -> None:
    calls: list[int] = []
    config = settings(
        penalty={"r1": 0.3, "every": 3}, training={"discriminator_steps": 2}, objective={}
    )
    state = double_state(config)

    def terms(config: Any, networks: Networks, batch: Batch) -> Any:
        found = adversarial.discriminator_terms(config, networks, batch)

        def counted(function: Any) -> Tensor:
            calls.append(state.images // BATCH)
            return function()

        return [
            t._replace(function=lambda t=t: counted(t.function)) if t.name == "r1" else t
            for t in found
        ]

    family = SimpleNamespace(**MLP.__dict__ | {"discriminator_terms": terms})
    for _ in steps(state, config, 7, family):
        pass
    assert calls == [0, 0, 3, 3, 6, 6]


# --- ramps ---


def test_the_learning_rates_follow_warm_up_and_ramp(mlp: Any) -> None:
    ramp = {"to": 0.1, "start": 5 * BATCH, "images": 4 * BATCH}
    config = settings(optimizer={"warmup": 4 * BATCH, "ramp": ramp})
    state = double_state(config)
    rates = [
        [state.optimizers[p].param_groups[0]["lr"] for p in PLAYERS]
        for _ in steps(state, config, 12)
    ]
    factors = [0.25, 0.5, 0.75, 1, 1, 0.775, 0.55, 0.325, 0.1, 0.1, 0.1, 0.1]
    for player, found in zip(PLAYERS, zip(*rates, strict=True), strict=True):
        base = RATES[player]["learning_rate"]
        assert list(found) == pytest.approx([base * factor for factor in factors], rel=1e-12)
        assert found[-1] == base * 0.1  # exactly


def test_the_penalties_follow_their_ramp(mlp: Any) -> None:
    ramp = {"to": 3.0, "start": BATCH, "images": 4 * BATCH, "shape": "cosine"}
    config = settings(penalty={"r1": 0.5, "drift": 0.5, "ramp": ramp})
    found = []
    for metrics in steps(double_state(config), config, 7):
        paid = metrics["loss_discriminator"] - metrics["discriminator_adversarial"]
        found.append(paid / (metrics["discriminator_r1"] + metrics["discriminator_drift"]))
    quarter = 2 - math.sqrt(2)
    factors = [1, 1, 1 + quarter / 2, 2, 3 - quarter / 2, 3, 3]
    assert found == pytest.approx([0.5 * factor for factor in factors], rel=1e-9)


def test_a_penalty_whose_ramp_has_ended_at_0_is_gone(mlp: Any) -> None:
    config = settings(penalty={"r1": 0.5, "ramp": {"to": 0, "images": 2 * BATCH}})
    names = [sorted(k for k in m if "r1" in k) for m in steps(double_state(config), config, 4)]
    assert names == [["discriminator_r1"], ["discriminator_r1"], [], []]


@pytest.mark.parametrize(
    ("images", "half_life"),
    [(10, 100), (1000, 100), (1500, 550), (2000, 1000), (9000, 1000)],
)
def test_the_half_life_follows_its_ramp(images: int, half_life: float) -> None:
    training = {
        "batch": 10,
        "ema_half_life": 100,
        "ema_warmup": 1.0,
        "ema_ramp": {"to": 10, "start": 1000, "images": 1000},
    }
    expected = 0.5 ** (10 / min(half_life, images))
    assert average_decay(settings(training=training), images) == pytest.approx(expected, rel=1e-12)


# --- optimizers ---


@pytest.mark.parametrize(
    ("method", "kept"), [("adam", 1.0), ("adamw", 1 - 0.01 * 0.2), ("rmsprop", 1.0)]
)
def test_without_a_gradient_only_adamw_shrinks(method: str, kept: float, mlp: Any) -> None:
    def nothing(config: Any, networks: Networks, batch: Batch) -> Any:
        total = torch.stack([p.sum() for p in networks.generator.parameters()]).sum()
        return [adversarial.Term("nothing", 1.0, lambda: 0 * total)]

    moves = {"method": method, "learning_rate": 0.01}
    if method == "adamw":
        moves["weight_decay"] = 0.2
    config = settings(optimizer={"generator": moves})
    state = double_state(config)
    before = arrays(state.networks.generator)
    family = SimpleNamespace(**MLP.__dict__ | {"generator_terms": nothing})
    for _ in steps(state, config, 3, family):
        pass
    expected = {name: value * kept**3 for name, value in before.items()}
    assert_equal(arrays(state.networks.generator), expected, method)


@pytest.mark.parametrize("beta2", [0.5, 0.99])
def test_rmsprop_s_alpha_is_beta2(beta2: float, mlp: Any) -> None:
    moves = {"method": "rmsprop", "beta2": beta2, "epsilon": 0.01, "learning_rate": 1e-3}
    config = settings(optimizer={"generator": moves})
    state = double_state(config)
    before = arrays(state.networks.generator)
    next(steps(state, config, 1))
    moved = arrays(state.networks.generator)
    for name, g in arrays(state.networks.generator, gradients=True).items():
        # The first step: the mean square is (1 - alpha) of the first square.
        step_taken = 1e-3 * g / (math.sqrt(1 - beta2) * np.abs(g) + 0.01)
        np.testing.assert_allclose(before[name] - moved[name], step_taken, rtol=1e-9, atol=1e-15)


# --- bursts ---


@pytest.mark.parametrize("usual", [1, 5])
@pytest.mark.parametrize("burst", [0, 100])
def test_turns_and_updates_agree_for_two_thousand_steps(usual: int, burst: int) -> None:
    training = {"discriminator_steps": usual, "discriminator_burst": burst}
    config = settings(training=training)
    done = 0
    for number in range(2000):
        images = number * BATCH
        turns = discriminator_turns(config, images)
        long = burst and (number < 25 or number in (500, 1000, 1500))
        assert turns == (burst if long else usual), number
        assert discriminator_updates(config, images) == done, number
        done += turns


@pytest.mark.parametrize("first", [0, 23, 498, 998])
def test_no_picture_is_shown_twice_or_skipped_around_a_burst(first: int, mlp: Any) -> None:
    training = {"discriminator_steps": 2, "discriminator_burst": 4}
    config = settings(training=training)
    state = double_state(config)
    state.images = first * BATCH
    starts: dict[str, list[int]] = {player: [] for player in PLAYERS}

    class Spy(Feed):
        def batch(self, start: int, draws: StepDraws) -> Tensor:
            starts[draws.update.split(".")[0]].append(start)
            return super().batch(start, draws)

    feed = Spy(pictures(), config, CPU)
    ends = []
    for _ in range(5):
        step(state, MLP, config, feed, World())
        ends.append(starts["discriminator"][-1])
    begin = discriminator_updates(config, first * BATCH) * BATCH
    count = len(starts["discriminator"])
    assert starts["discriminator"] == [begin + BATCH * n for n in range(count)]
    assert starts["generator"] == ends  # G is judged beside the pictures that D saw last
    assert count == sum(discriminator_turns(config, (first + n) * BATCH) for n in range(5))
    assert count > 10  # there was a burst


def test_each_turn_of_a_burst_draws_its_own_latents(mlp: Any) -> None:
    drawn: list[Tensor] = []
    config = settings(training={"discriminator_burst": 6}, penalty={"one_centered": 1.0})

    def inputs(config: Any, draws: Any, condition: Any) -> Any:
        drawn.append(
            torch.cat([dcgan.inputs(config, draws)[0], draws.uniform("between")[:, None]], 1)
        )
        return dcgan.inputs(config, draws)

    family = SimpleNamespace(**MLP.__dict__ | {"inputs": inputs})
    for _ in steps(double_state(config), config, 2, family):
        pass
    values = torch.cat(drawn).flatten()
    assert len(drawn) == 14
    assert len(values.unique()) == len(values)


# --- parts, precision, bounds ---

EVERYTHING = dict.fromkeys(PENALTIES, 0.4)


@pytest.mark.parametrize("loss", ["wasserstein", "hinge", "relativistic"])
@pytest.mark.parametrize("joint", [False, True])
def test_penalties_do_not_feel_how_a_batch_is_cut(loss: str, joint: bool, mlp: Any) -> None:
    results = []
    for parts in (1, 3):
        config = settings(
            data={"mirror": True},
            objective={"loss": loss, "joint_batch": joint},
            penalty=EVERYTHING,
            augment={"policy": ["translation", "cutout"]},
            training={"accumulation": parts},
        )
        state = double_state(config)
        metrics = next(steps(state, config, 1))
        results.append((metrics, [gradients_of(n) for n in state.networks]))
    for whole, cut in zip(*results, strict=True):
        torch.testing.assert_close(cut, whole, rtol=0, atol=1e-12)


def test_penalties_are_on_what_the_discriminator_sees(mlp: Any) -> None:
    config = settings(
        penalty=EVERYTHING, augment={"policy": ["translation", "cutout"], "cutout": 0.6}
    )
    state = double_state(config)
    g, d = (arrays(network) for network in state.networks)
    update = "discriminator.0"

    def seen(flat: np.ndarray, purpose: str) -> np.ndarray:
        numbers = torch.from_numpy(uniform(0, update, purpose, 8))
        whole = torch.from_numpy(flat).reshape(-1, 1, SIDE, SIDE)
        return augment(whole, numbers, config.augment.policy, 0.125, 0.6).flatten(1).numpy()

    real = seen(rows(pictures(), 0), "augment.real")
    fake = seen(reference.generate(g, latents(0, update))[0], "augment.fake")
    shares = uniform(0, update, "between")[:, None]
    line = shares * real + (1 - shares) * fake
    expected = {
        "r1": reference.half_squared_norm(d, real)[0],
        "r2": reference.half_squared_norm(d, fake)[0],
        "one_centered": reference.distance_from_one(d, line)[0],
        "zero_centered": reference.squared_norm(d, line)[0],
        "drift": reference.squared_logits(d, real)[0],
        "consistency": reference.squared_difference(d, real, changed(real, 0, update))[0],
    }
    metrics = next(steps(state, config, 1))
    found = {name: metrics[f"discriminator_{name}"] for name in expected}
    assert found == pytest.approx(expected, rel=1e-9)


def test_differences_are_of_what_the_discriminator_sees(mlp: Any) -> None:
    step = 0.25
    config = settings(penalty={"r1": 1.0, "r2": 2.0, "difference": step})
    state = double_state(config)
    g, d = (arrays(network) for network in state.networks)
    update = "discriminator.0"
    seen = {
        "real": rows(pictures(), 0),
        "fake": reference.generate(g, latents(0, update))[0],
    }
    expected = {}
    for key, (kind, x) in zip(("r1", "r2"), seen.items(), strict=True):
        numbers = uniform(0, update, f"difference.{kind}.0", 1, SIDE, SIDE).reshape(BATCH, -1)
        moved = x + step * np.where(numbers < 0.5, 1.0, -1.0)
        changes = reference.judge(d, moved) - reference.judge(d, x)
        expected[key] = float((changes**2).mean() / step**2 / 2)
    metrics = next(steps(state, config, 1))
    found = {name: metrics[f"discriminator_{name}"] for name in expected}
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", PENALTIES)
def test_in_bf16_a_penalty_is_close_to_that_in_fp32(name: str, mlp: Any) -> None:
    config = settings(penalty={name: 1.0}, training={"batch": 32})
    values, gradients = [], []
    for precision in ("fp32", "bf16"):
        state = State(config, CPU)
        wide = double_state(config)
        for narrow, other in zip(state.networks, wide.networks, strict=True):
            narrow.load_state_dict(other.state_dict())
        draws = StepDraws(SEED, 0, "discriminator.0", 32, 0, 32, CPU)
        real = Feed(pictures(), config, CPU).batch(0, draws)
        batch = Batch(real, MLP.inputs(config, draws), draws)
        with autocast(CPU, precision):
            terms = MLP.discriminator_terms(config, state.networks, batch)
            (value,) = [t.function() for t in terms if t.name == name]
        value.backward()
        assert value.dtype == torch.float32
        values.append(value.detach())
        gradients.append(gradients_of(state.networks.discriminator))
    assert not torch.equal(*gradients)  # it was on
    torch.testing.assert_close(values[1], values[0], rtol=0.03, atol=1e-3)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


def test_the_discriminator_s_terms_leave_the_generator_and_the_pictures_alone(mlp: Any) -> None:
    config = settings(penalty=EVERYTHING)
    state = double_state(config)
    draws = StepDraws(SEED, 0, "discriminator.0", BATCH, 0, BATCH, CPU, torch.float64)
    batch = Batch(Feed(pictures(), config, CPU).batch(0, draws), MLP.inputs(config, draws), draws)
    before = batch.real.clone()
    terms = MLP.discriminator_terms(config, state.networks, batch)
    torch.stack([t.weight * t.function() for t in terms]).sum().backward()
    assert all(p.grad is None for p in state.networks.generator.parameters())
    assert torch.equal(batch.real, before)
    assert not batch.real.requires_grad


# --- what is logged of D's answers ---


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_what_d_believes_is_a_probability_of_each_kind(loss: str, mlp: Any) -> None:
    config = settings(objective={"loss": loss})
    g, d = (arrays(network) for network in double_state(config).networks)
    metrics = next(steps(double_state(config), config, 1))
    real = reference.judge(d, rows(pictures(), 0))
    fake = reference.judge(d, reference.generate(g, latents(0, "discriminator.0"))[0])
    if loss.startswith("relativistic"):  # of one beside the other
        real, fake = real - fake, fake - real
    expected = [(1 / (1 + np.exp(-logits))).mean() for logits in (real, fake)]
    found = [metrics["probability_real"], metrics["probability_fake"]]
    assert found == pytest.approx(expected, rel=1e-12)


# --- the contract: every loss with every penalty ---


def assert_both_players_learn(
    state: State, config: Config[Any, Any], family: Any, penalty: str | None
) -> None:
    for _ in range(2):
        before = [[p.detach().clone() for p in n.parameters()] for n in state.networks]
        metrics = next(steps(state, config, 1, family))
        assert all(math.isfinite(value) for value in metrics.values())
        if penalty in PENALTIES:
            assert metrics[f"discriminator_{penalty}"] > 0
        for network, old in zip(state.networks, before, strict=True):
            for (key, parameter), was in zip(network.named_parameters(), old, strict=True):
                assert parameter.isfinite().all(), key
                assert parameter.grad is not None, key
                assert parameter.grad.isfinite().all(), key
                if (
                    network is state.networks.discriminator
                    and config.objective.loss in ONLY_DIFFERENCES
                    and penalty != "drift"
                    and key == "3.bias"
                    and family is MLP
                ):
                    assert parameter.grad.abs().max() < 1e-12, key
                    continue
                assert parameter.grad.abs().max() > 0, key
                # Batch norm's gains begin at 1 and may be kept at the edge of the clip.
                at_edge = parameter.abs() == (config.penalty.clip or math.inf)
                assert at_edge.all() or not torch.equal(parameter, was), key


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("penalty", [*PENALTIES, "clip", None])
def test_a_plain_family_learns_by_every_loss_and_penalty(
    loss: str, penalty: str | None, mlp: Any
) -> None:
    weight = {penalty: 0.5} if penalty else {}
    config = settings(objective={"loss": loss}, penalty=weight)
    assert_both_players_learn(double_state(config), config, MLP, penalty)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("penalty", ["drift", "consistency", "clip", None])
@pytest.mark.parametrize("joint", [False, True])
def test_dcgan_learns_by_every_loss_and_penalty_that_needs_no_single_gradient(
    loss: str, penalty: str | None, joint: bool
) -> None:
    weight = {penalty: 0.5} if penalty else {}
    config = settings(objective={"loss": loss, "joint_batch": joint}, penalty=weight)
    assert_both_players_learn(State(config, CPU), config, dcgan, penalty)


# --- a stop changes nothing ---

MOVING = {
    "optimizer": {"warmup": 3 * BATCH, "ramp": {"to": 0.2, "start": BATCH, "images": 6 * BATCH}},
    "penalty": {"ramp": {"to": 2, "images": 5 * BATCH}},
    "training": {"ema_ramp": {"to": 3, "images": 4 * BATCH}, "ema_half_life": 20},
}


@pytest.mark.parametrize("method", ["adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("stop", [1, 4])
def test_a_state_restored_goes_on_to_the_bit(method: str, stop: int, mlp: Any) -> None:
    decay = {"weight_decay": 0.1} if method == "adamw" else {}
    config = settings(
        MOVING,
        objective={"loss": "relativistic_average"},
        penalty={"r1": 0.1, "consistency": 1.0, "every": 3, "clip": 0.5},
        optimizer={p: {"method": method, **decay} for p in PLAYERS},
        training={"discriminator_steps": 2, "discriminator_burst": 3},
    )
    straight = State(config, CPU)
    for _ in steps(straight, config, 7):
        pass
    first = State(config, CPU)
    for _ in steps(first, config, stop):
        pass
    kept = {name: value.detach().clone() for name, value in first.tensors().items()}
    seed = config.training.model_copy(update={"seed": 99})
    second = State(config.model_copy(update={"training": seed}), CPU)
    second.restore(kept, first.meta())
    for _ in steps(second, config, 7 - stop):
        pass
    one, other = straight.tensors(), second.tensors()
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert straight.meta() == second.meta()
    # A restore that restored nothing would pass if nothing ever changed.
    assert [n for n in kept if kept[n].numel() > 1 and torch.equal(kept[n], one[n])] == []
    squares = {"rmsprop": "square_avg"}.get(method, "exp_avg_sq")
    assert sum(name.endswith(f".{squares}") for name in one) == 8


def test_what_rmsprop_remembers_is_in_the_checkpoint(mlp: Any) -> None:
    rms = settings(optimizer={p: {"method": "rmsprop"} for p in PLAYERS})
    state = State(rms, CPU)
    for _ in steps(state, rms, 1):
        pass
    names = {n.rpartition(".")[2] for n in state.tensors() if n.startswith("optimizer.")}
    assert names == {"step", "square_avg"}
