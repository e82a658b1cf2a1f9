from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.metrics.kernel import kid_interval
from morelike.metrics.manifold import manifold
from morelike.metrics.per_class import (
    FEWEST,
    Covered,
    TooFew,
    coverage_per_class,
    expected_coverage,
    kid_per_class,
    per_class,
)
from morelike.rng import rng


def rows(count: int, seed: int = 1, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(rng(seed, "test").standard_normal((count, 6)) + shift)


REAL = torch.cat([rows(40, 1), rows(50, 2, 5.0), rows(10, 3)])
REAL_LABELS = ["cat"] * 40 + ["ant"] * 50 + ["bee"] * 10
FAKE = torch.cat([rows(45, 4, 5.0), rows(60, 5), rows(60, 6), rows(35, 7)])
FAKE_LABELS = ["ant"] * 45 + ["cat"] * 60 + ["bee"] * 60 + ["dog"] * 35
SETS = (REAL, REAL_LABELS, FAKE, FAKE_LABELS)


def test_each_class_has_its_own_figure_and_those_with_too_few_are_named() -> None:
    found = kid_per_class(*SETS)
    assert list(found.figures) == ["ant", "cat"]
    assert found.figures["cat"] == kid_interval(REAL[:40], FAKE[45:105])
    assert found.figures["ant"] == kid_interval(REAL[40:90], FAKE[:45])
    assert found.left_out == (TooFew("bee", 10, 60), TooFew("dog", 0, 35))
    narrow = kid_per_class(*SETS, level=0.5)
    assert narrow.figures["cat"] == kid_interval(REAL[:40], FAKE[45:105], 0.5)


def test_real_pictures_come_first() -> None:
    found = per_class(lambda a, b: (len(a), len(b)), *SETS, fewest=1)
    assert found.figures == {"ant": (50, 45), "bee": (10, 60), "cat": (40, 60)}
    assert found.left_out == (TooFew("dog", 0, 35),)


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = rng(0, "test").permutation(len(REAL))
    labels = [REAL_LABELS[i] for i in order]
    mixed = kid_per_class(REAL[torch.from_numpy(order)], labels, FAKE, FAKE_LABELS)
    for label, figure in kid_per_class(*SETS).figures.items():
        assert mixed.figures[label] == pytest.approx(figure)


def test_as_many_as_are_needed_are_enough() -> None:
    a, b = rows(FEWEST, 1), rows(FEWEST, 2)
    labels = ["cat"] * FEWEST
    assert list(kid_per_class(a, labels, b, labels).figures) == ["cat"]
    short = kid_per_class(a[1:], labels[1:], b, labels)
    assert short == ({}, (TooFew("cat", FEWEST - 1, FEWEST),))
    assert kid_per_class(a, labels, b[1:], labels[1:]).left_out == (
        TooFew("cat", FEWEST, FEWEST - 1),
    )


def test_pictures_without_a_label_belong_to_no_class() -> None:
    found = per_class(
        lambda a, b: (len(a), len(b)), rows(4), ["cat", None, "cat", None], rows(3), ["cat"] * 3, 2
    )
    assert found == ({"cat": (2, 3)}, ())


def test_coverage_stands_beside_what_is_to_be_expected() -> None:
    found = coverage_per_class(*SETS, k=3)
    assert list(found.figures) == ["ant", "cat"]
    assert found.figures["cat"] == Covered(
        manifold(REAL[:40], FAKE[45:105], 3).coverage, expected_coverage(40, 60, 3)
    )


def test_the_expected_coverage_is_what_equal_distributions_give() -> None:
    assert expected_coverage(10, 10, 1) == pytest.approx(1 - 9 / 19)
    assert expected_coverage(5, 9, 2) == pytest.approx(1 - (4 * 3) / (13 * 12))
    found = [manifold(rows(20, 2 * n), rows(35, 2 * n + 1), 2).coverage for n in range(300)]
    assert np.mean(found) == pytest.approx(expected_coverage(20, 35, 2), abs=0.02)


def test_a_class_that_looks_like_another_is_found() -> None:
    """Asked for ants, cats came: over all classes the pictures are right, and by class they are
    not."""
    real = torch.cat([rows(60, 1), rows(60, 2, 3.0)])
    swapped = torch.cat([rows(60, 3, 3.0), rows(60, 4)])
    labels = ["cat"] * 60 + ["ant"] * 60
    whole = kid_interval(real, swapped)
    assert whole.low < 0 < whole.high
    by_class = kid_per_class(real, labels, swapped, labels).figures
    assert min(one.low for one in by_class.values()) > 0
    covered = coverage_per_class(real, labels, swapped, labels).figures
    assert max(one.coverage for one in covered.values()) < 0.3 < 0.9 < covered["cat"].expected


@pytest.mark.parametrize(("real", "fake", "fewest"), [(99, 200, 5), (100, 201, 5), (100, 200, 0)])
def test_labels_and_rows_that_do_not_match_are_refused(real: int, fake: int, fewest: int) -> None:
    with pytest.raises(ValueError, match="a label for each row"):
        per_class(lambda a, b: 0, REAL, ["cat"] * real, FAKE, ["cat"] * fake, fewest)
