from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from morelike.api import train
from morelike.augment import augment
from morelike.data.sampler import indices
from morelike.distributed import World
from morelike.errors import UserError
from morelike.features.perceptual import perceptual
from morelike.models import Batch, check_playable, configure, fastgan
from morelike.models.fastgan import Drawn, Excitation, comparison, cropped, unlikeness
from morelike.rng import SeedDraws, StepDraws, rng
from morelike.settings import merge
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step

CPU = torch.device("cpu")
TWO_LABELS = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}
NORMS = ("batch", "spectral", "both", "none")
every_norm = pytest.mark.parametrize("norm", NORMS)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def settings(*layers: dict[str, Any], **sections: Any) -> Any:
    base = {"family": "fastgan", "data": {"resolution": 16, "channels": 3, "mirror": False}}
    narrow = {"generator": {"width": 2, "latent": 5}, "discriminator": {"width": 2}}
    return configure(merge(base, narrow, *layers, sections))


def networks(seed: int = 0, **sections: Any) -> Any:
    """In float64, with biases and noise that do not hide behind zeros."""
    torch.manual_seed(seed)
    built = fastgan.build(settings(**sections))
    for network in built:
        for index, parameter in enumerate(network.double().parameters()):
            if parameter.ndim == 1:
                parameter.data += 0.3 * numbers(len(parameter), seed=index)
    return built


def batch_of(config: Any, size: int = 4) -> Batch:
    draws = StepDraws(0, 0, "test", size, 0, size, CPU, torch.float64)
    real = draws.uniform("pictures", *config.data.shape) * 2 - 1
    return Batch(real, fastgan.inputs(config, draws), draws)


def count(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# --- sizes ---


def test_the_sizes_in_the_text() -> None:
    found = fastgan.build(configure({"family": "fastgan", "data": {"channels": 3}}))
    shown = configure({"family": "fastgan"})
    g, d = shown.generator.width, shown.discriminator.width
    maps = [g * 2**i for i in range(5)][::-1]
    # Twice the maps before a gate; a norm has two numbers for each.
    made = 256 * 2 * maps[0] * 16 + 2 * 2 * maps[0]
    made += sum(i * 2 * o * 9 + 2 * 2 * o for i, o in itertools.pairwise(maps))
    made += 2  # the strengths of noise, at 8 and at 32
    made += maps[0] * g * 16 + g * g + g * 3 * 9
    assert count(found.generator) == made
    # Two numbers of batch norm for each map but those of the first layer.
    seen = 3 * d * 16 + 4 * d * (4 * d + 2) + 4 * d * 16
    seen += sum(i * o * 16 + o * o * 9 + i * o + 6 * o for i, o in ((d, 2 * d), (2 * d, 4 * d)))
    drawing = sum(
        m * (m // 2) * 9 + m // 2 + (m // 4) * 2 * (m // 16) * 9 + 2 * (m // 16) + m // 16 * 27 + 3
        for m in (2 * d, 4 * d)
    )
    assert count(found.discriminator.decoders) == drawing
    assert count(found.discriminator) == seen + drawing
    for number in (made, seen + drawing, drawing):
        assert f"{number:,}" in (fastgan.__doc__ or "")


@pytest.mark.parametrize(
    ("size", "excited", "noisy", "coarse", "logits", "drawn"),
    [
        ((16, 16), {16: 4}, (8,), (4, 4), 1, ((8, 8), (16, 16))),
        ((32, 32), {32: 4}, (8, 32), (8, 8), 25, ((16, 16), (32, 32))),
        ((64, 64), {64: 4}, (8, 32), (8, 8), 25, ((32, 32), (32, 32))),
        ((128, 128), {64: 4, 128: 8}, (8, 32, 128), (8, 8), 25, ((32, 32), (32, 32))),
        ((256, 256), {64: 4, 128: 8, 256: 16}, (8, 32, 128), (8, 8), 25, ((32, 32), (32, 32))),
        ((32, 56), {32: 4}, (8, 32), (8, 14), 5 * 11, ((16, 28), (32, 56))),
        ((128, 64), {64: 4}, (8, 32), (16, 8), 13 * 5, ((64, 32), (64, 32))),
        ((16, 20), {16: 4}, (8,), (4, 5), 2, ((8, 10), (16, 20))),
    ],
)
def test_what_is_excited_decoded_and_judged(
    size: tuple[int, int],
    excited: dict[int, int],
    noisy: tuple[int, ...],
    coarse: tuple[int, int],
    logits: int,
    drawn: tuple[tuple[int, int], ...],
) -> None:
    height, width = size
    config = settings(data={"resolution": height, "width": width})
    with torch.no_grad():
        built: Any = fastgan.build(config)
        seen: dict[int, int] = {}
        for excitation in built.generator.excitations:
            excitation.register_forward_hook(
                lambda _, given, __: seen.update({min(given[1].shape[2:]): min(given[0].shape[2:])})
            )
        made = built.generator(*fastgan.inputs(config, SeedDraws([0, 1], CPU)))
        assert made.shape == (2, 3, height, width)
        assert seen == excited
        sizes = fastgan.noises(config.data.shape, config.generator)
        assert tuple(min(size) for size in sizes if size) == noisy
        discriminator = built.discriminator
        features = discriminator.features(made)
        assert discriminator.coarse(features).shape[2:] == coarse
        assert discriminator.logits(features).shape == (2, logits)
        pairs = discriminator.drawn(features, made, torch.rand(2, 2))
        assert tuple(pair.decoded.shape[2:] for pair in pairs) == drawn
        assert all(pair.decoded.shape == pair.real.shape for pair in pairs)


def test_points_are_refused_with_a_remedy() -> None:
    config = SimpleNamespace(data=SimpleNamespace(shape=(2, 1, 1)), generator=None, condition=None)
    with pytest.raises(UserError, match="take the family mlp"):
        fastgan.build(config)  # type: ignore[arg-type]


# --- layers ---


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (4, 7), (8, 20)])
def test_excitation_in_closed_form(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = Excitation(6, 5).double()
    low, high = numbers(2, 6, *size), numbers(2, 5, 16, 16, seed=1)
    first, second = (w.detach().numpy() for w in layer.parameters())
    pooled = np.zeros((2, 6, 4, 4))
    for row in range(4):
        for column in range(4):
            edges = [
                slice(i * side // 4, -(-(i + 1) * side // 4))
                for i, side in zip((row, column), size, strict=True)
            ]
            pooled[:, :, row, column] = low.numpy()[:, :, edges[0], edges[1]].mean((2, 3))
    hidden = np.einsum("bchw,ochw->bo", pooled, first)
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
    gates = 1 / (1 + np.exp(-hidden @ second[:, :, 0, 0].T))
    expected = gates[:, :, None, None] * high.numpy()
    np.testing.assert_allclose(layer(low, high).detach(), expected, rtol=0, atol=1e-12)
    assert gates.std() > 0.005  # they are no constants


def test_parts_are_cut_where_it_is_said() -> None:
    pictures = numbers(3, 2, 6, 8)
    corners = torch.tensor([[0, 0], [3, 4], [1, 2]])
    found = cropped(pictures, corners, (3, 4))
    expected = [pictures[i, :, r : r + 3, c : c + 4] for i, (r, c) in enumerate(corners.tolist())]
    assert torch.equal(found, torch.stack(expected))


def test_unlikeness_in_closed_form() -> None:
    decoded, real = numbers(2, 3, 8, 8).numpy(), numbers(2, 3, 8, 8, seed=1).numpy()
    expected = 0.0
    away: Any = decoded - real
    for _ in range(3):
        expected += np.abs(away).mean()
        expected += np.abs(away[:, :, 1:] - away[:, :, :-1]).mean()
        expected += np.abs(away[:, :, :, 1:] - away[:, :, :, :-1]).mean()
        away = sum(away[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    found = unlikeness(Drawn(torch.from_numpy(decoded), torch.from_numpy(real)))
    assert found.item() == pytest.approx(expected, rel=1e-12)


# --- noise and seeds ---


def test_a_sample_depends_on_its_seed_alone() -> None:
    config = settings(data={"resolution": 32})
    generator = networks(data={"resolution": 32}).generator.float().eval()
    together = fastgan.inputs(config, SeedDraws([3, 7, 5], CPU))
    alone = fastgan.inputs(config, SeedDraws([7], CPU))
    assert [len(given) for given in together] == [3, 3]
    assert together[1].shape == (3, 8 * 8 + 32 * 32)
    for all_of_them, one in zip(together, alone, strict=True):
        assert torch.equal(all_of_them[1:2], one)
    made = []
    for chance in (1, 2):
        torch.manual_seed(chance)
        np.random.seed(chance)  # noqa: NPY002
        with torch.no_grad():
            made.append(generator(*together))
    assert torch.equal(made[0], made[1])
    # And the noise is a part of it.
    others = fastgan.inputs(config, SeedDraws([8], CPU))
    with torch.no_grad():
        changed = generator(alone[0], others[1])
    assert (changed - made[0][1:2]).abs().max() > 1e-3


def test_noise_begins_at_no_strength_and_can_be_left_out() -> None:
    config = settings()
    torch.manual_seed(0)
    generator = fastgan.build(config).generator.eval()
    (latents, noise), (_, other) = (
        fastgan.inputs(config, SeedDraws([seed], CPU)) for seed in (1, 2)
    )
    with torch.no_grad():
        assert torch.equal(generator(latents, noise), generator(latents, other))
    without = settings(generator={"noise": False})
    (only,) = fastgan.inputs(without, SeedDraws([1], CPU))
    assert torch.equal(only, latents)
    quiet = fastgan.build(without).generator
    assert count(quiet) == count(generator) - 1
    assert quiet(only.expand(2, -1)).shape == (2, 3, 16, 16)


def test_every_second_map_gets_the_noise_of_its_place() -> None:
    built = networks(data={"resolution": 32, "width": 40})
    noise = numbers(2, 8 * 10 + 32 * 40)
    found = built.generator._cut(noise)
    assert found[1] is None
    assert torch.equal(found[0], noise[:, :80].reshape(2, 1, 8, 10))
    assert torch.equal(found[2], noise[:, 80:].reshape(2, 1, 32, 40))


# --- the discriminator ---


@every_norm
def test_penalties_on_gradients_where_pictures_are_not_mixed(norm: str) -> None:
    config = settings(discriminator={"norm": norm}, penalty={"r1": 1.0})
    if norm in ("batch", "both"):
        with pytest.raises(UserError, match="the discriminator of fastgan has batch norm"):
            check_playable(config)
        return
    check_playable(config)
    network = networks(discriminator={"norm": norm}).discriminator.eval()
    pictures = numbers(3, 3, 16, 16)
    with torch.no_grad():
        alone = torch.cat([network(one[None]) for one in pictures])
        torch.testing.assert_close(network(pictures), alone, rtol=0, atol=1e-12)


@every_norm
def test_which_weights_are_normalised(norm: str) -> None:
    network = networks(
        discriminator={"norm": norm}, condition={**TWO_LABELS, "auxiliary": 1.0}
    ).discriminator
    found = {
        name.split(".")[0]: parametrize.is_parametrized(layer)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    spectral = norm in ("spectral", "both")
    heads = dict.fromkeys(("trunk", "logit", "projection", "classifier"), spectral)
    assert found == {**heads, "decoders": False}


def test_the_last_layers_may_see_how_much_pictures_differ() -> None:
    for asked in (False, True):
        chosen = {"norm": "spectral", "minibatch_stddev": asked}
        network = networks(data={"resolution": 32}, discriminator=chosen).discriminator.eval()
        pictures = numbers(4, 3, 32, 32)
        others = torch.cat([pictures[:1], 3 * pictures[1:]])
        with torch.no_grad():
            found = network(pictures)[0] - network(others)[0]
        assert (found.abs().max() > 1e-6) == asked


def test_every_patch_gets_the_projection_of_the_mean_place() -> None:
    network = networks(data={"resolution": 32}, condition=TWO_LABELS).discriminator.eval()
    pictures, condition = numbers(3, 3, 32, 32), numbers(3, 2, seed=1)
    features = network.features(pictures)
    more = network.logits(features, condition) - network.logits(features)
    assert more.shape == (3, 25)
    pooled = network.coarse(features).mean((2, 3))
    expected = (pooled @ network.projection.weight * condition).sum(1)
    torch.testing.assert_close(more, expected[:, None].expand(-1, 25), rtol=0, atol=1e-12)


def test_features_are_both_maps() -> None:
    network = networks(data={"resolution": 64, "width": 32}).discriminator.eval()
    pictures = numbers(2, 3, 64, 32)
    maps = [network.trunk.enter(pictures)]
    for block in network.trunk.blocks:
        maps.append(block(maps[-1]))
    fine, coarse = network._parted(network.features(pictures))
    assert fine.shape == (2, 2, 32, 16)
    assert coarse.shape == (2, 4, 16, 8)
    assert torch.equal(fine, maps[-2])
    assert torch.equal(coarse, maps[-1])


# --- reconstruction ---


@pytest.mark.parametrize("size", [(32, 32), (32, 56), (16, 16)])
def test_the_part_that_is_decoded_is_the_part_that_is_compared(size: tuple[int, int]) -> None:
    # A D whose finer maps are the picture itself, halved, and whose decoder changes nothing.
    data = {"resolution": size[0], "width": size[1]}
    network = networks(data=data, discriminator={"width": 3}).discriminator
    network.decoders[0] = nn.Identity()
    pictures = numbers(20, 3, *size)
    halved = F.avg_pool2d(pictures, 2)
    fine = halved.permute(0, 2, 3, 1).flatten(1)
    rest = network.features(pictures)[:, fine.shape[1] :]
    where = torch.rand(20, 2, generator=torch.Generator().manual_seed(0))
    where[0], where[1] = 0.0, 1 - 2.0**-24
    part, whole = network.drawn(torch.cat([fine, rest], 1), pictures, where)
    torch.testing.assert_close(part.decoded, part.real, rtol=0, atol=1e-14)
    height, width = (side // 4 for side in size)
    assert part.decoded.shape[2:] == (height, width)
    # From one end to the other, and a place of its own for each picture.
    assert torch.equal(part.decoded[0], halved[0, :, :height, :width])
    assert torch.equal(part.decoded[1], halved[1, :, -height:, -width:])
    corners = (where * torch.tensor([height + 1, width + 1])).long()
    assert len(corners.unique(dim=0)) > 10
    assert torch.equal(whole.real, pictures)


@pytest.mark.shared
def test_a_network_that_is_named_decides_how_like_reconstructions_are(shared: Path) -> None:
    weights = str(shared / "weights" / "mobilenetv2_100.imagenet.safetensors")
    drawn = Drawn(numbers(2, 3, 32, 32).tanh(), numbers(2, 3, 32, 32, seed=1).tanh())
    for name, file in (("random", None), ("timm:mobilenetv2_100", weights)):
        chosen = {"perceptual_network": name, "perceptual_weights": file}
        sections: dict[str, Any] = {"data": {"resolution": 64}, "discriminator": chosen}
        config, built = settings(**sections), networks(**sections)
        decoded = drawn.decoded.clone().requires_grad_()
        found = comparison(config.discriminator)(drawn._replace(decoded=decoded))
        pairs = zip(*(perceptual(name, file).maps(each) for each in drawn), strict=True)
        expected = sum(
            (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean() for a, b in pairs
        )
        assert found.item() == pytest.approx(float(expected), rel=1e-5)
        found.backward()
        assert (decoded.grad != 0).float().mean() > 0.99
        assert comparison(config.discriminator)(drawn._replace(real=drawn.decoded)).item() == 0

        (term,) = (
            term
            for term in fastgan.discriminator_terms(config, built, batch_of(config))
            if term.name == "reconstruction"
        )
        term.function().backward()
        assert all(p.grad is not None for p in built.discriminator.decoders.parameters())


def test_a_network_that_cannot_be_had_is_said_before_training_and_never_asked_for_later() -> None:
    chosen: dict[str, Any] = {"perceptual_network": "timm:vgg16"}
    with pytest.raises(UserError, match="needs its weights, and none are fetched"):
        check_playable(settings(discriminator=chosen))
    with pytest.raises(UserError, match="perceptual_network"):
        settings(discriminator={"perceptual_network": "vgg"})
    check_playable(settings(discriminator={**chosen, "reconstruction": 0}))
    fastgan.build(settings(discriminator=chosen))  # samples come without it


def test_only_real_pictures_are_drawn_again() -> None:
    config, built = settings(), networks()
    built.discriminator.eval()  # spectral norms would go on from pass to pass
    batch = batch_of(config)
    values = []
    for scale in (1, 3):
        with torch.no_grad():
            built.generator.picture[0].weight.mul_(scale)
        terms = {t.name: t for t in fastgan.discriminator_terms(config, built, batch)}
        value = terms["reconstruction"].function()
        assert terms["reconstruction"].weight == 1
        values.append((value.item(), terms["adversarial"].function().item()))
    assert values[0][0] == values[1][0]
    assert values[0][1] != values[1][1]
    built.generator.zero_grad()
    value.backward()
    assert all(p.grad is None for p in built.generator.parameters())
    learnt = built.discriminator.named_parameters()
    touched = {name.split(".")[0] for name, p in learnt if p.grad is not None}
    assert touched == {"trunk", "decoders"}


def test_what_is_drawn_is_what_the_discriminator_sees() -> None:
    config, built = settings(augment={"policy": ["color", "translation"]}), networks()
    built.discriminator.eval()
    batch = batch_of(config)
    (term,) = (
        t for t in fastgan.discriminator_terms(config, built, batch) if t.name == "reconstruction"
    )
    seen = augment(batch.real, batch.draws.uniform("augment.real", 8), ("color", "translation"))
    pairs = built.discriminator.drawn(
        built.discriminator.features(seen), seen, batch.draws.uniform("part", 2)
    )
    assert term.function().item() == pytest.approx(sum(unlikeness(p).item() for p in pairs))
    # Colours outside [-1, 1] can be reached.
    assert seen.abs().max() > 1.2
    with torch.no_grad():
        built.discriminator.decoders[1][-1].bias.fill_(9)
        whole = built.discriminator.drawn(
            built.discriminator.features(seen), seen, batch.draws.uniform("part", 2)
        )[1]
    assert whole.decoded.max() > 5


def test_without_weight_there_are_no_decoders() -> None:
    chosen: dict[str, Any] = {"discriminator": {"reconstruction": 0}}
    config, built = settings(**chosen), networks(**chosen)
    assert not list(built.discriminator.decoders.parameters())
    terms = fastgan.discriminator_terms(config, built, batch_of(config))
    assert "reconstruction" not in {term.name for term in terms}


def dataset(images: np.ndarray) -> Any:
    return SimpleNamespace(images=images, train=np.arange(len(images)))


def metrics(
    state: State, config: Any, images: np.ndarray, count: int
) -> Iterator[dict[str, float]]:
    feed = Feed(dataset(images), config, CPU)
    for _ in range(count):
        found = step(state, fastgan, config, feed, World())
        yield {name: value.item() for name, value in found.items()}


@pytest.mark.parametrize("norm", ["batch", "spectral"])
def test_training_draws_real_pictures_better(shared: Path, norm: str) -> None:
    some = sorted((shared / "data" / "roses").glob("*.jp*g"))[:8]
    images = np.stack(
        [np.asarray(Image.open(path).convert("RGB").resize((32, 32))) for path in some]
    )
    config = settings(
        {"objective": {"loss": "hinge"}, "training": {"batch": 8, "precision": "fp32"}},
        data={"resolution": 32},
        discriminator={"width": 16, "norm": norm},
        optimizer={"discriminator": {"learning_rate": 2e-3}},
    )
    records = metrics(State(config, CPU), config, images, 25)
    found = [record["discriminator_reconstruction"] for record in records]
    blank = sum(
        unlikeness(Drawn(torch.zeros_like(x), x)).item()
        for x in [torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1]
    )
    assert np.mean(found[-3:]) < 0.7 * np.mean(found[:3])
    # Better than two gray pictures, which need nothing to be known.
    assert np.mean(found[-3:]) < 0.8 * 2 * blank


# --- one whole step against the same maths, written once more ---

BATCH, LATENT, SEED = 5, 6, 3
HEIGHT, WIDTH, WIDE = 32, 48, 2
RATES: dict[str, Any] = {
    "generator": {"learning_rate": 3e-3, "beta1": 0.5, "beta2": 0.99, "epsilon": 1e-3},
    "discriminator": {"learning_rate": 7e-3, "beta1": 0.3, "beta2": 0.9, "epsilon": 1e-3},
}
Weights = dict[str, Tensor]


def drawn_once_more(update: str, purpose: str, kind: str, *shape: int) -> Tensor:
    here = rng(SEED, 0, update, purpose)
    found = getattr(here, kind)((BATCH, *shape))
    return torch.from_numpy(np.asarray(found).astype(np.float32).astype(np.float64))


def rectified(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def gated(x: Tensor) -> Tensor:
    half = x.shape[1] // 2
    return x[:, :half] / (1 + torch.exp(-x[:, half:]))


def batch_normed(x: Tensor, weights: Weights, name: str) -> Tensor:
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    gain, shift = (weights[f"{name}.{k}"].reshape(1, -1, 1, 1) for k in ("weight", "bias"))
    return gain * (x - mean) / torch.sqrt(variance + 1e-5) + shift


def twice(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def halved(x: Tensor, times: int = 1) -> Tensor:
    for _ in range(times):
        x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    return x


def generated(weights: Weights, latents: Tensor, noise: Tensor) -> Tensor:
    """Of 4x6 places, three doublings: noise in the first and the last, which is excited too."""
    x = torch.einsum("bi,iohw->bohw", latents, weights["start.1.weight"])
    x = gated(batch_normed(x, weights, "normed.norm"))
    first, spent = x, 0
    for block in range(3):
        x = F.conv2d(twice(x), weights[f"blocks.{block}.doubling.weight"], padding=1)
        if block != 1:
            area = x.shape[2] * x.shape[3]
            here = noise[:, spent : spent + area].reshape(BATCH, 1, *x.shape[2:])
            x, spent = x + weights[f"blocks.{block}.strength"] * here, spent + area
        x = gated(batch_normed(x, weights, f"blocks.{block}.normed.norm"))
    assert spent == noise.shape[1]
    # 6 columns in 4 parts: 0 1, 1 2, 3 4, 4 5.
    pooled = torch.stack([first[..., a : a + 2].mean(3) for a in (0, 1, 3, 4)], 3)
    hidden = rectified(
        torch.einsum("bihw,oihw->bo", pooled, weights["excitations.0.gates.1.weight"])
    )
    gates = torch.sigmoid(hidden @ weights["excitations.0.gates.3.weight"][:, :, 0, 0].T)
    x = gates[:, :, None, None] * x
    return torch.tanh(F.conv2d(x, weights["picture.0.weight"], padding=1))


class Judge:
    """D, whose spectral norms move with every pass."""

    def __init__(self, weights: Weights, guesses: Weights, norm: str) -> None:
        self.weights, self.guesses = weights, guesses
        self.batch, self.spectral = norm in ("batch", "both"), norm in ("spectral", "both")

    def convolution(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        key = f"{name}.parametrizations.weight.original" if self.spectral else f"{name}.weight"
        weight = self.weights[key]
        if self.spectral:
            matrix, u = weight.flatten(1), self.guesses[f"{name}.parametrizations.weight.0.u"]
            held = matrix.detach()
            v = held.T @ u
            v = v / v.norm()
            u = held @ v
            u = u / u.norm()
            self.guesses[f"{name}.parametrizations.weight.0.u"] = u
            weight = weight / torch.einsum("i,ij,j", u, matrix, v)
        return F.conv2d(x, weight, self.weights.get(f"{name}.bias"), stride, padding)

    def layer(
        self, x: Tensor, where: str, number: int, stride: int = 1, padding: int = 0
    ) -> Tensor:
        x = self.convolution(x, f"{where}.{number}", stride, padding)
        if self.batch:
            x = batch_normed(x, self.weights, f"{where}.{number + 1}")
        return rectified(x)

    def maps(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        fine = rectified(self.convolution(pictures, "trunk.enter.0", 2, 1))
        after = 3 if self.batch else 2
        main = self.layer(fine, "trunk.blocks.0.main", 0, 2, 1)
        main = self.layer(main, "trunk.blocks.0.main", after, 1, 1)
        direct = self.layer(halved(fine), "trunk.blocks.0.direct", 1)
        return fine, (main + direct) / 2

    def logits(self, coarse: Tensor) -> Tensor:
        last = 3 if self.batch else 2
        return self.convolution(self.layer(coarse, "logit", 0), f"logit.{last}")

    def decoded(self, x: Tensor, which: int, doublings: int) -> Tensor:
        for number in range(doublings):
            name = f"decoders.{which}.{2 * number}"
            weight, bias = (self.weights[f"{name}.{k}"] for k in ("weight", "bias"))
            x = gated(F.conv2d(twice(x), weight, bias, padding=1))
        name = f"decoders.{which}.{2 * doublings}"
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], padding=1)


def difference(decoded: Tensor, real: Tensor) -> Tensor:
    total, away = torch.zeros((), dtype=torch.float64), decoded - real
    for times in range(3):
        e = halved(away, times)
        down, across = e[:, :, 1:] - e[:, :, :-1], e[:, :, :, 1:] - e[:, :, :, :-1]
        total = total + e.abs().mean() + down.abs().mean() + across.abs().mean()
    return total


def hinged(judge: Judge, real: Tensor, fake: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    fine, coarse = judge.maps(real)
    adversarial = torch.clamp(1 - judge.logits(coarse), min=0).mean()
    adversarial = adversarial + torch.clamp(1 + judge.logits(judge.maps(fake)[1]), min=0).mean()
    # Of 16x24 places, 8x12 from a corner that may be 0 to 8 down and 0 to 12 across.
    parts, pictures = [], []
    for number, (down, across) in enumerate(where.tolist()):
        r, c = int(down * 9), int(across * 13)
        parts.append(fine[number, :, r : r + 8, c : c + 12])
        pictures.append(real[number, :, 2 * r : 2 * r + 16, 2 * c : 2 * c + 24])
    part = difference(judge.decoded(torch.stack(parts), 0, 1), torch.stack(pictures))
    return adversarial, part + difference(judge.decoded(coarse, 1, 2), real)


def adam(weights: Weights, loss: Tensor, player: str) -> Weights:
    """The first step of Adam, in which both means are those of one gradient."""
    gradients = torch.autograd.grad(loss, list(weights.values()))
    rate, epsilon = RATES[player]["learning_rate"], RATES[player]["epsilon"]
    pairs = zip(weights.items(), gradients, strict=True)
    return {k: w.detach() - rate * g / (g.abs() + epsilon) for (k, w), g in pairs}


def learnable(network: nn.Module) -> Weights:
    return {k: p.detach().clone().requires_grad_() for k, p in network.named_parameters()}


@every_norm
def test_a_step_in_float64(norm: str) -> None:
    policy = ["color", "translation"]
    config = settings(
        data={"resolution": HEIGHT, "width": WIDTH},
        generator={"width": WIDE, "latent": LATENT},
        discriminator={"width": 4, "norm": norm, "reconstruction": 0.7},
        objective={"loss": "hinge"},
        optimizer=RATES,
        augment={"policy": policy},
        training={"batch": BATCH, "seed": SEED, "precision": "fp32", "device": "cpu"},
    )
    images = np.random.default_rng(0).integers(0, 256, (9, HEIGHT, WIDTH, 3), dtype=np.uint8)
    state = State(config, CPU)
    for module in state.modules().values():
        module.double()
    for network in state.networks:
        for index, parameter in enumerate(network.parameters()):
            if parameter.ndim == 1:
                parameter.data += 0.3 * numbers(len(parameter), seed=index)
    g, d = (learnable(network) for network in state.networks)
    guesses = {k: v.clone() for k, v in state.networks.discriminator.named_buffers()}
    (found,) = metrics(state, config, images, 1)

    def seen(pictures: Tensor, update: str, kind: str) -> Tensor:
        chances = drawn_once_more(update, f"augment.{kind}", "random_sample", 8)
        return augment(pictures, chances, policy)

    def made(weights: Weights, update: str) -> Tensor:
        latents = drawn_once_more(update, "latents", "standard_normal", LATENT)
        noise = drawn_once_more(update, "noise", "standard_normal", 8 * 12 + 32 * 48)
        return seen(generated(weights, latents, noise), update, "fake")

    chosen = images[indices(len(images), 0, BATCH, SEED)].transpose(0, 3, 1, 2)
    real = seen(torch.from_numpy(chosen.astype(np.float64) / 127.5 - 1), "discriminator.0", "real")
    fake = made(g, "discriminator.0").detach()
    where = drawn_once_more("discriminator.0", "part", "random_sample", 2)
    adversarial, reconstruction = hinged(Judge(d, guesses, norm), real, fake, where)
    assert found["discriminator_adversarial"] == pytest.approx(adversarial.item(), rel=1e-9)
    assert found["discriminator_reconstruction"] == pytest.approx(reconstruction.item(), rel=1e-9)
    total = adversarial + 0.7 * reconstruction
    assert found["loss_discriminator"] == pytest.approx(total.item(), rel=1e-9)
    new_d = adam(d, total, "discriminator")
    for name, value in state.networks.discriminator.named_parameters():
        torch.testing.assert_close(value.detach(), new_d[name], rtol=0, atol=1e-9, msg=name)
    judge = Judge(new_d, guesses, norm)
    loss = -judge.logits(judge.maps(made(g, "generator.0"))[1]).mean()
    assert found["loss_generator"] == pytest.approx(loss.item(), rel=1e-9)
    new_g = adam(g, loss, "generator")
    for name, value in state.networks.generator.named_parameters():
        torch.testing.assert_close(value.detach(), new_g[name], rtol=0, atol=1e-9, msg=name)


# --- conditions ---


@pytest.mark.parametrize("way", ["input", "norm"])
def test_the_condition_enters_beside_the_latents_or_by_the_norm(way: str) -> None:
    condition = {**TWO_LABELS, "generator": way}
    config, built = settings(condition=condition), networks(condition=condition)
    given = fastgan.inputs(config, SeedDraws([1, 2, 3], CPU))
    assert [tuple(value.shape) for value in given] == [(3, 5), (3, 2), (3, 64)]
    latents, shown, noise = (value.double() for value in given)
    for parameter in built.generator.parameters():  # gains and shifts begin at 0
        parameter.data += 0.1 * numbers(*parameter.shape)
    with torch.no_grad():
        made = [built.generator.eval()(latents, c, noise) for c in (shown, 1 - shown)]
    assert (made[0] - made[1]).abs().amax((1, 2, 3)).min() > 1e-3
    ins = built.generator.start[1].in_channels
    assert ins == (7 if way == "input" else 5)


# --- in training ---


def test_a_run_goes_on_as_if_it_had_not_stopped(
    pictures_folder: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    objective = {"loss": "hinge", "label_smoothing": 0}
    more = {"objective": objective, "augment": {"policy": ["color", "translation"]}}
    chosen = merge(tiny, more, {"family": "fastgan"})
    whole = train(pictures_folder, out=tmp_path, **merge(chosen, {"training": {"images": 32}}))
    run = train(pictures_folder, out=tmp_path, **merge(chosen, {"training": {"images": 16}}))
    run = train(run=run.path, images=32)
    last = [load_file(r.checkpoints.all()[-1].path / "state.safetensors") for r in (whole, run)]
    assert last[0].keys() == last[1].keys()
    assert any(".strength" in name for name in last[0])
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])
    records = [record for record in run.metrics() if "loss_generator" in record]
    assert all(math.isfinite(v) for r in records for k, v in r.items() if k.startswith("loss"))
    assert all(r["discriminator_reconstruction"] > 0 for r in records)
