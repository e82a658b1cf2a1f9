"""Label, attributes and side of a file: from the folders it lies in, or from a metadata file.

Metadata files are `metadata.csv` and `metadata.jsonl` with a column `file_name`, as in Hugging
Face's imagefolder, and NVIDIA's `dataset.json`, `{"labels": [["a/b.png", 0]]}`. The names in them
are relative to the folder that the file is in.
"""

from __future__ import annotations

import csv
import heapq
import io
import json
import math
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from morelike.data.item import Item, Rejection, Side
from morelike.data.sources import members
from morelike.errors import UserError

Rule = Literal["auto", "none", "folders", "metadata"]
TABLES = frozenset({"metadata.csv", "metadata.jsonl", "dataset.json"})
LABEL_COLUMNS = ("label", "class", "category")
MOST_CLASSES = 1_000
ROWS_PER_CLASS = 5
"""A column of text with more different values than one in so many rows holds captions."""

Row = dict[str, Any]


def is_table(key: str) -> bool:
    """Whether a file of this name may hold labels."""
    return posixpath.basename(key) in TABLES


def annotate(
    pictures: Sequence[tuple[str, Callable[[], bytes]]],
    tables: Mapping[str, Callable[[], bytes]],
    rule: Rule,
    where: str,
    refused: Iterable[Item] = (),
) -> Iterator[Item]:
    """The pictures of one folder or archive with what is known about each, sorted by key.

    Args:
        pictures: the key of each and how to read it; a pair, as there may be a million.
        tables: the metadata files beside them, by key.
        rule: `labels` of the settings.
        where: the source's name, for sentences.
        refused: items that cannot be read, which come between the others.

    Raises:
        UserError: as `Labels` does.
    """
    labels = Labels([key for key, _ in pictures], tables, rule, where)
    read = (labels.of(Item(*pair)) for pair in sorted(pictures, key=lambda pair: pair[0]))
    others = sorted([*refused, *labels.missing()], key=lambda item: item.key)
    distinct = members.numbering()
    for item in heapq.merge(read, others, key=lambda item: item.key):
        key = distinct(item.key)
        yield item if key == item.key else replace(item, key=key)


@dataclass(frozen=True)
class _Fact:
    table: str
    label: str | None
    attributes: dict[str, float | str]
    side: Side | None


class Labels:
    """What is known about each picture of one source."""

    def __init__(
        self,
        keys: Collection[str],
        tables: Mapping[str, Callable[[], bytes]],
        rule: Rule,
        where: str,
    ) -> None:
        """Look at all keys and read the metadata files, as `rule` asks.

        Raises:
            UserError: if a metadata file is broken, or if there is none, or no folder, though
                `rule` asks for it.
        """
        self._keys = set(keys)
        self._depth = _depth_of_splits(keys)
        self._sides = members.sides(_folders(keys, self._depth))
        splits = {folder.lower() for folder in _folders(keys, self._depth)}
        self._class_depth = self._depth + (bool(splits) and splits <= members.SIDES.keys())
        self._from_folders = rule == "folders"
        self._facts: dict[str, _Fact] = {}
        if rule == "folders" and keys and not _folders(keys, self._class_depth) - {""}:
            raise UserError(
                f"{where} has no folders to take labels from; put each class into a folder of its "
                "own, or choose other labels."
            )
        if rule in ("auto", "metadata"):
            self._facts = _read_tables(tables, where)
        if rule == "metadata" and not self._facts:
            raise UserError(
                f"{where} has no labels in a {', '.join(sorted(TABLES)[:-1])} or "
                f"{sorted(TABLES)[-1]}; add one, or choose other labels."
            )

    def of(self, item: Item) -> Item:
        """The item with its label, attributes and side."""
        fact = self._facts.get(item.key)
        label, side = None, self._sides.get(_folder(item.key, self._depth))
        if self._from_folders:
            label = _folder(item.key, self._class_depth) or None
        if fact is None:
            return replace(item, label=label, side=side)
        return replace(
            item, label=fact.label, attributes=dict(fact.attributes), side=fact.side or side
        )

    def missing(self) -> list[Item]:
        """An item, not to be read, for each picture that is in a metadata file only."""
        return [
            members.rejected(key, f"named in {fact.table}, but not there")
            for key, fact in self._facts.items()
            if key not in self._keys
        ]


def _folder(key: str, depth: int) -> str:
    """The folder at this depth on the way to a file; nothing, if it lies higher up."""
    parts = key.split("/", depth + 1)
    return parts[depth] if len(parts) > depth + 1 else ""


def _folders(keys: Iterable[str], depth: int) -> set[str]:
    return {_folder(key, depth) for key in keys}


def _depth_of_splits(keys: Collection[str]) -> int:
    """1 if there is one folder around everything, as archives often have, else 0."""
    outer, inner = _folders(keys, 0), _folders(keys, 1)
    around = len(outer) == 1 and "" not in outer and outer.isdisjoint(members.SIDES)
    parted = "" not in inner and (len(inner) > 1 or inner <= members.SIDES.keys())
    return int(around and parted)


# Metadata files ---------------------------------------------------------------------------------


def _read_tables(tables: Mapping[str, Callable[[], bytes]], where: str) -> dict[str, _Fact]:
    rows: dict[str, tuple[str, Row]] = {}
    # Those further down are nearer to their pictures, and so come later and win.
    for table in sorted(tables, key=lambda table: (table.count("/"), table)):
        for name, row in _read_table(table, tables[table], where):
            key = posixpath.normpath(
                posixpath.join(posixpath.dirname(table), name.replace("\\", "/"))
            )
            rows[key] = (table, rows[key][1] | row if key in rows else row)
    described = describe([row for _, row in rows.values()])
    return {
        key: _Fact(table, *facts)
        for (key, (table, _)), facts in zip(rows.items(), described, strict=True)
    }


def _read_table(table: str, read: Callable[[], bytes], where: str) -> Iterator[tuple[str, Row]]:
    broken = (
        f"{table} in {where} cannot be used: %s; mend it, or choose labels 'none' or 'folders'."
    )
    try:
        text = read().decode("utf-8-sig")
        if table.endswith(".csv"):
            yield from map(_split_off_name, csv.DictReader(io.StringIO(text, newline="")))
        elif table.endswith(".jsonl"):
            lines = (line for line in text.split("\n") if line.strip())
            yield from (_split_off_name(json.loads(line)) for line in lines)
        else:
            whole = json.loads(text)
            # Other programs use this name as well, for something else.
            labels = whole.get("labels") if isinstance(whole, dict) else None
            yield from ((str(name), {"label": label}) for name, label in labels or ())
    except UnicodeDecodeError:
        raise UserError(broken % "it is not UTF-8") from None
    except RecursionError:
        raise UserError(broken % "it is nested too deeply") from None
    except OSError as error:
        raise UserError(broken % (error.strerror or str(error)).lower()) from None
    except (csv.Error, ValueError, TypeError, Rejection) as error:
        raise UserError(broken % str(error)) from None


def _split_off_name(row: Any) -> tuple[str, Row]:
    if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
        raise ValueError("a row has no file_name")
    return row["file_name"], {
        key: value for key, value in row.items() if isinstance(key, str) and key != "file_name"
    }


def describe(
    rows: Sequence[Row], find_label: bool = True
) -> list[tuple[str | None, dict[str, float | str], Side | None]]:
    """Label, attributes and side of each row of a table, its columns judged over all rows.

    A column named label, class or category is the label, unless its numbers have fractions; else
    the first column of text with few different values is. The other columns of numbers, vectors
    and text become attributes, and a column `split` with both sides in it makes the split. Without
    `find_label`, all columns become attributes.
    """
    rows = [_flatten(row) for row in rows]
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    numeric = {
        name for name, values in columns.items() if all(number(v) is not None for v in values)
    }
    sides = members.sides(map(str, columns.get("split", ())))
    skip = {"split"} if sides else set()
    chosen = _label_column(columns, numeric, skip, len(rows)) if find_label else None
    result = []
    for row in rows:
        label = as_label(row[chosen]) if chosen in row else None
        side = sides.get(str(row.get("split"))) if sides else None
        attributes: dict[str, float | str] = {}
        for name, value in row.items():
            if name == chosen or (sides and name == "split"):
                continue
            as_number = number(value) if name in numeric else None
            attributes[name] = as_text(value) if as_number is None else as_number
        result.append((label, attributes, side))
    return result


def _flatten(row: Row) -> Row:
    """Without what is empty; vectors as one column for each element."""
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, list) and all(number(element) is not None for element in value):
            flat |= {f"{name}_{index}": element for index, element in enumerate(value)}
        elif isinstance(value, float):
            if math.isfinite(value):
                flat[name] = value
        elif isinstance(value, str | int) and as_text(value):
            flat[name] = value
    return flat


def _label_column(
    columns: Mapping[str, list[Any]], numeric: set[str], skip: set[str], rows: int
) -> str | None:
    for wanted in LABEL_COLUMNS:
        for name, values in columns.items():
            fractions = name in numeric and any((number(v) or 0) % 1 for v in values)
            if name.strip().lower() == wanted and not fractions:
                return name
    for name, values in columns.items():
        distinct = len(set(map(as_text, values)))
        few = distinct <= min(MOST_CLASSES, rows // ROWS_PER_CLASS)
        if few and name not in numeric and name not in skip:
            return name
    return None


def number(value: Any) -> float | None:
    """The value as a finite number, if it is or spells one."""
    if not isinstance(value, str | int | float):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def as_text(value: Any) -> str:
    """The value as text that can be stored as UTF-8."""
    return str(value).strip().encode("utf-8", "replace").decode()


def as_label(value: Any) -> str:
    """The value as the name of a class: whole numbers without a point."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else as_text(value)
