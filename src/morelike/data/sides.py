"""How large the pictures of a source are, before anything is made of them."""

from __future__ import annotations

import itertools
import statistics

from morelike.config import DataConfig
from morelike.data.decode import decode
from morelike.data.fit import Form
from morelike.data.item import Rejection, Source

LOOKED_AT = 24
TINY = Form(16, 16, 3, "center", (255, 255, 255))


def usual_side(source: Source, settings: DataConfig) -> int | None:
    """The median of the shorter sides of the first pictures, in pixels; None if none of them can be
    read, or if reading them would use up a stream.

    Raises:
        UserError: if the source cannot be read.
    """
    if source.streamed:
        return None
    sides = []
    for item in itertools.islice(source.items(settings), LOOKED_AT):
        try:
            picture = decode(item.read(), TINY)
        except (OSError, Rejection):
            continue  # it is named when the pictures are made ready
        sides.append(min(picture.width, picture.height))
    return round(statistics.median(sides)) if sides else None
