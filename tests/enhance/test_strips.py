from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morelike.enhance.strips import ROWS, write_strips

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def picture(height: int, width: int, channels: int) -> np.ndarray:
    """Smooth in its upper half, noise in its lower half, so that both filters are chosen."""
    y, x = np.mgrid[0:height, 0:width]
    numbers = np.random.default_rng(channels)
    smooth = np.stack([3 * y + 2 * number * x for number in range(channels)], 2) % 256
    noise = numbers.integers(0, 256, smooth.shape)
    return np.where(y[..., None] < height / 2, smooth, noise).astype(np.uint8)


def cut(pixels: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    for start in range(0, len(pixels), rows):
        yield pixels[start : start + rows]


def read(path: Path) -> np.ndarray:
    with Image.open(path, formats=("PNG",)) as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    """Kind and contents of all chunks, the sums checked."""
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size]) == (
            zlib.crc32(kind + body),
        )
        found.append((kind, body))
        at += 12 + size
    return found


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [1, 7, 200])
def test_pillow_reads_what_was_written(tmp_path: Path, channels: int, rows: int) -> None:
    pixels = picture(2 * ROWS + 5, 31, channels)
    path = tmp_path / "a.png"
    write_strips(path, pixels.shape, cut(pixels, rows))
    np.testing.assert_array_equal(read(path), pixels)
    with Image.open(path) as image:
        image.verify()
        assert (image.mode, image.size) == (MODES[channels], (31, 2 * ROWS + 5))


def test_a_single_pixel(tmp_path: Path) -> None:
    write_strips(tmp_path / "a.png", (1, 1, 3), [np.full((1, 1, 3), 7, np.uint8)])
    assert read(tmp_path / "a.png").tolist() == [[[7, 7, 7]]]


def test_notes_are_text_that_pillow_reads(tmp_path: Path) -> None:
    notes = {"Software": "morelike", "picture": "Grüße/日本.jpg", "licence": "a\nb"}
    write_strips(tmp_path / "a.png", (2, 2, 1), [np.zeros((2, 2, 1), np.uint8)], notes)
    with Image.open(tmp_path / "a.png") as image:
        assert {**image.text} == notes  # pyright: ignore[reportAttributeAccessIssue]


def test_every_chunk_has_its_sum_and_each_row_the_better_filter(tmp_path: Path) -> None:
    pixels = picture(40, 30, 3)
    pixels[5] = pixels[4]  # nothing is left of it without the row above
    path = tmp_path / "a.png"
    write_strips(path, pixels.shape, cut(pixels, 16))
    found = chunks(path)
    assert [kind for kind, _ in found][:1] == [b"IHDR"] and found[-1] == (b"IEND", b"")
    rows = zlib.decompress(b"".join(body for kind, body in found if kind == b"IDAT"))
    used = np.frombuffer(rows, np.uint8).reshape(40, 91)
    assert used[5, 0] == 2 and not used[5, 1:].any()
    assert set(used[:, 0].tolist()) == {1, 2}


def test_it_is_no_larger_than_pillows(tmp_path: Path) -> None:
    y, x = np.mgrid[0:200, 0:300] / 40
    waves = np.stack([np.sin(x + y), np.cos(x * y / 4), np.sin(x - y)], 2)
    pixels = np.rint(127.5 + 127.5 * waves).astype(np.uint8)
    write_strips(tmp_path / "a.png", pixels.shape, cut(pixels, 50))
    Image.fromarray(pixels).save(tmp_path / "b.png", compress_level=3)
    ours, theirs = ((tmp_path / name).stat().st_size for name in ("a.png", "b.png"))
    assert ours < 1.5 * theirs


def test_strips_are_not_kept(tmp_path: Path) -> None:
    """A strip is only asked for when the one before has been written."""
    pixels = picture(256, 100, 3)
    sizes: list[int] = []

    def strips() -> Iterator[np.ndarray]:
        for strip in cut(pixels, 64):
            (temporary,) = tmp_path.glob(".a.png.*")
            sizes.append(temporary.stat().st_size)
            yield strip

    write_strips(tmp_path / "a.png", pixels.shape, strips())
    assert sizes[-1] > 10_000 and sizes == sorted(sizes)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_is_broken_off_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.png"
    write_strips(path, (2, 2, 1), [np.zeros((2, 2, 1), np.uint8)])
    before = path.read_bytes()

    def strips() -> Iterator[np.ndarray]:
        yield np.zeros((1, 2, 1), np.uint8)
        raise error

    with pytest.raises(error):
        write_strips(path, (2, 2, 1), strips())
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_rows_that_are_missing_are_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="1 rows of 2"):
        write_strips(tmp_path / "a.png", (2, 2, 1), [np.zeros((1, 2, 1), np.uint8)])
    assert not list(tmp_path.iterdir())
