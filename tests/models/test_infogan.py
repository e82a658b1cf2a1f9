"""InfoGAN: its code, the bound of what a picture tells of it, and that both players move by it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.distributed import World
from morelike.errors import UserError
from morelike.models import Batch, Networks, Term, check_playable, configure, dcgan, infogan, resnet
from morelike.models.infogan import Posterior, information
from morelike.rng import SeedDraws, StepDraws
from morelike.settings import merge
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step

CPU = torch.device("cpu")
NETWORKS = ("dcgan", "resnet")
every_network = pytest.mark.parametrize("networks", NETWORKS)
# Two choices of different size, so that swapped columns show.
CODE: dict[str, Any] = {"categorical": [4, 3], "continuous": 2}
LABELLED: dict[str, Any] = {"on": ["label", "size"], "classes": {"a": 0.5, "b": 0.5}}
LABELLED |= {"ranges": {"size": [0, 1]}}


def settings(*layers: dict[str, Any], **sections: Any) -> Any:
    base = {
        "family": "infogan",
        "data": {"resolution": 16, "channels": 1, "mirror": False},
        "generator": {"width": 2, "latent": 5, **CODE},
        "discriminator": {"width": 2, "posterior_width": 6},
        "training": {"batch": 6, "device": "cpu", "precision": "fp32"},
    }
    return configure(merge(base, *layers, sections))


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def draws(count: int, images: int = 0) -> StepDraws:
    return StepDraws(0, images, "test", count, 0, count, CPU, torch.float64)


def some_codes(config: Any, count: int, images: int = 0) -> Tensor:
    return infogan.drawn_codes(config.generator, draws(count, images))


# --- the code ---


def test_noise_and_codes_lie_beside_each_other() -> None:
    config = settings()
    (joined,) = infogan.inputs(config, SeedDraws([7, 8, 9], CPU))
    assert joined.shape == (3, 5 + 4 + 3 + 2)
    assert joined.dtype == torch.float32
    (latents,) = dcgan.inputs(config, SeedDraws([7, 8, 9], CPU))
    assert torch.equal(joined[:, :5], latents)
    assert torch.equal(
        joined[:, 5:], infogan.drawn_codes(config.generator, SeedDraws([7, 8, 9], CPU))
    )
    assert config.generator.codes == 9


def test_the_conditions_come_after() -> None:
    config = settings(condition=LABELLED)
    joined, condition = infogan.inputs(config, SeedDraws([7, 8], CPU))
    assert joined.shape == (2, 14)
    assert condition.shape == (2, 3)
    given = torch.tensor([[1.0, 0.0, 0.3], [0.0, 1.0, -0.3]])
    again, kept = infogan.inputs(config, SeedDraws([7, 8], CPU), given)
    assert torch.equal(again, joined)
    assert torch.equal(kept, given)


def test_how_codes_are_distributed() -> None:
    count = 20_000
    codes = some_codes(settings(), count).numpy()
    for choice in (codes[:, :4], codes[:, 4:7]):
        assert set(np.unique(choice)) == {0, 1}
        assert (choice.sum(1) == 1).all()
        values = choice.shape[1]
        expected = count / values
        chi_squared = ((choice.sum(0) - expected) ** 2 / expected).sum()
        assert chi_squared < 20  # 1 in 5000 for three degrees of freedom
    for values in codes[:, 7:].T:
        assert values.min() >= -1
        assert values.max() < 1
        shares, _ = np.histogram(values, 10, (-1, 1))
        assert ((shares - count / 10) ** 2 / (count / 10)).sum() < 35


def test_no_part_of_the_code_tells_of_another_nor_of_the_noise() -> None:
    count = 20_000
    (joined,) = infogan.inputs(settings(), draws(count))
    part = np.array([0, 1, 2, 3, 4] + [5] * 4 + [6] * 3 + [7, 8])
    correlations = np.corrcoef(joined.numpy().T)
    assert np.abs(correlations[part[:, None] != part]).max() < 5 / math.sqrt(count)


def test_codes_depend_on_the_seed_alone() -> None:
    config = settings()
    (many,) = infogan.inputs(config, SeedDraws([3, 5, 11], CPU))
    (alone,) = infogan.inputs(config, SeedDraws([5], CPU))
    assert torch.equal(many[1], alone[0])
    assert len(many[:, 12:].unique(dim=0)) == 3
    (truncated,) = infogan.inputs(config, SeedDraws([3, 5, 11], CPU, truncation=0.5))
    assert truncated[:, :5].abs().max() <= 0.5
    assert torch.equal(truncated[:, 5:], many[:, 5:])  # codes have bounds of their own


@pytest.mark.parametrize("values", [2, 3, 7, 10, 1000, 1024])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_largest_chance_is_the_last_value(values: int, dtype: torch.dtype) -> None:
    def largest(purpose: str, *shape: int) -> Tensor:
        return torch.full((1, *shape), 1 - 2.0**-24, dtype=dtype)

    config = settings(generator={"categorical": [values], "continuous": 0})
    codes = infogan.drawn_codes(config.generator, SimpleNamespace(uniform=largest))  # type: ignore[arg-type]
    assert codes.argmax().item() == values - 1


@pytest.mark.parametrize("code", [([10], 0), ([], 3), ([2, 2, 2], 1)], ids=str)
def test_codes_of_one_kind_only(code: tuple[list[int], int]) -> None:
    config = settings(generator={"categorical": code[0], "continuous": code[1]})
    size = sum(code[0]) + code[1]
    assert some_codes(config, 3).shape == (3, size)
    state = State(config, CPU)
    for player in ("generator", "discriminator"):
        value = the_term(player, config, state.networks, a_batch(config, torch.float32)).function()
        assert value.isfinite()


def test_a_family_without_codes_is_refused() -> None:
    with pytest.raises(UserError, match="take the family resnet"):
        settings(generator={"categorical": [], "continuous": 0, "networks": "resnet"})
    with pytest.raises(UserError, match=r"categorical\.0"):
        settings(generator={"categorical": [1]})
    with pytest.raises(UserError, match="information"):
        settings(discriminator={"information": 0})


# --- the bound ---


def one_hot(chosen: list[int], values: int) -> Tensor:
    return torch.eye(values, dtype=torch.float64)[chosen]


def no_numbers(count: int) -> tuple[Tensor, Tensor]:
    return torch.zeros(count, 0).double(), torch.zeros(count, 0).double()


def log_normal(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return np.log(np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance))


@pytest.mark.parametrize("values", [2, 10])
def test_of_a_choice(values: int) -> None:
    code = one_hot([0, 1, 1, 0], values)

    def bound(logits: Tensor) -> float:
        return information(Posterior((logits,), *no_numbers(4)), code).item()

    assert bound(torch.full((4, values), 3.7).double()) == pytest.approx(0, abs=1e-12)
    assert bound(200 * code) == pytest.approx(math.log(values), abs=1e-12)
    # Sure and wrong in one picture of four: it pays for that, by what it was sure by.
    wrong = 200 * one_hot([1, 1, 1, 0], values)
    assert bound(wrong) == pytest.approx(math.log(values) - 50, rel=1e-9)
    # Half the values excluded is a bit.
    if values % 2 == 0:
        half = torch.zeros(4, values).double()
        half[:, values // 2 :] = -200
        in_half = code if values > 2 else one_hot([0] * 4, 2)
        found = information(Posterior((half,), *no_numbers(4)), in_half).item()
        assert found == pytest.approx(math.log(2), abs=1e-12)


def test_of_a_number_that_nobody_looks_at() -> None:
    # The best a Gaussian can say of U(-1, 1): its variance. Less is worse, and so is more.
    code = ((torch.arange(100_000).double() + 0.5) / 50_000 - 1)[:, None]

    def bound(variance: float) -> float:
        spread = torch.full_like(code, math.log(variance))
        return information(Posterior((), torch.zeros_like(code), spread), code).item()

    expected = math.log(2) - math.log(2 * math.pi * math.e / 3) / 2
    assert bound(1 / 3) == pytest.approx(expected, abs=1e-9)
    assert expected == pytest.approx(-0.18, abs=0.005)  # as the docstring says
    assert bound(0.3) < expected > bound(0.37)


def test_of_numbers_against_the_density() -> None:
    code, mean = numbers(5, 3).tanh(), numbers(5, 3, seed=1)
    spread = numbers(5, 3, seed=2)
    found = information(Posterior((), mean, spread), code).item()
    densities = log_normal(code.numpy(), mean.numpy(), np.exp(spread.numpy()))
    assert found == pytest.approx(densities.sum(1).mean() + 3 * math.log(2), rel=1e-12)


def bound_in_numpy(answers: np.ndarray, codes: np.ndarray) -> float:
    """Of choices of 4 and 3 and two numbers: means of log-probabilities, and the entropies."""
    total = math.log(4) + math.log(3) + 2 * math.log(2)
    for part in (slice(0, 4), slice(4, 7)):
        chances = np.exp(answers[:, part])
        chances /= chances.sum(1, keepdims=True)
        total += np.log(chances[codes[:, part] == 1]).mean()
    for number in range(2):
        mean, spread = answers[:, 7 + number], answers[:, 9 + number]
        total += log_normal(codes[:, 7 + number], mean, 0.01 + np.exp(spread)).mean()
    return total


# --- Q ---


def a_batch(config: Any, dtype: torch.dtype = torch.float64, count: int = 6) -> Batch:
    numbers = StepDraws(0, 0, "test", count, 0, count, CPU, dtype)
    real = numbers.uniform("pictures", *config.data.shape) * 2 - 1
    given = infogan.inputs(config, numbers)
    return Batch(real, given, numbers, given[1] if len(given) > 1 else None)


def double_networks(config: Any) -> Networks:
    """In float64, with answers of Q that differ, and biases without which many a ReLU would sit at
    exactly 0.
    """
    networks = State(config, CPU).networks
    with torch.no_grad():
        for network in networks:
            for index, parameter in enumerate(network.double().parameters()):
                if parameter.ndim == 1:
                    parameter += 0.3 * numbers(*parameter.shape, seed=index)
        for index, parameter in enumerate(networks.discriminator.posterior.parameters()):
            parameter += 0.3 * numbers(*parameter.shape, seed=index)
    return networks


def the_term(player: str, config: Any, networks: Networks, batch: Batch) -> Term:
    terms: list[Term] = getattr(infogan, f"{player}_terms")(config, networks, batch)
    (term,) = (t for t in terms if t.name == "information")
    return term


def test_the_posterior_in_numpy() -> None:
    config = settings()
    discriminator = double_networks(config).discriminator
    features = 3 * numbers(7, discriminator.logit.in_features)
    found = discriminator.codes(features)
    w1, b1, w2, b2 = (p.detach().numpy() for p in discriminator.posterior.parameters())
    hidden = features.numpy() @ w1.T + b1
    answers = np.where(hidden > 0, hidden, 0.1 * hidden) @ w2.T + b2
    assert (hidden < 0).any()
    expected = [answers[:, :4], answers[:, 4:7], answers[:, 7:9]]
    expected.append(np.log(0.01 + np.exp(answers[:, 9:])))
    for mine, theirs in zip([*found.logits, *found[1:]], expected, strict=True):
        np.testing.assert_allclose(mine.detach(), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_posterior_is_never_too_sure_and_never_overflows(dtype: torch.dtype) -> None:
    discriminator = State(settings(), CPU).networks.discriminator.to(dtype)
    last = discriminator.posterior[-1]
    for shift, least, most in [(-1000, 0.01, 0.01), (-8, 0.01, 0.011), (80, math.exp(79), None)]:
        with torch.no_grad():
            last.bias[-2:] = shift
            last.weight[-2:] = 0
        last.zero_grad()
        posterior = discriminator.codes(torch.ones(3, discriminator.logit.in_features, dtype=dtype))
        variance = posterior.log_variance.double().exp()
        assert variance.min() >= least * (1 - 1e-5)
        assert most is None or variance.max() <= most * (1 + 1e-5)
        value = information(posterior, some_codes(settings(), 3).to(dtype))
        value.backward()
        assert value.isfinite()
        assert last.bias.grad.isfinite().all()
        if shift == -8:  # from here it finds back
            assert last.bias.grad[-2:].abs().min() > 0


def test_what_a_number_is_worth_at_most() -> None:
    # As the docstring says: about as much as a choice of ten.
    code = numbers(4, 1).tanh()
    worth = information(Posterior((), code, torch.full_like(code, math.log(0.01))), code).item()
    assert worth == pytest.approx(math.log(2) - math.log(2 * math.pi * 0.01) / 2)
    assert worth == pytest.approx(2.1, abs=0.05)


def test_q_is_not_spectrally_normalised_and_the_rest_is() -> None:
    config = settings(discriminator={"spectral_norm": True})
    discriminator = infogan.build(config).discriminator
    layers = {
        k: m for k, m in discriminator.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)
    }
    normalised = {key for key, layer in layers.items() if hasattr(layer, "parametrizations")}
    assert layers.keys() - normalised == {"posterior.0", "posterior.2"}
    assert not any(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules())


# --- on the networks of other families ---


@every_network
@pytest.mark.parametrize("spectral", [False, True])
def test_the_networks_are_the_other_family_s(networks: str, spectral: bool) -> None:
    base = {"dcgan": dcgan, "resnet": resnet}[networks]
    norm = "spectral" if spectral else {"dcgan": "batch", "resnet": "none"}[networks]
    minibatch = {"minibatch_stddev": True, "minibatch_discrimination": 3}
    config = settings(
        generator={"networks": networks},
        discriminator={"spectral_norm": spectral, **minibatch},
    )
    sizes = {"generator": {"width": 2, "latent": 5 + 9}, "discriminator": {"width": 2, **minibatch}}
    like = {"family": networks, "data": {"resolution": 16, "channels": 1}}
    theirs = configure(merge(like, sizes, {"discriminator": {"norm": norm}}))
    built = []
    for each, module in ((config, infogan), (theirs, base)):
        torch.manual_seed(0)
        built.append(module.build(each))
    one, two = built
    assert str(one.generator) == str(two.generator)
    expected = two.discriminator.state_dict()
    mine = {
        key: value
        for key, value in one.discriminator.state_dict().items()
        if not key.startswith("posterior.")
    }
    assert mine.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in mine.items())
    assert str(one.discriminator.trunk) == str(two.discriminator.trunk)
    # With the same weights they do the same, and Q has no say in it.
    one.generator.load_state_dict(two.generator.state_dict())
    joined = numbers(4, 14).float()
    pictures = [each.generator(joined) for each in built]
    assert torch.equal(*pictures)
    assert torch.equal(*(each.discriminator(pictures[0]) for each in built))


def test_weights_are_drawn_as_in_the_other_family() -> None:
    wide: dict[str, Any] = {"generator": {"width": 32}, "discriminator": {"posterior_width": 64}}
    players = infogan.build(settings(wide))
    weights = [m.weight for m in players.generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    weights += [layer.weight for layer in players.discriminator.posterior[::2]]
    assert all(0.018 < weight.std().item() < 0.022 for weight in weights)
    posterior = infogan.build(settings(wide, generator={"networks": "resnet"})).discriminator
    for layer in posterior.posterior[::2]:
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


@every_network
@pytest.mark.parametrize(
    "condition", [{}, LABELLED, {**LABELLED, "generator": "norm"}], ids=["nothing", "input", "norm"]
)
def test_every_weight_learns_and_the_players_fit(networks: str, condition: Any) -> None:
    config = settings(generator={"networks": networks}, condition=condition)
    check_playable(config)
    playing = double_networks(config)
    batch = a_batch(config)
    for player, network in playing._asdict().items():
        for other in playing:
            other.requires_grad_(other is network)
        terms = getattr(infogan, f"{player}_terms")(config, playing, batch)
        torch.stack([t.weight * t.function() for t in terms]).sum().backward()
        for key, parameter in network.named_parameters():
            assert parameter.grad is not None, key
            assert parameter.grad.abs().max() > 0, key


def test_the_condition_moves_the_logit_and_not_the_posterior() -> None:
    config = settings(condition=LABELLED)
    discriminator = double_networks(config).discriminator
    features = numbers(2, discriminator.logit.in_features)
    one, two = torch.eye(3).double()[[0, 0]], torch.eye(3).double()[[1, 1]]
    difference = discriminator.logits(features, one) - discriminator.logits(features, two)
    weight = discriminator.projection.weight
    torch.testing.assert_close(difference, features @ (weight[:, 0] - weight[:, 1]))
    # Q, which is not told, reads the same of both: the code is what the condition leaves open.
    assert discriminator.posterior[0].in_features == discriminator.logit.in_features


def test_penalties_on_the_gradient_of_single_pictures() -> None:
    penalty = {"r1": 1.0}
    mixing = nn.modules.batchnorm._BatchNorm
    for more, mixes in (({}, True), ({"penalty": penalty}, False)):
        config = settings(**more)
        check_playable(config)
        judging = infogan.build(config).discriminator
        assert any(isinstance(layer, mixing) for layer in judging.modules()) == mixes
    check_playable(settings(penalty=penalty, discriminator={"spectral_norm": True}))
    check_playable(settings(penalty=penalty, generator={"networks": "resnet"}))


# --- the term ---


@every_network
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_the_term_s_value_and_gradient(networks: str, joint: bool, player: str) -> None:
    config = settings(
        generator={"networks": networks},
        discriminator={"information": 0.7},
        objective={"joint_batch": joint},
    )
    playing, batch = double_networks(config), a_batch(config)
    network = getattr(playing, player)
    for other in playing:
        other.requires_grad_(other is network)
    term = the_term(player, config, playing, batch)
    assert (term.weight, term.every) == (0.7, 1)
    value = term.function()

    # The value, from what the discriminator's trunk makes of what G makes.
    with torch.no_grad():
        fake = playing.generator(*batch.inputs)
        seen = torch.cat([batch.real, fake]) if joint else fake
        features = playing.discriminator.features(seen)[-6:]
        answers = playing.discriminator.posterior(features).numpy()
    codes = batch.inputs[0][:, 5:].numpy()
    assert value.item() == pytest.approx(-bound_in_numpy(answers, codes), rel=1e-12)

    # The gradient, along a direction in each weight.
    value.backward()
    moved = set()
    for key, parameter in network.named_parameters():
        if parameter.grad is None:
            continue
        moved.add(key)
        along = numbers(*parameter.shape, seed=5)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 1e-6 * along
                values.append(the_term(player, config, playing, batch).function().item())
                parameter -= sign * 1e-6 * along
        expected = (values[0] - values[1]) / 2e-6
        found = (parameter.grad * along).sum().item()
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-7), key
    everything = {key for key, _ in network.named_parameters()}
    assert everything - moved == ({"logit.weight"} if player == "discriminator" else set())


# --- in training ---


def pictures_of_noise(manifest: Any = ()) -> Any:
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 1), dtype=np.uint8)
    return SimpleNamespace(images=images, train=np.arange(24), manifest=manifest)


def trained(
    state: State, config: Any, steps: int, family: Any = infogan
) -> Iterator[dict[str, Tensor]]:
    feed = Feed(pictures_of_noise(), config, CPU)
    return (step(state, family, config, feed, World()) for _ in range(steps))


def test_the_posterior_moves_with_the_discriminator_and_stays_with_the_generator() -> None:
    config = settings()
    state = State(config, CPU)
    held: list[dict[str, Tensor]] = []

    def weights() -> dict[str, Tensor]:
        return {
            k: v.clone() for k, v in state.networks.discriminator.posterior.state_dict().items()
        }

    def generator_terms(*given: Any) -> list[Term]:  # asked after D's update, before G's
        held.append(weights())
        return infogan.generator_terms(*given)

    watched = SimpleNamespace(**vars(infogan) | {"generator_terms": generator_terms})
    before, made = weights(), [p.detach().clone() for p in state.networks.generator.parameters()]
    (metrics,) = trained(state, config, 1, watched)
    assert len(held) == 1
    after = weights()
    for key, value in before.items():
        assert not torch.equal(held[0][key], value), key
        assert torch.equal(held[0][key], after[key]), key
    pairs = zip(state.networks.generator.parameters(), made, strict=True)
    assert not any(torch.equal(now, then) for now, then in pairs)
    assert {"generator_information", "discriminator_information"} <= metrics.keys()
    total = metrics["generator_adversarial"] + metrics["generator_information"]
    assert metrics["loss_generator"].item() == pytest.approx(total.item(), rel=1e-5)


def test_lambda_weighs_it_for_both() -> None:
    config = settings(discriminator={"information": 2.5})
    (metrics,) = trained(State(config, CPU), config, 1)
    for player in ("generator", "discriminator"):
        total = metrics[f"{player}_adversarial"] + 2.5 * metrics[f"{player}_information"]
        assert metrics[f"loss_{player}"].item() == pytest.approx(total.item(), rel=1e-5)


class Painted(nn.Module):
    """Codes of one choice among four and a number as plain colours: the choice decides red and
    green, the number is how blue it is. Or noise does, if the code is ignored.
    """

    def __init__(self, ignores: bool) -> None:
        super().__init__()
        self.ignores = ignores

    def forward(self, joined: Tensor) -> Tensor:
        """(B, 3, 16, 16)."""
        source = joined[:, :5].tanh() if self.ignores else joined[:, 5:]
        none, red, green, both, blue = source.unbind(1)
        colours = torch.stack([red + both - none - green, green + both - none - red, blue], 1)
        return colours.clamp(-1, 1)[:, :, None, None].expand(-1, -1, 16, 16)


def bounds_read(ignores: bool, networks: str) -> list[float]:
    """What Q reads of the choice and of the number, after some hundred updates of D."""
    config = settings(
        data={"channels": 3},
        generator={"categorical": [4], "continuous": 1, "networks": networks},
        discriminator={"width": 8, "posterior_width": 64},
    )
    players = Networks(Painted(ignores), State(config, CPU).networks.discriminator)
    optimizer = torch.optim.Adam(players.discriminator.parameters(), 1e-3)

    def batch(images: int, count: int = 32) -> Batch:
        numbers = StepDraws(0, images, "planted", count, 0, count, CPU)
        real = numbers.uniform("pictures", 3, 16, 16) * 2 - 1
        return Batch(real, infogan.inputs(config, numbers), numbers)

    for number in range(150):
        terms = infogan.discriminator_terms(config, players, batch(number))
        optimizer.zero_grad()
        torch.stack([t.weight * t.function() for t in terms if t.weight]).sum().backward()
        optimizer.step()
    fresh = batch(1_000_000, 512)
    with torch.no_grad():
        features = players.discriminator.features(players.generator(*fresh.inputs))
        (logits,), mean, spread = players.discriminator.codes(features)
    codes = fresh.inputs[0][:, 5:]
    of_choice = information(Posterior((logits,), mean[:, :0], spread[:, :0]), codes[:, :4])
    of_number = information(Posterior((), mean, spread), codes[:, 4:])
    return [of_choice.item(), of_number.item()]


@every_network
def test_codes_written_into_the_picture_are_read(networks: str) -> None:
    choice, number = bounds_read(False, networks)
    assert 0.9 * math.log(4) < choice <= math.log(4)
    assert 0.6 < number < 2.1


def test_of_codes_that_the_generator_ignores_nothing_is_read() -> None:
    choice, number = bounds_read(True, "dcgan")
    assert -0.1 < choice < 0.02
    assert -0.3 < number < -0.15


def test_the_generator_learns_to_show_its_code() -> None:
    rates = {"learning_rate": 1e-3}
    config = settings(
        generator={"categorical": [4], "continuous": 1, "width": 4},
        discriminator={"width": 4, "posterior_width": 32},
        optimizer={"generator": rates, "discriminator": rates},
        training={"batch": 16},
    )
    state = State(config, CPU)
    bounds = [-m["generator_information"].item() for m in trained(state, config, 150)]
    most = math.log(4) + 2.1
    assert np.mean(bounds[:3]) < 0.1
    assert np.mean(bounds[-20:]) > 0.5 * most
