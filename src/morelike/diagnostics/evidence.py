"""What a verdict rests on: real pictures, those kept from training, and generated ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from morelike.errors import UserError

FEWEST = 16
"""Generated pictures below which nothing is measured."""


@dataclass(frozen=True)
class Pictures:
    """Some pictures, and what an extractor makes of them."""

    images: np.ndarray
    """(N, H, W, C) uint8."""
    features: Tensor
    """(N, F) float32."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: slice | np.ndarray) -> Pictures:
        return Pictures(self.images[chosen], self.features[chosen])


@dataclass(frozen=True)
class Evidence:
    """The three sets that every diagnostic compares."""

    train: Pictures
    held_out: Pictures
    """Of the same kind and never trained on; may be empty."""
    samples: Pictures
    extractor: str
    """The name of what made the features."""

    def __post_init__(self) -> None:
        sizes = {part.images.shape[1:] for part in (self.train, self.held_out, self.samples)}
        if len(sizes) > 1:
            shapes = " and ".join(f"{w}x{h} with {c} channels" for h, w, c in sorted(sizes))
            raise UserError(f"pictures of one size are needed, not {shapes}.")
        if len(self.samples) < FEWEST:
            raise UserError(
                f"{len(self.samples)} generated pictures are too few; give {FEWEST} or more."
            )
