from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.config import Config
from morelike.data.sampler import indices
from morelike.distributed import World
from morelike.models import Batch, Networks, Term, adversarial, configure, dcgan
from morelike.settings import merge
from morelike.training import state as state_module
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import (
    NotFinite,
    average_decay,
    gradient_norm,
    step,
    update_average,
)
from networks import Critic
from reference import numpy_dcgan as reference

CPU = torch.device("cpu")
BATCH, LATENT, SEED = 6, 5, 11
# Different for each player, so that swapped settings show.
ADAM = {
    "generator": {"learning_rate": 3e-3, "beta1": 0.5, "beta2": 0.99, "epsilon": 1e-7},
    "discriminator": {"learning_rate": 7e-3, "beta1": 0.3, "beta2": 0.9, "epsilon": 1e-6},
}


def settings(**sections: Any) -> Config[Any, Any]:
    base = {
        "data": {"resolution": 16, "channels": 3, "mirror": False},
        "generator": {"width": 4, "latent": LATENT},
        "discriminator": {"width": 4},
        "optimizer": ADAM,
        "training": {"batch": BATCH, "seed": SEED, "precision": "fp32", "device": "cpu"},
    }
    return configure(merge(base, sections))


def pictures(side: int = 16, channels: int = 3) -> Any:
    """Forty pictures of which 27 are for training: no multiple of the batch."""
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (40, side, side, channels), dtype=np.uint8)
    return SimpleNamespace(images=images, train=numbers.permutation(40)[:27])


def expected_real(dataset: Any, start: int) -> np.ndarray:
    """The batch after `start` pictures, scaled to [-1, 1], (B, C, H, W)."""
    chosen = dataset.train[indices(len(dataset.train), start, BATCH, SEED)]
    return dataset.images[chosen].transpose(0, 3, 1, 2).astype(np.float64) / 127.5 - 1


def watched(family: Any) -> tuple[Any, list[tuple[str, Batch]]]:
    """The same family, and a list of every batch that a player is asked about."""
    seen: list[tuple[str, Batch]] = []

    def record(player: str) -> Callable[..., list[Term]]:
        def terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
            seen.append((player, batch))
            return getattr(family, f"{player}_terms")(config, networks, batch)

        return terms

    spy = SimpleNamespace(
        build=family.build,
        inputs=family.inputs,
        generator_terms=record("generator"),
        discriminator_terms=record("discriminator"),
    )
    return spy, seen


def double_state(config: Config[Any, Any]) -> State:
    state = State(config, CPU)
    for module in state.modules().values():
        module.double()
    return state


def scatter(state: State) -> None:
    """Weights and statistics far from their start, so that nothing is hidden by zeros and ones."""
    numbers = np.random.default_rng(1)
    for network in state.networks:
        values = network.state_dict()
        for name, value in values.items():
            if value.ndim in (2, 4):
                # Large enough that logits lie on both sides of the hinge.
                drawn = numbers.normal(0, 0.25, value.shape)
            elif name.endswith("running_var") or name.endswith("weight"):
                drawn = numbers.uniform(0.5, 1.5, value.shape)
            elif value.is_floating_point():
                drawn = numbers.normal(0, 0.3, value.shape)
            else:
                continue
            value.copy_(torch.from_numpy(np.asarray(drawn)))
    state.ema.load_state_dict(state.networks.generator.state_dict())


def by_layer(network: nn.Module, gradients: bool = False) -> dict[str, np.ndarray]:
    """A network of the package under the reference's names."""
    result: dict[str, Tensor | None] = {}
    layer = -1
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer += 1
            result[f"kernel{layer}"] = module.weight
        elif isinstance(module, nn.BatchNorm2d):
            result[f"gain{layer}"], result[f"shift{layer}"] = module.weight, module.bias
            if not gradients:
                result[f"mean{layer}"] = module.running_mean
                result[f"variance{layer}"] = module.running_var
    found = {k: v.grad if gradients else v for k, v in result.items() if v is not None}
    arrays = {k: v.detach().numpy().copy() for k, v in found.items() if v is not None}
    # D's last layer, linear in all of a 4x4 map, is the reference's last convolution.
    return {
        k: v.reshape(1, 4, 4, -1).transpose(0, 3, 1, 2) if v.ndim == 2 else v
        for k, v in arrays.items()
    }


def assert_equal(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        np.testing.assert_allclose(value, theirs[name], rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "smoothing", "joint", "side", "channels"),
    [
        ("minimax", 0.0, False, 16, 3),
        ("non_saturating", 0.0, False, 16, 3),
        ("least_squares", 0.0, False, 16, 3),
        ("hinge", 0.0, False, 16, 3),
        ("non_saturating", 0.1, False, 32, 1),
        ("minimax", 0.2, False, 16, 4),
        ("least_squares", 0.3, False, 16, 3),
        ("non_saturating", 0.1, True, 16, 3),
        ("hinge", 0.0, True, 16, 3),
    ],
)
def test_two_steps_equal_the_papers(
    loss: str, smoothing: float, joint: bool, side: int, channels: int
) -> None:
    config = settings(
        data={"resolution": side, "channels": channels},
        objective={"loss": loss, "label_smoothing": smoothing, "joint_batch": joint},
    )
    dataset = pictures(side, channels)
    family, seen = watched(dcgan)
    state = double_state(config)
    scatter(state)
    feed = Feed(dataset, config, CPU)
    generator = by_layer(state.networks.generator)
    discriminator = by_layer(state.networks.discriminator)
    rates = {player: reference.Rates(*values.values()) for player, values in ADAM.items()}
    moments = dict.fromkeys(ADAM, reference.Moments())
    # The second step sees Adam's memory and the moved statistics of the first.
    for turn in range(2):
        metrics = step(state, family, config, feed, World())
        (_, for_d), (_, for_g) = seen[-2:]
        real = expected_real(dataset, turn * BATCH)
        np.testing.assert_allclose(for_d.real, real, rtol=0, atol=1e-15)
        d = reference.discriminator_update(
            generator,
            discriminator,
            moments["discriminator"],
            real,
            for_d.inputs[0].numpy(),
            loss,
            smoothing,
            rates["discriminator"],
            joint,
        )
        g = reference.generator_update(
            d.generator,
            d.discriminator,
            moments["generator"],
            real,
            for_g.inputs[0].numpy(),
            loss,
            rates["generator"],
            joint,
        )
        generator, discriminator = g.generator, g.discriminator
        moments = {"generator": g.moments, "discriminator": d.moments}

        real_logits, fake_logits = d.logits
        if loss == "hinge":  # both sides of each margin, or the comparison says little
            for logits in (real_logits, -fake_logits):
                assert 0 < (logits < 1).sum() < BATCH
        assert_equal(by_layer(state.networks.discriminator, gradients=True), d.gradients)
        assert_equal(by_layer(state.networks.generator, gradients=True), g.gradients)
        assert_equal(by_layer(state.networks.discriminator), discriminator)
        assert_equal(by_layer(state.networks.generator), generator)
        norms = {
            player: math.sqrt(sum((array**2).sum() for array in update.gradients.values()))
            for player, update in {"generator": g, "discriminator": d}.items()
        }
        expected = {
            "loss_discriminator": d.loss,
            "discriminator_adversarial": d.loss,
            "loss_generator": g.loss,
            "generator_adversarial": g.loss,
            "probability_real": (1 / (1 + np.exp(-real_logits))).mean(),
            "probability_fake": (1 / (1 + np.exp(-fake_logits))).mean(),
            "gradient_norm_generator": norms["generator"],
            "gradient_norm_discriminator": norms["discriminator"],
        }
        assert {k: v.item() for k, v in metrics.items()} == pytest.approx(expected, abs=1e-10)


def test_the_pictures_come_in_order_and_each_update_draws_its_own_latents() -> None:
    config = settings(training={"discriminator_steps": 2})
    dataset = pictures()
    family, seen = watched(dcgan)
    state = double_state(config)
    feed = Feed(dataset, config, CPU)
    for _ in range(3):
        step(state, family, config, feed, World())
    assert [player for player, _ in seen] == ["discriminator", "discriminator", "generator"] * 3
    only_d = [batch for player, batch in seen if player == "discriminator"]
    for number, batch in enumerate(only_d):  # 36 pictures: into the second pass over the 27
        np.testing.assert_allclose(batch.real, expected_real(dataset, number * BATCH), atol=1e-15)
    for turn in range(3):
        assert torch.equal(seen[3 * turn + 1][1].real, seen[3 * turn + 2][1].real)
    latents = torch.cat([batch.inputs[0] for _, batch in seen])
    assert len(latents.unique(dim=0)) == 9 * BATCH


def test_a_step_advances_the_images_seen_by_one_batch() -> None:
    config = settings()
    state = double_state(config)
    feed = Feed(pictures(), config, CPU)
    for turn in range(1, 4):
        step(state, dcgan, config, feed, World())
        assert state.images == turn * BATCH


# --- a family without batch norm, whose arithmetic is known ---


def plain_build(config: Config[Any, Any]) -> Networks:
    size = config.data.channels * config.data.resolution**2
    shape = (config.data.channels, config.data.resolution, config.data.resolution)
    generator = nn.Sequential(nn.Linear(LATENT, size), nn.Unflatten(1, shape), nn.Tanh())
    discriminator = Critic(
        nn.Flatten(), nn.Linear(size, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Flatten(0)
    )
    return Networks(generator, discriminator)


def plain_family(**answers: Any) -> Any:
    base = {
        "build": plain_build,
        "inputs": dcgan.inputs,
        "discriminator_terms": adversarial.discriminator_terms,
        "generator_terms": adversarial.generator_terms,
    }
    return SimpleNamespace(**base | answers)


@pytest.fixture
def plain_state(monkeypatch: pytest.MonkeyPatch) -> Callable[[Config[Any, Any]], State]:
    monkeypatch.setattr(state_module, "family", lambda name: plain_family())
    return double_state


def sum_of(network: nn.Module) -> Tensor:
    """A function whose gradient is 1 everywhere."""
    return torch.stack([p.sum() for p in network.parameters()]).sum()


def gradients_of(network: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


AUGMENTED: dict[str, Any] = {
    # Each picture's random changes must not depend on how the batch is cut.
    "data": {"mirror": True},
    "augment": {"policy": ["color", "translation", "cutout"]},
}


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_an_accumulated_batch_equals_the_whole(parts: int, plain_state: Any) -> None:
    results = []
    for accumulation in (1, parts):
        config = settings(training={"accumulation": accumulation}, **AUGMENTED)
        family, seen = watched(plain_family())
        state = plain_state(config)
        metrics = step(state, family, config, Feed(pictures(), config, CPU), World())
        assert len(seen) == 2 * accumulation
        assert {len(batch.real) for _, batch in seen} == {BATCH // accumulation}
        results.append((metrics, [gradients_of(n) for n in state.networks], state.tensors()))
    for whole, cut in zip(*results, strict=True):
        torch.testing.assert_close(cut, whole, rtol=0, atol=1e-12)


class AloneInTheWorld(World):
    """One of several processes, with nobody to talk to."""

    def average_gradients(self, parameters: Any) -> None: ...

    def average(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        return values


@pytest.mark.parametrize(("batch", "parts"), [(12, 3), (12, 6)])
def test_a_process_accumulates_its_share_of_the_batch(
    batch: int, parts: int, plain_state: Any
) -> None:
    _assert_parts_do_not_matter(batch, parts, plain_state)


@pytest.mark.parametrize(("batch", "parts"), [(12, 4), (12, 12)])
def test_parts_that_do_not_divide_a_process_s_rows(
    batch: int, parts: int, plain_state: Any
) -> None:
    _assert_parts_do_not_matter(batch, parts, plain_state)


def _assert_parts_do_not_matter(batch: int, parts: int, plain_state: Any) -> None:
    found = []
    for accumulation in (1, parts):
        config = settings(training={"batch": batch, "accumulation": accumulation})
        state = plain_state(config)
        feed = Feed(pictures(), config, CPU)
        step(state, plain_family(), config, feed, AloneInTheWorld(1, 2))
        found.append(gradients_of(state.networks.discriminator))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-12)


def test_a_lazy_term_is_applied_every_nth_step_with_n_times_its_weight(plain_state: Any) -> None:
    calls: list[int] = []

    def terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        def lazy() -> Tensor:
            calls.append(state.images // BATCH)
            return sum_of(networks.discriminator)

        still = Term("still", 2.0, lambda: 0 * sum_of(networks.discriminator) + 7)
        return [still, Term("lazy", 0.25, lazy, every=3)]

    config = settings()
    state = plain_state(config)
    family = plain_family(discriminator_terms=terms)
    feed = Feed(pictures(), config, CPU)
    for turn in range(7):
        value = sum_of(state.networks.discriminator).item()
        metrics = step(state, family, config, feed, World())
        gradient = gradients_of(state.networks.discriminator)
        assert metrics["discriminator_still"].item() == 7
        if turn % 3 == 0:
            assert torch.equal(gradient, torch.full_like(gradient, 3 * 0.25))
            assert metrics["discriminator_lazy"].item() == pytest.approx(value)
            assert metrics["loss_discriminator"].item() == pytest.approx(14 + 0.75 * value)
        else:
            assert not gradient.any()
            assert "discriminator_lazy" not in metrics
            assert metrics["loss_discriminator"].item() == 14
    assert calls == [0, 3, 6]


def test_a_player_with_nothing_due_stays_as_it_is(plain_state: Any) -> None:
    def terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        return [
            Term("now and then", 1.0, lambda: sum_of(networks.discriminator), every=2),
            Term("seen", 0.0, lambda: sum_of(networks.discriminator)),
        ]

    config = settings(penalty={"clip": 1e-9}, training={"accumulation": 2})
    state = plain_state(config)
    family, feed = plain_family(discriminator_terms=terms), Feed(pictures(), config, CPU)
    for turn in range(4):
        with torch.no_grad():
            for parameter in state.networks.discriminator.parameters():
                parameter.fill_(turn + 1)
        before = generator_weights(state)
        metrics = step(state, family, config, feed, World())
        values = torch.cat([p.flatten() for p in state.networks.discriminator.parameters()])
        assert ("loss_discriminator" in metrics) == (turn % 2 == 0)
        # Neither its optimizer's memory nor the clip moves it.
        assert bool((values == turn + 1).all()) == (turn % 2 == 1)
        assert not torch.equal(generator_weights(state), before)
        assert state.images == (turn + 1) * BATCH


def generator_weights(state: State) -> Tensor:
    return torch.cat([p.detach().flatten() for p in state.networks.generator.parameters()])


def test_a_player_without_weights_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(config: Config[Any, Any]) -> Networks:
        return Networks(plain_build(config).generator, nn.Identity())

    def never(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        raise AssertionError("nobody is asked for it")

    def terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        return [Term("pixels", 1.0, lambda: networks.generator(*batch.inputs).square().mean())]

    family = plain_family(build=build, discriminator_terms=never, generator_terms=terms)
    monkeypatch.setattr(state_module, "family", lambda name: family)
    config = settings(penalty={"clip": 0.01})
    state = State(config, CPU)
    assert list(state.optimizers) == ["generator"]
    before = generator_weights(state)
    metrics = step(state, family, config, Feed(pictures(), config, CPU), World())
    assert set(metrics) == {"loss_generator", "generator_pixels", "gradient_norm_generator"}
    assert not torch.equal(generator_weights(state), before)
    assert {name.split(".")[0] for name in state.tensors()} == {"generator", "ema", "optimizer"}


def test_a_term_of_weight_zero_is_observed_and_moves_nothing(plain_state: Any) -> None:
    def terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        return [
            Term("moves", 1.0, lambda: sum_of(networks.generator)),
            Term("seen", 0.0, lambda: 100 + 5 * sum_of(networks.generator)),
        ]

    config = settings()
    state = plain_state(config)
    value = sum_of(state.networks.generator).item()
    family = plain_family(generator_terms=terms)
    metrics = step(state, family, config, Feed(pictures(), config, CPU), World())
    gradient = gradients_of(state.networks.generator)
    assert torch.equal(gradient, torch.ones_like(gradient))
    assert metrics["seen"].item() == pytest.approx(100 + 5 * value)
    assert metrics["loss_generator"].item() == pytest.approx(value)


def blow(kind: str, network: nn.Module) -> Tensor:
    total = sum_of(network)
    if kind == "gradient":  # the value is 0, the root's slope there is infinite
        return (0 * total).abs().sqrt()
    return total * math.nan if kind == "nan" else total + math.inf


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize(
    ("kind", "what"), [("nan", "loss"), ("inf", "loss"), ("gradient", "gradient")]
)
@pytest.mark.parametrize("parts", [1, 3])
def test_nan_and_infinity_stop_before_a_weight_is_touched(
    player: str, kind: str, what: str, parts: int, plain_state: Any
) -> None:
    asked: list[int] = []

    def terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        network = getattr(networks, player)
        asked.append(1)
        # The second step, and there the last part.
        bad = len(asked) == 2 * parts
        return [Term("wild", 1.0, lambda: blow(kind, network) if bad else sum_of(network))]

    config = settings(training={"accumulation": parts})
    state = plain_state(config)
    family = plain_family(**{f"{player}_terms": terms})
    feed = Feed(pictures(), config, CPU)
    step(state, family, config, feed, World())
    network = getattr(state.networks, player)
    parameters = list(network.parameters())
    optimizer = state.optimizers[player]

    def snapshot() -> list[Tensor]:
        moments = [v for p in parameters for v in optimizer.state[p].values()]
        held = [*parameters, *moments, *state.ema.state_dict().values()]
        return [tensor.detach().clone() for tensor in held]

    before = snapshot()
    message = f"the {player}'s {what} became NaN or infinite in step 2"
    with pytest.raises(NotFinite, match=message) as caught:
        step(state, family, config, feed, World())
    assert caught.value.player == player
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(), strict=True))
    assert state.images == BATCH


def test_the_opponent_gets_no_gradient(plain_state: Any) -> None:
    kept: list[list[Tensor]] = []

    def discriminator_terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        fake = networks.generator(*batch.inputs)  # a family that forgot no_grad
        assert not fake.requires_grad
        assert all(p.requires_grad for p in networks.discriminator.parameters())
        return [Term("both", 1.0, lambda: networks.discriminator(fake).mean())]

    def generator_terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        assert not any(p.requires_grad for p in networks.discriminator.parameters())
        kept.append(
            [p.grad.clone() for p in networks.discriminator.parameters() if p.grad is not None]
        )
        return adversarial.generator_terms(config, networks, batch)

    family = plain_family(discriminator_terms=discriminator_terms, generator_terms=generator_terms)
    config = settings()
    state = plain_state(config)
    feed = Feed(pictures(), config, CPU)
    for _ in range(2):
        step(state, family, config, feed, World())
        assert gradients_of(state.networks.generator).abs().min() > 0
        after = [p.grad for p in state.networks.discriminator.parameters()]
        for old, new in zip(kept[-1], after, strict=True):
            assert new is not None
            assert torch.equal(old, new)


def test_gradients_do_not_pile_up_over_steps(plain_state: Any) -> None:
    def terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        return [Term("sum", 1.0, lambda: sum_of(networks.discriminator))]

    config = settings()
    state = plain_state(config)
    feed = Feed(pictures(), config, CPU)
    for _ in range(3):
        step(state, plain_family(discriminator_terms=terms), config, feed, World())
        assert (gradients_of(state.networks.discriminator) == 1).all()


# --- the average ---


def test_the_average_moves_by_the_formula_weights_and_statistics_alike() -> None:
    # Half-life = all pictures seen so far: half after the first step, 1/sqrt(2) after the second.
    config = settings(training={"ema_half_life": 1e9, "ema_warmup": 1.0})
    state = double_state(config)
    scatter(state)
    feed = Feed(pictures(), config, CPU)
    for decay in (0.5, 0.5**0.5):
        before = {k: v.clone() for k, v in state.ema.state_dict().items()}
        step(state, dcgan, config, feed, World())
        new = state.networks.generator.state_dict()
        for name, value in state.ema.state_dict().items():
            if value.is_floating_point():
                expected = decay * before[name] + (1 - decay) * new[name]
                torch.testing.assert_close(value, expected, rtol=0, atol=1e-14)
                assert not torch.equal(value, new[name]), name
            else:
                assert torch.equal(value, new[name]), name
        assert any("running_var" in name for name in new)
    assert not state.ema.training
    assert not any(p.requires_grad for p in state.ema.parameters())


@pytest.mark.parametrize(
    ("half_life", "warmup", "images", "decay"),
    [
        (100, 1.0, 10, 0.5),  # as many seen as one batch holds: that is the half-life
        (100, 1.0, 20, 0.5**0.5),
        (100, 1.0, 100, 0.5**0.1),
        (100, 1.0, 10_000, 0.5**0.1),  # the warm-up is over
        (100, 0.05, 1000, 0.5**0.2),
        (100, 0.05, 2000, 0.5**0.1),
        (10_000, 0.05, 10, 0.5**20),
        (0, 0.05, 1000, 0.0),
    ],
)
def test_the_decay_has_known_values(
    half_life: float, warmup: float, images: int, decay: float
) -> None:
    training = {"batch": 10, "ema_half_life": half_life, "ema_warmup": warmup}
    assert average_decay(settings(training=training), images) == pytest.approx(decay, rel=1e-12)


def test_a_weight_counts_half_after_the_half_life() -> None:
    config = settings(training={"batch": 10, "ema_half_life": 200, "ema_warmup": 1.0})
    left = math.prod(average_decay(config, images) for images in range(1010, 1210, 10))
    assert left == pytest.approx(0.5)


def test_without_a_half_life_the_average_is_the_network() -> None:
    config = settings(training={"ema_half_life": 0})
    state = State(config, CPU)
    step(state, dcgan, config, Feed(pictures(), config, CPU), World())
    for name, value in state.networks.generator.state_dict().items():
        assert torch.equal(value, state.ema.state_dict()[name]), name


def test_update_average_of_known_numbers() -> None:
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        average.weight.copy_(torch.tensor([8.0, -4.0]))
        network.weight.copy_(torch.tensor([0.0, 4.0]))
        assert network.running_mean is not None
        assert network.num_batches_tracked is not None
        network.running_mean.fill_(4.0)
        network.num_batches_tracked.fill_(9)
    update_average(average, network, 0.75)
    assert average.weight.tolist() == [6.0, -2.0]
    assert average.running_mean is not None
    assert average.num_batches_tracked is not None
    assert average.running_mean.tolist() == [1.0, 1.0]
    assert average.num_batches_tracked.item() == 9
    assert network.weight.tolist() == [0.0, 4.0]


def test_the_gradient_norm_of_known_numbers() -> None:
    network = nn.ModuleList([nn.Linear(1, 2, bias=False), nn.Linear(1, 1, bias=False)])
    unused = nn.Linear(3, 3)
    network.append(unused)
    first, second = (next(module.parameters()) for module in list(network)[:2])
    first.grad, second.grad = torch.tensor([[3.0], [-4.0]]), torch.tensor([[12.0]])
    assert gradient_norm(network).item() == pytest.approx(13.0)
