"""Planted cases, made from the pictures at hand: what a detector must find, and what it must not.

A diagnostic is worth as much as it was seen to do on cases whose truth is known. These are made of
the very pictures that are judged, since what is easy for roses is hard for bicycles on white.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from morelike import pictures

Make = Callable[[np.ndarray, np.random.RandomState], np.ndarray]
"""From real pictures (n, H, W, C) uint8 to as many planted ones."""

JPEG_QUALITY = 50
SHIFT = 1 / 8
"""Farthest shift, as a share of the side."""


def exact(images: np.ndarray, numbers: np.random.RandomState) -> np.ndarray:
    """The pictures themselves."""
    del numbers
    return images


def mirrored(images: np.ndarray, numbers: np.random.RandomState) -> np.ndarray:
    """Left and right exchanged."""
    del numbers
    return np.ascontiguousarray(images[:, :, ::-1])


def shifted(images: np.ndarray, numbers: np.random.RandomState) -> np.ndarray:
    """Moved by up to an eighth of the side each way; the border goes on where nothing is left."""
    height, width = images.shape[1:3]
    down, across = (max(1, round(side * SHIFT)) for side in (height, width))
    padded = np.pad(images, ((0, 0), (down, down), (across, across), (0, 0)), mode="edge")
    moved = np.empty_like(images)
    for number, picture in enumerate(padded):
        top, left = numbers.randint(0, 2 * down + 1), numbers.randint(0, 2 * across + 1)
        moved[number] = picture[top : top + height, left : left + width]
    return moved


def recompressed(images: np.ndarray, numbers: np.random.RandomState) -> np.ndarray:
    """Through JPEG of quality 50; transparency stays."""
    del numbers
    return np.stack([_through_jpeg(picture) for picture in images])


def jittered(images: np.ndarray, numbers: np.random.RandomState) -> np.ndarray:
    """Brightness up to a tenth, contrast a quarter, colours from half to one and a half times as
    strong, and turned by up to 30 degrees of hue; gray pictures have the first two.
    """
    made = images.copy()
    for number, picture in enumerate(images):
        color = picture[..., :3].astype(np.float32)
        if color.shape[-1] == 3:
            gray = color.mean(axis=-1, keepdims=True)
            turn = _hue_turn(np.deg2rad(numbers.uniform(-30, 30)))
            color = gray + (color - gray) @ turn.T * numbers.uniform(0.5, 1.5)
        middle = color.mean()
        color = (color - middle) * numbers.uniform(0.75, 1.25) + middle
        color += 255 * numbers.uniform(-0.1, 0.1)
        made[number, ..., :3] = color.round().clip(0, 255)
    return made


COPIES: dict[str, Make] = {
    "exact": exact,
    "mirrored": mirrored,
    "shifted": shifted,
    "JPEG": recompressed,
    "color-jittered": jittered,
}
"""Ways to copy."""


def noise(images: np.ndarray, numbers: np.random.RandomState) -> np.ndarray:
    """Every value drawn by itself."""
    return numbers.randint(0, 256, images.shape).astype(np.uint8)


def blurred(images: np.ndarray, numbers: np.random.RandomState) -> np.ndarray:
    """Each smoothed by a Gaussian of 1/32 of the side, of one pixel at least."""
    del numbers
    radius = max(1, min(images.shape[1:3]) / 32)
    return np.stack([_softened(picture, radius) for picture in images])


def averaged(
    images: np.ndarray, numbers: np.random.RandomState, several: tuple[int, ...] = (2, 3, 4, 8)
) -> np.ndarray:
    """Each the mean of some pictures drawn from these, two to eight by turns."""
    made = np.empty_like(images)
    for number in range(len(images)):
        few = min(several[number % len(several)], len(images))
        chosen = numbers.permutation(len(images))[:few]
        made[number] = np.rint(np.mean(images[chosen], axis=0, dtype=np.float32))
    return made


def smeared(images: np.ndarray, numbers: np.random.RandomState) -> np.ndarray:
    """Blurred averages under a checkerboard, as transposed convolutions of a collapsed generator
    leave them.
    """
    means = averaged(images, numbers, (3, 5))
    radius = min(images.shape[1:3]) / 16
    rows, columns = np.indices(images.shape[1:3]) // 2
    board = np.where((rows + columns) % 2, -24.0, 24.0)
    made = np.stack([_softened(picture, radius) for picture in means]).astype(np.float32)
    strength = numbers.uniform(0.5, 1.5, len(made))
    made[..., :3] += np.multiply.outer(strength, board)[..., None]
    return made.round().clip(0, 255).astype(np.uint8)


DECOYS: dict[str, Make] = {
    "noise": noise,
    "blurred": blurred,
    "averaged": averaged,
    "smeared": smeared,
}
"""What is neither a copy nor good."""


def repeated(images: np.ndarray, count: int, few: int) -> np.ndarray:
    """A generator that knows only the first `few` pictures: (count, H, W, C)."""
    return images[np.arange(count) % min(few, len(images))]


def _through_jpeg(picture: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    solid = picture[..., :3] if picture.shape[-1] == 4 else picture
    pictures.to_image(solid).save(buffer, "JPEG", quality=JPEG_QUALITY)
    with Image.open(buffer) as image:
        stored = np.asarray(image).reshape(solid.shape)
    return np.concatenate([stored, picture[..., solid.shape[-1] :]], axis=-1)


def _softened(picture: np.ndarray, radius: float) -> np.ndarray:
    image = pictures.to_image(picture).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image).reshape(picture.shape)


def _hue_turn(angle: float) -> np.ndarray:
    """Rotation about the gray axis, 3 x 3 (Rodrigues)."""
    axis = np.full(3, 3**-0.5)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross
    return (turn + (1 - np.cos(angle)) * np.outer(axis, axis)).astype(np.float32)
