"""The words of a verdict, each with a shape and a colour of its own, and sentences as HTML."""

from __future__ import annotations

import re

from morelike.config import Config
from morelike.page.text import text

MOST_OF_SENTENCE = 1_200

SHAPES = {
    "LEARNING": '<path d="M3 19 9 12l4 4 8-11M15 5h6v6"/>',
    "STALLED": '<path d="M8 5v14M16 5v14"/>',
    "COLLAPSED": '<path d="M3 4l6 5M3 20l6-5M21 4l-6 5M21 20l-6-5M12 12v.1"/>',
    "COPYING": '<rect x="3" y="3" width="12" height="12"/><path d="M19 9h2v12H9v-2"/>',
    "DIVERGED": '<path d="M2 12h3l2-3 3 7 4-13 4 19 2-10h2"/>',
    "UNKNOWN": '<path d="M8 9a4 4 0 1 1 6 3.4c-1.4.9-2 1.6-2 3.1M12 19.5v.5"/>',
}
OTHER = '<circle cx="12" cy="12" r="8"/>'

SECTIONS = "|".join(sorted(Config.model_fields))
CODE = re.compile(
    r"`([^`]+)`"
    rf"|((?<![\w.])(?:{SECTIONS})(?:\.(?:[a-z_]\w*|\*))+(?: ?= ?[^\s,;]*[^\s,;.)])?"
    r"|(?<![\w-])--[a-z][a-z-]*)"
)
"""What is set in the type of code: what stands in backticks, settings and options."""


def kind(word: str) -> str:
    """The class of a word in the page's style; empty for one that is not known."""
    return word.lower() if word in SHAPES else ""


def shape(word: str) -> str:
    """The small drawing that goes with a word."""
    return f'<svg class="shape" viewBox="0 0 24 24" aria-hidden="true">{_drawn(word)}</svg>'


def prose(value: str) -> str:
    """A sentence as HTML, with the names of settings and options as code.

    >>> prose("Set augment.policy=color & go on.")
    'Set <code>augment.policy=color</code> &amp; go on.'
    """
    if len(value) > MOST_OF_SENTENCE:
        return text(value, MOST_OF_SENTENCE)
    parts, end = [], 0
    for found in CODE.finditer(value):
        parts.append(text(value[end : found.start()], MOST_OF_SENTENCE))
        parts.append(f"<code>{text(found[1] or found[2], MOST_OF_SENTENCE)}</code>")
        end = found.end()
    return "".join(parts) + text(value[end:], MOST_OF_SENTENCE)


def _drawn(word: str) -> str:
    return SHAPES.get(word, OTHER)
