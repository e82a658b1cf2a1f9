"""A contact sheet: many pictures at a glance, as one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from morelike.lettering import LINE, plain
from morelike.page.images import shrunk, to_image

MOST_PICTURES = 400
LONGEST_SIDE = 128
PAPER = (226, 226, 226)  # neither white nor black, so that the edge of either can be seen
INK = (40, 40, 40)
FRAME = (213, 94, 0)  # an orange-red that the colour-blind can tell from the paper


def evenly_chosen(count: int, most: int) -> list[int]:
    """Positions of at most `most` of `count` things, spread evenly, the first and last included.

    >>> evenly_chosen(9, 3)
    [0, 4, 8]
    """
    if count <= most:
        return list(range(count))
    if most == 1:
        return [0]
    return [index * (count - 1) // (most - 1) for index in range(most)]


def contact_sheet(
    images: np.ndarray | Sequence[np.ndarray],
    columns: int | None = None,
    captions: Sequence[str] | None = None,
    dropped: Sequence[bool] | np.ndarray | None = None,
    most: int = MOST_PICTURES,
) -> np.ndarray:
    """Lay pictures out in rows, in their order; of more than `most`, some are chosen evenly.

    Only the chosen pictures are read, so `images` may be memory-mapped. Pictures over 128 px are
    shown smaller.

    Args:
        images: (N, H, W, C) uint8, or as many (H, W, C); C is 1, 3 or 4, and transparency is laid
            on the gray of the sheet. All have one size.
        columns: pictures in a row; as many as make the sheet about square, if not given.
        captions: N short texts to write beneath.
        dropped: N; those are dimmed and framed in orange.
        most: how many are shown at most.

    Returns:
        (height, width, 3) uint8.

    Raises:
        ValueError: if there is no picture.
    """
    if not len(images):
        raise ValueError("a contact sheet needs at least one picture")
    chosen = evenly_chosen(len(images), most)
    width, height = shrunk((images[0].shape[1], images[0].shape[0]), LONGEST_SIDE)
    gap = max(2, min(width, height) // 16)
    across = width + gap
    down = height + gap + (LINE if captions else 0)
    columns = min(columns or math.ceil(math.sqrt(len(chosen) * down / across)), len(chosen))
    rows = math.ceil(len(chosen) / columns)
    sheet = Image.new("RGB", (gap + columns * across, gap + rows * down), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for place, number in enumerate(chosen):
        left, top = gap + place % columns * across, gap + place // columns * down
        picture = _on_paper(images[number], (width, height))
        if dropped is not None and dropped[number]:
            picture = Image.blend(picture, Image.new("RGB", picture.size, PAPER), 0.6)
            edge = gap // 2
            frame = (left - edge, top - edge, left + width + edge - 1, top + height + edge - 1)
            pen.rectangle(frame, fill=FRAME)
        sheet.paste(picture, (left, top))
        if captions:
            line = Image.new("RGB", (width, LINE), PAPER)  # cuts off what is too long
            ImageDraw.Draw(line).text((0, 0), plain(captions[number][:100]), INK, font)
            sheet.paste(line, (left, top + height + gap // 2))
    return np.asarray(sheet)


def _on_paper(pixels: np.ndarray, size: tuple[int, int]) -> Image.Image:
    image = to_image(pixels)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", size, (*PAPER, 255)), image)
    return image.convert("RGB")
