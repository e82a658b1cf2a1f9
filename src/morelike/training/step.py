"""One training step: each player's update, then the average, whatever the family."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.profiler import record_function

from morelike.augment import EVERY, moved, read
from morelike.config import Config, MethodConfig
from morelike.devices import autocast
from morelike.distributed import World
from morelike.errors import UserError
from morelike.models import Batch, Family, Term
from morelike.models.family import OVERFIT, Remembering
from morelike.ramps import ramp, rate
from morelike.rng import StepDraws
from morelike.training.feed import Feed
from morelike.training.state import State

PARTS = ("update of D", "update of G", "average of G")
"""What a profiler is told of a step."""


class NotFinite(ArithmeticError):
    """A loss or a gradient became NaN or infinite; the weights were not touched by it."""

    def __init__(self, player: str, what: str, step: int) -> None:
        super().__init__(f"the {player}'s {what} became NaN or infinite in step {step}")
        self.player = player


def step(
    state: State, family: Family, config: Config[Any, Any], feed: Feed, world: World
) -> dict[str, Tensor]:
    """Update the discriminator k times and the generator once (Goodfellow et al. 2014, alg. 1).

    Returns:
        Scalars by name, on the device: `loss_generator`, `loss_discriminator` and every term.

    Raises:
        NotFinite: before any weight is changed by a NaN or an infinity.
    """
    metrics: dict[str, Tensor] = {}
    before = discriminator_updates(config, state.images)
    *earlier, last = (
        _Update("discriminator", f"discriminator.{turn}", (before + turn) * config.training.batch)
        for turn in range(discriminator_turns(config, state.images))
    )
    if config.training.same_fakes:
        last = last._replace(kept={})
        of_g = last._replace(player="generator")
    else:
        of_g = last._replace(player="generator", numbers="generator.0")
    with record_function(PARTS[0]):
        for update in (*earlier, last):
            metrics |= _take(update, state, family, config, feed, world)
    with record_function(PARTS[1]):
        metrics |= _take(of_g, state, family, config, feed, world)
    if state.control is not None:
        metrics["augment_probability"] = torch.tensor(state.control.probability)
        _move_augmentation(state, config)
    state.images += config.training.batch
    with record_function(PARTS[2]):
        update_average(state.ema, state.networks.generator, average_decay(config, state.images))
    return metrics


class _Update(NamedTuple):
    """One gradient step: whose, and on what."""

    player: str
    numbers: str
    """Which random numbers it takes."""
    shown: int
    """Real pictures shown before its batch begins."""
    kept: dict[int, dict[str, tuple[Tensor, ...]]] | None = None
    """What is kept of each part of the batch, by where it begins; None: nothing."""


def _take(
    update: _Update,
    state: State,
    family: Family,
    config: Config[Any, Any],
    feed: Feed,
    world: World,
) -> dict[str, Tensor]:
    """One player's gradient step."""
    player, keeps = update.player, update.kept is not None
    network: nn.Module = getattr(state.networks, player)
    if player not in state.optimizers:  # it has nothing to learn
        return {}
    for name, other in state.networks._asdict().items():
        # The opponent's gradients would be thrown away.
        other.requires_grad_(name == player or (name == "generator" and keeps))
    optimizer = state.optimizers[player]
    optimizer.zero_grad(set_to_none=True)
    number = state.images // config.training.batch
    terms_of: Callable[..., list[Term]] = getattr(family, f"{player}_terms")
    sums: dict[str, Tensor] = {}
    rows = len(world.rows(config.training.batch))
    for batch in _parts(update, state, family, config, feed, world):
        with _precision(config, state):
            terms = [t for t in terms_of(config, state.networks, batch) if number % t.every == 0]
            values = [(term, term.function()) for term in terms]
            weighted = [t.weight * t.every * v for t, v in values if t.weight]
            if not weighted:  # nothing is due in this step
                return {}
            total = torch.stack(weighted).sum()
        share = batch.draws.count / rows  # parts may differ in size by what does not divide
        (total * share).backward()
        shares = {f"{player}_{t.name}" if t.weight else t.name: v for t, v in values}
        for name, value in {f"loss_{player}": total, **shares}.items():
            sums[name] = sums.get(name, 0) + value.detach() * share
    world.average_gradients(network.parameters())
    sums[f"gradient_norm_{player}"] = gradient_norm(network)
    metrics = world.average(sums)
    for name in (f"loss_{player}", f"gradient_norm_{player}"):
        if not math.isfinite(metrics[name].item()):
            raise NotFinite(player, "loss" if name.startswith("loss") else "gradient", number + 1)
    set_pace(optimizer, player, config, state.images + config.training.batch)
    optimizer.step()
    if player == "discriminator":
        if config.penalty.clip is not None:
            clip_weights(network, config.penalty.clip)
        if state.control is not None:
            state.control = read(state.control, _lead(metrics, config))
    if isinstance(network, Remembering):
        network.remember(metrics)
    return metrics


def set_pace(optimizer: Optimizer, player: str, config: Config[Any, Any], images: int) -> None:
    """Give an optimizer the learning rate and beta2 of a step that ends at `images`."""
    settings: MethodConfig = getattr(config.optimizer, player)
    beta2 = settings.beta2 * ramp(config.optimizer.beta2_ramp, images)
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * rate(config.optimizer, images)
        if "betas" in group:
            group["betas"] = (settings.beta1, beta2)
        else:  # RMSprop
            group["alpha"] = beta2


def _lead(metrics: dict[str, Tensor], config: Config[Any, Any]) -> float:
    if OVERFIT not in metrics:
        raise UserError(
            f"the family {config.family} does not say how far its discriminator is ahead, which "
            "augment.target needs; set augment.probability instead."
        )
    return metrics[OVERFIT].item()


def _move_augmentation(state: State, config: Config[Any, Any]) -> None:
    settings, batch = config.augment, config.training.batch
    assert state.control is not None
    assert settings.target is not None
    if (state.images // batch) % EVERY == EVERY - 1:
        by = EVERY * batch / settings.adjust_images
        state.control = moved(state.control, settings.target, settings.most, by)


@torch.no_grad()
def clip_weights(network: nn.Module, limit: float) -> None:
    """Move every weight into [-limit, limit] (Arjovsky et al. 2017, algorithm 1, line 7)."""
    weights: list[Tensor] = list(network.parameters())
    torch._foreach_clamp_min_(weights, -limit)
    torch._foreach_clamp_max_(weights, limit)


BURST_FIRST, BURST_EVERY = 25, 500
"""Steps at the beginning, and from then on each so many-th, in which the critic is trained long:
in the code of Arjovsky et al. 2017, so that its estimate is good before G relies on it."""


def discriminator_turns(config: Config[Any, Any], images: int) -> int:
    """How many updates D makes in the step that begins after `images`."""
    number = images // config.training.batch
    burst = config.training.discriminator_burst
    if burst and (number < BURST_FIRST or number % BURST_EVERY == 0):
        return burst
    return config.training.discriminator_steps


def discriminator_updates(config: Config[Any, Any], images: int) -> int:
    """How many updates D has made before the step that begins after `images`."""
    number = images // config.training.batch
    burst, usual = config.training.discriminator_burst, config.training.discriminator_steps
    if not burst:
        return number * usual
    # Of the numbers below this one: the first ones, and the multiples that are not among these.
    long = min(number, BURST_FIRST) + max(0, -(-number // BURST_EVERY) - 1)
    return long * burst + (number - long) * usual


def _parts(
    update: _Update,
    state: State,
    family: Family,
    config: Config[Any, Any],
    feed: Feed,
    world: World,
) -> Iterator[Batch]:
    """This process's rows of the batch, in as many parts as the configuration asks for."""
    training = config.training
    rows = world.rows(training.batch)
    size = max(1, len(rows) // training.parts)
    probability = None
    if state.control is not None:
        probability = torch.tensor(
            state.control.probability, device=state.device, dtype=state.dtype
        )
    for start in range(rows.start, rows.stop, size):
        stop = min(start + size, rows.stop)
        draws = StepDraws(
            training.seed,
            state.images,
            update.numbers,
            training.batch,
            start,
            stop,
            state.device,
            state.dtype,
        )
        real, condition, unpaired = feed.shown(update.shown, draws)
        inputs = family.inputs(config, draws, condition)
        kept = None if update.kept is None else update.kept.setdefault(start, {})
        yield Batch(real, inputs, draws, condition, probability, kept, unpaired)


def _precision(config: Config[Any, Any], state: State) -> AbstractContextManager[object]:
    return autocast(state.device, config.training.precision)


def gradient_norm(network: nn.Module) -> Tensor:
    """Euclidean norm of all gradients of a network, as a scalar on its device."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm()


def average_decay(config: Config[Any, Any], images: int) -> float:
    """How much of the averaged generator stays after a step that ends at `images`.

    The half-life grows with the images seen, so that the average does not lag at the start
    (Karras et al. 2020, "Training GANs with Limited Data", where it is called the ramp-up).
    """
    training = config.training
    moved = training.ema_half_life * ramp(training.ema_ramp, images)
    half_life = min(moved, images * training.ema_warmup)
    return 0.5 ** (training.batch / half_life) if half_life > 0 else 0.0


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move `average` towards `network`, weights and batch-norm statistics alike."""
    old, new = list(average.state_dict().values()), list(network.state_dict().values())
    pairs = [(a, b) for a, b in zip(old, new, strict=True) if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - decay)
    for a, b in zip(old, new, strict=True):
        if not a.is_floating_point():  # counters
            a.copy_(b)
