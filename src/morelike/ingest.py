"""Pictures before training, as functions: `morelike.inspect`, `morelike.prepare`. No torch here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from morelike import files
from morelike.config import DataConfig
from morelike.data import Dataset, open_dataset, open_source
from morelike.data import prepare as prepare_dataset
from morelike.data.dataset import is_prepared
from morelike.data.decisions import read_decisions
from morelike.data.export import LAYOUTS, export, layout_of
from morelike.data.inspection import Inspection
from morelike.data.preparation import check_enough, check_target, decide, write
from morelike.data.scan import Progress
from morelike.errors import UserError
from morelike.settings import validate


class Inspected(NamedTuple):
    """What `inspect` found and where it wrote it."""

    folder: Path
    inspection: Inspection

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"folder": str(self.folder), **self.inspection.as_dict()}


class Made(NamedTuple):
    """What `prepare` made, and what it found on the way; nothing, if it only converted."""

    folder: Path
    dataset: Dataset
    inspection: Inspection | None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        found = {} if self.inspection is None else self.inspection.as_dict()
        keys = ("digest", "count", "duplicates", "labels", "settings")
        about = {key: self.dataset.info[key] for key in keys}
        sides = {"train": len(self.dataset.train), "held_out": len(self.dataset.held_out)}
        return {"folder": str(self.folder), **about, "split": sides, **found}


def inspect(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    decisions: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    command: str = "morelike prepare SOURCE -o SET.mld --decisions decisions.csv",
    **settings: Any,
) -> Inspected:
    """Look at the pictures of `source` and change nothing.

    Args:
        source: a folder of pictures, or anything else that `open_source` knows.
        out: the folder for index.html, contact.png and decisions.csv; `inspect-NAME` if not given.
        decisions: a decisions.csv that was edited by hand.
        progress: told about the pictures, as (done, total or None).
        command: what the page says about preparing with edited decisions.
        **settings: keys of the `data` section, such as `background="white"`.

    Raises:
        UserError: for anything that a person can mend.
    """
    path = Path(source)
    if is_prepared(path):
        raise UserError(f"{path} is prepared already; its page is {path / 'index.html'}.")
    config = validate(DataConfig, settings, "settings")
    overrides = read_decisions(Path(decisions)) if decisions is not None else None
    found = decide(open_source(source, config), config, progress, overrides)
    target = Path(out) if out is not None else Path(f"inspect-{short_name(os.fspath(source))}")
    inspection = Inspection(found, command, thorough=True)
    try:
        target.mkdir(parents=True, exist_ok=True)
        inspection.write(target)
        files.write_text(target / "decisions.csv", found.decisions_csv())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write into {target}: {reason}; choose another --out.") from error
    return Inspected(target, inspection)


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: str | None = None,
    decisions: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    command: str = "morelike prepare SOURCE -o SET.mld --decisions SET.mld/decisions.csv",
    **settings: Any,
) -> Made:
    """Make a prepared data set of `source` in the folder `out`, or files for other programs.

    Args:
        source: a folder of pictures, or anything else that `open_source` knows; with `to`, also
            what `prepare` made before.
        out: the folder to make, such as "bikes.mld"; one that was made before is replaced.
        to: "imagefolder", "webdataset" or "zip" instead of a prepared data set.
        decisions: a decisions.csv that was edited by hand.
        progress: told about the pictures, as (done, total or None).
        command: what the page says about preparing with edited decisions.
        **settings: keys of the `data` section, such as `background="white"`.

    Raises:
        UserError: for anything that a person can mend.
    """
    layout = None if to is None else layout_of(to)
    path, target = Path(source), Path(out)
    if is_prepared(path):
        if layout is None or settings:
            raise UserError(
                f"{path} is prepared already; prepare what it was made from again, or convert it "
                f"with --to {' or '.join(LAYOUTS)} and no other settings."
            )
        dataset = open_dataset(path)
        return Made(export(dataset, layout, target), dataset, None)
    config = validate(DataConfig, settings, "settings")
    overrides = read_decisions(Path(decisions)) if decisions is not None else None
    opened = open_source(source, config)
    if layout is not None:
        dataset = prepare_dataset(opened, config, progress, overrides=overrides)
        return Made(export(dataset, layout, target), dataset, None)
    check_target(target)
    found = decide(opened, config, progress, overrides, target)
    check_enough(found)
    inspection = Inspection(found, command, thorough=False)
    write(found, target, beside=inspection.write)
    return Made(target, Dataset(target, str(target.absolute())), inspection)


def short_name(source: str) -> str:
    """What folders that come from a source are called: its name without its kind."""
    return Path(source).name.removesuffix(".mld").removesuffix(".zip")
