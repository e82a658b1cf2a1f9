from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from morelike.config import Config
from morelike.devices import autocast
from morelike.errors import UserError
from morelike.models import check_playable, configure, enlarger
from morelike.models.enlarger import Generator, GeneratorConfig, Residual, SubPixel, bounded
from networks import moved, numbers, seen_from
from reference import numpy_enlarger as reference

CPU = torch.device("cpu")
SCALES = (1, 2, 4, 8)
every_scale = pytest.mark.parametrize("scale", SCALES)


def generator(given: int = 3, channels: int = 3, scale: int = 4, **size: Any) -> Any:
    torch.manual_seed(0)
    return Generator(given, channels, scale, GeneratorConfig(**{"width": 8, "blocks": 2, **size}))


def settings(task: str = "enlarge:4", resolution: int = 256, channels: int = 3) -> Config[Any, Any]:
    data = {"resolution": resolution, "channels": channels}
    return configure({"family": "enlarger", "task": {"name": task}, "data": data})


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# --- sizes ---


def test_its_size_is_what_its_file_says() -> None:
    with torch.device("meta"):
        network = enlarger.build(settings()).generator
    told = " ".join((enlarger.__doc__ or "").split())
    assert f"there are {count(network):,} parameters" in told
    products = 0

    def add(layer: Any, given: Any, made: Tensor) -> None:
        nonlocal products
        products += made.numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(add)
    network(torch.zeros(1, 3, 64, 64, device="meta"))
    assert f"takes {2 * products / 1e9:.1f} GFLOP" in told


@every_scale
@pytest.mark.parametrize(("given", "channels"), [(1, 1), (3, 3), (4, 4), (1, 3), (4, 3), (2, 1)])
def test_pictures_of_any_size_and_channels(scale: int, given: int, channels: int) -> None:
    network = moved(generator(given, channels, scale))
    for height, width in ((8, 8), (5, 11), (1, 1)):
        x = numbers(2, given, height, width)
        made = network(x)
        assert made.shape == (2, channels, scale * height, scale * width)
        assert made.abs().max() <= 1


def test_each_doubling_but_the_last_halves_the_maps() -> None:
    for scale, expected in ((1, []), (2, []), (4, [(32, 64)]), (8, [(32, 64), (16, 32)])):
        network = generator(scale=scale, width=32)
        found = [m.convolution for m in network.doublings if isinstance(m, SubPixel)]
        assert [(c.in_channels, c.out_channels) for c in found] == expected
        last = network.picture
        assert (last.out_channels if scale == 1 else last.convolution.out_channels) == (
            3 if scale == 1 else 12
        )


def test_there_is_no_norm() -> None:
    with torch.device("meta"):
        built = enlarger.build(settings())
    assert not [m for m in built.generator.modules() if "Norm" in type(m).__name__]


# --- how it begins ---


def test_it_begins_as_pillow_s_bicubic_enlargement() -> None:
    shades = np.random.default_rng(0).integers(60, 196, (9, 14, 3), dtype=np.uint8)
    x = torch.from_numpy(shades).permute(2, 0, 1)[None].double() / 127.5 - 1
    for scale in (2, 4, 8):
        network = generator(scale=scale).double()
        made = network(x)[0].permute(1, 2, 0).detach().numpy() * 127.5 + 127.5
        size = (14 * scale, 9 * scale)
        expected = np.asarray(Image.fromarray(shades).resize(size, Image.Resampling.BICUBIC))
        # Pillow rounds between its two directions, too.
        assert np.abs(made - expected).max() < 1.2
        np.testing.assert_allclose(
            network.enlarged(x), reference.enlarged(x.numpy(), scale), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize(
    ("given", "channels", "taken"), [(3, 3, [0, 1, 2]), (1, 3, [0, 0, 0]), (4, 3, [0, 1, 2])]
)
def test_at_scale_1_it_begins_as_the_input_as_far_as_that_has_the_channels(
    given: int, channels: int, taken: list[int]
) -> None:
    x = numbers(2, given, 5, 6).clamp(-1, 1)
    torch.testing.assert_close(generator(given, channels, 1).double()(x), x[:, taken])


def test_doublings_begin_without_a_checkerboard() -> None:
    network = generator(scale=8, width=16).double()
    maps = network.body(numbers(2, 3, 6, 6))
    for doubling in network.doublings:
        maps = doubling(maps)
        if isinstance(doubling, SubPixel):
            assert torch.equal(maps[:, :, ::2, ::2], maps[:, :, 1::2, 1::2])
            assert torch.equal(maps[:, :, ::2, ::2], maps[:, :, ::2, 1::2])
            assert maps.std() > 0.1


def test_the_spread_of_what_weights_begin_as() -> None:
    network = generator(width=64, blocks=4)
    gain = math.sqrt(2 / 1.04)
    for layer in network.modules():
        if isinstance(layer, Residual):
            first, _, last = layer.branch
            for each, factor in ((first, 1.0), (last, 0.1)):
                expected = factor * gain / math.sqrt(9 * 64)
                assert each.weight.std().item() == pytest.approx(expected, rel=0.05)
                assert not each.bias.any()
        elif isinstance(layer, SubPixel):
            fan_in = layer.convolution.weight[0].numel()
            expected = 0.0 if layer is network.picture else gain / math.sqrt(fan_in)
            assert layer.convolution.weight.std().item() == pytest.approx(expected, rel=0.05)
    maps = network.body(torch.randn(4, 3, 16, 16))
    assert maps.std().item() == pytest.approx(gain, rel=0.3)


# --- what lies beyond ---


def test_values_are_cut_off_and_only_what_leads_back_inside_passes() -> None:
    values = torch.tensor([-3.0, -3.0, -1.0, 0.4, 0.4, 1.0, 2.0, 2.0], requires_grad=True)
    made = bounded(values)
    assert made.tolist() == pytest.approx([-1, -1, -1, 0.4, 0.4, 1, 1, 1])
    # A step goes against the gradient: -1 pushes up, 1 pushes down.
    asked = torch.tensor([-1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
    made.backward(asked)
    assert values.grad is not None
    assert values.grad.tolist() == [-1, 0, 1, -1, 1, -1, 0, 1]
    with torch.no_grad():
        assert torch.equal(bounded(values), made)


def test_a_pixel_that_was_cut_off_learns_to_come_back() -> None:
    network = generator(scale=2)
    with torch.no_grad():
        network.picture.convolution.bias.fill_(3.0)
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    x = torch.zeros(1, 3, 6, 6)
    assert (network(x) == 1).all()
    for _ in range(100):
        optimizer.zero_grad()
        (network(x) - 0.5).abs().mean().backward()
        optimizer.step()
    assert (network(x) - 0.5).abs().max() < 0.2


# --- parts of pictures ---


@every_scale
@pytest.mark.parametrize("blocks", [1, 3])
def test_how_far_it_looks(scale: int, blocks: int) -> None:
    network = moved(generator(scale=scale, blocks=blocks, width=4))
    assert network.stride == 1
    assert seen_from(network, numbers(1, 3, 30, 30), scale) == network.reach


@every_scale
def test_with_so_much_around_it_a_part_becomes_what_it_becomes_in_the_whole(scale: int) -> None:
    network = moved(generator(scale=scale), 0.1).float().eval()
    x = numbers(1, 3, 41, 37).float().div(3)
    margin = network.reach
    with torch.no_grad():
        whole = network(x)
        for top, left, height, width in ((0, 0, 10, 12), (17, 13, 7, 5), (30, 25, 11, 12)):
            first = max(0, top - margin), max(0, left - margin)
            part = network(
                x[:, :, first[0] : top + height + margin, first[1] : left + width + margin]
            )
            down, right = scale * (top - first[0]), scale * (left - first[1])
            found = part[:, :, down : down + scale * height, right : right + scale * width]
            expected = whole[:, :, scale * top :, scale * left :]
            expected = expected[:, :, : scale * height, : scale * width]
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
            if margin > 2:  # with less, it would not
                smaller = network(x[:, :, top : top + height, left : left + width])
                assert (smaller - expected).abs().max() > 1e-3


# --- in NumPy ---


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_the_network_in_numpy(scale: int) -> None:
    network = moved(generator(scale=scale))
    x = numbers(2, 3, 5, 7) / 2
    weights = [p.detach().numpy() for p in network.parameters()]
    expected = reference.generated(weights, x.numpy(), scale, 2)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(network(x).detach(), expected.clip(-1, 1), rtol=0, atol=1e-12)


def test_in_bf16_only_what_is_added_is_rounded() -> None:
    network = generator()
    x = torch.rand(1, 3, 8, 8) * 2 - 1
    with torch.no_grad():
        exact = network(x)
        with autocast(CPU, "bf16"):
            made = network(x)
    assert made.dtype == torch.float32
    assert torch.equal(made, exact)


# --- what is refused ---


def test_without_a_task_there_is_nothing_to_start_from() -> None:
    config = configure({"family": "enlarger", "data": {"resolution": 64, "channels": 3}})
    with pytest.raises(UserError, match=r"--set task\.name=enlarge:4") as caught:
        check_playable(config)
    assert "\n" not in str(caught.value)


def test_pictures_too_small_for_the_discriminator_are_refused() -> None:
    config = configure(
        {
            "family": "enlarger",
            "task": {"name": "enlarge:2", "crop": 8},
            "data": {"resolution": 64, "channels": 3},
            "discriminator": {"layers": 4},
        }
    )
    with pytest.raises(UserError, match=r"at least 16 pixels on a side, not 8; set"):
        check_playable(config)
