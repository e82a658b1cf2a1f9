"""How a picture of any shape is fitted into the shape that all pictures of a set have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

Crop = Literal["center", "pad", "fit", "smart"]

LONGEST = 20
"""A picture more than so many times longer or wider than the target's shape is refused."""
PROXY = 64
"""Side of the proxy, in pixels."""


Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


class Form(NamedTuple):
    """What every picture of a set is to become."""

    height: int
    width: int
    channels: Literal[3, 4]
    """3 RGB, transparency laid on `matte`; 4 RGBA. A gray picture has R = G = B."""
    crop: Crop
    """The center of the picture, the whole of it with its border's colour beside it (pad), the
    whole of it squeezed (fit), or its most detailed part (smart)."""
    matte: tuple[int, int, int]
    """The colour behind transparent pictures."""


class Decoded(NamedTuple):
    """A picture made ready, and what was seen on the way."""

    pixels: np.ndarray
    """(height, width, channels) uint8."""
    proxy: np.ndarray
    """The whole picture, before any crop, squeezed and laid on the matte: (64, 64, 3) uint8."""
    width: int
    """Of the original, upright."""
    height: int
    gray: bool
    """Whether R = G = B in every pixel of `pixels`."""
    transparent: bool
    """Whether any pixel of the original is not opaque."""
    enlarged: float
    """Pixels of the target for one of the original, on a side; 1 if there were enough."""
    notes: tuple[str, ...]
    """What a person may want to know: "animated: first frame", "16 bit", "CMYK"."""


class Window(NamedTuple):
    """The part of a picture that is taken, in its own pixels, and the size that it becomes."""

    box: Box
    size: tuple[int, int]
    """(width, height); less than the form's on one side only where the rest is filled (pad)."""


def pixels_for_one(width: int, height: int, form: Form) -> float:
    """How many pixels of the picture become one of the target, on the side that has fewest."""
    across, down = width / form.width, height / form.height
    return max(across, down) if form.crop == "pad" else min(across, down)


def too_long(width: int, height: int, form: Form) -> bool:
    """Whether the picture's shape is so far from the target's that no crop makes sense of it."""
    ratio = (width * form.height) / (height * form.width)
    return max(ratio, 1 / ratio) > LONGEST


def window(width: int, height: int, form: Form, proxy: np.ndarray) -> Window:
    """Where to cut a picture of width x height pixels; `proxy` says where its detail is.

    A window begins at a whole pixel, so that a picture which need not be resized stays as it is.
    """
    scale = pixels_for_one(width, height, form)
    if form.crop == "pad":
        inner = max(1, round(width / scale)), max(1, round(height / scale))
        return Window((0, 0, width, height), inner)
    if form.crop == "fit":
        return Window((0, 0, width, height), (form.width, form.height))
    across, down = min(width, form.width * scale), min(height, form.height * scale)
    x, y = (0.5, 0.5) if form.crop == "center" else _detail(proxy, across / width, down / height)
    left, top = math.floor((width - across) * x), math.floor((height - down) * y)
    return Window((left, top, left + across, top + down), (form.width, form.height))


def _detail(proxy: np.ndarray, across: float, down: float) -> tuple[float, float]:
    """The place of the window with most gradient energy, 0 at the left or top and 1 at the other
    end. `across` and `down` are its sides, as shares of the picture's; one of them is 1.
    """
    gray = proxy.astype(np.float32).mean(axis=2)
    energy = np.zeros_like(gray)
    energy[:, 1:] += np.diff(gray, axis=1) ** 2
    energy[1:] += np.diff(gray, axis=0) ** 2
    return _busiest(energy.sum(axis=0), across), _busiest(energy.sum(axis=1), down)


def _busiest(energy: np.ndarray, share: float) -> float:
    if share >= 1 or not energy.any():
        return 0.5
    steps = np.linspace(0, 1, 65)
    edges = np.linspace(0, 1, len(energy) + 1)
    until = np.concatenate([[0.0], np.cumsum(energy, dtype=np.float64)]) / energy.sum()
    starts = steps * (1 - share)
    inside = np.interp(starts + share, edges, until) - np.interp(starts, edges, until)
    # At either end a window must hold a tenth more than at the middle to be preferred.
    inside *= 1 - 0.1 * (2 * steps - 1) ** 2
    return float(steps[np.argmax(inside)])


def border_colour(pixels: np.ndarray) -> tuple[int, ...]:
    """The median colour of a picture's outermost pixels: (H, W, C) uint8 to C numbers.

    With four channels: fully transparent, if most of the border is.
    """
    ring = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = tuple(int(value) for value in np.median(ring, axis=0))
    return (0, 0, 0, 0) if len(colour) == 4 and colour[3] == 0 else colour


def padded(pixels: np.ndarray, form: Form) -> np.ndarray:
    """The picture in the middle of the form's shape, on the colour of its own border."""
    height, width = pixels.shape[:2]
    if (height, width) == (form.height, form.width):
        return pixels
    whole = np.empty((form.height, form.width, pixels.shape[2]), np.uint8)
    whole[:] = border_colour(pixels)
    top, left = (form.height - height) // 2, (form.width - width) // 2
    whole[top : top + height, left : left + width] = pixels
    return whole


MOST_SAMPLES = 256
PLAIN_DIFFERENCE = 24
"""A pixel is of the border's colour if no channel is further from it, of 255."""
PLAIN_SHARE = 0.65
"""A border is plain if so much of it is of one colour; what stands before it may touch it."""
CUT_SHARE = 0.1
"""A crop cuts a thing if it leaves out more than this share of it."""


def choose_crop(samples: Sequence[Decoded]) -> tuple[Literal["center", "pad"], str]:
    """`pad` if in most pictures a center crop would cut what stands on a plain background.

    Args:
        samples: pictures of the set, decoded at its target size with any crop; up to 256 are
            looked at, evenly spread.

    Returns:
        The crop, and one sentence that says why.
    """
    if len(samples) > MOST_SAMPLES:
        places = np.linspace(0, len(samples) - 1, MOST_SAMPLES).round().astype(int)
        samples = [samples[place] for place in places]
    shaped = sum(_kept_by_center(sample) != (1, 1) for sample in samples)
    if not shaped:
        return "center", "all pictures have the target's shape, so nothing is cut"
    cut = sum(_center_cuts(sample) for sample in samples)
    share = f"{cut} of {len(samples)} pictures looked at"
    if 2 * cut > len(samples):
        return "pad", f"a center crop would cut what stands on a plain background in {share}"
    return "center", f"a center crop cuts what stands on a plain background only in {share}"


def _kept_by_center(sample: Decoded) -> tuple[float, float]:
    """The shares of a picture's width and height that a center crop keeps."""
    height, width = sample.pixels.shape[:2]
    ratio = (width * sample.height) / (height * sample.width)
    return min(1.0, ratio), min(1.0, 1 / ratio)


def _center_cuts(sample: Decoded) -> bool:
    proxy = sample.proxy.astype(np.int16)
    colour = np.array(border_colour(sample.proxy), np.int16)
    thing = np.abs(proxy - colour).max(axis=2) > PLAIN_DIFFERENCE
    ring = np.concatenate([thing[0], thing[-1], thing[1:-1, 0], thing[1:-1, -1]])
    if ring.mean() > 1 - PLAIN_SHARE or not thing.any():
        return False
    across, down = _kept_by_center(sample)
    side = len(thing)
    left, top = round(side * (1 - across) / 2), round(side * (1 - down) / 2)
    kept = thing[top : side - top, left : side - left].sum()
    return bool(1 - kept / thing.sum() > CUT_SHARE)
