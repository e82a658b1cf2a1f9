"""How each detector did on cases planted in these very pictures, before it was believed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from morelike.diagnostics.finding import Finding, Power
from morelike.evaluate.page.words import prose
from morelike.page.text import counted, percent, text

LEAST_FOUND = 0.95
"""Of the cases that a detector must find."""
MOST_FALSE = 0.05
"""Of the cases that it must leave alone."""


def power(findings: Sequence[Finding]) -> str:
    """Tables of all trials, and which diagnostics were not tried at all."""
    tried = [finding for finding in findings if finding.power]
    if not tried:
        return ""
    cases = [case for finding in tried for case in finding.power]
    poor = sum(not _good(case) for case in cases)
    rest = [finding.topic for finding in findings if not finding.power]
    words = (
        f"{counted(len(cases), 'case')} of known truth were made from these pictures, and each "
        "detector was tried on them at the counts of this evaluation. It should find what is there "
        f"in at least {percent(LEAST_FOUND)} of the trials, and raise a false alarm in no more "
        f"than {percent(MOST_FALSE)}. "
    )
    if poor:
        words += f"<strong>{counted(poor, 'case')} did not come up to this.</strong>"
    else:
        words += "All came up to this."
    if rest:
        words += f" Not tried this way: {', '.join(text(topic) for topic in rest)}."
    groups = "".join(_group(finding) for finding in tried)
    return (
        f'<p>{words}</p>\n<table class="power">\n<thead><tr><th scope="col">What was planted</th>'
        f'<th scope="col">Should be found</th><th scope="col">Found</th></tr></thead>\n{groups}'
        "</table>\n"
    )


def _good(case: Power) -> bool:
    if not case.trials or math.isnan(case.found):
        return False
    return case.found > LEAST_FOUND - 1e-9 if case.expected else case.found < MOST_FALSE + 1e-9


def _group(finding: Finding) -> str:
    rows = "".join(_row(case) for case in finding.power)
    topic = text(finding.topic.capitalize())
    return f'<tbody><tr><th scope="rowgroup" colspan="3">{topic}</th></tr>\n{rows}</tbody>\n'


def _row(case: Power) -> str:
    good = _good(case)
    known = case.trials > 0 and math.isfinite(case.found)
    found = f"{round(case.found * case.trials):,} of {case.trials:,}" if known else "–"
    if good:
        verdict = "✓ as it should be"
    elif known:
        verdict = "✕ misses too many" if case.expected else "✕ false alarms"
    else:
        verdict = "✕ not tried"
    bound = LEAST_FOUND if case.expected else MOST_FALSE
    share = min(max(case.found, 0.0), 1.0) if known else 0.0
    bar = (
        f'<span class="track" aria-hidden="true"><span style="width:{share:.1%}"></span>'
        f'<i style="left:{bound:.0%}"></i></span>'
    )
    return (
        f'<tr class="{"good" if good else "poor"}"><th scope="row">{prose(case.case)}</th>'
        f"<td>{'yes' if case.expected else 'no'}</td>"
        f'<td class="rate">{bar}<span class="found">{found}</span> <b>{verdict}</b></td></tr>\n'
    )
