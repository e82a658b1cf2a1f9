"""Folders of pictures by their number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pictures(
    tmp_path_factory: pytest.TempPathFactory, write_pictures: Callable[..., Path]
) -> Callable[[int], Path]:
    """A folder of so many pictures; not to be changed."""
    made: dict[int, Path] = {}

    def folder(count: int) -> Path:
        if count not in made:
            made[count] = write_pictures(tmp_path_factory.mktemp("pictures"), count)
        return made[count]

    return folder
