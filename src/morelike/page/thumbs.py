"""The pictures of a page: small, inside the page itself, and each stored once."""

from __future__ import annotations

import base64
import hashlib
import io

import numpy as np
from PIL import Image

from morelike.page.images import shrunk, to_image

MOST_BYTES = 4_800_000
"""What all pictures of a page may take, encoded for HTML."""
STEPS = ((96, 85), (96, 60), (64, 50), (48, 35))
"""Longest side and WebP quality; the first with which all pictures fit is taken."""
LOSSLESS_SIDE = 48
"""Pictures up to this side keep every pixel, because they are shown enlarged."""


class Thumbs:
    """Collects the pictures that a page shows, and gives each a place in it.

    A picture is an SVG symbol that is defined once and used wherever it is shown, so showing it
    again costs a few bytes and needs no script.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._images: list[Image.Image] = []

    def place(self, pixels: np.ndarray, alt: str) -> str:
        """The element that shows (H, W, C) uint8 pixels; `alt` says what it is, as HTML."""
        contents = np.ascontiguousarray(pixels)
        digest = hashlib.blake2b(repr(contents.shape).encode() + contents.tobytes()).digest()
        number = self._numbers.setdefault(digest, len(self._images))
        if number == len(self._images):
            self._images.append(_small(to_image(contents), STEPS[0][0]))
        width, height = self._images[number].size
        return (
            f'<svg class="picture" viewBox="0 0 {width} {height}" role="img">'
            f'<title>{alt}</title><use href="#p{number}"/></svg>'
        )

    def symbols(self) -> str:
        """The definitions of all pictures placed so far, to stand anywhere in the page."""
        if not self._images:
            return ""
        symbols = "".join(
            f'<symbol id="p{number}" viewBox="0 0 {image.width} {image.height}">'
            f"<image{_smoothing(image)} "
            f'width="{image.width}" height="{image.height}" href="{uri}"/></symbol>\n'
            for number, (image, uri) in enumerate(zip(self._images, self._uris(), strict=True))
        )
        return f'<svg class="symbols" width="0" height="0" aria-hidden="true">\n{symbols}</svg>\n'

    def _uris(self) -> list[str]:
        uris: list[str] = []
        for side, quality in STEPS:
            uris, total = [], 0
            for image in self._images:
                uris.append(_uri(_small(image, side), quality))
                total += len(uris[-1])
                if total > MOST_BYTES and (side, quality) != STEPS[-1]:
                    break
            else:
                return uris
        return uris


def _small(image: Image.Image, side: int) -> Image.Image:
    size = shrunk(image.size, side)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _smoothing(image: Image.Image) -> str:
    return ' class="pixels"' if max(image.size) <= LOSSLESS_SIDE else ""


def _uri(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    if max(image.size) <= LOSSLESS_SIDE and quality == STEPS[0][1]:
        image.save(buffer, "WEBP", lossless=True, quality=50, method=3)
    else:
        image.save(buffer, "WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
