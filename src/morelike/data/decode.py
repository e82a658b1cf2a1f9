"""From the bytes of a picture file to uint8 of the asked shape, or a named rejection.

Image files are hostile input. A file is opened by the reader that its first bytes name and by no
other, its size is checked before any pixel is decoded, and whatever goes wrong is a `Rejection`.
Why Pillow, and what shrink-on-load costs: docs/decisions/0005.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from morelike.data.color import in_srgb
from morelike.data.fit import (
    PROXY,
    Box,
    Decoded,
    Form,
    padded,
    pixels_for_one,
    too_long,
    window,
)
from morelike.data.item import Rejection

MOST_BYTES = 512 * 2**20
MOST_PIXELS = 120_000_000
VERSION = 2
"""Part of the store's key: raise it when the same file would give other pixels."""

SPARE = 1.75
"""Shrinking on load leaves so many times the needed pixels on each side; Lanczos does the rest."""
SPARE_REDUCED = 3.0
"""The same for averaging whole pixels, which keeps less of the finest detail."""
MOST_SCANNED = 1_500_000_000
"""Pixels times scans of a JPEG: each scan of a progressive one passes over all blocks again."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation; from 5 on, the sides are swapped."""


def decode(data: bytes | np.ndarray, form: Form) -> Decoded:
    """Decode, turn upright, convert to sRGB, fit into the form (antialiased Lanczos).

    Args:
        data: an encoded picture, or its pixels: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        form: what to make of it.

    Raises:
        Rejection: if it is not a picture that can be read and used.
    """
    with _rejecting():
        return _fitted(
            _from_array(data) if isinstance(data, np.ndarray) else _load(data, form), form
        )


def open_image(data: bytes) -> Image.Image:
    """The whole picture: upright, sRGB, in mode L, RGB or RGBA.

    Raises:
        Rejection: if it is not a picture that can be read.
    """
    with _rejecting():
        return _load(data, None).image


class _Picture(NamedTuple):
    image: Image.Image  # upright, sRGB, in mode L, RGB or RGBA
    width: int  # of the original, upright
    height: int
    shrunk: int  # so many pixels of the original make one of the image, on a side
    origin: tuple[float, float]  # where in the image the original's left top corner is
    notes: tuple[str, ...]


@contextlib.contextmanager
def _rejecting() -> Iterator[None]:
    """Hostile bytes make the libraries raise nearly anything; all of it becomes a Rejection."""
    try:
        yield
    except Rejection:
        raise
    except MemoryError:
        raise Rejection("too large for the memory") from None
    except Image.DecompressionBombError:
        raise Rejection("its pixels are too many") from None
    except Exception as error:
        reason = str(error).split("\n")[0][:100]
        short = (EOFError, IndexError, struct.error)  # which Pillow wraps in others
        if isinstance(error.__cause__ or error, short) or "truncated" in reason.lower():
            raise Rejection("the file is cut short") from None
        if "too large" in reason.lower() or "too much memory" in reason.lower():
            raise Rejection("its text or colour profile is too large") from None
        # Only these speak of the file; others, of Python's objects.
        if not isinstance(error, OSError | SyntaxError | ValueError) or not reason:
            reason = "broken inside"
        raise Rejection(f"cannot be decoded: {reason}") from None


def _from_array(pixels: np.ndarray) -> _Picture:
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise Rejection(f"an array of {pixels.dtype} in the shape {pixels.shape} is no picture")
    height, width = pixels.shape[:2]
    _check_size(width, height)
    pixels = pixels.reshape(height, width) if channels == 1 else pixels
    return _Picture(Image.fromarray(pixels), width, height, 1, (0, 0), ())


def _load(data: bytes, form: Form | None) -> _Picture:
    """Decode a file; a JPEG with fewer pixels, where `form` does not need them all."""
    if not data:
        raise Rejection("the file is empty")
    if len(data) > MOST_BYTES:
        raise Rejection(f"the file is over {MOST_BYTES // 2**20} MB")
    notes: list[str] = []
    shrunk = 1
    image = _open(data)
    width, height = image.size
    _check_size(width, height)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        _make_strict(image, data)
        if form:
            shrunk = _shrink_on_load(image, form)
        image.decodermaxblock = len(data)  # in one piece
        image.load()
    else:
        notes += _kind(image)
        if image.format == "PNG":
            image = _load_png(image, data)
        image.load()
        width, height = image.size  # a TIFF turns itself, and a HEIC may correct itself
    orientation = _orientation(image, notes)
    plain = in_srgb(image, notes)
    if orientation in UPRIGHT:
        plain = plain.transpose(UPRIGHT[orientation])
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    # A shrunk picture has its sides rounded up. What is too much lies behind the last pixel, and
    # before the first one where turning has reversed a side.
    origin = (
        plain.width - width / shrunk if orientation in (2, 3, 6, 7) else 0.0,
        plain.height - height / shrunk if orientation in (3, 4, 7, 8) else 0.0,
    )
    return _Picture(plain, width, height, shrunk, origin, tuple(notes))


def _open(data: bytes) -> ImageFile.ImageFile:
    """Only the reader that the first bytes ask for, without Pillow's own check of the size, which
    would not name it.
    """
    file = io.BytesIO(data)
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile(file)  # of a file of several JPEGs, the first
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile(file)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GifImagePlugin.GifImageFile(file)
    if data.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile(file)
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImagePlugin.TiffImageFile(file)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        _check_webp(data)
        return WebPImagePlugin.WebPImageFile(file)
    if data[4:8] == b"ftyp":
        brands = [data[start : start + 4] for start in range(8, 64, 4)]
        if b"avif" in brands or b"avis" in brands:
            return _open_avif(file)
        if b"heic" in brands or b"heix" in brands or b"mif1" in brands:
            return _open_heic(file)
    raise Rejection("not a picture in a known format")


def _open_avif(file: io.BytesIO) -> ImageFile.ImageFile:
    if "avif" not in features.modules or not features.check("avif"):
        raise Rejection("AVIF needs Pillow 11.3 or newer")
    from PIL import AvifImagePlugin

    return AvifImagePlugin.AvifImageFile(file)


def _open_heic(file: io.BytesIO) -> ImageFile.ImageFile:
    try:
        from pi_heif import HeifImageFile
    except ImportError:
        raise Rejection("HEIC needs a package more: pip install 'morelike[heic]'") from None
    return HeifImageFile(file)


def _check_size(width: int, height: int, most: int = MOST_PIXELS) -> None:
    if width < 1 or height < 1:
        raise Rejection("it has no pixels")
    if width * height > most:
        raise Rejection(f"{width} x {height} pixels are too many")


def _check_webp(data: bytes) -> None:
    """The size in the header, since the reader makes room for all pixels, four times, when it
    opens a file.
    """
    head, kind = data[:30].ljust(30, b"\0"), data[12:16]
    width, height = 1, 1
    if kind == b"VP8X":
        width = 1 + int.from_bytes(head[24:27], "little")
        height = 1 + int.from_bytes(head[27:30], "little")
    elif kind == b"VP8 ":
        width = int.from_bytes(head[26:28], "little") & 0x3FFF
        height = int.from_bytes(head[28:30], "little") & 0x3FFF
    elif kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    _check_size(width, height, MOST_PIXELS // 2)


def _kind(image: ImageFile.ImageFile) -> list[str]:
    """Notes on what is in the file beside the picture that is taken."""
    notes = []
    try:
        if getattr(image, "is_animated", False):
            pages = image.format in ("TIFF", "HEIF")
            notes.append("several pages: the first" if pages else "animated: first frame")
    except Exception:  # a second frame that is broken matters to nobody
        notes.append("animated: first frame")
    if image.tile and "16" in str(image.tile[0][3]):
        notes.append("16 bit")
    return notes


# JPEG


def _make_strict(image: JpegImagePlugin.JpegImageFile, data: bytes) -> None:
    """Refuse what would take too long; make the decoder notice when the data ends too early.

    libjpeg fills what is missing with gray where it meets the end marker, but not where the bytes
    just stop. So a picture of one scan is read without its end marker.
    """
    assert image.fp is not None
    pixels, start = image.width * image.height, image.fp.tell()  # start: of the first scan's data
    end = data.rfind(b"\xff\xd9", start)
    # Huffman's shortest code is a bit, for a block of 64 pixels.
    if end < 0 or pixels > 512 * len(data):
        raise Rejection("the file is cut short")
    # What says that the first scan holds all components: its marker, its length, their number.
    length = 6 + 2 * image.layers
    whole = b"\xff\xda" + length.to_bytes(2, "big") + bytes([image.layers])
    if "progressive" not in image.info and data.startswith(whole, start - length - 2):
        image.fp = io.BytesIO(data[:end] + 16 * b"\xff\0")  # it looks some bytes ahead
    elif (scans := 1 + data.count(b"\xff\xda", start)) * pixels > MOST_SCANNED:
        raise Rejection(f"{scans} scans of {image.width} x {image.height} pixels are too many")


def _shrink_on_load(image: JpegImagePlugin.JpegImageFile, form: Form) -> int:
    """Have the decoder average 2, 4 or 8 pixels on a side, where `SPARE` remains.

    The inverse cosine transform of a block's low frequencies gives the smaller block at once.
    """
    width, height = image.size
    if _orientation(image, []) in (5, 6, 7, 8):
        width, height = height, width
    most = min(pixels_for_one(width, height, form) / SPARE, width / PROXY, height / PROXY)
    for shrink in (8, 4, 2):
        if shrink <= most:
            image.draft(None, (image.width // shrink, image.height // shrink))
            return shrink
    return 1


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # of broken EXIF; the picture beside it may be whole
        notes.append("EXIF ignored: broken")
        return 1


# PNG


def _load_png(image: ImageFile.ImageFile, data: bytes) -> ImageFile.ImageFile:
    """Load; refuse a PNG whose packed data ends before its last row.

    Pillow leaves such rows at zero, as a black or transparent border truly is: where the last rows
    are zero, the file is read once more onto white, and what was not written shows.
    """
    image.load()
    # Of an interlaced picture, one of the last two rows is written at the very end.
    width, height = image.size
    last = [image.crop((0, row, width, row + 1)) for row in range(max(0, height - 2), height)]
    if all(row.getbbox() for row in last):
        return image
    image.close()  # so that there is one at a time
    again = _open(data)
    again.im = Image.new(again.mode, again.size, 255 if again.mode == "P" else "white").im
    again.load()
    for row, before in zip(range(max(0, height - 2), height), last, strict=True):
        if again.crop((0, row, width, row + 1)).tobytes() != before.tobytes():
            raise Rejection("the file is cut short")
    return again


# Fitting


def _fitted(picture: _Picture, form: Form) -> Decoded:
    image, width, height, shrunk, (x, y), notes = picture
    if too_long(width, height, form):
        raise Rejection(f"{width} x {height} pixels are too long and thin")
    transparent = image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)
    if image.mode == "RGBA" and not transparent:
        image = image.convert("RGB")
    if transparent and form.channels == 3:
        image = _on_matte(image, form.matte)

    # Of very large pictures, averages of whole pixels, once for all that follows.
    needed = pixels_for_one(image.width, image.height, form) / SPARE_REDUCED
    step = int(min(needed, image.width / (2 * PROXY), image.height / (2 * PROXY)))
    if step > 1:
        image, shrunk, x, y = image.reduce(step), shrunk * step, x / step, y / step

    opaque = _on_matte(image, form.matte) if image.mode == "RGBA" else image

    across, down = image.size

    def in_image(left: float, top: float, right: float, bottom: float) -> Box:
        return (
            min(x + left / shrunk, across),
            min(y + top / shrunk, down),
            min(x + right / shrunk, across),
            min(y + bottom / shrunk, down),
        )

    whole = in_image(0, 0, width, height)
    proxy = _array(opaque.resize((PROXY, PROXY), Image.Resampling.BOX, whole), "RGB")
    box, size = window(width, height, form, proxy)
    small = image.resize(size, Image.Resampling.LANCZOS, in_image(*box))
    pixels = padded(_array(small, "RGBA" if form.channels == 4 else "RGB"), form)
    return Decoded(
        pixels=pixels,
        proxy=proxy,
        width=width,
        height=height,
        gray=image.mode == "L" or _is_gray(pixels),
        transparent=transparent,
        enlarged=max(1.0, 1 / pixels_for_one(width, height, form)),
        notes=notes,
    )


def _array(image: Image.Image, mode: str) -> np.ndarray:
    image = image if image.mode == mode else image.convert(mode)
    pixels = np.frombuffer(image.tobytes(), np.uint8)
    return pixels.reshape(image.height, image.width, len(mode))


def _on_matte(image: Image.Image, matte: tuple[int, int, int]) -> Image.Image:
    ground = Image.new("RGB", image.size, matte)
    ground.paste(image, mask=image)
    return ground


def _is_gray(pixels: np.ndarray) -> bool:
    for part in (pixels[::8, ::8], pixels):  # most pictures that are not are found out by a few
        red, green, blue = (part[..., channel] for channel in range(3))
        if (red != green).any() or (green != blue).any():
            return False
    return True
