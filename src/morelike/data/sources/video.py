"""Frames of video files, one after each so many seconds, through PyAV.

A video is hostile input: only plain containers are opened, none that name other files or addresses
to read, and what it says about its length is not believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from morelike.config import DataConfig
from morelike.data.decode import MOST_PIXELS
from morelike.data.item import Item
from morelike.data.sources import members
from morelike.data.sources.labels import Labels

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}

SCENE = 10
"""Frames taken one after another that the split does not part, since they are much alike."""


@dataclass(frozen=True)
class VideoSource:
    """Frames of one video, or of all below a folder."""

    name: str
    folder: Path
    paths: tuple[Path, ...]
    streamed = True

    def count(self, settings: DataConfig) -> None:
        """Not known: a video's length is not to be relied on."""
        del settings

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The frame at 0 and the first one after every `settings.every` seconds, in order.

        Raises:
            UserError: if the labels that `settings` ask for cannot be had.
        """
        videos = [
            Item(members.text(path.relative_to(self.folder).as_posix()), path.read_bytes)
            for path in self.paths
        ]
        known = Labels([video.key for video in videos], {}, settings.labels, self.name)
        distinct = members.numbering()
        for path, video in zip(self.paths, videos, strict=True):
            facts = known.of(video)
            for number, item in enumerate(_frames(path, video.key, settings.every)):
                yield Item(
                    distinct(item.key),
                    item.read,
                    facts.label,
                    side=facts.side,
                    group=f"{video.key}, scene {number // SCENE}",
                )


def _frames(path: Path, key: str, every: float) -> Iterator[Item]:
    import av

    due = 0.0
    last = "the start"
    try:
        with path.open("rb") as file, av.open(file, mode="r", options=OPTIONS) as container:
            if not container.streams.video:
                yield members.rejected(key, "no pictures in this video")
                return
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            start: float | None = None
            rate = float(stream.average_rate or 25)
            for number, frame in enumerate(container.decode(stream)):
                time = number / rate if frame.time is None else frame.time
                start = time if start is None else start
                seconds = max(0.0, time - start)
                if seconds < due - 1e-6:
                    continue
                due = (math.floor(seconds / every + 1e-6) + 1) * every
                last = f"{seconds:010.3f}s"
                if frame.width * frame.height > MOST_PIXELS:
                    reason = f"{frame.width} x {frame.height} pixels are too many"
                    yield members.rejected(f"{key}/{last}", reason)
                    continue
                yield Item(f"{key}/{last}", partial(np.copy, _upright(frame)))
            if start is None:
                yield members.rejected(key, "no pictures in this video")
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).split("\n")[0].lower()
        yield members.rejected(
            key if last == "the start" else f"{key}/after {last}",
            f"the video cannot be read from {last} on: {reason}",
        )


def _upright(frame: Any) -> np.ndarray:
    """The frame as it is meant to be seen, (H, W, 3) uint8."""
    pixels = frame.to_ndarray(format="rgb24")
    # Counterclockwise, as NumPy turns; older versions of PyAV do not tell.
    return np.rot90(pixels, round(getattr(frame, "rotation", 0) / 90) % 4)
