"""Features of pictures: what the measures of `metrics/` compare, from one of several networks.

    from morelike.features import extractor, features_of
    look = extractor()                      # needs no file and no network
    real = features_of(look, images)        # (N, H, W, C) uint8 -> (N, F) float32

"random" is the default and works anywhere. The networks that learnt from photographs take their
weights from a file, or fetch them if asked to with `download=True`, and never otherwise. Figures of
different extractors do not compare, so every score states `Extractor.name`.
"""

from __future__ import annotations

from morelike.features.cache import features_of
from morelike.features.extractor import Extractor, extractor

__all__ = ["Extractor", "extractor", "features_of"]
