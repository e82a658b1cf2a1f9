from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from morelike.penalties import (
    between,
    by_differences,
    consistency,
    drift,
    lecam,
    one_centered,
    squared_gradient_norms,
    zero_centered,
)

Critic = Callable[[Tensor], Tensor]
Penalty = Callable[[Critic, Tensor], Tensor]
of_gradients = pytest.mark.parametrize("penalty", [zero_centered, one_centered])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def linear(weights: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: (x * weights).flatten(1).sum(dim=1) + 3


def smooth_network(pixels: int = 12) -> nn.Module:
    """Dense and convolving layers that have second derivatives everywhere."""
    network = nn.Sequential(
        nn.Unflatten(1, (3, pixels // 3)),
        nn.Conv1d(3, 4, 2),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(4 * (pixels // 3 - 1), 5),
        nn.Tanh(),
        nn.Linear(5, 1),
        nn.Flatten(0),
    ).double()
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.copy_(0.6 * normal(*parameter.shape, seed=number + 5))
    return network


# --- closed forms ---


def test_the_gradient_of_a_linear_critic_is_its_weights() -> None:
    weights, x = normal(3, 4, 2), normal(5, 3, 4, 2, seed=1)
    size = math.sqrt(sum(w * w for w in weights.flatten().tolist()))
    norms = squared_gradient_norms(linear(weights), x)
    assert norms.shape == (5,)
    assert norms.tolist() == pytest.approx([size**2] * 5, rel=1e-13)
    # R1 is half the squared norm, WGAN-GP the squared distance of the norm from 1.
    assert zero_centered(linear(weights), x).item() == pytest.approx(size**2 / 2, rel=1e-13)
    assert one_centered(linear(weights), x).item() == pytest.approx((size - 1) ** 2, rel=1e-10)


def test_a_critic_of_slope_one_pays_nothing_to_the_one_centred() -> None:
    weights = normal(6)
    assert one_centered(linear(weights / weights.norm()), normal(4, 6)).item() < 1e-12


def test_the_mean_is_over_pictures_not_over_pixels() -> None:
    # D(x) = |x|^2 / 2 has the gradient x: norms 5 and 13 by hand.
    x = torch.tensor([[3.0, 4.0], [5.0, 12.0]], dtype=torch.float64)

    def bowl(x: Tensor) -> Tensor:
        return x.square().sum(dim=1) / 2

    assert squared_gradient_norms(bowl, x).tolist() == [25, 169]
    assert zero_centered(bowl, x).item() == pytest.approx((25 + 169) / 4)
    assert one_centered(bowl, x).item() == pytest.approx((4**2 + 12**2) / 2)


def test_of_several_logits_the_gradient_of_their_sum() -> None:
    weights = normal(4, 7)

    def patches(x: Tensor) -> Tensor:
        return (x @ weights.T).reshape(-1, 1, 2, 2)

    expected = weights.sum(dim=0).square().sum().item()
    found = squared_gradient_norms(patches, normal(3, 7, seed=1))
    assert found.tolist() == pytest.approx([expected] * 3)


def test_a_picture_s_norm_does_not_depend_on_its_company() -> None:
    network, x = smooth_network(), normal(6, 12)
    together = squared_gradient_norms(network, x)
    alone = torch.cat([squared_gradient_norms(network, x[i : i + 1]) for i in range(6)])
    assert len(together.unique()) == 6
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)


def test_norms_equal_finite_differences_by_each_pixel() -> None:
    network, x, by = smooth_network(), normal(2, 12), 1e-5
    slopes = torch.zeros_like(x)
    with torch.no_grad():
        for pixel in range(12):
            step = torch.zeros(12, dtype=torch.float64)
            step[pixel] = by
            slopes[:, pixel] = (network(x + step) - network(x - step)) / (2 * by)
    expected = slopes.square().sum(dim=1)
    torch.testing.assert_close(squared_gradient_norms(network, x), expected, rtol=1e-8, atol=0)


# --- by differences, which need no second derivative ---


def all_signs(pictures: Tensor, values: int) -> tuple[Tensor, Tensor]:
    """Each picture once with every choice of signs."""
    choices = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=values))).double()
    return pictures.repeat_interleave(len(choices), 0), choices.repeat(len(pictures), 1)


def differences(network: Critic, x: Tensor, signs: Tensor, step: float) -> Tensor:
    return by_differences(network, network(x), [x], [signs], step)


@pytest.mark.parametrize("step", [1e-3, 1.0])
def test_differences_of_a_linear_critic_are_its_slope_whatever_the_step(step: float) -> None:
    weights = normal(6)
    x, signs = all_signs(normal(2, 6, seed=1), 6)
    expected = weights.square().sum().item() / 2
    assert differences(linear(weights), x, signs, step).item() == pytest.approx(expected)


def test_differences_by_hand() -> None:
    # D(x) = |x|^2 / 2 moves from 12.5 to (3.5^2 + 3.5^2) / 2 = 12.25: a slope of -0.5.
    def bowl(x: Tensor) -> Tensor:
        return x.square().sum(dim=1) / 2

    x, signs = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, -1.0]])
    assert differences(bowl, x, signs, 0.5).item() == pytest.approx(0.5**2 / 2)


def test_differences_are_the_exact_penalty_on_average_and_so_is_their_gradient() -> None:
    network, x = smooth_network(), normal(2, 12)
    exact = zero_centered(network, x)
    found = differences(network, *all_signs(x, 12), 1e-4)
    assert found.item() == pytest.approx(exact.item(), rel=1e-6)
    weights = [p for name, p in network.named_parameters() if name != "6.bias"]
    for one, other in zip(
        torch.autograd.grad(found, weights), torch.autograd.grad(exact, weights), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_differences_of_the_sum_of_several_logits_at_several_resolutions() -> None:
    first, second = normal(4, 7), normal(4, 3, seed=1)

    def patches(x: Tensor, y: Tensor) -> Tensor:
        return (x @ first.T + y @ second.T).reshape(-1, 1, 2, 2)

    x, y = normal(1, 7, seed=2), normal(1, 3, seed=3)
    s, t = normal(1, 7, seed=4).sign(), normal(1, 3, seed=5).sign()
    slope = (first @ s[0] + second @ t[0]).sum().item()
    found = by_differences(patches, patches(x, y), [x, y], [s, t], 0.1)
    assert found.item() == pytest.approx(slope**2 / 2)


def test_differences_leave_pictures_alone() -> None:
    network, source = smooth_network(), normal(3, 12).requires_grad_()
    logits = network(source.detach())
    by_differences(network, logits, [1 * source], [normal(3, 12).sign()], 0.1).backward()
    assert source.grad is None


# --- the gradient by the weights, which is a second derivative ---


@of_gradients
def test_the_gradient_by_every_weight_equals_finite_differences(penalty: Penalty) -> None:
    network, x, by = smooth_network(), normal(3, 12), 1e-5
    penalty(network, x).backward()
    for name, parameter in network.named_parameters():
        if name == "6.bias":  # shifts all logits alike; no gradient can feel it
            assert parameter.grad is None or not parameter.grad.any()
            continue
        assert parameter.grad is not None, name
        flat = parameter.detach().view(-1)
        expected = []
        for place in range(flat.numel()):
            around = []
            for side in (by, -by):
                kept = flat[place].item()
                flat[place] += side
                around.append(penalty(network, x).item())
                flat[place] = kept
            expected.append((around[0] - around[1]) / (2 * by))
        wanted = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(parameter.grad.flatten(), wanted, rtol=1e-7, atol=1e-8)
        assert wanted.abs().max() > 1e-4, name


@of_gradients
def test_the_gradient_of_a_linear_critic_s_penalty_in_closed_form(penalty: Penalty) -> None:
    weights = normal(8).requires_grad_()
    penalty(linear(weights), normal(3, 8, seed=1)).backward()
    size = weights.detach().norm()
    factor = 1.0 if penalty is zero_centered else 2 * (size - 1) / size
    assert weights.grad is not None
    torch.testing.assert_close(weights.grad, factor * weights.detach(), rtol=1e-10, atol=0)


def test_a_critic_that_ignores_its_input_can_still_be_moved() -> None:
    # At the gradient 0 a plain square root has an infinite slope, and infinity times 0 is NaN.
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        weights = torch.zeros(4, dtype=dtype, requires_grad=True)
        value = one_centered(linear(weights), torch.ones(2, 4, dtype=dtype))
        value.backward()
        assert value.item() == pytest.approx(1, abs=1e-5)
        assert weights.grad is not None
        assert weights.grad.isfinite().all()


@of_gradients
def test_it_looks_at_pictures_and_leaves_them_alone(penalty: Penalty) -> None:
    network = smooth_network()
    source = normal(3, 12).requires_grad_()
    pictures = 1 * source  # as G made them
    before = pictures.detach().clone()
    penalty(network, pictures).backward()
    assert source.grad is None
    assert torch.equal(pictures, before)
    plain = normal(3, 12)
    penalty(network, plain)
    assert not plain.requires_grad


@of_gradients
def test_it_finds_its_gradient_where_none_is_recorded(penalty: Penalty) -> None:
    network, x = smooth_network(), normal(3, 12)
    with torch.no_grad():
        inside = penalty(network, x).item()
    assert inside == pytest.approx(penalty(network, x).item(), rel=1e-12)


# --- between ---


def test_shares_0_and_1_are_the_two_ends() -> None:
    real, fake = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    assert torch.equal(between(real, fake, torch.ones(2)), real)
    assert torch.equal(between(real, fake, torch.zeros(2)), fake)


@pytest.mark.parametrize("shape", [(3, 2), (3, 1, 2, 2), (3, 2, 1, 1, 1)])
def test_each_pair_has_one_share_for_all_its_pixels(shape: tuple[int, ...]) -> None:
    real, fake = torch.full(shape, 8.0), torch.full(shape, -8.0)
    found = between(real, fake, torch.tensor([0.25, 0.5, 0.75]))
    assert found.shape == shape
    assert found.flatten(1)[:, 0].tolist() == [-4, 0, 4]  # the share is the real one's
    assert (found.flatten(1) == found.flatten(1)[:, :1]).all()


def test_the_real_one_s_precision_is_kept() -> None:
    real, fake = torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bfloat16)
    shares = torch.tensor([0.1, 0.3])
    assert between(real, fake, shares).dtype == torch.float32
    assert between(real.double(), fake, shares).dtype == torch.float64
    torch.testing.assert_close(between(real, fake, shares), real)


# --- drift and consistency ---


def test_drift_is_the_mean_square_of_the_logits() -> None:
    logits = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    value = drift(logits)
    value.backward()
    assert value.item() == pytest.approx(14 / 3)
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([2 / 3, -4 / 3, 2])
    patches = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    assert drift(patches).item() == pytest.approx(14 / 4)


def test_consistency_is_the_mean_square_of_what_changed() -> None:
    one = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    other = torch.tensor([4.0, 1.0], dtype=torch.float64, requires_grad=True)
    value = consistency(one, other)
    value.backward()
    assert value.item() == pytest.approx((9 + 1) / 2)
    assert one.grad is not None
    assert other.grad is not None  # both answers move towards each other
    assert one.grad.tolist() == pytest.approx([-3, 1])
    assert other.grad.tolist() == pytest.approx([3, -1])
    assert consistency(one, one).item() == 0


# --- LeCam ---


def test_lecam_holds_each_kind_to_the_mean_of_the_other() -> None:
    real = torch.tensor([1.0, 3.0], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([-2.0, 0.0], dtype=torch.float64, requires_grad=True)
    mean_real, mean_fake = torch.tensor([2.0, -0.5], dtype=torch.float64)
    value = lecam(real, fake, mean_real, mean_fake)
    value.backward()
    # (1.5^2 + 3.5^2) / 2 + (4^2 + 2^2) / 2
    assert value.item() == pytest.approx(7.25 + 10)
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.tolist() == pytest.approx([1.5, 3.5])
    assert fake.grad.tolist() == pytest.approx([-4, -2])


def test_lecam_is_0_where_both_kinds_are_alike() -> None:
    same = torch.full((3,), 0.7)
    assert lecam(same, same, same[0], same[0]).item() == 0
