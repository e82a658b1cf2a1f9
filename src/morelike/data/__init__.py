"""From any source of pictures to a checked, split, memory-mapped data set."""

from __future__ import annotations

from morelike.data.dataset import Dataset, prepare
from morelike.data.sources import open_source

__all__ = ["Dataset", "open_source", "prepare"]
