"""What each picture stands on: white, another plain colour, or neither."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from morelike.data.quality import FRAMED

KINDS = ("other", "plain", "white")
SHARE = 0.5
"""More than this share of the border is of one colour where the background is plain. What stands
on it may touch the border: closely cut bicycles on white leave 0.58 to 0.85 of it white, street
scenes and a gray gradient at most 0.42, so the majority decides and lies between them."""


class Background(NamedTuple):
    """The backgrounds of N pictures."""

    kind: np.ndarray
    """(N,) uint8, a place in KINDS."""
    score: np.ndarray
    """(N,) float32, 0 to 1: the share of the border that is near white, or, if that is more, near
    the border's median colour."""

    @property
    def white(self) -> np.ndarray:
        """(N,) bool."""
        return self.kind == KINDS.index("white")

    @property
    def plain(self) -> np.ndarray:
        """(N,) bool; white is a plain background too."""
        return self.kind > KINDS.index("other")


def judge(traits: np.ndarray) -> Background:
    """The background of every picture, from its (N,) traits.TRAITS: from the border of the whole.

    Bars around a picture are not its background, so a framed one has none that is known: "other".
    """
    white, plain = traits["white_share"], traits["border_share"]
    framed = traits["steps"].max(axis=1) > FRAMED
    kind = np.select([framed, white > SHARE, plain > SHARE], [0, 2, 1]).astype(np.uint8)
    return Background(kind, np.maximum(white, plain))
