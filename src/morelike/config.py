"""The configuration: frozen, checked, complete.

A recipe is a small TOML file with some of these keys; everything it leaves out has the default
written here. `generator` and `discriminator` are the sections that belong to the family of
networks, so their types come from its file in `models/` (see `models.configure`).
"""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from morelike.errors import UserError, nearest

RESOLUTIONS = (16, 32, 64, 128, 256)


class Section(BaseModel):
    """A part of the configuration: frozen, and no key is accepted that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """Which pictures the networks see."""

    resolution: int = 64
    """Side of the square pictures, in pixels: 16, 32, 64, 128 or 256."""
    channels: Literal[1, 3, 4] = 3
    """1 gray, 3 RGB (transparency laid on white), 4 RGBA."""
    mirror: bool = False
    """Show each picture mirrored half of the time. Wrong for letters and for things that face one
    way."""
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of the pictures kept away from training (at least 8), to measure with."""

    @field_validator("resolution")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value not in RESOLUTIONS:
            raise ValueError(f"must be one of {', '.join(map(str, RESOLUTIONS))}, not {value}")
        return value


class ObjectiveConfig(Section):
    """What the two networks play for (`losses.py`)."""

    loss: Literal["minimax", "non_saturating", "least_squares", "hinge"] = "non_saturating"
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """One-sided: the target for real pictures is 1 - label_smoothing (Salimans et al. 2016)."""
    joint_batch: bool = False
    """Show D real and generated pictures in one batch, so that batch norm takes its statistics
    from both and D cannot tell them apart by these. Off: one after the other, as the DCGAN authors
    did."""

    @model_validator(mode="after")
    def _smoothing_needs_targets(self) -> ObjectiveConfig:
        if self.loss == "hinge" and self.label_smoothing:
            raise ValueError(
                "label_smoothing has no meaning for the hinge loss, which has no target labels"
            )
        return self


class AdamConfig(Section):
    """Adam (Kingma & Ba 2015) for one network."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-4
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8


class OptimizerConfig(Section):
    """How each network moves."""

    generator: AdamConfig = AdamConfig()
    discriminator: AdamConfig = AdamConfig()


class AugmentConfig(Section):
    """What is done to every picture, real or generated, before the discriminator sees it
    (`augment.py`).
    """

    policy: tuple[Literal["color", "translation", "cutout"], ...] = ()
    translation: Annotated[float, Field(gt=0, le=0.5)] = 0.125
    """Largest shift, as a share of the side."""
    cutout: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Side of the square cut out, as a share of the side."""


class TrainingConfig(Section):
    """The loop around the step."""

    batch: Annotated[int, Field(ge=1, le=2**20)] = 64
    """Pictures per step, over all processes."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    images: Annotated[int, Field(ge=1)] = 2_000_000
    """Stop after this many real pictures shown: a batch per step, repeats counted, however many
    updates the discriminator makes in a step."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Stop after this many minutes of training, if that comes first."""
    discriminator_steps: Annotated[int, Field(ge=1, le=100)] = 1
    """Discriminator updates per generator update (k of Goodfellow et al. 2014)."""
    accumulation: Annotated[int, Field(ge=1)] = 1
    """Split each batch into this many parts, one after another, to save memory."""
    ema_half_life: Annotated[float, Field(ge=0)] = 10_000
    """Pictures after which a weight counts half in the averaged generator; 0 turns it off."""
    ema_warmup: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Early on, the half-life is at most this share of the pictures seen so far."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    log_every: Annotated[int, Field(ge=1)] = 20
    """Steps between two records in metrics.jsonl."""
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 1.0
    keep: Annotated[int, Field(ge=1)] = 3
    """How many of the last checkpoints are kept; the best one is kept besides."""

    @model_validator(mode="after")
    def _parts_divide_the_batch(self) -> TrainingConfig:
        if self.batch % self.accumulation:
            raise ValueError(f"accumulation {self.accumulation} must divide batch {self.batch}")
        return self


G = TypeVar("G", bound=Section)
D = TypeVar("D", bound=Section)

FREE_ON_RESUME = frozenset(
    f"training.{key}"
    for key in ("images", "minutes", "device", "log_every", "checkpoint_minutes", "keep")
)
"""Keys that may change when a run goes on: they do not change what a step computes."""


class Config(Section, Generic[G, D]):
    """A whole configuration; G and D are the family's own sections."""

    family: str = "dcgan"
    data: DataConfig = DataConfig()
    generator: G
    discriminator: D
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()


def read_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML `text` that came from `where`.

    Raises:
        UserError: if it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where} is not valid TOML: {error}.") from error


def parse_assignment(text: str) -> dict[str, Any]:
    """`section.key=value` as a nested mapping; the value is TOML, or else plain text.

    >>> parse_assignment("training.batch=32")
    {'training': {'batch': 32}}

    Raises:
        UserError: if there is no `=` or no key.
    """
    name, sign, value = text.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not sign or not all(keys):
        raise UserError(f"'{text}' is not of the form section.key=value, as in training.batch=32.")
    try:
        parsed: Any = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for key in reversed(keys):
        parsed = {key: parsed}
    return parsed


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings laid over each other, later ones on top."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            if isinstance(below, Mapping) and isinstance(value, Mapping):
                value = merge(below, value)
            result[key] = value
    return result


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def differing_keys(one: Section, other: Section) -> list[str]:
    """Dotted names of the keys on which two configurations disagree."""
    a, b = flatten(one.model_dump(mode="json")), flatten(other.model_dump(mode="json"))
    return sorted(key for key in a.keys() | b.keys() if a.get(key, ...) != b.get(key, ...))


def validate(model: type[Config[Any, Any]], values: Mapping[str, Any], where: str) -> Config:
    """Check `values` against `model`.

    Raises:
        UserError: one sentence naming each wrong key, why, and the nearest known one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        complaints = "; ".join(_complaints(model, error))
        raise UserError(f"{where}: {complaints}.") from None


def _complaints(model: type[BaseModel], error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        location = [str(part) for part in problem["loc"]]
        name = ".".join(location) or "configuration"
        if problem["type"] == "extra_forbidden":
            section = _section_at(model, location[:-1])
            known = section.model_fields if section else ()
            yield f"unknown key '{name}', {nearest(location[-1], known)}"
        elif problem["type"] == "value_error":
            yield f"{name}: {problem.get('ctx', {}).get('error', problem['msg'])}"
        else:
            message = problem["msg"].removeprefix("Input ")
            yield f"{name} {message} (got {problem['input']!r})"


def _section_at(model: type[BaseModel], path: Iterable[str]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for key in path:
        if current is None or key not in current.model_fields:
            return None
        annotation = current.model_fields[key].annotation
        options = [annotation]
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            options = list(typing.get_args(annotation))
        current = next(
            (o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None
        )
    return current
