"""How fast pictures are prepared, against the plain loop and against what the machine can do.

    python benchmarks/prepare_speed.py                 2,000 JPEGs of about 500 px, made on the spot
    python benchmarks/prepare_speed.py --small 100000  memory over many small files

Speed. Both sides read the same files from the same folder and give 64x64 RGB, in turns (A B A,
several blocks), so that a machine that slows down slows both. The plain side is
what a script does: one process, Pillow open, convert, center crop, LANCZOS, in a loop. Ours is the
whole of `prepare`: reading, hashing, decoding, measuring, storing, splitting, writing. `plain
again` is the plain side against itself: it shows how far a ratio can be trusted. The limit is what
two threads need to read the files and entropy-decode them (Pillow at 1/8 size, which skips nearly
all of the rest): no way of decoding JPEGs whole does less.

Memory. The peak of the resident memory while this many files of 16x16 are prepared, against a tenth
as many, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from morelike.config import DataConfig
from morelike.data import open_source, prepare

SIDE = 64


def canvas(side: int = 3_000) -> np.ndarray:
    """A large picture with the spectrum of photographs (amplitude 1/f), (side, side, 3) uint8."""
    numbers = np.random.RandomState(0)
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falling = np.maximum(np.sqrt(rows**2 + columns**2), 1 / 500) ** -1.1
    planes = []
    for _ in range(3):
        wave = numbers.standard_normal((2, *falling.shape)) * falling
        plane = np.fft.irfft2(wave[0] + 1j * wave[1], s=(side, side))
        planes.append(plane / plane.std())
    gray, red, blue = planes
    colour = np.stack([gray * 45 + 15 * red, gray * 45, gray * 45 + 15 * blue], axis=-1) + 115
    return colour.clip(0, 255).astype(np.uint8)


def make_photographs(folder: Path, count: int, quality: int) -> list[Path]:
    """`count` JPEGs of 460 to 540 px a side, cut out of one canvas."""
    whole, numbers, paths = canvas(), np.random.RandomState(1), []
    for number in range(count):
        height, width = numbers.randint(460, 541, 2)
        top, left = numbers.randint(0, len(whole) - 541, 2)
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(whole[top : top + height, left : left + width]).save(path, quality=quality)
        paths.append(path)
    return paths


def plainly(paths: Sequence[Path]) -> np.ndarray:
    """What a script does."""
    made = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        made.append(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))
    return np.stack(made)


def prepared(paths: Sequence[Path], scratch: Path) -> tuple[np.ndarray, float]:
    """The whole of `prepare`, from nothing, in a new cache: the pictures, and seconds."""
    part = Path(tempfile.mkdtemp(dir=scratch))
    (part / "pictures").mkdir()
    for path in paths:
        os.link(path, part / "pictures" / path.name)
    os.environ["MORELIKE_CACHE"] = str(part / "cache")
    source = open_source(part / "pictures")
    began = time.perf_counter()
    dataset = prepare(source, DataConfig(resolution=SIDE, dedup="none"), target=part / "set.mld")
    seconds = time.perf_counter() - began
    images = np.array(dataset.images)
    shutil.rmtree(part)
    return images, seconds


def entropy_decoded(paths: Sequence[Path]) -> None:
    """Read and entropy-decode on all cores, and nearly nothing else."""

    def one(path: Path) -> None:
        with Image.open(path) as image:
            image.draft(None, (image.width // 8, image.height // 8))
            image.load()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, paths))


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def compare(count: int, blocks: int, quality: int) -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "all").mkdir()
        paths = make_photographs(scratch / "all", count, quality)
        size = sum(path.stat().st_size for path in paths) / count
        print(f"{count} JPEGs of {size / 1000:.0f} kB on average, quality {quality}")
        (ours, _), plain = prepared(paths[:64], scratch), plainly(paths[:64])
        different = np.abs(ours.astype(int) - plain)
        print(f"mean difference of a value from the plain loop's: {different.mean():.2f} of 255")
        rows: dict[str, list[float]] = {"ratio": [], "plain again": [], "limit": []}
        seconds: list[tuple[float, float]] = []
        for _ in range(blocks):
            first = timed(lambda: plainly(paths))
            mine = prepared(paths, scratch)[1]
            again = timed(lambda: plainly(paths))
            limit = timed(lambda: entropy_decoded(paths))
            rows["ratio"].append((first + again) / 2 / mine)
            rows["plain again"].append(first / again)
            rows["limit"].append(limit / mine)
            seconds.append(((first + again) / 2 / count, mine / count))
        per = np.median(np.array(seconds), axis=0) * 1000
        print(f"plain loop {per[0]:.2f} ms a picture, prepare {per[1]:.2f} ms")
        print(f"prepare is {spread(rows['ratio'])} times as fast, over {blocks} blocks")
        print(f"plain against plain: {spread(rows['plain again'])}")
        print(f"share of the limit (reading and entropy decoding): {spread(rows['limit'])}")


def small_files(count: int) -> None:
    """Print the peak memory for this many files, and for a tenth of them."""
    for number in (count // 10, count):
        with tempfile.TemporaryDirectory() as name:
            script = [sys.executable, __file__, "--memory-of", str(number), "--in", name]
            done = subprocess.run(script, capture_output=True, text=True, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{number:>9,} files of 16x16: peak {told['peak']:.0f} MiB, of which "
                f"{told['start']:.0f} before it began; {told['seconds']:.1f} s"
            )


def memory_of(count: int, folder: Path) -> None:
    """Prepare `count` small files and print the peak of the resident memory, as JSON."""
    numbers = np.random.RandomState(0)
    for number in range(count):
        part = folder / "pictures" / f"{number // 1000:04d}"
        part.mkdir(parents=True, exist_ok=True)
        pixels = numbers.randint(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(part / f"{number:07d}.png", compress_level=0)
    os.environ["MORELIKE_CACHE"] = str(folder / "cache")
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = timed(
        lambda: prepare(
            open_source(folder / "pictures"),
            DataConfig(resolution=16),
            target=folder / "set.mld",
        )
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"start": start, "peak": peak, "seconds": seconds}))


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description="Speed and memory of `prepare`.")
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--quality", type=int, default=75, help="of the JPEGs; 75 is Pillow's own")
    parser.add_argument("--small", type=int, help="how many small files to prepare instead")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        memory_of(args.memory_of, args.folder)
        return
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"Pillow {PIL.__version__}, NumPy {np.__version__}"
    )
    if args.small:
        small_files(args.small)
    else:
        compare(args.count, args.blocks, args.quality)


if __name__ == "__main__":
    main()
