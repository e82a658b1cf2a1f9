from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from morelike.losses import LOSSES, discriminator_hinge

CROSS_ENTROPY = ("minimax", "non_saturating")
SMOOTHED = (*CROSS_ENTROPY, "least_squares")
every_loss = pytest.mark.parametrize("name", sorted(LOSSES))

REAL = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0], dtype=torch.float64)
FAKE = torch.tensor([1.5, -0.5, 0.0, -2.0, 0.25], dtype=torch.float64)


def mean(function: Callable[[float], float], logits: Tensor) -> float:
    return sum(map(function, logits.tolist())) / logits.numel()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def slope(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.clone().requires_grad_()
    function(at).backward()
    assert at.grad is not None
    return at.grad


def test_the_losses_a_person_can_choose() -> None:
    assert sorted(LOSSES) == ["hinge", "least_squares", "minimax", "non_saturating"]


@pytest.mark.parametrize("name", CROSS_ENTROPY)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_cross_entropy_on_probabilities(name: str, smoothing: float) -> None:
    def on_real(x: float) -> float:
        p = sigmoid(x)
        return -(1 - smoothing) * math.log(p) - smoothing * math.log(1 - p)

    expected = mean(on_real, REAL) + mean(lambda x: -math.log(1 - sigmoid(x)), FAKE)
    found = LOSSES[name].discriminator(REAL, FAKE, smoothing)
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_least_squares_in_closed_form(smoothing: float) -> None:
    on_real = mean(lambda x: (x - 1 + smoothing) ** 2 / 2, REAL)
    found = LOSSES["least_squares"].discriminator(REAL, FAKE, smoothing)
    assert found.item() == pytest.approx(on_real + mean(lambda x: x * x / 2, FAKE), rel=1e-12)


def test_hinge_in_closed_form() -> None:
    expected = mean(lambda x: max(0, 1 - x), REAL) + mean(lambda x: max(0, 1 + x), FAKE)
    assert LOSSES["hinge"].discriminator(REAL, FAKE, 0.0).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("minimax", lambda x: math.log(1 - sigmoid(x))),
        ("non_saturating", lambda x: -math.log(sigmoid(x))),
        ("least_squares", lambda x: (x - 1) ** 2 / 2),
        ("hinge", lambda x: -x),
    ],
)
def test_generators_in_closed_form(name: str, closed: Callable[[float], float]) -> None:
    assert LOSSES[name].generator(FAKE).item() == pytest.approx(mean(closed, FAKE), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "derivative"),
    [
        ("minimax", lambda x: -sigmoid(x)),
        ("non_saturating", lambda x: sigmoid(x) - 1),
        ("least_squares", lambda x: x - 1),
        ("hinge", lambda x: -1.0),
    ],
)
def test_the_generators_slopes(name: str, derivative: Callable[[float], float]) -> None:
    expected = torch.tensor([derivative(x) / len(FAKE) for x in FAKE.tolist()]).double()
    torch.testing.assert_close(slope(LOSSES[name].generator, FAKE), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "on_real", "on_fake"),
    [
        ("minimax", lambda x: sigmoid(x) - 1, sigmoid),
        ("non_saturating", lambda x: sigmoid(x) - 1, sigmoid),
        ("least_squares", lambda x: x - 1, lambda x: x),
        ("hinge", lambda x: -float(x < 1), lambda x: float(x > -1)),
    ],
)
def test_the_discriminators_slopes(
    name: str, on_real: Callable[[float], float], on_fake: Callable[[float], float]
) -> None:
    loss = LOSSES[name].discriminator
    for found, derivative, at in (
        (slope(lambda x: loss(x, FAKE, 0.0), REAL), on_real, REAL),
        (slope(lambda x: loss(REAL, x, 0.0), FAKE), on_fake, FAKE),
    ):
        expected = torch.tensor([derivative(x) / len(at) for x in at.tolist()]).double()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", CROSS_ENTROPY)
def test_a_discriminator_that_cannot_tell_pays_two_logarithms_of_two(name: str) -> None:
    # Goodfellow et al. 2014, theorem 1: the value of the game is -log 4.
    zero = torch.zeros(4)
    assert LOSSES[name].discriminator(zero, zero, 0.0).item() == pytest.approx(math.log(4))
    assert LOSSES["minimax"].generator(zero).item() == pytest.approx(-math.log(2))
    assert LOSSES["non_saturating"].generator(zero).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("name", "rest"),
    [("minimax", 0.0), ("non_saturating", 0.0), ("least_squares", 0.5), ("hinge", 0.3)],
)
def test_equal_sets_leave_the_discriminator_at_rest(name: str, rest: float) -> None:
    # Where both sets look the same, D's best single answer is halfway between the targets.
    at = torch.full((3,), rest, dtype=torch.float64)
    found = slope(lambda x: LOSSES[name].discriminator(x, x, 0.0), at)
    assert found.abs().max() < 1e-15


@pytest.mark.parametrize("name", SMOOTHED)
@pytest.mark.parametrize("smoothing", [0.1, 0.3])
def test_smoothing_moves_the_rest_on_real_pictures_only(name: str, smoothing: float) -> None:
    target = 1 - smoothing
    best = target if name == "least_squares" else math.log(target / (1 - target))
    loss = LOSSES[name].discriminator
    at = torch.full((2,), best, dtype=torch.float64)
    assert slope(lambda x: loss(x, FAKE, smoothing), at).abs().max() < 1e-15
    assert slope(lambda x: loss(x, FAKE, smoothing), at + 0.1).min() > 0
    assert slope(lambda x: loss(x, FAKE, smoothing), at - 0.1).max() < 0
    plain, smooth = (slope(lambda x: loss(REAL, x, s), FAKE) for s in (0.0, smoothing))  # noqa: B023
    assert torch.equal(plain, smooth)


def test_hinge_has_nothing_to_smooth() -> None:
    with pytest.raises(ValueError, match="no target labels"):
        discriminator_hinge(REAL, FAKE, 0.1)


def test_hinge_is_at_rest_beyond_its_margins() -> None:
    sure = torch.tensor([1.5, 40.0])
    assert discriminator_hinge(sure, -sure).item() == 0
    assert not slope(lambda x: discriminator_hinge(x, -x), sure).any()


def test_minimax_stalls_where_non_saturating_pushes() -> None:
    sure = torch.full((1,), -30.0)
    assert abs(slope(LOSSES["minimax"].generator, sure).item()) < 1e-12
    assert slope(LOSSES["non_saturating"].generator, sure).item() == pytest.approx(-1)
    # Both want the logit to rise.
    assert slope(LOSSES["minimax"].generator, sure).item() < 0


@every_loss
@pytest.mark.parametrize("far", [1e4, -1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_logits_give_finite_losses_and_slopes(
    name: str, far: float, dtype: torch.dtype
) -> None:
    at = torch.tensor([far, 0.0], dtype=dtype)
    loss = LOSSES[name]
    smoothing = 0.0 if name == "hinge" else 0.1
    for function in (loss.generator, lambda x: loss.discriminator(x, -x, smoothing)):
        value = function(at)
        assert value.dtype == dtype
        assert value.isfinite()
        assert slope(function, at).isfinite().all()


@pytest.mark.parametrize("name", CROSS_ENTROPY)
def test_far_logits_cost_what_they_are(name: str) -> None:
    far = torch.tensor([1e4])
    loss = LOSSES[name]
    assert loss.discriminator(-far, -far, 0.0).item() == 1e4
    assert loss.discriminator(far, far, 0.0).item() == 1e4
    assert loss.discriminator(far, -far, 0.0).item() == 0
    assert LOSSES["minimax"].generator(far).item() == -1e4
    assert LOSSES["non_saturating"].generator(-far).item() == 1e4


@every_loss
def test_a_loss_is_a_mean_over_logits_of_any_shape(name: str) -> None:
    loss = LOSSES[name]
    patches = torch.randn(2, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    for function in (loss.generator, lambda x: loss.discriminator(x, -2 * x, 0.0)):
        whole = function(patches)
        assert whole.shape == ()
        torch.testing.assert_close(whole, function(patches.flatten()))
        torch.testing.assert_close(whole, function(torch.cat([patches, patches])))


@every_loss
def test_the_players_want_opposite_things(name: str) -> None:
    at = torch.tensor([0.2], dtype=torch.float64)
    loss = LOSSES[name]
    assert slope(loss.generator, at).item() < 0
    assert slope(lambda x: loss.discriminator(at, x, 0.0), at).item() > 0
    assert slope(lambda x: loss.discriminator(x, at, 0.0), at).item() < 0
