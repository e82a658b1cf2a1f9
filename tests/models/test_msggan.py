from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.api import train
from morelike.devices import autocast
from morelike.errors import UserError
from morelike.models import Batch, check_playable, configure, msggan
from morelike.models.adversarial import made_at_all_scales
from morelike.models.layers import MinibatchStandardDeviation, PixelNorm, equalised
from morelike.models.msggan import (
    Combine,
    Generator,
    GeneratorConfig,
)
from morelike.rng import SeedDraws, StepDraws
from morelike.settings import merge
from reference import numpy_msggan as reference

CPU = torch.device("cpu")
HOWS = ("simple", "lin_cat", "cat_lin")
every_how = pytest.mark.parametrize("how", HOWS)
OBJECTIVES: list[dict[str, Any]] = [
    {"objective": {"loss": "relativistic_average_hinge"}},
    {"objective": {"loss": "wasserstein"}, "penalty": {"one_centered": 10.0, "drift": 0.001}},
]
every_objective = pytest.mark.parametrize("objective", OBJECTIVES, ids=["hinge", "wgan-gp"])
TWO_LABELS = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def settings(**sections: Any) -> Any:
    base = {"family": "msggan", "data": {"resolution": 16, "channels": 3, "mirror": False}}
    narrow = {"generator": {"width": 2, "latent": 5}, "discriminator": {"width": 2}}
    return configure(merge(base, narrow, sections))


def networks(seed: int = 0, **sections: Any) -> Any:
    """In float64, with biases that do not hide behind zeros."""
    torch.manual_seed(seed)
    built = msggan.build(settings(**sections))
    for network in built:
        for index, parameter in enumerate(network.double().parameters()):
            if parameter.ndim == 1:
                parameter.data += 0.3 * numbers(len(parameter), seed=index)
    return built


def pyramid(*shape: int, seed: int = 0) -> list[Tensor]:
    """Unrelated pictures (B, C, H, W) at each resolution, the smallest first."""
    count, channels, height, width = shape
    found = []
    while min(height, width) >= 4:
        found.insert(0, numbers(count, channels, height, width, seed=seed + height))
        height, width = height // 2, width // 2
    return found


def layers(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Those that learn a weight."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            yield name, layer


def learnt(layer: Any) -> Tensor:
    return layer.parametrizations.weight.original


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# --- sizes ---


def test_the_sizes_in_the_text() -> None:
    found = msggan.build(configure({"family": "msggan", "data": {"channels": 3}}))
    three = [24, 48, 96, 192, 384]

    def conv(ins: int, outs: int, area: int = 9) -> int:
        return ins * outs * area + outs

    pairs = list(zip(three[1:], three[:-1], strict=True))
    made = conv(128, 384 * 16, 1) + conv(384, 384) + sum(conv(w, 3, 1) for w in three)
    assert count(found.generator) == made + sum(conv(i, o) + conv(o, o) for i, o in pairs)
    # The picture's three maps and that of the deviation; the finest block has no picture to join.
    seen = conv(3, 24, 1) + conv(25, 24) + conv(24, 48)
    seen += sum(conv(o + 4, o) + conv(o, i) for i, o in pairs[1:])
    seen += conv(384 + 4, 384) + conv(384, 384, 16) + 384
    assert count(found.discriminator) == seen
    for number in (made + sum(conv(i, o) + conv(o, o) for i, o in pairs), seen):
        assert f"{number:,}" in (msggan.__doc__ or "")


def test_maps_double_with_each_coarser_resolution_up_to_the_widest() -> None:
    narrow = {"width": 2, "widest": 5}
    built = networks(data={"resolution": 64}, generator=narrow, discriminator=narrow)
    maps = built.generator._maps(numbers(2, 5))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (5, 4, 4),
        (5, 8, 8),
        (5, 16, 16),
        (4, 32, 32),
        (2, 64, 64),
    ]
    blocks = built.discriminator.trunk.blocks
    outs = [[m.out_channels for m in block if isinstance(m, nn.Conv2d)] for block in blocks]
    assert outs == [[2, 4], [4, 5], [5, 5], [5, 5]]
    assert built.discriminator.trunk.features == built.discriminator.logit.in_features == 5


@pytest.mark.parametrize(
    ("channels", "height", "width", "sizes"),
    [
        (3, 16, 16, [(4, 4), (8, 8), (16, 16)]),
        (1, 64, 32, [(8, 4), (16, 8), (32, 16), (64, 32)]),
        (4, 32, 56, [(4, 7), (8, 14), (16, 28), (32, 56)]),
    ],
)
@every_how
def test_pictures_at_every_resolution(
    how: str, channels: int, height: int, width: int, sizes: list[tuple[int, int]]
) -> None:
    data = {"resolution": height, "width": width, "channels": channels}
    built = networks(data=data, discriminator={"combine": how})
    latents = numbers(2, 5)
    made = made_at_all_scales(built.generator, (latents,))
    assert [tuple(p.shape) for p in made] == [(2, channels, *size) for size in sizes]
    assert all(p.abs().max() <= 1 for p in made)
    assert torch.equal(built.generator(latents), made[-1])
    real = built.discriminator.scales(made[-1])
    assert [p.shape for p in real] == [p.shape for p in made]
    assert built.discriminator(*made).shape == (2,)
    # Given only the full ones, D makes the others itself.
    assert torch.equal(built.discriminator(made[-1]), built.discriminator(*real))


def test_real_pictures_come_as_means_over_blocks() -> None:
    discriminator = networks(data={"resolution": 32, "width": 48}).discriminator
    pictures = numbers(2, 3, 32, 48)
    found = discriminator.scales(pictures)
    assert [p.shape[2] for p in found] == [4, 8, 16, 32]
    for one in found:
        side = 32 // one.shape[2]
        blocks = pictures.numpy().reshape(2, 3, one.shape[2], side, one.shape[3], side)
        np.testing.assert_allclose(one, blocks.mean((3, 5)), rtol=0, atol=1e-15)


def test_points_are_refused_with_a_remedy() -> None:
    config = SimpleNamespace(
        data=SimpleNamespace(shape=(2, 1, 1)), discriminator=None, condition=None
    )
    with pytest.raises(UserError, match="take the family mlp"):
        msggan.build(config)  # type: ignore[arg-type]


# --- layers ---


@pytest.mark.parametrize("shape", [(6, 7), (2, 3, 4, 5)])
def test_pixel_norm_in_closed_form(shape: tuple[int, ...]) -> None:
    x = 10 * numbers(*shape)
    x[0] *= 1e-3
    x[1] = 0
    expected = np.zeros(shape)
    for place in np.ndindex(shape[0], *shape[2:]):
        at = (place[0], slice(None), *place[1:])
        vector = x[at].numpy()
        expected[at] = vector / math.sqrt((vector**2).sum() / len(vector) + 1e-8)
    found = PixelNorm()(x)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(found[2:].square().mean(1), torch.ones_like(found[2:, 0]))


def test_pixel_norm_rounds_once_in_bf16() -> None:
    x = numbers(8, 16, 4, 4).bfloat16()
    found = PixelNorm()(x)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, PixelNorm()(x.double()).bfloat16())


def test_only_the_direction_of_latents_counts() -> None:
    generator = networks().generator
    latents = numbers(3, 5)
    torch.testing.assert_close(generator(latents), generator(7 * latents), rtol=0, atol=1e-4)
    assert not torch.allclose(generator(latents), generator(-latents), rtol=0, atol=1e-2)


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(40, 60, 3), lambda: nn.Linear(50, 400)])
def test_an_equalised_layer_has_the_variance_of_he(make: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    layer = equalised(make())
    weight = learnt(layer).detach()
    # Five standard errors of a normal's mean and variance.
    assert abs(weight.mean()) < 5 / math.sqrt(weight.numel())
    assert abs(weight.var() - 1) < 5 * math.sqrt(2 / weight.numel())
    assert not layer.bias.any()
    fan_in = weight[0].numel()
    torch.testing.assert_close(layer.weight, weight * math.sqrt(2 / fan_in))
    # Of each input's mean square 1, every output's is 2 in the mean over weights: He's, for ReLU.
    x = torch.randn(500, *((40, 3, 3) if weight.ndim == 4 else (50,)))
    with torch.no_grad():
        assert layer(x).square().mean() == pytest.approx(2, rel=0.1)
        assert layer(x).relu().square().mean() == pytest.approx(1, rel=0.1)


def test_the_gradient_is_scaled_as_the_weight_is() -> None:
    torch.manual_seed(0)
    layer = equalised(nn.Linear(8, 3)).double()
    plain = nn.Linear(8, 3).double()
    plain.load_state_dict({"weight": layer.weight.detach(), "bias": layer.bias.detach()})
    x = numbers(4, 8)
    for one in (layer, plain):
        one(x).square().sum().backward()
    assert plain.weight.grad is not None
    torch.testing.assert_close(learnt(layer).grad, plain.weight.grad * math.sqrt(2 / 8))
    torch.testing.assert_close(layer.bias.grad, plain.bias.grad)


@every_how
def test_every_layer_is_equalised_the_heads_too(how: str) -> None:
    built = networks(
        discriminator={"combine": how, "minibatch_discrimination": 3},
        condition={**TWO_LABELS, "auxiliary": 1.0},
    )
    names = [name for name, _ in layers(built.discriminator)]
    assert {"logit", "projection", "classifier"} < set(names)
    for network in built:
        for name, layer in layers(network):
            assert len(layer.parametrizations.weight) == 1, name
            weight = learnt(layer)
            factor = math.sqrt(2 / weight[0].numel())
            torch.testing.assert_close(layer.weight, weight * factor, msg=name)
    assert built.discriminator(numbers(4, 3, 16, 16)).shape == (4,)


@pytest.mark.parametrize(
    ("how", "maps", "kernels"),
    [("simple", 3 + 5, []), ("lin_cat", 5 + 5, [(5, 3, 1, 1)]), ("cat_lin", 5, [(5, 8, 1, 1)])],
)
def test_how_many_maps_come_of_combining(how: Any, maps: int, kernels: list[Any]) -> None:
    torch.manual_seed(0)
    combine = Combine(how, 3, 5).double()
    assert [tuple(layer.weight.shape) for _, layer in layers(combine)] == kernels
    pictures, before = numbers(2, 3, 4, 4), numbers(2, 5, 4, 4, seed=1)
    found = combine(pictures, before)
    assert found.shape == (2, combine.maps, 4, 4) == (2, maps, 4, 4)
    # What of it is the pictures, what the maps, untouched or mixed.
    assert torch.equal(found[:, -5:], before) == (how != "cat_lin")
    assert torch.equal(found[:, :3], pictures) == (how == "simple")


@every_how
def test_every_block_of_the_discriminator_sees_the_batch(how: str) -> None:
    trunk = networks(data={"resolution": 32}, discriminator={"combine": how}).discriminator.trunk
    for block in (*trunk.blocks, trunk.end):
        first, convolution = block[0], block[1]
        assert isinstance(first, MinibatchStandardDeviation)
        ins = convolution.in_channels - 1
        alone = numbers(1, ins, 4, 4)
        company = [torch.cat([alone, numbers(3, ins, 4, 4, seed=seed)]) for seed in (1, 2)]
        assert not torch.allclose(block(company[0])[0], block(company[1])[0])


def test_there_is_no_batch_norm_so_gradient_penalties_are_allowed() -> None:
    check_playable(settings(penalty={"one_centered": 10.0, "r1": 1.0}))


# --- the same networks written in NumPy ---


def plain(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    return learnt(layer).detach().numpy(), layer.bias.detach().numpy()


def convolutions(block: nn.Module) -> list[Any]:
    return [plain(layer) for _, layer in layers(block) if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize("conditional", [False, True])
def test_the_generator_in_numpy(conditional: bool) -> None:
    condition = TWO_LABELS if conditional else {}
    network = networks(data={"resolution": 16, "width": 24}, condition=condition).generator
    inputs = [numbers(3, 5), *([numbers(3, 2, seed=1)] if conditional else [])]
    start = list(layers(network.start))
    expected = reference.generated(
        inputs[0].numpy(),
        inputs[1].numpy() if conditional else None,
        plain(start[0][1]),
        [[plain(start[1][1])], *(convolutions(block) for block in network.blocks)],
        [convolutions(picture)[0] for picture in network.pictures],
        (4, 6),
    )
    assert len(expected) == 3
    for found, one in zip(network.scales(*inputs), expected, strict=True):
        np.testing.assert_allclose(found.detach(), one, rtol=0, atol=1e-12)


@every_how
def test_the_discriminator_in_numpy(how: str) -> None:
    data = {"resolution": 24, "width": 16, "channels": 1}
    network = networks(data=data, discriminator={"combine": how}).discriminator
    scales = pyramid(8, 1, 24, 16)
    trunk = network.trunk
    expected = reference.judged(
        [one.numpy() for one in scales],
        how,
        convolutions(trunk.enter)[0],
        [convolutions(block) for block in trunk.blocks],
        [(convolutions(joint) or [None])[0] for joint in trunk.combine],
        convolutions(trunk.end),
        learnt(network.logit).detach().numpy(),
    )
    np.testing.assert_allclose(network(*scales).detach(), expected, rtol=0, atol=1e-12)


# --- gradients at all resolutions ---


def batch_of(config: Any, size: int = 4) -> Batch:
    draws = StepDraws(0, 0, "test", size, 0, size, CPU, torch.float64)
    real = draws.uniform("pictures", *config.data.shape) * 2 - 1
    return Batch(real, msggan.inputs(config, draws), draws)


def values(player: str, config: Any, built: Any, batch: Batch) -> dict[str, tuple[float, Tensor]]:
    terms = getattr(msggan, f"{player}_terms")(config, built, batch)
    return {term.name: (term.weight, term.function()) for term in terms}


@every_how
def test_the_logit_depends_on_each_resolution_by_itself(how: str) -> None:
    network = networks(data={"resolution": 32}, discriminator={"combine": how}).discriminator
    scales, others = pyramid(2, 3, 32, 32), pyramid(2, 3, 32, 32, seed=1000)
    before = network(*scales)
    for place in range(4):
        changed = [
            b if i == place else a for i, (a, b) in enumerate(zip(scales, others, strict=True))
        ]
        assert ((network(*changed) - before).abs() > 1e-3).all(), place


@every_objective
def test_a_gradient_reaches_the_pictures_of_each_resolution(objective: dict[str, Any]) -> None:
    sections = {"data": {"resolution": 32}, **objective}
    config, built = settings(**sections), networks(**sections)
    weight, value = values("generator", config, built, batch_of(config))["adversarial"]
    (weight * value).backward()
    found = [layer for picture in built.generator.pictures for _, layer in layers(picture)]
    assert len(found) == 4
    for layer in found:
        gradient = learnt(layer).grad
        assert gradient is not None
        assert gradient.abs().max() > 1e-6


@every_objective
def test_coarse_blocks_learn_without_the_finer_ones(objective: dict[str, Any]) -> None:
    # The point of it all: with the fine pictures cut off, what makes the coarse ones still learns.
    config, built = settings(**objective), networks(**objective)
    for block in built.generator.blocks:
        block.register_forward_hook(lambda module, given, made: made.detach())
    _, value = values("generator", config, built, batch_of(config))["adversarial"]
    value.backward()
    for _, layer in layers(built.generator.start):
        gradient = learnt(layer).grad
        assert gradient is not None
        assert gradient.abs().max() > 1e-6


@every_how
def test_wgan_gp_takes_the_norm_over_all_resolutions_together(how: str) -> None:
    sections = {"discriminator": {"combine": how}, **OBJECTIVES[1]}
    config, built = settings(**sections), networks(**sections)
    batch = batch_of(config)
    weight, penalty = values("discriminator", config, built, batch)["one_centered"]
    assert weight == 10
    shares = batch.draws.uniform("between").reshape(-1, 1, 1, 1)
    with torch.no_grad():
        fake = built.generator.scales(*batch.inputs)
    real = [nn.functional.avg_pool2d(batch.real, side) for side in (4, 2, 1)]
    points = [
        (shares * r + (1 - shares) * f).requires_grad_() for r, f in zip(real, fake, strict=True)
    ]
    gradients = torch.autograd.grad(built.discriminator(*points).sum(), points)
    norms = torch.cat([g.flatten(1) for g in gradients], 1).norm(dim=1)
    assert penalty.item() == pytest.approx((norms - 1).square().mean().item(), rel=1e-9)
    # And its own gradient, which goes through that of D, by finite differences.
    penalty.backward()
    for _, layer in layers(built.discriminator):
        original = learnt(layer)
        direction = numbers(*original.shape, seed=1)
        assert original.grad is not None
        found = (original.grad * direction).sum().item()
        at = []
        for sign in (1, -1):
            original.data += sign * 1e-6 * direction
            _, value = values("discriminator", config, built, batch)["one_centered"]
            at.append(value.item())
            original.data -= sign * 1e-6 * direction
        assert found == pytest.approx((at[0] - at[1]) / 2e-6, rel=1e-4, abs=1e-5)


def test_bf16_is_close_where_layers_are_not_narrow() -> None:
    # A place whose few features are all small is scaled up with its rounding; of 16 features, some
    # are not small.
    torch.manual_seed(0)
    network = Generator((3, 32, 32), GeneratorConfig(width=16, latent=32))
    latents = torch.randn(4, 32)
    with torch.no_grad():
        exact = network(latents)
        with autocast(CPU, "bf16"):
            rounded = network(latents).float()
    assert not torch.equal(exact, rounded)
    assert (exact - rounded).abs().mean() < 0.02 * exact.std()
    assert (exact - rounded).abs().max() < 0.3 * exact.std()


# --- conditions ---


def test_the_condition_is_an_input() -> None:
    config, built = settings(condition=TWO_LABELS), networks(condition=TWO_LABELS)
    latents, condition = msggan.inputs(config, SeedDraws([1, 2, 3], CPU))
    assert condition.shape == (3, 2)
    latents, condition = latents.double(), condition.double()
    made = built.generator(latents, condition)
    assert made.shape == (3, 3, 16, 16)
    assert (made - built.generator(latents, 1 - condition)).abs().amax((1, 2, 3)).min() > 0.01
    scales = built.generator.scales(latents, condition)
    told = [built.discriminator(*scales, condition=c) for c in (condition, 1 - condition)]
    assert ((told[0] - told[1]).abs() > 1e-6).all()


def test_a_condition_by_norm_is_refused_with_a_remedy() -> None:
    with pytest.raises(UserError, match=r"set condition\.generator=input"):
        networks(condition={**TWO_LABELS, "generator": "norm"})


# --- in training ---


def test_a_short_training(pictures_folder: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    more = {"training": {"images": 240, "log_every": 10}, "objective": {"label_smoothing": 0}}
    chosen = merge(tiny, more, OBJECTIVES[1], {"family": "msggan"})
    run = train(pictures_folder, out=tmp_path, **chosen)
    records = [record for record in run.metrics() if "loss_generator" in record]
    assert [record["images"] for record in records] == [8, 80, 160, 240]
    assert all(math.isfinite(v) for r in records for k, v in r.items() if k.startswith("loss"))
