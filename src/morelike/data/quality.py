"""Pictures that teach a generator nothing good: nearly blank, blurred, or with bars around them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BLANK = 0.99
"""At 64x64, no more than 40 pixels differ. Sparse line drawings have 0.96 at most, so stay."""
BLURRED = 1.2
"""Sharp photographs have 0.4 to 0.75; enlarged twofold 0.75 to 1.1, threefold 1.05 to 1.4; what
was blurred with a radius of 1.5 pixels, 1.2 to 1.7."""
FRAMED = 0.75
"""Letterboxes have nearly 1, frames as wide as an eighth of the picture 0.75; what is cut off by
the edge of the picture or stands on a plain background hardly ever reaches 0.5, unless it has
straight sides."""


class Quality(NamedTuple):
    """The faults of N pictures, each with the figure behind it; all are (N,) arrays."""

    blank: np.ndarray
    """bool: hardly anything but one colour at the target size."""
    blank_score: np.ndarray
    """float32, 0 to 1: the share of the pixels that look like their median."""
    blurred: np.ndarray
    """bool: no sharp edge at the target size. Strong noise hides a blur."""
    blurred_score: np.ndarray
    """float32: the radius of the edges' blur in pixels of the target size."""
    framed: np.ndarray
    """bool: at a side of the whole picture lies a bar: a frame, a letterbox, a caption's strip. A
    rectangular thing that nearly fills a plain background looks the same and counts as framed."""
    framed_score: np.ndarray
    """float32, 0 to 1: the share of the side along which the bar ends in one straight step."""


def judge(traits: np.ndarray) -> Quality:
    """The faults of every picture, from its (N,) traits.TRAITS."""
    blank, blur, step = 1 - traits["content"], traits["blur"], traits["steps"].max(axis=1)
    # Without an edge there is nothing to measure a blur at: such a picture is blank, not blurred.
    blurred = (blur > BLURRED) & (blank <= BLANK)
    return Quality(blank > BLANK, blank, blurred, blur, step > FRAMED, step)
