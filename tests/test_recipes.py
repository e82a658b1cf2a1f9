from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from morelike import recipes
from morelike.api import settle, train
from morelike.cli.console import overrides
from morelike.errors import UserError
from morelike.models import configure
from morelike.settings import flatten

NAMES = recipes.names()


def test_the_recipes_are_there() -> None:
    assert {"bicycles", "roses-dcgan"} <= set(NAMES)
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_valid_and_has_a_title(name: str) -> None:
    recipe = recipes.find(name)
    assert recipe.name == name
    assert recipe.text.startswith("# ")
    assert len(recipe.title) > 10
    assert not recipe.title.startswith("#")
    assert recipe.text.endswith("\n")
    assert max(map(len, recipe.text.splitlines())) <= 100
    config = configure(recipe.values(), name)
    # What the file says is what the configuration has.
    resolved = flatten(config.model_dump(mode="json"))
    for key, value in flatten(recipe.values()).items():
        assert resolved[key] == value


def test_no_two_recipes_have_one_title() -> None:
    titles = [recipes.find(name).title for name in NAMES]
    assert len(set(titles)) == len(titles)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, write_pictures: Any) -> Path:
    """Pictures of two kinds, large enough to cut patches from."""
    root = tmp_path_factory.mktemp("kinds")
    for first, kind in enumerate(("one", "other")):
        write_pictures(root / kind, 10, first=10 * first, width=72, height=72)
    return root


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_trains(
    name: str, folders: Path, tmp_path: Path, tiny_options: list[str]
) -> None:
    settings: dict[str, Any] = overrides(tiny_options[1::2])
    known = configure(recipes.find(name).values()).model_dump()
    for player in ("generator", "discriminator"):  # not every family has a size of that name
        settings[player] = {k: v for k, v in settings[player].items() if k in known[player]}
    run = train(folders, name, out=tmp_path, **settings)
    assert run.name == f"00001-{name}"
    assert run.config()["recipe"] == name
    last = run.metrics()[-1]
    assert (last["images"], last["step"]) == (16, 2)
    assert [checkpoint.images for checkpoint in run.checkpoints.all()] == [0, 16]
    asked = flatten(recipes.find(name).values()).keys() - flatten(settings).keys()
    stored, wanted = flatten(run.config()), flatten(recipes.find(name).values())
    assert {key: stored[key] for key in asked} == {key: wanted[key] for key in asked}


def named_settings(name: str) -> list[str]:
    """What the commands in a recipe's comments set."""
    commands = "\n".join(re.findall(r"^#     (.*)", recipes.find(name).text, re.MULTILINE))
    words = shlex.split(commands)
    return [word for flag, word in itertools.pairwise(words) if flag == "--set"]


@pytest.mark.parametrize("name", [name for name in NAMES if named_settings(name)])
def test_what_a_recipe_suggests_to_set_fits_folders_of_kinds(name: str, folders: Path) -> None:
    asked = named_settings(name)
    job = settle(folders, name, None, None, overrides(asked))
    stored = flatten(job.config.model_dump(mode="json"))
    assert all(stored[key] == value for key, value in flatten(overrides(asked)).items())


def test_a_file_is_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("# Käse\n[training]\nbatch = 3\n", encoding="utf-8")
    recipe = recipes.find(str(tmp_path / "mine.toml"))
    assert (recipe.name, recipe.title) == ("mine", "Käse")
    assert recipe.values() == {"training": {"batch": 3}}
    (tmp_path / "other").write_text("")
    other = recipes.find(str(tmp_path / "other"))
    assert (other.name, other.title, other.values()) == ("other", "", {})


def test_an_unknown_recipe_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recipe 'rose-dcgan'; the nearest is 'roses-dcgan'"):
        recipes.find("rose-dcgan")
    with pytest.raises(UserError, match=r"no recipe 'zzzzzz'; known: bicycles, "):
        recipes.find("zzzzzz")
    with pytest.raises(UserError, match=r"recipe file .*nowhere\.toml cannot be read"):
        recipes.find(str(tmp_path / "nowhere.toml"))


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[training\n")
    with pytest.raises(UserError, match="recipe bad is not valid TOML"):
        recipes.find(str(tmp_path / "bad.toml")).values()
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        recipes.find(str(tmp_path / "bytes.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        recipes.find(str(tmp_path / "folder.toml"))
