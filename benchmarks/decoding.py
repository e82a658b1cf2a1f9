"""How fast pictures are decoded, and how near they are to a full decode and one Lanczos step.

    python benchmarks/decoding.py photos/ [drawings/ ...] [--side 64] [--rounds 9]

Speed: JPEGs of 500 x 375 (quality 90) are cut from the largest pictures given, and decoded to the
target by the plain way (open, convert, crop the center, Lanczos), by `decode` (which makes the
proxy besides) and, if pyvips is installed, by libvips' thumbnail, in turns, in one thread and in
two. Start it with VIPS_CONCURRENCY=1 to keep libvips from starting threads of its own.

Nearness: mean absolute difference of 255 and PSNR (dB, over all pixels of a folder) to the whole
picture resized in one step with Pillow's Lanczos, for center and pad.
"""

from __future__ import annotations

import argparse
import importlib
import io
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features

from morelike.data.decode import decode
from morelike.data.fit import Form, padded, window

WHITE = (255, 255, 255)
Way = Callable[[bytes], np.ndarray]


def plain(data: bytes, side: int) -> np.ndarray:
    """What anybody would write."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def ours(data: bytes, side: int) -> np.ndarray:
    """With all checks, shrink-on-load and the proxy."""
    return decode(data, Form(side, side, 3, "center", WHITE)).pixels


def libvips(side: int) -> Way | None:
    """Shrink-on-load by libvips; without the proxy."""
    try:
        pyvips = importlib.import_module("pyvips")
    except ImportError:
        return None

    def thumbnail(data: bytes) -> np.ndarray:
        return pyvips.Image.thumbnail_buffer(data, side, height=side, crop="centre").numpy()

    version = ".".join(str(pyvips.version(part)) for part in range(3))
    print(f"libvips {version}, concurrency {pyvips.concurrency_get()}")
    return thumbnail


def whole_step(data: bytes, form: Form, resample: Image.Resampling) -> np.ndarray:
    """The whole picture, resized in one antialiased step."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    cut = window(*image.size, form, np.zeros((64, 64, 3), np.uint8))
    return padded(np.array(image.resize(cut.size, resample, cut.box)), form)


def without_antialiasing(data: bytes, form: Form) -> np.ndarray:
    """Bilinear between the four nearest pixels, as other libraries shrink if not told otherwise."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    (left, top, right, bottom), (width, height) = window(
        *image.size, form, np.zeros((64, 64, 3), np.uint8)
    )
    across, down = (right - left) / width, (bottom - top) / height
    matrix = (across, 0, left, 0, down, top)
    small = image.transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return padded(np.array(small), form)


def nearness(files: list[bytes], side: int) -> None:
    """Print the table for one folder."""
    for crop in ("center", "pad"):
        form = Form(side, side, 3, crop, WHITE)
        ways: dict[str, Way] = {
            "decode": lambda data, form=form: decode(data, form).pixels,
            "bicubic, antialiased": partial(
                whole_step, form=form, resample=Image.Resampling.BICUBIC
            ),
            "bilinear, antialiased": partial(
                whole_step, form=form, resample=Image.Resampling.BILINEAR
            ),
            "bilinear, not antialiased": partial(without_antialiasing, form=form),
        }
        referee = np.stack(
            [whole_step(data, form, Image.Resampling.LANCZOS) for data in files]
        ).astype(float)
        for name, way in ways.items():
            error = np.stack([way(data) for data in files]) - referee
            psnr = 10 * np.log10(255**2 / np.mean(error**2))
            print(f"  {crop:7s} {name:26s} {np.abs(error).mean():6.2f} {psnr:6.1f} dB")


def cuts(files: list[bytes], count: int = 60) -> list[bytes]:
    """JPEGs of 500 x 375 from places of the larger pictures."""
    pictures = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
    large = [picture for picture in pictures if picture.width >= 500 and picture.height >= 375]
    large = large or [picture.resize((750, 563)) for picture in pictures]
    chance = np.random.default_rng(0)
    result = []
    for number in range(count):
        picture = large[number % len(large)]
        left = int(chance.integers(0, picture.width - 499))
        top = int(chance.integers(0, picture.height - 374))
        buffer = io.BytesIO()
        picture.crop((left, top, left + 500, top + 375)).save(buffer, "JPEG", quality=90)
        result.append(buffer.getvalue())
    return result


def speed(files: list[bytes], side: int, rounds: int) -> None:
    """Print milliseconds per picture of each way, measured in turns."""
    vips = libvips(side)
    ways: dict[str, Way] = {"plain": partial(plain, side=side), "decode": partial(ours, side=side)}
    if vips:
        ways["libvips"] = vips
    size = statistics.mean(map(len, files)) / 1000
    print(f"{len(files)} JPEGs of 500 x 375, {size:.0f} kB on average, to {side} x {side}")
    for threads in (1, 2):
        taken: dict[str, list[float]] = {name: [] for name in ways}
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(rounds):
                for name, way in ways.items():
                    began = time.perf_counter()
                    list(pool.map(way, files))
                    taken[name].append((time.perf_counter() - began) / len(files) * 1000)
        for name, times in taken.items():
            ratio = statistics.median(p / t for p, t in zip(taken["plain"], times, strict=True))
            print(
                f"  {threads} threads {name:8s} median {statistics.median(times):5.2f} ms, "
                f"least {min(times):5.2f} ms, {ratio:4.2f} x plain"
            )


def main() -> None:
    """Measure nearness on each folder, and speed on pictures cut from all."""
    parser = argparse.ArgumentParser(description="Measure the decoding of pictures.")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, Pillow {PIL.__version__}, "
        f"libjpeg-turbo {features.version('libjpeg_turbo')}, NumPy {np.__version__}"
    )
    everything = []
    for folder in options.folders:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower()[:3] == ".jp")
        files = [path.read_bytes() for path in paths]
        if files:
            print(f"{folder.name}: {len(files)} JPEGs")
            nearness(files, options.side)
        everything += files or [path.read_bytes() for path in sorted(folder.glob("*.png"))]
    cut = cuts(everything)
    print("500 x 375 cut from these")
    nearness(cut, options.side)
    speed(cut, options.side, options.rounds)


if __name__ == "__main__":
    main()
