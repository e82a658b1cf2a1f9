"""The card at the head of the page: the words, what they rest on, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from morelike.diagnostics.finding import Finding
from morelike.evaluate.page.panels import glance
from morelike.evaluate.page.strips import example
from morelike.evaluate.page.words import kind, prose, shape
from morelike.evaluate.verdict import Verdict
from morelike.page.text import name, text
from morelike.page.thumbs import Thumbs

COUNTS = {"train": "trained on", "held_out": "held out", "samples": "generated"}

Anchored = Sequence[tuple[str, Finding]]


def card(verdict: Verdict, findings: Anchored, thumbs: Thumbs) -> str:
    """The head of the page; `findings` come with the anchors of their sections."""
    cards = "".join(_word(word, findings, thumbs) for word in verdict.words)
    notices = "".join(f"<li>{prose(notice)}</li>\n" for notice in verdict.notices)
    if notices:
        notices = f'<h2>Bear in mind</h2>\n<ul class="notices">\n{notices}</ul>\n'
    return (
        '<p class="kicker">morelike · verdict</p>\n'
        f"<h1>{name(verdict.subject)}</h1>\n"
        + (f'<ul class="verdict">\n{cards}</ul>\n' if cards else "<p>There is no verdict.</p>\n")
        + f'<dl class="facts">\n{_facts(verdict)}</dl>\n'
        + notices
        + (_key() if any(finding.figures for _, finding in findings) else "")
    )


def _word(word: str, findings: Anchored, thumbs: Thumbs) -> str:
    own = [(anchor, finding) for anchor, finding in findings if finding.word == word]
    if not own and word == "UNKNOWN":
        own = [(anchor, finding) for anchor, finding in findings if finding.state == "unknown"]
    body = ""
    for anchor, finding in own:
        remedy = f'<p class="remedy"><b>What to do</b> {prose(finding.remedy)}</p>\n'
        body += (
            f'<p class="sentence">{prose(finding.sentence)}</p>\n'
            + glance(finding.panels, thumbs)
            + (remedy if finding.remedy else "")
            + f'<p class="more"><a href="#{anchor}">{text(finding.topic.capitalize())}: '
            "the figures</a></p>\n"
        )
    return f'<li class="{kind(word)}"><h2>{shape(word)}{text(word)}</h2>\n{body}</li>\n'


def _facts(verdict: Verdict) -> str:
    pictures = [
        f"<b>{count:,}</b> {COUNTS.get(key) or text(key.replace('_', ' '))}"
        for key, count in verdict.counts.items()
    ]
    facts = [("Pictures", ", ".join(pictures))] if pictures else []
    if verdict.checkpoint:
        facts.append(("Checkpoint", f"<b>{text(verdict.checkpoint)}</b>"))
    facts.append(("Features", f"<b>{text(verdict.extractor)}</b>"))
    unknown = sum(finding.state == "unknown" for finding in verdict.findings)
    others = f", of which {unknown:,} cannot tell" if unknown else ""
    facts.append(("Diagnostics", f"<b>{len(verdict.findings):,}</b>{others}"))
    return "".join(f"<div><dt>{term}</dt><dd>{value}</dd></div>\n" for term, value in facts)


def _key() -> str:
    return (
        f'<p class="key">{example()}<span>The shaded band is what real pictures of this very set '
        "give in 95 of 100 cases; the dot is what was measured; the line through it, where the "
        "truth may lie.</span></p>\n"
    )
