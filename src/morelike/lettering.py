"""Words on pictures, in the font that is built in."""

from __future__ import annotations

from PIL import ImageFont

LINE = 13
"""Pixels from one line to the next."""


def plain(text: str) -> str:
    """What the font can draw, on one line."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def broken(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The text in lines that are not wider than so many pixels, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(plain(longer)) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
