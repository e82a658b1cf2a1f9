"""Data sets of the Hugging Face Hub, through `datasets`: `hf:owner/name` or `hf:owner/name:split`.

Naming one is asking for the network, which nothing else here touches. What is fetched is kept by
`datasets` in its own cache, memory-mapped, and found there again without a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morelike.config import DataConfig
from morelike.data.item import Item
from morelike.data.sources import members
from morelike.data.sources.folder import read_file
from morelike.data.sources.table import BATCH, Columns, find_columns
from morelike.errors import UserError

PREFIX = "hf:"


@dataclass(frozen=True)
class HubSource:
    """The pictures of one data set; all its splits, unless one is named."""

    dataset: str
    """`owner/name`, or a local folder that `datasets` can read."""
    split: str | None = None
    streamed = True

    @property
    def name(self) -> str:
        """As a person would write it."""
        return f"{PREFIX}{self.dataset}" + (f":{self.split}" if self.split else "")

    def count(self, settings: DataConfig) -> int:
        """How many rows there are; fetches the data set."""
        del settings
        return sum(len(rows) for rows in self._splits().values())

    def items(self, settings: DataConfig) -> Iterator[Item]:
        """The rows in order, split after split by name.

        Raises:
            UserError: if the data set cannot be had or has no column of pictures.
        """
        splits = self._splits()
        sides = members.sides(splits)
        labelled = settings.labels != "none"
        for split in sorted(splits):
            rows, columns = self._undecoded(splits[split])
            digits = max(6, len(str(len(rows))))
            for index in range(0, len(rows), BATCH):
                batch = rows[index : index + BATCH]
                for offset in range(len(batch[columns.picture])):
                    row = {name: values[offset] for name, values in batch.items()}
                    row[columns.picture] = self._with_bytes(row[columns.picture])
                    key = f"{split}/{index + offset:0{digits}d}"
                    yield columns.item(key, row, sides.get(split), labelled)

    def _splits(self) -> dict[str, Any]:
        try:
            import datasets
        except ImportError:
            raise UserError(
                f"to read {self.name}, datasets is needed: pip install 'morelike[hub]'."
            ) from None
        try:
            loaded = datasets.load_dataset(self.dataset, split=self.split)
        except Exception as error:  # it raises what any of its many parts raise
            reason = str(error).split("\n")[0].rstrip(".") or type(error).__name__
            raise UserError(f"{self.name} cannot be had: {reason}.") from error
        if isinstance(loaded, datasets.DatasetDict):
            return {str(split): rows for split, rows in loaded.items()}
        return {(self.split or "train").split("[")[0]: loaded}

    def _undecoded(self, rows: Any) -> tuple[Any, Columns]:
        """The rows with their pictures as bytes, and what the columns are for."""
        import datasets

        pictures: list[str] = []
        names: dict[str, list[str]] = {}
        for column, feature in rows.features.items():
            if isinstance(feature, datasets.Image):
                pictures.append(column)
                rows = rows.cast_column(column, datasets.Image(decode=False))
            elif isinstance(feature, datasets.ClassLabel):
                names[column] = list(feature.names)
            elif isinstance(feature, datasets.Value) and "binary" in feature.dtype:
                pictures.append(column)
        others = [column for column in rows.features if column not in pictures]
        return rows.with_format(None), find_columns(self.name, pictures, others, names)

    def _with_bytes(self, picture: Any) -> Any:
        """Read the file of a picture that is only named, if it lies where it may."""
        if not isinstance(picture, dict) or picture.get("bytes") or not picture.get("path"):
            return picture
        from datasets import config

        path = Path(picture["path"]).resolve()
        allowed = [Path(self.dataset), Path(config.HF_CACHE_HOME), Path(config.HF_DATASETS_CACHE)]
        if not any(path.is_relative_to(folder.resolve()) for folder in allowed):
            return picture
        try:
            return {**picture, "bytes": read_file(path)}
        except OSError:
            return {"bytes": None, "path": None}


def parse(text: str) -> HubSource:
    """`hf:owner/name` or `hf:owner/name:split` as a source.

    Raises:
        UserError: if no name is given.
    """
    dataset, _, split = text.removeprefix(PREFIX).partition(":")
    if not dataset:
        raise UserError(f"'{text}' names no data set; write hf:owner/name or hf:owner/name:split.")
    return HubSource(dataset, split or None)
