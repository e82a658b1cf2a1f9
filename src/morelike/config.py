"""The configuration: frozen, checked, complete.

A recipe is a small TOML file with some of these keys; everything it leaves out has the default
written here. `generator` and `discriminator` are the sections that belong to the family of
networks, so their types come from its file in `models/` (see `models.configure`).
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

RESOLUTIONS = (16, 32, 64, 128, 256)
Adaptive = Literal[
    "mirror",
    "quarter_turns",
    "integer_translation",
    "scaling",
    "rotation",
    "anisotropic_scaling",
    "fractional_translation",
    "brightness",
    "contrast",
    "luma_flip",
    "hue",
    "saturation",
]
ADAPTIVE = get_args(Adaptive)
"""What "ada" stands for in `augment.policy`: all that is applied with a probability only."""
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
    lecam: Annotated[float, Field(ge=0)] = 0.0
    """lambda of LeCam: on how far logits of real pictures are from the running mean of those of
    generated ones, and the other way round; its authors take 0.01 to 0.3."""
    lecam_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """How much of these means stays in an update of D."""
    every: Annotated[int, Field(ge=1, le=1024)] = 1
    """Apply the gradient penalties only in each n-th step, with n times their weight."""
    difference: Annotated[float, Field(gt=0, le=1)] | None = None
    """Take R1 and R2 from how much D's answer changes when each value of a picture moves by this
    much, up or down by chance, and not from exact gradients: cheaper, and not quite the same."""
    ramp: Ramp = Ramp()
    """How the weights move."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """After each update, move D's weights into [-clip, clip] (Arjovsky et al. 2017: 0.01)."""

    @property
    def of_gradients(self) -> bool:
        """Whether any of them looks at the gradient of single pictures."""
        return any((self.r1, self.r2, self.one_centered, self.zero_centered))

    @model_validator(mode="after")
    def _differences_of_something(self) -> PenaltyConfig:
        if self.difference and not (self.r1 or self.r2):
            raise ValueError(
                "difference is how r1 and r2 are taken, and both of them are 0; set one"
            )
        return self


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
    beta2_ramp: Ramp = Ramp()
    """How beta2 of both moves; it has to stay below 1."""

    @model_validator(mode="after")
    def _means_have_an_end(self) -> OptimizerConfig:
        to = self.beta2_ramp.to
        for name, player in (("generator", self.generator), ("discriminator", self.discriminator)):
            if player.beta2 * to >= 1:
                raise ValueError(
                    f"beta2_ramp.to = {to:g} makes {name}.beta2 = {player.beta2:g} "
                    f"{player.beta2 * to:g}, which has to stay below 1; take less than "
                    f"{1 / player.beta2:.6g}"
                )
        return self


class AugmentConfig(Section):
    """What is done to every picture, real or generated, before the discriminator sees it
    (`augment.py`).
    """

    policy: tuple[Literal["color", "translation", "cutout", Adaptive], ...] = ()
    """The first three are differentiable augmentation (Zhao et al. 2020); the others, for all of
    which "ada" stands, adaptive discriminator augmentation (Karras et al. 2020)."""
    translation: Annotated[float, Field(gt=0, le=0.5)] = 0.125
    """Largest shift by whole pixels, as a share of the side."""
    cutout: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Side of the square cut out, as a share of the side."""
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    """With which each change is made to each picture."""
    target: Annotated[float, Field(gt=0, lt=1)] | None = None
    """How far D may be ahead before the probability, which then begins at 0, rises: the mean sign
    of its answer to real pictures, 0.6 in the paper; where its answers have no zero, by how much
    more pairs it ranks right than wrong."""
    most: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """The probability never rises above this; beyond it, changes begin to leak."""
    adjust_images: Annotated[int, Field(ge=1)] = 100_000
    """Pictures shown in which the probability could go from 0 to 1. The paper's 500,000 are for
    runs of 25 million; ten minutes on a CPU show a tenth of a million or two."""

    @property
    def always(self) -> bool:
        """Whether each change is made to each picture, with nothing left to chance."""
        return self.target is None and self.probability == 1

    @property
    def start(self) -> float:
        """The probability in the first step."""
        return self.probability if self.target is None else 0.0

    @field_validator("policy", mode="before")
    @classmethod
    def _ada_is_all_of_it(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or "ada" not in value:
            return value
        named = [part for part in value if part != "ada"]
        return [*named, *(name for name in ADAPTIVE if name not in named)]

    @model_validator(mode="after")
    def _a_probability_that_does_not_leak(self) -> AugmentConfig:
        adaptive = [name for name in self.policy if name in ADAPTIVE]
        if self.target is not None and self.probability != 1:
            raise ValueError(
                f"the probability is moved with the target {self.target:g}, and "
                f"{self.probability:g} means nothing; leave one of probability and target out"
            )
        if self.target is not None and not self.policy:
            raise ValueError("there is nothing to apply with a target; name changes in policy")
        if self.target is None and adaptive and self.probability > self.most:
            raise ValueError(
                f"{adaptive[0]} with the probability {self.probability:g} shows in what is made; "
                f"set target, as target=0.6, or a probability of at most {self.most:g} (most)"
            )
        return self


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
    same_fakes: bool = False
    """Update G on the very pictures that D was just shown, as tutorials do, instead of on new ones:
    in each step G makes one batch less."""
    accumulation: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Split each batch into this many parts, one after another, to save memory; auto: into as many
    as the free memory asks for when a run begins, with one process."""
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
    features: Annotated[str, Field(pattern="^(random|inception|dinov2|timm:.+)$")] = "random"
    """The network whose features say, at checkpoints, how near samples are to real pictures, and so
    which checkpoint is best (`morelike.features`). All but random, which was never trained and
    minds contrast more than shapes, need a file of weights."""
    features_weights: str | None = None
    """The file of that network's weights."""
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 1.0
    keep: Annotated[int, Field(ge=1)] = 3
    """How many of the last checkpoints are kept; the best one is kept besides."""
    history: bool = True
    """Keep the first checkpoint since each doubling of the images, too, so that one can look back
    (`morelike explore observatory`, `timelapse`): some four to ten of them."""

    @model_validator(mode="after")
    def _parts_divide_the_batch(self) -> TrainingConfig:
        if self.batch % self.parts:
            raise ValueError(f"accumulation {self.parts} must divide batch {self.batch}")
        return self

    @property
    def parts(self) -> int:
        """Into how many parts each batch is split, as far as is known."""
        return 1 if self.accumulation == "auto" else self.accumulation


class TaskConfig(Section):
    """What pictures are made from, where that is another picture. The task is x -> (input(x), x),
    so any folder gives its own pairs (`tasks/`).
    """

    name: Literal[
        "",
        "enlarge:2",
        "enlarge:4",
        "enlarge:8",
        "colorize",
        "from-edges",
        "inpaint",
        "deblur",
        "pairs",
    ] = ""
    """From a smaller picture, from gray, from an edge map, from a picture with holes, from a
    blurred one; pairs: from the other picture of each pair of `pairs:DIR_A,DIR_B`. Empty: from
    chance."""
    crop: Annotated[int, Field(ge=8)] | None = None
    """Side of the squares that are cut at random out of the pictures in training, in pixels of the
    output; without, whole pictures."""
    downscale: Literal["area", "bicubic", "lanczos"] = "lanczos"
    """The filter by which inputs of enlarge are made smaller."""
    degrade: tuple[Literal["blur", "noise", "jpeg"], ...] = ()
    """What is done to each input besides, in this order, each as strongly as chance has it."""
    fakes: str | None = None
    """A run or generator folder whose samples enlarge is to do well on."""
    like_fakes: Annotated[float, Field(ge=0, le=1)] = 0.75
    """With `fakes`: the share of inputs that are filtered and made noisy as its samples are, beside
    real pictures; each as strongly as chance has it."""

    @property
    def scale(self) -> int:
        """Pixels of the output for one of the input, on a side."""
        return int(self.name.partition(":")[2] or 1)

    @model_validator(mode="after")
    def _fits_the_task(self) -> TaskConfig:
        if self.fakes is not None and self.scale == 1:
            raise ValueError(
                "fakes are small pictures that enlarge is to do well on; name one of the tasks "
                "enlarge:2, enlarge:4 and enlarge:8, or leave fakes out"
            )
        if self.degrade and self.name not in ("enlarge:2", "enlarge:4", "enlarge:8", "deblur"):
            raise ValueError(
                f"degrade has no meaning for the task {self.name or 'of making pictures by chance'}"
                "; leave it out"
            )
        if self.crop is not None and self.crop % self.scale:
            raise ValueError(f"crop {self.crop} must be a multiple of {self.scale}")
        return self


G = TypeVar("G", bound=Section)
D = TypeVar("D", bound=Section)

FREE_ON_RESUME = frozenset(
    f"training.{key}"
    for key in (
        "images",
        "minutes",
        "device",
        "log_every",
        "features",
        "features_weights",
        "checkpoint_minutes",
        "keep",
        "history",
    )
)
"""Keys that may change when a run goes on: they do not change what a step computes."""


class Config(Section, Generic[G, D]):
    """A whole configuration; G and D are the family's own sections."""

    family: str = "dcgan"
    data: DataConfig = DataConfig()
    generator: G
    discriminator: D
    condition: ConditionConfig = ConditionConfig()
    task: TaskConfig = TaskConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    penalty: PenaltyConfig = PenaltyConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
