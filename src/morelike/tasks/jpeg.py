"""What JPEG does to pictures: ITU-T T.81 (1992), baseline, without the lossless part.

Each block of 8 x 8 pixels becomes cosines, which are rounded to multiples of what the tables say.
Luma and chroma as in JFIF, chroma at full resolution (4:4:4); the tables are those of annex K.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from morelike.cosines import basis
from morelike.tasks.colors import LUMA

BLOCK = 8
# fmt: off
OF_LUMA = (  # table K.1
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
OF_CHROMA = (  # table K.2
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
# fmt: on
TO_YCC = np.array([LUMA, *([-part / (2 - 2 * LUMA[at]) for part in LUMA] for at in (2, 0))])
TO_YCC[[1, 2], [2, 0]] = 0.5
"""From red, green and blue to Y, Cb and Cr around 0 (JFIF 1.02): luma, and how far blue and red are
from it, in [-0.5, 0.5]."""
TO_RGB = np.linalg.inv(TO_YCC)


def jpeg(pictures: Tensor, quality: Tensor) -> Tensor:
    """Pictures (B, 1 or 3, H, W) in [-1, 1] after JPEG at the qualities (B,), from 1 to 100: of the
    same shape, in [-1, 1]. Sides that are no multiples of 8 are filled up with the outermost
    pixels. The result has no useful gradient.
    """
    channels, height, width = pictures.shape[1:]
    rows, columns = (
        torch.arange(-(-side // BLOCK) * BLOCK, device=pictures.device).clamp_max(side - 1)
        for side in (height, width)
    )
    values = pictures[:, :, rows[:, None], columns] * 127.5 + 127.5
    if channels == 3:
        values = _mixed(values, TO_YCC)
    # JFIF adds 128 to chroma and T.81, A.3.1 takes 128 off everything, so chroma is left at 0.
    values = values - values.new_tensor([128] + [0] * (channels - 1))[:, None, None]
    blocks = values.unflatten(3, (-1, BLOCK)).unflatten(2, (-1, BLOCK)).transpose(3, 4)
    waves = torch.from_numpy(basis(BLOCK)).to(values)
    steps = tables(quality.to(values), channels)[:, :, None, None]
    coefficients = _rounded(waves @ blocks.round() @ waves.T / steps) * steps
    blocks = (waves.T @ coefficients @ waves).round()
    values = blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)[:, :, :height, :width]
    values = values + values.new_tensor([128] + [0] * (channels - 1))[:, None, None]
    if channels == 3:
        values = _mixed(values, TO_RGB)
    return values.round().clamp(0, 255) / 127.5 - 1


def _rounded(values: Tensor) -> Tensor:
    """To the nearest whole number; halves, which flat blocks often are, away from 0."""
    return values.sign() * (values.abs() + (0.5 + 1e-4)).floor()


def tables(quality: Tensor, channels: int) -> Tensor:
    """(B, channels, 8, 8): the steps to which coefficients are rounded at qualities (B,), by the
    rule of the Independent JPEG Group: 50 is annex K as it stands.
    """
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    percent = percent[:, None, None, None]
    annex = quality.new_tensor([OF_LUMA, *[OF_CHROMA] * (channels - 1)])
    return ((annex * percent + 50) / 100).floor().clamp(1, 255)


def _mixed(values: Tensor, matrix: np.ndarray) -> Tensor:
    return torch.einsum(
        "ij,bjhw->bihw", torch.from_numpy(matrix).to(values.dtype).to(values.device), values
    )
