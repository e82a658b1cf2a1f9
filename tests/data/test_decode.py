from __future__ import annotations

import base64
import io
import struct
import sys
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin, features

from morelike.data import decode as decoder
from morelike.data.decode import open_image
from morelike.data.fit import Crop, Decoded, Form
from morelike.data.item import Rejection

# What Pillow thinks of hostile bytes is kept quiet by the caller, who decodes in threads.
pytestmark = pytest.mark.filterwarnings("ignore")


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def form(side: int = 16, channels: Literal[3, 4] = 3, crop: Crop = "center") -> Form:
    return Form(side, side, channels, crop, (255, 255, 255))


def decoded(data: bytes | np.ndarray, side: int = 16, crop: Crop = "center") -> Decoded:
    return decoder.decode(data, form(side, 3, crop))


def decode(data: bytes | np.ndarray, side: int, channels: Literal[3, 4]) -> np.ndarray:
    return decoder.decode(data, form(side, channels)).pixels


def plain(mode: str, colour: Any, side: int = 24) -> Image.Image:
    return Image.new(mode, (side, side), colour)


def every_pixel(result: np.ndarray) -> list[int]:
    """The one value that all pixels of `result` have."""
    values = np.unique(result.reshape(-1, result.shape[-1]), axis=0)
    assert len(values) == 1
    return values[0].tolist()


# How an upright picture is stored for each EXIF orientation (EXIF 2.32, tag 0x0112): the tag says
# which sides of the scene the first row and the first column of the stored picture are.
STORED = {
    1: lambda up: up,
    2: lambda up: up[:, ::-1],
    3: lambda up: up[::-1, ::-1],
    4: lambda up: up[::-1],
    5: lambda up: up.swapaxes(0, 1),
    6: lambda up: up[:, ::-1].swapaxes(0, 1),
    7: lambda up: up[::-1, ::-1].swapaxes(0, 1),
    8: lambda up: up[::-1].swapaxes(0, 1),
}
# First row and first column of each, in the standard's words, to check the table above.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


@pytest.mark.parametrize("orientation", STORED)
def test_the_table_of_orientations_says_what_the_standard_says(orientation: int) -> None:
    scene = noise(5, 7)
    sides = {"top": scene[0], "bottom": scene[-1], "left": scene[:, 0], "right": scene[:, -1]}
    stored = STORED[orientation](scene)
    row, column = SIDES[orientation]
    for line, side in ((stored[0], sides[row]), (stored[:, 0], sides[column])):
        assert np.array_equal(line, side) or np.array_equal(line[::-1], side)


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_turned_upright(orientation: int) -> None:
    upright = noise(24, 40)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    turned = decode(encoded(stored, exif=oriented(orientation)), 24, 3)
    assert np.array_equal(turned, upright[:, 8:32])


@pytest.mark.parametrize("orientation", STORED)
def test_jpegs_are_turned_upright(orientation: int) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24], upright[:16, 24:] = (220, 30, 30), (30, 220, 30)
    upright[16:, :24], upright[16:, 24:] = (30, 30, 220), (220, 220, 30)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    data = encoded(stored, "JPEG", quality=95, exif=oriented(orientation))
    turned = decode(data, 32, 3).astype(int)
    corners = np.s_[2:30:25, 2:30:25]
    assert np.abs(turned[corners] - upright[:, 8:40][corners]).max() < 12


@pytest.mark.parametrize(
    ("mode", "colour", "options", "expected"),
    [
        ("RGB", (10, 20, 30), {}, (10, 20, 30)),
        ("L", 77, {}, (77, 77, 77)),
        ("1", 1, {}, (255, 255, 255)),
        ("1", 0, {}, (0, 0, 0)),
        # 51 / 255 = 1 / 5: a fifth of the colour and four fifths of white.
        ("RGBA", (200, 100, 0, 51), {}, (244, 224, 204)),
        ("RGBA", (200, 100, 0, 0), {}, (255, 255, 255)),
        ("RGBA", (200, 100, 0, 255), {}, (200, 100, 0)),
        ("LA", (100, 51), {}, (224, 224, 224)),
        ("RGB", (10, 20, 30), {"transparency": (10, 20, 30)}, (255, 255, 255)),
        ("RGB", (10, 20, 30), {"transparency": (9, 20, 30)}, (10, 20, 30)),
        ("L", 77, {"transparency": 77}, (255, 255, 255)),
        ("I;16", 0xABCD, {}, (0xAB, 0xAB, 0xAB)),
        ("I;16", 0x00FF, {}, (0, 0, 0)),
    ],
)
def test_modes_of_png(mode: str, colour: Any, options: dict[str, Any], expected: Any) -> None:
    assert every_pixel(decode(encoded(plain(mode, colour), **options), 16, 3)) == [*expected]


def palette(transparency: int | bytes | None) -> bytes:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([0, 0, 0, 200, 100, 0, 30, 60, 90])
    image.paste(2, (16, 0, 32, 32))
    options: dict[str, Any] = {} if transparency is None else {"transparency": transparency}
    return encoded(image, **options)


@pytest.mark.parametrize(
    ("transparency", "left"),
    [(None, (200, 100, 0)), (1, (255, 255, 255)), (b"\xff\x33\xff", (244, 224, 204))],
)
def test_palettes_with_and_without_transparency(
    transparency: int | bytes | None, left: tuple[int, ...]
) -> None:
    result = decode(palette(transparency), 32, 3)
    assert every_pixel(result[:, :16]) == [*left]
    assert every_pixel(result[:, 16:]) == [30, 60, 90]


def test_transparency_is_kept_with_four_channels() -> None:
    result = decode(palette(1), 32, 4)
    assert (result[:, :16, 3] == 0).all()
    assert every_pixel(result[:, 16:]) == [30, 60, 90, 255]
    assert every_pixel(decode(encoded(plain("RGBA", (90, 80, 70, 51), 16)), 16, 4)) == [
        90,
        80,
        70,
        51,
    ]
    shrunk = every_pixel(decode(encoded(plain("RGBA", (90, 80, 70, 51))), 16, 4))
    assert shrunk[3] == 51
    assert np.allclose(shrunk, (90, 80, 70, 51), atol=3)  # through colours times a fifth
    assert every_pixel(decode(encoded(plain("RGB", (9, 8, 7))), 16, 4)) == [9, 8, 7, 255]


def test_the_colour_of_transparent_pixels_does_not_bleed() -> None:
    image = plain("RGBA", (255, 0, 0, 0), 64)
    image.paste((0, 0, 255, 255), (32, 0, 64, 64))
    result = decode(encoded(image), 16, 3).astype(int)
    assert (result[..., 0] - result[..., 1]).max() <= 1  # no red edge


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_gives_every_number_of_channels(mode: str, channels: Literal[3, 4]) -> None:
    image = Image.fromarray(noise(20, 30))
    if mode == "I;16":
        image = Image.fromarray(noise(20, 30, 1).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    result = decoder.decode(data, form(16, channels))
    assert result.pixels.shape == (16, 16, channels)
    assert result.pixels.dtype == np.uint8
    assert result.gray == (mode in ("1", "L", "LA", "I;16"))
    assert result.gray == (result.pixels[..., 0] == result.pixels[..., 1]).all()


def test_cmyk_and_gray_jpegs() -> None:
    red = every_pixel(decode(encoded(plain("CMYK", (0, 255, 255, 0)), "JPEG"), 16, 3))
    assert np.allclose(red, (255, 0, 0), atol=6)
    gray = every_pixel(decode(encoded(plain("L", 90), "JPEG"), 16, 3))
    assert np.allclose(gray, 90, atol=2)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_formats_without_loss_are_exact(kind: str, options: dict[str, Any]) -> None:
    picture = noise(16, 16)
    assert np.array_equal(decode(encoded(picture, kind, **options), 16, 3), picture)


def test_lossy_webp_is_near() -> None:
    result = decode(encoded(plain("RGB", (40, 90, 160)), "WEBP"), 16, 3)
    assert np.allclose(result, (40, 90, 160), atol=6)


def test_of_a_multi_picture_jpeg_the_first_is_taken() -> None:
    frames = [plain("RGB", (220, 30, 30)), plain("RGB", (30, 30, 220))]
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "MPO"
    assert np.allclose(decode(data, 16, 3), (220, 30, 30), atol=6)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [plain("RGB", colour) for colour in ((255, 0, 0), (0, 0, 255), (0, 255, 0))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert every_pixel(decode(data, 16, 3)) == [255, 0, 0]


@pytest.mark.parametrize(
    ("height", "width", "top", "left"),
    [(16, 48, 0, 16), (48, 16, 16, 0), (16, 17, 0, 0), (21, 16, 2, 0), (16, 16, 0, 0)],
)
def test_the_centre_square_is_cut_out_exactly(height: int, width: int, top: int, left: int) -> None:
    picture = noise(height, width)
    expected = picture[top : top + 16, left : left + 16]
    assert np.array_equal(decode(encoded(picture), 16, 3), expected)


def test_shrinking_averages_instead_of_skipping() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    result = decode(encoded(board), 16, 3).astype(int)
    assert np.abs(result[2:-2, 2:-2] - 127.5).max() < 3


@pytest.mark.parametrize("crop", ["center", "pad", "fit", "smart"])
@pytest.mark.parametrize("size", [(1, 1), (1, 20), (20, 1), (3, 2)])
def test_small_and_narrow_pictures_are_enlarged(size: tuple[int, int], crop: Crop) -> None:
    result = decoded(encoded(Image.new("RGB", size, (1, 2, 3))), 32, crop)
    assert every_pixel(result.pixels) == every_pixel(result.proxy) == [1, 2, 3]
    assert result.enlarged == 32 / (max(size) if crop == "pad" else min(size))


@pytest.mark.parametrize("size", [(21, 1), (1, 5000), (40_000, 1000)])
def test_very_long_pictures_are_rejected(size: tuple[int, int]) -> None:
    with pytest.raises(Rejection, match=f"{size[0]} x {size[1]} pixels are too long and thin"):
        decoded(encoded(Image.new("L", size)))


def chunk(kind: bytes, data: bytes) -> bytes:
    checked = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checked


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that claims to be very large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(11_000, 11_000), (60_000, 60_000), (2**31 - 1, 2)])
def test_bombs_are_refused_before_they_are_unpacked(width: int, height: int) -> None:
    data = bomb(width, height)
    assert len(data) < 2000
    began = time.process_time()
    with pytest.raises(Rejection, match="pixels"):
        decode(data, 16, 3)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"Just some text.\n" * 50, "not a picture in a known format"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (encoded(noise(64, 64))[:3000], "cut short"),
        (encoded(noise(64, 64), "JPEG")[:1500], "cut short"),
        (encoded(noise(64, 64), "BMP")[:1500], "cut short"),
    ],
    ids=["empty", "text", "signature", "cut PNG", "cut JPEG", "cut BMP"],
)
def test_what_cannot_be_read_is_rejected_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Rejection, match=reason) as caught:
        decode(data, 16, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA", "PCX", "ICO", "PDF", "JPEG2000"])
def test_other_formats_are_never_opened(kind: str) -> None:
    try:
        data = encoded(plain("RGB", (1, 2, 3)), kind)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {kind}")
    with pytest.raises(Rejection, match="not a picture in a known format"):
        decode(data, 16, 3)


def test_files_that_are_too_large_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morelike.data.decode.MOST_BYTES", 2**20)
    with pytest.raises(Rejection, match="over 1 MB"):
        decode(bytes(2**20 + 1), 16, 3)


def test_no_memory_is_a_rejection(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", no_memory)
    with pytest.raises(Rejection, match="too large for the memory"):
        decode(encoded(noise(8, 8)), 16, 3)


# JPEG


def photo(width: int, height: int) -> Image.Image:
    """Something with large shapes, with edges and with fine detail."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    side = np.sqrt(width * height)
    waves = [np.sin((x * a + y * b) / side * 9) for a, b in ((1, 0.2), (0.3, 1), (0.7, 0.7))]
    discs = (np.sin(x / side * 40) * np.sin(y / side * 30) > 0.6)[..., None]
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 1))
    shapes = np.stack(waves, axis=-1) * 90 + 127 + discs * 60 + noise
    return Image.fromarray(shapes.clip(0, 255).astype(np.uint8))


def lanczos(image: Image.Image, side: int) -> np.ndarray:
    """The referee: the center square of the whole picture, in one step."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS, box))


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    error = np.mean((first.astype(float) - second.astype(float)) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("size", [(500, 375), (375, 501), (1003, 771), (2000, 1500)])
def test_shrinking_on_load_is_near_the_whole_picture(
    size: tuple[int, int], orientation: int
) -> None:
    upright = photo(*size)
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(upright))))
    data = encoded(stored, "JPEG", quality=95, exif=oriented(orientation))
    result = decoded(data, 64)
    assert psnr(result.pixels, lanczos(upright, 64)) > 33
    assert (result.width, result.height) == size
    whole = upright.resize((64, 64), Image.Resampling.BOX)
    assert psnr(result.proxy, np.asarray(whole)) > 30


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("size", [(375, 501), (1003, 771)])
def test_shrinking_on_load_moves_nothing_when_turned(
    size: tuple[int, int], orientation: int
) -> None:
    """Sides that 2 and 4 do not divide are rounded up; half a pixel's shift costs 15 dB here."""
    x, y = np.arange(size[0]) / size[0], np.arange(size[1])[:, None] / size[1]
    board = (np.sin(x * 60) * np.sin(y * 50) > 0).astype(np.uint8) * 255
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](board))).convert("RGB")
    data = encoded(stored, "JPEG", quality=95, exif=oriented(orientation))
    assert psnr(decode(data, 64, 3), lanczos(Image.fromarray(board), 64)) > 36


@pytest.mark.parametrize(
    ("size", "side", "crop", "loaded"),
    [
        ((447, 500), 128, "center", (447, 500)),
        ((448, 500), 128, "center", (224, 250)),
        ((1000, 448), 128, "center", (500, 224)),
        ((1000, 448), 128, "pad", (250, 112)),
        ((1000, 300), 128, "pad", (250, 75)),
        ((1000, 300), 128, "fit", (1000, 300)),
        ((2000, 2000), 128, "center", (250, 250)),
        ((240, 240), 16, "center", (120, 120)),  # for the sake of the proxy
    ],
)
def test_what_is_left_after_shrinking_on_load(
    size: tuple[int, int],
    side: int,
    crop: Crop,
    loaded: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []
    load = JpegImagePlugin.JpegImageFile.load

    def noted(image: JpegImagePlugin.JpegImageFile) -> Any:
        sizes.append(image.size)
        return load(image)

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", noted)
    decoded(encoded(photo(*size), "JPEG"), side, crop)
    assert sizes[0] == loaded


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"subsampling": "4:1:1"},
        {"subsampling": "4:2:2"},
        {"subsampling": 0},
        {"restart_marker_rows": 1},
        {"optimize": True},
    ],
    ids=str,
)
def test_all_sorts_of_jpegs(options: dict[str, Any]) -> None:
    image = photo(160, 120)
    for picture in (image, image.convert("L"), image.convert("CMYK")):
        whole = decoded(encoded(picture, "JPEG", quality=95, **options))
        assert psnr(whole.pixels, lanczos(picture, 16)) > 35
        assert ("CMYK" in whole.notes) == (picture.mode == "CMYK")
        assert whole.gray == (picture.mode == "L")


@pytest.mark.parametrize("end", [b"\xff\xd9", bytes(3000), b""], ids=["marker", "zeros", "nothing"])
def test_a_jpeg_that_ends_early_is_rejected_however_it_ends(end: bytes) -> None:
    data = encoded(photo(160, 120), "JPEG")
    assert decoded(data).width == 160
    with pytest.raises(Rejection, match="cut short"):
        decoded(data[: len(data) * 2 // 3] + end)


def test_what_follows_a_jpeg_does_not_matter() -> None:
    data = encoded(photo(160, 120), "JPEG")
    assert np.array_equal(decoded(data + b"trailer" * 99).pixels, decoded(data).pixels)


def test_jpegs_of_very_many_scans_are_rejected() -> None:
    data = encoded(photo(3000, 2000), "JPEG", progressive=True, quality=20)
    assert decoded(data).width == 3000
    scan = data.rindex(b"\xff\xda")
    began = time.process_time()
    with pytest.raises(Rejection, match="scans of 3000 x 2000 pixels are too many"):
        decoded(data[:-2] + data[scan:-2] * 300 + data[-2:])
    assert time.process_time() - began < 1


def test_a_jpeg_that_claims_more_pixels_than_its_bytes_can_tell_is_rejected() -> None:
    data = bytearray(encoded(photo(160, 120), "JPEG", progressive=True))
    place = data.index(b"\xff\xc2") + 5
    data[place : place + 4] = struct.pack(">HH", 10_000, 10_000)
    with pytest.raises(Rejection, match="cut short"):
        decoded(bytes(data))


# PNG and others


def png(
    rows: np.ndarray | bytes,
    width: int,
    height: int,
    bits: int,
    kind: int,
    *chunks: bytes,
    lace: int = 0,
) -> bytes:
    """A PNG of unfiltered rows, as Pillow would not write it."""
    if isinstance(rows, np.ndarray):
        rows = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, lace)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


ADAM7 = [
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
]


@pytest.mark.parametrize("height", [16, 17])
def test_interlaced_pngs(height: int) -> None:
    picture = noise(height, 16)
    passes = [picture[top::down, left::across] for top, left, down, across in ADAM7]
    rows = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    assert np.array_equal(decode(png(rows, 16, height, 8, 2, lace=1), 16, 3), picture[:16])
    with pytest.raises(Rejection, match="cut short"):
        decode(png(rows[: len(rows) // 2], 16, height, 8, 2, lace=1), 16, 3)


@pytest.mark.parametrize("bottom", [0, 77])
def test_a_png_whose_rows_are_missing_is_rejected_and_a_black_border_is_not(bottom: int) -> None:
    picture = noise(16, 16)
    picture[8:] = bottom
    assert np.array_equal(decode(png(picture, 16, 16, 8, 2), 16, 3), picture)
    with pytest.raises(Rejection, match="cut short"):
        decode(png(picture[:15], 16, 16, 8, 2), 16, 3)


def test_colours_of_16_bits_keep_their_high_bytes() -> None:
    picture = np.random.default_rng(0).integers(0, 65536, (16, 16, 3), dtype=np.uint16)
    picture[0, 0] = 0x1234, 0x5678, 0x9ABC
    rows = picture.astype(">u2")
    result = decoded(png(rows, 16, 16, 16, 2))
    assert np.array_equal(result.pixels, picture >> 8)
    assert result.notes == ("16 bit",)
    key = chunk(b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))
    result = decoded(png(rows, 16, 16, 16, 2, key))
    assert result.transparent
    assert result.pixels[0, 0].tolist() == [255, 255, 255]


def test_gray_of_16_bits_with_a_transparent_level() -> None:
    levels = np.full((16, 16), 0x4000, np.uint16)
    levels[:8] = 0x4001
    key = chunk(b"tRNS", struct.pack(">H", 0x4001))
    result = decode(png(levels.astype(">u2"), 16, 16, 16, 0, key), 16, 4)
    assert every_pixel(result[8:]) == [64, 64, 64, 255]
    assert (result[:8, :, 3] == 0).all()


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_packed_text_and_profiles_stay_small(kind: bytes) -> None:
    bomb = chunk(kind, b"name\0\0" + zlib.compress(bytes(100_000_000)))
    data = png(noise(16, 16), 16, 16, 8, 2, bomb)
    tracemalloc.start()
    with pytest.raises(Rejection, match="its text or colour profile is too large"):
        decoded(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255]),
        (np.array([0, 100, 254], np.float32), [0, 100, 254]),
        (np.array([0, 256, 65535], np.float32), [0, 1, 255]),
        (np.array([0, 100, 255], np.int32), [0, 100, 255]),
        (np.array([0, 257, 65535], np.int32), [0, 1, 255]),
        (np.array([0, 257, 65535], np.uint16), [0, 1, 255]),
    ],
)
def test_the_largest_value_tells_what_white_is(values: np.ndarray, expected: list[int]) -> None:
    data = encoded(values.repeat(16 * 16).reshape(48, 16), "TIFF")
    result = decoded(data, 48, "fit")
    assert result.pixels[[4, 24, 44], 4, 0].tolist() == expected
    assert result.gray
    assert result.notes


@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.nan, "not finite"), (np.inf, "not finite"), (-1.0, "no known range"), (7e4, "70000")],
)
def test_numbers_that_are_no_brightness_are_rejected(value: float, reason: str) -> None:
    with pytest.raises(Rejection, match=reason):
        decoded(encoded(np.full((16, 16), value, np.float32), "TIFF"))


def test_the_first_of_several_is_noted() -> None:
    frames = [plain("RGB", (220, 30, 30)), plain("RGB", (30, 30, 220))]
    for kind, note in (
        ("GIF", "animated"),
        ("PNG", "animated"),
        ("WEBP", "animated"),
        ("TIFF", "several pages"),
    ):
        result = decoded(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert [text for text in result.notes if text.startswith(note)], kind
        assert not decoded(encoded(frames[0], kind)).notes


@pytest.mark.parametrize(
    "options",
    [{"compression": "jpeg"}, {"compression": "tiff_adobe_deflate"}, {"compression": "packbits"}],
    ids=str,
)
def test_packed_tiffs(options: dict[str, Any]) -> None:
    image = photo(160, 120)
    assert psnr(decode(encoded(image, "TIFF", **options), 16, 3), lanczos(image, 16)) > 35


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF"])
def test_other_formats_are_turned_upright(kind: str, orientation: int) -> None:
    if kind == "AVIF" and not ("avif" in features.modules and features.check("avif")):
        pytest.skip("this Pillow has no AVIF")
    upright = photo(48, 32)
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(upright))))
    options = {"lossless": True} if kind == "WEBP" else {}
    result = decoded(encoded(stored, kind, exif=oriented(orientation), **options), 32)
    assert (result.width, result.height) == (48, 32)
    assert psnr(result.pixels, np.asarray(upright)[:, 8:40]) > (28 if kind == "AVIF" else 90)


# 24 x 16: orange on the left, blue on the right.
HEIC = (
    "c-muNV30{GsVvAy%}izhg51nBLl8SRGck>Ufw3kxwIq=N0u(b+a*CjAhJwuG5(YG&l$nzcHpIn&fe{FSfN=qY1_B2lR?"
    "f`KO9S&jqM|@fDif5KQI>27V)7MamgK^f{K+gRDge@VG7FOPfpjTQnKL6ZNN56Bk=zG{KYxGxU|`^9P5|nVaA4$N{Qn="
    "MfElEM8HD6^F*zgxB{iKG8PQ}GC^WK8d$n%Xvj>U`4m2<@@HBvgTatjP*<2V879Z>c+98~rpHq~VoKpc5<z-+4Dq#@GE"
    "G|ez@)!tfB<Cc893}yEy8wv(|Ns9DAk74%FMw!}ctK`GCP*VQ2L}g8eP%%}ER2D{#@fil%-RBEd*r4hg2LEFgK>S3l%Y"
    "$*rzwGdrdOS+Hi%rRss4UL@Y&ddM>fy+b+qL8_y0#O9!#GUl0WyG5yy$i7q*7yc$%#9Jsora0PvG<M*"
)


def test_heic() -> None:
    pytest.importorskip("pi_heif")
    result = decoded(zlib.decompress(base64.b85decode(HEIC)))
    assert (result.width, result.height) == (24, 16)
    assert np.allclose(result.pixels[8, 2], (200, 60, 30), atol=20)
    assert np.allclose(result.pixels[8, 13], (30, 60, 200), atol=20)


def test_without_its_package_heic_is_rejected_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(Rejection, match=r"pip install 'morelike\[heic\]'"):
        decoded(zlib.decompress(base64.b85decode(HEIC)))


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF"])
def test_a_canvas_that_lies_is_refused_before_room_is_made_for_it(kind: str) -> None:
    data = bytearray(encoded(noise(16, 16), kind, **({"lossless": True} if kind == "WEBP" else {})))
    if kind == "WEBP":
        data[21:25] = (16382 | 16382 << 14).to_bytes(4, "little")
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", 60_000, 60_000)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", 60_000, 60_000)
    else:
        for tag in (b"\x00\x01\x04\x00", b"\x01\x01\x04\x00"):
            place = data.index(tag) + 8
            data[place : place + 4] = struct.pack("<I", 60_000)
    with pytest.raises(Rejection, match=r"(60000|16383) x (60000|16383) pixels are too many"):
        decoded(bytes(data))


# Colour profiles


def swapped_profile() -> bytes:
    """sRGB with red and blue exchanged: the tags of the two primaries trade places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colours_are_converted_to_srgb(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(plain("RGB", (200, 90, 30)), kind, icc_profile=swapped_profile(), **options)
    result = decoded(data)
    assert np.abs(np.array(every_pixel(result.pixels)) - (30, 90, 200)).max() < 8
    assert not result.notes


def test_transparency_survives_a_profile() -> None:
    data = encoded(plain("RGBA", (200, 90, 30, 51), 16), icc_profile=swapped_profile())
    assert np.allclose(every_pixel(decode(data, 16, 4)), (30, 90, 200, 51), atol=2)


def test_srgb_changes_nothing() -> None:
    picture = noise(16, 16)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(decode(encoded(picture, icc_profile=profile), 16, 3), picture)


def test_gray_with_a_profile_for_colour_stays_gray() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    result = decoded(encoded(noise(16, 16, 1), icc_profile=profile))
    assert result.gray
    assert np.array_equal(result.pixels[..., 0], noise(16, 16, 1))


@pytest.mark.parametrize(
    "profile", [b"no profile", bytes(5000), swapped_profile()[:300]], ids=["text", "zeros", "cut"]
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_broken_profiles_are_ignored_and_noted(kind: str, profile: bytes) -> None:
    result = decoded(encoded(plain("RGB", (200, 90, 30)), kind, icc_profile=profile))
    assert np.allclose(every_pixel(result.pixels), (200, 90, 30), atol=4)
    assert result.notes == ("colour profile ignored: broken",)


def test_a_profile_of_another_space_is_ignored_and_noted() -> None:
    result = decoded(
        encoded(plain("CMYK", (0, 255, 255, 0)), "JPEG", icc_profile=swapped_profile())
    )
    assert result.notes == ("CMYK", "colour profile ignored: broken")


def test_threads_share_a_profile() -> None:
    data = [
        encoded(noise(200, 200, seed=seed), "JPEG", icc_profile=swapped_profile())
        for seed in range(8)
    ]
    alone = [decoded(each).pixels for each in data]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: decoded(each).pixels, data * 4))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 4, together, strict=True))


# What is found out about a picture


def test_what_is_said_of_a_picture() -> None:
    result = decoded(encoded(photo(100, 40)), 16)
    assert (result.width, result.height, result.enlarged) == (100, 40, 1)
    assert (result.gray, result.transparent, result.notes) == (False, False, ())
    assert decoded(encoded(photo(100, 40)), 80).enlarged == 2
    assert decoded(encoded(photo(100, 40)), 80, "pad").enlarged == 1
    assert decoded(encoded(photo(40, 20)), 80, "pad").enlarged == 2
    assert decoded(encoded(photo(40, 20)), 80, "fit").enlarged == 4


def test_the_proxy_is_the_whole_picture_on_the_matte() -> None:
    image = Image.new("RGBA", (200, 100), (255, 0, 0, 255))
    image.paste((0, 0, 255, 0), (100, 0, 200, 100))
    for channels in (3, 4):
        result = decoder.decode(encoded(image), Form(16, 16, channels, "center", (0, 128, 0)))
        assert result.transparent
        assert every_pixel(result.proxy[:, :30]) == [255, 0, 0]
        assert every_pixel(result.proxy[:, 34:]) == [0, 128, 0]


def test_opaque_pictures_with_an_alpha_channel_are_not_transparent() -> None:
    assert not decoded(encoded(plain("RGBA", (9, 8, 7, 255)))).transparent


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4)])
def test_arrays_are_pictures(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(array.reshape(20, 30) if shape[2:] == (1,) else array)
    result = decoded(array)
    assert np.array_equal(result.pixels, decoded(encoded(image)).pixels)
    assert result.gray == (image.mode == "L")
    assert np.array_equal(decoded(array[::2, ::-1]).pixels, decoded(array[::2, ::-1].copy()).pixels)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros(64, np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_other_arrays_are_rejected(array: np.ndarray) -> None:
    with pytest.raises(Rejection, match=r"picture|no pixels"):
        decoded(array)


@pytest.mark.parametrize("orientation", STORED)
def test_a_whole_picture_is_opened_upright(orientation: int) -> None:
    upright = noise(24, 40)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    image = open_image(encoded(stored, exif=oriented(orientation)))
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), upright)


def test_whole_pictures_keep_their_size_and_their_mode() -> None:
    assert open_image(encoded(photo(900, 700), "JPEG")).size == (900, 700)
    for mode, opened in (("1", "L"), ("L", "L"), ("P", "RGB"), ("LA", "RGBA"), ("CMYK", "RGB")):
        image = photo(40, 30).convert(mode)
        assert open_image(encoded(image, "TIFF" if mode == "CMYK" else "PNG")).mode == opened
    with pytest.raises(Rejection, match="cut short"):
        open_image(encoded(photo(90, 70), "JPEG")[:900])


def test_large_pictures_of_other_formats_are_near_one_step() -> None:
    image = photo(1500, 1100)
    assert psnr(decode(encoded(image), 64, 3), lanczos(image, 64)) > 38
