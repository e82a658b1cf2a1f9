from __future__ import annotations

import io
import struct
import time
import zlib
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from morelike.data.decode import Rejection, decode

# What Pillow thinks of hostile bytes is kept quiet by the data set, which decodes in threads.
pytestmark = pytest.mark.filterwarnings("ignore")


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


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
    return encoded(image, **({} if transparency is None else {"transparency": transparency}))


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


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_gives_every_number_of_channels(mode: str, channels: int) -> None:
    image = Image.fromarray(noise(20, 30))
    if mode == "I;16":
        image = Image.fromarray(noise(20, 30, 1).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    result = decode(encoded(image, "TIFF" if mode == "CMYK" else "PNG"), 16, channels)
    assert result.shape == (16, 16, channels)
    assert result.dtype == np.uint8
    if mode != "RGB" and mode not in ("RGBA", "P", "CMYK") and channels > 1:
        assert (result[..., 0] == result[..., 1]).all()


def test_gray_has_the_weights_of_bt601() -> None:
    for colour, gray in (((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)):
        (value,) = every_pixel(decode(encoded(plain("RGB", colour)), 16, 1))
        assert abs(value - gray) <= 1


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
    result = decode(encoded(board), 16, 1).astype(int)
    assert np.abs(result[2:-2, 2:-2] - 127.5).max() < 3


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_small_and_narrow_pictures_are_enlarged(size: tuple[int, int]) -> None:
    result = decode(encoded(Image.new("RGB", size, (1, 2, 3))), 32, 3)
    assert every_pixel(result) == [1, 2, 3]


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
        (b"\x89PNG\r\n\x1a\n", "not a picture in a known format"),
        (encoded(noise(64, 64))[:3000], "cannot be decoded"),
        (encoded(noise(64, 64), "JPEG")[:1500], "cannot be decoded"),
        (encoded(noise(64, 64), "BMP")[:1500], "cannot be decoded"),
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


SEEDS = {
    "PNG": encoded(noise(9, 7)),
    "PNG palette": palette(b"\xff\x33\xff"),
    "PNG 16 bit": encoded(Image.fromarray(noise(9, 7, 1).astype(np.uint16) * 257)),
    "JPEG": encoded(noise(24, 16), "JPEG", exif=oriented(6)),
    "JPEG progressive": encoded(noise(24, 16), "JPEG", progressive=True),
    "GIF": encoded(noise(9, 7), "GIF", save_all=True, append_images=[plain("RGB", 3, 7)]),
    "BMP": encoded(noise(9, 7), "BMP"),
    "TIFF": encoded(noise(9, 7), "TIFF"),
    "TIFF packed": encoded(noise(9, 7), "TIFF", compression="tiff_lzw"),
    "WEBP": encoded(noise(16, 16), "WEBP"),
}

hostile = settings(
    max_examples=60,
    deadline=timedelta(seconds=5),
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def decodes_or_rejects(data: bytes, channels: int) -> None:
    try:
        result = decode(data, 16, channels)
    except Rejection as rejection:
        assert str(rejection)
        assert "\n" not in str(rejection)
    else:
        assert result.shape == (16, 16, channels)
        assert result.dtype == np.uint8


@hostile
@given(
    start=st.sampled_from([b"", *(data[:12] for data in SEEDS.values())]),
    rest=st.binary(max_size=400),
    channels=st.sampled_from([1, 3, 4]),
)
def test_any_bytes_are_a_picture_or_a_rejection(start: bytes, rest: bytes, channels: int) -> None:
    decodes_or_rejects(start + rest, channels)


@pytest.mark.parametrize("kind", SEEDS)
@hostile
@given(cut=st.floats(0, 1), channels=st.sampled_from([1, 3, 4]), rest=st.binary(max_size=20))
def test_cut_files_are_a_picture_or_a_rejection(
    kind: str, cut: float, channels: int, rest: bytes
) -> None:
    data = SEEDS[kind]
    decodes_or_rejects(data[: int(cut * len(data))] + rest, channels)


@pytest.mark.parametrize("kind", SEEDS)
@hostile
@given(
    places=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=6),
    channels=st.sampled_from([1, 3, 4]),
)
def test_changed_files_are_a_picture_or_a_rejection(
    kind: str, places: list[tuple[float, bytes]], channels: int
) -> None:
    data = bytearray(SEEDS[kind])
    for place, new in places:
        # Squared, because headers at the beginning hold what can do most harm.
        start = int(place**2 * (len(data) - 1))
        data[start : start + len(new)] = new
    decodes_or_rejects(bytes(data), channels)
