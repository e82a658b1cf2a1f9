"""Text for HTML: nothing that comes from outside can act, hide or break off."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morelike.page.text import counted, name, percent, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("<script>", "&lt;script&gt;"),
        ("\"'&", "&quot;&#x27;&amp;"),
        ("a\nb\tc\0", "a\\nb\\tc\\x00"),
        ("photo\u202egpj.exe", "photo\\u202egpj.exe"),
        ("old\udcff name", "old\\udcff name"),
        ("Rösli 玫瑰 🌹", "Rösli 玫瑰 🌹"),
        ("👩\u200d🌾", "👩\u200d🌾"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_written_out(value: str, shown: str) -> None:
    assert text(value) == shown


def test_the_middle_of_long_text_is_left_out() -> None:
    assert text("a" * 50 + "b" * 50, 10) == "aaaaa…bbbbb"
    assert text("a" * 10, 10) == "a" * 10


@given(st.text(st.characters(), max_size=400))
def test_any_text_is_safe_between_tags_and_in_quotes(value: str) -> None:
    shown = text(value)
    assert not set("<>\"'\n\r") & set(shown)
    assert len(html.unescape(shown)) <= 161 * 10
    shown.encode("utf-8")


def test_a_name_keeps_its_direction_of_reading_to_itself() -> None:
    assert name("שלום.jpg") == "<bdi>שלום.jpg</bdi>"


def test_counts_and_shares_read_as_words() -> None:
    assert [counted(n, "picture") for n in (0, 1, 2000)] == [
        "0 pictures",
        "1 picture",
        "2,000 pictures",
    ]
    shares = [percent(share) for share in (0, 0.0001, 0.5, 0.9999, 1)]
    assert shares == ["0 %", "under 1 %", "50 %", "over 99 %", "100 %"]
