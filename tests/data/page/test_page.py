"""The whole page: complete, in order, well formed, safe, and never larger than it may be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from html import unescape
from itertools import pairwise
from typing import Any, overload

import numpy as np
import pytest

from morelike.data.page import (
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
    page,
)
from outline import HOSTILE, Outline, assert_safe, colours, contrast, style


def pixels(number: int, height: int = 16, width: int = 16, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    wave = np.stack([x * 9 + number, y * 7 + number * 3, x * y + number, x + 128], -1)
    return (wave % 256).astype(np.uint8)[..., :channels]


def shown(number: int, *more: str) -> Shown:
    return Shown(f"folder/{number:04d}.jpg", pixels(number), *more)  # type: ignore[arg-type]


def pictures(*numbers: int) -> list[Shown]:
    return [shown(number) for number in numbers]


class Numbered(Sequence[Shown]):
    """As many pictures as wanted, made when asked for; remembers which were."""

    def __init__(self, count: int) -> None:
        self.length, self.asked = count, list[int]()

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> Shown: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Shown]: ...
    def __getitem__(self, index: int | slice) -> Shown | Sequence[Shown]:
        assert isinstance(index, int)
        self.asked.append(index)
        return shown(index)


def complete() -> Report:
    """A report in which nothing is empty."""
    return Report(
        source="bicycles",
        counts=Counts(6, 3, 2),
        lead="Nothing was changed.",
        facts=[Fact("Size", "64 × 64 px", "As asked for.")],
        advice=[
            Advice("good", "Sharp pictures.", "None is blurred."),
            Advice("note", "Leave mirroring off.", "They face right."),
            Advice("warning", "Expect copying soon.", "6 pictures are few."),
        ],
        kept=pictures(0, 1, 2, 3, 4, 5),
        left_out=[
            Group("Near copies", [shown(6, "0.93")]),
            Group("Blurred", [shown(7, "0.1"), shown(8, "0.2")], text="Lower is more blurred."),
        ],
        copies=[
            Group("Mirrored", [shown(0, "", "kept"), shown(6, "0.93", "left out")], text="Hm.")
        ],
        unreadable=[Unreadable("a.jpg", "the file is empty"), Unreadable("b.jpg", "not a picture")],
        flagged=[Group("Unlike the others", pictures(5), text="Ranked.")],
        modes=[Group("Kind 1", pictures(0, 1), 4, "Side views."), Group("Kind 2", pictures(2), 2)],
        facing=Facing(
            0.97, "Very sure.", Group("As most", pictures(0)), Group("The other way", pictures(1))
        ),
        originals=Originals(np.array([[400, 225], [300, 300]]), (64, 64)),
        borders=Borders(np.ones(2), np.ones(2), np.full((2, 3), 250, np.uint8), "2 are white."),
        labels=[Label("road", 4), Label("mountain", 2)],
        change=Change(["Open decisions.csv."], ["morelike prepare bicycles --decisions d.csv"]),
        settings=[Setting("crop", "pad", "How it fits.")],
    )


def replace_texts(value: Any, text: str) -> Any:
    """The same records with `text` wherever there is text from outside."""
    if isinstance(value, str):
        return value if value in ("warning", "note", "good", "kept", "left out", "") else text
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: replace_texts(getattr(value, f.name), text) for f in fields(value)}
        return replace(value, **changed)
    if isinstance(value, list):
        return [replace_texts(one, text) for one in value]
    return value


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def test_everything_is_there_in_its_order() -> None:
    outline = Outline(page(complete()))
    assert outline.headings("h1", "h2") == [
        "bicycles",
        "Advice",
        "Kept",
        "Left out",
        "Copies",
        "Cannot be read",
        "Kept, but worth a look",
        "Kinds of pictures",
        "Which way they face",
        "The originals",
        "Labels",
        "Change a decision",
        "Settings",
    ]
    links = [link for link in outline.values("href") if not re.match("#p[0-9]|data:", link)]
    sections = [values["id"] for tag, values in outline.tags if tag == "section"]
    assert set(links) == {f"#{anchor}" for anchor in sections}


def test_every_text_of_the_report_is_on_the_page() -> None:
    seen = re.sub(r"\s+", " ", " ".join(words for _, words in Outline(page(complete())).flow))
    for text in texts(complete()):
        if text not in ("warning", "note", "good"):
            assert text.rpartition("/")[2] in seen, text


def test_warnings_come_first_and_the_counts_add_up() -> None:
    html = page(complete())
    assert re.findall(r'<b class="severity">(\w+)</b>', html) == ["Warning", "Note", "Good"]
    assert "11 files found, 9 can be used." in html


def test_empty_sections_leave_nothing_behind() -> None:
    outline = Outline(page(Report("two", Counts(2))))
    assert [words for tag, words in outline.flow if tag] == ["two"]
    names = {tag for tag, _ in outline.tags}
    assert not names & {"nav", "section", "ol", "dl", "table", "svg", "figure"}
    assert Outline(page(Report("none", Counts(0)))).headings("h2") == []


@pytest.mark.parametrize("field", [f.name for f in fields(Report)][2:])
def test_any_part_can_be_missing(field: str) -> None:
    empty = getattr(Report("", Counts(1)), field)
    outline = Outline(page(replace(complete(), **{field: empty})))
    for (tag, words), (following, _) in pairwise(outline.flow):
        if tag:
            assert following == "" or following > tag, f"nothing under the heading {words}"


def test_headings_never_skip_a_level() -> None:
    levels = [int(tag[1]) for tag, _ in Outline(page(complete())).flow if tag]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_hostile_texts_stay_texts() -> None:
    plain, hostile = page(complete()), page(replace_texts(complete(), HOSTILE))
    before, after = Outline(plain), Outline(hostile)
    assert {tag for tag, _ in after.tags} == {tag for tag, _ in before.tags}
    assert {name for _, values in after.tags for name in values} == {
        name for _, values in before.tags for name in values
    }
    assert after.raw == before.raw
    assert not re.search("[\0\r\t\u2028\u202e\ud800-\udfff]", hostile)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.jpg" in hostile
    hostile.encode("utf-8")


def test_nothing_is_fetched_and_only_the_own_script_may_run() -> None:
    assert_safe(page(complete()))


def test_every_picture_says_what_it_is() -> None:
    html = page(complete())
    pictures = re.findall(r'<svg class="picture"[^>]*role="img"><title>([^<]+)</title>', html)
    assert len(pictures) == html.count('class="picture"') == html.count("<use ")
    assert "folder/0006.jpg, left out, 0.93" in pictures
    assert html.count("<symbol") == 9


def test_of_many_pictures_a_few_are_asked_for() -> None:
    kept, blurred, odd = Numbered(5_000), Numbered(3_000), Numbered(3_000)
    html = page(
        Report(
            "many",
            Counts(5_000, 3_000),
            kept=kept,
            left_out=[Group("Blurred", blurred)],
            flagged=[Group("Unlike the others", odd)],
            copies=[Group("Equal", pictures(*range(20)))] * 90,
            unreadable=[Unreadable(f"{n}.jpg", f"reason {n % 2}") for n in range(5_000)],
            labels=[Label(f"class {n}", n) for n in range(5_000)],
            originals=Originals(np.full((5_000, 2), 200), (64, 64)),
        )
    )
    assert (len(kept.asked), kept.asked[0], kept.asked[-1]) == (200, 0, 4_999)
    assert (len(blurred.asked), blurred.asked[0], blurred.asked[-1]) == (60, 0, 2_999)
    assert odd.asked == list(range(60))
    assert "200 of 5,000, evenly chosen" in html
    assert "60 of 3,000 are shown." in html
    assert html.count('<li class="block">') == 60
    assert "8 of 20 are shown." in html
    assert "… and 30 more groups." in html
    assert html.count(".jpg</bdi></li>") == 200
    assert "… and 2,400 more." in html
    assert html.count('<td class="bar">') == 100
    assert "… and 4,900 more with 12,002,550 pictures together." in html
    Outline(html)


def test_unreadable_files_are_grouped_with_the_commonest_reason_first() -> None:
    files = [Unreadable("a", "rare"), Unreadable("b", "common"), Unreadable("c", "common")]
    html = page(Report("some", Counts(2, 0, 3), unreadable=files))
    assert re.findall(r'<h3>(\w+) <span class="count">(\d)</span>', html) == [
        ("common", "2"),
        ("rare", "1"),
    ]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((100, 90), "about the same size"),
        ((9475, 3690), "<bdi>class 0</bdi> has 2.6 times as many pictures as <bdi>class 1</bdi>"),
        ((5000, 7, 2500), "<bdi>class 0</bdi> has 714 times as many pictures as <bdi>class 1"),
        ((5, 0), "5.0 times"),
        ((12,), "All pictures are of one class"),
    ],
)
def test_an_uneven_balance_of_the_labels_is_said(counts: tuple[int, ...], words: str) -> None:
    labels = [Label(f"class {n}", count) for n, count in enumerate(counts)]
    assert words in page(Report("labelled", Counts(sum(counts)), labels=labels))


def test_a_command_is_never_shortened() -> None:
    command = f"morelike prepare '/{'folder/' * 300}' --decisions d.csv"
    html = page(Report("x", Counts(2), change=Change([], [command, "second"])))
    (lines,) = re.findall("<pre><code>(.*)</code></pre>", html, re.S)
    assert unescape(re.sub("<[^>]+>", "", lines)) == f"{command}\nsecond"


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(16, 16), (128, 32), (64, 256)])
def test_pictures_of_any_kind_can_be_shown(size: tuple[int, int], channels: int) -> None:
    one = Shown("a.png", pixels(3, *size, channels))
    html = page(Report("kinds", Counts(1), kept=[one], left_out=[Group("Blank", [one])]))
    assert html.count("<use ") == 2
    assert html.count("<symbol") == 1
    assert ("--wide:" in re.sub("<style>.*</style>", "", html, flags=re.S)) == (size[0] != size[1])


def test_eight_hundred_pictures_are_under_six_megabytes() -> None:
    noise = np.random.default_rng(0).integers(0, 64, (800, 64, 64, 3), np.uint8)
    many = [Shown(f"{n:05d}.jpg", pixels(n, 64, 64) // 2 + noise[n]) for n in range(800)]
    left_out = [Group(f"Reason {k}", many[200 + 60 * k : 260 + 60 * k]) for k in range(10)]
    html = page(Report("large", Counts(5_000, 600), kept=many[:200], left_out=left_out))
    assert html.count("<symbol") == 800
    assert len(html.encode()) < 6_000_000


def test_the_same_report_gives_the_same_page() -> None:
    assert page(complete()) == page(complete())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2, AA)."""
    behind = colours(style("morelike.page", "page.css"), scheme)
    own = colours(style("morelike.data.page", "page.css"), scheme)
    for words in ("kept", "left-out"):
        for paper in ("paper", "card"):
            assert contrast(own[words], behind[paper]) >= 4.5, (words, paper)
