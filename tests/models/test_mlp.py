from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.models import Batch, configure, mlp
from morelike.models.mlp import DiscriminatorConfig, GeneratorConfig
from morelike.rng import SeedDraws, StepDraws
from networks import discriminator, layers_of

CPU = torch.device("cpu")
POINTS = (2, 1, 1)


def kinds(network: nn.Module) -> list[type[nn.Module]]:
    return [type(layer) for layer in layers_of(network)]


def Generator(shape: tuple[int, int, int], config: GeneratorConfig) -> mlp.Generator:  # noqa: N802
    made = mlp.Generator(shape, config, 0)
    mlp.initialise(made)
    return made


def Discriminator(shape: tuple[int, int, int], config: DiscriminatorConfig) -> Any:  # noqa: N802
    return discriminator(mlp, shape, config)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def settings(**sections: Any) -> Any:
    return configure({"family": "mlp", "data": {"resolution": 16, "channels": 1}, **sections})


def for_points(config: Any) -> Any:
    """The same configuration, for points of a plane."""
    parts = {
        key: getattr(config, key)
        for key in ("generator", "discriminator", "objective", "augment", "condition")
    }
    return SimpleNamespace(data=SimpleNamespace(shape=POINTS), penalty=config.penalty, **parts)


def test_the_configured_sizes_are_used() -> None:
    config = settings(
        generator={"width": 5, "layers": 2, "latent": 7}, discriminator={"width": 3, "layers": 4}
    )
    networks = mlp.build(config)
    assert count(networks.generator) == (7 * 5 + 5) + (5 * 5 + 5) + (5 * 256 + 256)
    assert count(networks.discriminator) == (256 * 3 + 3) + 3 * (3 * 3 + 3) + 3
    (latents,) = mlp.inputs(config, SeedDraws([1, 2, 3], CPU))
    assert latents.shape == (3, 7)


@pytest.mark.parametrize(("name", "kind"), [("relu", nn.ReLU), ("leaky_relu", nn.LeakyReLU)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_generator_s_layers(name: Any, kind: type[nn.Module], batch_norm: bool) -> None:
    config = GeneratorConfig(layers=2, activation=name, batch_norm=batch_norm)
    hidden = [nn.Linear, *[nn.BatchNorm1d] * batch_norm, kind]
    ends = [nn.Linear, nn.Unflatten]
    assert kinds(Generator((3, 8, 8), config)) == [*hidden * 2, *ends, nn.Tanh]
    assert kinds(Generator(POINTS, config)) == [*hidden * 2, *ends]
    linear = [m for m in Generator(POINTS, config) if isinstance(m, nn.Linear)]
    biased = [layer.bias is not None for layer in linear]
    assert biased == [not batch_norm, not batch_norm, True]


def test_the_discriminator_s_layers() -> None:
    network = Discriminator((3, 8, 8), DiscriminatorConfig(layers=2))
    hidden = [nn.Linear, nn.LeakyReLU]
    assert kinds(network) == [nn.Flatten, *hidden * 2, nn.Linear]
    assert {
        layer.negative_slope for layer in layers_of(network) if isinstance(layer, nn.LeakyReLU)
    } == {0.2}
    assert not any("Norm" in type(module).__name__ for module in network.modules())


def test_points_have_no_bounds_and_are_a_vector() -> None:
    config = for_points(settings(generator={"width": 16}, discriminator={"width": 8}))
    torch.manual_seed(0)
    networks = mlp.build(config)
    for network in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        networks.generator[-2].weight.mul_(50)
    (latents,) = mlp.inputs(config, SeedDraws(range(8), CPU))
    points = networks.generator(latents)
    assert points.shape == (8, *POINTS)
    assert points.abs().max() > 2
    logits = networks.discriminator(points.contiguous(memory_format=torch.channels_last))
    assert logits.shape == (8,)
    assert torch.equal(logits, networks.discriminator(points))


@pytest.mark.parametrize(("height", "width"), [(16, 64), (48, 32)])
def test_pictures_that_are_not_square(height: int, width: int) -> None:
    shape = (3, height, width)
    pictures = Generator(shape, GeneratorConfig(width=4))(torch.zeros(2, 100))
    assert pictures.shape == (2, *shape)
    assert Discriminator(shape, DiscriminatorConfig(width=4))(pictures).shape == (2,)


def test_weights_are_drawn_as_glorot_and_bengio_say() -> None:
    torch.manual_seed(0)
    for network in (
        Generator((3, 16, 16), GeneratorConfig()),
        Discriminator((3, 16, 16), DiscriminatorConfig()),
    ):
        for layer in layers_of(network):
            if isinstance(layer, nn.Linear):
                bound = math.sqrt(6 / (layer.in_features + layer.out_features))
                weight = layer.weight.detach()
                n = weight.numel()
                assert weight.abs().max() <= bound
                # Five standard errors of a uniform's mean and variance.
                assert abs(weight.mean()) < 5 * bound / math.sqrt(3 * n)
                assert abs(weight.var() - bound**2 / 3) < 5 * bound**2 * math.sqrt(4 / 45 / n)
                assert layer.bias is None or not layer.bias.any()


def test_spectral_norm_is_on_every_layer_of_the_discriminator() -> None:
    torch.manual_seed(0)
    config = DiscriminatorConfig(width=6, layers=2, spectral_norm=True)
    network = Discriminator((1, 4, 4), config)
    with torch.no_grad():
        for _ in range(1000):
            network(torch.zeros(1, 1, 4, 4))
    layers = [layer for layer in layers_of(network.eval()) if isinstance(layer, nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        top = np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)[0]
        assert top == pytest.approx(1, abs=1e-6)


# --- one step, against the same game written in NumPy ---


def numpy_weights(network: nn.Module) -> list[np.ndarray]:
    return [parameter.detach().numpy().copy() for parameter in network.parameters()]


def numpy_pass(weights: list[np.ndarray], x: np.ndarray, slope: float) -> np.ndarray:
    """Weights and biases in turn; the last layer may have no bias."""
    while weights:
        matrix, *weights = weights
        x = x @ matrix.T
        if weights:
            bias, *weights = weights
            x = x + bias
        if weights:
            x = np.where(x > 0, x, slope * x)
    return x


def numpy_loss(
    player: str, g: list[np.ndarray], d: list[np.ndarray], real: np.ndarray, z: np.ndarray, end: Any
) -> float:
    def softplus(x: np.ndarray) -> np.ndarray:
        return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)

    fake = numpy_pass(d, end(numpy_pass(g, z, 0.2)), 0.2)
    if player == "generator":
        return float(softplus(-fake).mean())
    return float((softplus(-numpy_pass(d, real, 0.2))).mean() + softplus(fake).mean())


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_loss_and_gradient_equal_the_paper_s(player: str, points: bool) -> None:
    config = settings(
        generator={"width": 3, "layers": 2, "latent": 4},
        discriminator={"width": 3, "layers": 2},
    )
    if points:
        config = for_points(config)
    torch.manual_seed(0)
    networks = mlp.build(config)
    for network in networks:
        network.double()
        for parameter in network.parameters():  # biases too
            nn.init.normal_(parameter, 0, 0.3)
    draws = StepDraws(0, 0, "test", 5, 0, 5, CPU, torch.float64)
    real = draws.uniform("pictures", *config.data.shape) * 2 - 1
    batch = Batch(real, mlp.inputs(config, draws), draws)
    term, *_ = getattr(mlp, f"{player}_terms")(config, networks, batch)
    loss: Tensor = term.function()
    loss.backward()

    weights = {name: numpy_weights(network) for name, network in networks._asdict().items()}

    def value() -> float:
        return numpy_loss(
            player,
            weights["generator"],
            weights["discriminator"],
            real.flatten(1).numpy(),
            batch.inputs[0].numpy(),
            (lambda x: x) if points else np.tanh,
        )

    assert loss.item() == pytest.approx(value(), rel=1e-12)
    step = 1e-6
    network = getattr(networks, player)
    for parameter, array in zip(network.parameters(), weights[player], strict=True):
        for index in list(np.ndindex(array.shape))[:: max(1, array.size // 20)]:
            middle = array[index]
            array[index] = middle + step
            above = value()
            array[index] = middle - step
            below = value()
            array[index] = middle
            slope = (above - below) / (2 * step)
            assert parameter.grad[index].item() == pytest.approx(slope, abs=1e-8)
