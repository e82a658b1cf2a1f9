"""What a family of networks is: the answers to four questions that the training step asks.

A family is a module in this folder with two configuration sections and the four functions of
`Family`. The step never asks which family it trains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from morelike.config import Config, Section
from morelike.rng import Draws


class Networks(NamedTuple):
    """The two players."""

    generator: nn.Module
    discriminator: Any
    """What the family's own terms ask of it; `models.discriminator.Discriminator` for most."""


@runtime_checkable
class MultiScale(Protocol):
    """A generator that also gives its pictures at each resolution on the way."""

    def scales(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """(B, C, H, W) in [-1, 1] for each resolution, the smallest first."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A network that keeps running values of what its own terms observed."""

    def remember(self, observed: Mapping[str, Tensor]) -> None:
        """Take the terms of an update, by name: each the mean over the batch and all processes."""
        ...


OVERFIT = "overfit"
"""The observation by which the probability of augmentation is moved, where that is asked for: how
far D is ahead, from -1 to 1."""


@runtime_checkable
class Mapped(Protocol):
    """A generator with a space W between its latents and its pictures (Karras et al. 2019)."""

    def mapping(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents (B, latent) and, where there is one, the condition (B, K) -> w (B, D)."""
        ...

    def synthesis(self, w: Tensor, noise: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [-1, 1] of w (B, D), or of one for each layer (B, layers, D),
        and noise (B, N), the last of the generator's inputs.
        """
        ...

    def centre(self) -> Tensor:
        """The mean of w over many latents, (D,)."""
        ...


@runtime_checkable
class FromPictures(Protocol):
    """A generator that makes a picture of another one, of any size (`tasks/`)."""

    stride: int
    """Height and width of its input must be multiples of this."""
    reach: int
    """How many pixels of the input, to each side, can have an influence on what a pixel becomes: so
    much context makes a tile the same as that part of the whole."""

    def __call__(self, given: Tensor) -> Tensor:
        """(B, c, h, w) -> (B, C, scale * h, scale * w) in [-1, 1]."""
        ...


Inputs = tuple[Tensor, ...]
"""What a generator is called with: `generator(*inputs)`."""


@dataclass(frozen=True)
class Batch:
    """What one update is computed from, or one part of it."""

    real: Tensor
    """(B, C, H, W) in [-1, 1]"""
    inputs: Inputs
    """What the generator is fed, for B pictures."""
    draws: Draws
    """Random numbers of this update, for B pictures."""
    condition: Tensor | None = None
    """(B, K), what each real picture shows (`conditions.py`); the generated ones are made for the
    same. With a task: (B, c, h, w), what each real picture is to be made from."""
    augmentation: Tensor | None = None
    """With which probability pictures are augmented now, a scalar; None where the configuration
    says it."""
    kept: dict[str, tuple[Tensor, ...]] | None = None
    """What D's update leaves for G's of the same step, where that has the same inputs: what G made,
    by name."""
    unpaired: Tensor | None = None
    """With a task that has such: (n, c, h, w), more inputs, of which nobody knows the real
    picture."""


class Term(NamedTuple):
    """One summand of an objective.

    `function` gives a scalar and is only called when the term is due. A term of weight 0 is
    observed and logged, and moves nothing. A term with `every` = n is applied in each n-th step
    with n times its weight (lazy regularisation, Karras et al. 2020, section 3.1).
    """

    name: str
    weight: float
    function: Callable[[], Tensor]
    every: int = 1


class Family(Protocol):
    """The four questions. Each file in `models/` answers them as a module."""

    @property
    def GeneratorConfig(self) -> type[Section]:  # noqa: N802
        """The `generator` section of the configuration."""
        ...

    @property
    def DiscriminatorConfig(self) -> type[Section]:  # noqa: N802
        """The `discriminator` section of the configuration."""
        ...

    def build(self, config: Config[Any, Any]) -> Networks:
        """1. Build the networks for this data, initialised from torch's global generator."""
        ...

    def inputs(
        self, config: Config[Any, Any], draws: Draws, condition: Tensor | None = None
    ) -> Inputs:
        """2. Draw what the generator is fed for `draws.count` pictures, of these conditions: labels
        and attributes (B, K), or with a task the pictures (B, c, h, w) to start from.
        """
        ...

    def discriminator_terms(
        self, config: Config[Any, Any], networks: Networks, batch: Batch
    ) -> list[Term]:
        """3. The discriminator's objective on this batch."""
        ...

    def generator_terms(
        self, config: Config[Any, Any], networks: Networks, batch: Batch
    ) -> list[Term]:
        """4. The generator's objective on this batch."""
        ...
