from __future__ import annotations

import numpy as np
import pytest

from morelike.errors import UserError
from morelike.seeds import LARGEST, MOST, check_seeds, parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", [0]),
        ("0-3,12", [0, 1, 2, 3, 12]),
        (" 4 , 2-3 ", [4, 2, 3]),
        ("5-5", [5]),
        ("3,1,3,0-4", [3, 1, 0, 2, 4]),
        (str(LARGEST), [LARGEST]),
        (f"{LARGEST - 1}-{LARGEST}", [LARGEST - 1, LARGEST]),
        ("007", [7]),
    ],
)
def test_seeds_are_read_in_order_and_each_once(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", ",", "1,", "a", "-1", "1-", "1--2", "1-2-3", "1.5", "0x10", "²", "１", "9" * 5000]
)
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a seed or a range of seeds") as caught:
        parse_seeds(text)
    assert "\n" not in str(caught.value)


def test_falling_ranges_are_turned_round_for_the_person() -> None:
    with pytest.raises(UserError, match="write 3-7"):
        parse_seeds("7-3")


def test_seeds_have_a_largest_and_a_greatest_number() -> None:
    with pytest.raises(UserError, match=f"the largest is {LARGEST}"):
        parse_seeds(str(LARGEST + 1))
    with pytest.raises(UserError, match="more than 10,000,000 seeds"):
        parse_seeds(f"0-{LARGEST}")
    with pytest.raises(UserError, match="more than 10,000,000 seeds"):
        parse_seeds(f"5,100-{MOST + 99}")


def test_checked_seeds_become_plain_whole_numbers() -> None:
    assert check_seeds(range(3)) == [0, 1, 2]
    checked = check_seeds(np.array([7, 5, 7]))
    assert checked == [7, 5, 7]
    assert {type(seed) for seed in checked} == {int}
    assert check_seeds(iter([LARGEST])) == [LARGEST]


@pytest.mark.parametrize("seeds", [[-1], [0, LARGEST + 1], [3, -7, 2]])
def test_seeds_out_of_range_are_refused(seeds: list[int]) -> None:
    with pytest.raises(UserError, match=r"out of range; seeds are 0 to"):
        check_seeds(seeds)


def test_no_seed_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="no seed was given"):
        check_seeds([])
