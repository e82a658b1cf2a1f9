from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.rng import SeedDraws, StepDraws, rng

CPU = torch.device("cpu")


def first(numbers: np.random.RandomState) -> float:
    return numbers.random_sample()


def step_draws(
    seed: int = 3,
    images: int = 128,
    update: str = "generator.0",
    batch: int = 12,
    rows: range | None = None,
    dtype: torch.dtype = torch.float32,
) -> StepDraws:
    rows = range(batch) if rows is None else rows
    return StepDraws(seed, images, update, batch, rows.start, rows.stop, CPU, dtype)


def both(draws: StepDraws | SeedDraws, purpose: str = "x") -> list[Tensor]:
    return [draws.normal(purpose, 4), draws.uniform(purpose, 4)]


def test_the_same_place_gives_the_same_numbers() -> None:
    assert first(rng(1, 2, "latents")) == first(rng(1, 2, "latents"))


def test_every_other_place_gives_other_numbers() -> None:
    places = [
        (0,),
        (1,),
        (0, 0),
        (0, 1),
        (1, 0),
        (0, "0"),
        (0, "latents"),
        (0, "latents", 0),
        (0, 0, "latents"),
        (0, 11),
        (0, 1, 1),
        (2**63 - 1,),
        (2**63 - 1, "latents"),
    ]
    assert len({first(rng(*place)) for place in places}) == len(places)


def test_neighbouring_seeds_are_not_alike() -> None:
    drawn = torch.tensor(np.stack([rng(seed, "x").standard_normal(256) for seed in range(64)]))
    correlation = torch.corrcoef(drawn) - torch.eye(64)
    assert correlation.abs().max() < 5 / math.sqrt(256)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    both(step_draws())
    both(SeedDraws([1, 2], CPU, truncation=0.5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("other", [{"seed": 4}, {"images": 140}, {"update": "discriminator.0"}])
def test_a_step_s_numbers_depend_on_where_it_is(other: dict[str, int]) -> None:
    for a, b in zip(both(step_draws()), both(step_draws(**other)), strict=True):
        assert not (a == b).any()


@pytest.mark.parametrize("draws", [step_draws(), SeedDraws(range(12), CPU)])
def test_each_purpose_has_numbers_of_its_own(draws: StepDraws | SeedDraws) -> None:
    for a, b in zip(both(draws, "x"), both(draws, "y"), strict=True):
        assert not (a == b).any()


@pytest.mark.parametrize("draws", [step_draws(), SeedDraws(range(12), CPU)])
def test_no_history(draws: StepDraws | SeedDraws) -> None:
    before = both(draws)
    draws.normal("something else", 100)
    assert all(torch.equal(a, b) for a, b in zip(before, both(draws), strict=True))


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 12])
def test_parts_of_a_batch_put_together_are_the_whole(parts: int) -> None:
    size = 12 // parts
    cut = [both(step_draws(rows=range(i, i + size))) for i in range(0, 12, size)]
    for whole, pieces in zip(both(step_draws()), zip(*cut, strict=True), strict=True):
        assert torch.equal(torch.cat(pieces), whole)


def test_rows_differ() -> None:
    for value in (*both(step_draws()), *both(SeedDraws(range(12), CPU))):
        assert len(value.unique(dim=0)) == 12


def test_shapes_and_number_formats() -> None:
    draws = step_draws(rows=range(2, 7), dtype=torch.float64)
    assert draws.count == 5
    assert draws.normal("x", 3, 2).shape == (5, 3, 2)
    assert draws.uniform("x").shape == (5,)
    # The tests of the arithmetic see the numbers that training sees.
    assert torch.equal(draws.normal("x", 3), step_draws(rows=range(2, 7)).normal("x", 3).double())
    samples = SeedDraws([9, 8, 7], CPU)
    assert samples.count == 3
    assert samples.normal("x", 3, 2).shape == (3, 3, 2)
    assert samples.uniform("x", 1).shape == (3, 1)


@pytest.mark.parametrize("truncation", [None, 0.5])
def test_one_number_for_each_seed(truncation: float | None) -> None:
    draws = SeedDraws([9, 8, 7], CPU, truncation)
    assert draws.normal("x").shape == draws.uniform("x").shape == (3,)


@pytest.mark.parametrize("kind", ["step", "seed"])
def test_the_distributions(kind: str) -> None:
    count = 20_000
    draws = step_draws(batch=count) if kind == "step" else SeedDraws(range(count // 8), CPU)
    shape = () if kind == "step" else (8,)
    normal, uniform = draws.normal("x", *shape).flatten(), draws.uniform("x", *shape).flatten()
    assert uniform.min() >= 0
    assert uniform.max() < 1
    for cumulative in (uniform, _normal_cumulative(normal)):
        assert _kolmogorov_smirnov(cumulative) < 1.95  # exceeded by chance once in a thousand


def _normal_cumulative(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(x.double() / math.sqrt(2)))


def _kolmogorov_smirnov(cumulative: Tensor) -> float:
    """sqrt(n) times the largest distance to the straight line."""
    ordered = cumulative.double().sort().values
    n = len(ordered)
    line = torch.arange(n, dtype=torch.float64) / n
    return math.sqrt(n) * max((ordered - line).abs().max(), (ordered - line - 1 / n).abs().max())


@pytest.mark.parametrize("truncation", [None, 0.7])
def test_a_sample_s_numbers_depend_on_its_seed_alone(truncation: float | None) -> None:
    seeds = [5, 2**63 - 1, 0, 17]
    together = both(SeedDraws(seeds, CPU, truncation))
    backwards = both(SeedDraws(seeds[::-1], CPU, truncation))
    for row, seed in enumerate(seeds):
        alone = both(SeedDraws([seed], CPU, truncation))
        for one, many, reverse in zip(alone, together, backwards, strict=True):
            assert torch.equal(one[0], many[row])
            assert torch.equal(one[0], reverse[len(seeds) - 1 - row])


@pytest.mark.parametrize("bound", [0.3, 1.0, 2.5])
def test_truncation_bounds_and_keeps_the_distribution_inside(bound: float) -> None:
    seeds = range(500)
    free = SeedDraws(seeds, CPU).normal("latents", 40)
    held = SeedDraws(seeds, CPU, bound).normal("latents", 40)
    assert held.abs().max() <= bound
    inside = free.abs() <= bound
    assert not inside.all()
    # What was within the bound stays, so a truncated sample resembles its free one.
    assert torch.equal(held[inside], free[inside])
    low, high = (_normal_cumulative(torch.tensor(x)) for x in (-bound, bound))
    cumulative = (_normal_cumulative(held.flatten()) - low) / (high - low)
    assert _kolmogorov_smirnov(cumulative) < 1.95


def test_truncation_leaves_uniform_numbers_alone() -> None:
    free, held = (SeedDraws([1, 2], CPU, bound).uniform("x", 50) for bound in (None, 0.2))
    assert torch.equal(free, held)


@pytest.mark.parametrize("pair", [(37486, 79822), (26490, 92916), (77303, 115403)])
def test_no_two_seeds_give_the_same_sample(pair: tuple[int, int]) -> None:
    one, two = SeedDraws(pair, CPU).normal("latents", 100)
    assert not torch.equal(one, two)
