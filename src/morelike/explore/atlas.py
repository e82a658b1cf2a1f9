"""What is known about the samples on a map of a generator's space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from morelike.diagnostics.finding import Finding
from morelike.explore.clusters import Cluster
from morelike.explore.projection import Explained, Told


class Quality(NamedTuple):
    """How real samples look, beside real pictures."""

    values: np.ndarray
    """(n,) log realism, see `metrics.manifold`; finite."""
    poor_below: float
    """What 5 % of real pictures lie below."""

    @property
    def poor(self) -> np.ndarray:
        """(n,) bool"""
        return self.values < self.poor_below


@dataclass(frozen=True)
class Atlas:
    """All that is known about the samples on the map."""

    images: np.ndarray
    """(n, H, W, C) uint8."""
    places: np.ndarray
    """(n, 2) on the map."""
    explained: Explained
    quality: Quality | None
    """None where training pictures are too few."""
    regions: Finding | None
    """Whether quality follows from the point, and a region is poor."""
    here: Told | None
    """The same, of the place on the map."""
    twins: Finding
    """Whether points far from each other give one picture."""
    duplicate: np.ndarray
    """(n,) bool: whether there is a near-duplicate among the samples."""
    copy: np.ndarray | None
    """(n,) bool: whether it is a near-copy of a training picture; None if that cannot be told."""
    kinds: list[Cluster]

    @property
    def kind(self) -> np.ndarray:
        """(n,) the number of the kind of training pictures that each sample is nearest to, or 0."""
        found = np.zeros(len(self.images), np.int64)
        for one in self.kinds:
            found[one.samples] = one.number
        return found
