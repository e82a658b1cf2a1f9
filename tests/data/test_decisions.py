from __future__ import annotations

from pathlib import Path

import pytest

from morelike.data.decisions import Decision, Overrides, read_decisions, write_decisions
from morelike.errors import UserError

ODD = [
    "a.png",
    'quo"ted, and comma.png',
    "line\nbreak.png",
    "käse/日本.png",
    "=1+1.png",
    "\u2028.png",
]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "decisions.csv"
    path.write_bytes(text.encode())
    return path


def test_what_is_written_is_read_back_for_any_name(tmp_path: Path) -> None:
    given = [
        Decision(number % 2 == 0, f"reason {number}", number / 7, "left" if number else "")
        for number in range(len(ODD))
    ]
    contents = [f"{number:032x}" for number in range(len(ODD))]
    found = read_decisions(written(tmp_path, write_decisions(ODD, contents, given)))
    for key, content, one in zip(ODD, contents, given, strict=True):
        told = found.find(key, content)
        assert told is not None
        assert (told.keep, told.reason, told.facing) == (one.keep, one.reason, one.facing)
        assert told.score == pytest.approx(one.score, rel=1e-3)
        assert told.by == "you"


def test_pictures_are_known_by_their_contents_so_they_may_be_renamed() -> None:
    here = Overrides([("a.png", "c1", Decision(False)), ("b.png", "", Decision(False, "ugly"))])
    assert here.find("a.png", "c1") == Decision(False)
    assert here.find("renamed.png", "c1") == Decision(False)
    assert here.find("a.png", "another picture now") is None
    assert here.find("b.png", "anything") == Decision(False, "ugly")
    assert here.find("new.png", "c9") is None


def test_copies_may_be_told_apart_by_their_names() -> None:
    here = Overrides([("a.png", "c", Decision(True)), ("b.png", "c", Decision(False))])
    first, second = here.find("a.png", "c"), here.find("b.png", "c")
    assert first is not None and first.keep
    assert second is not None and not second.keep


def test_a_spreadsheet_may_leave_columns_out_and_lines_undecided(tmp_path: Path) -> None:
    text = "\ufeffdecision,key\r\nKEEP,a.png\r\n drop ,b.png\r\n,c.png\r\n"
    found = read_decisions(written(tmp_path, text))
    first, second = found.find("a.png", "1"), found.find("b.png", "2")
    assert first is not None and first.keep
    assert second is not None and not second.keep
    assert found.find("c.png", "3") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks the column decision and key"),
        ("key,content\na.png,1\n", "lacks the column decision"),
        ("key,decision\na.png,keep\nb.png,maybe\n", "line 3: decision must be keep or drop"),
        ("key,decision,facing\na.png,keep,up\n", "'keep' and 'up'"),
        ("key,decision\n" + "x" * 200_000 + ",keep\n", "field larger than field limit"),
    ],
)
def test_nonsense_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_decisions(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the decisions in .*No such file"):
        read_decisions(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"key,decision\n\xe9.png,keep\n")
    with pytest.raises(UserError, match="it is not UTF-8"):
        read_decisions(tmp_path / "latin.csv")
