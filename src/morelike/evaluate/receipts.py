"""Receipts: for every generated picture the training picture it is most like, and how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from morelike.data import Dataset
from morelike.diagnostics.copies import Copies, Judged
from morelike.samples import Check


@dataclass(frozen=True)
class Receipt:
    """What is known about one generated picture and the training pictures."""

    nearest: str
    """The key of the nearest training picture in the manifest."""
    mirrored: bool
    """Whether it is nearest to that picture's mirror image."""
    distance: float
    """Share of that picture's brightness pattern that it leaves unexplained after alignment, from
    0, a copy, to 1."""
    percentile: float | None
    """Share, 0 to 100, of real pictures never trained on that are more like a copy than it is; none
    where too few were held out."""
    near_copy: bool

    def notes(self) -> dict[str, str]:
        """For the metadata of a PNG file."""
        percentile = "unknown" if self.percentile is None else f"{self.percentile:.1f}"
        return {
            "nearest training picture": self.nearest + (", mirrored" if self.mirrored else ""),
            "distance to it": f"{self.distance:.4g}",
            "percentile": percentile,
            "near-copy": "yes" if self.near_copy else "no",
        }

    def sentence(self) -> str:
        """Of what it may be a copy, and how sure that is, in plain words."""
        turned = "the mirror image of " if self.mirrored else ""
        known = (
            "none were held out to compare with"
            if self.percentile is None
            else f"{self.percentile:.3g} % of real pictures never trained on are closer to one"
        )
        return f"leaves {self.distance:.2g} of {turned}{self.nearest} unexplained; {known}"

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "nearest": self.nearest,
            "mirrored": self.mirrored,
            "distance": self.distance,
            "percentile": self.percentile,
            "near_copy": self.near_copy,
        }


def detector(dataset: Dataset) -> Copies:
    """The copying detector for what was trained on these pictures."""
    images = dataset.images
    return Copies.fitted(images[dataset.train], images[dataset.held_out])


def train_keys(dataset: Dataset) -> list[str]:
    """What the training pictures are called, in the order of `dataset.train`."""
    return [dataset.manifest[i]["key"] for i in dataset.train]


def receipts(judged: Judged, keys: Sequence[str]) -> list[Receipt]:
    """A receipt for each picture that was judged.

    Args:
        judged: by a detector that was fitted to the training pictures.
        keys: what these are called, in the order in which it was fitted.
    """
    columns = (judged.which, judged.mirrored, judged.distance, judged.percentile, judged.near)
    return [
        Receipt(
            nearest=keys[int(which)],
            mirrored=bool(mirrored),
            distance=float(distance),
            percentile=float(percentile) if math.isfinite(percentile) else None,
            near_copy=bool(near),
        )
        for which, mirrored, distance, percentile, near in zip(*columns, strict=True)
    ]


def checking(
    copies: Copies, keys: Sequence[str], safe: bool, issued: Callable[[int, Receipt], None]
) -> Check:
    """What to give to `samples.write_samples` so that every picture carries its receipt.

    Args:
        copies: fitted to the training pictures.
        keys: of the training pictures, in the order in which it was fitted.
        safe: leave near-copies out.
        issued: told each seed and its receipt, of pictures that are left out too.
    """

    def check(seeds: Sequence[int], images: np.ndarray) -> list[Mapping[str, str] | None]:
        said: list[Mapping[str, str] | None] = []
        for seed, receipt in zip(seeds, receipts(copies.judge(images), keys), strict=True):
            issued(seed, receipt)
            said.append(None if safe and receipt.near_copy else receipt.notes())
        return said

    return check
