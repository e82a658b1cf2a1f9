"""What tests share: a cache of their own, pictures, a tiny configuration and a tiny trained run."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from morelike.runs import Run

SHARED = Path(__file__).parents[2] / "shared"

# Small enough that a step takes milliseconds; the high rates make a few steps show.
TINY: dict[str, Any] = {
    "data": {"resolution": 16},
    "generator": {"width": 4, "latent": 8},
    "discriminator": {"width": 4},
    "optimizer": {"generator": {"learning_rate": 0.01}, "discriminator": {"learning_rate": 0.01}},
    "training": {"batch": 8, "images": 16, "device": "cpu", "precision": "fp32"},
}

WritePictures = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prepared data sets go into a temporary folder, never into the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MORELIKE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the real pictures in {SHARED / 'data'}, which are not here")
    return SHARED


def picture(number: int, width: int = 20, height: int = 20) -> np.ndarray:
    """A colourful picture that no other number gives: a gradient and a disc on it."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    noise = np.random.default_rng(number)
    low, high, (top, left) = noise.random(3), noise.random(3), noise.random(2)
    colours = low + (high - low) * (x * left + y * top)[..., None]
    disc = (x - left) ** 2 + (y - top) ** 2 < 0.06
    colours[disc] = noise.random(3)
    return (colours * 255).astype(np.uint8)


@pytest.fixture(scope="session")
def write_pictures() -> WritePictures:
    """Fill a folder with PNG files: write_pictures(folder, count, first=0, width=20, height=20)."""

    def write(folder: Path, count: int, first: int = 0, width: int = 20, height: int = 20) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            Image.fromarray(picture(number, width, height)).save(folder / f"{number:03d}.png")
        return folder

    return write


@pytest.fixture(scope="session")
def pictures_folder(
    tmp_path_factory: pytest.TempPathFactory, write_pictures: WritePictures
) -> Path:
    """Twenty pictures; not to be changed."""
    return write_pictures(tmp_path_factory.mktemp("source") / "pictures", 20)


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Overrides for trainings of milliseconds, as keyword arguments of `api.train`."""
    return copy.deepcopy(TINY)


@pytest.fixture(scope="session")
def tiny_options() -> list[str]:
    """The same for the command line: --set section.key=value, again and again."""
    return _options(TINY)


def _options(values: dict[str, Any], prefix: str = "") -> list[str]:
    options: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict):
            options += _options(value, f"{prefix}{key}.")
        else:
            options += ["--set", f"{prefix}{key}={value}"]
    return options


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, pictures_folder: Path) -> Run:
    """A run with checkpoints at 0, 16 and 32 images; only to be read."""
    from morelike.api import train

    folder = tmp_path_factory.mktemp("trained") / "runs"
    run = train(pictures_folder, out=folder, family="dcgan", **copy.deepcopy(TINY))
    return train(run=run.path, images=32)


@pytest.fixture
def run_copy(trained_run: Run, tmp_path: Path) -> Run:
    """A copy of the trained run that a test may damage."""
    from morelike.runs import Run

    return Run(Path(shutil.copytree(trained_run.path, tmp_path / "runs" / trained_run.name)))


@pytest.fixture
def quiet_environment() -> dict[str, str]:
    """For child processes: this cache, no colours, one thread, a known width."""
    wanted = {"NO_COLOR": "1", "COLUMNS": "100", "OMP_NUM_THREADS": "1", "TERM": "dumb"}
    return {**os.environ, **wanted}
