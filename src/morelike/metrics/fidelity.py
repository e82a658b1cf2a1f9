"""How near a picture is to the one that it should be: PSNR, SSIM, and the distance of feature maps.

Each compares pictures one by one, in the order given, so a set's figure is the mean of its rows.
None of them says whether a picture looks real: of all answers that a small picture allows, the mean
has the best PSNR, and it is blurred (Blau & Michaeli 2018, "The Perception-Distortion Tradeoff").
All of them let gradients through to the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

RANGE = 2.0
"""From the darkest value that a picture may have to the lightest, -1 to 1."""
WINDOW, SIGMA = 11, 1.5
"""Side and standard deviation of SSIM's window, in pixels."""
K1, K2 = 0.01, 0.03
FLOOR = 1e-10
"""Added to the squared length of a feature: where all are 0, there is no direction to compare."""


def psnr(made: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB: 10 log10(peak^2 / E[(made - truth)^2]), with peak 2.

    The mean runs over the places and channels of one picture, alpha among them. Larger is nearer;
    equal pictures are infinitely near, which a mean over pictures does not survive. Papers on
    enlarging take luma alone and leave out a border, so their figures do not compare with these.

    Args:
        made: (N, C, H, W) in [-1, 1].
        truth: (N, C, H, W) in [-1, 1], what each should be.

    Returns:
        (N,), in float32 at least.

    Raises:
        ValueError: if the shapes differ or are not of four dimensions.
    """
    _check_alike(made, truth)
    errors = (_wide(made) - _wide(truth)).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(RANGE**2 / errors)


def ssim(made: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity, Wang et al. 2004, "Image Quality Assessment: From Error Visibility to
    Structural Similarity", eq. 13, averaged over places and channels (eq. 17).

    (2 m_x m_y + C_1)(2 s_xy + C_2) / ((m_x^2 + m_y^2 + C_1)(s_x^2 + s_y^2 + C_2)), where means and
    covariances are those under a Gaussian window of 11x11 pixels with sigma 1.5 (eqs. 14 to 16),
    C_i = (K_i L)^2, K_1 = 0.01, K_2 = 0.03 and L = 2. Only windows that lie in the picture count.

    Every channel counts alike. The authors, and most papers, measured luma alone, which hides false
    colours; figures of gray pictures compare with theirs.

    Args:
        made: (N, C, H, W) in [-1, 1], sides of at least 11.
        truth: (N, C, H, W) in [-1, 1], what each should be.

    Returns:
        (N,), in float32 at least: 1 for equal pictures, about 0 for unrelated ones, -1 at worst.

    Raises:
        ValueError: if the shapes differ, are not of four dimensions, or a side is below 11.
    """
    _check_alike(made, truth)
    if min(made.shape[2:]) < WINDOW:
        raise ValueError(f"sides of at least {WINDOW} are needed, not {tuple(made.shape)}")
    # A variance is a small difference of squares, which convolutions of fewer bits would lose.
    with torch.autocast(made.device.type, enabled=False):
        x, y = _wide(made), _wide(truth)
        m_x, m_y, m_xx, m_yy, m_xy = _windowed(torch.stack([x, y, x * x, y * y, x * y]))
        s_xx, s_yy, s_xy = m_xx - m_x**2, m_yy - m_y**2, m_xy - m_x * m_y
        c_1, c_2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
        luminance = (2 * m_x * m_y + c_1) / (m_x**2 + m_y**2 + c_1)
        structure = (2 * s_xy + c_2) / (s_xx + s_yy + c_2)
        return (luminance * structure).mean(dim=(1, 2, 3))


def feature_distance(maps_a: Sequence[Tensor], maps_b: Sequence[Tensor]) -> Tensor:
    """Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"
    (LPIPS), eq. 1 with w = 1:

    d = sum_l 1 / (H_l W_l) sum_hw || a_hw / |a_hw| - b_hw / |b_hw| ||^2, where a_hw are the values
    of all channels of layer l at one place.

    With w = 1 it is the paper's distance before its weights were fitted to people's judgements.
    Figures of different networks do not compare, nor do they with published LPIPS.

    Args:
        maps_a: layers of one network, each (N, C_l, H_l, W_l), such as
            `morelike.features.perceptual` gives.
        maps_b: those of other pictures, of the same shapes.

    Returns:
        (N,), in float32 at least: 0 for equal maps, at most 4 a layer, at most 2 where no value is
        negative.

    Raises:
        ValueError: if there is no layer, or the layers' shapes differ.
    """
    if not maps_a or len(maps_a) != len(maps_b):
        raise ValueError(f"as many layers are needed, not {len(maps_a)} and {len(maps_b)}")
    layers = []
    for a, b in zip(maps_a, maps_b, strict=True):
        _check_alike(a, b)
        apart = _direction(_wide(a)) - _direction(_wide(b))
        layers.append(apart.square().sum(dim=1).mean(dim=(1, 2)))
    return torch.stack(layers).sum(dim=0)


def _check_alike(a: Tensor, b: Tensor) -> None:
    if a.ndim != 4 or a.shape != b.shape:
        raise ValueError(
            f"two times the same (N, C, H, W) is needed, not {tuple(a.shape)} and {tuple(b.shape)}"
        )


def _wide(values: Tensor) -> Tensor:
    """As float32 where it is of fewer bits."""
    return values if values.dtype == torch.float64 else values.float()


def _direction(features: Tensor) -> Tensor:
    """Each place's values, scaled to length 1."""
    return features / (features.square().sum(dim=1, keepdim=True) + FLOOR).sqrt()


def _windowed(maps: Tensor) -> Tensor:
    """Means of (..., H, W) under the window, at all places where it fits."""
    place = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    bell = torch.exp(-(place**2) / (2 * SIGMA**2))
    bell = (bell / bell.sum()).to(maps)
    alone = maps.flatten(0, -3)[:, None]
    rows = F.conv2d(alone, bell.view(1, 1, 1, -1))
    return F.conv2d(rows, bell.view(1, 1, -1, 1))[:, 0].unflatten(0, maps.shape[:-2])
