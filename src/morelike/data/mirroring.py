"""Whether training may show each picture mirrored half of the time."""

from __future__ import annotations

import numpy as np
from PIL import Image

from morelike.data.dataset import Dataset
from morelike.data.facing import facing
from morelike.page.images import to_image

MOST = 20_000
SIZE = (32, 32)


def may_be_mirrored(dataset: Dataset) -> bool:
    """Whether the pictures are measured to be no different from their mirror images.

    False also where that cannot be told. At most 20,000 of them are looked at.
    """
    chosen = dataset.images[:: max(1, -(-len(dataset.images) // MOST))]
    pictures = (to_image(image).convert("RGB") for image in chosen)
    small = [np.asarray(one.resize(SIZE, Image.Resampling.BOX)) for one in pictures]
    return facing(np.stack(small)).asymmetric is False
