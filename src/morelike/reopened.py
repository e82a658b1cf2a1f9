"""The pictures that a run was trained on, found again."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from morelike import files
from morelike.config import DataConfig
from morelike.data import Dataset, open_dataset, open_source, prepare
from morelike.data.dataset import is_prepared
from morelike.data.scan import Progress
from morelike.errors import UserError
from morelike.runs import Run
from morelike.settings import validate


def dataset_of(run: Run, data: str | None = None, progress: Progress | None = None) -> Dataset:
    """The data set that `run` was trained on, every pixel and the split the same.

    It is looked for in the cache first, then at its source, which is prepared again; what was
    decoded before is not decoded again.

    Args:
        run: a run folder.
        data: where the pictures, or the prepared data set, are now, if not where they were.
        progress: told about the preparation, as (done, total or None).

    Raises:
        UserError: if the pictures are gone or have changed, or the run cannot be read.
    """
    stored = run.data()
    found = _cached(stored) if data is None else None
    if found is not None:
        return found
    dataset = _opened(run, stored["source"] if data is None else data, progress)
    if dataset.digest == stored["digest"]:
        return dataset
    if data is None:
        raise UserError(
            f"the pictures in {stored['source']} are no longer those that {run.path} was trained "
            "on, or are prepared otherwise now; name the right ones with --data."
        )
    raise UserError(
        f"{data} does not hold the pictures that {run.path} was trained on, prepared as they were "
        f"then; it was trained on {stored['source']}."
    )


def _opened(run: Run, source: str, progress: Progress | None) -> Dataset:
    if is_prepared(Path(source)):
        return open_dataset(Path(source))
    settings = validate(DataConfig, run.config()["data"], str(run.path / "config.json"))
    try:
        opened = open_source(source, settings)
    except UserError as error:
        raise UserError(
            f"the pictures that {run.path} was trained on cannot be found "
            f"({str(error).split(';')[0].rstrip('.')}); name where they are now with --data."
        ) from error
    return prepare(opened, settings, progress)


def _cached(stored: dict[str, Any]) -> Dataset | None:
    """The data set in the cache with the digest, settings, labels and names of the run's."""
    for path in sorted((files.cache_folder() / "datasets").glob("*/dataset.json")):
        # What is damaged in the cache is as good as not there, for it can be made again.
        with contextlib.suppress(UserError, OSError, ValueError, LookupError, TypeError):
            info = files.read_json(path)
            same = all(info[key] == stored[key] for key in ("digest", "settings", "labels"))
            if same and open_dataset(path.parent).summary()["split"] == stored["split"]:
                return Dataset(path.parent, stored["source"])
    return None
