"""How many planted copies `near_groups` finds, and what else it takes for copies.

    python benchmarks/near_duplicates.py --data photos/ --plant 50 --seed 0
    python benchmarks/near_duplicates.py --data cifar10.zip --under train/ --count 5000

Of each kind, `--plant` pictures are drawn, and a copy of each is added to the set: mirrored; cut to
90 % of both sides at a random place; as JPEG of quality 30; halved in size. A copy is found if it
is in one group with its own picture. A group that holds pictures of different origin counts as
false, once for every origin beyond the first; the set's own near copies are among these, so look at
the sheet, which shows such pairs of the set as it is, without planted ones.

Distances are in units of the limit, so the table over several limits shows the margin.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from morelike.data.duplicates import Group, near_groups

KINDS = ("mirror", "crop 90 %", "JPEG 30", "half size")
SHOWN = 96

Read = Callable[[], Image.Image]


def open_rgb(data: bytes) -> Image.Image:
    """The picture in these bytes, as RGB."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def pictures(source: Path, under: str, count: int | None) -> list[Read]:
    """Readers of the pictures in a folder or zip whose names begin with `under`, sorted by name.

    With `count`, that many of them, always the same ones.
    """
    readers: list[Read]
    if source.is_dir():
        paths = sorted(path for path in source.rglob(f"{under}*") if path.is_file())
        readers = [lambda path=path: open_rgb(path.read_bytes()) for path in paths]
    else:
        archive = zipfile.ZipFile(source)
        names = sorted(n for n in archive.namelist() if n.startswith(under) and n[-1] != "/")
        readers = [lambda name=name: open_rgb(archive.read(name)) for name in names]
    if count is None or count >= len(readers):
        return readers
    chosen = np.random.default_rng(0).choice(len(readers), count, replace=False)
    return [readers[index] for index in sorted(chosen.tolist())]


def thumb(picture: Image.Image) -> np.ndarray:
    """The whole picture, squeezed to (32, 32, 3) uint8."""
    proxy = np.asarray(picture.resize((64, 64), Image.Resampling.BOX), dtype=np.float64)
    return np.rint(proxy.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))).astype(np.uint8)


def copied(picture: Image.Image, kind: str, random: np.random.Generator) -> Image.Image:
    """A copy of a picture of one of the KINDS."""
    width, height = picture.size
    if kind == "mirror":
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if kind == "JPEG 30":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=30)
        return open_rgb(buffer.getvalue())
    if kind == "half size":
        half = (max(1, width // 2), max(1, height // 2))
        return picture.resize(half, Image.Resampling.LANCZOS)
    w, h = round(0.9 * width), round(0.9 * height)
    x, y = (int(random.integers(rest + 1)) for rest in (width - w, height - h))
    return picture.crop((x, y, x + w, y + h))


def plant(
    readers: Sequence[Read], each: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thumbs of the copies, the indices of their origins, and their kinds as indices of KINDS."""
    random = np.random.default_rng(seed)
    each = min(each, len(readers) // len(KINDS))
    origins = random.permutation(len(readers))[: each * len(KINDS)]
    kinds = np.repeat(np.arange(len(KINDS)), each)
    drawn = zip(origins.tolist(), kinds.tolist(), strict=True)
    copies = [thumb(copied(readers[i](), KINDS[kind], random)) for i, kind in drawn]
    return np.stack(copies), origins, kinds


def judge(groups: Sequence[Group], origins: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Which copies were found, and how many origins too many the groups hold.

    `origins` are of all pictures: first `count` that are their own, then the copies.
    """
    found = np.zeros(len(origins), dtype=bool)
    false = 0
    for group in groups:
        members = np.array(group.members)
        found[members] = np.isin(origins[members], members)
        false += len(np.unique(origins[members])) - 1
    return found[count:], false


def sheet(groups: Sequence[Group], readers: Sequence[Read], path: Path, most: int = 90) -> None:
    """Draw the pairs side by side with their distances, at most `most`, evenly over distance."""
    pairs = sorted((pair for group in groups for pair in group.pairs), key=lambda p: p.distance)
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), most)).astype(int))
    columns, width, height = 6, 2 * SHOWN + 12, SHOWN + 16
    rows = max(1, -(-len(chosen) // columns))
    page = Image.new("RGB", (columns * width, rows * height), "white")
    draw = ImageDraw.Draw(page)
    for place, index in enumerate(chosen.tolist()):
        pair = pairs[index]
        x, y = place % columns * width, place // columns * height
        draw.text((x, y), f"{pair.distance:.2f} {pair.relation}", fill="black")
        for side, member in enumerate((pair.first, pair.second)):
            page.paste(readers[member]().resize((SHOWN, SHOWN)), (x + side * SHOWN, y + 14))
    page.save(path)


def main() -> None:
    """Plant, search and print."""
    parser = argparse.ArgumentParser(description="Recall and false alarms of near_groups.")
    parser.add_argument("--data", type=Path, required=True, help="a folder or zip of pictures")
    parser.add_argument("--under", default="", help="only names that begin like this")
    parser.add_argument("--count", type=int, help="that many of the pictures")
    parser.add_argument("--plant", type=int, default=50, help="copies of each kind")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--limit", type=float, nargs="+", default=[0.5, 0.75, 1.0, 1.5])
    parser.add_argument("--sheet", type=Path, help="write the set's own pairs to this PNG")
    options = parser.parse_args()
    readers = pictures(options.data, options.under, options.count)
    thumbs = np.stack([thumb(read()) for read in readers])
    groups = near_groups(thumbs)
    spare = sum(len(group.members) - 1 for group in groups)
    share = spare / len(thumbs)
    print(f"{len(thumbs)} pictures; as they are: {len(groups)} groups, {spare} spare ({share:.2%})")
    if options.sheet:
        sheet(groups, readers, options.sheet)
    print("seed  limit", *(f"{kind:>10}" for kind in KINDS), "     false   seconds")
    for seed in options.seed:
        copies, sources, kinds = plant(readers, options.plant, seed)
        everything = np.concatenate([thumbs, copies])
        origins = np.concatenate([np.arange(len(thumbs)), sources])
        for limit in options.limit:
            start = time.perf_counter()
            groups = near_groups(everything, limit)
            seconds = time.perf_counter() - start
            found, false = judge(groups, origins, len(thumbs))
            recalls = [f"{found[kinds == kind].mean():10.2f}" for kind in range(len(KINDS))]
            share = f"{false:4d} {false / len(everything):.2%}"
            print(f"{seed:4d} {limit:6.2f}", *recalls, f"{share:>11}", f"{seconds:9.1f}")


if __name__ == "__main__":
    main()
