"""Damage small picture files at random, 10,000 times, and decode each: no crash, no long wait.

    python benchmarks/hostile_files.py [--count 10000] [--seed 0]

Prints how many were decoded and rejected, the reasons, the slowest file and the peak memory; ends
with status 1 if anything but a picture or a Rejection came out, or took over 2 seconds. The tests
run the same damage, fewer times (tests/data/test_hostile.py).
"""

from __future__ import annotations

import argparse
import collections
import io
import resource
import struct
import sys
import time
import warnings
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, features

from morelike.data.decode import decode
from morelike.data.fit import Form
from morelike.data.item import Rejection

FORMS = (
    Form(16, 16, 3, "center", (255, 255, 255)),
    Form(16, 32, 4, "pad", (0, 0, 0)),
    Form(32, 16, 3, "smart", (255, 255, 255)),
    Form(16, 16, 4, "fit", (255, 255, 255)),
)
MOST_SECONDS = 2.0


def picture(width: int = 40, height: int = 28) -> Image.Image:
    """Smooth colours with some noise, so that every coder has something to do."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 32, (height, width))
    channels = [x * 5 + noise, y * 7 + noise, (x + y) * 3 + noise]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file of this kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def whole_files() -> dict[str, bytes]:
    """Small files of every format, by name."""
    rgb = picture()
    alpha = rgb.copy()
    alpha.putalpha(rgb.getchannel("R"))
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    real = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.float32) / 255)
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "of a picture " * 9, zip=True)
    files = {
        "JPEG": encoded(rgb, "JPEG", exif=exif),
        "JPEG progressive": encoded(rgb, "JPEG", progressive=True, icc_profile=profile),
        "JPEG 4:1:1": encoded(rgb.resize((96, 64)), "JPEG", subsampling="4:1:1"),
        "JPEG gray": encoded(rgb.convert("L"), "JPEG"),
        "JPEG CMYK": encoded(rgb.convert("CMYK"), "JPEG"),
        "JPEG several": encoded(rgb, "MPO", save_all=True, append_images=[rgb.rotate(180)]),
        "PNG": encoded(rgb, "PNG", pnginfo=text, icc_profile=profile),
        "PNG alpha": encoded(alpha, "PNG"),
        "PNG gray alpha": encoded(alpha.convert("LA"), "PNG", exif=exif),
        "PNG palette": encoded(rgb.quantize(16), "PNG", transparency=b"\0\x80\xff"),
        "PNG 1 bit": encoded(rgb.convert("1"), "PNG"),
        "PNG 16 bit": encoded(deep, "PNG"),
        "PNG animated": encoded(rgb, "PNG", **frames),
        "GIF": encoded(rgb, "GIF"),
        "GIF animated": encoded(rgb, "GIF", transparency=3, **frames),
        "BMP": encoded(rgb, "BMP"),
        "BMP palette": encoded(rgb.quantize(16), "BMP"),
        "TIFF": encoded(rgb, "TIFF"),
        "TIFF LZW": encoded(rgb, "TIFF", compression="tiff_lzw"),
        "TIFF deflate": encoded(alpha, "TIFF", compression="tiff_adobe_deflate"),
        "TIFF JPEG": encoded(rgb, "TIFF", compression="jpeg"),
        "TIFF fax": encoded(rgb.convert("1"), "TIFF", compression="group4"),
        "TIFF CMYK": encoded(rgb.convert("CMYK"), "TIFF", compression="packbits"),
        "TIFF 16 bit": encoded(deep, "TIFF"),
        "TIFF float": encoded(real, "TIFF"),
        "TIFF pages": encoded(rgb, "TIFF", **frames),
        "WEBP": encoded(rgb, "WEBP", exif=exif),
        "WEBP lossless": encoded(alpha, "WEBP", lossless=True),
        "WEBP animated": encoded(rgb, "WEBP", **frames),
    }
    if "avif" in features.modules and features.check("avif"):
        files["AVIF"] = encoded(rgb, "AVIF", exif=exif)
        files["AVIF alpha"] = encoded(alpha, "AVIF")
    return files


def damaged(data: bytes, chance: np.random.Generator) -> bytes:
    """One to three random changes; half of the PNGs get their checksums mended afterwards."""
    changed = bytearray(data)
    for _ in range(chance.integers(1, 4)):
        changed = CHANGES[chance.integers(len(CHANGES))](changed, chance) or bytearray(b"\0")
    if data.startswith(b"\x89PNG") and chance.random() < 0.5:
        changed = _with_checksums(changed)
    return bytes(changed)


def _place(data: bytearray, chance: np.random.Generator) -> int:
    # Squared half of the time, because headers at the beginning can do most harm.
    share = chance.random() ** chance.integers(1, 3)
    return int(share * len(data))


def _flip(data: bytearray, chance: np.random.Generator) -> bytearray:
    for _ in range(chance.integers(1, 9)):
        data[_place(data, chance)] ^= int(chance.integers(1, 256))
    return data


def _number(data: bytearray, chance: np.random.Generator) -> bytearray:
    """Where a size or an offset may be: the largest, the smallest, one nearly right."""
    start, width = _place(data, chance), int(chance.choice([1, 2, 4]))
    value = int(chance.choice([0, 1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1]))
    value &= 256**width - 1
    data[start : start + width] = value.to_bytes(
        width, "little" if chance.random() < 0.5 else "big"
    )
    return data


def _insert(data: bytearray, chance: np.random.Generator) -> bytearray:
    start = _place(data, chance)
    data[start:start] = chance.bytes(int(chance.integers(1, 33)))
    return data


def _cut_out(data: bytearray, chance: np.random.Generator) -> bytearray:
    start = _place(data, chance)
    del data[start : start + int(chance.integers(1, 65))]
    return data


def _cut_off(data: bytearray, chance: np.random.Generator) -> bytearray:
    return data[: max(1, _place(data, chance))]


def _double(data: bytearray, chance: np.random.Generator) -> bytearray:
    start = _place(data, chance)
    part = data[start : start + int(chance.integers(1, 257))]
    data[start:start] = part * int(chance.integers(1, 20))
    return data


def _blank(data: bytearray, chance: np.random.Generator) -> bytearray:
    start, length = _place(data, chance), int(chance.integers(1, 65))
    data[start : start + length] = bytes([int(chance.choice([0, 255]))]) * length
    return data


def _swap(data: bytearray, chance: np.random.Generator) -> bytearray:
    first, second = sorted((_place(data, chance), _place(data, chance)))
    return (
        data[second:] + data[first:second] + data[:first]
        if chance.random() < 0.2
        else (data[:first] + data[second:] + data[first:second])
    )


CHANGES = (_flip, _number, _insert, _cut_out, _cut_off, _double, _blank, _swap)


def _with_checksums(data: bytearray) -> bytearray:
    start = 8
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        end = start + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[start + 4 : end]))
        start = end + 4
    return data


def outcome(data: bytes, form: Form) -> str:
    """What comes of it: "a picture", or the reason of the rejection.

    Raises:
        AssertionError: if what came out is neither.
    """
    try:
        result = decode(data, form)
    except Rejection as rejection:
        reason = str(rejection)
        assert reason, "a rejection without a reason"
        assert "\n" not in reason, reason
        return reason
    assert result.pixels.shape == (form.height, form.width, form.channels)
    assert result.proxy.shape == (64, 64, 3)
    assert result.pixels.dtype == result.proxy.dtype == np.uint8
    assert result.enlarged >= 1
    return "a picture"


def main() -> int:
    """Run the damage and print what happened."""
    parser = argparse.ArgumentParser(description="Damage picture files and decode them.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    files = whole_files()
    for name, data in files.items():
        assert outcome(data, FORMS[0]) == "a picture", name
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes: collections.Counter[str] = collections.Counter()
    times: list[tuple[float, str, int]] = []
    names = list(files)
    for number in range(options.count):
        chance = np.random.default_rng((options.seed, number))
        name = names[number % len(names)]
        data = damaged(files[name], chance)
        began = time.perf_counter()
        result = outcome(data, FORMS[number // len(names) % len(FORMS)])
        times.append((time.perf_counter() - began, name, number))
        outcomes[result] += 1
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{options.count} damaged files: {outcomes['a picture']} decoded, rest rejected")
    for reason, count in outcomes.most_common(25):
        print(f"{count:6d}  {reason}")
    for seconds, name, number in sorted(times, reverse=True)[:5]:
        print(f"slow: {seconds * 1000:.1f} ms, {name}, number {number}")
    print(f"all: {sum(seconds for seconds, *_ in times):.1f} s")
    print(f"peak memory: {before / 1024:.0f} MiB with whole files, {after / 1024:.0f} MiB after")
    return int(max(times)[0] > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
