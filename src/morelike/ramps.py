"""Settings that move while training: functions of the images seen."""

from __future__ import annotations

import math

from morelike.config import OptimizerConfig, Ramp


def ramp(settings: Ramp, images: int) -> float:
    """The factor after this many images: 1 before `start`, `to` from `start` + `images` on."""
    if settings.images is None:
        return 1.0
    share = min(max((images - settings.start) / settings.images, 0.0), 1.0)
    if settings.shape == "cosine":
        share = (1 - math.cos(math.pi * share)) / 2
    return (1 - share) + share * settings.to  # exactly `to` at the end


def rate(settings: OptimizerConfig, images: int) -> float:
    """The factor of the learning rates: warm-up from 0, then the ramp."""
    warm = min(1.0, images / settings.warmup) if settings.warmup else 1.0
    return warm * ramp(settings.ramp, images)
