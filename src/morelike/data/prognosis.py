"""What to expect of a training on these pictures, and what to do about it, before it begins.

One table of rules over a few facts. Each rule says when it applies, how serious it is, and what a
person should know: the advice, and the figure that it rests on. Figures of earlier trainings are
from docs/lab-notes.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from morelike.data.page.report import Advice, Severity

ALIKE = 8.0
"""A Vendi score below which pictures are called much alike. Of 16x16 pictures, every real set seen
so far has 24 or more (67 roses 25, bicycles 26, CIFAR-10 32, dogs 42), drawn bicycles 16, ten
roses twenty times over 5.5."""


class Facts(NamedTuple):
    """What the rules look at; counts are of pictures."""

    found: int
    """Files in the source."""
    rejected: int
    """That cannot be used."""
    left_out: int
    """By the rules, or by hand."""
    kept: int
    exact: int
    """Exact copies found, each beyond the first."""
    near: int | None
    """Near copies found, each beyond the first, that are still kept; None if not looked for."""
    effective: float | None
    """How many wholly different pictures would be as varied as the kept ones (the Vendi score of at
    most 500 of them); None if not measured."""
    width: int
    height: int
    enlarged: float
    """Share of the kept pictures that are smaller than the target."""
    larger: float
    """Share of the kept pictures that have at least twice the target's pixels on a side."""
    blurred: float
    framed: float
    blank: float
    """Shares of the kept pictures."""
    white: float
    plain: float
    """Shares of the kept pictures with a white border, and with one of any single colour."""
    background: str
    """What was asked for: any, plain or white."""
    mirrored: Literal["different", "alike", "cannot tell", "not measured"]
    """How the pictures compare with their mirror images."""
    consistency: float
    """Share of them that face as most do."""
    labels: Mapping[str, int]
    """Pictures of each class."""
    gray: bool
    crop: str
    crop_reason: str


class Rule(NamedTuple):
    """When it applies, how serious it is, what it says."""

    applies: Callable[[Facts], bool]
    severity: Severity
    text: Callable[[Facts], str]


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _rarest(facts: Facts) -> str:
    return min(facts.labels, key=lambda label: (facts.labels[label], label))


RULES: tuple[Rule, ...] = (
    # How many: decides more than anything else.
    Rule(
        lambda f: f.kept < 30,
        "warning",
        lambda f: (
            f"{f.kept} pictures are very few: a network can only learn them by heart. "
            "Collect a hundred, or cut larger pictures into patches (--patches)."
        ),
    ),
    Rule(
        lambda f: 30 <= f.kept < 200,
        "warning",
        lambda f: (
            f"{f.kept} pictures: keep the augmentation on (training does, where you name no "
            "recipe), and train for ten minutes before an hour. Expect samples that "
            "resemble training pictures soon, and look for that."
        ),
    ),
    Rule(
        lambda f: 200 <= f.kept < 2_000,
        "note",
        lambda f: (
            f"{f.kept:,} pictures: augmentation (on where you name no recipe) still decides much. "
            "Watch the panels of real beside generated pictures for copies."
        ),
    ),
    Rule(
        lambda f: 2_000 <= f.kept < 20_000,
        "good",
        lambda f: (
            f"{f.kept:,} pictures are enough for a first generator without fear of copies; "
            "give it an hour on a GPU or a night on two cores."
        ),
    ),
    Rule(
        lambda f: f.kept >= 20_000,
        "good",
        lambda f: (
            f"{f.kept:,} pictures: copying is no danger here, time is. Training leaves "
            "augmentation out for so many; with a recipe of yours, --set augment.policy=[] does."
        ),
    ),
    Rule(
        lambda f: f.kept >= 30 and f.effective is not None and f.effective < ALIKE,
        "warning",
        lambda f: (
            f"The pictures are much alike: they vary as much as {f.effective:.0f} wholly different "
            "ones would, where sets of photographs reach 25 and more. So will the generator."
        ),
    ),
    # What is wrong with them.
    Rule(
        lambda f: f.rejected > 0,
        "note",
        lambda f: (
            f"{f.rejected} of {f.found:,} files cannot be used; they are named with their reasons."
        ),
    ),
    Rule(
        lambda f: f.exact > 0.05 * f.found,
        "warning",
        lambda f: (
            f"{f.exact} exact copies: a picture that is there several times is learnt first, "
            "and by heart. --dedup exact (the default) leaves them out."
        ),
    ),
    Rule(
        lambda f: bool(f.near),
        "note",
        lambda f: (
            f"{f.near} near copies are kept (resized, recompressed, mirrored or cropped); "
            "--dedup near leaves them out."
        ),
    ),
    Rule(
        lambda f: f.enlarged > 0.1,
        "warning",
        lambda f: (
            f"{_percent(f.enlarged)} of the pictures are smaller than {f.width} x {f.height} "
            "and were enlarged: the generator will learn their blur. Choose a smaller --size, or "
            "leave them out with --drop enlarged."
        ),
    ),
    Rule(
        lambda f: f.larger > 0.9 and min(f.width, f.height) < 64,
        "note",
        lambda f: (
            f"Nearly all pictures are more than twice as large as {f.width} x {f.height}; a "
            "larger --size is possible."
        ),
    ),
    Rule(
        lambda f: f.blurred > 0.05,
        "note",
        lambda f: (
            f"{_percent(f.blurred)} look blurred at this size; --drop blurred leaves them out."
        ),
    ),
    Rule(
        lambda f: f.framed > 0.02,
        "note",
        lambda f: (
            f"{_percent(f.framed)} have a frame or bars, which a generator learns faithfully; "
            "--drop framed leaves them out."
        ),
    ),
    Rule(
        lambda f: f.blank > 0,
        "note",
        lambda f: f"{_percent(f.blank)} are nearly blank; --drop blank leaves them out.",
    ),
    # Background and shape.
    Rule(
        lambda f: f.background == "any" and 0.5 < f.white < 0.98,
        "note",
        lambda f: (
            f"{_percent(f.white)} stand on white and the others do not: two kinds of picture "
            "are harder than one. --background white keeps the one kind."
        ),
    ),
    Rule(
        lambda f: f.background == "any" and f.plain > 0.9,
        "good",
        lambda f: f"{_percent(f.plain)} have a plain border: the networks need not learn scenes.",
    ),
    Rule(lambda f: True, "note", lambda f: f"Crop: {f.crop_reason}."),
    # Which way they face.
    Rule(
        lambda f: f.mirrored == "different",
        "note",
        lambda f: (
            f"{_percent(f.consistency)} face the same way, so training will not mirror them. "
            "--face right turns the others round."
        ),
    ),
    Rule(
        lambda f: f.mirrored == "alike",
        "good",
        lambda f: (
            "The pictures look the same mirrored, so training mirrors half of them, which is "
            "as good as twice as many."
        ),
    ),
    Rule(
        lambda f: f.mirrored == "cannot tell",
        "note",
        lambda f: (
            "Whether they may be mirrored cannot be told from these pictures; if they may, add "
            "--set data.mirror=true when you train."
        ),
    ),
    # Labels.
    Rule(
        lambda f: len(f.labels) > 1 and max(f.labels.values()) > 10 * min(f.labels.values()),
        "warning",
        lambda f: (
            f"The classes are unequal: {_rarest(f)} has {f.labels[_rarest(f)]} pictures, the "
            f"commonest {max(f.labels.values()):,}. What is rare is learnt badly."
        ),
    ),
    Rule(
        lambda f: len(f.labels) > 1 and min(f.labels.values()) < 30,
        "note",
        lambda f: (
            f"{sum(count < 30 for count in f.labels.values())} classes have fewer than 30 "
            "pictures, too few to learn one by one."
        ),
    ),
    Rule(
        lambda f: f.gray,
        "note",
        lambda f: (
            "Every picture is gray, so one channel is enough and training is a little faster."
        ),
    ),
)


def prognosis(facts: Facts) -> list[Advice]:
    """What applies to these facts, the serious first, in the order of the table."""
    found = [Advice(rule.severity, rule.text(facts)) for rule in RULES if rule.applies(facts)]
    order = ("warning", "note", "good")
    return sorted(found, key=lambda advice: order.index(advice.severity))
