from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike import penalties
from morelike.models import configure, enlarger, unet
from morelike.models.layers import SpectralNorm
from morelike.models.patches import PatchDiscriminator
from networks import moved, numbers
from reference import numpy_enlarger as reference


def discriminator(given: int = 1, channels: int = 3, **settings: Any) -> Any:
    torch.manual_seed(0)
    values = {"width": 4, "norm": "none", **settings}
    config = configure(
        {
            "family": "enlarger",
            "data": {"resolution": 64, "channels": channels},
            "discriminator": values,
        }
    )
    return PatchDiscriminator(given, config)


def weights(network: nn.Module) -> list[np.ndarray]:
    return [p.detach().numpy() for p in network.parameters()]


@pytest.mark.parametrize(("layers", "wide"), [(1, 12), (2, 26), (3, 54), (4, 110)])
def test_how_many_pixels_a_logit_sees(layers: int, wide: int) -> None:
    network = moved(discriminator(layers=layers, width=2, widest=4))
    x = numbers(1, 3, 256, 32).requires_grad_()
    places = 256 >> layers
    logits = network(x).unflatten(1, (places, -1))
    (gradient,) = torch.autograd.grad(logits[0, places // 2].sum(), x)
    rows = gradient[0].abs().amax((0, 2)).nonzero().flatten()
    assert len(rows) == wide
    assert int(rows[-1] - rows[0]) == wide - 1


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (24, 8), (13, 21)])
def test_one_logit_a_patch_of_pictures_of_any_size(layers: int, size: tuple[int, int]) -> None:
    network = discriminator(layers=layers)
    made = network(torch.zeros(2, 3, *size))
    assert made.shape == (2, (size[0] >> layers) * (size[1] >> layers))


def test_maps_double_up_to_the_widest() -> None:
    network = discriminator(width=3, widest=10, layers=3)
    maps = network.maps(torch.zeros(1, 3, 32, 32))
    assert [each.shape[1:] for each in maps] == [(3, 16, 16), (6, 8, 8), (10, 4, 4), (10, 4, 4)]


@pytest.mark.parametrize("layers", [1, 2])
def test_maps_logits_and_the_gradient_in_numpy(layers: int) -> None:
    network = moved(discriminator(layers=layers))
    x = numbers(3, 3, 12, 16).requires_grad_()
    maps, logits, gradient = reference.judged(weights(network), x.detach().numpy())
    found = network.maps(x)
    assert len(found) == len(maps) == layers + 1
    for one, other in zip(found, maps, strict=True):
        np.testing.assert_allclose(one.detach(), other, rtol=0, atol=1e-12)
    np.testing.assert_allclose(network(x).detach(), logits, rtol=0, atol=1e-12)
    (by_x,) = torch.autograd.grad(network(x).sum(), x)
    np.testing.assert_allclose(by_x, gradient, rtol=0, atol=1e-12)
    assert np.abs(gradient).max() > 1e-3


def test_r1_of_patches_is_that_of_their_sum() -> None:
    network = moved(discriminator())
    x = numbers(3, 3, 16, 16)
    _, _, gradient = reference.judged(weights(network), x.numpy())
    expected = (gradient**2).sum((1, 2, 3)).mean() / 2
    found = penalties.zero_centered(network, x)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    found.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("given", "scale"), [(1, 1), (3, 2), (4, 4)])
def test_beside_the_picture_it_sees_each_pixel_of_the_input_repeated(
    given: int, scale: int
) -> None:
    network = moved(discriminator(given, sees_input=True))
    x, small = numbers(2, 3, 16, 24), numbers(2, given, 16 // scale, 24 // scale)
    large = reference.repeated(small.numpy(), scale)
    shown = network.shown(x, small)
    np.testing.assert_array_equal(shown, np.concatenate([x.numpy(), large], 1))
    _, logits, _ = reference.judged(weights(network), shown.numpy())
    np.testing.assert_allclose(network(x, condition=small).detach(), logits, rtol=0, atol=1e-12)
    assert not torch.equal(network(x, condition=-small), network(x, condition=small))
    with pytest.raises(AssertionError):
        network(x)


def test_alone_it_takes_no_notice_of_the_input() -> None:
    network = discriminator()
    x = torch.randn(2, 3, 16, 16)
    assert network.shown(x, torch.randn(2, 1, 16, 16)) is x
    assert torch.equal(network(x, condition=torch.randn(2, 1, 16, 16)), network(x))


def test_every_weight_is_normalised_or_none() -> None:
    for norm, expected in (("spectral", 4), ("none", 0)):
        network = discriminator(norm=norm, layers=2)
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        norms = [m for m in network.modules() if isinstance(m, SpectralNorm)]
        assert len(convolutions) == 4
        assert len(norms) == expected
    network = discriminator(norm="spectral", layers=2)
    for _ in range(100):
        network(torch.randn(1, 3, 16, 16))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            assert largest.item() == pytest.approx(1, abs=1e-3)


def test_the_spread_of_what_weights_begin_as() -> None:
    network = discriminator(width=64, layers=2)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            expected = math.sqrt(2 / 1.04 / layer.weight[0].numel())
            # The last one is a single map of many weights.
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.1)
            assert layer.bias is None or not layer.bias.any()


def test_the_families_differ_in_what_it_sees() -> None:
    assert not enlarger.DiscriminatorConfig().sees_input
    assert unet.DiscriminatorConfig().sees_input


def test_running_means_are_kept_where_lecam_asks_for_them() -> None:
    config = configure(
        {
            "family": "enlarger",
            "data": {"resolution": 64, "channels": 3},
            "penalty": {"lecam": 0.1, "lecam_decay": 0.5},
        }
    )
    network = PatchDiscriminator(3, config)
    seen: dict[str, Tensor] = {"logit_real": torch.tensor(2.0), "logit_fake": torch.tensor(-4.0)}
    network.remember(seen)
    assert network.means is not None
    assert (network.means.real.item(), network.means.fake.item()) == (1.0, -2.0)
