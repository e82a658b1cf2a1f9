"""What is measured of every picture on its own: its border, its content, its sharpness, its frame.

The border and the frame are looked for in the `proxy`, the whole picture squeezed to 64x64 RGB;
contrast, content and sharpness in the `pixels` that networks see.
"""

from __future__ import annotations

import numpy as np

TRAITS = np.dtype(
    [
        ("border", "u1", (3,)),  # RGB, the median of the border
        ("border_share", "<f4"),  # share of the border within TOLERANCE of that colour
        ("border_spread", "<f4"),  # mean distance of the border from that colour, of 255
        ("white_share", "<f4"),  # share of the border that is WHITE or lighter
        ("color", "<f4", (3,)),  # RGB, the mean of the pixels, 0 to 255
        ("contrast", "<f4"),  # standard deviation of the gray values, of 255
        ("content", "<f4"),  # share of the pixels further than CONTENT from their median colour
        ("blur", "<f4"),  # radius of the edges' blur in pixels, see `_blur`
        (
            "steps",
            "<f4",
            (4,),
        ),  # how much of the top, bottom, left and right ends in a straight step
        ("bars", "u1", (4,)),  # lines of the proxy before that step, see `_measure_frame`
    ]
)
"""A row for each picture."""

RING = 2
"""Width of the border, of the 64 pixels of the proxy."""
TOLERANCE = 10
"""Largest difference in a channel from the border's colour: the noise of JPEG stays below, the
blades of a lawn do not."""
BAR_TOLERANCE = 16
"""The same within a bar, where ringing from the edge of the picture is added."""
WHITE = 232
"""Least value of every channel of what looks white; a soft shadow on white is often below."""
CONTENT = 12
"""Largest difference in a channel from the median colour of what counts as empty."""
WHOLE = 0.97
"""Share of a line that is of one colour, where the line is part of a bar."""
THINNEST, DEEPEST = 2, 21
"""A bar has at least two lines of the proxy, and less than a third of them."""

_BLOCK = 2**17  # pixels worked on at a time: few calls, and not all of it leaves the cache


def measure(proxies: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """The traits of a batch of pictures.

    Args:
        proxies: (B, 64, 64, 3) uint8, the whole pictures.
        pixels: (B, H, W, C) uint8 with C of 1 (gray), 3 (RGB) or 4 (RGBA), the prepared pictures.
            Transparent pixels count as laid on the colour of the proxy's border.

    Returns:
        (B,) of TRAITS.
    """
    traits = np.empty(len(proxies), TRAITS)
    step = max(1, _BLOCK // max(64 * 64, pixels.shape[1] * pixels.shape[2]))
    for start in range(0, len(proxies), step):
        block = slice(start, start + step)
        whole = _planes(proxies[block])
        _measure_border(whole, traits[block])
        _measure_frame(whole, traits[block])
        _measure_content(_planes(pixels[block]), traits[block])
    return traits


def thumbs(proxies: np.ndarray) -> np.ndarray:
    """The mean of every 2x2 pixels, half rounded up: (B, 2n, 2n, 3) to (B, n, n, 3) uint8."""
    rows = proxies[:, 0::2].astype(np.uint16) + proxies[:, 1::2]
    return ((rows[:, :, 0::2] + rows[:, :, 1::2] + 2) >> 2).astype(np.uint8)


def _planes(pictures: np.ndarray) -> np.ndarray:
    """(B, H, W, C) to (C, B, H, W), in which every step below runs along whole lines."""
    return np.ascontiguousarray(np.moveaxis(pictures, 3, 0))


def _measure_border(whole: np.ndarray, traits: np.ndarray) -> None:
    ends = np.concatenate([whole[:, :, :RING], whole[:, :, -RING:]], axis=2)
    middle = whole[:, :, RING:-RING]
    sides = np.concatenate([middle[..., :RING], middle[..., -RING:]], axis=3)
    ring = np.concatenate([side.reshape(*side.shape[:2], -1) for side in (ends, sides)], axis=2)
    border = _median(ring)
    away = _away(ring, border)
    traits["border"] = border.T
    traits["border_share"] = (away <= TOLERANCE).mean(axis=1)
    traits["border_spread"] = away.mean(axis=1)
    traits["white_share"] = (ring.min(axis=0) >= WHITE).mean(axis=1)


def _measure_frame(whole: np.ndarray, traits: np.ndarray) -> None:
    """Find bars: letterboxes, frames, strips for a caption, at each of the four sides.

    A bar begins as a line of one colour along the side, may hold some writing, and ends in one
    sharp straight step: from a line that is whole in the bar's colour to one that is hardly so.
    What stands on a plain background rises out of it little by little, or over a part of the
    width; shading takes more lines.
    """
    traits["steps"], traits["bars"] = 0, 0
    upright, lying = whole, whole.swapaxes(2, 3)
    for number, side in enumerate((upright, upright[:, :, ::-1], lying, lying[:, :, ::-1])):
        first = side[:, :, 0]  # (3, B, along)
        even = (_away(first, _median(first)) <= BAR_TOLERANCE).mean(axis=1) >= WHOLE
        if not even.any():  # as in most photographs
            continue
        near = side[:, even, : DEEPEST + 2]  # (3, B, depth, along), from the side inwards
        away = _away(near, _median(near[:, :, 0]))
        same = (away <= BAR_TOLERANCE).mean(axis=2, dtype=np.float32)  # (B, depth)
        other = (away > 2 * BAR_TOLERANCE).mean(axis=2, dtype=np.float32)
        sofar = np.cumsum(same, axis=1) / np.arange(1, DEEPEST + 3, dtype=np.float32)
        bar = (same >= WHOLE) & (sofar >= 0.75)
        bar[:, : THINNEST - 1] = False
        # Resizing may leave one line between the bar and the picture that is neither.
        step = np.where(bar[:, :-2], np.maximum(other[:, 1:-1], other[:, 2:]), 0)
        last = DEEPEST - step[:, ::-1].argmax(axis=1)
        traits["steps"][even, number] = step.max(axis=1)
        traits["bars"][even, number] = np.where(step.any(axis=1), last, 0)


def _measure_content(planes: np.ndarray, traits: np.ndarray) -> None:
    if len(planes) == 4:
        alpha = planes[3] / np.float32(255)
        matte = traits["border"].T[..., None, None]
        planes = np.rint(planes[:3] * alpha + matte * (1 - alpha)).astype(np.uint8)
    height, width = planes.shape[2:]
    few = planes[:, :, :: max(1, height // 16), :: max(1, width // 16)]  # enough for a median
    away = _away(planes, _median(few.reshape(*few.shape[:2], -1)))
    traits["content"] = (away > CONTENT).mean(axis=(1, 2))
    traits["color"] = planes.mean(axis=(2, 3), dtype=np.float32).T
    gray = planes[0].astype(np.float32)
    if len(planes) == 3:  # luma of Rec. 601
        gray *= 0.299
        gray += planes[1] * np.float32(0.587) + planes[2] * np.float32(0.114)
    traits["contrast"] = np.sqrt(_energy(gray - gray.mean(axis=(1, 2), keepdims=True)))
    traits["contrast"] /= np.sqrt(height * width)
    traits["blur"] = _blur(gray)


def _blur(gray: np.ndarray) -> np.ndarray:
    """The radius of the blur of the strongest edges, in pixels: (B, H, W) to (B,).

    Of a straight edge blurred by a Gaussian of standard deviation s, the first derivative has
    2 s^2 times the energy of the second; so s is found from the energies of the differences
    between neighbours. It does not depend on the contrast, and strong edges count most. Where all
    pixels are equal it is 0.
    """
    across, down = gray[:, :, 1:] - gray[:, :, :-1], gray[:, 1:] - gray[:, :-1]
    first = _energy(across) + _energy(down)
    second = _energy(across[:, :, 1:] - across[:, :, :-1]) + _energy(down[:, 1:] - down[:, :-1])
    return np.sqrt(first / np.maximum(2 * second, 1e-3))


def _energy(values: np.ndarray) -> np.ndarray:
    """The sum of the squares of each picture: (B, H, W) to (B,)."""
    flat = values.reshape(len(values), -1)
    return np.einsum("ij,ij->i", flat, flat)


def _median(values: np.ndarray) -> np.ndarray:
    """The median of the last axis, of an even number the higher of the middle two."""
    half = values.shape[-1] // 2
    return np.partition(values, half)[..., half]


def _away(planes: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The largest difference in a channel: planes (C, B, ...), colours (C, B) to (B, ...) uint8."""
    colours = colours.reshape(*colours.shape, *[1] * (planes.ndim - 2))
    return (np.maximum(planes, colours) - np.minimum(planes, colours)).max(axis=0)
