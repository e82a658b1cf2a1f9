"""Tiny runs that make pictures from pictures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from conftest import WritePictures
from morelike.runs import Run
from morelike.settings import merge

TINY_TASK: dict[str, Any] = {
    "data": {"resolution": 32, "held_out": 0.4},
    "generator": {"width": 8},
    "discriminator": {"width": 4, "layers": 1},
    "optimizer": {"generator": {"learning_rate": 0.003}},
    "training": {"batch": 4, "images": 80, "device": "cpu", "precision": "fp32"},
}


@pytest.fixture(scope="session")
def wide_pictures(tmp_path_factory: pytest.TempPathFactory, write_pictures: WritePictures) -> Path:
    """Twenty pictures of 32 x 32; not to be changed."""
    return write_pictures(tmp_path_factory.mktemp("wide") / "pictures", 20, width=32, height=32)


def trained(pictures: Path, folder: Path, **more: Any) -> Run:
    from morelike.api import train

    return train(pictures, run=folder, **merge(copy.deepcopy(TINY_TASK), more))


@pytest.fixture(scope="session")
def enlarger_run(tmp_path_factory: pytest.TempPathFactory, wide_pictures: Path) -> Run:
    """A run that makes 32 x 32 of 16 x 16; only to be read."""
    folder = tmp_path_factory.mktemp("enlarger") / "00001-enlarger"
    generator = {"blocks": 1, "adversarial": 0}
    return trained(
        wide_pictures, folder, family="enlarger", task={"name": "enlarge:2"}, generator=generator
    )


@pytest.fixture(scope="session")
def colorizer_run(tmp_path_factory: pytest.TempPathFactory, wide_pictures: Path) -> Run:
    """A run that hardly learnt to give colours to gray pictures; only to be read."""
    folder = tmp_path_factory.mktemp("unet") / "00002-unet"
    return trained(
        wide_pictures,
        folder,
        family="unet",
        task={"name": "colorize"},
        generator={"levels": 2},
        training={"images": 16},
    )
