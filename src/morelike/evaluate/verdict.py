"""The verdict: words, the findings they rest on, and what was measured with what."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from morelike.diagnostics.finding import Curve, Figure, Finding, Panel, Power


@dataclass(frozen=True)
class Verdict:
    """What an evaluation found. The words are decided by whoever makes it."""

    subject: str
    """The run's or the folder's name."""
    words: tuple[str, ...]
    """LEARNING, STALLED, COLLAPSED, COPYING, DIVERGED, UNKNOWN; several where several are true."""
    findings: tuple[Finding, ...]
    """What every diagnostic said, in the order of the page."""
    extractor: str
    """The name of what turned pictures into features."""
    counts: dict[str, int]
    """How many pictures it rests on: train, held_out, samples."""
    checkpoint: str
    """Which state of the run was looked at; empty for a folder of pictures."""
    notices: tuple[str, ...]
    """What a reader must know beside the findings, one sentence each."""
    seconds: float
    """How long the evaluation took."""
    version: str
    """Of morelike."""

    def as_dict(self) -> dict[str, Any]:
        """All but the pixels, in types that JSON has.

        A number that is not finite becomes None, and a note beside it says what it was.
        """
        counts = {key: int(count) for key, count in self.counts.items()}
        return {
            "subject": self.subject,
            "words": list(self.words),
            "findings": [_finding(finding) for finding in self.findings],
            "extractor": self.extractor,
            "counts": counts,
            "checkpoint": self.checkpoint,
            "notices": list(self.notices),
            "seconds": _number(self.seconds),
            "version": self.version,
        }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "topic": finding.topic,
        "state": finding.state,
        "word": finding.word,
        "sentence": finding.sentence,
        "remedy": finding.remedy,
        "figures": [_figure(figure) for figure in finding.figures],
        "curves": [_curve(curve) for curve in finding.curves],
        "panels": [_panel(panel) for panel in finding.panels],
        "power": [_power(power) for power in finding.power],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    lost = _lost((("value", figure.value), ("low", figure.low), ("high", figure.high)))
    return {
        "name": figure.name,
        "value": _number(figure.value),
        "low": _number(figure.low),
        "high": _number(figure.high),
        "null": _range(figure.null),
        "note": _joined(figure.note, *lost, *_open(figure.null)),
    }


def _curve(curve: Curve) -> dict[str, Any]:
    points = zip(curve.images, curve.values, strict=True)
    lost = _lost((f"value at {images:,} images", value) for images, value in points)
    return {
        "name": curve.name,
        "images": [int(images) for images in curve.images],
        "values": [_number(value) for value in curve.values],
        "null": _range(curve.null),
        "onset": None if curve.onset is None else int(curve.onset),
        "note": _joined(*lost, *_open(curve.null)),
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "columns": list(panel.columns),
        "captions": list(panel.captions),
    }


def _power(power: Power) -> dict[str, Any]:
    return {
        "case": power.case,
        "found": _number(power.found),
        "trials": int(power.trials),
        "expected": bool(power.expected),
        "note": _joined(*_lost([("found", power.found)])),
    }


def _number(value: float | None) -> float | None:
    """Also of NumPy's types, which JSON does not know."""
    return None if value is None or not math.isfinite(value) else float(value)


def _range(ends: tuple[float, float] | None) -> list[float | None] | None:
    return None if ends is None else [_number(end) for end in ends]


def _lost(named: Iterable[tuple[str, float | None]]) -> list[str]:
    return [
        f"{name} is {'not a number' if math.isnan(value) else 'infinite'}"
        for name, value in named
        if value is not None and not math.isfinite(value)
    ]


def _open(null: tuple[float, float] | None) -> list[str]:
    """What is said of a null that is open to one side, which is no fault."""
    sides = zip(("lower", "upper"), null or (), strict=False)
    return [f"null has no {side} end" for side, end in sides if not math.isfinite(end)]


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
