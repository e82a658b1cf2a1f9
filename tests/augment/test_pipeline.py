"""From random numbers to changes: which, how often, how far, and in which order."""

from __future__ import annotations

import math
import typing

import pytest
import torch
from torch import Tensor

from morelike import config
from morelike.augment import ADAPTIVE, DIFFERENTIABLE, MORE, NUMBERS, augment, pipeline
from morelike.augment.pipeline import _SLICES, _Drawn, normal

EVERYTHING = (*DIFFERENTIABLE, *ADAPTIVE)


def pictures(count: int = 4, channels: int = 3, height: int = 8, width: int = 8) -> Tensor:
    shape = (count, channels, height, width)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).double() * 2 - 1


def drawn(count: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.rand(count, NUMBERS, generator=generator)
    return numbers, torch.rand(count, MORE, generator=generator)


def changed(
    x: Tensor, policy: tuple[str, ...], probability: float | Tensor = 0.8, seed: int = 1
) -> Tensor:
    numbers, more = drawn(len(x), seed)
    return augment(x, numbers, policy, probability=probability, more=more)


def test_the_configuration_knows_all_changes_and_no_others() -> None:
    (names, _) = typing.get_args(config.AugmentConfig.model_fields["policy"].annotation)
    assert typing.get_args(names) == EVERYTHING
    assert config.ADAPTIVE == ADAPTIVE


def test_every_change_has_numbers_of_its_own() -> None:
    places = [place for part in _SLICES.values() for place in range(MORE)[part]]
    assert places == list(range(MORE))
    assert set(_SLICES) == set(EVERYTHING)


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_change_alone_changes_something(name: str) -> None:
    x = pictures(40)
    same = (changed(x, (name,)) == x).flatten(1).all(1)
    assert 0 < same.sum() < 40


@pytest.mark.parametrize("policy", [(name,) for name in EVERYTHING] + [EVERYTHING])
def test_with_the_probability_0_nothing_is_touched(policy: tuple[str, ...]) -> None:
    x = pictures(20).float()
    colours = {*pipeline.COLORS} & {*policy}
    # A matrix that is 1 is multiplied with all the same.
    torch.testing.assert_close(changed(x, policy, 0.0), x, rtol=0, atol=2e-7 if colours else 0.0)


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.8])
@pytest.mark.parametrize("name", EVERYTHING)
def test_each_is_applied_as_often_as_asked(name: str, probability: float) -> None:
    numbers = torch.rand(20_000, MORE, generator=torch.Generator().manual_seed(3))
    if name == "rotation":
        _, applied = pipeline._geometry(_Drawn(numbers, (name,), probability))
    else:
        applied = _Drawn(numbers, (name,), probability).applied(name)
    share = applied.float().mean().item()
    assert share == pytest.approx(probability, abs=0.012)


def test_chances_are_independent() -> None:
    numbers = torch.rand(20_000, MORE, generator=torch.Generator().manual_seed(3))
    held = _Drawn(numbers, EVERYTHING, 0.5)
    names = [name for name in EVERYTHING if name != "rotation"]
    applied = torch.stack([held.applied(name) for name in names]).double()
    together = torch.corrcoef(applied) - torch.eye(len(names))
    assert together.abs().max() < 0.03


def test_a_change_takes_the_same_numbers_whichever_others_there_are() -> None:
    numbers = torch.rand(50, MORE, generator=torch.Generator().manual_seed(3)).double()
    for name in ("scaling", "rotation", "fractional_translation"):
        alone, among = (
            pipeline._geometry(_Drawn(numbers, policy, 0.7))[0] for policy in ((name,), ADAPTIVE)
        )
        moved = [torch.equal(a, b) for a, b in zip(alone, among, strict=True)]
        assert sum(moved) == {"scaling": 1, "rotation": 2, "fractional_translation": 2}[name]


def test_the_spreads_are_the_paper_s() -> None:
    numbers = torch.rand(40_000, MORE, generator=torch.Generator().manual_seed(4)).double()
    held = _Drawn(numbers, EVERYTHING, 1.0)
    (geometry, _), color = pipeline._geometry(held), pipeline._color(held)
    octaves = [geometry.scale, geometry.stretch, color.contrast, color.saturation]
    normals = [*(v.log2() for v in octaves), geometry.right, geometry.down, color.brightness]
    for values, deviation in zip(normals, (0.2, 0.2, 0.5, 1.0, 0.125, 0.125, 0.2), strict=True):
        assert values.mean().item() == pytest.approx(0, abs=0.015 * deviation)
        assert values.std().item() == pytest.approx(deviation, rel=0.015)
    for angle in (geometry.turn_before, geometry.turn_after, color.hue):
        assert angle.min() < -math.pi + 0.01
        assert angle.max() > math.pi - 0.01
        assert angle.std().item() == pytest.approx(2 * math.pi / math.sqrt(12), rel=0.01)
    assert set(color.flip.tolist()) == {-1, 1}


def test_normal_numbers_by_their_inverse() -> None:
    found = normal(torch.tensor([0.5, 0.8413447, 0.0227501, 0.0, 1 - 2**-24]).double())
    assert found.tolist() == pytest.approx([0, 1, -2, -4.89, 4.89], abs=0.01)


def test_shifts_reach_as_far_as_asked_and_no_farther() -> None:
    x = torch.zeros(3000, 1, 16, 16)
    x[:, :, 8, 8] = 1
    numbers, more = drawn(3000)
    y = augment(x, numbers, ("integer_translation",), 0.25, probability=1.0, more=more)
    for places in y.sum(1).nonzero()[:, 1:].T:
        found, often = places.unique(return_counts=True)
        assert found.tolist() == list(range(4, 13))
        assert often.min() > 0.7 * 3000 / 9


def test_blits_come_before_geometry_and_colours_before_what_is_cut() -> None:
    x = pictures()
    numbers, more = drawn(4)
    steps = x
    for names in (
        pipeline.BLITS,
        pipeline.GEOMETRY,
        pipeline.COLORS,
        *[(n,) for n in DIFFERENTIABLE],
    ):
        steps = augment(steps, numbers, names, probability=0.9, more=more)
    together = augment(x, numbers, EVERYTHING[::-1], probability=0.9, more=more)
    torch.testing.assert_close(together, steps, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_by_chance_the_first_three_do_what_they_always_did(name: str) -> None:
    x = pictures(40)
    numbers, more = drawn(40)
    always = augment(x, numbers, (name,))
    assert torch.equal(augment(x, numbers, (name,), probability=1.0, more=more), always)
    half = augment(x, numbers, (name,), probability=0.5, more=more)
    applied = _Drawn(more, (name,), 0.5).applied(name)
    assert 10 < applied.sum() < 30
    assert torch.equal(half, torch.where(applied[:, None, None, None], always, x))


def test_the_probability_may_be_a_tensor() -> None:
    x = pictures()
    given = torch.tensor(0.6, dtype=torch.float64)
    assert torch.equal(changed(x, EVERYTHING, given), changed(x, EVERYTHING, 0.6))


def test_the_same_numbers_give_the_same_pictures_and_nothing_is_written_to() -> None:
    x = pictures()
    kept, state = x.clone(), torch.get_rng_state()
    first, second = (changed(x, EVERYTHING) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(x, kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, changed(x, EVERYTHING, seed=2))


def test_a_picture_does_not_depend_on_its_company() -> None:
    x = pictures(5)
    numbers, more = drawn(5)
    together = augment(x, numbers, EVERYTHING, probability=0.8, more=more)
    for i in range(5):
        one = slice(i, i + 1)
        alone = augment(x[one], numbers[one], EVERYTHING, probability=0.8, more=more[one])
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 8, 8), (3, 8, 12), (4, 8, 8), (2, 1, 1)]
)
def test_shape_and_number_format_stay(
    channels: int, height: int, width: int, dtype: torch.dtype, memory: torch.memory_format
) -> None:
    x = pictures(4, channels, height, width).to(dtype)
    y = changed(x.contiguous(memory_format=memory), EVERYTHING)
    assert y.shape == x.shape
    assert y.dtype == dtype
    assert y.isfinite().all()
    torch.testing.assert_close(y, changed(x, EVERYTHING))


def test_double_precision_is_more_precise() -> None:
    x = pictures(20)
    exact, rough = changed(x, ADAPTIVE), changed(x.float(), ADAPTIVE)
    torch.testing.assert_close(rough.double(), exact, rtol=1e-4, atol=1e-4)
    assert not torch.equal(rough.double(), exact)


@pytest.mark.parametrize("policy", [(name,) for name in EVERYTHING] + [EVERYTHING])
def test_gradients_equal_finite_differences(policy: tuple[str, ...]) -> None:
    x = pictures(2, height=4, width=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: changed(x, policy, 0.95), x)
    y = changed(x, policy, 0.95)
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.flatten(1).abs().sum(1).min() > 0


@pytest.mark.parametrize("name", [*pipeline.GEOMETRY, *pipeline.COLORS, "mirror", "quarter_turns"])
def test_the_same_change_at_each_resolution(name: str) -> None:
    drawn_small = torch.rand(30, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    fine = torch.nn.functional.interpolate(drawn_small, 64, mode="bilinear")
    half = torch.nn.functional.avg_pool2d
    away = half(changed(fine, (name,)), 2) - changed(half(fine, 2), (name,))
    assert away.abs().mean() < 0.002
    moved = changed(fine, (name,)) - fine
    assert moved.abs().mean() > 0.02


def test_pictures_that_are_not_square_are_turned_upside_down_only() -> None:
    x = pictures(40, height=4, width=6)
    y = changed(x, ("quarter_turns",), 1.0)
    upside = x.flip((2, 3))
    which = [(y == other).flatten(1).all(1) for other in (x, upside)]
    assert torch.stack(which).any(0).all()
    assert min(w.sum() for w in which) > 10


def test_what_is_adaptive_is_not_applied_always() -> None:
    x = pictures()
    numbers, more = drawn(4)
    with pytest.raises(AssertionError, match="need a probability"):
        augment(x, numbers, ("hue",))
    with pytest.raises(AssertionError, match="numbers, too"):
        augment(x, numbers, ("color",), probability=0.5)
    augment(x, numbers, ("hue",), probability=0.5, more=more)
