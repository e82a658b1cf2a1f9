"""A sheet of samples, each beside the training picture that it is most like."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morelike.lettering import LINE, broken, plain
from morelike.pictures import to_rgb

PAPER, INK, FAINT = (226, 226, 226), (40, 40, 40), (96, 96, 96)
FRAME = (213, 94, 0)
"""An orange-red that the colour-blind can tell from the paper."""
SIDE = 128
"""Pictures are shown about this large, small ones by whole multiples so that pixels stay sharp."""
MARGIN, GAP = 10, 4
FEWEST_COLUMNS, COLUMNS = 2, 4


def sheet(
    title: str,
    note: str,
    samples: np.ndarray,
    nearest: np.ndarray,
    captions: Sequence[Sequence[str]],
    framed: Sequence[bool],
) -> np.ndarray:
    """Pairs of pictures in rows, the sample on the left, with captions beneath.

    Args:
        title: the sheet's first line.
        note: more to know, as the second line; long ones are broken.
        samples: (N, H, W, C) uint8, N at least 1.
        nearest: (N, H, W, C) uint8, what stands beside each.
        captions: N times as many lines.
        framed: N; those samples get an orange frame.

    Returns:
        (height, width, 3) uint8.
    """
    width, height, resampling = _shown_size(samples.shape[2], samples.shape[1])
    lines = max(map(len, captions))
    across, down = 2 * width + GAP + 2 * MARGIN, height + lines * LINE + 2 * MARGIN
    columns = min(COLUMNS, max(FEWEST_COLUMNS, len(samples)))
    full = columns * across + MARGIN
    font = ImageFont.load_default()
    head = [title, *broken(note, font, full - 2 * MARGIN)]
    top = 2 * MARGIN + len(head) * LINE
    size = (full, top + math.ceil(len(samples) / columns) * down)
    page = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(page)
    for number, text in enumerate(head):
        colour = FAINT if number else INK
        pen.text((MARGIN, MARGIN + number * LINE), plain(text), colour, font)
    for place, pair in enumerate(zip(to_rgb(samples), to_rgb(nearest), strict=True)):
        x = MARGIN + place % columns * across
        y = top + place // columns * down
        if framed[place]:
            pen.rectangle((x - 3, y - 3, x + width + 2, y + height + 2), fill=FRAME)
        for picture in pair:
            page.paste(Image.fromarray(picture).resize((width, height), resampling), (x, y))
            x += width + GAP
        x -= 2 * (width + GAP)
        for number, text in enumerate(captions[place]):
            line = Image.new("RGB", (across - GAP, LINE), PAPER)  # cuts off what is too long
            ImageDraw.Draw(line).text((0, 0), plain(text), FAINT if number else INK, font)
            page.paste(line, (x, y + height + 3 + number * LINE))
    return np.asarray(page)


def _shown_size(width: int, height: int) -> tuple[int, int, Image.Resampling]:
    times = max(1, round(SIDE / max(width, height)))
    if times > 1 or max(width, height) <= 2 * SIDE:
        return width * times, height * times, Image.Resampling.NEAREST
    scale = 2 * SIDE / max(width, height)
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    return *sides, Image.Resampling.LANCZOS
