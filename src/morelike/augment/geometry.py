"""Scaling, rotation, stretching and shifts by parts of a pixel: one matrix and one resampling for
all (Karras et al. 2020, arXiv 2006.06676, appendix B, "general geometric transformations").

The paper resamples at twice the resolution between two wavelet filters. Here it is one bilinear
look-up: at 64 pixels on a CPU the cubic one alone takes ten times as long, and both sorts of
pictures are blurred alike. A picture that nothing was drawn for is not resampled at all.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Geometry(NamedTuple):
    """What happens to each picture, in this order; (B,) each."""

    scale: Tensor
    """Larger by this factor; 1 is as it was."""
    turn_before: Tensor
    """Clockwise, radians."""
    stretch: Tensor
    """Wider by this factor, and less high by the same; 1 is as it was."""
    turn_after: Tensor
    """Clockwise, radians."""
    right: Tensor
    """Share of the width."""
    down: Tensor
    """Share of the height."""


def places(what: Geometry, aspect: float) -> Tensor:
    """(B, 2, 3): from a place in the changed picture to the one in the picture as it was.

    Places are (x, y, 1) from the middle of the picture, x to the right up to `aspect`, its width by
    its height, and y down up to 1; so they do not depend on the resolution.
    """
    # G = shift * turn_after * stretch * turn_before * scale, of which this is the inverse.
    squeezed = torch.stack(
        [what.stretch.reciprocal(), torch.zeros_like(what.stretch), what.stretch], 1
    )
    linear = _turn(-what.turn_before) @ _symmetric(squeezed) @ _turn(-what.turn_after)
    linear = linear / what.scale[:, None, None]
    shift = torch.stack([2 * aspect * what.right, 2 * what.down], 1)[:, :, None]
    return torch.cat([linear, -linear @ shift], 2)


def _turn(angle: Tensor) -> Tensor:
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine, -sine, sine, cosine], 1).view(-1, 2, 2)


def _symmetric(entries: Tensor) -> Tensor:
    """(B, 3) of a, b, d to (B, 2, 2) of ((a, b), (b, d))."""
    return entries[:, [0, 1, 1, 2]].view(-1, 2, 2)


def resampled(pictures: Tensor, places: Tensor) -> Tensor:
    """What stands at these places of the pictures, between pixels bilinearly; beyond a border, the
    picture's reflection in it.

    Args:
        pictures: (B, C, H, W).
        places: (B, 2, 3), as `places` gives them.
    """
    aspect = pictures.shape[3] / pictures.shape[2]
    # torch counts x up to 1, too.
    units = places.new_tensor([[1, 1 / aspect, 1 / aspect], [aspect, 1, 1]])
    grid = F.affine_grid(places * units, list(pictures.shape), align_corners=False)
    # Channels last would be four times as slow here.
    return F.grid_sample(
        pictures.contiguous(), grid, "bilinear", padding_mode="reflection", align_corners=False
    )
