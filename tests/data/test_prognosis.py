from __future__ import annotations

from typing import Any

import pytest

from morelike.data.prognosis import RULES, Facts, prognosis

CALM: dict[str, Any] = {
    "found": 5_000,
    "rejected": 0,
    "left_out": 0,
    "kept": 5_000,
    "exact": 0,
    "near": 0,
    "effective": 30.0,
    "width": 64,
    "height": 64,
    "enlarged": 0.0,
    "larger": 0.5,
    "blurred": 0.0,
    "framed": 0.0,
    "blank": 0.0,
    "white": 0.0,
    "plain": 0.0,
    "background": "any",
    "mirrored": "alike",
    "consistency": 0.5,
    "labels": {},
    "gray": False,
    "crop": "center",
    "crop_reason": "all pictures have the target's shape",
}


def said(**changed: Any) -> list[tuple[str, str]]:
    return [(one.severity, one.text) for one in prognosis(Facts(**CALM | changed))]


def test_nothing_is_wrong_with_five_thousand_good_pictures() -> None:
    assert {severity for severity, _ in said()} == {"note", "good"}
    assert said()[0] == ("note", "Crop: all pictures have the target's shape.")


@pytest.mark.parametrize("kept", [2, 29, 30, 67, 199, 200, 1_999, 2_000, 19_999, 20_000, 10**6])
def test_there_is_exactly_one_word_about_how_many(kept: int) -> None:
    about = [text for _, text in said(kept=kept) if text.startswith(f"{kept:,} pictures")]
    assert len(about) == 1


def test_sixty_seven_pictures_are_warned_of_copying() -> None:
    (severity, text), *_ = said(kept=67, found=67)
    assert severity == "warning"
    assert "67 pictures" in text and "resemble training pictures soon" in text


@pytest.mark.parametrize(
    ("changed", "severity", "part"),
    [
        ({"kept": 100, "effective": 3.0}, "warning", "much alike"),
        ({"rejected": 3}, "note", "3 of 5,000 files cannot be used"),
        ({"exact": 300}, "warning", "300 exact copies"),
        ({"near": 4}, "note", "--dedup near"),
        ({"enlarged": 0.4}, "warning", "40% of the pictures are smaller than 64 x 64"),
        ({"larger": 1.0, "width": 32, "height": 32}, "note", "larger --size"),
        ({"blurred": 0.2}, "note", "--drop blurred"),
        ({"framed": 0.2}, "note", "--drop framed"),
        ({"blank": 0.2}, "note", "--drop blank"),
        ({"white": 0.9}, "note", "--background white"),
        ({"plain": 0.95}, "good", "plain border"),
        ({"mirrored": "different", "consistency": 0.98}, "note", "98% face the same way"),
        ({"mirrored": "cannot tell"}, "note", "cannot be told"),
        ({"labels": {"rare": 40, "common": 900}}, "warning", "rare has 40 pictures"),
        ({"labels": {"a": 10, "b": 20}}, "note", "2 classes have fewer than 30"),
        ({"gray": True}, "note", "one channel"),
    ],
)
def test_each_fault_has_its_word(changed: dict[str, Any], severity: str, part: str) -> None:
    before = {text for _, text in said()}
    new = [(s, text) for s, text in said(**changed) if text not in before]
    assert any(s == severity and part in text for s, text in new)


def test_what_was_done_already_is_not_advised_again() -> None:
    assert not any("--background" in text for _, text in said(white=0.9, background="white"))


def test_warnings_come_first_and_every_sentence_is_whole() -> None:
    everything = said(
        kept=50,
        effective=3.0,
        rejected=9,
        exact=2_000,
        near=3,
        enlarged=1.0,
        labels={"a": 1, "b": 99},
    )
    order = [severity for severity, _ in everything]
    assert order == sorted(order, key=("warning", "note", "good").index)
    for _, text in everything:
        assert text[0].isupper() or text[0].isdigit()
        assert text.endswith(".")


def test_every_rule_applies_to_something() -> None:
    worst = [
        {"kept": 20},
        {"kept": 50, "effective": 3.0, "gray": True},
        {
            "kept": 500,
            "near": 1,
            "blurred": 0.5,
            "framed": 0.5,
            "blank": 0.1,
            "mirrored": "different",
        },
        {"kept": 10**5, "rejected": 1, "exact": 5_000, "enlarged": 0.9, "mirrored": "cannot tell"},
        {"white": 0.7, "labels": {"a": 1, "b": 1000}},
        {"plain": 0.99, "larger": 1.0, "width": 32},
        {},
    ]
    unused = [
        rule.text(Facts(**CALM))
        for rule in RULES
        if not any(rule.applies(Facts(**CALM | one)) for one in worst)
    ]
    assert unused == []
