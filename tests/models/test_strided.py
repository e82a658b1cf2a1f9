"""Convolutions with stride 2 are PyTorch's, by whatever route they are computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.models import strided
from morelike.models.strided import (
    Averaging,
    Doubling,
    Halving,
    Opening,
    Transposed,
    doubled,
    halved,
)

SHAPES = [(4, 4), (2, 4), (6, 4), (8, 8), (1, 1), (16, 16)]
"""Of the smaller maps: some by products, some by both, the last one by PyTorch."""


def conv(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, stride=2, padding=1)


def transposed(y: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(y, weight, stride=2, padding=1)


def drawn(places: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """x, y and w of whole numbers, whose sums of products are exact in bf16's accumulators."""
    numbers = torch.Generator().manual_seed(0)

    def some(*shape: int) -> Tensor:
        return torch.randint(-2, 3, shape, generator=numbers).bfloat16()

    height, width = places
    return some(3, 5, 2 * height, 2 * width), some(3, 7, height, width), some(7, 5, 4, 4)


@pytest.mark.parametrize("places", SHAPES)
@pytest.mark.parametrize("mine", [halved, doubled])
def test_values_and_first_and_second_gradients_are_pytorchs(
    mine: Callable[[Tensor, Tensor], Tensor], places: tuple[int, int]
) -> None:
    x, y, weight = drawn(places)
    into, other = (x, y) if mine is halved else (y, x)
    theirs = conv if mine is halved else transposed
    results = []
    for function, dtype in ((mine, torch.bfloat16), (theirs, torch.float64)):
        a, w, to = (t.to(dtype, copy=True).requires_grad_() for t in (into, weight, other))
        out = function(a, w)
        first = torch.autograd.grad((out * to).sum(), (a, w), create_graph=True)
        total = torch.stack([g.square().sum() for g in first]).sum()
        second = torch.autograd.grad(total, (a, w, to))
        results.append([out, *first, *second])
    for found, expected in zip(*results, strict=True):
        scale = expected.abs().max().item()
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=0.02 * scale)


@pytest.mark.parametrize("places", [(4, 4), (2, 3)])
def test_the_routes_by_products_are_exact_to_the_second_order(places: tuple[int, int]) -> None:
    x, y, weight = (t.double().requires_grad_() for t in drawn(places))
    form = strided._Form.apply
    torch.testing.assert_close(form("y", x, weight), conv(x, weight))
    torch.testing.assert_close(form("x", y, weight), transposed(y, weight))
    few = x[:1, :2].detach().requires_grad_()
    small, little = y[:1, :2].detach().requires_grad_(), weight[:2, :2].detach().requires_grad_()
    for wanted, arguments in (
        ("y", (few, little)),
        ("x", (small, little)),
        ("weight", (few, small)),
    ):
        function = partial(form, wanted)
        assert torch.autograd.gradcheck(function, arguments)
        assert torch.autograd.gradgradcheck(function, arguments)


@pytest.mark.parametrize("channels", [1, 3, 4])
@torch.no_grad()
def test_pictures_are_made_pixel_by_pixel_where_nobody_asks_for_gradients(channels: int) -> None:
    _, y, weight = (t.double() for t in drawn((4, 6)))
    weight = weight[:, :channels]
    found = doubled(y, weight)
    assert found.shape == (3, channels, 8, 12)
    torch.testing.assert_close(found, transposed(y, weight), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(4, 4), (4, 6)])
def test_a_map_is_begun_as_a_transposed_convolution_begins_it(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = Opening(6, 5, size).double().to(memory_format=torch.channels_last)
    z = torch.randn(3, 6, 1, 1, dtype=torch.float64)
    found, expected = layer(z), F.conv_transpose2d(z, layer.weight)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", [Halving, Transposed])
def test_layers_are_those_of_pytorch_under_autocast(kind: Any) -> None:
    torch.manual_seed(0)
    layer = kind(6, 8).to(memory_format=torch.channels_last)
    plain: nn.Module = (nn.Conv2d if kind is Halving else nn.ConvTranspose2d)(
        6, 8, 4, 2, 1, bias=False
    )
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(4, 6, 8, 8)
    found = []
    for each in (layer, plain):
        with torch.autocast("cpu", torch.bfloat16):
            out = F.leaky_relu_(each(x), 0.2)  # in place, as in networks
        assert out.dtype == torch.bfloat16
        out.float().square().sum().backward()
        found.append((out.float(), each.weight.grad))
    assert found[0][1].dtype == torch.float32
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02 * other.abs().max().item())


def test_a_gradient_that_nobody_asks_for_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _, weight = drawn((4, 4))
    learnt: list[int] = []
    products = strided._patches
    monkeypatch.setattr(strided, "_patches", lambda maps: (learnt.append(1), products(maps))[1])
    halved(x.requires_grad_(), weight).float().sum().backward()
    assert len(learnt) == 1
    halved(x.detach(), weight.requires_grad_()).float().sum().backward()
    assert len(learnt) == 3


@pytest.mark.parametrize("kind", [Doubling, Averaging])
@pytest.mark.parametrize("bias", [False, True])
def test_a_level_convolution_of_doubled_pixels_or_before_means(bias: bool, kind: Any) -> None:
    torch.manual_seed(0)
    layer = kind(3, 5, bias=bias).double()
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    found = layer(x)
    before = x.repeat_interleave(2, 2).repeat_interleave(2, 3) if kind is Doubling else x
    after = F.conv2d(before, layer.weight, layer.bias, padding=1)
    expected = after if kind is Doubling else F.avg_pool2d(after, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    weights = torch.randn_like(found)
    over = [x, *layer.parameters()]
    both = [torch.autograd.grad((y * weights).sum(), over) for y in (found, expected)]
    torch.testing.assert_close(both[0], both[1], rtol=0, atol=1e-11)
