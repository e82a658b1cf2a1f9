from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from morelike.augment import NUMBERS, augment, change_color, cut_out, translate

EVERYTHING = ("color", "translation", "cutout")
LAST = 1 - 2**-24  # the largest number that torch.rand gives


def pictures(count: int = 3, channels: int = 3, side: int = 8, seed: int = 0) -> Tensor:
    """No value is 0, so a zero in the result was put there."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, channels, side, side)
    drawn = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
    return drawn + drawn.sign() * 0.01


def numbers(count: int, seed: int = 1, columns: int = NUMBERS) -> Tensor:
    return torch.rand(count, columns, generator=torch.Generator().manual_seed(seed))


def number_for(shift: int, reach: int) -> float:
    """The middle of the numbers that stand for this shift."""
    return (shift + reach + 0.5) / (2 * reach + 1)


def shifted(picture: Tensor, down: int, right: int) -> Tensor:
    """By index, pixel after pixel: (C, H, W)."""
    result = torch.zeros_like(picture)
    height, width = picture.shape[1:]
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                result[:, row, column] = picture[:, row - down, column - right]
    return result


# --- translation ---


def test_translation_is_an_exact_shift_with_zeros() -> None:
    reach = 2  # a quarter of 8
    shifts = [(d, r) for d in range(-reach, reach + 1) for r in range(-reach, reach + 1)]
    x = pictures(len(shifts))
    chosen = [[number_for(shift, reach) for shift in pair] for pair in shifts]
    y = translate(x, torch.tensor(chosen), 0.25)
    for picture, result, (down, right) in zip(x, y, shifts, strict=True):
        assert torch.equal(result, shifted(picture, down, right)), (down, right)


def test_a_wide_picture_is_shifted_by_its_own_sides() -> None:
    x = torch.rand(1, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    y = translate(x, torch.tensor([[LAST, LAST]]), 0.25)
    assert torch.equal(y[0], shifted(x[0], 1, 2))


@pytest.mark.parametrize(
    ("side", "share", "reach"), [(8, 0.125, 1), (16, 0.125, 2), (64, 0.125, 8), (16, 0.4, 6)]
)
def test_translation_reaches_just_so_far(side: int, share: float, reach: int) -> None:
    x = torch.zeros(2, 1, side, side)
    x[:, :, side // 2 - 1, side // 2 - 1] = 1
    y = translate(x, torch.tensor([[0.0, LAST], [LAST, 0.0]]), share)
    spots = [tuple(spot[1:]) for spot in y.nonzero().tolist()]
    middle = side // 2 - 1
    assert spots == [(0, middle - reach, middle + reach), (0, middle + reach, middle - reach)]


def test_all_shifts_are_equally_likely() -> None:
    grid = (torch.arange(700) + 0.5) / 700
    x = torch.zeros(700, 1, 24, 24)
    x[:, :, 12, 12] = 1
    y = translate(x, torch.stack([grid, torch.full((700,), 0.5)], dim=1), 0.125)
    rows = y.sum(dim=(0, 1, 3))
    assert rows[9:16].tolist() == [100] * 7
    assert rows.sum() == 700


# --- cutout ---


@pytest.mark.parametrize(("share", "size"), [(0.5, 4), (0.25, 2), (0.375, 3), (0.9, 7)])
def test_cutout_takes_one_square_and_nothing_else(share: float, size: int) -> None:
    x = pictures(400)
    drawn = numbers(400, columns=2)
    y = cut_out(x, drawn, share)
    hole = (y == 0).all(dim=1)
    assert torch.equal(torch.where(hole[:, None], x, y), x)
    rows, columns = hole.any(dim=2), hole.any(dim=1)
    assert torch.equal(hole, rows[:, :, None] & columns[:, None, :])
    for lines in (rows, columns):
        extent = lines.sum(dim=1)
        assert extent.max() == size
        # Centred on the border's pixels, half of it is outside.
        assert extent.min() == (size + 1) // 2
        for line in lines:  # without gaps
            places = line.nonzero().flatten()
            assert len(places) == places[-1] - places[0] + 1
    inside = hole.sum(dim=(1, 2)) == size * size
    assert inside.any()


def test_the_middle_number_cuts_the_middle() -> None:
    y = cut_out(torch.ones(1, 3, 8, 8), torch.full((1, 2), 0.5), 0.5)
    expected = torch.ones(8, 8)
    expected[2:6, 2:6] = 0
    assert torch.equal(y[0], expected.expand(3, 8, 8))


@pytest.mark.parametrize("share", [0.5, 0.375])
def test_the_square_may_lie_anywhere(share: float) -> None:
    size = int(8 * share)
    grid = (torch.arange(720) + 0.5) / 720
    drawn = torch.stack([grid, torch.full((720,), 0.5)], dim=1)
    hole = (cut_out(torch.ones(720, 1, 8, 8), drawn, share) == 0)[:, 0].any(dim=2)
    # The extents from the upper border to the lower one, each as often as the other.
    patterns, often = hole.unique(dim=0, return_counts=True)
    assert len(patterns) == 8 + (size + 1) % 2
    assert len(set(often.tolist())) == 1


def test_both_cutout_numbers_matter() -> None:
    x = torch.ones(2, 1, 8, 8)
    y = cut_out(x, torch.tensor([[0.0, LAST], [LAST, 0.0]]), 0.5)
    assert (y[0, 0, :2, 6:] == 0).all()
    assert y[0].sum() == 60
    assert torch.equal(y[1, 0], y[0, 0].T)


# --- colour ---


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colour_stays_at_the_middle_numbers(channels: int) -> None:
    x = pictures(channels=channels)
    y = change_color(x, torch.full((3, 3), 0.5))
    torch.testing.assert_close(y, x, rtol=0, atol=1e-15)


def test_brightness_adds_up_to_a_half() -> None:
    x = pictures(2)
    y = change_color(x, torch.tensor([[0.0, 0.5, 0.5], [0.75, 0.5, 0.5]]))
    torch.testing.assert_close(y[0], x[0] - 0.5)
    torch.testing.assert_close(y[1], x[1] + 0.25)


def test_saturation_runs_from_gray_to_double() -> None:
    x = pictures(2)
    y = change_color(x, torch.tensor([[0.5, 0.0, 0.5], [0.5, 1.0, 0.5]]))
    gray = x.mean(dim=1, keepdim=True).expand_as(x)
    torch.testing.assert_close(y[0], gray[0])
    torch.testing.assert_close(y[1] - gray[1], 2 * (x[1] - gray[1]))


def test_contrast_runs_from_half_to_one_and_a_half() -> None:
    x = pictures(2)
    y = change_color(x, torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 1.0]]))
    for result, picture, factor in zip(y, x, (0.5, 1.5), strict=True):
        torch.testing.assert_close(result.mean(), picture.mean())
        away, before = result - result.mean(), picture - picture.mean()
        torch.testing.assert_close(away, factor * before)


def test_brightness_is_not_changed_by_the_contrast_after_it() -> None:
    x = pictures(1)
    y = change_color(x, torch.tensor([[1.0, 0.3, 0.9]]))
    torch.testing.assert_close(y.mean(), x.mean() + 0.5)


def test_alpha_is_left_alone_and_out_of_the_averages() -> None:
    x = pictures(channels=4)
    drawn = numbers(3, columns=3)
    y = change_color(x, drawn)
    assert torch.equal(y[:, 3], x[:, 3])
    assert torch.equal(y[:, :3], change_color(x[:, :3], drawn))


def test_alpha_is_shifted_and_cut_with_the_colours() -> None:
    x = pictures(channels=4)
    for function in (partial(translate, most=0.25), partial(cut_out, side=0.5)):
        y = function(x, numbers(3, columns=2))
        assert torch.equal(y[:, 3:], function(x[:, 3:], numbers(3, columns=2)))
        assert (y[:, 3] == 0).any()


# --- together ---


def test_no_policy_no_change() -> None:
    x = pictures()
    assert torch.equal(augment(x, numbers(3), ()), x)


def test_changes_come_in_one_order_with_numbers_of_their_own() -> None:
    x, drawn = pictures(), numbers(3)
    expected = change_color(x, drawn[:, 0:3])
    expected = translate(expected, drawn[:, 3:5], 0.25)
    expected = cut_out(expected, drawn[:, 5:7], 0.375)
    for policy in (EVERYTHING, EVERYTHING[::-1]):
        assert torch.equal(augment(x, drawn, policy, 0.25, 0.375), expected)
    # Zeros that a shift brings in are mid-gray, so colour has to come first.
    assert (expected == 0).any()


@pytest.mark.parametrize("change", EVERYTHING)
def test_each_change_alone_changes_something(change: str) -> None:
    x = pictures()
    assert not torch.equal(augment(x, numbers(3), (change,), 0.25), x)


def test_the_same_numbers_give_the_same_pictures_and_nothing_is_written_to() -> None:
    x, drawn = pictures(), numbers(3)
    kept_x, kept_drawn = x.clone(), drawn.clone()
    state = torch.get_rng_state()
    first, second = (augment(x, drawn, EVERYTHING) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(x, kept_x)
    assert torch.equal(drawn, kept_drawn)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, augment(x, numbers(3, seed=2), EVERYTHING))


def test_a_picture_does_not_depend_on_its_company() -> None:
    x, drawn = pictures(5), numbers(5)
    together = augment(x, drawn, EVERYTHING)
    for i in range(5):
        alone = augment(x[i : i + 1], drawn[i : i + 1], EVERYTHING)
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_shape_and_number_format_stay(dtype: torch.dtype, memory: torch.memory_format) -> None:
    x = pictures().to(dtype).contiguous(memory_format=memory)
    y = augment(x, numbers(3), EVERYTHING)
    assert y.shape == x.shape
    assert y.dtype == dtype
    # Sums over a picture may run in another order.
    torch.testing.assert_close(y, augment(x.contiguous(), numbers(3), EVERYTHING))


CHANGES: list[Callable[[Tensor], Tensor]] = [
    partial(change_color, numbers=numbers(2, columns=3)),
    partial(translate, numbers=numbers(2, columns=2), most=0.25),
    partial(cut_out, numbers=numbers(2, columns=2), side=0.5),
    partial(augment, numbers=numbers(2), policy=EVERYTHING),
]


@pytest.mark.parametrize("change", CHANGES)
def test_gradients_equal_finite_differences(change: Callable[[Tensor], Tensor]) -> None:
    x = pictures(2, side=4).requires_grad_()
    assert torch.autograd.gradcheck(change, x)
    # Penalties on D's gradient by its pictures need a second one.
    assert torch.autograd.gradgradcheck(lambda x: change(x) ** 2, x)


def test_the_gradient_of_a_shift_is_the_shift_back() -> None:
    x = pictures(1).requires_grad_()
    reach = 2
    drawn = torch.tensor([[number_for(2, reach), number_for(-1, reach)]])
    weight = pictures(1, seed=5)
    (translate(x, drawn, 0.25) * weight).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad[0], shifted(weight[0], -2, 1))


def test_no_gradient_comes_from_what_was_cut_out() -> None:
    x = pictures(1).requires_grad_()
    y = cut_out(x, torch.full((1, 2), 0.5), 0.5)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, (y != 0).double())
