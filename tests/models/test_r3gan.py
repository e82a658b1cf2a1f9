from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike import recipes
from morelike.data.sampler import indices
from morelike.distributed import World
from morelike.errors import UserError
from morelike.models import check_playable, configure, r3gan
from morelike.models.r3gan import Basis, Embedded, Gathered, Halved, Residual
from morelike.rng import SeedDraws, rng
from morelike.settings import merge
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step
from networks import assert_slopes, copies, moved, numbers
from reference import numpy_r3gan as reference

CPU = torch.device("cpu")
TWO_LABELS = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}
SHAPES = [(3, 16, 16), (1, 32, 16), (4, 16, 28)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
# In groups of 4, so that there are several, in both players.
NARROW = {"width": 4, "widest": 8, "group": 4}


def settings(shape: tuple[int, int, int] = (3, 16, 16), **sections: Any) -> Any:
    channels, height, width = shape
    data = {"resolution": height, "width": width, "channels": channels, "mirror": False}
    base = {
        "family": "r3gan",
        "data": data,
        "generator": {**NARROW, "latent": 5},
        "discriminator": NARROW,
    }
    return configure(merge(base, sections))


def networks(shape: tuple[int, int, int] = (3, 16, 16), **sections: Any) -> Any:
    """In float64, with nothing at 0."""
    torch.manual_seed(0)
    built = r3gan.build(settings(shape, **sections))
    for network in built:
        moved(network.double())
    return built


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def blocks(network: nn.Module) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, Residual)]


def layers(network: Any) -> list[reference.Layer]:
    """A network's layers for the reference, which holds the weights themselves."""
    found: list[reference.Layer] = []
    for layer in network.children():
        if not isinstance(layer, Embedded):
            weights = [p.detach().numpy() for p in layer.parameters()]
            if isinstance(layer, Basis):  # a parameter comes before those of modules within
                weights.reverse()
            found.append((type(layer).__name__, weights))
    return found


# --- sizes ---


def paper(side: int, width: int, widest: int = 768, group: int = 16, labels: int = 0) -> Any:
    size = {"width": width, "widest": widest, "group": group, "blocks": 2}
    condition = {"on": ["label"], "classes": {str(i): 1 / labels for i in range(labels)}}
    return configure(
        {
            "family": "r3gan",
            "data": {"resolution": side, "channels": 3},
            "generator": {**size, "latent": 64},
            "discriminator": size,
            "condition": condition if labels else {},
        }
    )


# Table 9: parameters of G and D in millions.
PAPER = {
    "Stacked MNIST, 32 px": (paper(32, 768), 20.73, 20.68),
    "CIFAR-10, 32 px, 10 labels": (paper(32, 768, labels=10), 20.78, 21.28),
    "FFHQ, 64 px": (paper(64, 384), 22.43, 22.38),
    "FFHQ, 256 px": (paper(256, 96), 23.06, 23.01),
    "ImageNet, 32 px, 1000": (paper(32, 1536, 1536, 32, 1000), 82.91, 86.55),
    "ImageNet, 64 px, 1000": (paper(64, 1536, 1536, 32, 1000), 103.57, 107.21),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_networks_have_its_counts_of_parameters(name: str) -> None:
    config, of_g, of_d = PAPER[name]
    with torch.device("meta"):
        built = r3gan.build(config)
    sizes = [count(network) / 1e6 for network in built]
    assert [round(size, 2) for size in sizes] == [of_g, of_d]
    # And the table at the head of the file says so.
    (line,) = (one for one in (r3gan.__doc__ or "").splitlines() if one.startswith(f"    {name}  "))
    assert [float(word.strip(",")) for word in line.split()[-4:]] == [of_g, of_g, of_d, of_d]
    assert line.split()[-7:-4] == [
        str(getattr(config.generator, key)) for key in ("width", "widest", "group")
    ]


@pytest.mark.parametrize("labels", [0, 10])
def test_the_recipe_for_cifar_has_the_paper_s_networks(labels: int) -> None:
    condition = {"on": ["label"], "classes": {str(i): 0.1 for i in range(10)}} if labels else {}
    values = recipes.find("cifar10-modern").values()
    config = configure(merge(values, {"data": {"channels": 3}, "condition": condition}))
    paper_s, _, _ = PAPER["CIFAR-10, 32 px, 10 labels" if labels else "Stacked MNIST, 32 px"]
    assert config.generator == paper_s.generator
    assert config.discriminator == paper_s.discriminator
    with torch.device("meta"):
        ours, theirs = (r3gan.build(one) for one in (config, paper_s))
    assert [count(n) for n in ours] == [count(n) for n in theirs]


def test_the_schedules_of_the_recipe_for_cifar_end_where_the_paper_s_do() -> None:
    config = configure(recipes.find("cifar10-modern").values())
    optimizer, penalty, training = config.optimizer, config.penalty, config.training
    for player in (optimizer.generator, optimizer.discriminator):
        assert (player.learning_rate, player.beta1, player.beta2) == (2e-4, 0, 0.9)
        assert player.learning_rate * optimizer.ramp.to == pytest.approx(5e-5)
        assert player.beta2 * optimizer.beta2_ramp.to == pytest.approx(0.99)
    assert penalty.r1 == penalty.r2 == 0.05
    assert penalty.r1 * penalty.ramp.to == pytest.approx(0.005)
    assert penalty.every == 1
    assert training.ema_half_life * training.ema_ramp.to == pytest.approx(5e6)
    ramps = [optimizer.ramp, optimizer.beta2_ramp, penalty.ramp, training.ema_ramp]
    assert {(one.images, one.shape) for one in ramps} == {(20_000_000, "cosine")}
    assert (training.batch, training.images) == (512, 250_000_000)


def test_maps_double_with_each_coarser_resolution_up_to_the_widest() -> None:
    size = {"width": 3, "widest": 10, "blocks": 2, "expansion": 3, "group": 8}
    with torch.device("meta"):
        built = r3gan.build(settings((3, 64, 64), generator=size, discriminator=size))
    for network, expected in zip(built, ([10, 10, 10, 6, 3], [3, 6, 10, 10, 10]), strict=True):
        firsts = [block.branch[0] for block in blocks(network)]
        assert [layer.in_channels for layer in firsts] == [w for w in expected for _ in range(2)]
        for block in blocks(network):
            one, _, three, _, other = block.branch
            assert one.out_channels == three.in_channels == three.out_channels
            assert three.out_channels == other.in_channels == 3 * one.in_channels
            # Of 9, 18 and 30 maps, 8 divide none.
            assert three.weight.shape[1] == {9: 1, 18: 2, 30: 2}[three.in_channels]


@every_shape
def test_pictures_of_every_shape(shape: tuple[int, int, int]) -> None:
    built = networks(shape)
    pictures = built.generator(numbers(2, 5))
    assert pictures.shape == (2, *shape)
    assert built.discriminator(pictures).shape == (2,)
    (basis,) = (m for m in built.generator.modules() if isinstance(m, Basis))
    doublings = int(math.log2(min(shape[1:]))) - 2
    first = (shape[1] >> doublings, shape[2] >> doublings)
    assert min(first) == 4
    assert basis.maps.shape[2:] == first == built.discriminator.trunk[-1].weight.shape[2:]


def test_points_are_refused_with_a_remedy() -> None:
    config = SimpleNamespace(
        data=SimpleNamespace(shape=(2, 1, 1)), discriminator=None, condition=None
    )
    with pytest.raises(UserError, match="take the family mlp"):
        r3gan.build(config)  # type: ignore[arg-type]


# --- resampling ---


@pytest.mark.parametrize("size", [(4, 4), (6, 14)])
def test_halving_in_closed_form(size: tuple[int, int]) -> None:
    x = numbers(2, 3, *size)
    expected = np.zeros((2, 3, size[0] // 2, size[1] // 2))
    eighths = [1, 3, 3, 1]
    for place in np.ndindex(*expected.shape[2:]):
        for i, j in np.ndindex(4, 4):
            row, column = (
                min(max(2 * p + k - 1, 0), side - 1)
                for p, k, side in zip(place, (i, j), size, strict=True)
            )
            share = eighths[i] * eighths[j] / 64
            expected[:, :, *place] += share * x[:, :, row, column].numpy()
    np.testing.assert_allclose(Halved()(x), expected, rtol=0, atol=1e-14)


def test_halving_is_a_quarter_of_the_transpose_of_doubling() -> None:
    # <double(x), y> = 4 <x, halve(y)>
    x, y = numbers(2, 3, 5, 7), numbers(2, 3, 10, 14, seed=1)
    doubled = nn.Upsample(scale_factor=2, mode="bilinear")(x)
    torch.testing.assert_close((doubled * y).sum(), 4 * (x * Halved()(y)).sum())
    constant = torch.full((1, 1, 6, 6), 2.5)
    torch.testing.assert_close(Halved()(constant), constant[:, :, :3, :3])


def test_halving_has_both_derivatives_in_every_layout() -> None:
    for memory in (torch.contiguous_format, torch.channels_last):
        x = numbers(2, 3, 4, 6).contiguous(memory_format=memory).requires_grad_()
        assert Halved()(x).is_contiguous(memory_format=memory)
        assert torch.autograd.gradcheck(Halved(), x)
        assert torch.autograd.gradgradcheck(Halved(), x)


# --- how they begin ---


def fresh(**sections: Any) -> Any:
    torch.manual_seed(0)
    return r3gan.build(settings(**sections))


def test_every_residual_branch_begins_at_0_and_moves_with_the_first_step() -> None:
    size = {"blocks": 2}
    for network in fresh(generator=size, discriminator=size):
        found = blocks(network)
        assert len(found) == 6
        for block in found:
            x = torch.randn(2, block.branch[0].in_channels, 4, 4)
            assert torch.equal(block(x), x)
            block(x).square().sum().backward()
            assert block.branch[-1].weight.grad.abs().max() > 0


def test_without_its_branches_a_discriminator_is_linear() -> None:
    discriminator = fresh().discriminator.double()
    x, y = numbers(2, 2, 3, 16, 16)
    with torch.no_grad():
        mixed = discriminator(0.3 * x - 2 * y)
        torch.testing.assert_close(mixed, 0.3 * discriminator(x) - 2 * discriminator(y))


@pytest.mark.parametrize("per_resolution", [1, 3])
def test_the_spread_of_what_weights_begin_as(per_resolution: int) -> None:
    size = {"width": 32, "widest": 96, "blocks": per_resolution, "group": 16}
    condition = {**TWO_LABELS, "auxiliary": 1.0}
    built = fresh(generator={**size, "latent": 64}, discriminator=size, condition=condition)
    gain = math.sqrt(2 / 1.04) * (3 * per_resolution) ** -0.25
    for network in built:
        within = set()
        for block in blocks(network):
            one, _, three, _, last = block.branch
            within |= {one, three, last}
            assert_spread(one.weight, gain / math.sqrt(one.in_channels))
            assert_spread(three.weight, gain / math.sqrt(9 * 16))
            assert not last.weight.any()
            assert not one.bias.any()
            assert not three.bias.any()
            assert last.bias is None
        named = dict(network.named_modules())
        special = {
            named.get("projection"),
            *(m.embed for m in named.values() if isinstance(m, Embedded)),
        }
        for layer in named.values():
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer not in within | special:
                assert layer.bias is None or layer is named.get("classifier")
                assert_spread(layer.weight, 1 / math.sqrt(layer.weight.shape[1]))
            elif isinstance(layer, Basis):
                assert_spread(layer.maps, 1)
            elif isinstance(layer, Gathered):
                assert_spread(layer.weight, 1 / 4)
    assert_spread(built.generator[0].embed.weight, 1)
    assert_spread(built.discriminator.projection.weight, 96**-0.5)


def assert_spread(weight: Tensor, expected: float) -> None:
    # Five standard errors of a normal's deviation and mean.
    assert weight.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * weight.numel()))
    assert abs(weight.mean()) < 5 * expected / math.sqrt(weight.numel())


def test_there_is_no_norm_so_gradient_penalties_are_allowed() -> None:
    for network in fresh():
        kinds = {type(m).__name__ for m in network.modules()}
        assert not [kind for kind in kinds if "Norm" in kind or "Deviation" in kind]
    check_playable(settings(penalty={"r1": 1.0, "r2": 1.0}))


# --- the same networks written in NumPy ---


@every_shape
@pytest.mark.parametrize("conditional", [False, True])
def test_the_generator_in_numpy(shape: tuple[int, int, int], conditional: bool) -> None:
    condition = TWO_LABELS if conditional else {}
    network = networks(shape, condition=condition).generator
    z, y = numbers(3, 5), numbers(3, 2, seed=1)
    given = z.numpy()
    if conditional:
        given = np.concatenate([given, y.numpy() @ network[0].embed.weight.detach().numpy().T], 1)
    expected, _ = reference.applied(layers(network), given)
    found = network(z, y) if conditional else network(z)
    np.testing.assert_allclose(found.detach(), expected, rtol=0, atol=1e-12)


@every_shape
@pytest.mark.parametrize("conditional", [False, True])
def test_the_discriminator_and_its_gradient_in_numpy(
    shape: tuple[int, int, int], conditional: bool
) -> None:
    condition = TWO_LABELS if conditional else {}
    network = networks(shape, condition=condition).discriminator
    x, y = numbers(3, *shape).requires_grad_(), numbers(3, 2, seed=1)
    heads = network.logit.weight.detach().numpy()[0]
    if conditional:
        heads = heads + y.numpy() @ network.projection.weight.detach().numpy().T
    expected, gradient = reference.judged(layers(network.trunk), heads, x.detach().numpy())
    logits = network(x, condition=y if conditional else None)
    np.testing.assert_allclose(logits.detach(), expected, rtol=0, atol=1e-12)
    (found,) = torch.autograd.grad(logits.sum(), x)
    np.testing.assert_allclose(found, gradient, rtol=0, atol=1e-12)
    assert np.abs(gradient).max() > 1e-3


# --- one whole step ---

BATCH, SEED = 4, 3
GAME = {
    "objective": {"loss": "relativistic"},
    "penalty": {"r1": 0.7, "r2": 0.4},
    "optimizer": {
        "generator": {"learning_rate": 3e-3, "beta1": 0.0, "beta2": 0.9, "epsilon": 1e-5},
        "discriminator": {"learning_rate": 7e-3, "beta1": 0.0, "beta2": 0.9, "epsilon": 1e-4},
    },
    "training": {"batch": BATCH, "seed": SEED, "precision": "fp32", "device": "cpu"},
}


def latents(update: str) -> np.ndarray:
    drawn = rng(SEED, 0, update, "latents").standard_normal((BATCH, 5))
    return drawn.astype(np.float32).astype(np.float64)


def test_one_step_is_the_paper_s() -> None:
    config = settings(**GAME)
    state = State(config, CPU)
    for network in state.networks:
        moved(network.double())
    state.ema.double()
    images = np.random.default_rng(0).integers(0, 256, (11, 16, 16, 3), dtype=np.uint8)
    dataset: Any = SimpleNamespace(images=images, train=np.random.default_rng(1).permutation(11))
    g, d = (copies(network) for network in state.networks)
    metrics = {
        key: value.item()
        for key, value in step(state, r3gan, config, Feed(dataset, config, CPU), World()).items()
    }

    # The networks as they were, put into the shape of the modules.
    before = networks()
    for network, weights in zip(before, (g, d), strict=True):
        for parameter, weight in zip(network.parameters(), weights, strict=True):
            parameter.data = torch.from_numpy(weight)  # shared: what moves the one moves the other
    made, judging = layers(before.generator), layers(before.discriminator.trunk)
    head = before.discriminator.logit.weight.detach().numpy()[0]
    chosen = dataset.train[indices(11, 0, BATCH, SEED)]
    real = images[chosen].transpose(0, 3, 1, 2).astype(np.float64) / 127.5 - 1
    fake, _ = reference.applied(made, latents("discriminator.0"))

    def of_d() -> float:
        return sum(reference.discriminator_value(judging, head, real, fake, 0.7, 0.4))

    adversarial, r1, r2 = reference.discriminator_value(judging, head, real, fake, 0.7, 0.4)
    assert min(r1, r2) > 0.01 * adversarial  # or their gradients would not show
    expected = {
        "discriminator_adversarial": adversarial,
        "discriminator_r1": r1 / 0.7,
        "discriminator_r2": r2 / 0.4,
        "loss_discriminator": adversarial + r1 + r2,
    }
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, rel=1e-9), name
    assert_slopes(of_d, state.networks.discriminator, d)

    # Adam's first step without momentum: each weight by the rate, but for epsilon.
    for weight, parameter in zip(d, state.networks.discriminator.parameters(), strict=True):
        gradient = parameter.grad.numpy()
        weight -= 7e-3 * gradient / (np.abs(gradient) + 1e-4)
        np.testing.assert_allclose(parameter.detach(), weight, rtol=0, atol=1e-12)

    def of_g() -> float:
        pictures, _ = reference.applied(made, latents("generator.0"))
        logits = [reference.judged(judging, head, x)[0] for x in (real, pictures)]
        return float(reference.softplus(logits[0] - logits[1]).mean())

    assert metrics["loss_generator"] == pytest.approx(of_g(), rel=1e-9)
    assert_slopes(of_g, state.networks.generator, g)
    for weight, parameter in zip(g, state.networks.generator.parameters(), strict=True):
        gradient = parameter.grad.numpy()  # type: ignore[union-attr]
        weight -= 3e-3 * gradient / (np.abs(gradient) + 1e-5)
        np.testing.assert_allclose(parameter.detach(), weight, rtol=0, atol=1e-12)


# --- conditions ---


def test_the_condition_is_embedded_beside_the_latents() -> None:
    config, built = settings(condition=TWO_LABELS), networks(condition=TWO_LABELS)
    z, y = (value.double() for value in r3gan.inputs(config, SeedDraws([1, 2, 3], CPU)))
    assert (z.shape, y.shape) == ((3, 5), (3, 2))
    pictures = built.generator(z, y)
    assert (pictures - built.generator(z, 1 - y)).abs().amax((1, 2, 3)).min() > 0.01
    told = [built.discriminator(pictures, condition=c) for c in (y, 1 - y)]
    assert ((told[0] - told[1]).abs() > 1e-6).all()


def test_a_linear_layer_comes_before_the_projection_and_only_there() -> None:
    ways: list[tuple[dict[str, Any], bool]] = [
        ({}, False),
        (TWO_LABELS, True),
        ({**TWO_LABELS, "auxiliary": 1.0, "projection": False}, False),
    ]
    for condition, expected in ways:
        trunk = fresh(condition=condition).discriminator.trunk
        assert isinstance(trunk[-1], nn.Linear) == expected


def test_a_condition_by_norm_is_refused_with_a_remedy() -> None:
    with pytest.raises(UserError, match=r"set condition\.generator=input"):
        networks(condition={**TWO_LABELS, "generator": "norm"})
