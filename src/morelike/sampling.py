"""Pictures from a trained generator: a sample depends on its seed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import torch
from PIL import Image
from torch import nn

from morelike import files, pictures
from morelike.checkpoint import DamagedCheckpoint, read_tensors
from morelike.conditions import drawn
from morelike.config import Config
from morelike.devices import autocast, pick_device, pick_precision
from morelike.directions import Directions, read_directions
from morelike.errors import UserError
from morelike.models import configure, family
from morelike.models.family import Mapped
from morelike.rng import SeedDraws
from morelike.runs import is_run, open_run
from morelike.seeds import check_seeds
from morelike.space import Styles, space_of

CHUNKS = {"cpu": 32, "cuda": 256, "mps": 64}
"""Pictures are always made in batches of exactly so many on each kind of device, the last one
filled up. Kernels may round differently for batches of different sizes, so this is what makes a
sample the same bytes alone and in company."""

FROM_PICTURES = 8
"""Pictures that go together through a generator which starts from pictures."""

DIRECTIONS = Path("explore", "directions")
"""Where a folder's named directions are."""

STAMPS = frozenset({"schema", "versions", "recipe", "why"})
"""Keys of a stored configuration that are not settings."""

LICENCE_NOTE = (
    "Made by a generative model. What may be done with this picture can depend on the rights in "
    "the pictures that the model was trained on; see the model card."
)


class Wish(NamedTuple):
    """What is asked for besides seeds; what is not, each seed decides."""

    truncation: float | None = None
    """Latent values beyond this bound are drawn again; with a space W, the share that is left of
    the way from its mean."""
    labels: Mapping[str, float] | None = None
    """What all pictures are to show; several labels are mixed by their shares."""
    attributes: Mapping[str, float] | None = None
    """The same, by attributes, in their own units."""
    moves: Mapping[str, float] | None = None
    """How many steps all pictures are moved along named directions."""


@torch.no_grad()
def generate(
    config: Config[Any, Any],
    generator: nn.Module,
    seeds: Sequence[int],
    device: torch.device,
    wish: Wish = Wish(),  # noqa: B008
    precision: str = "fp32",
    along: torch.Tensor | None = None,
) -> Iterator[np.ndarray]:
    """Pictures for `seeds`, in order, in chunks of (n, H, W, C) uint8, all moved `along` (D,) in
    the generator's space if that is given.

    The generator runs in evaluation mode, and in `precision`, whatever it was trained in; its mode
    is put back afterwards.
    """
    make, wish = _making(generator, wish, along)
    for inputs, count in drawn_inputs(config, seeds, device, wish):
        was_training = generator.training
        generator.eval()
        try:
            with autocast(device, precision):
                made = make(*inputs)
        finally:
            generator.train(was_training)
        yield pictures.to_uint8(made)[:count]


def _making(
    generator: nn.Module, wish: Wish, along: torch.Tensor | None
) -> tuple[Callable[..., torch.Tensor], Wish]:
    """What makes pictures of inputs, and what is left to wish for these."""
    space, psi = space_of(generator), wish.truncation
    if isinstance(space, Styles):
        wish = wish._replace(truncation=None)
    elif along is None:
        return generator, wish

    def make(*inputs: torch.Tensor) -> torch.Tensor:
        points = space.points(inputs)
        if isinstance(space, Styles) and psi is not None:
            points = space.truncated(points, psi)
        if along is not None:
            points = points.at(points.values + along)
        return space.pictures(points)

    return make, wish


def drawn_inputs(
    config: Config[Any, Any], seeds: Sequence[int], device: torch.device, wish: Wish
) -> Iterator[tuple[tuple[torch.Tensor, ...], int]]:
    """What the generator is fed for `seeds`, a chunk at a time, and how many of it are meant."""
    chosen = family(config.family)
    size = CHUNKS[device.type]
    for start in range(0, len(seeds), size):
        part = list(seeds[start : start + size])
        draws = SeedDraws(part + [0] * (size - len(part)), device, wish.truncation)
        condition = drawn(config.condition, draws, wish.labels, wish.attributes)
        yield chosen.inputs(config, draws, condition), len(part)


@torch.no_grad()
def made_from(
    generator: nn.Module, inputs: torch.Tensor, device: torch.device, precision: str = "fp32"
) -> Iterator[np.ndarray]:
    """What a generator that starts from pictures makes of `inputs` (N, c, h, w) in [-1, 1], in
    order, in chunks of (n, H, W, C) uint8; for the rest as `generate`.
    """
    was_training = generator.training
    for some in inputs.split(FROM_PICTURES):
        generator.eval()
        try:
            with autocast(device, precision):
                made = generator(some.to(device))
        finally:
            generator.train(was_training)
        yield pictures.to_uint8(made)


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator that was loaded from a run or from a shared generator folder."""

    config: Config[Any, Any]
    network: nn.Module
    device: torch.device
    precision: str
    """fp32 or bf16: what its layers compute in."""
    name: str
    """The run it comes from."""
    checkpoint: str
    """Which of its states: images seen, and whether weights are averaged or raw."""
    notices: tuple[str, ...] = ()
    """What a person should know about how it was found, such as a damaged checkpoint."""
    home: Path | None = None
    """The folder that it was loaded from."""

    @overload
    def sample(
        self,
        seeds: Iterable[int],
        *,
        truncation: float | None = ...,
        label: str | Mapping[str, float] | None = ...,
        attributes: Mapping[str, float] | None = ...,
        move: Mapping[str, float] | None = ...,
        as_pil: Literal[False] = ...,
    ) -> np.ndarray: ...
    @overload
    def sample(
        self,
        seeds: Iterable[int],
        *,
        truncation: float | None = ...,
        label: str | Mapping[str, float] | None = ...,
        attributes: Mapping[str, float] | None = ...,
        move: Mapping[str, float] | None = ...,
        as_pil: Literal[True],
    ) -> list[Image.Image]: ...

    def sample(
        self,
        seeds: Iterable[int],
        *,
        truncation: float | None = None,
        label: str | Mapping[str, float] | None = None,
        attributes: Mapping[str, float] | None = None,
        move: Mapping[str, float] | None = None,
        as_pil: bool = False,
    ) -> np.ndarray | list[Image.Image]:
        """Make one picture per seed.

        Args:
            seeds: whole numbers from 0 to 2**63 - 1; the same seed gives the same picture, alone
                or in any company.
            truncation: less variety, more typical. Of a generator with a space W (family style),
                w becomes mean + truncation * (w - mean), from 0, the mean picture of all seeds, to
                1, as without; of others, latent values beyond this bound, from 0.1 to 10, are drawn
                again.
            label: what all pictures show, where the generator was trained with labels: one, or
                several with the shares in which they are mixed. Without, each seed has its own.
            attributes: the same, as values by name.
            move: steps along directions that `explore directions` found, by name; 1 is one standard
                deviation of what seeds have along it.
            as_pil: give Pillow images instead of an array.

        Returns:
            (N, H, W, C) uint8, or N Pillow images.

        Raises:
            UserError: for seeds or a truncation out of range, or labels or directions that it does
                not know.
        """
        labels = {label: 1.0} if isinstance(label, str) else label
        made = list(self.chunks(seeds, Wish(truncation, labels, attributes, move)))
        if as_pil:
            return [pictures.to_image(picture) for chunk in made for picture in chunk]
        return np.concatenate(made)

    def chunks(self, seeds: Iterable[int], wish: Wish = Wish()) -> Iterator[np.ndarray]:  # noqa: B008
        """The same, a few pictures at a time, so that any number fits the memory."""
        low, high = (0, 1) if isinstance(self.network, Mapped) else (0.1, 10)
        if wish.truncation is not None and not low <= wish.truncation <= high:
            raise UserError(
                f"truncation {wish.truncation} is out of range; use {low} to {high} with this "
                "generator."
            )
        along = self.directions().along(wish.moves).to(self.device) if wish.moves else None
        return generate(
            self.config, self.network, check_seeds(seeds), self.device, wish, self.precision, along
        )

    def directions(self) -> Directions:
        """What `explore directions` found for it.

        Raises:
            UserError: if nothing was found yet, or for another state of it.
        """
        if self.home is None:
            raise UserError("directions belong to a run or generator folder; load one.")
        found = read_directions(self.home / DIRECTIONS)
        if found.checkpoint != self.checkpoint:
            raise UserError(
                f"the directions in {self.home} were found for its state at {found.checkpoint}; "
                f"for {self.checkpoint} find them again with `morelike explore directions`."
            )
        return found

    def notes(self, seed: int, wish: Wish = Wish()) -> dict[str, str]:  # noqa: B008
        """What the PNG of one sample says about itself."""
        notes = {"run": self.name, "checkpoint": self.checkpoint, "seed": str(seed)}
        if wish.truncation is not None:
            notes["truncation"] = str(wish.truncation)
        asked_for = {"label": wish.labels, "attributes": wish.attributes, "move": wish.moves}
        for name, asked in asked_for.items():
            if asked:
                notes[name] = ", ".join(f"{key}={value:g}" for key, value in asked.items())
        return {"Software": "morelike", **notes, "licence": LICENCE_NOTE}


def load(
    path: str | Path,
    checkpoint: str | int = "best",
    *,
    raw: bool = False,
    device: str = "auto",
    precision: str = "fp32",
    from_pictures: bool = False,
) -> TrainedGenerator:
    """Load the generator of a run folder, or of a `generator` folder that somebody shared.

    Args:
        path: either folder.
        checkpoint: "best", "latest" or a number of images seen; for run folders only.
        raw: take the weights as they were trained instead of their running average.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: fp32, bf16 (two to three times as fast where the hardware has it, colours differ
            by a level here and there), or auto for the faster.
        from_pictures: load one that makes its pictures from other pictures (`morelike enhance`),
            not from seeds.

    Raises:
        UserError: if the folder holds no usable generator, or one of the other kind.
    """
    found = _loaded(Path(path), checkpoint, raw, device, precision)
    task = found.config.task.name
    if task and not from_pictures:
        raise UserError(
            f"{path} makes pictures from pictures ({task}) and knows no seeds; use "
            f"`morelike enhance apply {path} PICTURES`, or name a run that `morelike train` made."
        )
    if from_pictures and not task:
        raise UserError(
            f"{path} makes pictures from seeds, not from pictures; name a run that "
            "`morelike enhance train` or `morelike translate train` made."
        )
    return found


def _loaded(
    path: Path, checkpoint: str | int, raw: bool, device: str, precision: str
) -> TrainedGenerator:
    if precision not in ("auto", "fp32", "bf16"):
        raise UserError(f"'{precision}' is no precision; use auto, fp32 or bf16.")
    target = pick_device(device)
    computing = pick_precision(precision, target)
    if is_run(path):
        return replace(_from_run(path, str(checkpoint), raw, target), precision=computing)
    if (path / "model.safetensors").is_file():
        if raw or checkpoint not in ("best", "latest"):
            raise UserError(
                f"{path} is a shared generator with one set of weights; "
                "--checkpoint and --raw need the whole run folder."
            )
        return replace(_from_shared(path, target), precision=computing)
    raise UserError(f"{path} is neither a run folder nor a generator folder.")


def stored_config(values: dict[str, Any], where: str) -> Config[Any, Any]:
    """The configuration inside a `config.json`.

    Raises:
        UserError: if it does not fit this version of morelike.
    """
    config = configure({k: v for k, v in values.items() if k not in STAMPS}, where)
    if config.data.channels == "auto":
        raise UserError(f"{where} is incomplete: it does not say how many channels pictures have.")
    return config


def _from_run(path: Path, which: str, raw: bool, device: torch.device) -> TrainedGenerator:
    run = open_run(path)
    config = stored_config(run.config(), str(path / "config.json"))
    checkpoint, notices = run.checkpoints.find(which)
    weights = checkpoint.tensors("generator." if raw else "ema.", str(device))
    network = _build(config, weights, device, str(checkpoint.path))
    stamp = f"{checkpoint.images} images, {'raw' if raw else 'averaged'} weights"
    return TrainedGenerator(config, network, device, "fp32", run.name, stamp, tuple(notices), path)


def _from_shared(path: Path, device: torch.device) -> TrainedGenerator:
    try:
        values = files.read_json(path / "config.json")
        weights = read_tensors(path / "model.safetensors", device=str(device))
    except (OSError, ValueError, DamagedCheckpoint) as error:
        raise UserError(f"{path} is not a usable generator folder: {error}.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path / 'config.json'} does not hold a configuration.")
    origin = values.pop("origin", None)
    origin = origin if isinstance(origin, dict) else {}
    config = stored_config(values, str(path / "config.json"))
    network = _build(config, weights, device, str(path))
    name, stamp = str(origin.get("run", path.name)), str(origin.get("checkpoint", "unknown"))
    return TrainedGenerator(config, network, device, "fp32", name, stamp, home=path)


def _build(
    config: Config[Any, Any], weights: dict[str, torch.Tensor], device: torch.device, where: str
) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # initial weights must not disturb anybody's numbers
        network = family(config.family).build(config).generator
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"the weights in {where} do not fit its configuration.") from error
    network.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network.eval().requires_grad_(False)
