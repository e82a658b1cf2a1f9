"""From the bytes of a picture file to a small square of uint8, or a named rejection.

Image files are hostile input: only formats that Pillow reads in its own code are tried, and the
size is checked before any pixel is decoded.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # JPEG takes in MPO
MOST_PIXELS = 120_000_000
MOST_BYTES = 512 * 2**20
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
VERSION = 1
"""Part of the cache's key: raise it when the same file would give other pixels."""


class Rejection(Exception):
    """Why a file cannot be used; its text is shown to the person."""


def decode(data: bytes, resolution: int, channels: int) -> np.ndarray:
    """Decode, turn upright, lay on white, crop the centre square and resize (antialiased Lanczos).

    Args:
        data: an encoded picture.
        resolution: side of the result in pixels.
        channels: 1 gray, 3 RGB (transparency on white), 4 RGBA.

    Returns:
        (resolution, resolution, channels) uint8.

    Raises:
        Rejection: if it is not a picture that can be read.
    """
    if not data:
        raise Rejection("the file is empty")
    if len(data) > MOST_BYTES:
        raise Rejection(f"the file is over {MOST_BYTES // 2**20} MB")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Rejection(f"{image.width} x {image.height} pixels are too many")
            image.load()
            return _square(_to_mode(ImageOps.exif_transpose(image), channels), resolution)
    except Rejection:
        raise
    except UnidentifiedImageError:
        raise Rejection("not a picture in a known format") from None
    except MemoryError:
        raise Rejection("too large for the memory") from None
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        reason = str(error).split("\n")[0][:120] or type(error).__name__
        raise Rejection(f"cannot be decoded: {reason}") from None


def _to_mode(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":  # 16-bit gray: keep the high byte
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if transparent:
        image = image.convert("RGBA")
        if channels != 4:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
    return image.convert(MODES[channels])


def _square(image: Image.Image, resolution: int) -> np.ndarray:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    small = image.resize((resolution, resolution), Image.Resampling.LANCZOS, box=box)
    return np.asarray(small, dtype=np.uint8).reshape(resolution, resolution, -1)
