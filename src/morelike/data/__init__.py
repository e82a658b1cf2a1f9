"""From any source of pictures to a checked, split, memory-mapped data set."""

from __future__ import annotations

from morelike.data.dataset import Dataset, open_dataset
from morelike.data.preparation import prepare
from morelike.data.sources import open_source

__all__ = ["Dataset", "open_dataset", "open_source", "prepare"]
