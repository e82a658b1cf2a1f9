"""The page that tells a person what was found in their pictures: one HTML file, nothing else."""

from __future__ import annotations

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
from morelike.page import document
from morelike.page.text import counted, name, percent, text
from morelike.page.thumbs import Thumbs

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
    style = resources.files(__name__).joinpath("page.css").read_text("utf-8")
    return document(report.source, _head(report), parts, thumbs, style)


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
