from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from conftest import WritePictures
from enhance.networks import upright
from morelike.enhance.apply import apply, apply_to_samples
from morelike.enhance.model import Model
from morelike.errors import MorelikeError, UserError
from morelike.runs import Run
from morelike.sampling import load
from morelike.tasks import Task
from morelike.tasks.resampling import shrunk


def twice(shown: Tensor) -> Tensor:
    return shown.repeat_interleave(2, 2).repeat_interleave(2, 3)


TASK = Task("enlarge:2", 3, 2, lambda pictures, _: shrunk(pictures, 2, "area"))
NOTES = {"run": "00001-x", "checkpoint": "8 images", "task": "enlarge:2"}


def nearest(**more: Any) -> Model:
    return Model("nearest", "enlarge:2", twice, 3, 3, 2, learnt=TASK, notes=NOTES, **more)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def huge(path: Path) -> None:
    """A PNG of a few bytes that says it has 10^10 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_every_picture_becomes_a_png_of_its_name(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    source = write_pictures(tmp_path / "in" / "sub", 3, width=37, height=23)
    told: list[tuple[int, int]] = []
    done = apply(
        nearest(reach=2),
        [tmp_path / "in"],
        tmp_path / "out",
        tile=16,
        progress=lambda *n: told.append(n),
    )
    assert [path.relative_to(tmp_path / "out").as_posix() for path in done.written] == [
        "sub/000.png",
        "sub/001.png",
        "sub/002.png",
    ]
    for path in done.written:
        wanted = read(source / path.name).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(read(path), wanted)
        with Image.open(path) as image:
            text = dict(image.text)  # pyright: ignore[reportAttributeAccessIssue]
        assert text["run"] == "00001-x" and text["task"] == "enlarge:2"
        assert text["picture"] == f"sub/{path.name}" and "generative model" in text["licence"]
    assert told[-1] == (18, 18) and {total for _, total in told} == {18}
    assert not done.rejected and not done.inputs


def test_hostile_files_are_named_and_the_rest_is_made(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    source = write_pictures(tmp_path / "in", 2)
    (source / "cut.png").write_bytes((source / "000.png").read_bytes()[:100])
    (source / "text.jpg").write_text("no picture")
    (source / "empty.gif").write_bytes(b"")
    huge(source / "huge.png")
    told: list[tuple[int, int]] = []
    done = apply(nearest(), [source], tmp_path / "out", progress=lambda *n: told.append(n))
    assert [path.name for path in done.written] == ["000.png", "001.png"]
    assert {one["key"]: one["reason"] for one in done.rejected} == {
        "cut.png": "the file is cut short",
        "empty.gif": "the file is empty",
        "huge.png": "100000 x 100000 pixels are too many",
        "text.jpg": "not a picture in a known format",
    }
    assert told[-1] == (2, 2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000.png", "001.png"]


def test_nothing_usable_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(UserError, match=r"none of 1 pictures can be used; a\.png: not a picture"):
        apply(nearest(), [tmp_path], tmp_path / "out")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    fills = replace(nearest(), task="inpaint", takes=4, scale=1)
    with pytest.raises(UserError, match="no transparent pixels to fill in; erase what is to be"):
        apply(fills, [tmp_path], tmp_path / "out")


def test_many_kinds_of_pictures(tmp_path: Path) -> None:
    y, x = np.mgrid[0:12, 0:20]
    colour = np.stack([12 * x, 20 * y, 6 * x + 6 * y], 2).astype(np.uint8)
    image, gray = Image.fromarray(colour), Image.fromarray(colour[..., 0])
    source = tmp_path / "in"
    source.mkdir()
    gray.save(source / "gray.png")
    Image.fromarray(257 * colour[..., 0].astype(np.uint16)).save(source / "deep.png")
    image.quantize(16).save(source / "palette.gif")
    alpha = image.copy()
    alpha.putalpha(gray)
    alpha.save(source / "alpha.webp", lossless=True, exact=True)
    turned = Image.Exif()
    turned[0x0112] = 6
    image.save(source / "turned.jpg", exif=turned)
    image.convert("CMYK").save(source / "print.tif")
    done = apply(upright(), [source], tmp_path / "out")
    assert not done.rejected
    shapes = {path.stem: read(path).shape for path in done.written}
    assert shapes == {
        "alpha": (24, 40, 4),
        "deep": (24, 40),
        "gray": (24, 40),
        "palette": (24, 40, 3),
        "print": (24, 40, 3),
        "turned": (40, 24, 3),
    }
    np.testing.assert_array_equal(
        read(tmp_path / "out" / "deep.png"), read(tmp_path / "out" / "gray.png")
    )


def test_inputs_are_derived_and_written_beside(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    source = write_pictures(tmp_path / "in", 2, width=21, height=15)
    done = apply(nearest(), [source], tmp_path / "out", from_whole=True)
    assert [path.name for path in done.inputs] == ["000.input.png", "001.input.png"]
    small, large = read(done.inputs[0]), read(done.written[0])
    assert small.shape == (7, 10, 3) and large.shape == (14, 20, 3)
    blocks = read(source / "000.png")[:14, :20].reshape(7, 2, 10, 2, 3).mean((1, 3))
    assert np.abs(small - blocks).max() <= 0.5
    assert np.abs(large[::2, ::2].astype(int) - small).max() <= 1
    nothing = replace(nearest(), learnt=None, task="pairs")
    with pytest.raises(UserError, match=r"how its inputs come from pictures \(pairs\); leave"):
        apply(nothing, [source], tmp_path / "out2", from_whole=True)


def test_a_gray_model_says_that_colours_are_left_out(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    source = write_pictures(tmp_path / "in", 2)
    Image.new("RGB", (8, 8), "gray").save(source / "gray.png")
    one = replace(nearest(), takes=1, gives=1)
    done = apply(one, [source], tmp_path / "out")
    assert done.lines == ["nearest makes gray pictures; 2 had colours, which are left out"]
    assert read(done.written[0]).shape == (40, 40)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_ctrl_c_leaves_no_half_file(
    tmp_path: Path, write_pictures: WritePictures, error: type[BaseException]
) -> None:
    source = write_pictures(tmp_path / "in", 3, width=40, height=40)
    calls: list[int] = []

    def network(shown: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 7:  # in the second picture
            raise error
        return twice(shown)

    with pytest.raises(error):
        apply(replace(nearest(), network=network), [source], tmp_path / "out", tile=20)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["000.png"]


def test_too_little_memory_is_one_sentence(tmp_path: Path, write_pictures: WritePictures) -> None:
    source = write_pictures(tmp_path / "in", 1)

    def network(shown: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MorelikeError, match=r"does not fit the memory .*; give a smaller --tile"):
        apply(replace(nearest(), network=network), [source], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_place_that_takes_no_files_is_named(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    source = write_pictures(tmp_path / "in", 1)
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*out"):
        apply(nearest(), [source], tmp_path / "out")


def test_samples_are_enlarged_and_laid_in_a_grid(trained_run: Run, tmp_path: Path) -> None:
    generator = load(trained_run.path, device="cpu")
    told: list[tuple[int, int]] = []
    found = apply_to_samples(
        nearest(), generator, [3, 1, 7], tmp_path / "out", progress=lambda *n: told.append(n)
    )
    samples = generator.sample([3, 1, 7])
    assert [path.name for path in found.applied.written] == ["3.png", "1.png", "7.png"]
    for path, sample in zip(found.applied.written, samples, strict=True):
        np.testing.assert_array_equal(read(path), sample.repeat(2, 0).repeat(2, 1))
    with Image.open(found.applied.written[2]) as image:
        text = dict(image.text)  # pyright: ignore[reportAttributeAccessIssue]
    assert text["sample seed"] == "7" and text["sample run"] == trained_run.name
    assert text["run"] == "00001-x"
    grid = read(found.grid)
    assert grid.shape == (64, 64, 3)
    np.testing.assert_array_equal(grid[:32, 32:], read(found.applied.written[1]))
    assert (grid[32:, 32:] == 255).all()
    assert told[-1] == (3, 3)
    with pytest.raises(UserError, match=r"3\.png is there already; make it anew with --again"):
        apply_to_samples(nearest(), generator, [3], tmp_path / "out")
    apply_to_samples(nearest(), generator, [3], tmp_path / "out", again=True)
    fills = replace(nearest(), task="inpaint", takes=4, scale=1)
    with pytest.raises(UserError, match=r"samples of .* are nothing that nearest \(inpaint\) can"):
        apply_to_samples(fills, generator, [5], tmp_path / "other")
