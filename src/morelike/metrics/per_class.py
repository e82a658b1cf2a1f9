"""A measure class by class, where pictures have labels.

The label of a real picture is the one it came with, that of a generated picture the one it was
asked for. Nothing looks at whether a picture asked for under a label shows it: that is what the
figures are for. A class whose pictures look like another's is far from its own real ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from morelike.metrics.kernel import KernelDistance, kid_interval
from morelike.metrics.manifold import manifold

Result = TypeVar("Result")

FEWEST = 30
"""Rows of a class, real and generated, below which it is left out: the fewest for which the
interval of KID was tried (`kid_interval`)."""


class TooFew(NamedTuple):
    """A class that is left out."""

    label: str
    real: int
    fake: int


class PerClass(NamedTuple, Generic[Result]):
    """A figure of each class that has enough pictures."""

    figures: dict[str, Result]
    """By label, in the labels' order."""
    left_out: tuple[TooFew, ...]
    """Classes with too few rows on one side or both, in the labels' order."""


def per_class(
    figure: Callable[[Tensor, Tensor], Result],
    real: Tensor,
    real_labels: Sequence[str | None],
    fake: Tensor,
    fake_labels: Sequence[str | None],
    fewest: int = FEWEST,
) -> PerClass[Result]:
    """A figure of the real and the generated rows of each class.

    Args:
        figure: of real (n, F) and generated (m, F) rows of one class.
        real: (N, F).
        real_labels: N of them; rows of None belong to no class.
        fake: (M, F).
        fake_labels: M of them, as they were asked for.
        fewest: rows that a class needs on both sides, at least 1.

    Raises:
        ValueError: if there are not as many labels as rows, or `fewest` is below 1; and what
            `figure` raises.
    """
    if len(real) != len(real_labels) or len(fake) != len(fake_labels) or fewest < 1:
        raise ValueError(
            f"a label for each row and at least one row a class are needed, not "
            f"{len(real_labels)} for {len(real)}, {len(fake_labels)} for {len(fake)}, and {fewest}"
        )
    counts = [Counter(x for x in labels if x is not None) for labels in (real_labels, fake_labels)]
    figures, left_out = {}, []
    for label in sorted(counts[0] | counts[1]):
        have = TooFew(label, counts[0][label], counts[1][label])
        if min(have.real, have.fake) < fewest:
            left_out.append(have)
            continue
        figures[label] = figure(_of(label, real, real_labels), _of(label, fake, fake_labels))
    return PerClass(figures, tuple(left_out))


def _of(label: str, rows: Tensor, labels: Sequence[str | None]) -> Tensor:
    return rows[torch.tensor([i for i, one in enumerate(labels) if one == label])]


def kid_per_class(
    real: Tensor,
    real_labels: Sequence[str | None],
    fake: Tensor,
    fake_labels: Sequence[str | None],
    fewest: int = FEWEST,
    level: float = 0.95,
) -> PerClass[KernelDistance]:
    """KID of each class with its interval; arguments as for `per_class`, `fewest` at least 4.

    Among C classes without any difference some C (1 - level) of the intervals leave out 0 by
    chance, at most: ask for a level of 1 - 0.05 / C before one of many is called bad.

    Raises:
        ValueError: as for `per_class` and `kid_interval`.
    """
    return per_class(
        lambda a, b: kid_interval(a, b, level), real, real_labels, fake, fake_labels, fewest
    )


class Covered(NamedTuple):
    """How much of a class is covered."""

    coverage: float
    """Naeem et al. 2020, eq. 4, within the class; from 0 to 1."""
    expected: float
    """What as many samples of the same distribution would have on average (their lemma 2)."""


def coverage_per_class(
    real: Tensor,
    real_labels: Sequence[str | None],
    fake: Tensor,
    fake_labels: Sequence[str | None],
    fewest: int = FEWEST,
    k: int = 5,
) -> PerClass[Covered]:
    """Coverage of each class by what was asked for under it, beside what is to be expected.

    Balls reach to the k-th neighbour within the class, so they are larger than those of the whole
    set, and a class's figure does not compare with that of all classes together. It compares with
    `expected`, which depends on the counts alone.

    Raises:
        ValueError: as for `per_class` and `manifold`: `fewest` must be above k.
    """

    def figure(a: Tensor, b: Tensor) -> Covered:
        return Covered(manifold(a, b, k).coverage, expected_coverage(len(a), len(b), k))

    return per_class(figure, real, real_labels, fake, fake_labels, fewest)


def expected_coverage(real: int, fake: int, k: int) -> float:
    """Mean coverage of N real rows by M of the same distribution, Naeem et al. 2020, lemma 2.

    1 - (N-1)...(N-k) / (M+N-1)...(M+N-k), whatever the distribution, if no two distances are equal.
    """
    missed = 1.0
    for i in range(1, k + 1):
        missed *= (real - i) / (fake + real - i)
    return 1 - missed
