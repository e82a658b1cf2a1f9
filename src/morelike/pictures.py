"""Pictures as arrays and files: grids, labelled panels, PNG with metadata, GIF and MP4.

Pictures are (N, H, W, C) uint8 with C = 1, 3 or 4 throughout.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import torch
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from morelike import files


def to_uint8(pictures: Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) uint8, rounded to the nearest."""
    scaled = pictures.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).to("cpu", torch.uint8).contiguous().numpy()


def from_uint8(pictures: np.ndarray, device: torch.device) -> Tensor:
    """(N, H, W, C) uint8, may be memory-mapped -> (N, C, H, W) float32 in [-1, 1]."""
    tensor = torch.from_numpy(np.array(pictures)).to(device)
    return tensor.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_rgb(pictures: np.ndarray) -> np.ndarray:
    """(..., C) uint8 with any C -> (..., 3); transparency is laid on white."""
    if pictures.shape[-1] == 3:
        return pictures
    if pictures.shape[-1] == 1:
        return np.repeat(pictures, 3, axis=-1)
    alpha = pictures[..., 3:].astype(np.uint16)
    mixed = pictures[..., :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def grid(pictures: np.ndarray, columns: int | None = None, gap: int = 0) -> np.ndarray:
    """Pictures (N, H, W, C) in rows, filled up with white: (height, width, 3) uint8."""
    count, height, width = pictures.shape[:3]
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for index, picture in enumerate(to_rgb(pictures)):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def beside(left: np.ndarray, right: np.ndarray, gap: int = 16) -> np.ndarray:
    """Two grids of equal height with a dark bar between them."""
    bar = np.full((left.shape[0], gap, 3), 32, dtype=np.uint8)
    return np.concatenate([left, bar, right], axis=1)


def to_image(picture: np.ndarray) -> Image.Image:
    """(H, W, C) uint8 as a Pillow image of mode L, RGB or RGBA."""
    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)


QUICK = 3
"""zlib's level: half the time of the usual 6, and files a tenth larger."""


def write_png(path: Path, picture: np.ndarray, notes: Mapping[str, str] | None = None) -> None:
    """Write (H, W, C) uint8 as PNG, with `notes` as its text metadata; all or nothing."""
    info = PngInfo()
    for key, value in (notes or {}).items():
        info.add_itxt(key, value)
    buffer = io.BytesIO()
    to_image(picture).save(buffer, "PNG", pnginfo=info, compress_level=QUICK)
    files.write_bytes(path, buffer.getvalue())


def read_png(path: Path) -> np.ndarray:
    """An RGB PNG that `write_png` wrote, as (H, W, 3) uint8."""
    with Image.open(path, formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB"))


def write_gif(path: Path, frames: Sequence[np.ndarray], seconds: float = 8.0) -> None:
    """An endless GIF of (H, W, 3) frames, played in `seconds` with a rest on the last one."""
    step = max(40, round(1000 * seconds / len(frames)))
    # Median cut, the default, would spend nearly the whole palette on a white background.
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    images = [Image.fromarray(f).quantize(256, method=method, dither=dither) for f in frames]
    durations = [step] * (len(images) - 1) + [2000]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0
    )
    files.write_bytes(path, buffer.getvalue())


def write_mp4(path: Path, frames: Sequence[np.ndarray], seconds: float = 8.0) -> None:
    """An MP4 (H.264 where the build has it, else MPEG-4) of (H, W, 3) frames."""
    rate = max(2, min(30, round(len(frames) / seconds)))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = _add_video(container, rate)
        height, width = frames[0].shape[:2]
        stream.width, stream.height = width - width % 2, height - height % 2
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for frame in _with_rest(frames, rate):
            even = np.ascontiguousarray(frame[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())
    files.write_bytes(path, buffer.getvalue())


def _with_rest(frames: Sequence[np.ndarray], rate: int) -> Iterable[np.ndarray]:
    yield from frames
    yield from [frames[-1]] * rate


def _add_video(container: OutputContainer, rate: int) -> VideoStream:
    for codec in ("libx264", "libopenh264"):
        with contextlib.suppress(av.FFmpegError, ValueError):
            return cast("VideoStream", container.add_stream(codec, rate=Fraction(rate)))
    return cast("VideoStream", container.add_stream("mpeg4", rate=Fraction(rate)))
