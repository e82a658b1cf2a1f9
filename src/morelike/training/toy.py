"""Training on points in the plane, whose truth is known: what tells objectives apart.

The step, the families, the objectives and the penalties are those that pictures are trained with. A
point is a picture of two channels and one pixel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from morelike.config import Config, DataConfig
from morelike.data.points import EDGES, LIMIT, Points
from morelike.distributed import World
from morelike.errors import TrainingFailure, UserError
from morelike.metrics.modes import high_quality_share, modes_found, total_variation
from morelike.models import Batch, Networks, check_playable, configure, family
from morelike.rng import StepDraws, rng
from morelike.settings import merge
from morelike.training.feed import Shown
from morelike.training.schedule import is_frame
from morelike.training.state import State
from morelike.training.step import NotFinite, step

SAMPLES = 10_000
"""What the figures are measured on."""
RECORDS = 40
"""How often they are measured in a training."""
FAMILIES = ("mlp",)
"""Which families take vectors."""

PLAYERS = ("generator", "discriminator")


def _moves(**settings: Any) -> dict[str, Any]:
    """The optimizer's section in which both players move alike."""
    return {"optimizer": dict.fromkeys(PLAYERS, settings)}


BASE: dict[str, Any] = merge(
    {
        # Where a layer of G is leaky, it folds the plane less sharply, and a fifth of the samples
        # are left on the way from mode to mode.
        "generator": {"width": 128, "layers": 2, "latent": 8, "activation": "relu"},
        "discriminator": {"width": 128, "layers": 2},
        "data": {"channels": 1, "mirror": False},
        "training": {"batch": 128, "device": "cpu", "precision": "fp32", "ema_half_life": 50_000},
        # Without momentum there is less circling, and a rate that falls to 0 ends the rest of it.
        "optimizer": {"ramp": {"to": 0.0, "shape": "cosine"}},
    },
    _moves(learning_rate=5e-3, beta1=0.0, beta2=0.9),
)
STEPS = 5000


class PointData(DataConfig):
    """Points (x, y) as pictures of two channels and one pixel."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(2, 1, 1)."""
        return 2, 1, 1


class PointFeed:
    """Endless real points, a function of the seed and of how many were shown before."""

    def __init__(self, points: Points, config: Config[Any, Any], device: torch.device) -> None:
        self.points, self.seed, self.device = points, config.training.seed, device

    def batch(self, start: int, draws: StepDraws) -> Tensor:
        """The rows that `draws` is for, of the batch that begins after `start` points were shown.

        Returns:
            (draws.count, 2, 1, 1), about in [-1, 1].
        """
        whole = self.points.sample(rng(self.seed, start, "points"), draws.batch)
        chosen = torch.from_numpy(whole[draws.start : draws.stop]).to(self.device, draws.dtype)
        return chosen[:, :, None, None]

    def shown(self, start: int, draws: StepDraws) -> Shown:
        """The same, and what they show: nothing, of each point (draws.count, 0)."""
        nothing = torch.zeros(draws.count, 0, device=self.device, dtype=draws.dtype)
        return Shown(self.batch(start, draws), nothing)


class Choice(NamedTuple):
    """Settings that are good for an objective, and how many steps they need."""

    settings: dict[str, Any] = {}  # noqa: RUF012
    steps: int = STEPS


SETTINGS: dict[str, Choice] = {
    "non_saturating": Choice({"penalty": {"r1": 0.1}}, steps=8000),
    "least_squares": Choice({"penalty": {"r1": 0.1}}, steps=6000),
    "relativistic": Choice({"penalty": {"r1": 0.1, "r2": 0.1}}, steps=3500),
    "relativistic_average": Choice({"penalty": {"r1": 0.1, "r2": 0.1}}),
    "relativistic_average_hinge": Choice({"penalty": {"r1": 0.1, "r2": 0.1}}),
    # As Miyato et al. 2018: D's Lipschitz constant is held at about 1 by its layers.
    "hinge": Choice({"discriminator": {"spectral_norm": True}}),
    # Gulrajani et al. 2017 take 10 for pictures, and in their code 0.1 for toys: held to a norm of
    # 1, the critic is too smooth to lead to modes this narrow.
    "wasserstein": Choice(
        {"penalty": {"one_centered": 0.1}, "training": {"discriminator_steps": 3}}, steps=4000
    ),
    # No norm is asked for, and a single critic step is enough.
    "wasserstein+zero_centered": Choice({"penalty": {"zero_centered": 0.1}}, steps=6000),
    # Arjovsky et al. 2017, algorithm 1. Their limit and rates, 0.01 and 5e-5, are for pictures.
    # RMSprop's first step is 1 / sqrt(1 - beta2) times the rate: with a beta2 of 0.99, some seeds
    # do not recover.
    "wasserstein+clip": Choice(
        merge(
            {"penalty": {"clip": 0.3}, "training": {"discriminator_steps": 5}},
            _moves(method="rmsprop", learning_rate=3e-3),
            {"optimizer": {"discriminator": {"learning_rate": 1e-3}}},
        ),
        steps=4000,
    ),
    # As it was first written down, with Adam as it comes but for a rate of 2e-3: no penalty, no
    # average, no falling rate. It hurries from mode to mode, and shows what the rest is for.
    "minimax": Choice(
        merge(
            {"training": {"ema_half_life": 0.0}, "optimizer": {"ramp": {"to": 1.0}}},
            _moves(learning_rate=2e-3, beta1=0.9, beta2=0.999),
        ),
        steps=2000,
    ),
}
"""What goes with an objective, or with an objective and the penalties behind it."""


def settle(
    objective: str = "non_saturating",
    penalties: Mapping[str, Any] | None = None,
    values: Mapping[str, Any] | None = None,
    *,
    family_name: str = "mlp",
    steps: int | None = None,
    seed: int = 0,
) -> Config[Any, Any]:
    """The configuration for an objective and its penalties, with what `SETTINGS` knows of them.

    Args:
        objective: a name of `losses.LOSSES`.
        penalties: weights by name, as in the `penalty` section; None takes those of `SETTINGS`, and
            any, even none at all, take their place.
        values: other settings, nested, on top of all.
        family_name: of the networks.
        steps: generator updates, over which the learning rates also fall.
        seed: of all randomness.

    Raises:
        UserError: for settings that do not exist or do not fit, or a family that takes no points.
    """
    if family_name not in FAMILIES:
        raise UserError(
            f"the family {family_name} takes pictures, not points; take {' or '.join(FAMILIES)}."
        )
    values = values or {}
    chosen = _known(objective, penalties)
    over = {"family": family_name, "objective": {"loss": objective}, "training": {"seed": seed}}
    merged = merge(BASE, chosen.settings, {"penalty": penalties or {}}, over, values)
    batch = merged["training"]["batch"]
    images = (steps or chosen.steps) * batch if isinstance(batch, int) else 1
    shown = {"training": {"images": images}, "optimizer": {"ramp": {"images": images}}}
    config = configure(merge(merged, shown, values), "toy")
    config = config.model_copy(update={"data": PointData(**config.data.model_dump())})
    check_playable(config)
    return config


def _known(objective: str, penalties: Mapping[str, Any] | None) -> Choice:
    if penalties is None:
        return SETTINGS.get(objective, Choice())
    pair = "+".join([objective, *sorted(name for name, weight in penalties.items() if weight)])
    if pair in SETTINGS:
        return SETTINGS[pair]
    choice = SETTINGS.get(objective, Choice())
    rest = {name: section for name, section in choice.settings.items() if name != "penalty"}
    return choice._replace(settings=rest)


class Scene(NamedTuple):
    """What there is to see between two steps."""

    steps: int
    samples: np.ndarray
    """Of the averaged generator, (N, 2)."""
    field: np.ndarray
    """D's logits over the plane, (rows from below, columns)."""
    starts: np.ndarray
    """Samples of the generator as it is, (A, 2)."""
    arrows: np.ndarray
    """-dL/dx there, (A, 2): where G is told to move each."""


Watch = Callable[[Scene], None]
Report = Callable[[dict[str, Any]], None]


def train(
    points: Points,
    config: Config[Any, Any],
    watch: Watch | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Train on the points from beginning to end.

    Args:
        points: the real ones.
        config: from `settle`.
        watch: is given a `Scene` before the first step, ever more rarely after it, and at the end.
        report: is given each record of the history.

    Returns:
        `modes_found` and `modes_total` (None where there are no modes), `high_quality_share`,
        `total_variation` (metrics/modes.py), `steps`, `seconds` (in steps), `objective`, and
        `history`: the same figures and the losses over time.

    Raises:
        TrainingFailure: if a loss becomes NaN or infinite.
    """
    device = torch.device("cpu")  # such small networks are slower anywhere else
    state, chosen = State(config, device), family(config.family)
    feed, truth = PointFeed(points, config, device), points.masses()
    steps = -(-config.training.images // config.training.batch)
    history: list[dict[str, Any]] = []
    metrics: dict[str, Tensor] = {}
    for number in range(steps + 1):
        if number % max(1, steps // RECORDS) == 0 or number == steps:
            losses = {key: value.item() for key, value in metrics.items() if key in LOSS_KEYS}
            made = sample(state, config)
            history.append({"steps": number, **measure(points, truth, made), **losses})
            if report:
                report(history[-1])
        if watch and (is_frame(number) or number == steps):
            watch(look(state, config, feed, number))
        if number < steps:
            begun = time.perf_counter()
            try:
                metrics = step(state, chosen, config, feed, World())  # pyright: ignore[reportArgumentType]
            except NotFinite as error:
                raise TrainingFailure(
                    f"{error}; try a lower --set optimizer.{error.player}.learning_rate."
                ) from error
            state.seconds += time.perf_counter() - begun
    final = measure(points, truth, sample(state, config))
    seconds, objective = round(state.seconds, 2), config.objective.loss
    return {**final, "steps": steps, "seconds": seconds, "objective": objective, "history": history}


LOSS_KEYS = ("loss_generator", "loss_discriminator")


def measure(points: Points, truth: np.ndarray, samples: np.ndarray) -> dict[str, Any]:
    """The figures of samples (N, 2) beside the truth in bins."""
    at = samples, points.centres, points.sigma
    return {
        "modes_found": modes_found(*at) if points.modes else None,
        "modes_total": points.modes,
        "high_quality_share": round(high_quality_share(*at), 4),
        "total_variation": round(total_variation(samples, truth, EDGES), 4),
    }


@torch.no_grad()
def sample(state: State, config: Config[Any, Any], count: int = SAMPLES) -> np.ndarray:
    """Samples of the averaged generator, (count, 2), always of the same latents."""
    inputs = family(config.family).inputs(config, _draws(state, config, count))
    return state.ema(*inputs).flatten(1).double().numpy()


def _draws(state: State, config: Config[Any, Any], count: int) -> StepDraws:
    return StepDraws(config.training.seed, 0, "look", count, 0, count, state.device, state.dtype)


class _Given(nn.Module):
    """A generator that makes these points, whatever it is fed."""

    def __init__(self, points: Tensor) -> None:
        super().__init__()
        self.points = points

    def forward(self, *inputs: Tensor) -> Tensor:
        """The points."""
        return self.points


FIELD, ARROWS, SHOWN = 64, 80, 1500
"""D is asked at FIELD x FIELD places; so many arrows and samples are shown."""


def look(state: State, config: Config[Any, Any], feed: PointFeed, steps: int) -> Scene:
    """What there is to see after so many steps, without moving anything."""
    discriminator, chosen = state.networks.discriminator, family(config.family)
    axis = (torch.arange(FIELD, dtype=state.dtype) + 0.5) / FIELD * 2 * LIMIT - LIMIT
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    places = torch.stack([x, y], dim=-1).reshape(-1, 2, 1, 1)
    draws = _draws(state, config, ARROWS)
    inputs = chosen.inputs(config, draws)
    discriminator.eval()  # looking must not move what it keeps, such as spectral norm's vectors
    with torch.no_grad():
        field = discriminator(places).reshape(FIELD, FIELD)
        at = state.networks.generator(*inputs)
    at.requires_grad_(True)
    batch = Batch(feed.batch(0, draws), inputs, draws)
    terms = chosen.generator_terms(config, Networks(_Given(at), discriminator), batch)
    total = torch.stack([term.weight * term.function() for term in terms if term.weight]).sum()
    (gradient,) = torch.autograd.grad(total, at)
    discriminator.train()
    starts, arrows = (t.detach().flatten(1).double().numpy() for t in (at, -ARROWS * gradient))
    return Scene(steps, sample(state, config, SHOWN), field.double().numpy(), starts, arrows)
