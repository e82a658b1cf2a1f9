"""How far pictures are apart, in the values that networks see."""

from __future__ import annotations

import numpy as np

from morelike.data.dataset import Dataset

MOST = 512


def spread_of(dataset: Dataset) -> float:
    """The mean squared distance of two training pictures, as vectors of values in [-1, 1]: twice
    the sum of each value's variance. Up to 512 are looked at, evenly over the set.
    """
    places = np.linspace(0, len(dataset.train) - 1, min(MOST, len(dataset.train)))
    some = dataset.images[dataset.train[np.unique(places.round().astype(np.int64))]]
    values = some.reshape(len(some), -1).astype(np.float32) / 127.5 - 1
    return 2 * float(values.var(axis=0, dtype=np.float64).sum())
