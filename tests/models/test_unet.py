from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from morelike.config import Config
from morelike.errors import UserError
from morelike.models import check_playable, configure, unet
from morelike.models.enlarger import Residual
from morelike.models.layers import PixelNorm
from morelike.models.strided import Doubling, Halving
from morelike.models.unet import Generator, GeneratorConfig
from networks import moved, numbers, seen_from


def settings(task: str = "colorize", **sections: Any) -> Config[Any, Any]:
    data = {"resolution": 64, "channels": 3}
    return configure({"family": "unet", "task": {"name": task}, "data": data, **sections})


def generator(given: int = 1, channels: int = 3, **size: Any) -> Any:
    torch.manual_seed(0)
    return Generator(given, channels, GeneratorConfig(**{"width": 4, "levels": 2, **size}))


def complaint(config: Config[Any, Any]) -> str:
    with pytest.raises(UserError) as caught:
        check_playable(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_its_size_is_what_its_file_says() -> None:
    with torch.device("meta"):
        network = unet.build(settings()).generator
    count = sum(parameter.numel() for parameter in network.parameters())
    assert f"there are {count:,} parameters" in " ".join((unet.__doc__ or "").split())


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize(("given", "channels"), [(1, 1), (3, 3), (4, 4), (1, 3), (4, 3), (2, 1)])
def test_pictures_of_any_size_that_can_be_halved(levels: int, given: int, channels: int) -> None:
    network = moved(generator(given, channels, levels=levels, width=2))
    assert network.stride == 2**levels
    for height, width in ((2, 2), (3, 1)):
        x = numbers(2, given, height * network.stride, width * network.stride)
        made = network(x)
        assert made.shape == (2, channels, *x.shape[2:])
        assert made.abs().max() <= 1


def test_maps_double_with_each_level_up_to_the_widest() -> None:
    network = generator(width=3, widest=10, levels=3, blocks=2)
    halvings = [m for m in network.modules() if isinstance(m, Halving)]
    doublings = [m for m in network.modules() if isinstance(m, Doubling)]
    assert [(m.in_channels, m.out_channels) for m in halvings] == [(3, 6), (6, 10), (10, 10)]
    assert [(m.out_channels, m.in_channels) for m in doublings] == [(10, 10), (6, 10), (3, 6)]
    # Two on the way down and two on the way up at each resolution but the coarsest, which has two.
    found: list[Any] = [m for m in network.modules() if isinstance(m, Residual)]
    blocks = [each.branch[0].in_channels for each in found]
    assert sorted(blocks) == [3] * 4 + [6] * 4 + [10] * 6


def test_there_is_no_norm_but_of_each_place_by_itself() -> None:
    network = generator(levels=3)
    norms = [m for m in network.modules() if "Norm" in type(m).__name__]
    assert len(norms) == 6
    assert all(isinstance(norm, PixelNorm) for norm in norms)
    # Before each halving and each doubling, which get features of mean square 1.
    for layer in network.modules():
        if isinstance(layer, Halving | Doubling):
            layer.register_forward_pre_hook(lambda _, x: sizes.append(x[0].square().mean(1)))
    sizes: list[torch.Tensor] = []
    network(torch.randn(1, 1, 16, 16) * 30)
    assert len(sizes) == 6
    for size in sizes:
        torch.testing.assert_close(size, torch.ones_like(size))


def test_it_is_the_coarsest_maps_that_see_everything_and_the_finest_that_keep_places() -> None:
    network = moved(generator(levels=3))
    x, y = numbers(1, 1, 32, 32) / 3, numbers(1, 1, 32, 32) / 3
    y[:, :, 24, 24] += 1
    y[:, :, :24], y[:, :, :, :24] = x[:, :, :24], x[:, :, :, :24]
    far = (network(x) - network(y)).abs().amax((0, 1))
    assert far[24, 24] > 0
    assert 0 < far[0, 0] < 0.1 * far[24, 24]
    # Without the way around, nothing is seen further than the convolutions reach.
    inner = network.level.around[-1]
    with torch.no_grad():
        inner.weight.zero_()
        near = (network(x) - network(y)).abs().amax((0, 1))
    assert near[24, 24] > 0
    assert near[18:, 18:].max() > 0
    assert not near[:18].any()


def test_maps_keep_their_size_at_first() -> None:
    network = generator(3, 3, width=32, levels=4, widest=128)
    sizes: list[float] = []
    for layer in network.level.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda m, x, y: sizes.append(y.std().item()))
    network(torch.randn(2, 3, 64, 64))
    # What comes up is added to what goes over, and doubled maps are alike at four places.
    assert min(sizes) > 0.05
    assert max(sizes) < 4


@pytest.mark.parametrize(
    ("given", "channels", "taken"), [(3, 3, [0, 1, 2]), (1, 3, [0, 0, 0]), (4, 3, [0, 1, 2])]
)
def test_it_begins_as_the_input_as_far_as_that_has_the_channels(
    given: int, channels: int, taken: list[int]
) -> None:
    x = numbers(2, given, 8, 12).clamp(-1, 1)
    network = generator(given, channels).double()
    torch.testing.assert_close(network(x), x[:, taken])
    network(x).square().sum().backward()
    assert network.picture.weight.grad.abs().max() > 0


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("blocks", [1, 2])
def test_how_far_it_looks(levels: int, blocks: int) -> None:
    network = moved(generator(levels=levels, blocks=blocks, width=2, widest=4))
    side = (2 * network.reach // network.stride + 4) * network.stride
    assert seen_from(network, numbers(1, 1, side, side)) == network.reach


def test_with_so_much_around_it_a_part_becomes_what_it_becomes_in_the_whole() -> None:
    network = moved(generator(3, 3, levels=2), 0.1).float().eval()
    side, stride = 120, network.stride
    margin = -(-network.reach // stride) * stride
    assert margin == 32
    x = numbers(1, 3, side, side).float().div(3)
    with torch.no_grad():
        whole = network(x)
        for top, left, size in ((0, 0, 16), (52, 40, 8), (112, 104, 8)):
            first = max(0, top - margin), max(0, left - margin)
            rows = slice(first[0], top + size + margin)
            columns = slice(first[1], left + size + margin)
            part = network(x[:, :, rows, columns])
            down, right = top - first[0], left - first[1]
            found = part[:, :, down : down + size, right : right + size]
            expected = whole[:, :, top : top + size, left : left + size]
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
            smaller = network(x[:, :, top : top + size, left : left + size])
            assert (smaller - expected).abs().max() > 1e-3


def test_what_cannot_be_halved_so_often_is_refused() -> None:
    said = complaint(settings(task="deblur", generator={"levels": 7}))
    assert "halves 7 times needs sides that are multiples of 128, not 64 x 64" in said
    assert "set generator.levels or task.crop" in said
    config = configure(
        {"family": "unet", "task": {"name": "deblur", "crop": 40}, "data": {"channels": 3}}
    )
    assert "multiples of 16, not 40 x 40" in complaint(config)
    # A crop larger than the pictures cuts nothing.
    whole = {"name": "deblur", "crop": 1000}
    check_playable(configure({"family": "unet", "task": whole, "data": {"channels": 3}}))


def test_of_a_pair_only_one_half_counts() -> None:
    data = {"resolution": 64, "width": 128, "channels": 3}
    check_playable(configure({"family": "unet", "task": {"name": "pairs"}, "data": data}))
    narrow = {"family": "unet", "task": {"name": "pairs"}, "data": data}
    said = complaint(configure({**narrow, "generator": {"levels": 7}}))
    assert "not 64 x 64" in said


def test_larger_pictures_are_another_family_s() -> None:
    assert "set family=enlarger" in complaint(settings(task="enlarge:2"))


def test_without_a_task_there_is_nothing_to_start_from() -> None:
    assert "--set task.name=" in complaint(configure({"family": "unet", "data": {"channels": 3}}))
