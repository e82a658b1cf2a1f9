"""The spaces that a generator's pictures lie in, z and w where there is one, and their points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from morelike.errors import UserError
from morelike.models.family import Inputs, Mapped


class Points(NamedTuple):
    """Points of a space, and what else the generator is fed beside each."""

    values: Tensor
    """(N, D)"""
    rest: tuple[Tensor, ...]
    """Conditions (N, K) where there are any, noise (N, M) where there is any."""

    def rows(self, rows: Any) -> Points:
        """Some of them: a slice, or indices."""
        return Points(self.values[rows], tuple(part[rows] for part in self.rest))

    def at(self, values: Tensor) -> Points:
        """The same pictures elsewhere in the space: all but `values` (N, D) stays."""
        return Points(values, self.rest)


def joined(parts: Sequence[Points]) -> Points:
    """All of them in one."""
    rest = zip(*(part.rest for part in parts), strict=True)
    return Points(torch.cat([part.values for part in parts]), tuple(torch.cat(r) for r in rest))


class Space(Protocol):
    """A space of a generator. Gradients flow from pictures to points."""

    @property
    def name(self) -> str:
        """Its letter: z or w."""
        ...

    @property
    def network(self) -> Any:
        """The generator."""
        ...

    def points(self, inputs: Inputs) -> Points:
        """Where the generator's inputs lie."""
        ...

    def pictures(self, points: Points) -> Tensor:
        """(N, C, H, W) in [-1, 1]"""
        ...


@dataclass(frozen=True)
class Latents:
    """z: what is drawn for each picture, with InfoGAN's codes at its end."""

    network: nn.Module
    name = "z"

    def points(self, inputs: Inputs) -> Points:
        """The latents are the first of the inputs."""
        return Points(inputs[0], inputs[1:])

    def pictures(self, points: Points) -> Tensor:
        """(N, C, H, W) in [-1, 1]"""
        return self.network(points.values, *points.rest)


@dataclass(frozen=True)
class Styles:
    """w: what a mapping network makes of latents and condition (Karras et al. 2019)."""

    network: Any
    """`Mapped`."""
    name = "w"

    def points(self, inputs: Inputs) -> Points:
        """The mapping network is run once."""
        latents, *condition, noise = inputs
        return Points(self.network.mapping(latents, *condition), (noise,))

    def pictures(self, points: Points) -> Tensor:
        """(N, C, H, W) in [-1, 1]"""
        return self.network.synthesis(points.values, *points.rest)

    def truncated(self, points: Points, psi: float) -> Points:
        """W' = mean + psi (w - mean) (Karras et al. 2019, appendix B)."""
        mean = self.network.centre().expand_as(points.values)
        return points.at(torch.lerp(mean, points.values, psi))


def space_of(network: nn.Module, name: str | None = None) -> Latents | Styles:
    """A generator's space of that name; without, w if there is one, else z.

    Raises:
        UserError: if it has no such space.
    """
    known = ("z", "w") if isinstance(network, Mapped) else ("z",)
    if name is not None and name not in known:
        raise UserError(
            "the generator has no space w, which only the family style has; use z."
            if name == "w"
            else f"there is no space '{name}'; use {' or '.join(known)}."
        )
    return Styles(network) if (name or known[-1]) == "w" else Latents(network)
