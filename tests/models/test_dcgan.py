"""The rules of Radford et al. 2015, section 3, read off the networks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from morelike.config import RESOLUTIONS
from morelike.models import configure, dcgan
from morelike.models.dcgan import DiscriminatorConfig
from morelike.models.layers import PlacesFlattened
from morelike.models.strided import Halving, Opening, Transposed
from morelike.rng import SeedDraws
from networks import UNCONDITIONAL, discriminator, layers_of


def kinds(network: nn.Module) -> list[type[nn.Module]]:
    """PyTorch's layers, or what is one of them by another route."""
    bases = {Halving: nn.Conv2d, Opening: nn.ConvTranspose2d, Transposed: nn.ConvTranspose2d}
    return [bases.get(type(layer), type(layer)) for layer in layers_of(network)]


def Generator(shape: tuple[int, int, int], width: int, latent: int) -> dcgan.Generator:  # noqa: N802
    config = dcgan.GeneratorConfig(width=width, latent=latent)
    made = dcgan.Generator(shape, config, UNCONDITIONAL)
    dcgan.initialise(made)
    return made


def Discriminator(shape: tuple[int, int, int], width: int) -> Any:  # noqa: N802
    return discriminator(dcgan, shape, DiscriminatorConfig(width=width))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_default_networks_have_the_paper_s_size() -> None:
    networks = dcgan.build(configure({"data": {"channels": 3}}))
    assert count(networks.generator) == 3_576_704
    assert count(networks.discriminator) == 2_765_568


def test_the_configured_sizes_are_used() -> None:
    config = configure(
        {
            "data": {"resolution": 32, "channels": 4},
            "generator": {"width": 3, "latent": 7},
            "discriminator": {"width": 5},
        }
    )
    networks = dcgan.build(config)
    # (in * out * 16) a layer and 2 * out for each batch norm, by hand.
    assert count(networks.generator) == 16 * (7 * 12 + 12 * 6 + 6 * 3 + 3 * 4) + 2 * (12 + 6 + 3)
    assert count(networks.discriminator) == 16 * (4 * 5 + 5 * 10 + 10 * 20 + 20) + 2 * (10 + 20)
    (latents,) = dcgan.inputs(config, SeedDraws([1, 2, 3], torch.device("cpu")))
    assert latents.shape == (3, 7)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_the_generator_s_layers(resolution: int) -> None:
    network = Generator((3, resolution, resolution), 2, 6)
    doublings = int(math.log2(resolution // 4))
    inner = [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU]
    assert kinds(network) == [nn.Unflatten, *inner * doublings, nn.ConvTranspose2d, nn.Tanh]
    layers = [layer for layer in network if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.stride for layer in layers] == [(1, 1), *[(2, 2)] * doublings]
    assert all(layer.kernel_size == (4, 4) for layer in layers)
    # Half the feature maps at each doubling, down to the width.
    assert [layer.out_channels for layer in layers] == [
        *(2 * 2**power for power in reversed(range(doublings))),
        3,
    ]


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_the_discriminator_s_layers(resolution: int) -> None:
    network = Discriminator((3, resolution, resolution), 2)
    halvings = int(math.log2(resolution // 4))
    inner = [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    first = [nn.Conv2d, nn.LeakyReLU]
    assert kinds(network) == [*first, *inner * (halvings - 1), PlacesFlattened, nn.Linear]
    layers = [layer for layer in network.trunk if isinstance(layer, nn.Conv2d)]
    assert [layer.stride for layer in layers] == [(2, 2)] * halvings
    assert [layer.out_channels for layer in layers] == [2 * 2**p for p in range(halvings)]
    # A convolution over the whole map of 4x4 to one number is a linear layer.
    assert (network.logit.in_features, network.logit.out_features) == (
        layers[-1].out_channels * 16,
        1,
    )
    slopes = {layer.negative_slope for layer in network.trunk if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.2}


@pytest.mark.parametrize("network", [Generator((3, 64, 64), 2, 6), Discriminator((3, 64, 64), 2)])
def test_no_pooling_no_dense_layer_and_no_idle_bias(network: nn.Module) -> None:
    *hidden, last = layers_of(network)
    assert not any(isinstance(m, nn.Linear | nn.MaxPool2d | nn.AvgPool2d) for m in hidden)
    for layer in [*hidden, last]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert layer.bias is None


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_each_layer_doubles_or_halves_the_side(resolution: int) -> None:
    x = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    sides = []
    for layer in Generator((1, resolution, resolution), 1, 6):
        x = layer(x)
        if isinstance(layer, nn.ConvTranspose2d):
            sides.append(x.shape[-1])
    assert sides[0] == 4
    assert all(after == 2 * before for before, after in pairwise(sides))
    assert sides[-1] == resolution
    for layer in Discriminator((1, resolution, resolution), 1).trunk:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            sides.append(x.shape[-1])
    assert sides[-1] == 4
    assert x.shape == (2, 16 * resolution // 8)


def test_weights_are_drawn_as_in_the_paper() -> None:
    torch.manual_seed(0)
    for network in (Generator((3, 64, 64), 32, 50), Discriminator((3, 64, 64), 32)):
        gains = []
        for layer in layers_of(network):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                weight = layer.weight.detach()
                n = weight.numel()
                # Five standard errors of the mean and of the deviation.
                assert abs(weight.mean()) < 5 * 0.02 / math.sqrt(n)
                assert abs(weight.std() - 0.02) < 5 * 0.02 / math.sqrt(2 * n)
                # Not uniform: a normal has 0.27 % beyond three deviations.
                beyond = (weight.abs() > 0.06).float().mean()
                assert abs(beyond - 0.0027) < 5 * math.sqrt(0.0027 / n)
            elif isinstance(layer, nn.BatchNorm2d):
                gains.append(layer.weight.detach())
                assert not layer.bias.any()
        gain = torch.cat(gains)
        assert abs(gain.mean() - 1) < 5 * 0.02 / math.sqrt(len(gain))
        assert abs(gain.std() - 0.02) < 5 * 0.02 / math.sqrt(2 * len(gain))


def test_doubled_pixels_leave_no_checkerboard() -> None:
    """Away from the border a flat map becomes a flat picture, whatever the weights."""
    pictures = {}
    for upsampling in ("transposed", "nearest"):
        config = dcgan.GeneratorConfig(width=4, latent=6, upsampling=upsampling)
        network = dcgan.Generator((3, 16, 16), config, UNCONDITIONAL).eval()
        last = network[-2]
        pictures[upsampling] = last(torch.ones(1, 4, 8, 8))[0, :, 1:-1, 1:-1]
    assert pictures["nearest"].std(dim=(1, 2)).max() < 1e-6
    assert pictures["transposed"].std(dim=(1, 2)).min() > 1e-3


@pytest.mark.parametrize("section", ["generator", "discriminator"])
def test_widths_out_of_range_are_refused(section: str) -> None:
    with pytest.raises(ValueError, match="width"):
        getattr(dcgan, f"{section.title()}Config")(width=0)


@pytest.mark.parametrize(
    ("height", "width", "first"), [(64, 96, (4, 6)), (48, 32, (6, 4)), (16, 64, (4, 16))]
)
def test_pictures_that_are_not_square(height: int, width: int, first: tuple[int, int]) -> None:
    values = {"data": {"resolution": height, "width": width, "channels": 3}}
    config = configure(values | {"generator": {"width": 2}, "discriminator": {"width": 2}}, "test")
    networks = dcgan.build(config)
    (latents,) = dcgan.inputs(config, SeedDraws([1, 2], torch.device("cpu")))
    pictures = networks.generator(latents)
    assert pictures.shape == (2, 3, height, width)
    assert networks.discriminator(pictures).shape == (2,)
    kernels = [m.kernel_size for m in networks.generator if isinstance(m, nn.ConvTranspose2d)]
    assert kernels[0] == first
    assert set(kernels[1:]) == {(4, 4)}
