"""The page of the verdict: complete, well formed, safe, and honest about what it does not know."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from morelike.diagnostics.finding import Curve, Figure, Finding, Panel, Power
from morelike.evaluate.page import page
from morelike.evaluate.page.words import SHAPES, prose
from morelike.evaluate.verdict import Verdict
from outline import HOSTILE, Outline, assert_safe, colours, contrast, style

NAN, INF = math.nan, math.inf
FIXED = ("yes", "no", "unknown", *SHAPES, "")
"""Texts that decide how something is shown."""


def pixels(count: int, first: int = 0, side: int = 16, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side]
    one = np.stack([x * 9, y * 7, x * y, x + 128], -1)[..., :channels]
    return np.stack([(one + 3 * (first + n)) % 256 for n in range(count)]).astype(np.uint8)


def copying(rows: int = 5) -> Finding:
    return Finding(
        topic="copying",
        state="yes",
        sentence="17 samples are near-copies.",
        remedy="Set augment.policy and train on.",
        word="COPYING",
        figures=(
            Figure("near-copies", 17.0, 11.0, 26.0, (0.0, 3.0), "of 256 samples"),
            Figure("smallest distance", 0.0012, null=(0.11, INF)),
        ),
        curves=(
            Curve("share of copies", (0, 1000, 2000), (0.0, 0.125, 0.25), (0.0, 0.0625), 1000),
        ),
        panels=(
            Panel(
                "Nearest",
                ("generated", "training"),
                (pixels(rows), pixels(rows, 100)),
                tuple(f"seed {n}" for n in range(rows)),
            ),
        ),
        power=(
            Power("copies mixed in", 0.95, 40, True),
            Power("few copies mixed in", 0.925, 40, True),
            Power("held-out pictures", 0.05, 40, False),
            Power("held-out pictures again", 0.075, 40, False),
        ),
    )


def complete() -> Verdict:
    """A verdict in which nothing is empty."""
    learning = Finding("learning", "yes", "It learns.", "Train on.", "LEARNING")
    balance = Finding("balance", "unknown", "Too few pictures to tell.")
    return Verdict(
        subject="00002-roses",
        words=("LEARNING", "COPYING"),
        findings=(learning, copying(), balance),
        extractor="random features",
        counts={"train": 58, "held_out": 9, "samples": 256, "left_out_too": 1234},
        checkpoint="600,000 pictures",
        notices=("Only 9 are held out; see data.held_out.",),
        seconds=83.4,
        version="9.8.7",
    )


def alone(finding: Finding) -> Verdict:
    return replace(complete(), words=(), findings=(finding,))


def replace_texts(value: Any, text: str) -> Any:
    """The same records with `text` wherever there is text from outside."""
    if isinstance(value, str):
        return value if value in FIXED else text
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: replace_texts(getattr(value, f.name), text) for f in fields(value)}
        return replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(replace_texts(one, text) for one in value)
    if isinstance(value, dict):
        return {f"{text}{n}": count for n, count in enumerate(value.values())}
    return value


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for one in value:
            yield from texts(one)


def plain(html: str) -> str:
    """What a person reads, without the style, in one line."""
    body = re.sub("<(style|script)>.*?</\\1>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", body)).replace(" .", ".")


def test_everything_is_there_in_its_order() -> None:
    outline = Outline(page(complete()))
    assert outline.headings("h1", "h2") == [
        "00002-roses",
        "LEARNING",
        "COPYING",
        "Bear in mind",
        "Learning yes",
        "Copying yes",
        "Balance cannot tell",
        "How far these answers can be trusted",
        "Details",
    ]
    inside = [link for link in outline.values("href") if not re.match("#p[0-9]|data:", link)]
    sections = [values["id"] for tag, values in outline.tags if tag == "section"]
    assert set(inside) == {f"#{anchor}" for anchor in sections}


def test_every_text_of_the_verdict_is_on_the_page() -> None:
    html = page(complete())
    seen = plain(html).lower()
    for one in texts(complete()):
        if one not in FIXED:
            shown = plain(prose(one)).lower().strip()
            assert shown in seen, one
    for number in ("58", "9", "256", "1,234", "1 min 23 s"):
        assert number in seen


def test_each_word_stands_above_its_sentences_and_what_to_do() -> None:
    html = page(complete())
    first, second = re.findall(r'<li class="(?:learning|copying)"><h2>.*?</li>\n', html, re.S)
    assert "LEARNING It learns. What to do Train on." in re.sub(" +", " ", plain(first))
    assert "17 samples are near-copies." in second
    assert "<code>augment.policy</code>" in second
    assert second.count('class="picture"') == 6
    assert 'href="#finding-2"' in second


def test_words_differ_in_shape_and_colour() -> None:
    html = page(replace(complete(), words=tuple(SHAPES)))
    shapes = re.findall(r'<h2><svg class="shape"[^>]*>(.*?)</svg>(\w+)</h2>', html)
    assert [word for _, word in shapes] == list(SHAPES)
    assert len({shape for shape, _ in shapes}) == len(SHAPES)
    found = colours(style("morelike.evaluate.page", "verdict.css"), "light")
    assert len({found[word.lower()] for word in SHAPES}) == len(SHAPES)


def test_unknown_is_explained_by_what_cannot_be_told() -> None:
    html = page(replace(complete(), words=("UNKNOWN",)))
    (card,) = re.findall(r'<li class="unknown">.*?</li>\n', html, re.S)
    assert "Too few pictures to tell." in card
    assert "17 samples" not in card


def test_a_word_that_nobody_explains_stands_alone() -> None:
    html = page(replace(complete(), words=("DIVERGED", "<b>ODD")))
    assert '<li class="diverged"><h2>' in html
    assert '<li class=""><h2>' in html
    assert "&lt;b&gt;ODD</h2>\n</li>" in html
    Outline(html)


def test_figures_say_value_interval_and_null_in_text() -> None:
    html = page(alone(copying()))
    words = re.findall(r'<p class="numbers">(.*?)</p>', html)
    seen = [re.sub(" +", " ", plain(one)).strip() for one in words]
    assert seen == ["17 (11 to 26) real pictures: 0 to 3", "0.0012 real pictures: 0.110 or more"]
    titles = re.findall(r'<svg class="strip"[^>]*role="img"><title>(.*?)</title>', html)
    assert titles == [
        "near-copies: 17, 11 to 26; real pictures give 0 to 3",
        "smallest distance: 0.0012; real pictures give 0.110 or more",
    ]


def test_a_strip_puts_everything_in_its_place() -> None:
    html = page(alone(Finding("a", "no", "", figures=(Figure("f", 50, 25, 75, (0, 94)),))))
    (strip,) = re.findall(r'<svg class="strip".*?</svg>', html, re.S)
    unit = (326 - 14) / (94 * 1.06)
    band = re.search(r'<rect class="null" x="([\d.]+)" y="4" width="([\d.]+)"', strip)
    assert band is not None
    assert float(band[1]) == 14.0
    assert float(band[2]) == pytest.approx(94 * unit, abs=0.06)
    mark = re.search(r'<circle class="value" cx="([\d.]+)"', strip)
    assert mark is not None
    assert float(mark[1]) == pytest.approx(14 + 50 * unit, abs=0.06)
    line = re.search(r'class="whisker" d="M([\d.]+) 14H([\d.]+)M', strip)
    assert line is not None
    assert float(line[1]) == pytest.approx(14 + 25 * unit, abs=0.06)
    assert float(line[2]) == pytest.approx(14 + 75 * unit, abs=0.06)


@pytest.mark.parametrize(
    "figure",
    [
        Figure("f", NAN),
        Figure("f", INF, NAN, INF, (NAN, NAN)),
        Figure("f", NAN, 0.0, 1.0, (0.0, 0.5)),
        Figure("f", 1.0, -INF, 2.0, (-INF, INF)),
        Figure("f", 1e300, 1e-300, 1e305, (1e-300, 2e-300)),
        Figure("f", 0.0, 0.0, 0.0, (0.0, 0.0)),
        Figure("f", -1e-12, None, 3.0),
        Figure("f", 5, 4, None, (1, 1)),
    ],
)
def test_any_figure_can_be_shown(figure: Figure) -> None:
    html = page(alone(Finding("a", "unknown", "", figures=(figure,))))
    Outline(html)
    assert not re.search(r'[xyrd]\w*="[^"]*\b(nan|inf)', html)
    if math.isnan(figure.value):
        assert "<b>not a number</b>" in html


def test_a_curve_shows_its_null_its_onset_and_its_gaps() -> None:
    (whole,) = re.findall(r'<figure class="chart">.*?</figure>', page(alone(copying())), re.S)
    assert '<rect class="null"' in whole
    assert "first at 1k</text>" in whole
    assert whole.count('class="dot"') == 3
    assert plain(whole).endswith(
        "0 at 0 pictures, 0.25 at 2,000; first there at 1,000. Real pictures: 0 to 0.06. "
    )
    points = tuple(range(0, 600, 100))
    gaps = Curve("g", points, (1.0, 2.0, NAN, 3.0, INF, 4.0))
    html = page(alone(Finding("a", "no", "", curves=(gaps,))))
    assert html.count('<path class="line"') == 3
    assert html.count('class="dot"') == 4
    assert not re.search(r"\b(nan|inf)\b", html)


@pytest.mark.parametrize(
    "curve",
    [
        Curve("c", (), ()),
        Curve("c", (0, 5), (NAN, NAN)),
        Curve("c", (7,), (1.0,), None, 7),
        Curve("c", (0,), (0.0,), (0.0, INF), 0),
        Curve("c", (0, 1), (1e-9, 1e9), (1e-9, 2e-9)),
        Curve("c", (5_000_000, 5_000_001), (1, 1), (1, 1), 9_000_000),
    ],
)
def test_any_curve_can_be_shown(curve: Curve) -> None:
    html = page(alone(Finding("a", "no", "", curves=(curve,))))
    Outline(html)
    assert ("<figure" in html) == any(map(math.isfinite, curve.values))


def test_the_columns_of_a_panel_stay_beside_each_other() -> None:
    html = page(alone(copying(rows=5)))
    tables = re.findall(r'<table class="pictures".*?</table>', html, re.S)
    assert [table.count("<use ") for table in tables] == [6, 4]
    for table in tables:
        heads = '<th scope="col">generated</th><th scope="col">training</th>'
        assert heads in table
    rows = [row for table in tables for row in re.findall("<tr><td>.*?</tr>", table, re.S)]
    for number, row in enumerate(rows):
        titles = re.findall("<title>(.*?)</title>", row)
        assert titles == [
            f"{kind}, row {number + 1}, seed {number}" for kind in ("generated", "training")
        ]
    assert [plain(one).strip() for one in re.findall('<td colspan="2">(.*?)</td>', html)] == [
        f"seed {n}" for n in range(5)
    ]


def test_of_many_rows_the_first_are_shown() -> None:
    html = page(alone(copying(rows=40)))
    assert html.count('<tr class="caption">') == 16
    assert "The first 16 of 40 rows." in html
    assert "The first" not in page(alone(copying(rows=16)))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [8, 32, 128])
def test_pictures_of_any_kind_can_be_shown(side: int, channels: int) -> None:
    panel = Panel("p", ("a",), (pixels(2, 0, side, channels),))
    html = page(alone(Finding("a", "no", "", panels=(panel, Panel("none", (), ())))))
    assert html.count("<symbol") == 2
    assert ('class="pixels"' in html) == (side <= 48)
    assert "none" not in Outline(html).headings("h3")


def test_trials_that_failed_are_marked_and_those_at_the_bound_are_not() -> None:
    html = page(complete())
    rows = re.findall(r'<tr class="(good|poor)"><th scope="row">(.*?)</th><td>(yes|no)</td>', html)
    assert rows == [
        ("good", "copies mixed in", "yes"),
        ("poor", "few copies mixed in", "yes"),
        ("good", "held-out pictures", "no"),
        ("poor", "held-out pictures again", "no"),
    ]
    seen = plain(html)
    assert "2 cases did not come up to this." in seen
    assert "Not tried this way: learning, balance." in seen
    for words in ("38 of 40 ✓", "37 of 40 ✕ misses too many", "3 of 40 ✕ false alarms"):
        assert words in seen
    good = replace(copying(), power=copying().power[:1])
    assert "All came up to this." in plain(page(alone(good)))


def test_a_detector_that_was_never_tried_is_not_called_good() -> None:
    for case in (Power("c", NAN, 40, True), Power("c", 0.0, 0, False)):
        html = page(alone(Finding("a", "no", "", power=(case,))))
        assert '<tr class="poor">' in html
        assert "✕ not tried" in html


def test_empty_findings_leave_nothing_behind() -> None:
    html = page(Verdict("two", (), (), "random", {}, "", (), 0.0, "1"))
    outline = Outline(html)
    assert outline.headings("h1", "h2", "h3") == ["two", "Details"]
    assert "There is no verdict." in html
    assert not {"figure", "ul class=", "ol"} & {tag for tag, _ in outline.tags}
    bare = Outline(page(alone(Finding("a", "unknown", "Nothing is known."))))
    assert bare.headings("h2") == ["Bear in mind", "A cannot tell", "Details"]


@pytest.mark.parametrize("field", ["remedy", "figures", "curves", "panels", "power"])
def test_any_part_of_a_finding_can_be_missing(field: str) -> None:
    empty = "" if field == "remedy" else ()
    outline = Outline(page(alone(replace(copying(), **{field: empty}))))
    for (tag, words), (following, _) in pairwise(outline.flow):
        if tag:
            assert following == "" or following > tag, f"nothing under the heading {words}"


def test_headings_never_skip_a_level() -> None:
    levels = [int(tag[1]) for tag, _ in Outline(page(complete())).flow if tag]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_hostile_texts_stay_texts() -> None:
    whole, hostile = page(complete()), page(replace_texts(complete(), HOSTILE))
    before, after = Outline(whole), Outline(hostile)
    assert {tag for tag, _ in after.tags} <= {tag for tag, _ in before.tags}
    assert {name for _, values in after.tags for name in values} <= {
        name for _, values in before.tags for name in values
    }
    assert after.raw == before.raw
    assert not re.search("[\0\r\t\u2028\u202e\ud800-\udfff]", hostile)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.jpg" in hostile
    assert_safe(hostile)
    hostile.encode("utf-8")


@pytest.mark.parametrize(
    ("sentence", "html"),
    [
        ("Set augment.policy.", "Set <code>augment.policy</code>."),
        (
            "Try optimizer.discriminator.learning_rate=1e-4, then wait.",
            "Try <code>optimizer.discriminator.learning_rate=1e-4</code>, then wait.",
        ),
        ("Run `morelike train <x>` now", "Run <code>morelike train &lt;x&gt;</code> now"),
        ("with --held 9", "with <code>--held</code> 9"),
        ("the data. Then", "the data. Then"),
        (
            "Lower optimizer.*.learning_rate (training.precision = fp32).",
            "Lower <code>optimizer.*.learning_rate</code> "
            "(<code>training.precision = fp32</code>).",
        ),
        ("my.data.zip and e.g. roses.png", "my.data.zip and e.g. roses.png"),
        ("(`<b>`)", "(<code>&lt;b&gt;</code>)"),
        ("one ` alone", "one ` alone"),
    ],
)
def test_names_of_settings_are_code(sentence: str, html: str) -> None:
    assert prose(sentence) == html


def test_nothing_is_fetched_and_only_the_own_script_may_run() -> None:
    assert_safe(page(complete()))


def test_every_picture_says_what_it_is_and_headers_say_what_they_head() -> None:
    html = page(complete())
    named = re.findall(r'<svg class="picture"[^>]*role="img"><title>([^<]+)</title>', html)
    assert len(named) == html.count('class="picture"') == html.count("<use ") == 16
    outline = Outline(html)
    heads = [values for tag, values in outline.tags if tag == "th"]
    assert heads
    assert all(values.get("scope") in ("col", "row", "rowgroup") for values in heads)
    for tag, values in outline.tags:
        if tag == "svg":
            assert values.get("role") == "img" or values.get("aria-hidden") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2, AA), and marks on the band of the null 3 to 1."""
    behind = colours(style("morelike.page", "page.css"), scheme)
    own = colours(style("morelike.evaluate.page", "verdict.css"), scheme)
    for word in SHAPES:
        for paper in ("paper", "card"):
            assert contrast(own[word.lower()], behind[paper]) >= 4.5, (word, paper)
        assert contrast(own[word.lower()], own["null"]) >= 3, word
    assert contrast(behind["ink"], own["null"]) >= 3


def test_the_same_verdict_gives_the_same_page() -> None:
    assert page(complete()) == page(complete())


@pytest.mark.shared
def test_real_pictures_make_a_page_that_can_be_sent(shared: Path) -> None:
    files = sorted((shared / "data" / "roses").iterdir())[:32]
    real = np.stack(
        [np.asarray(Image.open(file).convert("RGB").resize((64, 64))) for file in files]
    )
    panels = tuple(
        Panel(f"panel {n}", ("a", "b"), (np.roll(real, n, 1), np.roll(real, n, 2)))
        for n in range(7)
    )
    html = page(alone(replace(copying(), panels=panels)))
    assert html.count("<symbol") > 150
    assert 200_000 < len(html.encode()) < 2_000_000
