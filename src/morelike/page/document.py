"""The frame of a page: head, list of sections, and what it may load, which is nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from morelike.page.text import text
from morelike.page.thumbs import Thumbs
from morelike.version import __version__


@dataclass(frozen=True)
class Part:
    """One section of a page, as HTML."""

    anchor: str
    title: str
    count: int | None
    body: str


def document(title: str, head: str, parts: Sequence[Part], thumbs: Thumbs, style: str = "") -> str:
    """A whole page as HTML, to be written as UTF-8.

    Args:
        title: what the window is called, as plain text.
        head: what stands above the sections, as HTML.
        parts: the sections, in their order.
        thumbs: the pictures that `head` and `parts` show; all must have been placed by now.
        style: CSS of this page, after the common one; it must load nothing.
    """
    script = _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    links = "".join(
        f'<li><a href="#{part.anchor}">{part.title}{_count(part.count)}</a></li>\n'
        for part in parts
    )
    contents = f'<nav aria-label="Contents"><ul>\n{links}</ul></nav>\n' if links else ""
    main = "".join(
        f'<section id="{part.anchor}"><h2>{part.title}{_count(part.count)}</h2>\n'
        f"{part.body}</section>\n"
        for part in parts
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{text(title)} – morelike</title>
<style>
{_resource("page.css")}{style}</style>
</head>
<body>
<header>
{head}</header>
<div class="columns">
{contents}<main>
{main}</main>
</div>
<footer><p>Made by morelike {text(__version__)}. This page is one file and loads nothing from
anywhere.</p></footer>
{thumbs.symbols()}<script>{script}</script>
</body>
</html>
"""


def _count(count: int | None) -> str:
    return "" if count is None else f' <span class="count">{count:,}</span>'


def _resource(file: str) -> str:
    return resources.files(__name__.rpartition(".")[0]).joinpath(file).read_text("utf-8")
