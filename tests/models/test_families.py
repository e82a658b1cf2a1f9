"""The contract that every family in `models/` keeps, whatever it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from morelike.conditions import drawn
from morelike.config import RESOLUTIONS, Config
from morelike.devices import autocast
from morelike.errors import UserError
from morelike.losses import LOSSES
from morelike.models import (
    Batch,
    Family,
    Networks,
    Term,
    check_playable,
    configure,
    families,
    family,
)
from morelike.models.adversarial import made_at_all_scales
from morelike.rng import StepDraws
from morelike.settings import merge
from morelike.tasks import task_of
from morelike.training.state import State
from morelike.training.step import update_average
from networks import TASKS, narrow

CPU = torch.device("cpu")
COUNT = 4
PLAYERS = ("generator", "discriminator")

every_family = pytest.mark.parametrize("name", families())
# The regressor has no opponent.
every_player = pytest.mark.parametrize(
    ("name", "player"),
    [(n, p) for n in families() for p in PLAYERS if (n, p) != ("regressor", "discriminator")],
)
CONDITION = {
    "on": ["label", "glow"],
    "classes": {"a": 0.5, "b": 0.25, "c": 0.25},
    "ranges": {"glow": (0.0, 1.0)},
}
ALWAYS: dict[str, dict[str, Any]] = {
    "regressor": {"condition": CONDITION},
    "unet": {"discriminator": {"sees_input": False}},
}
"""What a family cannot be built without, or D not be asked about a picture alone."""
WIDE: dict[str, dict[str, Any]] = {
    # Where pixel norm scales up two features near 0, their rounding grows with them.
    "msggan": {player: {"width": 16} for player in PLAYERS},
    # Batch norm in D scales up what four pictures hardly differ in.
    "fastgan": {player: {"width": 8} for player in PLAYERS},
}
"""How wide it must be for bf16 to be close."""
AT_REST = frozenset({"enlarger", "r3gan", "unet"})
"""Whose last layers, of the whole or of each residual branch, begin with zeros, which keep
gradients from what is before them until a first step has moved them.
"""


def small(name: str, **sections: Any) -> Config[Any, Any]:
    """A configuration of the family with narrow networks, 16x16 unless asked otherwise."""
    base = {
        "family": name,
        "data": {"resolution": 16, "channels": 3, "mirror": False},
        "training": {"batch": COUNT, "device": "cpu", "precision": "fp32"},
    }
    return configure(merge(base, narrow(name), ALWAYS.get(name, {}), sections))


def seeded(config: Config[Any, Any], seed: int = 0) -> Config[Any, Any]:
    training = config.training.model_copy(update={"seed": seed})
    return config.model_copy(update={"training": training})


def draws(update: str = "test", images: int = 0) -> StepDraws:
    return StepDraws(0, images, update, COUNT, 0, COUNT, CPU)


def begun(config: Config[Any, Any]) -> State:
    """A state that has moved a little, if nothing else would let gradients through."""
    state = State(config, CPU)
    if config.family in AT_REST:
        noise = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in (p for network in state.networks for p in network.parameters()):
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=noise))
    return state


def fed(config: Config[Any, Any], numbers: StepDraws) -> tuple[Tensor, ...]:
    """What the generator is fed, with random pictures if it starts from these."""
    return a_batch(config, family(config.family), numbers).inputs


def a_batch(config: Config[Any, Any], chosen: Family, numbers: StepDraws | None = None) -> Batch:
    numbers = numbers or draws()
    real = numbers.uniform("pictures", *config.data.shape) * 2 - 1
    task = task_of(config)
    condition = task.pair(real, numbers).input if task else drawn(config.condition, numbers)
    return Batch(real, chosen.inputs(config, numbers, condition), numbers, condition)


def terms_of(
    player: str, config: Config[Any, Any], networks: Networks, batch: Batch
) -> list[tuple[Term, Tensor]]:
    terms = getattr(family(config.family), f"{player}_terms")(config, networks, batch)
    return [(term, term.function()) for term in terms]


def total_of(values: Iterable[tuple[Term, Tensor]]) -> Tensor:
    return torch.stack([term.weight * term.every * value for term, value in values]).sum()


def weights(module: nn.Module) -> Tensor:
    return torch.cat([torch.empty(0), *(p.detach().flatten() for p in module.parameters())])


def test_there_is_a_family() -> None:
    assert "dcgan" in families()
    assert "family" not in families()
    assert "adversarial" not in families()


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(UserError, match="the nearest is 'dcgan'"):
        family("dc-gan")


@every_family
@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes(name: str, resolution: int, channels: int) -> None:
    config = small(name, data={"resolution": resolution, "channels": channels})
    state = State(config, CPU)
    inputs = fed(config, draws())
    assert {len(value) for value in inputs} == {COUNT}
    with torch.no_grad():
        pictures = state.networks.generator(*inputs)
        logits = state.networks.discriminator(pictures)
    assert pictures.shape == (COUNT, channels, resolution, resolution)
    assert len(logits) == COUNT
    assert pictures.dtype == logits.dtype == torch.float32
    assert pictures.isfinite().all()
    assert logits.isfinite().all()


@every_player
@pytest.mark.parametrize("loss", ["minimax", "non_saturating", "least_squares", "hinge"])
@pytest.mark.parametrize("joint", [False, True])
def test_every_parameter_of_the_player_gets_a_gradient(
    name: str, player: str, loss: str, joint: bool
) -> None:
    objective = {"loss": loss, "joint_batch": joint}
    policy = ["color", "translation", "cutout"]
    config = small(name, objective=objective, augment={"policy": policy})
    state = begun(config)
    network = getattr(state.networks, player)
    for each in state.networks:
        each.requires_grad_(each is network)
    values = terms_of(player, config, state.networks, a_batch(config, family(name)))
    total_of(values).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().max() > 0, key


@every_player
def test_terms_are_named_scalars_and_one_moves_the_player(name: str, player: str) -> None:
    config = small(name)
    state = State(config, CPU)
    values = terms_of(player, config, state.networks, a_batch(config, family(name)))
    names = [term.name for term, _ in values]
    assert len(set(names)) == len(names)
    assert all(value.shape == () for _, value in values)
    assert all(term.every >= 1 for term, _ in values)
    # A step in which no term is due would have nothing to minimise.
    assert any(term.weight and term.every == 1 for term, _ in values)


@every_family
def test_pictures_lie_in_range_however_large_the_weights(name: str) -> None:
    config = small(name)
    generator = begun(config).networks.generator
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(30)
        pictures = generator(*fed(config, draws()))
    assert pictures.abs().max() <= 1
    assert pictures.max() > 0.9
    assert pictures.min() < -0.9


@every_family
def test_the_inputs_change_the_pictures(name: str) -> None:
    config = small(name)
    generator = State(config, CPU).networks.generator.eval()
    with torch.no_grad():
        pictures = generator(*fed(config, draws()))
        others = generator(*fed(config, draws(images=64)))
    everything = torch.cat([pictures, others]).flatten(1)
    assert len(everything.unique(dim=0)) == 2 * COUNT


@every_family
def test_in_evaluation_a_picture_does_not_depend_on_its_company(name: str) -> None:
    config = small(name)
    generator = State(config, CPU).networks.generator.double().eval()
    inputs = tuple(value.double() for value in fed(config, draws()))
    with torch.no_grad():
        together = generator(*inputs)
        alone = torch.cat([generator(*(v[i : i + 1] for v in inputs)) for i in range(COUNT)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-12)


@every_family
def test_weights_depend_on_the_seed_alone(name: str) -> None:
    config = small(name)
    torch.manual_seed(1)
    first = State(seeded(config, 5), CPU)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = State(seeded(config, 5), CPU)
    assert torch.equal(torch.get_rng_state(), before)  # nor does it disturb anybody's numbers
    other = State(seeded(config, 6), CPU)
    for key, value in first.tensors().items():
        assert torch.equal(value, again.tensors()[key]), key
    for one, two in zip(first.networks, other.networks, strict=True):
        one, two = weights(one), weights(two)
        # Some weights begin at 0 or 1 in every network.
        assert not len(one) or (one != two).float().mean() > 0.5


@every_family
def test_a_network_is_saved_and_loaded_whole(name: str) -> None:
    config = small(name)
    states = [begun(seeded(config, seed)) for seed in (0, 1)]
    inputs = fed(config, draws())
    pictures = a_batch(config, family(name)).real
    outputs = []
    for state in states:
        # A forward pass in training moves whatever buffers there are.
        if state is states[0]:
            state.networks.discriminator(state.networks.generator(*inputs))
        else:
            for ours, theirs in zip(states[0].networks, state.networks, strict=True):
                held = {k: v.contiguous() for k, v in ours.state_dict().items()}
                theirs.load_state_dict(load(save(held)))
        with torch.no_grad():
            made = state.networks.generator.eval()(*inputs)
            outputs.append((made, state.networks.discriminator.eval()(pictures)))
    assert all(torch.equal(a, b) for a, b in zip(*outputs, strict=True))
    fresh = begun(seeded(config, 1)).networks.generator.eval()
    with torch.no_grad():
        assert not torch.equal(fresh(*inputs), outputs[0][0])


@every_player
def test_the_memory_format_does_not_change_the_result(name: str, player: str) -> None:
    config = small(name, data={"resolution": 32})
    results = []
    for memory in (torch.contiguous_format, torch.channels_last):
        state = State(config, CPU)
        for network in state.networks:
            network.double().to(memory_format=memory)
        batch = a_batch(config, family(name))
        wide = tuple(v.double() for v in batch.inputs)
        real = batch.real.double().contiguous(memory_format=memory)
        shown = None if batch.condition is None else batch.condition.double()
        batch = Batch(real, wide, batch.draws, shown)
        total = total_of(terms_of(player, config, state.networks, batch))
        total.backward()
        network = getattr(state.networks, player)
        results.append([total.detach(), *(p.grad for p in network.parameters())])
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-12)


@every_player
@pytest.mark.parametrize("joint", [False, True])
def test_bf16_stays_close_to_fp32(name: str, player: str, joint: bool) -> None:
    config = small(name, **merge({"objective": {"joint_batch": joint}}, WIDE.get(name, {})))
    values, gradients = {}, {}
    for precision in ("fp32", "bf16"):
        state = State(config, CPU)
        network = getattr(state.networks, player)
        for each in state.networks:
            each.requires_grad_(each is network)
        with autocast(CPU, precision):
            found = terms_of(player, config, state.networks, a_batch(config, family(name)))
            total = total_of(found)
        total.backward()
        assert total.dtype == torch.float32
        assert all(p.dtype == torch.float32 for p in network.parameters())
        values[precision] = torch.stack([value.detach() for _, value in found])
        gradients[precision] = torch.cat([p.grad.flatten() for p in network.parameters()])
    assert not torch.equal(gradients["bf16"], gradients["fp32"])  # it was on
    torch.testing.assert_close(values["bf16"], values["fp32"], rtol=0.02, atol=0.02)
    cosine = torch.cosine_similarity(gradients["bf16"], gradients["fp32"], dim=0)
    assert cosine > 0.98


@every_family
def test_pictures_in_bf16_are_close_to_those_in_fp32(name: str) -> None:
    config = small(name, **merge({"data": {"resolution": 32}}, WIDE.get(name, {})))
    state = begun(config)
    inputs = fed(config, draws())
    made = []
    for precision in ("fp32", "bf16"):
        with torch.no_grad(), autocast(CPU, precision):
            made.append(state.networks.generator(*inputs).float())
    assert not torch.equal(*made)
    errors = (made[0] - made[1]).abs() / made[0].std()
    assert errors.mean() < 0.02
    assert errors.max() < 0.2


@every_family
def test_the_average_is_a_frozen_copy_that_follows(name: str) -> None:
    config = small(name)
    state = State(config, CPU)
    start = {k: v.clone() for k, v in state.ema.state_dict().items()}
    current = state.networks.generator.state_dict()
    assert start.keys() == current.keys()
    assert all(torch.equal(value, current[key]) for key, value in start.items())
    assert not state.ema.training
    assert not any(p.requires_grad for p in state.ema.parameters())
    # A copy: what moves the network leaves the average alone until it is told.
    with torch.no_grad():
        for parameter in state.networks.generator.parameters():
            parameter.add_(1)
    assert all(torch.equal(v, start[k]) for k, v in state.ema.state_dict().items())
    update_average(state.ema, state.networks.generator, 0.75)
    for key, parameter in state.ema.named_parameters():
        torch.testing.assert_close(parameter, start[key] + 0.25)
    update_average(state.ema, state.networks.generator, 0.0)
    assert torch.equal(weights(state.ema), weights(state.networks.generator))
    pictures = state.ema(*fed(config, draws()))
    assert pictures.abs().max() <= 1


# --- made for a label and for an attribute ---

WAYS: list[dict[str, Any]] = [
    {"generator": "input"},
    {"generator": "norm"},
    {"auxiliary": 0.5},
    {"auxiliary": 0.5, "projection": False},
]
every_way = pytest.mark.parametrize("way", WAYS, ids=str)


def conditional(name: str, way: dict[str, Any], **sections: Any) -> Config[Any, Any]:
    """A family that is told; skips what the family refuses."""
    if name in TASKS:
        pytest.skip("what it makes is told by a picture")
    config = small(name, condition=CONDITION | way, **sections)
    try:
        family(name).build(config)
    except UserError as refused:
        assert "condition.generator=input" in str(refused)
        pytest.skip(str(refused))
    return config


@every_player
@every_way
def test_every_parameter_gets_a_gradient_with_conditions_too(
    name: str, player: str, way: dict[str, Any]
) -> None:
    config = conditional(name, way)
    state = begun(config)
    network = getattr(state.networks, player)
    batch = a_batch(config, family(name))
    total_of(terms_of(player, config, state.networks, batch)).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key


@every_family
@every_way
def test_the_condition_changes_the_picture_and_half_of_two_is_in_between(
    name: str, way: dict[str, Any]
) -> None:
    # Not so narrow that all units of a layer may be silent.
    config = conditional(name, way, generator={"width": 16})
    generator = State(config, CPU).networks.generator.double().eval()
    with torch.no_grad():
        noise = torch.Generator().manual_seed(0)
        for parameter in generator.parameters():  # gains and shifts by the condition begin at 0
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=noise))
    numbers = draws()
    made = []
    for labels in ({"a": 1.0}, {"a": 1.0, "b": 1.0}, {"b": 1.0}):
        condition = drawn(config.condition, numbers, labels, {"glow": 0.5})
        inputs = family(name).inputs(config, numbers, condition)
        with torch.no_grad():
            made.append(generator(*(value.double() for value in inputs)))
    one, mixed, other = made
    assert 0 < (mixed - one).norm() < (other - one).norm()
    assert 0 < (mixed - other).norm() < (other - one).norm()


@every_family
@every_way
def test_the_discriminator_judges_a_picture_by_what_it_should_show(
    name: str, way: dict[str, Any]
) -> None:
    config = conditional(name, way)
    if name == "regressor" or not config.condition.projection:
        return
    discriminator = State(config, CPU).networks.discriminator.eval()
    batch = a_batch(config, family(name))
    assert batch.condition is not None
    with torch.no_grad():
        logits = discriminator(batch.real, condition=batch.condition)
        others = discriminator(batch.real, condition=batch.condition.roll(1, 1))
    assert (logits - others).abs().min() > 0


# --- every objective with every penalty ---

PENALTIES: dict[str, dict[str, float]] = {
    **{
        name: {name: 0.5}
        for name in ("r1", "r2", "one_centered", "zero_centered", "drift", "consistency", "lecam")
    },
    "clip": {"clip": 0.5},
    "difference": {"r1": 0.5, "r2": 0.5, "difference": 0.1},
}


@every_family
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("penalty", [None, *PENALTIES])
def test_every_game_is_played_or_refused_with_a_reason(
    name: str, loss: str, penalty: str | None
) -> None:
    asked = PENALTIES[penalty] if penalty else {}
    config = small(name, objective={"loss": loss}, penalty=asked)
    try:
        check_playable(config)
    except UserError as refused:
        if name == "regressor":
            assert penalty
            assert "has no discriminator" in str(refused)
            return
        assert config.penalty.of_gradients
        assert "batch norm" in str(refused)
        norms = State(config, CPU).networks.discriminator.modules()
        assert any(isinstance(m, nn.BatchNorm2d) for m in norms)
        return
    state = State(config, CPU)
    batch = a_batch(config, family(name))
    for player in state.optimizers:
        network = getattr(state.networks, player)
        values = terms_of(player, config, state.networks, batch)
        named = {term.name for term, _ in values}
        if player == "discriminator" and penalty not in (None, "clip"):
            assert {*asked} - {"difference"} <= named
        assert all(value.isfinite() for _, value in values)
        network.zero_grad()
        total_of(values).backward()
        norm = torch.stack([p.grad.norm() for p in network.parameters()]).norm()
        assert norm.isfinite()
        assert norm > 0


@every_family
def test_a_generator_that_matches_features_gets_a_gradient_from_it(name: str) -> None:
    if name == "regressor":
        return
    config = small(name, objective={"feature_matching": 2.0})
    state = State(config, CPU)
    state.networks.discriminator.eval()  # spectral norm would go on from pass to pass
    batch = a_batch(config, family(name))
    ((term, value),) = (
        (t, v)
        for t, v in terms_of("generator", config, state.networks, batch)
        if t.name == "feature_matching"
    )
    discriminator = state.networks.discriminator
    with torch.no_grad():
        fake = made_at_all_scales(state.networks.generator, batch.inputs)
        real = discriminator.features(*discriminator.scales(batch.real)).mean(0)
        expected = (real - discriminator.features(*fake).mean(0)).square().sum()
    assert term.weight == 2
    torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-6)
    value.backward()
    assert all(p.grad is not None for p in state.networks.generator.parameters())
