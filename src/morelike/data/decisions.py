"""decisions.csv: what is kept and why, for every picture; may be edited and given back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from morelike.errors import UserError

COLUMNS = ("key", "content", "decision", "reason", "score", "facing", "by")
Facing = Literal["left", "right", ""]


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one picture."""

    keep: bool = True
    reason: str = ""
    """Why it is left out, or kept against the rules."""
    score: float | None = None
    """The figure behind the reason."""
    facing: Facing = ""
    """The way it faces, where the set has one; "" where that was not asked."""
    by: Literal["rules", "you"] = "rules"


def write_decisions(
    keys: Sequence[str], contents: Sequence[str], decisions: Sequence[Decision]
) -> str:
    """The text of decisions.csv, one line a picture."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key, content, one in zip(keys, contents, decisions, strict=True):
        score = "" if one.score is None else f"{one.score:.4g}"
        verdict = "keep" if one.keep else "drop"
        writer.writerow([key, content, verdict, one.reason, score, one.facing, one.by])
    return buffer.getvalue()


class Overrides:
    """What a decisions.csv says: its word is final for every picture that it lists.

    A picture is known by its contents, so it may have been renamed since; by its name, if the file
    has no contents for it.
    """

    def __init__(self, lines: Iterable[tuple[str, str, Decision]] = ()) -> None:
        self._by_content: dict[tuple[str, str], Decision] = {}
        self._by_name: dict[str, Decision] = {}
        self._any_name: dict[str, Decision] = {}
        for key, content, decision in lines:
            if content:
                self._by_content[key, content] = decision
                self._any_name.setdefault(content, decision)
            else:
                self._by_name[key] = decision

    def find(self, key: str, content: str) -> Decision | None:
        """The decision about this picture, if the file has one."""
        return (
            self._by_content.get((key, content))
            or self._by_name.get(key)
            or self._any_name.get(content)
        )


def read_decisions(path: Path) -> Overrides:
    """Read a decisions.csv; only `key` and `decision` (keep or drop) must be there.

    Raises:
        UserError: if the file cannot be read or a line makes no sense.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"cannot read the decisions in {path}: {reason}.") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = {"key", "decision"} - set(reader.fieldnames or ())
    if missing:
        raise UserError(f"{path} lacks the column {' and '.join(sorted(missing))}.")
    try:
        return Overrides(_lines(reader, path))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}.") from error


def _lines(reader: csv.DictReader[str], path: Path) -> Iterable[tuple[str, str, Decision]]:
    for line in reader:
        verdict = (line["decision"] or "").strip().lower()
        if not verdict:  # left to the rules
            continue
        facing = (line.get("facing") or "").strip().lower()
        if verdict not in ("keep", "drop") or facing not in ("left", "right", ""):
            raise UserError(
                f"{path}, line {reader.line_num}: decision must be keep or drop, and facing left, "
                f"right or empty, not '{verdict}' and '{facing}'."
            )
        score = line.get("score") or ""
        try:
            number = float(score) if score else None
        except ValueError:
            number = None
        yield (
            line["key"] or "",
            (line.get("content") or "").strip(),
            Decision(verdict == "keep", line.get("reason") or "", number, facing, "you"),
        )
