"""Beginning a run folder, and checking that one may go on."""

from __future__ import annotations

import platform
from typing import Any

import torch

from morelike import files
from morelike.config import FREE_ON_RESUME, Config
from morelike.data import Dataset
from morelike.devices import pick_device, pick_precision
from morelike.distributed import local_rank
from morelike.errors import UserError
from morelike.runs import SCHEMA, Run, cannot_write
from morelike.sampling import stored_config
from morelike.settings import differing_keys
from morelike.version import __version__


def resolve(config: Config[Any, Any]) -> tuple[Config[Any, Any], torch.device]:
    """Settle what `auto` means on this machine.

    Raises:
        UserError: if the device is not there.
    """
    device = pick_device(config.training.device, local_rank())
    precision = pick_precision(config.training.precision, device)
    training = config.training.model_copy(update={"precision": precision})
    return config.model_copy(update={"training": training}), device


def begin(
    run: Run, config: Config[Any, Any], dataset: Dataset, recipe: str | None, why: str | None
) -> None:
    """Write `config.json` and `data.json` of a new run; `why`: this recipe, where nobody named it.

    Raises:
        UserError: if the folder cannot be written to.
    """
    versions = {
        "morelike": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    stamps = {"schema": SCHEMA, "versions": versions, "recipe": recipe, "why": why}
    try:
        files.write_json(run.path / "data.json", {"schema": SCHEMA, **dataset.summary()})
        if dataset.fakes is not None:
            dataset.fakes.save(run.fakes)
        files.write_json(run.path / "config.json", stamps | config.model_dump(mode="json"))
    except OSError as error:
        raise cannot_write(run.path, error) from error


def check_fits(run: Run, config: Config[Any, Any], dataset: Dataset) -> None:
    """Check that a run may go on with this configuration and these pictures.

    Raises:
        UserError: naming the keys that differ, or the other data set.
    """
    before = stored_config(run.config(), str(run.path / "config.json"))
    fixed = [key for key in differing_keys(before, config) if key not in FREE_ON_RESUME]
    if fixed:
        raise UserError(
            f"{run.path} was trained with other values of {', '.join(fixed)}; "
            "go on without changing them, or start a new run."
        )
    if run.data()["digest"] != dataset.digest:
        raise UserError(
            f"{run.path} was trained on other pictures ({run.data()['source']}) than those in "
            f"{dataset.source}; start a new run for these."
        )


def note_settings(run: Run, config: Config[Any, Any]) -> None:
    """Write what the run goes on with, such as a longer budget, into its `config.json`."""
    stored, settings = run.config(), config.model_dump(mode="json")
    if stored | settings != stored:
        files.write_json(run.path / "config.json", stored | settings)
