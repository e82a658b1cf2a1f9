"""The verdict as JSON: everything but the pixels, and no number that JSON does not have."""

from __future__ import annotations

import json
import math

import numpy as np

from morelike.diagnostics.finding import Curve, Figure, Finding, Panel, Power
from morelike.evaluate.verdict import Verdict

NAN, INF = math.nan, math.inf


def verdict(*findings: Finding, seconds: float = 2.5) -> Verdict:
    return Verdict(
        "00001-roses",
        ("LEARNING", "COPYING"),
        findings,
        "random",
        {"train": 58, "held_out": 9, "samples": 256},
        "40,000 pictures",
        ("Few are held out.",),
        seconds,
        "1.2",
    )


def test_everything_but_the_pixels_comes_back_from_json() -> None:
    finding = Finding(
        "copying",
        "yes",
        "It copies.",
        "Set augment.policy.",
        "COPYING",
        (Figure("copies", 17.0, 11.0, 26.0, (0.0, 3.0), "of 256"), Figure("bare", 0.5)),
        (Curve("copies", (0, 8), (0.0, 0.25), (0.0, 0.125), 8),),
        (Panel("Nearest", ("a", "b"), (np.zeros((1, 2, 2, 3), np.uint8),) * 2, ("seed 1",)),),
        (Power("planted", 0.75, 40, True),),
    )
    found = verdict(finding).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == {
        "subject": "00001-roses",
        "words": ["LEARNING", "COPYING"],
        "findings": [
            {
                "topic": "copying",
                "state": "yes",
                "word": "COPYING",
                "sentence": "It copies.",
                "remedy": "Set augment.policy.",
                "figures": [
                    {
                        "name": "copies",
                        "value": 17.0,
                        "low": 11.0,
                        "high": 26.0,
                        "null": [0.0, 3.0],
                        "note": "of 256",
                    },
                    {
                        "name": "bare",
                        "value": 0.5,
                        "low": None,
                        "high": None,
                        "null": None,
                        "note": "",
                    },
                ],
                "curves": [
                    {
                        "name": "copies",
                        "images": [0, 8],
                        "values": [0.0, 0.25],
                        "null": [0.0, 0.125],
                        "onset": 8,
                        "note": "",
                    }
                ],
                "panels": [{"title": "Nearest", "columns": ["a", "b"], "captions": ["seed 1"]}],
                "power": [
                    {"case": "planted", "found": 0.75, "trials": 40, "expected": True, "note": ""}
                ],
            }
        ],
        "extractor": "random",
        "counts": {"train": 58, "held_out": 9, "samples": 256},
        "checkpoint": "40,000 pictures",
        "notices": ["Few are held out."],
        "seconds": 2.5,
        "version": "1.2",
    }


def test_what_is_not_finite_is_null_and_said() -> None:
    finding = Finding(
        "health",
        "unknown",
        "",
        figures=(
            Figure("a", NAN, -INF, INF, None, "of 3"),
            Figure("b", 1.0, null=(-INF, 3.0)),
            Figure("c", 1.0, null=(2.0, INF)),
        ),
        curves=(Curve("d", (0, 5_000), (1.0, NAN), (0.0, INF)),),
        power=(Power("e", NAN, 0, True),),
    )
    found = verdict(finding, seconds=INF).as_dict()
    json.dumps(found, allow_nan=False)
    (one,) = found["findings"]
    assert [figure["value"] for figure in one["figures"]] == [None, 1.0, 1.0]
    assert [figure["note"] for figure in one["figures"]] == [
        "of 3; value is not a number; low is infinite; high is infinite",
        "null has no lower end",
        "null has no upper end",
    ]
    assert [figure["null"] for figure in one["figures"]] == [None, [None, 3.0], [2.0, None]]
    (curve,) = one["curves"]
    assert curve["values"] == [1.0, None]
    assert curve["note"] == "value at 5,000 images is not a number; null has no upper end"
    assert one["power"][0]["found"] is None
    assert one["power"][0]["note"] == "found is not a number"
    assert found["seconds"] is None


def test_numbers_of_numpy_become_those_of_json() -> None:
    single, whole = np.float32(0.5), np.int64(7)
    finding = Finding(
        "a",
        "no",
        "",
        figures=(Figure("a", single, single, single, (single, single)),),  # type: ignore[arg-type]
        curves=(Curve("b", (whole,), (single,), None, whole),),  # type: ignore[arg-type]
        power=(Power("c", single, whole, np.bool_(True)),),  # type: ignore[arg-type]
    )
    found = verdict(finding).as_dict()
    assert json.loads(json.dumps(found)) == found


def test_nothing_found_is_a_verdict_too() -> None:
    found = Verdict("x", (), (), "", {}, "", (), 0.0, "").as_dict()
    assert found["words"] == found["findings"] == found["notices"] == []
    json.dumps(found, allow_nan=False)
