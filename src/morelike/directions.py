"""Named directions of a generator's space, as they lie on the disk: a smile, a colour, a wheel.

`directions.safetensors` holds a vector (D,) for each name, `directions.json` what is known about
each. A step of 1 is one standard deviation of what seeds have along it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from morelike import files
from morelike.checkpoint import DamagedCheckpoint, read_tensors, save_tensors
from morelike.errors import UserError, nearest

FACTS, VECTORS = "directions.json", "directions.safetensors"


@dataclass(frozen=True)
class Direction:
    """One direction."""

    name: str
    kind: str
    """How it was found: sefa, pca, label, attribute or code."""
    vector: Tensor
    """(D,) float32"""
    facts: Mapping[str, Any]
    """What was measured of it, ready for JSON."""


@dataclass(frozen=True)
class Directions:
    """All directions of one state of a generator."""

    space: str
    """z or w."""
    checkpoint: str
    """Which state they were found in."""
    by_name: Mapping[str, Direction]

    def along(self, moves: Mapping[str, float]) -> Tensor:
        """(D,), the sum of so many steps along each.

        Raises:
            UserError: if there is no such direction.
        """
        parts = []
        for name, steps in moves.items():
            if name not in self.by_name:
                raise UserError(f"there is no direction '{name}'; {nearest(name, self.by_name)}.")
            parts.append(steps * self.by_name[name].vector)
        return torch.stack(parts).sum(0)

    def facts(self) -> dict[str, Any]:
        """All but the vectors, ready for JSON."""
        return {
            "space": self.space,
            "checkpoint": self.checkpoint,
            "directions": [
                {"name": one.name, "kind": one.kind, **one.facts} for one in self.by_name.values()
            ],
        }


def write_vectors(folder: Path, directions: Directions) -> None:
    """Write the vectors into a folder that is there; the facts belong beside them, in
    `directions.json`.
    """
    temporary = folder / f".{VECTORS}"
    save_tensors(temporary, {name: one.vector.float() for name, one in directions.by_name.items()})
    temporary.replace(folder / VECTORS)


def read_directions(folder: Path) -> Directions:
    """The directions in a folder.

    Raises:
        UserError: if there are none, or the files are damaged.
    """
    try:
        facts, vectors = files.read_json(folder / FACTS), read_tensors(folder / VECTORS)
        found = {
            one["name"]: Direction(
                one["name"],
                one["kind"],
                vectors[one["name"]],
                {key: value for key, value in one.items() if key not in ("name", "kind")},
            )
            for one in facts["directions"]
        }
        return Directions(facts["space"], facts["checkpoint"], found)
    except FileNotFoundError:
        raise UserError(
            f"no directions are known in {folder.parent.parent}; find some with `morelike explore "
            f"directions {folder.parent.parent}`."
        ) from None
    except (OSError, ValueError, LookupError, TypeError, DamagedCheckpoint) as error:
        raise UserError(f"the directions in {folder} cannot be read; find them again.") from error
