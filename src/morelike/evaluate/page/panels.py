"""Pictures that show a finding: small tables, in which what stands in one row belongs together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from morelike.diagnostics.finding import Panel
from morelike.page.text import counted, text
from morelike.page.thumbs import Thumbs

MOST_ROWS = 16
ROWS = 4
"""In one table, so that several stand side by side where there is room."""
GLANCE = 6
"""Pictures shown beside a word of the verdict."""


def panels(found: Sequence[Panel], thumbs: Thumbs) -> str:
    """All panels of a finding that have pictures."""
    return "".join(_panel(panel, thumbs) for panel in found if _rows(panel))


def glance(found: Sequence[Panel], thumbs: Thumbs) -> str:
    """The first rows of the first panel, small; empty if there is none."""
    panel = next((panel for panel in found if _rows(panel)), None)
    if panel is None:
        return ""
    groups = ""
    for row in range(min(_rows(panel), max(1, GLANCE // len(panel.columns)))):
        pictures = "".join(
            thumbs.place(pictures[row], _alt(panel, column, row))
            for column, pictures in enumerate(panel.pictures)
        )
        groups += f'<span class="row">{pictures}</span>'
    names = " · ".join(text(column) for column in panel.columns)
    return (
        f'<figure class="glance"><div>{groups}</div>'
        f"<figcaption>{text(panel.title)}: {names}</figcaption></figure>\n"
    )


def _rows(panel: Panel) -> int:
    return len(panel.pictures[0]) if panel.pictures else 0


def _panel(panel: Panel, thumbs: Thumbs) -> str:
    count = _rows(panel)
    shown = min(count, MOST_ROWS)
    tables = math.ceil(shown / ROWS)
    size = math.ceil(shown / tables)
    parts = "".join(
        _table(panel, range(first, min(first + size, shown)), thumbs)
        for first in range(0, shown, size)
    )
    more = f"<p>The first {shown} of {counted(count, 'row')}.</p>\n" if shown < count else ""
    return f'<h3>{text(panel.title)}</h3>\n{more}<div class="panels">\n{parts}</div>\n'


def _table(panel: Panel, rows: range, thumbs: Thumbs) -> str:
    heads = "".join(f'<th scope="col">{text(column)}</th>' for column in panel.columns)
    body = ""
    for row in rows:
        cells = "".join(
            f"<td>{thumbs.place(pictures[row], _alt(panel, column, row))}</td>"
            for column, pictures in enumerate(panel.pictures)
        )
        body += f"<tr>{cells}</tr>\n"
        if panel.captions:
            body += (
                f'<tr class="caption"><td colspan="{len(panel.columns)}">'
                f"{text(panel.captions[row])}</td></tr>\n"
            )
    return (
        f'<table class="pictures" style="--columns:{len(panel.columns)}" '
        f'aria-label="{text(panel.title)}, rows {rows.start + 1} to {rows.stop}">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table>\n"
    )


def _alt(panel: Panel, column: int, row: int) -> str:
    words = f"{text(panel.columns[column])}, row {row + 1}"
    return f"{words}, {text(panel.captions[row])}" if panel.captions else words
