"""What the command line does, as functions: `morelike.train`, `morelike.plan`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from morelike import conditions, recipes
from morelike.config import FREE_ON_RESUME, Config, DataConfig
from morelike.data import Dataset, open_dataset, open_source, prepare
from morelike.data.dataset import is_prepared
from morelike.data.mirroring import may_be_mirrored
from morelike.data.scan import Progress
from morelike.data.sides import usual_side
from morelike.data.sources import pairs
from morelike.data.spread import spread_of
from morelike.distributed import World, world
from morelike.errors import UserError
from morelike.ingest import short_name
from morelike.models import check_playable, configure
from morelike.recipes.choice import Situation, choose, usual_resolution
from morelike.runs import Run, create_run, is_run, open_run
from morelike.sampling import stored_config
from morelike.settings import differing_keys, merge
from morelike.training import loop
from morelike.training.fakes import fakes_of
from morelike.training.plan import Plan, make_plan
from morelike.training.probe import check_features
from morelike.training.profile import Profile, make_profile
from morelike.training.records import Reader
from morelike.training.resume import begin, check_fits, resolve

SHORT = ("images", "minutes", "seed", "device", "precision", "batch", "stop_when")
"""Keys of the `training` section that may be given without naming it."""


class Job(NamedTuple):
    """A training that is settled and checked, but not begun."""

    config: Config[Any, Any]
    dataset: Dataset
    name: str
    """What a new run folder is called after its number."""
    recipe: str | None
    resumed: Run | None
    why: str | None = None
    """One paragraph, where the recipe was chosen for the pictures."""


def train(
    source: str | os.PathLike[str] | None = None,
    recipe: str | None = None,
    *,
    out: str | os.PathLike[str] = "runs",
    run: str | os.PathLike[str] | None = None,
    readers: Sequence[Reader] = (),
    progress: Progress | None = None,
    **overrides: Any,
) -> Run:
    """Train a generator on the pictures of `source`.

    Args:
        source: a folder of pictures, or anything else that `prepare` takes, or what it made; may
            be left out when a run goes on.
        recipe: the name of a recipe or the path of a TOML file; for a new run without one it is
            chosen by the pictures, the device and the minutes (`recipes/choice.py`), or, where a
            `family` is named, is the recipe of that name.
        out: the folder in which a numbered run folder is made.
        run: train in exactly this folder; if it holds a run, go on with it.
        readers: who is told about records, pictures and messages (`training/records.py`).
        progress: told about the preparation of the pictures, as (done, total or None).
        **overrides: settings over those of the recipe: whole sections, as in
            `training={"batch": 32}`, or images, minutes, seed, device, precision, batch, stop_when
            alone.

    Returns:
        The run folder.

    Raises:
        UserError: for anything that a person can mend.
        TrainingFailure: if training could not go on.
        Interrupted: after Ctrl-C, with the state saved.
    """
    with world() as here:
        job = settle(source, recipe, run, progress, overrides)
        target = open_folder(job, here, out, run)
        loop.train(target, job.config, job.dataset, readers, here)
    return target


def plan(
    source: str | os.PathLike[str] | None = None,
    recipe: str | None = None,
    *,
    run: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> Plan:
    """What `train` would do with the same arguments: sizes, memory, speed, time. Writes no run."""
    job = settle(source, recipe, run, progress, overrides)
    return make_plan(job.config, job.dataset, job.why)


def profile(
    source: str | os.PathLike[str] | None = None,
    recipe: str | None = None,
    *,
    run: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> Profile:
    """Where the time goes when `train` is called with the same arguments. Writes no run."""
    job = settle(source, recipe, run, progress, overrides)
    return make_profile(job.config, job.dataset)


def settle(
    source: str | os.PathLike[str] | None,
    recipe: str | None,
    run: str | os.PathLike[str] | None,
    progress: Progress | None,
    overrides: Mapping[str, Any],
) -> Job:
    """Bring recipe, overrides, an earlier run and the pictures together and check them.

    Raises:
        UserError: for anything that does not fit.
    """
    resumed = open_run(run) if run is not None and is_run(Path(run)) else None
    given = _sections(overrides)
    has_task = given.get("task", {}).get("name")
    if recipe is None and resumed is None and not has_task and "family" not in given:
        return _chosen(source, given, progress)
    wanted = recipe or (_usual_recipe(given) if resumed is None else None)
    chosen = recipes.find(wanted) if wanted else None
    layers = [chosen.values() if chosen else {}, given]
    if resumed is not None:
        stored = stored_config(resumed.config(), str(resumed.path)).model_dump(mode="json")
        # With a recipe, every key that it leaves out means its default, and is compared as that;
        # what "auto" once meant is part of the run.
        kept = {"training": {"precision": stored["training"]["precision"]}} if chosen else stored
        layers.insert(0, kept)
        source = source if source is not None else resumed.data()["source"]
    where = f"recipe {chosen.name}" if recipe and chosen else "settings"
    values = _with_room_for_pairs(merge(*layers))
    config, _ = resolve(configure(values, where))
    _check_pairs(config, _named(source))
    dataset = _pictures(_named(source), config.data, values.get("data", {}), progress)
    config = _settled(config, dataset)
    if config.task.fakes is not None:
        dataset = replace(dataset, fakes=fakes_of(config, dataset, resumed))
    if resumed is not None:
        check_fits(resumed, config, dataset)
    settings = chosen.name if chosen else None
    name = chosen.name if chosen and recipe else f"{short_name(dataset.source)}-{config.family}"
    return Job(config, dataset, name, settings, resumed)


def _chosen(
    source: str | os.PathLike[str] | None, given: Mapping[str, Any], progress: Progress | None
) -> Job:
    """A new run for which nobody named a recipe, nor a family."""
    asked = given.get("data", {})
    # What is wrong is said before the pictures are made ready. The networks are not known yet.
    no_networks = {**given, "generator": {}, "discriminator": {}}
    early, device = resolve(configure(no_networks, "settings"))
    settings = early.data
    source = _named(source)
    _check_pairs(early, source)
    if not is_prepared(Path(source)) and not {"resolution", "width", "patches"} & set(asked):
        side = usual_side(open_source(source, settings), settings)
        settings = settings.model_copy(update={"resolution": usual_resolution(side)})
    dataset = _pictures(source, settings, asked, progress)
    height, width = dataset.settings.size
    images = given.get("training", {}).get("images")
    minutes = early.training.minutes
    situation = Situation(
        len(dataset.train), height, width, device.type, minutes, images, spread_of(dataset)
    )
    choice = choose(situation)
    found = recipes.find(choice.recipe)
    data = {**asked, **dataset.settings.model_dump(include={"resolution", "width"})}
    usual = merge(found.values(), choice.settings, {"data": data})
    wanted = configure(merge(usual, given), "settings")
    config = _settled(resolve(wanted)[0], dataset)
    why = choice.why
    if asked_for := _chosen_otherwise(configure(usual), wanted):
        why += f" You asked for other values of {', '.join(asked_for)}."
    name = f"{short_name(dataset.source)}-{config.family}"
    return Job(config, dataset, name, found.name, None, why)


def _chosen_otherwise(usual: Config[Any, Any], wanted: Config[Any, Any]) -> list[str]:
    """Keys that a person set to something else, of those that decide what is learnt."""
    other = {"training.seed", "training.precision", "training.stop_when"} | FREE_ON_RESUME
    return [key for key in differing_keys(usual, wanted) if key not in other]


def _usual_recipe(given: Mapping[str, Any]) -> str | None:
    """The recipe that is called like the family that is named, or is for the task, if there is
    one.
    """
    family, task = given.get("family"), given.get("task", {}).get("name")
    if task and family is None:
        return "enlarge" if task.startswith("enlarge") else "translate"
    return family if family in recipes.names() else None


def _with_room_for_pairs(values: dict[str, Any]) -> dict[str, Any]:
    """Two pictures beside one another are twice as wide as one."""
    data = values.get("data", {})
    if values.get("task", {}).get("name") != "pairs" or data.get("width") is not None:
        return values
    side = data.get("resolution", DataConfig().resolution)
    return merge(values, {"data": {"width": 2 * side}})


def _check_pairs(config: Config[Any, Any], source: str | os.PathLike[str]) -> None:
    is_pairs, wants_pairs = os.fspath(source).startswith(pairs.PREFIX), config.task.name == "pairs"
    if wants_pairs and not is_pairs and not is_prepared(Path(source)):
        raise UserError(
            f"the task pairs needs two folders, not {source}; give pairs:DIR_A,DIR_B, with what is "
            "given in the first and what it should become in the second."
        )
    if is_pairs and not wants_pairs:
        raise UserError(f"{source} holds pairs of pictures; train on it with the task pairs.")


def _named(source: str | os.PathLike[str] | None) -> str | os.PathLike[str]:
    if source is None:
        raise UserError("no pictures were named; give a folder, or toy:bicycles.")
    return source


def _pictures(
    source: str | os.PathLike[str],
    settings: DataConfig,
    asked: Mapping[str, Any],
    progress: Progress | None,
) -> Dataset:
    """The prepared data set that `source` is, or is made into under `settings`."""
    path = Path(source)
    if not is_prepared(path):
        return prepare(open_source(source, settings), settings, progress)
    dataset = open_dataset(path)
    for key in asked:
        wanted, found = getattr(settings, key), getattr(dataset.settings, key)
        if key != "mirror" and wanted not in ("auto", found):
            raise UserError(
                f"{path} was prepared with data.{key} = {found}, not {wanted}; prepare it again, "
                f"or train with --set data.{key}={found}."
            )
    return dataset


def _settled(config: Config[Any, Any], dataset: Dataset) -> Config[Any, Any]:
    """With all that was left to the pictures, and checked: mirroring only what is measured to look
    the same mirrored.
    """
    mirror = config.data.mirror
    if mirror == "auto":  # what the two of a pair may be is not measured
        mirror = config.task.name != "pairs" and may_be_mirrored(dataset)
    data = dataset.settings.model_copy(update={"mirror": mirror})
    condition = conditions.settled(config.condition, [dataset.manifest[i] for i in dataset.train])
    config = config.model_copy(update={"data": data, "condition": condition})
    check_playable(config)
    check_features(config)
    return config


def _sections(overrides: Mapping[str, Any]) -> dict[str, Any]:
    short = {key: value for key, value in overrides.items() if key in SHORT and value is not None}
    sections = {key: value for key, value in overrides.items() if key not in SHORT}
    return merge(sections, {"training": short} if short else {})


def open_folder(
    job: Job, here: World, out: str | os.PathLike[str], run: str | os.PathLike[str] | None
) -> Run:
    """The folder to train in, made by rank 0: the resumed one, the named one, or the next number.

    Raises:
        UserError: if it cannot be made.
    """
    path = ""
    if here.is_main:
        target = job.resumed
        if target is None:
            target = create_run(out, job.name) if run is None else _named_folder(Path(run))
            begin(target, job.config, job.dataset, job.recipe, job.why)
        path = str(target.path)
    return Run(Path(here.share_text(path)))


def _named_folder(path: Path) -> Run:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}.") from error
    if any(path.iterdir()):
        raise UserError(f"{path} is not a run folder and not empty; choose another.")
    return Run(path)
