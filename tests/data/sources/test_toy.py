from __future__ import annotations

import numpy as np
import pytest

from morelike.config import DataConfig
from morelike.data.sources import ToySource, open_source
from morelike.errors import UserError

SMALL, SMALLER = DataConfig(resolution=32), DataConfig(resolution=16)


def test_what_a_person_writes_opens_the_source() -> None:
    assert open_source("toy:bicycles") == ToySource("bicycles", 2000)
    assert open_source("toy:bicycles:12") == ToySource("bicycles", 12)
    assert open_source("toy:bicycles:12").name == "toy:bicycles:12"
    assert open_source("toy:bicycles:12") == open_source(open_source("toy:bicycles:12").name)
    assert open_source("toy:bicycles:12").count(SMALL) == 12


@pytest.mark.parametrize("count", ["1", "0", "-3", "1000001", "x", "2.5", "²", "9" * 5000])
def test_a_toys_count_must_be_a_number_in_range(count: str) -> None:
    with pytest.raises(UserError, match="from 2 to 1000000"):
        open_source(f"toy:bicycles:{count}")


def test_unknown_toys_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="the nearest is 'bicycles'"):
        open_source("toy:bicycle").items(SMALL)


def test_toys_are_drawn_at_the_resolution_and_carry_their_factors() -> None:
    items = list(open_source("toy:bicycles:3").items(SMALL))
    assert [item.key for item in items] == [f"bicycles/0000{i}.png" for i in range(3)]
    assert len({item.identity for item in items}) == 3
    other = next(iter(open_source("toy:bicycles:3").items(SMALLER)))
    assert items[0].identity != other.identity
    assert items[0].attributes["kind"] in ("road", "mountain", "step-through")
    drawn = items[0].read()
    assert isinstance(drawn, np.ndarray)
    assert drawn.shape == (32, 32, 3)
    assert drawn.dtype == np.uint8
    assert not np.array_equal(drawn, np.asarray(items[1].read()))


def test_toys_are_square_and_as_large_as_the_longer_side() -> None:
    wide = DataConfig(resolution=16, width=24)
    item = next(iter(open_source("toy:bicycles:2").items(wide)))
    assert np.asarray(item.read()).shape == (24, 24, 3)
