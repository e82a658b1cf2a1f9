"""The page that tells a person what was found in their pictures: one HTML file, nothing else.

It needs no network and no script, and everything that comes from outside is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from morelike.data.page.report import (
    Advice,
    Borders,
    Change,
    Counts,
    Facing,
    Fact,
    Group,
    Label,
    Originals,
    Report,
    Setting,
    Shown,
    Unreadable,
)
from morelike.data.page.sections import sections
from morelike.data.page.text import counted, name, percent, text
from morelike.data.page.thumbs import Thumbs
from morelike.version import __version__

__all__ = [
    "Advice",
    "Borders",
    "Change",
    "Counts",
    "Facing",
    "Fact",
    "Group",
    "Label",
    "Originals",
    "Report",
    "Setting",
    "Shown",
    "Unreadable",
    "page",
]

SEVERITIES = {"warning": "Warning", "note": "Note", "good": "Good"}


def page(report: Report) -> str:
    """The whole page as HTML, to be written as UTF-8; about 6 MB at most.

    It holds at most some 2,400 pictures, chosen from what the report has: evenly over the kept
    and the left out, the first ones elsewhere.
    """
    thumbs = Thumbs()
    parts = sections(report, thumbs)
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
<title>{text(report.source)} – morelike</title>
<style>
{_resource("page.css")}</style>
</head>
<body>
<header>
{_head(report)}</header>
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


def _head(report: Report) -> str:
    counts = report.counts
    parts = [
        ("kept", "kept", counts.kept),
        ("left-out", "left out", counts.left_out),
        ("unreadable", "cannot be read", counts.unreadable),
    ]
    parts = [part for part in parts if part[2]]
    bar = "".join(f'<span class="{kind}" style="flex-grow:{n}"></span>' for kind, _, n in parts)
    legend = "".join(
        f'<li class="{kind}"><b>{n:,}</b> {words} <small>{percent(n / counts.found)}</small></li>'
        for kind, words, n in parts
    )
    found = f"{counted(counts.found, 'file')} found, {counts.usable:,} can be used."
    facts = "".join(
        f"<div><dt>{text(fact.name)}</dt><dd>{text(fact.value)}{_why(fact.why)}</dd></div>\n"
        for fact in report.facts
    )
    order = list(SEVERITIES)
    advice = "".join(
        f'<li class="{one.severity}"><b class="severity">{SEVERITIES[one.severity]}</b> '
        f"<p>{text(one.text, 600)}{_why(one.why)}</p></li>\n"
        for one in sorted(report.advice, key=lambda one: order.index(one.severity))
    )
    return (
        '<p class="kicker">morelike · what is in your pictures</p>\n'
        + f"<h1>{name(report.source)}</h1>\n"
        + (f'<p class="lead">{text(report.lead, 600)}</p>\n' if report.lead else "")
        + f'<p class="found">{found}</p>\n'
        + f'<div class="share" aria-hidden="true">{bar}</div>\n<ul class="legend">{legend}</ul>\n'
        + (f'<dl class="facts">\n{facts}</dl>\n' if facts else "")
        + (f'<h2>Advice</h2>\n<ul class="advice">\n{advice}</ul>\n' if advice else "")
    )


def _why(reason: str) -> str:
    return f' <span class="why">{text(reason, 600)}</span>' if reason else ""


def _count(count: int | None) -> str:
    return "" if count is None else f' <span class="count">{count:,}</span>'


def _resource(file: str) -> str:
    return resources.files(__name__).joinpath(file).read_text("utf-8")
