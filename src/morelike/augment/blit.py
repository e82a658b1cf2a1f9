"""Changes that move whole pixels and blend none (Karras et al. 2020, "Training Generative
Adversarial Networks with Limited Data", arXiv 2006.06676, appendix B, "pixel blitting").
"""

from __future__ import annotations

import torch
from torch import Tensor


def blit(pictures: Tensor, mirrored: Tensor, turns: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Mirror, then turn, then shift, each picture by its own numbers; every value is one that was
    there. What enters at a border is the picture's reflection in it.

    Args:
        pictures: (B, C, H, W).
        mirrored: (B,) bool, left and right exchanged.
        turns: (B,) whole, 0 to 3 quarter turns counter-clockwise; only 0 and 2 where the picture is
            not square.
        down: (B,) whole, pixels, at most the height either way.
        right: (B,) whole, pixels, at most the width either way.
    """
    height, width = pictures.shape[2:]
    places = [torch.arange(side, device=pictures.device) for side in (height, width)]
    rows = _reflected(places[0] - down[:, None], height)[:, :, None]
    columns = _reflected(places[1] - right[:, None], width)[:, None, :]
    # What stands at (row, column) after so many turns stood, before them, at:
    before = [
        (rows, columns),
        (columns, width - 1 - rows),
        (height - 1 - rows, width - 1 - columns),
        (height - 1 - columns, rows),
    ]
    turned = turns[:, None, None]
    row, column = before[0]
    for number in (1, 2, 3):
        row = torch.where(turned == number, before[number][0], row)
        column = torch.where(turned == number, before[number][1], column)
    column = torch.where(mirrored[:, None, None], width - 1 - column, column)
    index = (row * width + column).flatten(1)[:, None, :].expand(-1, pictures.shape[1], -1)
    return pictures.flatten(2).gather(2, index).view(pictures.shape)


def _reflected(places: Tensor, side: int) -> Tensor:
    """Places up to one side outside, folded back in: -1 is 0, and `side` is `side` - 1."""
    folded = torch.where(places < 0, -1 - places, places)
    return torch.where(folded >= side, 2 * side - 1 - folded, folded)
