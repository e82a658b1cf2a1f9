"""The verdict on a run or a folder of pictures: gather evidence, ask, write down what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from morelike import files
from morelike.diagnostics.collapse import collapse_finding
from morelike.diagnostics.copies import Copies
from morelike.diagnostics.copying import copying_finding
from morelike.diagnostics.coverage import coverage_finding
from morelike.diagnostics.evidence import Evidence, Pictures
from morelike.diagnostics.finding import Finding
from morelike.diagnostics.learning import FEWEST, is_of_another_kind, learning_finding
from morelike.diagnostics.matching import Matcher
from morelike.errors import UserError
from morelike.evaluate.history import measured, moments, near_curve
from morelike.evaluate.measures import measures_finding
from morelike.evaluate.networks import network_findings
from morelike.evaluate.page import page
from morelike.evaluate.subject import Subject
from morelike.evaluate.verdict import Verdict
from morelike.features import Extractor, features_of
from morelike.rng import rng
from morelike.version import __version__

MOST_TRAIN = 4_000
"""Training pictures whose features are looked at; copies are looked for among all."""
MOST_HELD = 2_000
WORDS = ("DIVERGED", "COLLAPSED", "COPYING", "LEARNING", "STALLED")
Say = Callable[[str], None]


def evaluate(subject: Subject, look: Extractor, say: Say = lambda text: None) -> Verdict:
    """Ask every diagnostic about a subject.

    Args:
        subject: from `from_run` or `from_folders`.
        look: the extractor of features.
        say: told what is being done now.

    Raises:
        UserError: if the sets cannot be compared.
    """
    began = time.perf_counter()
    say("looking at the pictures")
    evidence, labels = _evidence(subject, look)
    if len(evidence.held_out) >= FEWEST and is_of_another_kind(evidence):
        raise UserError(
            "the held-out pictures are of another kind than the training pictures: chance never "
            "makes two parts of one set differ so much; give held-out pictures of the same source."
        )
    findings = [*_of_pictures(subject, evidence, look, say)]
    findings += network_findings(subject, evidence, say)
    say("measuring")
    findings.append(measures_finding(evidence, labels, subject.asked))
    found = words(findings)
    return Verdict(
        subject.name,
        found,
        # What is not in the verdict is not to be acted upon: nobody goes on with a run that copies.
        tuple(replace(f, remedy="") if _is_dropped(f, found) else f for f in findings),
        look.name,
        {
            "train": len(subject.train),
            "held_out": len(subject.held_out),
            "samples": len(subject.samples),
        },
        subject.checkpoint,
        subject.notices,
        time.perf_counter() - began,
        __version__,
    )


def write(verdict: Verdict, folder: Path) -> tuple[Path, Path]:
    """Write verdict.json and verdict.html into `folder`.

    Raises:
        OSError: as the file system does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts, shown = folder / "verdict.json", folder / "verdict.html"
    files.write_json(facts, verdict.as_dict())
    files.write_text(shown, page(verdict))
    return facts, shown


def words(findings: Sequence[Finding]) -> tuple[str, ...]:
    """What all findings come to.

    Faults come first. A run that copies is not said to be learning: it learns to copy. UNKNOWN
    stands where nothing else does, and where copying cannot be told.
    """
    found = {finding.word for finding in findings}
    if "COPYING" in found:
        found -= {"LEARNING"}
    chosen = [word for word in WORDS if word in found]
    if any(f.topic == "copying" and f.state == "unknown" for f in findings) or not chosen:
        chosen.append("UNKNOWN")
    return tuple(chosen)


def _is_dropped(finding: Finding, chosen: Sequence[str]) -> bool:
    return finding.word == "LEARNING" and finding.word not in chosen


def _evidence(subject: Subject, look: Extractor) -> tuple[Evidence, list[str | None]]:
    """Features of all sets, large ones thinned, and the labels of what is left of the training
    pictures.
    """
    kept = _thinned(len(subject.train), MOST_TRAIN)
    held = _thinned(len(subject.held_out), MOST_HELD)
    parts = (subject.train[kept], subject.held_out[held], subject.samples)
    train, held_out, samples = (Pictures(x, features_of(look, x)) for x in parts)
    evidence = Evidence(train, held_out, samples, look.name)
    labels = [subject.train_labels[i] if subject.train_labels else None for i in kept]
    return evidence, labels


def _thinned(count: int, most: int) -> np.ndarray:
    return np.sort(rng(0, "evidence").permutation(count)[:most])


def _of_pictures(subject: Subject, evidence: Evidence, look: Extractor, say: Say) -> list[Finding]:
    say("learning from real pictures what a copy is")
    copies, too_few = None, ""
    try:
        copies = Copies.fitted(subject.train, subject.held_out)
    except UserError as error:
        too_few = str(error)
    matcher = copies.matcher if copies else Matcher.fitted(subject.train)
    history = measured(subject, evidence, copies, look, say)
    say("looking for copies")
    if copies is None:
        copying = Finding("copying", "unknown", too_few, word="UNKNOWN")
    else:
        whole = replace(evidence, train=Pictures(subject.train, evidence.train.features))
        copying = copying_finding(whole, copies, copies.judge(subject.samples))
        copying = replace(copying, curves=near_curve(history, copies))
    say("looking for collapse")
    past = moments(subject, look.name, history)
    return [
        learning_finding(evidence, past),
        collapse_finding(evidence, matcher),
        coverage_finding(evidence),
        copying,
    ]
