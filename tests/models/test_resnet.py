from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike import penalties
from morelike.distributed import World
from morelike.errors import UserError
from morelike.models import configure, resnet
from morelike.models.layers import MinibatchDiscrimination, MinibatchStandardDeviation
from morelike.models.resnet import (
    DiscriminatorConfig,
    GeneratorConfig,
    Residual,
)
from morelike.rng import SeedDraws
from morelike.settings import merge
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step
from networks import UNCONDITIONAL, discriminator, layers_of

CPU = torch.device("cpu")
NORMS = ("none", "spectral", "layer")
every_norm = pytest.mark.parametrize("norm", NORMS)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def settings(**sections: Any) -> Any:
    base = {"family": "resnet", "data": {"resolution": 16, "channels": 3, "mirror": False}}
    narrow = {"generator": {"width": 2, "latent": 5}, "discriminator": {"width": 2}}
    return configure(merge(base, narrow, sections))


def Generator(shape: tuple[int, int, int], config: GeneratorConfig) -> resnet.Generator:  # noqa: N802
    return resnet.Generator(shape, config, UNCONDITIONAL)


def Discriminator(shape: tuple[int, int, int], config: DiscriminatorConfig) -> Any:  # noqa: N802
    return discriminator(resnet, shape, config)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def maps(network: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    """(channels, height, width) that come out of each block, and before them what goes in."""
    found = []
    for layer in layers_of(network):
        if isinstance(layer, Residual):
            found = found or [tuple(x.shape[1:])]
            x = layer(x)
            found.append(tuple(x.shape[1:]))
        else:
            x = layer(x)
    return found


# --- sizes ---


def test_the_networks_of_sn_gan_for_cifar_10() -> None:
    generator = Generator((3, 32, 32), GeneratorConfig(width=256, growth=1))
    discriminator = Discriminator(
        (3, 32, 32), DiscriminatorConfig(width=128, growth=1, smallest=8, level_blocks=2)
    )
    with torch.no_grad():
        assert maps(generator, torch.zeros(2, 128)) == [
            (256, 4, 4),
            (256, 8, 8),
            (256, 16, 16),
            (256, 32, 32),
        ]
        assert maps(discriminator, torch.zeros(2, 3, 32, 32)) == [
            (3, 32, 32),
            (128, 16, 16),
            (128, 8, 8),
            (128, 8, 8),
            (128, 8, 8),
        ]
    # By hand; no bias where batch norm follows.
    block = 2 * 256 * 256 * 9 + 256 * 256 + 2 * 2 * 256
    dense, last = 128 * 4096 + 4096, 2 * 256 + 256 * 3 * 9 + 3
    assert count(generator) == dense + 3 * block + last == 4_274_435
    three = 128 * 128 * 9 + 128
    first, halving = 3 * 128 * 9 + 128 + three + 3 * 128, 2 * three + 128 * 128
    assert count(discriminator) == first + halving + 4 * three + 128 == 1_053_568


def test_the_generator_of_wgan_gp_for_64_pixels() -> None:
    generator = Generator((3, 64, 64), GeneratorConfig())
    with torch.no_grad():
        found = maps(generator, torch.zeros(2, 128))
    assert found == [(512, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (64, 64, 64)]


def test_the_networks_of_sn_gan_for_128_pixels() -> None:
    with torch.device("meta"):
        generator = Generator((3, 128, 128), GeneratorConfig())
        discriminator = Discriminator((3, 128, 128), DiscriminatorConfig(norm="none"))
        made = maps(generator, torch.zeros(2, 128))
        seen = maps(discriminator, torch.zeros(2, 3, 128, 128))
    assert [m[0] for m in made] == [1024, 1024, 512, 256, 128, 64]
    assert [m[1] for m in made] == [4, 8, 16, 32, 64, 128]
    assert [m[0] for m in seen] == [3, 64, 128, 256, 512, 1024, 1024]
    assert [m[1] for m in seen] == [128, 64, 32, 16, 8, 4, 4]


def test_where_in_a_block_the_maps_become_more() -> None:
    # G's first convolution changes their number, and D's second.
    generator = Generator((3, 32, 32), GeneratorConfig(width=2))
    discriminator = Discriminator((3, 32, 32), DiscriminatorConfig(width=2))
    found = [
        [(m.in_channels, m.out_channels) for m in block.main if isinstance(m, nn.Conv2d)]
        for network in (generator, discriminator)
        for block in layers_of(network)
        if isinstance(block, Residual)
    ]
    made = [[(8, 8), (8, 8)], [(8, 4), (4, 4)], [(4, 2), (2, 2)]]
    seen = [[(3, 2), (2, 2)], [(2, 2), (2, 4)], [(4, 4), (4, 8)], [(8, 8), (8, 8)]]
    assert found == made + seen


def test_networks_stop_growing_at_sixteen_times_the_width() -> None:
    with torch.device("meta"):
        generator = Generator((3, 256, 256), GeneratorConfig(width=3))
        found = [m[0] for m in maps(generator, torch.zeros(2, 128))]
    assert found == [48, 48, 48, 24, 12, 6, 3]


@pytest.mark.parametrize("smallest", [4, 8])
@pytest.mark.parametrize("level", [0, 1, 3])
def test_where_halving_stops_and_how_many_blocks_follow(smallest: Any, level: int) -> None:
    config = DiscriminatorConfig(width=2, smallest=smallest, level_blocks=level)
    found = maps(Discriminator((3, 32, 32), config), torch.zeros(2, 3, 32, 32))
    sides = [m[1] for m in found]
    halvings = {4: [16, 8, 4], 8: [16, 8]}[smallest]
    assert sides == [32, *halvings, *[smallest] * level]


@pytest.mark.parametrize(
    ("height", "width", "first"), [(64, 96, (4, 6)), (48, 32, (6, 4)), (16, 64, (4, 16))]
)
def test_pictures_that_are_not_square(height: int, width: int, first: tuple[int, int]) -> None:
    config = settings(data={"resolution": height, "width": width})
    networks = resnet.build(config)
    (latents,) = resnet.inputs(config, SeedDraws([1, 2], CPU))
    assert latents.shape == (2, 5)
    pictures = networks.generator(latents)
    assert pictures.shape == (2, 3, height, width)
    assert networks.discriminator(pictures).shape == (2,)
    assert maps(networks.generator, latents)[0][1:] == first
    assert maps(networks.discriminator, pictures)[-1][1:] == first


def test_points_are_refused_with_a_remedy() -> None:
    config = SimpleNamespace(data=SimpleNamespace(shape=(2, 1, 1)))
    with pytest.raises(UserError, match="take the family mlp"):
        resnet.build(config)  # type: ignore[arg-type]


# --- what they are made of ---


@every_norm
def test_the_discriminator_s_norm(norm: Any) -> None:
    config = DiscriminatorConfig(width=2, norm=norm)
    network = Discriminator((3, 32, 32), config)
    modules = list(network.modules())
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in modules)
    layers = [m for m in modules if isinstance(m, nn.Conv2d | nn.Linear)]
    spectral = [hasattr(layer, "parametrizations") for layer in layers]
    assert set(spectral) == {norm == "spectral"}
    norms = [m for m in modules if isinstance(m, nn.GroupNorm)]
    # Two in each of the four blocks but the first.
    assert len(norms) == (6 if norm == "layer" else 0)
    assert all(m.num_groups == 1 for m in norms)


def test_batch_norm_in_the_generator_is_an_option() -> None:
    for batch_norm in (False, True):
        config = GeneratorConfig(width=2, latent=5, batch_norm=batch_norm)
        network = Generator((3, 16, 16), config)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        assert len(norms) == (5 if batch_norm else 0)
        biases = [m.bias is not None for m in network.modules() if isinstance(m, nn.Conv2d)]
        # Two blocks of two and a shortcut without, and the last.
        block = [not batch_norm, not batch_norm, False]
        assert biases == [*block, *block, True]


def test_weights_are_drawn_as_in_both_papers_code() -> None:
    torch.manual_seed(0)
    generator = Generator((3, 32, 32), GeneratorConfig(width=32))
    discriminator = Discriminator((3, 32, 32), DiscriminatorConfig(width=32, norm="none"))
    seen = 0
    for network in (generator, discriminator):
        for name, layer in network.named_modules():
            if not isinstance(layer, nn.Conv2d | nn.Linear):
                continue
            weight = layer.weight.detach()
            n, area = weight.numel(), weight[0, 0].numel()
            gain = math.sqrt(2) if ".main." in f".{name}." else 1.0
            assert (gain > 1) == (
                area == 9
                and layers_of(network)[int(name.removeprefix("trunk.").split(".")[0])] is not layer
            )
            bound = gain * math.sqrt(6 / (area * (weight.shape[0] + weight.shape[1])))
            assert weight.abs().max() <= bound
            # Five standard errors of a uniform's mean and variance.
            assert abs(weight.mean()) < 5 * bound / math.sqrt(3 * n)
            assert abs(weight.var() - bound**2 / 3) < 5 * bound**2 * math.sqrt(4 / 45 / n)
            assert layer.bias is None or not layer.bias.any()
            seen += 1
    assert seen == (1 + 3 * 3 + 1) + (3 * 3 + 2 + 1)


@pytest.mark.parametrize("level", [0, 1])
def test_the_minibatch_layers_sit_at_the_end(level: int) -> None:
    config = DiscriminatorConfig(
        width=2, minibatch_stddev=True, minibatch_discrimination=7, level_blocks=level
    )
    network = Discriminator((3, 16, 16), config)
    kinds = [type(layer) for layer in layers_of(network)]
    assert kinds == [
        *[Residual] * 2,
        MinibatchStandardDeviation,
        *[Residual] * level,
        nn.ReLU,
        resnet._SumOverPlaces,
        MinibatchDiscrimination,
        type(network.logit),
    ]
    assert network.logit.in_features == (4 if level else 5) + 7
    assert network(numbers(6, 3, 16, 16).float()).shape == (6,)


def test_only_the_minibatch_layers_mix_pictures() -> None:
    pictures = numbers(8, 3, 16, 16)
    others = torch.cat([pictures[:1], numbers(7, 3, 16, 16, seed=1)])
    chosen = [{"norm": norm} for norm in NORMS]
    mixing = [{"minibatch_stddev": True}, {"minibatch_discrimination": 3}]
    for values in chosen + mixing:
        torch.manual_seed(0)
        network = Discriminator((3, 16, 16), DiscriminatorConfig(width=2, **values))
        network.double().eval()
        with torch.no_grad():
            # Quiet features, so that closeness is not lost in rounding.
            same = (network(pictures / 8)[0] - network(others / 8)[0]).abs().item() < 1e-12
        assert same == (values in chosen), values


# --- the same networks written in NumPy ---


def convolved(x: np.ndarray, layer: Any) -> np.ndarray:
    weight = layer.weight.detach().numpy()
    reach = weight.shape[2] // 2
    padded = np.pad(x, [(0, 0), (0, 0), (reach, reach), (reach, reach)])
    height, width = x.shape[2:]
    result = np.zeros((len(x), len(weight), height, width))
    for row, column in np.ndindex(*weight.shape[2:]):
        part = padded[:, :, row : row + height, column : column + width]
        result += np.einsum("bchw,oc->bohw", part, weight[:, :, row, column])
    return result if layer.bias is None else result + layer.bias.detach().numpy()[:, None, None]


def normed(x: np.ndarray, layer: Any, axes: tuple[int, ...]) -> np.ndarray:
    x = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    gain, shift = (p.detach().numpy()[:, None, None] for p in (layer.weight, layer.bias))
    return x * gain + shift


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def doubled(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, axis=2).repeat(2, axis=3)


def halved(x: np.ndarray) -> np.ndarray:
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def parts(block: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Convolutions, norms and the shortcut's convolution."""
    modules = list(block.main)
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]
    norms = [m for m in modules if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)]
    return convolutions, norms, [m for m in block.shortcut if isinstance(m, nn.Conv2d)]


def scattered(network: Any) -> Any:
    """In float64, with biases, gains and shifts that do not hide behind zeros and ones."""
    for index, parameter in enumerate(network.double().parameters()):
        if parameter.ndim == 1:
            parameter.data += 0.3 * numbers(len(parameter), seed=index)
    return network


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_generator_in_numpy(batch_norm: bool) -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(width=2, latent=5, batch_norm=batch_norm)
    network = scattered(Generator((3, 16, 24), config))
    latents = numbers(3, 5)

    def norm(x: np.ndarray, layer: Any) -> np.ndarray:
        return normed(x, layer, (0, 2, 3)) if batch_norm else x

    dense = network[0]
    x = latents.numpy() @ dense.weight.detach().numpy().T + dense.bias.detach().numpy()
    x = x.reshape(3, 4, 4, 6)
    for block in (network[2], network[3]):
        (one, two), norms, (shortcut,) = parts(block)
        before, between = norms or (None, None)
        main = convolved(doubled(relu(norm(x, before))), one)
        x = convolved(relu(norm(main, between)), two) + convolved(doubled(x), shortcut)
    expected = np.tanh(convolved(relu(norm(x, network[4])), network[-2]))
    np.testing.assert_allclose(network(latents).detach(), expected, rtol=0, atol=1e-12)


@every_norm
@pytest.mark.parametrize("level", [0, 2])
def test_the_discriminator_in_numpy(norm: Any, level: int) -> None:
    torch.manual_seed(0)
    config = DiscriminatorConfig(width=2, norm=norm, level_blocks=level)
    network = scattered(Discriminator((3, 16, 24), config)).eval()
    pictures = numbers(3, 3, 16, 24)

    def layer_norm(x: np.ndarray, layer: Any) -> np.ndarray:
        return normed(x, layer, (1, 2, 3)) if norm == "layer" else x

    first, *blocks = (block for block in network.trunk if isinstance(block, Residual))
    x = pictures.numpy()
    (one, two), _, (shortcut,) = parts(first)
    x = halved(convolved(relu(convolved(x, one)), two)) + convolved(halved(x), shortcut)
    for number, block in enumerate(blocks):
        (one, two), norms, shortcuts = parts(block)
        before, between = norms or (None, None)
        main = convolved(relu(layer_norm(x, before)), one)
        main = convolved(relu(layer_norm(main, between)), two)
        if number == 0:  # as the papers have it: the convolution, then the average
            x = halved(main) + halved(convolved(x, shortcuts[0]))
        else:
            assert not shortcuts
            x = main + x
    expected = relu(x).sum((2, 3)) @ network.logit.weight.detach().numpy()[0]
    np.testing.assert_allclose(network(pictures).detach(), expected, rtol=0, atol=1e-12)


# --- in training ---


VARIANTS: list[dict[str, Any]] = [
    {"norm": "none"},
    {"norm": "spectral"},
    {"norm": "layer"},
    {"norm": "layer", "minibatch_stddev": True},
    {"norm": "spectral", "minibatch_stddev": True, "minibatch_discrimination": 3},
]
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)


@every_variant
def test_a_gradient_penalty_has_the_right_gradient(variant: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = Discriminator((3, 16, 16), DiscriminatorConfig(width=2, **variant))
    network = scattered(network).eval()
    pictures = numbers(4, 3, 16, 16)
    for penalty in (penalties.zero_centered, penalties.one_centered):
        network.zero_grad()
        penalty(network, pictures).backward()
        for parameter in network.parameters():
            if parameter.ndim != 4 or parameter.shape[2] == 1:
                continue
            direction = numbers(*parameter.shape, seed=1)
            assert parameter.grad is not None
            found = (parameter.grad * direction).sum().item()
            values = []
            for sign in (1, -1):
                parameter.data += sign * 1e-6 * direction
                values.append(penalty(network, pictures).item())
                parameter.data -= sign * 1e-6 * direction
            assert found == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-5)


def pictures_of_noise() -> Any:
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    return SimpleNamespace(images=images, train=np.arange(24))


def trained(state: State, config: Any, steps: int) -> list[dict[str, Tensor]]:
    feed = Feed(pictures_of_noise(), config, CPU)
    return [step(state, resnet, config, feed, World()) for _ in range(steps)]


@every_variant
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stopped_run_goes_on_to_the_bit(variant: dict[str, Any], precision: str) -> None:
    config = settings(
        discriminator=variant,
        training={"batch": 4, "device": "cpu", "precision": precision, "discriminator_steps": 2},
        penalty={"one_centered": 10},
        objective={"loss": "wasserstein"},
    )
    whole = State(config, CPU)
    trained(whole, config, 2)
    saved = {key: value.clone() for key, value in whole.tensors().items()}
    assert any(key.endswith(".u") for key in saved) == (variant["norm"] == "spectral")
    other = config.training.model_copy(update={"seed": 1})
    resumed = State(config.model_copy(update={"training": other}), CPU)
    resumed.restore(saved, whole.meta())
    one, two = trained(whole, config, 2), trained(resumed, config, 2)
    assert one == two
    for key, value in whole.tensors().items():
        assert value.isfinite().all(), key
        assert torch.equal(value, resumed.tensors()[key]), key
