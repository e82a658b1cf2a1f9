"""Words and figures for HTML. File names are hostile: all text from outside goes through here."""

from __future__ import annotations

import html

LONGEST = 160
JOINERS = "\u200c\u200d"  # not printable by themselves, yet part of how some scripts are written


def text(value: str, longest: int = LONGEST) -> str:
    r"""`value` as HTML text or the value of an attribute in double quotes.

    What cannot be seen (line breaks, control characters, marks that turn the direction of
    reading, halves of characters) is written out as an escape; the middle of long text is left
    out.

    >>> text("<b>\n")
    '&lt;b&gt;\\n'
    """
    if len(value) > longest:
        half = longest // 2
        value = f"{value[:half]}…{value[-half:]}"
    seen = (c if c.isprintable() or c in JOINERS else _escaped(c) for c in value)
    return html.escape("".join(seen))


def name(key: str, longest: int = LONGEST) -> str:
    """A file name as HTML, kept apart from the direction of reading around it."""
    return f"<bdi>{text(key, longest)}</bdi>"


def counted(count: int, thing: str) -> str:
    """`1 picture`, `2,000 pictures`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """A share as a whole percentage that never claims none or all by rounding.

    >>> percent(0.999)
    'over 99 %'
    """
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
