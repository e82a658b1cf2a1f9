"""The sheets of a gallery as one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from morelike.evaluate.criteria import Chosen
from morelike.page import Part, document
from morelike.page.text import counted, name, text
from morelike.page.thumbs import Thumbs

STYLE = """
.pairs { display: grid; gap: 1rem 1.25rem; margin-top: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); }
.pair div { display: grid; grid-template-columns: 1fr 1fr; gap: 3px; }
.pair p { margin-top: .25rem; font-size: .85rem; line-height: 1.35; color: var(--soft);
  font-variant-numeric: tabular-nums; }
.pair p:first-of-type { color: var(--ink); }
.pair.near div { outline: 3px solid #d55e00; outline-offset: 2px; border-radius: 3px; }
"""


def page(
    about: Mapping[str, Any],
    sheets: Sequence[Chosen],
    samples: np.ndarray,
    nearest: np.ndarray,
    captions: Mapping[str, Sequence[Sequence[str]]],
    near: Sequence[bool],
    note: str,
) -> str:
    """The page as HTML, to be written as UTF-8; some 6 MB at most.

    Args:
        about: run, checkpoint, extractor, count, train, held_out, near_copies, notices.
        sheets: what is shown, in its order.
        samples: (N, H, W, C) uint8.
        nearest: (N, H, W, C) uint8, the training picture beside each.
        captions: of every sheet by its name, the lines beneath each of its samples.
        near: N, whether each is called a near-copy.
        note: what stands above all sheets.
    """
    thumbs = Thumbs()
    parts: list[Part] = []
    for one in sheets:
        pairs = ""
        for place, lines in zip(one.order, captions[one.name], strict=True):
            shown = thumbs.place(samples[place], text(f"sample, {lines[0]}"))
            beside = thumbs.place(nearest[place], text(f"training picture, {lines[-1]}"))
            words = "".join(f"<p>{text(line)}</p>" for line in lines)
            kind = "pair near" if near[place] else "pair"
            pairs += f'<li class="{kind}"><div>{shown}{beside}</div>{words}</li>\n'
        body = f'<p>{text(one.note, 600)}</p>\n<ul class="pairs">\n{pairs}</ul>\n'
        parts.append(Part(one.name, one.title, len(one.order), body))
    return document(f"Gallery of {about['run']}", _head(about, note), parts, thumbs, STYLE)


def _head(about: Mapping[str, Any], note: str) -> str:
    facts = {
        "checkpoint": about["checkpoint"],
        "samples": f"{about['count']:,}",
        "near-copies": f"{about['near_copies']:,} of {about['count']:,}",
        "trained on": counted(about["train"], "picture"),
        "held out": counted(about["held_out"], "picture"),
        "features": about["extractor"],
    }
    listed = "".join(
        f"<div><dt>{text(key)}</dt><dd>{text(str(value))}</dd></div>\n"
        for key, value in facts.items()
    )
    notices = "".join(f"<p>{text(notice, 600)}</p>\n" for notice in about["notices"])
    return (
        '<p class="kicker">morelike · best, worst and oddest samples</p>\n'
        f"<h1>{name(about['run'])}</h1>\n"
        f'<p class="lead">{text(note, 600)}</p>\n{notices}<dl class="facts">\n{listed}</dl>\n'
    )
