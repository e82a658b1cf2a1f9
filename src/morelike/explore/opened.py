"""A generator to be explored: points of its space by seed, and pictures of any points."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from morelike import pictures
from morelike.errors import UserError
from morelike.features import Extractor, extractor
from morelike.runs import Run, is_run, open_run
from morelike.sampling import CHUNKS, TrainedGenerator, Wish, drawn_inputs, load
from morelike.seeds import check_seeds
from morelike.space import Points, Space, joined, space_of

Progress = Callable[[int, int], None]
"""Told (pictures done, pictures in all)."""


def quiet(done: int, total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Opened:
    """A generator and the space that is moved in."""

    path: Path
    """The run or generator folder."""
    generator: TrainedGenerator
    space: Space

    @property
    def run(self) -> Run:
        """The run folder that it is from.

        Raises:
            UserError: if it is a shared generator.
        """
        if not is_run(self.path):
            raise UserError(
                f"{self.path} is a shared generator, without discriminator, checkpoints and "
                "pictures; give the run folder."
            )
        return open_run(self.path)

    def about(self) -> dict[str, Any]:
        """What every result says about where it comes from."""
        return {"run": self.generator.name, "checkpoint": self.generator.checkpoint}

    def extractor(
        self, features: str = "random", weights: str | os.PathLike[str] | None = None
    ) -> Extractor:
        """The extractor of that name, on the generator's device.

        Raises:
            UserError: if there is none, or its weights are missing or wrong.
        """
        where = self.generator.device
        return extractor(features, None if weights is None else Path(weights), where)

    @torch.no_grad()
    def points(self, seeds: Sequence[int], wish: Wish = Wish()) -> Points:  # noqa: B008
        """Where the samples of these seeds lie, those that `morelike sample` makes.

        Raises:
            UserError: for seeds out of range, or labels that the generator does not know.
        """
        config, device = self.generator.config, self.generator.device
        parts = [
            self.space.points(inputs).rows(slice(count))
            for inputs, count in drawn_inputs(config, check_seeds(seeds), device, wish)
        ]
        return joined(parts)

    @torch.no_grad()
    def show(self, points: Points, progress: Progress = quiet) -> np.ndarray:
        """(N, H, W, C) uint8 pictures of any points.

        Always in batches of the size that samples are made in, so that a seed's own point gives its
        sample to the byte.
        """
        count, size = len(points.values), CHUNKS[self.generator.device.type]
        made = []
        for start in range(0, count, size):
            filled = torch.arange(start, start + size, device=points.values.device) % count
            some = pictures.to_uint8(self.space.pictures(points.rows(filled)))
            made.append(some[: count - start])
            progress(min(start + size, count), count)
        return np.concatenate(made)


def opened(
    path: str | os.PathLike[str],
    checkpoint: str | int = "best",
    device: str = "auto",
    space: str | None = None,
) -> Opened:
    """The generator of a run folder, or of a shared generator folder.

    Args:
        path: either folder.
        checkpoint: best, latest or a number of images seen.
        device: auto, cpu, cuda, cuda:N or mps.
        space: z or w; without, w if there is one.

    Raises:
        UserError: if the folder holds no usable generator, or it has no such space.
    """
    generator = load(Path(path), checkpoint, device=device)
    return Opened(Path(path), generator, space_of(generator.network, space))
