"""The probability of augmentation, moved by the step; LeCam's running means; beta2 that moves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.augment import Control
from morelike.config import Config
from morelike.distributed import World
from morelike.errors import UserError
from morelike.losses import LOSSES
from morelike.models import Batch, Networks, Term, adversarial, configure, dcgan
from morelike.models.discriminator import RunningMeans
from morelike.rng import StepDraws
from morelike.settings import merge
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step

CPU = torch.device("cpu")
BATCH = 6
BLITS = ["mirror", "quarter_turns", "integer_translation"]
ADAPTED = {"augment": {"policy": BLITS, "target": 0.6, "adjust_images": 16 * BATCH}}
OF_DIFFERENCES = {
    "wasserstein",
    "relativistic",
    "relativistic_average",
    "relativistic_average_hinge",
}


def settings(*layers: dict[str, Any]) -> Config[Any, Any]:
    base = {
        "data": {"resolution": 16, "channels": 3, "mirror": False},
        "generator": {"width": 4, "latent": 5},
        "discriminator": {"width": 4, "norm": "none"},
        "training": {"batch": BATCH, "precision": "fp32", "device": "cpu"},
    }
    return configure(merge(base, *layers))


def feed(config: Config[Any, Any]) -> Feed:
    shape = (27, 16, 16, config.data.channels)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    dataset: Any = SimpleNamespace(images=images, train=np.arange(27))
    return Feed(dataset, config, CPU)


class Watched(SimpleNamespace):
    """A family, and what it was asked."""

    def __init__(self, lead: float | None = None) -> None:
        """`lead`: what D's lead is said to be, instead of what it is."""
        super().__init__(inputs=dcgan.inputs, batches=[], logits=[])
        self.lead = lead

    def discriminator_terms(self, config: Any, networks: Networks, batch: Batch) -> list[Term]:
        self.batches.append(batch)
        terms = adversarial.discriminator_terms(config, networks, batch)
        if self.lead is None:
            return terms
        said = torch.tensor(self.lead)
        return [t._replace(function=lambda: said) if t.name == "overfit" else t for t in terms]

    def generator_terms(self, config: Any, networks: Networks, batch: Batch) -> list[Term]:
        self.batches.append(batch)
        return adversarial.generator_terms(config, networks, batch)


def taken(
    config: Config[Any, Any], count: int, family: Any = dcgan, world: World | None = None
) -> tuple[State, list[dict[str, float]]]:
    """The state after so many steps, and each one's numbers."""
    state, pictures = State(config, CPU), feed(config)
    records = [step(state, family, config, pictures, world or World()) for _ in range(count)]
    return state, [{k: v.item() for k, v in record.items()} for record in records]


# --- the probability ---


@pytest.mark.parametrize(("lead", "expected"), [(0.9, [0, 0.25, 0.5, 0.75]), (0.1, [0] * 4)])
def test_every_fourth_step_moves_it(lead: float, expected: list[float]) -> None:
    family = Watched(lead)
    state, records = taken(settings(ADAPTED), 16, family)
    found = [record["augment_probability"] for record in records]
    assert found == pytest.approx([p for p in expected for _ in range(4)])
    assert [record["overfit"] for record in records] == pytest.approx([lead] * 16)
    assert state.control == Control(min(0.8, 4 * expected[1]))  # never above `most`
    # Both players of a step are told the same.
    told = [batch.augmentation.item() for batch in family.batches]
    assert told == pytest.approx([p for p in found for _ in range(2)])


def test_it_goes_back_to_0_and_no_further() -> None:
    config, family = settings(ADAPTED), Watched(0.9)
    state, pictures = State(config, CPU), feed(config)
    for number in range(40):
        family.lead = 0.9 if number < 16 else 0.5
        step(state, family, config, pictures, World())
    assert state.control == Control(0.0)


def test_before_it_rises_pictures_are_as_they_are() -> None:
    plain, _ = taken(settings(), 4)
    adapted, _ = taken(settings(ADAPTED), 4)
    for name, value in plain.tensors().items():
        assert torch.equal(value, adapted.tensors()[name]), name
    # Where it has risen, they are not.
    for state, config, family in (
        (plain, settings(), dcgan),
        (adapted, settings(ADAPTED), Watched(0.9)),
    ):
        state.control = Control(0.8) if state.control else None
        step(state, family, config, feed(config), World())  # pyright: ignore[reportArgumentType]
    one, other = (s.networks.discriminator.logit.weight for s in (plain, adapted))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_how_far_d_is_ahead(loss: str) -> None:
    smoothing = {"label_smoothing": 0.2} if loss == "least_squares" else {}
    config = settings(ADAPTED, {"objective": {"loss": loss, **smoothing}})
    state = State(config, CPU)
    batch = Batch(torch.zeros(4, 3, 16, 16), (), StepDraws(0, 0, "test", 4, 0, 4, CPU))
    sight = adversarial.Sight(config, state.networks, batch, moving_g=False)
    sight.__dict__["real_logits"] = torch.tensor([0.41, 0.39, 2.0, -1.0])
    sight.__dict__["fake_logits"] = torch.tensor([0.4, -2.0, -3.0, 0.1])
    (term,) = [t for t in adversarial.discriminator_terms_at(sight) if t.name == "overfit"]
    if loss in OF_DIFFERENCES:
        expected = (4 + 3 + 4 + 2 - (0 + 1 + 0 + 2)) / 16
    elif loss == "least_squares":  # labels 0.8 and 0: 0.4 lies between
        expected = (2 - 2) / 4
    else:
        expected = (3 - 1) / 4
    assert term.weight == 0
    assert term.function().item() == pytest.approx(expected)


def test_parts_of_a_batch_and_several_updates_are_averaged() -> None:
    found = []
    for accumulation in (1, 3):
        training = {"training": {"accumulation": accumulation, "discriminator_steps": 2}}
        state, records = taken(settings(ADAPTED, training), 3)
        assert state.control is not None
        assert state.control.readings == 6
        found.append([record["overfit"] for record in records])
    assert found[1] == pytest.approx(found[0], abs=1e-6)


class Others(World):
    """The other processes read less."""

    def average(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        values = dict(values)
        if "overfit" in values:
            values["overfit"] = torch.tensor(0.25)
        return values


def test_it_is_the_mean_over_all_processes_that_counts() -> None:
    state, records = taken(settings(ADAPTED), 2, Watched(0.9), Others())
    assert state.control == Control(0.0, 0.5, 2)
    assert records[-1]["overfit"] == 0.25


def test_nothing_is_said_of_it_where_nobody_asked() -> None:
    for augment in ({}, {"policy": ["color"]}, {"policy": ["hue"], "probability": 0.5}):
        state, (record,) = taken(settings({"augment": augment}), 1)
        assert state.control is None
        assert not {"overfit", "augment_probability"} & record.keys()
        assert "augment" not in state.meta()


def test_a_family_that_does_not_say_how_far_d_is_ahead_is_refused() -> None:
    family = Watched()

    def terms(config: Any, networks: Networks, batch: Batch) -> list[Term]:
        found = adversarial.discriminator_terms(config, networks, batch)
        return [term for term in found if term.name != "overfit"]

    family.discriminator_terms = terms
    with pytest.raises(UserError, match=r"set augment\.probability instead"):
        taken(settings(ADAPTED), 1, family)


@pytest.mark.parametrize("policy", [["ada"], ["ada", "color", "translation", "cutout"]])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_all_of_it_is_trained_with(policy: list[str], channels: int) -> None:
    config = settings({"augment": {"policy": policy, "probability": 0.8}})
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"channels": channels})}
    )
    pictures = feed(config)
    images = np.random.default_rng(0).integers(0, 256, (27, 16, 16, channels), dtype=np.uint8)
    pictures = Feed(SimpleNamespace(images=images, train=np.arange(27)), config, CPU)  # type: ignore[arg-type]
    state = State(config, CPU)
    for _ in range(2):
        metrics = step(state, dcgan, config, pictures, World())
    assert all(value.isfinite() for value in metrics.values())
    for network in state.networks:
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


# --- LeCam ---


def test_lecam_by_hand_over_three_updates() -> None:
    """Values, gradients and running means, with the derivative by the logits written down."""
    weight, decay = 0.7, 0.75
    penalty = {"penalty": {"lecam": weight, "lecam_decay": decay}}
    config, plain = settings(penalty), settings()
    state, pictures = State(config, CPU), feed(config)
    for module in state.modules().values():
        module.double()
    family = Watched()
    mean_real = mean_fake = 0.0
    for _ in range(3):
        before = {k: v.clone() for k, v in state.networks.discriminator.state_dict().items()}
        made = {k: v.clone() for k, v in state.networks.generator.state_dict().items()}
        metrics = step(state, family, config, pictures, World())
        found = [p.grad.clone() for p in state.networks.discriminator.parameters()]

        other = State(plain, CPU).networks
        for network, kept in zip(other, (made, before), strict=True):
            network.double().load_state_dict(
                {k: v for k, v in kept.items() if not k.startswith("means.")}
            )
        batch = family.batches[-2]
        d = other.discriminator
        real = d(batch.real)
        fake = d(other.generator(*batch.inputs).detach())
        r, f = real.detach().numpy(), fake.detach().numpy()
        expected = ((r - mean_fake) ** 2).mean() + ((f - mean_real) ** 2).mean()
        assert metrics["discriminator_lecam"].item() == pytest.approx(expected, rel=1e-9)
        # d/dr of the game, -sigmoid(-r) / B and sigmoid(f) / B, and of the penalty.
        by_real = -1 / (1 + np.exp(r)) / BATCH + weight * 2 * (r - mean_fake) / BATCH
        by_fake = 1 / (1 + np.exp(-f)) / BATCH + weight * 2 * (f - mean_real) / BATCH
        gradients = torch.autograd.grad(
            [real, fake],
            list(d.parameters()),
            [torch.from_numpy(by_real), torch.from_numpy(by_fake)],
        )
        for mine, theirs in zip(found, gradients, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-12)
        mean_real = decay * mean_real + (1 - decay) * r.mean()
        mean_fake = decay * mean_fake + (1 - decay) * f.mean()
        means = state.networks.discriminator.means
        assert means.real.item() == pytest.approx(mean_real, rel=1e-9)
        assert means.fake.item() == pytest.approx(mean_fake, rel=1e-9)
        assert metrics["logit_real"].item() == pytest.approx(r.mean())
    assert mean_real != pytest.approx(mean_fake)


def test_parts_of_a_batch_move_the_means_once() -> None:
    found = []
    for accumulation in (1, 3):
        config = configure(
            {
                "family": "mlp",  # whose networks mix no pictures
                "data": {"resolution": 16, "channels": 3, "mirror": False},
                "penalty": {"lecam": 1.0},
                "training": {"batch": BATCH, "accumulation": accumulation, "precision": "fp32"},
            }
        )
        state, _ = taken(config, 3)
        means = state.networks.discriminator.means
        found.append([means.real.item(), means.fake.item()])
    assert found[1] == pytest.approx(found[0], rel=1e-4)


def test_the_means_follow_also_while_the_weight_is_0() -> None:
    ramp = {"to": 0.0, "images": 1}
    state, records = taken(settings({"penalty": {"lecam": 1.0, "ramp": ramp}}), 3)
    assert "discriminator_lecam" in records[0]
    assert "discriminator_lecam" not in records[2]
    assert "logit_real" in records[2]
    assert state.networks.discriminator.means.real != 0


@pytest.mark.parametrize("name", ["dcgan", "resnet", "msggan", "infogan", "mlp"])
def test_only_who_asks_for_lecam_has_means(name: str) -> None:
    base = {"family": name, "data": {"resolution": 16, "channels": 3}}
    plain, asked = (
        State(configure(merge(base, penalty)), CPU).networks.discriminator
        for penalty in ({}, {"penalty": {"lecam": 0.1}})
    )
    more = asked.state_dict().keys() - plain.state_dict().keys()
    assert more == {"means.real", "means.fake"}
    assert isinstance(asked.means, RunningMeans)
    assert plain.means is None
    assert asked.means.decay == 0.99
    # Weights begin as they do without.
    assert all(torch.equal(v, asked.state_dict()[k]) for k, v in plain.state_dict().items())


def test_a_discriminator_without_means_is_refused() -> None:
    config = settings({"penalty": {"lecam": 0.1}})
    with pytest.raises(UserError, match=r"set penalty\.lecam=0"):
        state = State(config, CPU)
        state.networks.discriminator.means = None
        step(state, dcgan, config, feed(config), World())


# --- beta2 ---


@pytest.mark.parametrize("method", ["adam", "adamw", "rmsprop"])
def test_beta2_moves_with_the_images_seen(method: str) -> None:
    # From 0.9 to 0.99 in the third to sixth step; each player from its own.
    ramp = {"to": 1.1, "start": 2 * BATCH, "images": 4 * BATCH}
    each = {"method": method, "beta1": 0.3}
    moves = {
        "generator": {**each, "beta2": 0.9},
        "discriminator": {**each, "beta2": 0.8},
        "beta2_ramp": ramp,
    }
    config = settings({"optimizer": moves})
    state, pictures = State(config, CPU), feed(config)
    for number in range(1, 9):
        step(state, dcgan, config, pictures, World())
        share = min(max((number - 2) / 4, 0), 1)
        for player, start in (("generator", 0.9), ("discriminator", 0.8)):
            (group,) = state.optimizers[player].param_groups
            expected = start * (1 + 0.1 * share)
            if method == "rmsprop":
                assert group["alpha"] == pytest.approx(expected)
            else:
                assert group["betas"] == (0.3, pytest.approx(expected))


def test_beta2_decides_over_adam_s_memory() -> None:
    """v = beta2 v + (1 - beta2) g^2 with the beta2 of each step, by hand."""
    ramp = {"to": 0.0, "images": 2 * BATCH}
    config = settings({"optimizer": {"beta2_ramp": ramp}})
    state, pictures = State(config, CPU), feed(config)
    for module in state.modules().values():
        module.double()
    weight = state.networks.discriminator.logit.weight
    v = torch.zeros_like(weight)
    for number in range(1, 4):
        step(state, dcgan, config, pictures, World())
        beta2 = 0.999 * max(0, 1 - number / 2)
        v = beta2 * v + (1 - beta2) * weight.grad**2
        held = state.optimizers["discriminator"].state[weight]["exp_avg_sq"]
        torch.testing.assert_close(held, v.detach(), rtol=1e-9, atol=0)
