"""Which pictures are kept away from training, to measure with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

AT_LEAST = 8


def held_out(digests: Sequence[str], share: float) -> list[bool]:
    """For each picture, given the digest of its pixels, whether it is held out.

    The choice depends on the pixels alone, so it is the same wherever the pictures lie and in
    whatever order they come; pictures with equal pixels are always on the same side. The larger
    of 8 and `share` of the pictures is held out, but never more than half; with share 0, none.
    """
    target = min(max(AT_LEAST, round(share * len(digests))), len(digests) // 2) if share else 0
    copies: dict[str, int] = {}
    for digest in digests:
        copies[digest] = copies.get(digest, 0) + 1
    order = sorted(copies, key=lambda digest: hashlib.blake2b(digest.encode()).digest())
    chosen: set[str] = set()
    count = 0
    for digest in order:
        if count >= target:
            break
        if count + copies[digest] <= len(digests) // 2:
            chosen.add(digest)
            count += copies[digest]
    return [digest in chosen for digest in digests]
