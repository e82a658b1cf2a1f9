"""A tiny run of pictures with attributes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from morelike.runs import Run


@pytest.fixture(scope="session")
def labelled_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A DCGAN of 120 drawn bicycles with their factors; only to be read."""
    from conftest import TINY
    from morelike.api import train

    settings: dict[str, Any] = copy.deepcopy(TINY)
    settings["training"]["images"] = 800  # so that samples differ
    folder = tmp_path_factory.mktemp("labelled") / "runs"
    return train("toy:bicycles-both-ways:120", out=folder, family="dcgan", **settings)
