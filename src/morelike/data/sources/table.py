"""Pictures in the rows of a table: parquet files as Hugging Face's `datasets` writes them.

The encoded pictures are in a column of binary, or of `{bytes, path}`; the other columns become
label and attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from morelike.config import DataConfig
from morelike.data.decode import MOST_BYTES
from morelike.data.item import Item, Rejection, Side
from morelike.data.sources import labels, members
from morelike.errors import UserError

BATCH = 64
PICTURE_COLUMNS = ("image", "img", "picture", "jpg", "png")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are for."""

    picture: str
    label: str | None
    class_names: Mapping[str, Sequence[str]]
    """By column: the names of the classes whose numbers it holds."""

    def item(self, key: str, row: Mapping[str, Any], side: Side | None, labelled: bool) -> Item:
        """One row as an item; the picture's bytes stay in it."""
        picture = row.get(self.picture)
        data = picture.get("bytes") if isinstance(picture, Mapping) else picture
        if not isinstance(data, bytes):
            # A path in a file from elsewhere could name anything on this machine.
            outside = isinstance(picture, Mapping) and picture.get("path")
            reason = "only the path of a picture is in the table" if outside else "no picture"
            return members.rejected(key, reason)
        if len(data) > MOST_BYTES:
            return members.rejected(key, f"over {MOST_BYTES // 2**20} MB")
        read = partial(bytes, data)
        if not labelled:
            return Item(key, read, side=side)
        values = {name: self._named(name, row[name]) for name in row if name != self.picture}
        label = values.pop(self.label, None) if self.label else None
        ((_, attributes, _),) = labels.describe([values], find_label=False)
        return Item(
            key,
            read,
            label=None if label is None else labels.as_label(label),
            attributes=attributes,
            side=side,
        )

    def _named(self, column: str, value: Any) -> Any:
        known = self.class_names.get(column)
        if known is None or not isinstance(value, int):
            return value
        return known[value] if 0 <= value < len(known) else None  # -1 stands for no label


def find_columns(
    where: str, binary: Sequence[str], others: Sequence[str], class_names: Mapping[str, list[str]]
) -> Columns:
    """Choose the column of pictures and that of labels.

    Args:
        where: the table, for sentences.
        binary: the columns that can hold pictures.
        others: the rest.
        class_names: for the columns of class numbers, the names.

    Raises:
        UserError: if no column, or more than one, can be that of the pictures.
    """
    chosen = [name for name in PICTURE_COLUMNS if name in binary][:1] or list(binary)
    if len(chosen) != 1:
        raise UserError(
            f"{where} has {'several columns' if chosen else 'no column'} of pictures "
            f"({', '.join(chosen) or 'it has ' + ', '.join(others)}); "
            "name the one to use 'image'."
        )
    named = [name for want in labels.LABEL_COLUMNS for name in others if name.lower() == want]
    named += [name for name in others if name in class_names]
    return Columns(chosen[0], named[0] if named else None, class_names)


@dataclass(frozen=True)
class ParquetSource:
    """The pictures in parquet files, read a few rows at a time."""

    name: str
    paths: tuple[Path, ...]
    streamed = True

    def count(self, settings: DataConfig) -> int:
        """How many rows there are; reads the files' ends only."""
        del settings
        return sum(self._open(path).metadata.num_rows for path in self.paths)

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The rows in order.

        Raises:
            UserError: if a file is no parquet file or has no column of pictures.
        """
        sides = members.sides_of_files(self.paths)
        distinct = members.numbering()
        for path in self.paths:
            file = self._open(path)
            columns, read = _columns(path, file.schema_arrow)
            stem, index = distinct(members.text(path.stem)), 0
            digits = max(6, len(str(file.metadata.num_rows)))
            labelled = settings.labels in ("auto", "metadata")
            try:
                for row in _rows(file, read):
                    key = f"{stem}/{index:0{digits}d}"
                    yield columns.item(key, row, sides.get(path), labelled)
                    index += 1
            except Rejection as rejection:
                yield members.rejected(f"{stem}/from {index:0{digits}d} on", str(rejection))

    def _open(self, path: Path) -> Any:
        try:
            import pyarrow.parquet
        except ImportError:
            raise UserError(
                f"to read {path}, pyarrow is needed: pip install 'morelike[hub]'."
            ) from None
        try:
            return pyarrow.parquet.ParquetFile(path, pre_buffer=False)
        except Exception as error:  # broken files make Arrow raise nearly anything
            reason = str(error).split("\n")[0].rstrip(".")
            raise UserError(f"{path} cannot be read as a parquet file: {reason}.") from None


def _rows(file: Any, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of an open parquet file.

    Raises:
        Rejection: where it is damaged.
    """
    batches = file.iter_batches(batch_size=BATCH, columns=columns)
    while True:
        try:
            rows = next(batches).to_pylist()
        except StopIteration:
            return
        except Exception as error:  # as above
            raise Rejection(f"damaged: {str(error).split(chr(10))[0][:120]}") from None
        yield from rows


def _columns(path: Path, schema: Any) -> tuple[Columns, list[str]]:
    """What the columns of a parquet file are for, and which of them are read."""
    import pyarrow as pa

    binary: list[str] = []
    others: list[str] = []
    for column in schema:
        kind = column.type
        if pa.types.is_struct(kind):
            kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else None
        is_binary = kind is not None and (
            pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        )
        (binary if is_binary else others).append(column.name)
    columns = find_columns(str(path), binary, others, _class_names(schema.metadata or {}))
    return columns, [columns.picture, *others]


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of classes that `datasets` writes into its parquet files."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
