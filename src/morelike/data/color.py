"""Whatever a file holds, as gray, RGB or RGBA of 8 bits in sRGB."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from morelike.data.item import Rejection

MOST_PROFILE = 4 * 2**20
"""Bytes of a colour profile; those of printing presses have half of it."""


def in_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """In mode L, RGB or RGBA, of 8 bits, in sRGB."""
    profile = image.info.get("icc_profile", b"")
    image = _eight_bit(image, notes)
    if image.mode == "CMYK":
        notes.append("CMYK")
    if profile != b"":
        try:
            image = _without_profile(image, profile)
        except Exception:  # lcms and Pillow raise nearly anything, too
            notes.append("colour profile ignored: broken")
    return image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB")


def _eight_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    """In mode L, RGB, RGBA or CMYK."""
    key = image.info.get("transparency")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)
        gray = Image.fromarray(_in_range(values, notes))
        if isinstance(key, int):
            gray.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
        return gray.convert("RGBA") if gray.mode == "LA" else gray
    if isinstance(key, tuple) and "16 bit" in notes:  # of which Pillow keeps the high bytes
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if key is not None or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return image.convert("RGBA") if image.mode != "RGBA" else image
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _in_range(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Gray of more than 8 bits as uint8. What white is, only the largest value tells: 255 or
    65535, and of floats perhaps 1; 16-bit integers have their own range.
    """
    if values.dtype.kind == "u":
        if "16 bit" not in notes:
            notes.append("16 bit")
        return (values >> 8).astype(np.uint8)
    if not np.isfinite(values).all():
        raise Rejection("some of its pixels are not finite numbers")
    least, most = float(values.min()), float(values.max())
    floats = values.dtype.kind == "f"
    if least < 0 or most > 65535:
        raise Rejection(f"its pixels have values from {least:g} to {most:g}, in no known range")
    notes.append("floating point" if floats else "32 bit")
    white = 1 if floats and most <= 1 else 255 if most <= 255 else 65535
    return np.rint(values * (255 / white)).astype(np.uint8)


def _without_profile(image: Image.Image, profile: bytes) -> Image.Image:
    if not isinstance(profile, bytes) or len(profile) > MOST_PROFILE:
        raise ValueError("no profile that anybody would need")
    gray = image.mode == "L"
    space = _space(profile)
    if gray and space == "RGB":
        image = image.convert("RGB")
    transform = _transform(profile, image.mode, space)
    if transform is None:
        return image.getchannel("G") if gray and image.mode == "RGB" else image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted.getchannel("G") if gray else converted


SPACES = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}


@functools.lru_cache(maxsize=64)
def _space(profile: bytes) -> str:
    core: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    return core.xcolor_space.strip()


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str, space: str) -> ImageCms.ImageCmsTransform | None:
    """From the profile to sRGB; None if it moves no colour by more than 2 of 255.

    lcms keeps no state in a transform while it is applied, so that threads may share one.
    """
    if SPACES[mode] != space:
        raise ValueError(f"a profile for {space} in a picture in {SPACES[mode]}")
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGBA" if mode == "RGBA" else "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "CMYK":
        return transform
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    before = Image.fromarray(colours).convert(mode)
    after = ImageCms.applyTransform(before, transform)
    assert after is not None
    moved = np.abs(np.asarray(after.convert("RGB"), int) - np.asarray(before.convert("RGB")))
    return transform if moved.max() > 2 else None
