from __future__ import annotations

from itertools import pairwise

from morelike.training.schedule import is_frame, is_milestone


def test_milestones_are_at_one_two_three_and_five_of_each_power_of_ten() -> None:
    expected = [0]
    for power in range(2, 6):
        expected += [mantissa * 10**power for mantissa in (1, 2, 3, 5)]
    assert [step for step in range(500_001) if is_milestone(step)] == expected


def test_far_milestones() -> None:
    assert is_milestone(30_000_000)
    assert not is_milestone(40_000_000)
    assert not is_milestone(30_000_001)
    assert not is_milestone(31_000_000)


def test_frames_are_dense_early_and_ever_rarer() -> None:
    frames = [step for step in range(200_000) if is_frame(step)]
    assert frames[:7] == [0, 2, 4, 6, 8, 10, 12]
    gaps = [later - earlier for earlier, later in pairwise(frames)]
    assert gaps == sorted(gaps)
    for earlier, gap in zip(frames, gaps, strict=False):
        assert gap <= max(2, 0.09 * earlier)
        assert gap >= 2
    # A long training still makes a short film.
    assert 100 < len(frames) < 200


def test_frames_do_not_depend_on_what_was_asked_before() -> None:
    assert is_frame(100_000) == is_frame(100_000)
    assert not is_frame(1)
    assert not is_frame(3)
    assert sum(map(is_frame, range(999_000_000, 999_000_100))) <= 1
    assert not is_frame(2 * 10**9 + 1)
