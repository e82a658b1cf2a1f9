"""The page that tells a person the verdict: one HTML file, nothing else."""

from __future__ import annotations

from importlib import resources

from morelike.diagnostics.finding import Finding
from morelike.evaluate.page.card import card
from morelike.evaluate.page.curves import curves
from morelike.evaluate.page.panels import panels
from morelike.evaluate.page.power import power
from morelike.evaluate.page.strips import figures
from morelike.evaluate.page.words import kind, prose
from morelike.evaluate.verdict import Verdict
from morelike.page import Part, document
from morelike.page.text import name, text
from morelike.page.thumbs import Thumbs

__all__ = ["page"]

STATES = {"yes": "yes", "no": "no", "unknown": "cannot tell"}


def page(verdict: Verdict) -> str:
    """The whole page as HTML, to be written as UTF-8; some 5 MB at most."""
    thumbs = Thumbs()
    anchored = [(f"finding-{n}", finding) for n, finding in enumerate(verdict.findings, 1)]
    head = card(verdict, anchored, thumbs)
    parts = [_part(anchor, finding, thumbs) for anchor, finding in anchored]
    trust = power(verdict.findings)
    if trust:
        parts.append(Part("trust", "How far these answers can be trusted", None, trust))
    parts.append(Part("details", "Details", None, _details(verdict)))
    style = resources.files(__name__).joinpath("verdict.css").read_text("utf-8")
    title = f"{', '.join(verdict.words) or 'No verdict'}: {verdict.subject}"
    return document(title, head, parts, thumbs, style)


def _part(anchor: str, finding: Finding, thumbs: Thumbs) -> Part:
    tone = kind(finding.word) or finding.state
    title = text(finding.topic.capitalize())
    if finding.state in STATES:
        title += f' <span class="state {tone}">{STATES[finding.state]}</span>'
    remedy = f'<p class="remedy"><b>What to do</b> {prose(finding.remedy)}</p>\n'
    body = (
        f'<div class="finding {tone}"><p class="sentence">{prose(finding.sentence)}</p>\n'
        + (remedy if finding.remedy else "")
        + figures(finding.figures)
        + curves(finding.curves)
        + panels(finding.panels, thumbs)
        + "</div>\n"
    )
    return Part(anchor, title, None, body)


def _details(verdict: Verdict) -> str:
    rows = [("subject", name(verdict.subject)), ("checkpoint", text(verdict.checkpoint))]
    rows.append(("features", text(verdict.extractor)))
    rows += [
        (text(key.replace("_", " ")), f"{count:,} pictures")
        for key, count in verdict.counts.items()
    ]
    rows += [("time taken", _seconds(verdict.seconds)), ("morelike", text(verdict.version))]
    body = "".join(
        f'<tr><th scope="row">{term}</th><td>{value}</td></tr>\n' for term, value in rows if value
    )
    return f'<table class="small">\n<tbody>\n{body}</tbody></table>\n'


def _seconds(seconds: float) -> str:
    if not 0 <= seconds < 1e9:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"
