"""Whether the networks work as machines: finite, moving, not running away, no part of them dead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from morelike.diagnostics.finding import Curve, Figure, Finding
from morelike.metrics.chances import wilson
from morelike.rng import rng

PLAYERS = ("generator", "discriminator")
FROZEN = 1e-7
"""Relative change of all weights of a layer that is none: below the rounding of float32, 6e-8 of
each weight, there is nothing left of a step."""
LEAST_STRETCH = 1.1
"""Two checkpoints, one of at least so many times the pictures of the other, tell growth."""
HALF = 0.5
"""A layer is dead if more than half of it is; pictures are saturated if more than half of them."""
TAIL = 0.025


class Weights(NamedTuple):
    """One layer's weights at one checkpoint."""

    norm: float
    """Euclidean."""
    change: float | None
    """Relative to the checkpoint before, |W' - W| / |W|; None at the first."""


@dataclass(frozen=True)
class History:
    """What became of all layers over checkpoints, without their weights."""

    images: tuple[int, ...]
    """Pictures shown at each checkpoint, in order."""
    layers: dict[str, list[Weights]] = field(default_factory=dict)
    """By name, one a checkpoint."""
    broken: dict[str, int] = field(default_factory=dict)
    """Tensors with NaN or infinity, and the pictures shown at the first checkpoint of which."""


def history(checkpoints: Iterable[tuple[int, Mapping[str, Tensor]]]) -> History:
    """Follow the weights of both networks over checkpoints, two of which are in memory at a time.

    Args:
        checkpoints: in order, pictures shown and tensors by name, such as
            "generator.1.weight"; layers are those tensors of two dimensions and more that begin
            with "generator." or "discriminator.". All others are only checked to be finite.
    """
    images: list[int] = []
    found = History(())
    before: Mapping[str, Tensor] = {}
    for shown, tensors in checkpoints:
        images.append(shown)
        for name, values in tensors.items():
            if not values.is_floating_point():
                continue
            if not values.isfinite().all():
                found.broken.setdefault(name, shown)
            elif name.startswith(PLAYERS) and values.ndim >= 2:
                found.layers.setdefault(name, []).append(_weights(values, before.get(name)))
        before = tensors
    return History(tuple(images), found.layers, found.broken)


def _weights(now: Tensor, before: Tensor | None) -> Weights:
    now = now.double()
    norm = now.norm().item()
    if before is None or not before.isfinite().all():
        return Weights(norm, None)
    length = before.double().norm().item()
    change = (now - before.double()).norm().item()
    return Weights(norm, change / length if length else math.inf if change else 0.0)


def weights(found: History) -> Finding:
    """Whether weights are finite, grow without end, or have stopped.

    Growth: a walk at random makes a norm grow with the square root of the steps, and even a drift
    in one direction, the fastest that steps of bounded length allow (Adam's and RMSprop's are at
    most about the learning rate), only in proportion to them. A layer that grows faster than in
    proportion over the second half of the training, and by more than a tenth, runs away.

    Stopped: all layers of a network change by less than 1e-7 of their length between the last two
    checkpoints.
    """
    if found.broken:
        name = min(found.broken, key=lambda each: found.broken[each])
        return Finding(
            "health",
            "yes",
            f"NaN or infinity is in {len(found.broken)} tensors, first in {name} at "
            f"{found.broken[name]:,} pictures shown.",
            remedy="Go back to a checkpoint before it; lower optimizer.*.learning_rate, and train "
            "with training.precision = fp32.",
            word="DIVERGED",
            figures=(Figure("tensors with NaN or infinity", len(found.broken)),),
        )
    pair = _stretch(found.images)
    if pair is None:
        return _unknown("Whether weights run away cannot be told: too few checkpoints, too close.")
    whole = {k: v for k, v in found.layers.items() if len(v) == len(found.images)}
    first, last = pair
    stretch = found.images[last] / found.images[first]
    growth = {name: _ratio(rows[last].norm, rows[first].norm) for name, rows in whole.items()}
    change = {
        player: max((rows[-1].change or 0.0 for name, rows in whole.items() if _of(player, name)))
        for player in PLAYERS
        if any(_of(player, name) for name in whole)
    }
    fastest = max(growth, key=lambda name: growth[name])
    figures = (
        Figure(
            f"growth of {fastest}",
            growth[fastest],
            null=(0.0, stretch),
            note=f"of its norm, from {found.images[first]:,} to {found.images[last]:,} pictures "
            "shown, the fastest layer; steady drift gives the upper end",
        ),
        *(
            Figure(f"last change of the {player}", value, note="of the layer that moved most")
            for player, value in change.items()
        ),
    )
    rows = whole[fastest]
    curve = Curve(f"norm of {fastest}", found.images, tuple(row.norm for row in rows))
    if growth[fastest] > max(stretch, LEAST_STRETCH):
        player = next(p for p in PLAYERS if _of(p, fastest))
        return Finding(
            "health",
            "yes",
            f"The weights of {fastest} run away: they grew {growth[fastest]:.1f} times while the "
            f"pictures shown grew {stretch:.1f} times.",
            remedy=f"Lower optimizer.{player}.learning_rate, or keep the discriminator smooth "
            "(discriminator.norm = spectral, penalty.r1).",
            word="DIVERGED",
            figures=figures,
            curves=(curve,),
        )
    stopped = [player for player, value in change.items() if value < FROZEN]
    if stopped:
        return Finding(
            "health",
            "yes",
            f"The weights of the {' and the '.join(stopped)} no longer move: from "
            f"{found.images[-2]:,} to {found.images[-1]:,} pictures shown they changed by less "
            f"than {FROZEN:g} of their length.",
            remedy=f"Look whether optimizer.ramp has ended, or raise "
            f"optimizer.{stopped[0]}.learning_rate.",
            figures=figures,
            curves=(curve,),
        )
    return Finding(
        "health",
        "no",
        f"All weights are finite, move, and do not run away: the fastest layer grew "
        f"{growth[fastest]:.2f} times while the pictures shown grew {stretch:.2f} times.",
        figures=figures,
        curves=(curve,),
    )


def _stretch(images: Sequence[int]) -> tuple[int, int] | None:
    """The last checkpoint, and the latest one before it at up to half its pictures, or if there is
    none the earliest after that; None if they are too close.
    """
    last = len(images) - 1
    shown = [i for i in range(last) if images[i]]
    before = [i for i in shown if images[i] * 2 <= images[last]]
    first = before[-1] if before else shown[0] if shown else None
    if first is None or images[last] < LEAST_STRETCH * images[first]:
        return None
    return first, last


def _ratio(now: float, before: float) -> float:
    return now / before if before else math.inf if now else 1.0


def _of(player: str, name: str) -> bool:
    return name.startswith(f"{player}.")


class Gradients(NamedTuple):
    """What the optimizer remembers of one layer's gradients."""

    size: float
    """Root of the mean of the squared gradients."""
    tiny: float
    """Share of the weights whose root mean squared gradient is below the optimizer's epsilon."""


def gradients(tensors: Mapping[str, Tensor], player: str, epsilon: float) -> Finding:
    """Whether gradients reach all layers, by what Adam or RMSprop remembers of their squares.

    A step is m / (sqrt(v) + epsilon): where sqrt(v) is below epsilon, epsilon decides, and the
    weight moves by less than half of what it should, in the end not at all. A layer in which that
    is so for more than half of the weights has lost its gradient. Adam's v is taken without its
    correction for the first steps, which after a few thousand is none.

    Args:
        tensors: of one checkpoint; those named "optimizer.<player>.<layer>.exp_avg_sq" (Adam) or
            ".square_avg" (RMSprop) are looked at, if they have two dimensions or more.
        player: "generator" or "discriminator".
        epsilon: `optimizer.<player>.epsilon`.
    """
    prefix, found, broken = f"optimizer.{player}.", dict[str, Gradients](), list[str]()
    for name, squares in tensors.items():
        layer, _, key = name.removeprefix(prefix).rpartition(".")
        if not name.startswith(prefix) or key not in ("exp_avg_sq", "square_avg"):
            continue
        if not squares.isfinite().all():
            broken.append(layer)
        elif squares.ndim >= 2:
            tiny = (squares < epsilon**2).double().mean().item()
            found[layer] = Gradients(squares.double().mean().sqrt().item(), tiny)
    lower = (
        f"Lower optimizer.{player}.learning_rate, or keep the discriminator smooth (penalty.r1)."
    )
    if broken:
        return Finding(
            "health",
            "yes",
            f"The {player}'s gradients exploded: their squares are not finite in {broken[0]}"
            f"{f' and {len(broken) - 1} more layers' if len(broken) > 1 else ''}.",
            remedy=lower,
            word="DIVERGED",
            figures=(Figure("layers whose gradients are not finite", len(broken)),),
        )
    if not found:
        return _unknown(f"The {player}'s gradients are not known: its optimizer kept no squares.")
    worst = max(found, key=lambda layer: found[layer].tiny)
    figures = (
        Figure(
            f"weights of {worst} without gradient", found[worst].tiny, note="share, the worst layer"
        ),
        Figure(
            f"the {player}'s smallest gradient",
            min(each.size for each in found.values()),
            note=f"root mean square of a layer; epsilon is {epsilon:g}",
        ),
        Figure(
            f"the {player}'s largest gradient",
            max(each.size for each in found.values()),
            note="root mean square of a layer",
        ),
    )
    if found[worst].tiny > HALF:
        return Finding(
            "health",
            "yes",
            f"The {player}'s gradients have vanished in {worst}: for {found[worst].tiny:.0%} of "
            "its weights they are below what its optimizer can see.",
            remedy="Take objective.loss = non_saturating, weaken the discriminator "
            "(optimizer.discriminator.learning_rate), or take smaller "
            f"optimizer.{player}.epsilon.",
            figures=figures,
        )
    return Finding("health", "no", f"Gradients reach all layers of the {player}.", figures=figures)


class Silence(NamedTuple):
    """What the channels after one ReLU do."""

    layer: str
    """Its name in the network."""
    channels: int
    silent: int
    """Channels that were never above 0, for no sample and at no place."""


@torch.no_grad()
def silences(network: nn.Module, inputs: Iterable[Sequence[Tensor]]) -> list[Silence]:
    """Which channels after ReLU never open, over all given inputs.

    Such a channel is always 0, gets no gradient and so does not come back. LeakyReLU has none: what
    it never opens for is scaled, not lost.

    Args:
        network: run as it is, in its mode; channels are the second dimension.
        inputs: batches, `network(*batch)`.
    """
    opened: dict[str, Tensor] = {}

    with _watched(network, opened):
        for batch in inputs:
            network(*batch)
    return [
        Silence(name, len(seen), int((~seen).sum())) for name, seen in opened.items() if len(seen)
    ]


@contextmanager
def _watched(network: nn.Module, opened: dict[str, Tensor]) -> Iterator[None]:
    def watch(name: str) -> Any:
        def hook(_: nn.Module, __: Any, out: Tensor) -> None:
            # At once, as the next layer may write over it.
            over = (out > 0).movedim(1, 0).flatten(1).any(1)
            opened[name] = over if name not in opened else opened[name] | over

        return hook

    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.ReLU)]
    handles = [module.register_forward_hook(watch(name)) for name, module in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def dead_units(found: Sequence[Silence], samples: int) -> Finding:
    """Whether more than half of the channels of a layer of the generator never open.

    Args:
        found: by `silences`.
        samples: over how many.
    """
    if not found:
        return Finding("health", "no", "The generator has no ReLU whose channels could be dead.")
    worst = max(found, key=lambda each: each.silent / each.channels)
    share = worst.silent / worst.channels
    total, silent = sum(each.channels for each in found), sum(each.silent for each in found)
    figures = (
        Figure(
            f"dead channels of layer {worst.layer}",
            share,
            note=f"share, {worst.silent} of {worst.channels}, the worst layer; {samples} samples",
        ),
        Figure("dead channels of all layers", silent / total, note=f"share, {silent} of {total}"),
    )
    if share > HALF:
        return Finding(
            "health",
            "yes",
            f"{worst.silent} of {worst.channels} channels of the generator's layer {worst.layer} "
            f"are dead: they were 0 in all of {samples} samples.",
            remedy="Begin again with a lower optimizer.generator.learning_rate: dead channels do "
            "not come back.",
            figures=figures,
        )
    return Finding(
        "health",
        "no",
        f"The generator uses its channels: {silent} of {total} are dead.",
        figures=figures,
    )


def saturated_share(images: np.ndarray) -> np.ndarray:
    """(N,): the share of each picture's values that are 0 or 255; (N, H, W, C) uint8."""
    flat = images.reshape(len(images), -1)
    return ((flat == 0) | (flat == 255)).mean(axis=1)


def saturation(samples: np.ndarray, real: np.ndarray) -> Finding:
    """Whether samples are stuck at black or white, at the ends of the generator's tanh.

    "yes" if surely more than half of the samples have more such values than 39 of 40 real pictures
    have; a set on white has many by itself. "no" if surely less than half.

    Args:
        samples: (N, H, W, C) uint8.
        real: (M, H, W, C) uint8.
    """
    made, there = saturated_share(samples), saturated_share(real)
    line = float(np.quantile(there, 1 - TAIL, method="higher"))
    beyond = float((made > line).mean())
    low, high = wilson(beyond, len(made))
    null = _null_beyond(there, len(made))
    figures = (
        Figure(
            "samples with more black and white than real pictures",
            beyond,
            low,
            high,
            null=null,
            note=f"share with more than {line:.1%} of their values at 0 or 255",
        ),
        Figure("values at 0 or 255 in samples", float(made.mean()), note="share"),
        Figure("values at 0 or 255 in real pictures", float(there.mean()), note="share"),
    )
    if low > max(HALF, null[1]):
        return Finding(
            "health",
            "yes",
            f"The generator's output is stuck at its ends: {beyond:.0%} of the samples have more "
            f"values at black or white than 39 of 40 real pictures have ({made.mean():.0%} of all "
            f"values, in real pictures {there.mean():.0%}).",
            remedy="Go back to an earlier checkpoint and lower optimizer.generator.learning_rate.",
            figures=figures,
        )
    state = "no" if high < HALF else "unknown"
    sentence = (
        f"The generator's output is not stuck at black or white: so it is for {beyond:.0%} of the "
        "samples."
    )
    if state == "unknown":
        sentence = f"About half of the samples ({beyond:.0%}) have much black or white."
    return Finding("health", state, sentence, figures=figures)


def _null_beyond(values: np.ndarray, count: int) -> tuple[float, float]:
    """The same share for real pictures: half of them against the line of the other half."""
    shares = []
    for number in range(200):
        state = rng(0, "saturation", number)
        order = state.permutation(len(values))
        one, other = values[order[::2]], values[order[1::2]]
        if not len(other):
            return 0.0, 1.0
        line = np.quantile(one, 1 - TAIL, method="higher")
        shares.append((state.choice(other, count) > line).mean())
    low, high = np.quantile(shares, [TAIL, 1 - TAIL])
    return float(low), float(high)


def _unknown(sentence: str) -> Finding:
    return Finding("health", "unknown", sentence)
