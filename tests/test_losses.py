from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from morelike.config import WITH_TARGETS, ObjectiveConfig
from morelike.losses import LOSSES, discriminator_hinge

CROSS_ENTROPY = ("minimax", "non_saturating")
SMOOTHED = (*CROSS_ENTROPY, "least_squares")
RELATIVISTIC = ("relativistic", "relativistic_average", "relativistic_average_hinge")
every_loss = pytest.mark.parametrize("name", sorted(LOSSES))
relativistic = pytest.mark.parametrize("name", RELATIVISTIC)

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


def discriminator_of(name: str, smoothing: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """(real logits, fake logits) -> what D pays."""
    loss = LOSSES[name]
    more = (smoothing,) if loss.has_targets else ()
    return lambda real, fake: loss.discriminator(real, fake, *more)


def generator_of(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """(real logits, fake logits) -> what G pays."""
    loss = LOSSES[name]
    if loss.is_relativistic:
        return lambda real, fake: loss.generator(fake, real)
    return lambda real, fake: loss.generator(fake)


def test_the_losses_a_person_can_choose() -> None:
    names = ObjectiveConfig.model_json_schema()["properties"]["loss"]["enum"]
    assert sorted(LOSSES) == sorted(names)
    assert sorted(LOSSES) == sorted(
        ["hinge", "least_squares", "minimax", "non_saturating", "wasserstein", *RELATIVISTIC]
    )


def test_which_have_targets_and_which_compare() -> None:
    assert {name for name, loss in LOSSES.items() if loss.has_targets} == WITH_TARGETS
    assert {name for name, loss in LOSSES.items() if loss.is_relativistic} == {*RELATIVISTIC}


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
    assert discriminator_hinge(REAL, FAKE).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("minimax", lambda x: math.log(1 - sigmoid(x))),
        ("non_saturating", lambda x: -math.log(sigmoid(x))),
        ("least_squares", lambda x: (x - 1) ** 2 / 2),
        ("hinge", lambda x: -x),
        ("wasserstein", lambda x: -x),
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
        ("wasserstein", lambda x: -1.0),
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
        ("wasserstein", lambda x: -1.0, lambda x: 1.0),
    ],
)
def test_the_discriminators_slopes(
    name: str, on_real: Callable[[float], float], on_fake: Callable[[float], float]
) -> None:
    loss = discriminator_of(name)
    for found, derivative, at in (
        (slope(lambda x: loss(x, FAKE), REAL), on_real, REAL),
        (slope(lambda x: loss(REAL, x), FAKE), on_fake, FAKE),
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
    found = slope(lambda x: discriminator_of(name)(x, x), at)
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


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(SMOOTHED)))
def test_where_there_are_no_targets_there_is_nothing_to_smooth(name: str) -> None:
    with pytest.raises(TypeError):
        LOSSES[name].discriminator(REAL, FAKE, 0.1)


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
    for loss in (generator_of(name), discriminator_of(name, 0.1)):
        for function in (
            lambda x, loss=loss: loss(x, -x),
            lambda x, loss=loss: loss(x, 0 * x),
            lambda x, loss=loss: loss(0 * x, x),
        ):
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
    patches = torch.randn(2, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    for loss in (generator_of(name), discriminator_of(name)):
        whole = loss(patches, -2 * patches)
        flat, twice = patches.flatten(), torch.cat([patches, patches])
        assert whole.shape == ()
        torch.testing.assert_close(whole, loss(flat, -2 * flat))
        torch.testing.assert_close(whole, loss(twice, -2 * twice))


@every_loss
def test_the_players_want_opposite_things(name: str) -> None:
    at = torch.tensor([0.2], dtype=torch.float64)
    generator, discriminator = generator_of(name), discriminator_of(name)
    assert slope(lambda x: generator(at, x), at).item() < 0
    assert slope(lambda x: discriminator(at, x), at).item() > 0
    assert slope(lambda x: discriminator(x, at), at).item() < 0


# --- the critic ---


def test_the_critic_s_loss_is_the_difference_of_the_means() -> None:
    expected = sum(FAKE.tolist()) / 5 - sum(REAL.tolist()) / 5
    assert discriminator_of("wasserstein")(REAL, FAKE).item() == pytest.approx(expected)
    # Higher on real pictures, lower on generated ones: that is what the critic gains by.
    assert discriminator_of("wasserstein")(REAL + 1, FAKE - 1).item() == pytest.approx(expected - 2)


# --- the games that compare ---


def by_hand(name: str, winner: list[float], loser: list[float]) -> float:
    """Jolicoeur-Martineau 2018: eq. 5, 7 and 8, and the hinge, on probabilities, not on logits."""
    count = len(winner)
    mean_winner, mean_loser = sum(winner) / count, sum(loser) / count
    if name == "relativistic":
        pairs = zip(winner, loser, strict=True)
        return sum(-math.log(sigmoid(w - l)) for w, l in pairs) / count  # noqa: E741
    if name == "relativistic_average":
        on_winner = [-math.log(sigmoid(w - mean_loser)) for w in winner]
        on_loser = [-math.log(1 - sigmoid(x - mean_winner)) for x in loser]
    else:
        on_winner = [max(0, 1 - (w - mean_loser)) for w in winner]
        on_loser = [max(0, 1 + (x - mean_winner)) for x in loser]
    return sum(on_winner) / count + sum(on_loser) / count


@relativistic
def test_both_sides_of_a_comparison_by_hand(name: str) -> None:
    real, fake = REAL.tolist(), FAKE.tolist()
    found = discriminator_of(name)(REAL, FAKE).item()
    assert found == pytest.approx(by_hand(name, real, fake), rel=1e-12)
    # G plays the same game with its own pictures as winners.
    found = generator_of(name)(REAL, FAKE).item()
    assert found == pytest.approx(by_hand(name, fake, real), rel=1e-12)
    assert found != pytest.approx(by_hand(name, real, fake), rel=0.1)


@relativistic
def test_slopes_of_a_comparison_equal_finite_differences(name: str) -> None:
    by = 1e-6
    for loss, sides in ((discriminator_of(name), (REAL, FAKE)), (generator_of(name), (FAKE, REAL))):
        for moved in (0, 1):
            expected = []
            for place in range(5):
                values = []
                for step in (by, -by):
                    lists = [side.tolist() for side in sides]
                    lists[moved][place] += step
                    values.append(by_hand(name, *lists))
                expected.append((values[0] - values[1]) / (2 * by))

            real = sides[moved] is REAL
            found = slope(lambda x: loss(x, FAKE) if real else loss(REAL, x), sides[moved])  # noqa: B023
            torch.testing.assert_close(
                found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-8
            )


def test_slopes_of_a_pair_by_hand() -> None:
    real, fake = (torch.tensor([x, 0.0], dtype=torch.float64) for x in (2.0, 1.0))
    sure = sigmoid(fake[0].item() - real[0].item())  # how probable D finds it to be wrong
    loss = discriminator_of("relativistic")
    assert slope(lambda x: loss(x, fake), real).tolist() == pytest.approx([-sure / 2, -0.25])
    assert slope(lambda x: loss(real, x), fake).tolist() == pytest.approx([sure / 2, 0.25])


@relativistic
def test_a_comparison_is_of_differences_alone(name: str) -> None:
    for loss in (discriminator_of(name), generator_of(name)):
        value = loss(REAL, FAKE).item()
        assert loss(REAL + 7, FAKE + 7).item() == pytest.approx(value, rel=1e-12)
        on_real = slope(lambda x: loss(x, FAKE), REAL)  # noqa: B023
        on_fake = slope(lambda x: loss(REAL, x), FAKE)  # noqa: B023
        assert (on_real.sum() + on_fake.sum()).abs() < 1e-15
        assert on_real.abs().sum() > 0.1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("relativistic", math.log(2)),
        ("relativistic_average", 2 * math.log(2)),
        ("relativistic_average_hinge", 2.0),
        ("wasserstein", 0.0),
        ("hinge", 2.0),
    ],
)
@pytest.mark.parametrize("level", [0.0, -0.5, 0.25])
def test_what_a_discriminator_pays_that_gives_one_answer_to_all(
    name: str, value: float, level: float
) -> None:
    same = torch.full((4,), level, dtype=torch.float64)
    assert discriminator_of(name)(same, same).item() == pytest.approx(value, abs=1e-15)
    if name in RELATIVISTIC:
        assert generator_of(name)(same, same).item() == pytest.approx(value, abs=1e-15)


@relativistic
def test_far_apart_the_winner_pays_nothing_and_the_loser_the_distance(name: str) -> None:
    far, times = torch.tensor([1e4]), 1 if name == "relativistic" else 2
    margin = 1 if name == "relativistic_average_hinge" else 0
    assert discriminator_of(name)(far, -far).item() == 0
    assert generator_of(name)(far, -far).item() == times * (2e4 + margin)
    assert slope(lambda x: generator_of(name)(far, x), -far).item() == -times
    assert not slope(lambda x: discriminator_of(name)(x, -far), far).any()


def test_pairs_count_one_by_one_and_averages_do_not() -> None:
    turned = FAKE.flip(0)
    for name in RELATIVISTIC:
        one, other = (discriminator_of(name)(REAL, fake).item() for fake in (FAKE, turned))
        assert (one == pytest.approx(other, rel=1e-9)) == (name != "relativistic")
