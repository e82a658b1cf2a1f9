"""Sheets: rows of pictures with a few words beside each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morelike.lettering import LINE, broken, plain
from morelike.pictures import to_rgb

PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
SIDE = 64
"""Pictures are shown about this large, up to twice that; small ones by whole multiples, so that
pixels stay sharp."""
WORDS, GAP, MARGIN = 190, 4, 12


class Row(NamedTuple):
    """One row of a sheet."""

    words: Sequence[str]
    """The first is dark, those after it are faint; long ones are broken."""
    pictures: Sequence[np.ndarray]
    """(H, W, C) uint8 each, all of a sheet of one size; rows may differ in length."""


def sheet(
    title: str,
    rows: Sequence[Row],
    note: str = "",
    header: Sequence[str] = (),
    side: int = SIDE,
) -> np.ndarray:
    """Lay rows out beneath each other.

    Args:
        title: the first line.
        rows: at least one picture in all.
        note: more to know, beneath the title.
        header: a word above each column.
        side: about how large pictures are shown.

    Returns:
        (height, width, 3) uint8.
    """
    shown = [[enlarged(one, side) for one in row.pictures] for row in rows]
    width, height = max((one.size for row in shown for one in row), default=(side, side))
    font = ImageFont.load_default()
    across, columns = width + GAP, max(max(map(len, shown)), len(header))
    full = max(2 * MARGIN + WORDS + columns * across, 480)
    heads = [*broken(title, font, full - 2 * MARGIN), *broken(note, font, full - 2 * MARGIN)]
    words = [
        [(line, number > 0) for number, text in enumerate(row.words) for line in _lines(text, font)]
        for row in rows
    ]
    heights = [max(height, len(lines) * LINE) + GAP for lines in words]
    top = 2 * MARGIN + len(heads) * LINE + (LINE if header else 0)
    page = Image.new("RGB", (full, top + sum(heights) + MARGIN), PAPER)
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(heads):
        pen.text((MARGIN, MARGIN + number * LINE), plain(line), FAINT if number else INK, font)
    left = MARGIN + WORDS
    for number, word in enumerate(header):
        pen.text((left + number * across, top - LINE - 2), plain(word), FAINT, font)
    y = top
    for lines, row, tall in zip(words, shown, heights, strict=True):
        for number, (line, faint) in enumerate(lines):
            pen.text((MARGIN, y + number * LINE), line, FAINT if faint else INK, font)
        for number, picture in enumerate(row):
            page.paste(picture, (left + number * across, y))
        y += tall
    return np.asarray(page)


def enlarged(picture: np.ndarray, side: int = SIDE) -> Image.Image:
    """(H, W, C) uint8 as it is shown: small ones by whole multiples, large ones scaled down."""
    image = Image.fromarray(to_rgb(picture))
    times = max(1, round(side / max(image.size)))
    if times > 1:
        size = (image.width * times, image.height * times)
        return image.resize(size, Image.Resampling.NEAREST)
    image.thumbnail((2 * side, 2 * side), Image.Resampling.LANCZOS)
    return image


def heat(values: np.ndarray, most: float | None = None) -> np.ndarray:
    """(H, W) from 0 on as colours, black over red and yellow to white: (H, W, 3) uint8.

    `most` is what is shown as white; the largest value, if not given.
    """
    top = float(values.max()) if most is None else most
    share = np.clip(values / top if top > 0 else values * 0, 0, 1)[..., None]
    return np.rint(255 * np.clip(3 * share - np.arange(3), 0, 1)).astype(np.uint8)


def _lines(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    return [plain(line) for line in broken(text, font, WORDS - MARGIN)]
