"""Recipes: small TOML files, one an experiment, that a person can print, edit and pass back."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from morelike.errors import UserError, nearest


class Recipe(NamedTuple):
    """Some settings under a name."""

    name: str
    text: str

    @property
    def title(self) -> str:
        """The first comment line."""
        first = self.text.split("\n", 1)[0]
        return first.removeprefix("#").strip() if first.startswith("#") else ""

    def values(self) -> dict[str, Any]:
        """The settings as nested mappings.

        Raises:
            UserError: if the text is not TOML.
        """
        from morelike.settings import read_toml  # loads pydantic, which --help need not wait for

        return read_toml(self.text, f"recipe {self.name}")


def names() -> list[str]:
    """The recipes that come with morelike."""
    found = resources.files(__name__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in found if f.name.endswith(".toml"))


def find(name: str) -> Recipe:
    """A recipe by its name, or from a TOML file.

    Raises:
        UserError: if there is neither; the nearest name is given.
    """
    if name in names():
        text = resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return Recipe(name, text)
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        try:
            return Recipe(path.stem, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the recipe file {name} cannot be read: {error}.") from error
    raise UserError(f"there is no recipe '{name}'; {nearest(name, names())}.")
