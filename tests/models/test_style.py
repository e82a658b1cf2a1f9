from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import morelike
from morelike.data.sampler import indices
from morelike.distributed import World
from morelike.errors import UserError
from morelike.models import Batch, check_playable, configure, family, style
from morelike.models.family import Mapped
from morelike.models.modulated import Dense, Modulated, RunningMean, doubled
from morelike.models.style import Generator, GeneratorConfig, mixed, noises, path_lengths
from morelike.rng import SeedDraws, StepDraws, rng
from morelike.settings import merge
from morelike.space import Points, Styles
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step

CPU = torch.device("cpu")
BATCH, SEED = 8, 7
TWO_LABELS = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}
Tensors = dict[str, Tensor]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def settings(**sections: Any) -> Any:
    base = {"family": "style", "data": {"resolution": 16, "channels": 3, "mirror": False}}
    narrow = {"generator": {"width": 2, "latent": 5, "style": 4}, "discriminator": {"width": 2}}
    training = {"batch": BATCH, "seed": SEED, "precision": "fp32", "device": "cpu"}
    return configure(merge(base, narrow, {"training": training}, sections))


def scatter(network: nn.Module) -> None:
    """Weights far from their start, so that nothing hides behind zeros."""
    for index, parameter in enumerate(network.parameters()):
        if parameter.ndim < 2:
            parameter.data += 0.3 * numbers(*parameter.shape, seed=index)


def networks(**sections: Any) -> Any:
    """In float64."""
    torch.manual_seed(0)
    built = style.build(settings(**sections))
    for network in built:
        scatter(network.double())
    return built


def batch_of(config: Any, count: int = BATCH, images: int = 0, start: int = 0) -> Batch:
    stop = start + count
    draws = StepDraws(SEED, images, "generator.0", BATCH, start, stop, CPU, torch.float64)
    real = draws.uniform("pictures", *config.data.shape) * 2 - 1
    return Batch(real, style.inputs(config, draws), draws)


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# --- both networks, written once more: every picture has weights of its own ---


def dense(p: Tensors, name: str, x: Tensor, rate: float = 1.0) -> Tensor:
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    return x @ (rate * weight / weight.shape[1] ** 0.5).T + rate * bias


def rectified(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def twice(x: Tensor) -> Tensor:
    """Between two pixels at a quarter and at three quarters of the way, both ways."""
    for axis in (2, 3):
        last = x.shape[axis] - 1
        parts = []
        for i in range(last + 1):
            here = x.select(axis, i)
            others = max(i - 1, 0), min(i + 1, last)
            parts += [(3 * here + x.select(axis, other)) / 4 for other in others]
        x = torch.stack(parts, axis)
    return x


def convolved(p: Tensors, name: str, x: Tensor, w: Tensor, normed: bool, doubling: bool) -> Tensor:
    """Karras et al. 2020, eq. 1 and 3, to the letter."""
    styles = dense(p, f"{name}.style", w)
    kernel = p[f"{name}.weight"]
    kernel = kernel / kernel[0].numel() ** 0.5
    x = twice(x) if doubling else x
    found = []
    for picture, one in zip(x, styles, strict=True):
        own = one[None, :, None, None] * kernel
        if normed:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        found.append(F.conv2d(picture[None], own, padding=kernel.shape[2] // 2))
    return torch.cat(found)


def mapped(p: Tensors, latents: Tensor, rate: float = 0.01) -> Tensor:
    w = latents / (latents.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for number in itertools.count():
        if f"maps.{number}.weight" not in p:
            return w
        w = 2**0.5 * rectified(dense(p, f"maps.{number}", w, rate))
    raise AssertionError


def drawn_picture(p: Tensors, w: Tensor, noise: Tensor) -> Tensor:
    """Of w (B, layers, D) and noise (B, N)."""
    x = torch.stack([p["constant"]] * len(w))
    picture: Any = 0
    used, layer = 0, 0
    for level in itertools.count():
        if f"colours.{level}.bias" not in p:
            assert used == noise.shape[1]
            return picture.tanh()
        for doubling in (False, True) if level else (False,):
            name = f"layers.{layer}"
            x = convolved(p, f"{name}.modulated", x, w[:, layer], True, doubling)
            area = x[0, 0].numel()
            part = noise[:, used : used + area].reshape(len(x), 1, *x.shape[2:])
            x = x + p[f"{name}.strength"] * part + p[f"{name}.bias"][:, None, None]
            x, used, layer = 2**0.5 * rectified(x), used + area, layer + 1
        colours = convolved(p, f"colours.{level}.modulated", x, w[:, layer], False, False)
        colours = colours + p[f"colours.{level}.bias"][:, None, None]
        picture = colours + (twice(picture) if level else 0)
    raise AssertionError


def made(p: Tensors, latents: Tensor, noise: Tensor) -> Tensor:
    layers = sum(name.endswith(".strength") for name in p) + 1
    return drawn_picture(p, torch.stack([mapped(p, latents)] * layers, 1), noise)


def judged(p: Tensors, pictures: Tensor) -> Tensor:
    """Logits (B,)."""

    def conv(name: str, x: Tensor, padding: int) -> Tensor:
        kernel = p[f"{name}.parametrizations.weight.original"]
        kernel = kernel * (2 / kernel[0].numel()) ** 0.5
        return F.conv2d(x, kernel, p.get(f"{name}.bias"), padding=padding)

    def half(x: Tensor) -> Tensor:
        return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))

    x = rectified(conv("trunk.0", pictures, 0))
    number = 2
    while f"trunk.{number}.main.0.bias" in p:
        name = f"trunk.{number}"
        inner = half(rectified(conv(f"{name}.main.0", x, 1)))
        inner = rectified(conv(f"{name}.main.3", inner, 1))
        straight = conv(f"{name}.shortcut.1", half(x), 0) / 2**0.5
        x, number = (inner + straight) / 2**0.5, number + 1
    maps = []
    for group in x.split(4):
        spread = (group.var(0, correction=0) + 1e-8).sqrt().mean()
        maps.append(torch.ones_like(group[:, :1]) * spread)
    x = torch.cat([x, torch.cat(maps)], 1)
    x = rectified(conv(f"trunk.{number + 1}", x, 1))
    x = rectified(conv(f"trunk.{number + 3}", x, 0)).flatten(1)
    head = p["logit.parametrizations.weight.original"]
    return (x @ head.T * (2 / head.shape[1]) ** 0.5)[:, 0]


def held(network: nn.Module) -> Tensors:
    """A copy of a network's weights, to be learnt."""
    return {k: v.detach().clone().requires_grad_() for k, v in network.named_parameters()}


SHAPES = [(3, 16, 16), (1, 32, 16), (4, 16, 28)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@every_shape
def test_both_networks_are_those_with_weights_for_every_picture(
    shape: tuple[int, int, int],
) -> None:
    channels, height, width = shape
    data = {"channels": channels, "resolution": height, "width": width}
    config = settings(data=data, generator={"mapping": 3})
    built = networks(data=data, generator={"mapping": 3})
    latents, noise = style.inputs(config, SeedDraws([4, 5, 6, 7], CPU))
    latents, noise = latents.double(), noise.double()
    ours, theirs = held(built.generator), held(built.discriminator)
    expected = made(ours, latents, noise)
    found = built.generator(latents, noise)
    assert found.shape == (4, *shape)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        built.discriminator(found), judged(theirs, expected), rtol=0, atol=1e-12
    )
    # With a w for each layer.
    each = numbers(4, len(built.generator.layers) + 1, 4)
    torch.testing.assert_close(
        built.generator.synthesis(each, noise),
        drawn_picture(ours, each, noise),
        rtol=0,
        atol=1e-12,
    )


def pictures(count: int = 27) -> Any:
    images = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    return SimpleNamespace(images=images, train=np.arange(count))


def real_at(dataset: Any, start: int) -> Tensor:
    chosen = dataset.train[indices(len(dataset.train), start, BATCH, SEED)]
    return torch.from_numpy(dataset.images[chosen].transpose(0, 3, 1, 2) / 127.5 - 1)


def normal(images: int, update: str, purpose: str, *shape: int) -> Tensor:
    drawn = rng(SEED, images, update, purpose).standard_normal((BATCH, *shape))
    return torch.from_numpy(drawn.astype(np.float32).astype(np.float64))


GAME: dict[str, Any] = {
    "generator": {"path_length_every": 1, "path_length_shrink": 2, "mapping_rate": 0.1},
    "penalty": {"r1": 0.7},
    "optimizer": {
        "generator": {"learning_rate": 3e-3, "beta1": 0.0, "beta2": 0.99, "epsilon": 1e-6},
        "discriminator": {"learning_rate": 5e-3, "beta1": 0.2, "beta2": 0.9, "epsilon": 1e-6},
    },
}


def double_state(config: Any) -> State:
    state = State(config, CPU)
    for module in state.modules().values():
        module.double()
    for network in state.networks:
        scatter(network)
    return state


def walk(config: Any, steps: int) -> tuple[State, list[dict[str, float]]]:
    state, feed = double_state(config), Feed(pictures(), config, CPU)
    told = [step(state, style, config, feed, World()) for _ in range(steps)]
    return state, [{k: v.item() for k, v in one.items()} for one in told]


def test_whole_steps_with_r1_and_path_length_against_the_reference() -> None:
    config = settings(**GAME)
    state = double_state(config)
    g, d = (held(network) for network in state.networks)
    optimizers = {
        name: torch.optim.Adam(
            values.values(),
            lr=getattr(config.optimizer, name).learning_rate,
            betas=(getattr(config.optimizer, name).beta1, getattr(config.optimizer, name).beta2),
            eps=1e-6,
            foreach=False,
        )
        for name, values in (("generator", g), ("discriminator", d))
    }
    weight = math.log(2) / (math.log(16) - math.log(2))
    dataset, usual, lengths_seen, ws_seen = pictures(), None, [], []
    feed = Feed(dataset, config, CPU)
    for number in range(3):
        told = step(state, style, config, feed, World())
        at = number * BATCH
        for player in ("discriminator", "generator"):
            update = f"{player}.0"
            latents, noise = (
                normal(at, update, what, count)
                for what, count in (("latents", 5), ("noise", 256 + 2 * (64 + 16)))
            )
            ws_seen.append(mapped(g, latents, 0.1).detach())
            layers = 6
            w = torch.stack([mapped(g, latents, 0.1)] * layers, 1)
            fake = judged(d, drawn_picture(g, w, noise))
            if player == "discriminator":
                real = real_at(dataset, at).requires_grad_()
                logits = judged(d, real)
                (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
                penalty = slope.square().sum((1, 2, 3)).mean() / 2
                loss = F.softplus(-logits).mean() + F.softplus(fake).mean() + 0.7 * penalty
            else:
                some = mapped(g, latents[::2], 0.1)
                picture = drawn_picture(g, torch.stack([some] * layers, 1), noise[::2])
                y = normal(at, update, "path length", 3, 16, 16)[::2] / 16
                (slope,) = torch.autograd.grad((picture * y).sum(), some, create_graph=True)
                lengths = slope.square().sum(1).sqrt()
                penalty = ((lengths - usual) ** 2).mean() if usual is not None else 0 * fake.sum()
                loss = F.softplus(-fake).mean() + weight * penalty
                lengths_seen.append(lengths.detach().mean())
                usual = torch.stack(lengths_seen).mean()  # so few that all count alike
                assert told["generator_path_length"].item() == pytest.approx(penalty.item())
                assert told["path_length_mean"].item() == pytest.approx(lengths_seen[-1].item())
            assert told[f"loss_{player}"].item() == pytest.approx(loss.item(), abs=1e-10)
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            loss.backward()
            optimizers[player].step()
        for network, values in zip(state.networks, (g, d), strict=True):
            for name, parameter in network.named_parameters():
                torch.testing.assert_close(parameter, values[name], rtol=0, atol=1e-8, msg=name)
    generator: Any = state.networks.generator
    assert usual is not None
    torch.testing.assert_close(generator.length.value, usual, rtol=1e-6, atol=0)
    expected = torch.cat(ws_seen).mean(0)
    torch.testing.assert_close(generator.mean.value, expected, rtol=0, atol=1e-6)


def test_a_batch_in_parts_moves_everything_as_the_whole_does() -> None:
    sections = merge(GAME, {"generator": {"mixing": 0.5}})
    whole, told = walk(settings(**sections), 3)
    parts, also = walk(settings(**merge(sections, {"training": {"accumulation": 2}})), 3)
    for one, two in zip(told, also, strict=True):
        assert one == pytest.approx(two, rel=1e-9)
    for name, value in whole.tensors().items():
        # The mean of w is moved once a part; those of one batch weigh a little differently then.
        atol = 1e-4 if "mean.value" in name else 1e-9
        torch.testing.assert_close(value, parts.tensors()[name], rtol=0, atol=atol, msg=name)
    assert whole.networks.generator.length.rows == 3  # pyright: ignore


# --- sizes ---


def test_the_sizes_in_the_text() -> None:
    found = style.build(configure({"family": "style", "data": {"channels": 3}}))
    maps = [8, 16, 32, 64, 128]

    def styled(ins: int, outs: int) -> int:
        return 9 * ins * outs + outs + 1 + 65 * ins

    made = 2 * (64 * 64 + 64) + 128 * 16 + styled(128, 128)
    made += sum(styled(i, o) + styled(o, o) for o, i in itertools.pairwise(maps))
    made += sum(3 * one + 3 + 65 * one for one in maps)
    assert size(found.generator) == made
    seen = (
        3 * 8 + 8 + sum(9 * i * i + i + 9 * i * o + o + i * o for i, o in itertools.pairwise(maps))
    )
    seen += 9 * 129 * 128 + 128 + 16 * 128 * 128 + 128 + 128
    assert size(found.discriminator) == seen
    for count in (made, seen):
        assert f"{count:,}" in (style.__doc__ or "")


@pytest.mark.parametrize("resolution", [16, 64, 256])
@pytest.mark.parametrize("wide", [1, 1.75])
def test_how_much_noise_there_is_and_where(resolution: int, wide: float) -> None:
    data = {"resolution": resolution, "width": int(resolution * wide)}
    config = settings(data=data)
    with torch.device("meta"):
        generator: Any = style.build(config).generator
    assert sum(h * w for h, w in generator.areas) == noises(config)
    assert len(generator.areas) == len(generator.layers)
    assert generator.areas[-1] == (resolution, int(resolution * wide))
    assert noises(settings(data=data, generator={"noise": False})) == 0


def test_without_noise_only_latents_count() -> None:
    config = settings(generator={"noise": False})
    latents, noise = style.inputs(config, SeedDraws([1, 2], CPU))
    assert noise.shape == (2, 0)
    built = networks(generator={"noise": False})
    assert not any("strength" in name for name, _ in built.generator.named_parameters())
    assert built.generator(latents.double(), noise.double()).shape == (2, 3, 16, 16)


def test_noise_belongs_to_a_picture_and_begins_with_no_strength() -> None:
    config = settings()
    torch.manual_seed(0)
    generator: Any = style.build(config).generator.double().eval()
    latents, noise = numbers(3, 5), numbers(3, noises(config))
    other = noise.clone()
    other[1] += 1
    assert torch.equal(generator(latents, noise), generator(latents, other))
    scatter(generator)
    apart = (generator(latents, noise) - generator(latents, other)).abs().amax((1, 2, 3))
    assert apart[1] > 0.01
    assert apart[0] == apart[2] == 0


def test_points_are_refused_with_a_remedy() -> None:
    config = SimpleNamespace(
        data=SimpleNamespace(shape=(2, 1, 1)), discriminator=None, condition=None
    )
    with pytest.raises(UserError, match="take the family mlp"):
        style.build(config)  # type: ignore[arg-type]


# --- layers ---


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_what_is_demodulated_has_the_variance_of_its_input_whatever_the_style(gain: float) -> None:
    torch.manual_seed(0)
    layer = Modulated(32, 64, 3, 6, gain=gain).double()
    x, w = torch.randn(16, 32, 24, 24).double(), 5 * torch.randn(16, 6).double()
    with torch.no_grad():
        out = layer(x, w)[:, :, 1:-1, 1:-1]
        for share in (1, 7):
            each = layer(share * x, w)[:, :, 1:-1, 1:-1]
            torch.testing.assert_close(each, share * out)
        layer.demodulated = False
        plain = layer(x, w)[:, :, 1:-1, 1:-1]
    variance = out.var((0, 2, 3))
    # Each map has about 16 * 22^2 numbers, which depend on their neighbours.
    assert (variance / gain**2 - 1).abs().max() < 0.1
    assert not 0.5 < plain.var() < 2


def test_doubling_is_the_filter_1_3_3_1_between_zeros() -> None:
    x = numbers(2, 3, 6, 5)
    torch.testing.assert_close(doubled(x), twice(x))
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]).double() / 4
    between = torch.zeros(2, 3, 12, 10).double()
    between[:, :, ::2, ::2] = x
    kernel = (taps[:, None] * taps).expand(3, 1, 4, 4)
    filtered = F.conv2d(F.pad(between, (2, 1, 2, 1)), kernel, groups=3)
    torch.testing.assert_close(doubled(x)[:, :, 1:-1, 1:-1], filtered[:, :, 1:-1, 1:-1])


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_the_rate_scales_steps_and_not_what_comes_out_at_first(rate: float) -> None:
    torch.manual_seed(0)
    layer = Dense(400, 300, bias=0.5, rate=rate).double()
    x = torch.randn(200, 400).double()
    out = layer(x).detach()
    assert out.mean() == pytest.approx(0.5, abs=0.02)
    assert out.var() == pytest.approx(1, rel=0.05)
    # One step of Adam moves every weight that is learnt by the learning rate.
    before = [layer(x).detach(), layer(torch.zeros_like(x)).detach()]
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    layer(x).sum().backward()
    optimizer.step()
    moved = (layer(torch.zeros_like(x)) - before[1]).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1 * rate))
    torch.testing.assert_close(
        (before[0] - layer(x).detach()).mean(1),
        0.1 * rate * (1 + (x.sum(0).sign() * x).sum(1) / 20),
        rtol=1e-3,
        atol=1e-5 * rate,
    )


def test_a_running_mean_is_the_mean_at_first_and_forgets_later() -> None:
    mean = RunningMean(2, half_life=100.0).double()
    rows = numbers(60, 2)
    for part in rows.split([7, 1, 20, 32]):
        mean.add(part.mean(0), len(part))
    torch.testing.assert_close(mean.value, rows.mean(0))
    assert mean.rows == 60
    for _ in range(50):
        mean.add(torch.full((2,), 3.0), 40)
    torch.testing.assert_close(mean.value, torch.full((2,), 3.0).double(), rtol=0, atol=1e-5)
    mean.add(torch.full((2,), 5.0), 100)
    torch.testing.assert_close(mean.value, torch.full((2,), 4.0).double(), rtol=0, atol=1e-5)
    mean.add(torch.full((2,), 0.0), 50)
    mean.add(torch.full((2,), 0.0), 50)
    torch.testing.assert_close(mean.value, torch.full((2,), 2.0).double(), rtol=0, atol=1e-5)


# --- the space W ---


def test_only_the_direction_of_latents_counts() -> None:
    generator = networks().generator
    latents = numbers(3, 5)
    torch.testing.assert_close(
        generator.mapping(latents), generator.mapping(7 * latents), rtol=0, atol=1e-6
    )
    assert not torch.allclose(
        generator.mapping(latents), generator.mapping(-latents), rtol=0, atol=1e-2
    )


def test_the_mean_of_w_converges_in_training_and_rests_otherwise() -> None:
    config = settings(generator={"style": 8})
    generator = networks(generator={"style": 8}).generator
    draws = (StepDraws(0, n, "x", 64, 0, 64, CPU, torch.float64) for n in range(40))
    with torch.no_grad():
        for one in draws:
            generator(*style.inputs(config, one))
        everything = generator.mapping(numbers(100_000, 5))
        before = generator.mean.value.clone()
        error = everything.std(0) / math.sqrt(40 * 64)
        assert ((before - everything.mean(0)).abs() < 4 * error).all()
        generator.eval()(*style.inputs(config, SeedDraws([1], CPU)))
    assert torch.equal(generator.mean.value, before)


def test_truncation_goes_straight_to_the_mean() -> None:
    config, generator = settings(), networks().generator.eval()
    inputs = tuple(value.double() for value in style.inputs(config, SeedDraws(range(4), CPU)))
    generator.mean.value.copy_(numbers(4))
    w, noise = generator.mapping(inputs[0]), inputs[1]
    space = Styles(generator)
    points = space.points(inputs)

    def at(psi: float, some: Points = points) -> Tensor:
        return space.pictures(space.truncated(some, psi))

    torch.testing.assert_close(at(1.0), generator(*inputs))
    mean = generator.synthesis(generator.mean.value.expand(4, -1), noise)
    torch.testing.assert_close(at(0.0), mean)
    half = generator.synthesis((w + generator.mean.value) / 2, noise)
    torch.testing.assert_close(at(0.5), half)
    # Whatever the latents are.
    torch.testing.assert_close(at(0.0, space.points((inputs[0].flip(0), noise))), mean)


# --- style mixing ---


def test_layers_from_the_crossover_on_have_the_other_style() -> None:
    generator = networks().generator.eval()
    latents, others, noise = numbers(7, 5), numbers(7, 5, seed=1), numbers(7, noises(settings()))
    start = torch.arange(7).double()
    found = generator(latents, noise, others, start)
    one, two = generator.mapping(latents), generator.mapping(others)
    for row in range(7):
        each = torch.stack([*([one[row]] * row), *([two[row]] * (6 - row))])[None]
        expected = generator.synthesis(each, noise[row : row + 1])
        torch.testing.assert_close(found[row : row + 1], expected)
    torch.testing.assert_close(found[6:], generator(latents[6:], noise[6:]))
    torch.testing.assert_close(found[:1], generator(others[:1], noise[:1]))


def test_pictures_are_mixed_as_often_as_is_asked_for_and_anywhere_inside() -> None:
    config = settings(generator={"mixing": 0.3}, training={"batch": 4000})
    draws = StepDraws(0, 0, "x", 4000, 0, 4000, CPU)
    batch = Batch(torch.zeros(4000, 0), (torch.zeros(4000, 5), torch.zeros(4000, 3)), draws)
    *kept, others, start = mixed(config, batch).inputs
    assert all(one is two for one, two in zip(kept, batch.inputs, strict=True))
    assert others.shape == (4000, 5)
    counts = torch.bincount(start.long(), minlength=7)
    assert len(counts) == 7
    assert counts[0] == 0
    assert counts[6] / 4000 == pytest.approx(0.7, abs=0.03)
    assert (counts[1:6] / 4000 - 0.06).abs().max() < 0.015
    # Of a part of the batch, what the whole has there.
    part = StepDraws(0, 0, "x", 4000, 1000, 1500, CPU)
    rest = mixed(config, Batch(batch.real, (), part)).inputs
    assert torch.equal(rest[0], others[1000:1500])
    assert torch.equal(rest[1], start[1000:1500])


def test_without_mixing_and_in_samples_there_is_one_style() -> None:
    config = settings()
    batch = batch_of(config)
    assert mixed(config, batch) is batch
    asked = settings(generator={"mixing": 1.0})
    assert len(style.inputs(asked, SeedDraws([1], CPU))) == 2
    assert len(mixed(asked, batch_of(asked)).inputs) == 4


def test_both_players_train_on_mixed_styles() -> None:
    values = []
    for mixing in (0.0, 1.0):
        config, built = settings(generator={"mixing": mixing}), networks()
        batch = batch_of(config)
        for terms in (style.discriminator_terms, style.generator_terms):
            ((_, value),) = (
                (t, t.function()) for t in terms(config, built, batch) if t.name == "adversarial"
            )
            values.append(value.item())
    assert values[0] != values[2]
    assert values[1] != values[3]


# --- path length ---


class Linear:
    """G(w) = A w, of which the Jacobian is A; z is w."""

    def __init__(self, matrix: Tensor, shape: tuple[int, int, int]) -> None:
        self.matrix, self.shape = matrix, shape

    def told(self, inputs: tuple[Tensor, ...]) -> Any:
        return inputs[0], None, inputs[1], ()

    def mapping(self, latents: Tensor, condition: None) -> Tensor:
        return latents.requires_grad_()

    def synthesis(self, w: Tensor, noise: Tensor) -> Tensor:
        return (w @ self.matrix.T).unflatten(1, self.shape)


def test_path_lengths_of_a_linear_generator_in_closed_form() -> None:
    shape, count = (3, 4, 6), 3000
    draws = StepDraws(0, 0, "x", count, 0, count, CPU, torch.float64)
    batch = Batch(torch.empty(0), (numbers(count, 5), torch.zeros(count, 0)), draws)
    y = draws.normal("path length", *shape).flatten(1)
    matrix = numbers(72, 5, seed=1)
    found = path_lengths(Linear(matrix, shape), batch)
    torch.testing.assert_close(found, (y @ matrix).norm(dim=1) / math.sqrt(24))
    assert torch.equal(path_lengths(Linear(matrix, shape), batch, 3), found[::3])
    # With orthogonal columns of length c, J^T y is normal in five dimensions, and a chi's mean is
    # known.
    columns, _ = torch.linalg.qr(matrix)
    found = path_lengths(Linear(7 * columns, shape), batch)
    chi = math.sqrt(2) * math.gamma(3) / math.gamma(2.5)
    scale = 7 / math.sqrt(24)
    error = scale * math.sqrt((5 - chi**2) / count)
    assert found.mean().item() == pytest.approx(scale * chi, abs=4 * error)
    assert found.square().mean().item() == pytest.approx(scale**2 * 5, rel=0.1)


def test_the_penalty_is_on_what_is_unusual() -> None:
    generator: Any = networks().generator
    lengths = torch.tensor([1.0, 2.0, 6.0]).double().requires_grad_()
    first = generator.unusual(lengths)
    first.backward()
    assert first == 0
    assert not lengths.grad.any()  # pyright: ignore
    generator.remember({"loss_generator": torch.ones(())})
    assert generator.length.rows == 0
    generator.remember({"path_length_mean": torch.tensor(4.0)})
    generator.remember({"path_length_mean": torch.tensor(2.0)})
    assert generator.unusual(lengths).item() == pytest.approx((4 + 1 + 9) / 3)
    for _ in range(69):
        generator.remember({"path_length_mean": torch.tensor(3.0)})
    for _ in range(1000):
        generator.remember({"path_length_mean": torch.tensor(8.0)})
    before = generator.length.value.item()
    for _ in range(69):
        generator.remember({"path_length_mean": torch.tensor(0.0)})
    assert generator.length.value.item() == pytest.approx(before / 2)


def test_the_weight_is_the_papers() -> None:
    # ln 2 / (r^2 (ln r - ln 2)), the r^2 of which is in the noise: 1 / 9 at 1024 pixels.
    assert style.path_length_weight(1024, 1024) == pytest.approx(1 / 9)
    assert style.path_length_weight(64, 64) == pytest.approx(1 / 5)
    assert style.path_length_weight(32, 128) == pytest.approx(1 / 5)
    sections = {"generator": {"path_length": 3.0, "path_length_every": 4}}
    config = settings(**sections)
    batch = batch_of(config)
    *_, penalty, observed = style.generator_terms(config, networks(), batch)
    assert (penalty.name, penalty.every) == ("path_length", 4)
    assert penalty.weight == pytest.approx(3 / 3)
    assert (observed.name, observed.weight, observed.every) == ("path_length_mean", 0, 4)
    plain = settings(generator={"path_length": 0})
    terms = style.generator_terms(plain, networks(), batch)
    assert [term.name for term in terms] == ["adversarial"]


def test_a_picture_that_does_not_change_gives_no_nan() -> None:
    config, built = settings(), networks()
    with torch.no_grad():
        for parameter in built.generator.parameters():
            parameter.mul_(1000)
    for _ in range(2):
        *_, penalty, observed = style.generator_terms(config, built, batch_of(config))
        value = penalty.function()
        value.backward()
        built.generator.remember({"path_length_mean": observed.function() + 1})
    gradients = [p.grad for p in built.generator.parameters()]
    assert all(g.isfinite().all() for g in gradients if g is not None)


# --- conditions ---


def test_the_condition_is_an_input() -> None:
    config, built = settings(condition=TWO_LABELS), networks(condition=TWO_LABELS)
    latents, condition, noise = style.inputs(config, SeedDraws([1, 2, 3], CPU))
    assert condition.shape == (3, 2)
    latents, condition, noise = latents.double(), condition.double(), noise.double()
    generator = built.generator.eval()
    made = generator(latents, condition, noise)
    other = generator(latents, 1 - condition, noise)
    assert (made - other).abs().amax((1, 2, 3)).min() > 0.01
    w = generator.mapping(latents, condition)
    torch.testing.assert_close(made, generator.synthesis(w, noise))
    told = [built.discriminator(made, condition=c) for c in (condition, 1 - condition)]
    assert ((told[0] - told[1]).abs() > 1e-6).all()


def test_a_condition_by_norm_is_refused_with_a_remedy() -> None:
    with pytest.raises(UserError, match=r"set condition\.generator=input"):
        networks(condition={**TWO_LABELS, "generator": "norm"})


def test_mixed_styles_are_of_one_condition() -> None:
    config = settings(condition=TWO_LABELS, generator={"mixing": 1.0})
    generator = networks(condition=TWO_LABELS).generator.eval()
    batch = mixed(config, batch_of(config))
    latents, condition, noise, others, start = batch.inputs
    w = torch.where(
        (torch.arange(6) < start[:, None])[..., None],
        generator.mapping(latents, condition)[:, None],
        generator.mapping(others, condition)[:, None],
    )
    torch.testing.assert_close(generator(*batch.inputs), generator.synthesis(w, noise))


# --- in training ---

TINY: dict[str, Any] = {
    "family": "style",
    "data": {"resolution": 16},
    "generator": {"width": 2, "latent": 6, "path_length_every": 2, "mixing": 0.5},
    "discriminator": {"width": 2},
    "penalty": {"r1": 0.1, "every": 2},
    "training": {"batch": 8, "precision": "fp32", "device": "cpu"},
}


@pytest.fixture(scope="module")
def train(pictures_folder: Path) -> Callable[..., Any]:
    def run(folder: Path, steps: int) -> Any:
        return morelike.train(
            pictures_folder, run=folder, **merge(TINY, {"training": {"images": 8 * steps}})
        )

    return run


def final(run: Any) -> Tensors:
    return run.checkpoints.pointed("latest").tensors()


def test_a_run_in_two_parts_equals_a_run_in_one(train: Callable[..., Any], tmp_path: Path) -> None:
    whole = final(train(tmp_path / "one", 9))
    first = final(train(tmp_path / "two", 4))
    parts = final(train(tmp_path / "two", 9))
    assert whole.keys() == parts.keys()
    assert [name for name, value in whole.items() if not torch.equal(value, parts[name])] == []
    buffers = ("mean.value", "mean.rows", "length.value", "length.rows")
    for name in (f"{network}.{one}" for network in ("generator", "ema") for one in buffers):
        assert name in whole
        assert not torch.equal(whole[name], first[name])
    assert whole["generator.length.rows"] == 5
    assert whole["generator.mean.rows"] == 9 * 2 * 8


def steps_of(name: str, number: int) -> Iterator[bool]:
    config = settings(generator={"path_length_every": 2})
    _, told = walk(config, number)
    return (name in one for one in told)


def test_path_length_is_measured_in_each_so_many_th_step() -> None:
    assert list(steps_of("generator_path_length", 4)) == [True, False, True, False]
    assert list(steps_of("path_length_mean", 3)) == [True, False, True]


def test_gradient_penalties_are_playable() -> None:
    check_playable(settings(penalty={"r1": 1.0}))
    assert family("style") is style
    assert isinstance(Generator((3, 16, 16), GeneratorConfig(), settings().condition), Mapped)
