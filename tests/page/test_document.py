"""The frame that all pages share: safe whatever it is called, and easy to read."""

from __future__ import annotations

import re

import pytest

from morelike.page import Part, document
from morelike.page.thumbs import Thumbs
from outline import HOSTILE, Outline, assert_safe, colours, contrast, style


def test_a_page_holds_its_parts_in_their_order_and_links_to_them() -> None:
    parts = [Part("one", "One", 3, "<p>1</p>"), Part("two", "Two", None, "<p>2</p>")]
    html = document("Name", "<h1>Head</h1>", parts, Thumbs(), ".x { color: red }")
    assert_safe(html)
    outline = Outline(html)
    assert outline.headings("h1", "h2") == ["Head", "One", "Two"]
    assert '<a href="#one">One <span class="count">3</span></a>' in html
    assert '<a href="#two">Two</a>' in html
    assert outline.raw["style"].endswith(".x { color: red }")


def test_without_parts_there_is_no_list_of_them() -> None:
    assert "<nav" not in document("Name", "", [], Thumbs())


def test_a_hostile_title_stays_a_title() -> None:
    html = document(HOSTILE, "", [], Thumbs())
    assert_safe(html)
    plain = Outline(document("Name", "", [], Thumbs()))
    assert [tag for tag, _ in Outline(html).tags] == [tag for tag, _ in plain.tags]
    assert not re.search("[\0\r\t\u2028\u202e\ud800-\udfff]", html)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2, AA)."""
    found = colours(style("morelike.page", "page.css"), scheme)
    for words in ("ink", "soft", "link"):
        for paper in ("paper", "card"):
            assert contrast(found[words], found[paper]) >= 4.5, (words, paper)
