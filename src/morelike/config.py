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

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from morelike.errors import UserError, nearest

RESOLUTIONS = (16, 32, 64, 128, 256)
WITH_TARGETS = frozenset({"minimax", "non_saturating", "least_squares"})
"""Losses with labels 0 and 1, which can be smoothed."""


class Section(BaseModel):
    """A part of the configuration: frozen, and no key is accepted that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """Which pictures the networks see, and how they are made ready (`data/`)."""

    width: Annotated[int, Field(ge=1)] | None = None
    """Width of the pictures, where they are not square."""
    resolution: int = 64
    """Side of the square pictures, in pixels: 16, 32, 64, 128 or 256. The height, if `width` is
    given; the shorter side is then one of these, the longer one a multiple of its quarter."""
    channels: Literal["auto", 1, 3, 4] = "auto"
    """1 gray, 3 RGB (transparency laid on `matte`), 4 RGBA; auto: gray if every picture is."""
    matte: Annotated[str, Field(pattern="^(white|black|gray|#[0-9a-fA-F]{6})$")] = "white"
    """The colour behind transparent pictures: white, black, gray or #rrggbb."""
    crop: Literal["auto", "center", "pad", "fit", "smart"] = "auto"
    """How a picture of another shape is made to fit: its center, the whole of it with its border's
    colour beside it (pad), squeezed (fit), or its most detailed part (smart). auto: pad where a
    center crop would cut what stands on a plain background, else center."""
    mirror: Literal["auto"] | bool = "auto"
    """Show each picture mirrored half of the time. Wrong for letters and for things that face one
    way; auto: only if the pictures are measured to look the same mirrored."""
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of the pictures kept away from training (at least 8), to measure with; a source that
    brings its own split keeps it, unless this is 0."""
    labels: Literal["auto", "none", "folders", "metadata"] = "auto"
    """Where labels come from: the names of the first folders, or metadata.csv, metadata.jsonl or
    dataset.json; auto: the file, if there is one."""
    dedup: Literal["none", "exact", "near"] = "exact"
    """Which copies are left out: those of equal pixels, or also those that were resized,
    recompressed, mirrored or slightly cropped."""
    background: Literal["any", "plain", "white"] = "any"
    """Keep only pictures whose border is of one colour, or white."""
    drop: tuple[Literal["blank", "blurred", "framed", "enlarged"], ...] = ()
    """What is left out besides: nearly blank or blurred pictures, those with a frame or bars, those
    smaller than the target."""
    drop_outliers: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Leave out this share of the pictures, those least like the others."""
    min_side: Annotated[int, Field(ge=0)] = 0
    """Leave out pictures whose shorter side has fewer pixels."""
    face: Literal["any", "left", "right"] = "any"
    """Mirror the pictures that face the other way than most, so that all face this way."""
    patches: tuple[Annotated[int, Field(ge=8, le=8192)], ...] = ()
    """Cut every picture into squares of these sides, in its own pixels."""
    stride: Annotated[int, Field(ge=1)] | None = None
    """From one patch to the next, in pixels of the smallest patch; half its side if not given."""
    patch_rotations: bool = False
    """Add each patch turned by 90, 180 and 270 degrees."""
    patch_mirrors: bool = False
    """Add each patch mirrored."""
    every: Annotated[float, Field(gt=0)] = 1.0
    """Take a frame of a video after each so many seconds."""
    most_rejected: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Stop if a greater share of the files cannot be used."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return self.resolution, self.width or self.resolution

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures, once `channels` is settled."""
        assert self.channels != "auto", "the channels are settled by the pictures"
        return self.channels, *self.size

    @field_validator("resolution")
    @classmethod
    def _sizes_that_networks_can_double(cls, value: int, info: ValidationInfo) -> int:
        width = info.data.get("width")
        short, long = sorted((value, width or value))
        if short not in RESOLUTIONS:
            which = "" if width is None else f"or the width {width} beside it "
            raise ValueError(
                f"{which}must be one of {', '.join(map(str, RESOLUTIONS))}, not {value}"
            )
        if long % (short // 4) or long > 4 * short:
            raise ValueError(
                f"{value} and the width {width} do not fit: beside {short}, the other side must be "
                f"a multiple of {short // 4} up to {4 * short}"
            )
        return value


class ObjectiveConfig(Section):
    """What the two networks play for (`losses.py`)."""

    loss: Literal[
        "minimax",
        "non_saturating",
        "least_squares",
        "hinge",
        "wasserstein",
        "relativistic",
        "relativistic_average",
        "relativistic_average_hinge",
    ] = "non_saturating"
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """One-sided: the target for real pictures is 1 - label_smoothing (Salimans et al. 2016)."""
    joint_batch: bool = False
    """Show D real and generated pictures in one batch, so that batch norm takes its statistics
    from both and D cannot tell them apart by these. Off: one after the other, as the DCGAN authors
    did."""
    feature_matching: Annotated[float, Field(ge=0)] = 0.0
    """Weight of how far the mean features of D, on generated pictures, are from those on real ones,
    which G is to make small (Salimans et al. 2016, section 3.1)."""

    @model_validator(mode="after")
    def _smoothing_needs_targets(self) -> ObjectiveConfig:
        if self.label_smoothing and self.loss not in WITH_TARGETS:
            raise ValueError(
                f"label_smoothing has no meaning for the {self.loss} loss, which has no target "
                "labels; set objective.label_smoothing=0"
            )
        return self


class ConditionConfig(Section):
    """What pictures are made for besides chance: their label, their attributes, or nothing
    (`conditions.py`).
    """

    on: tuple[str, ...] = ()
    """"label", names of attributes that are numbers, or both; by default nothing."""
    generator: Literal["input", "norm"] = "input"
    """Where G is told: beside the latents (Mirza & Osindero 2014), or by the gains and shifts of
    its batch norm (Dumoulin et al. 2017)."""
    projection: bool = True
    """Whether D's logit gets the inner product of its features with the condition's (Miyato &
    Koyama 2018)."""
    auxiliary: Annotated[float, Field(ge=0)] = 0.0
    """Weight with which D and G also want D to name the condition (Odena et al. 2017)."""
    classes: dict[str, Annotated[float, Field(gt=0)]] = {}
    """The labels, each with its share of the pictures; settled by the pictures."""
    ranges: dict[str, tuple[float, float]] = {}
    """The attributes, each with its smallest and largest value; settled by the pictures."""

    @field_validator("ranges")
    @classmethod
    def _ranges_have_a_length(
        cls, value: dict[str, tuple[float, float]]
    ) -> dict[str, tuple[float, float]]:
        for name, (low, high) in value.items():
            if not low < high:
                raise ValueError(f"the range of {name} goes from {low} to {high}")
        return value

    @property
    def size(self) -> int:
        """How many numbers tell the condition of one picture, once it is settled."""
        return len(self.classes) + len(self.ranges)

    @property
    def input_size(self) -> int:
        """How many of them stand beside G's latents."""
        return self.size if self.generator == "input" else 0

    @property
    def norm_size(self) -> int:
        """How many of them decide over the gains and shifts of G's batch norm."""
        return self.size if self.generator == "norm" else 0

    @model_validator(mode="after")
    def _the_discriminator_must_know(self) -> ConditionConfig:
        if self.on and not (self.projection or self.auxiliary):
            raise ValueError(
                "without projection and with auxiliary = 0 the discriminator never learns of the "
                "condition, and G may ignore it; set one of them"
            )
        return self


class Ramp(Section):
    """How a setting moves while training: from its own value to `to` times it."""

    to: Annotated[float, Field(ge=0)] = 1.0
    images: Annotated[int, Field(ge=1)] | None = None
    """Pictures shown until it is there."""
    start: Annotated[int, Field(ge=0)] = 0
    """Pictures shown before it begins to move."""
    shape: Literal["linear", "cosine"] = "linear"

    @model_validator(mode="after")
    def _has_an_end(self) -> Ramp:
        if self.to != 1 and self.images is None:
            raise ValueError(f"to = {self.to:g} is never reached without images; give them too")
        return self


class PenaltyConfig(Section):
    """What keeps the discriminator smooth (`penalties.py`); each key is a weight, 0 is none."""

    r1: Annotated[float, Field(ge=0)] = 0.0
    """gamma of R1: half of it times the squared gradient on real pictures."""
    r2: Annotated[float, Field(ge=0)] = 0.0
    """The same on generated pictures."""
    one_centered: Annotated[float, Field(ge=0)] = 0.0
    """lambda of WGAN-GP, on pictures between real and generated ones; its authors take 10."""
    zero_centered: Annotated[float, Field(ge=0)] = 0.0
    """The same towards 0 instead of 1."""
    drift: Annotated[float, Field(ge=0)] = 0.0
    """On the squared logits of real pictures; 0.001 in progressive GANs."""
    consistency: Annotated[float, Field(ge=0)] = 0.0
    """On how much D's answer to a real picture changes when that is shifted and mirrored."""
    every: Annotated[int, Field(ge=1, le=1024)] = 1
    """Apply the gradient penalties only in each n-th step, with n times their weight."""
    ramp: Ramp = Ramp()
    """How the weights move."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """After each update, move D's weights into [-clip, clip] (Arjovsky et al. 2017: 0.01)."""

    @property
    def of_gradients(self) -> bool:
        """Whether any of them looks at the gradient of single pictures."""
        return any((self.r1, self.r2, self.one_centered, self.zero_centered))


class MethodConfig(Section):
    """How one network moves: Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) or RMSprop
    (Tieleman & Hinton 2012).
    """

    method: Literal["adam", "adamw", "rmsprop"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-4
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """How slowly the mean of squared gradients moves; RMSprop's alpha."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """AdamW's; the others have none."""

    @model_validator(mode="after")
    def _only_adamw_decays(self) -> MethodConfig:
        if self.weight_decay and self.method != "adamw":
            raise ValueError(f"weight_decay needs the method adamw, not {self.method}")
        return self


class OptimizerConfig(Section):
    """How each network moves."""

    generator: MethodConfig = MethodConfig()
    discriminator: MethodConfig = MethodConfig()
    warmup: Annotated[int, Field(ge=0)] = 0
    """Pictures shown until the learning rates have grown from 0 to their values."""
    ramp: Ramp = Ramp()
    """How the learning rates move after that."""


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
    discriminator_burst: Annotated[int, Field(ge=0, le=1000)] = 0
    """As many instead in each of the first 25 steps, and in every 500th (Arjovsky et al. 2017:
    100); 0 is off."""
    accumulation: Annotated[int, Field(ge=1)] = 1
    """Split each batch into this many parts, one after another, to save memory."""
    ema_half_life: Annotated[float, Field(ge=0)] = 10_000
    """Pictures after which a weight counts half in the averaged generator; 0 turns it off."""
    ema_warmup: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Early on, the half-life is at most this share of the pictures seen so far."""
    ema_ramp: Ramp = Ramp()
    """How the half-life moves."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    log_every: Annotated[int, Field(ge=1)] = 20
    """Steps between two records in metrics.jsonl."""
    stop_when: tuple[Literal["copying", "collapsed", "stalled", "diverged"], ...] = ()
    """End the run early if two readings in a row say one of these; the best checkpoint is kept."""
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
    condition: ConditionConfig = ConditionConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    penalty: PenaltyConfig = PenaltyConfig()
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


S = TypeVar("S", bound=Section)


def validate(model: type[S], values: Mapping[str, Any], where: str) -> S:
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
