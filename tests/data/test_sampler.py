from __future__ import annotations

import numpy as np
import pytest

from morelike.data.sampler import indices


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_each_pass_shows_every_picture_once(count: int) -> None:
    for turn in (0, 1, 2, 1000):
        shown = indices(count, turn * count, count, seed=5)
        assert sorted(shown.tolist()) == list(range(count))


def test_passes_and_seeds_have_orders_of_their_own() -> None:
    orders = [indices(64, turn * 64, 64, seed) for turn in range(5) for seed in range(5)]
    assert len({order.tobytes() for order in orders}) == 25
    assert not any(np.array_equal(order, np.arange(64)) for order in orders)


def test_the_first_picture_of_a_pass_may_be_any() -> None:
    starts = indices(8, 0, 8 * 2000, seed=1).reshape(2000, 8)[:, 0]
    often = np.bincount(starts, minlength=8)
    # Chi-squared with 7 degrees of freedom; beyond 24.3 once in a thousand.
    assert ((often - 250) ** 2 / 250).sum() < 24.3


def test_it_is_a_function_of_how_many_were_shown() -> None:
    whole = indices(10, 0, 95, seed=3)
    numbers = np.random.default_rng(0)
    # Forwards, backwards, across passes: no call remembers another.
    for _ in range(200):
        start, stop = sorted(numbers.integers(0, 96, 2))
        found = indices(10, int(start), int(stop - start), seed=3)
        assert np.array_equal(found, whole[start:stop])


@pytest.mark.parametrize("batch", [1, 3, 10, 16, 37])
def test_batches_put_together_are_the_whole(batch: int) -> None:
    steps = 12
    whole = indices(10, 4, steps * batch, seed=0)
    parts = [indices(10, 4 + i * batch, batch, seed=0) for i in range(steps)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_batch_larger_than_the_set_repeats_evenly() -> None:
    shown = indices(3, 0, 12, seed=0)
    assert np.bincount(shown).tolist() == [4, 4, 4]


def test_far_into_training() -> None:
    start = 5_000_000_000
    found = indices(1000, start, 20, seed=2**63 - 1)
    assert np.array_equal(found, indices(1000, start, 20, seed=2**63 - 1))
    assert len(set(found.tolist())) == 20


def test_type_and_length() -> None:
    assert indices(5, 3, 0, seed=0).shape == (0,)
    found = indices(5, 3, 4, seed=0)
    assert found.dtype == np.int64
    assert found.shape == (4,)


def test_what_a_caller_does_to_the_result_does_not_come_back() -> None:
    before = indices(5, 0, 5, seed=0).copy()
    indices(5, 0, 5, seed=0)[:] = 0
    assert np.array_equal(indices(5, 0, 5, seed=0), before)
