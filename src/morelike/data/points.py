"""Points in the plane whose truth is known: what tells objectives apart in seconds.

Each toy is a line, or a few places, with equal Gaussian noise in both directions around it. So the
share of the truth in any rectangle is known exactly, and "far from every real point" has a meaning.
All are scaled to reach about from -1 to 1, which is what networks are initialised for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from morelike.errors import UserError, nearest

BINS = 51
LIMIT = BINS * 0.05 / 2
"""Everything that is drawn or binned lies within plus or minus this, the noise included."""
EDGES = np.linspace(-LIMIT, LIMIT, BINS + 1)
"""The sides of the square bins, 0.05 wide, in which samples and truth are compared. An odd number,
so that modes lie inside bins: one on an edge would count as missed if it is met half a sigma off.
"""
FINE = 512
"""As many places stand for a whole line."""


@dataclass(frozen=True)
class Points:
    """A distribution over the plane: `line`(u), u uniform in [0, 1), plus noise N(0, sigma^2)."""

    name: str
    line: Callable[[np.ndarray], np.ndarray]
    """Where along the line, (n,) in [0, 1) -> places (n, 2)."""
    sigma: float
    """Standard deviation of the noise, in x and in y."""
    modes: int | None = None
    """How many separate places there are; None for a line."""

    def sample(self, numbers: np.random.RandomState, count: int) -> np.ndarray:
        """`count` independent points, (count, 2)."""
        where = numbers.random_sample(count)
        return self.line(where) + self.sigma * numbers.standard_normal((count, 2))

    @property
    def centres(self) -> np.ndarray:
        """The modes, (modes, 2), or places spread evenly in u along the line, (FINE, 2)."""
        count = self.modes or FINE
        return self.line((np.arange(count) + 0.5) / count)

    def masses(self, edges: np.ndarray = EDGES) -> np.ndarray:
        """The truth in bins: the probability of each rectangle between the edges, (x bins, y bins).

        Exact for modes: an integral of a Gaussian over a rectangle is a product of differences of
        its distribution function. For lines it is the mean over FINE places on them, whose distance
        is below sigma, so that the error is far below that of any number of samples.
        """
        x, y = (_shares(self.centres[:, axis], self.sigma, edges) for axis in (0, 1))
        return x.T @ y / len(x)


def _shares(means: np.ndarray, sigma: float, edges: np.ndarray) -> np.ndarray:
    """What N(mean, sigma^2) has between each two neighbouring edges: (means, edges - 1)."""
    scaled = (edges - means[:, None]) / (sigma * math.sqrt(2))
    below = (1 + np.vectorize(math.erf)(scaled)) / 2
    return np.diff(below, axis=1)


def _of_places(places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Each of the places with the same probability."""
    return lambda u: places[(u * len(places)).astype(int)]


def _circle(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _quadratic(u: np.ndarray) -> np.ndarray:
    x = 2 * u - 1
    return np.stack([x, x**2], axis=-1)


def _swissroll(u: np.ndarray) -> np.ndarray:
    turn = 1.5 * math.pi * (1 + 2 * u)
    return _circle(turn) * (turn / (4.5 * math.pi))[:, None]


def _moons(u: np.ndarray) -> np.ndarray:
    """Two half circles of radius 2/3, each reaching into the other."""
    angle = math.pi * (2 * u % 1)
    upper = _circle(angle) - (0.5, 0.25)
    lower = (0.5, 0.25) - _circle(angle)
    return np.where(u[:, None] < 0.5, upper, lower) * (2 / 3)


_STEPS = np.linspace(-1, 1, 5)
POINTS = {
    toy.name: toy
    for toy in (
        # y = x^2 for x uniform in [-1, 1].
        Points("quadratic", _quadratic, 0.03),
        # Metz et al. 2017 and Srivastava et al. 2017: radius 2, sigma 0.02, here half as large.
        Points("ring8", _of_places(_circle(np.arange(8) * math.pi / 4)), 0.01, 8),
        # Srivastava et al. 2017: two apart from -4 to 4, sigma 0.05, here a quarter as large.
        Points(
            "grid25",
            _of_places(np.stack(np.meshgrid(_STEPS, _STEPS), axis=-1).reshape(-1, 2)),
            0.0125,
            25,
        ),
        # One and a half turns of t (cos t, sin t), t from 1.5 pi to 4.5 pi, divided by 4.5 pi.
        Points("swissroll", _swissroll, 0.02),
        Points("moons", _moons, 0.03),
    )
}


def points(name: str) -> Points:
    """The toy of that name.

    Raises:
        UserError: if there is none; the nearest known name is given.
    """
    if name not in POINTS:
        raise UserError(f"there is no toy '{name}'; {nearest(name, POINTS)}.")
    return POINTS[name]
