"""Sliced Wasserstein distance between the patches of two sets of pictures, scale by scale.

Karras et al. 2018, "Progressive Growing of GANs", section 5: patches of a Laplacian pyramid,
normalised by channel, are compared by the sliced Wasserstein distance of Rabin et al. 2011. It
needs no network and no download. It sees texture and local form, not whether the whole makes sense.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 7
COARSEST = 16


def sliced_wasserstein(
    real: Tensor,
    fake: Tensor,
    numbers: np.random.RandomState,
    patches: int = 64,
    directions: int = 128,
) -> float:
    """Mean over the pyramid's levels of the sliced Wasserstein-1 distance, times 1000.

    Args:
        real: (N, C, H, W) in [-1, 1], H and W at least 16.
        fake: (N, C, H, W), equally many.
        numbers: where patches and directions are drawn from; the same seed, the same figure.
        patches: taken from each picture at each level.
        directions: random projections per level.

    Returns:
        The distance x 1000; 0 for equal sets. Of the order of 5 to 20 between two halves of a set.

    Raises:
        ValueError: if the two sets differ in shape.
    """
    if real.shape != fake.shape:
        raise ValueError(f"sets of equal shape are needed, not {real.shape} and {fake.shape}")
    distances = []
    for level_real, level_fake in zip(_pyramid(real), _pyramid(fake), strict=True):
        reach = np.array(level_real.shape[-2:]) - PATCH + 1
        corners = numbers.randint(0, reach[:, None, None], size=(2, len(real), patches))
        a, b = (_patches(level, torch.from_numpy(corners)) for level in (level_real, level_fake))
        # The paper normalises each set by itself, which hides a wrong overall colour or contrast,
        # just what an early generator gets wrong. Here the real set is the measure of both.
        mean, spread = a.mean(dim=(0, 1)), a.std(dim=(0, 1)) + 1e-6
        a, b = ((x - mean).div(spread).flatten(1) for x in (a, b))
        axes = torch.from_numpy(numbers.standard_normal((a.shape[1], directions))).to(a)
        axes = axes / axes.norm(dim=0)
        projected = [(x @ axes).sort(dim=0).values for x in (a, b)]
        distances.append((projected[0] - projected[1]).abs().mean())
    return 1000 * torch.stack(distances).mean().item()


def _pyramid(pictures: Tensor) -> list[Tensor]:
    """Laplacian levels from fine to coarse; what is left comes last, its shorter side COARSEST."""
    levels = []
    while min(pictures.shape[-2:]) > COARSEST:
        smaller = F.avg_pool2d(pictures, 2)
        size = pictures.shape[-2:]
        coarse = F.interpolate(smaller, size=size, mode="bilinear", align_corners=False)
        levels.append(pictures - coarse)
        pictures = smaller
    return [*levels, pictures]


def _patches(level: Tensor, corners: Tensor) -> Tensor:
    """The patches with these upper left corners, (2, N, n) rows and columns: (N * n, 49, C)."""
    offset = torch.arange(PATCH)
    rows = (corners[0, :, :, None] + offset)[:, :, :, None].to(level.device)
    columns = (corners[1, :, :, None] + offset)[:, :, None, :].to(level.device)
    which = torch.arange(len(level), device=level.device)[:, None, None, None]
    taken = level.permute(0, 2, 3, 1)[which, rows, columns]  # (N, n, 7, 7, C)
    return taken.reshape(-1, PATCH * PATCH, level.shape[1]).float()
