"""Updates of two small networks of one hidden layer, forwards and backwards by hand, in NumPy.

G(z) = tanh(V2 tanh(V1 z + c1) + c2) and D(x) = w2 . tanh(W1 x + b1) + b2: smooth everywhere, so a
penalty on D's gradient has a gradient of its own, and short enough to write that one out.

Written from the papers alone, to be compared with the package's own step: Arjovsky et al. 2017
(Wasserstein, clipping), Gulrajani et al. 2017 (one-centred), Mescheder et al. 2018 (R1, R2),
Thanh-Tung et al. 2019 (zero-centred), Karras et al. 2018 (drift), Zhang et al. 2020 (consistency),
Jolicoeur-Martineau 2018 (relativistic), Lim & Ye 2017 (hinge), Goodfellow et al. 2014, Mao et al.
2017; Kingma & Ba 2015, Loshchilov & Hutter 2019, Tieleman & Hinton 2012 (how weights move).

A network is a dict of W1 (hidden, in), b1, W2 (out, hidden), b2. Pictures are rows of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Arrays = dict[str, Array]


def add(*parts: Arrays) -> Arrays:
    """Gradients by name, summed."""
    return {name: sum((part[name] for part in parts), np.zeros(())) for name in parts[0]}


def scaled(gradients: Arrays, by: float) -> Arrays:
    return {name: by * value for name, value in gradients.items()}


# --- the generator ---


def generate(g: Arrays, z: Array) -> tuple[Array, Array]:
    """Pictures and the hidden layer."""
    hidden = np.tanh(z @ g["W1"].T + g["b1"])
    return np.tanh(hidden @ g["W2"].T + g["b2"]), hidden


def generator_gradients(g: Arrays, z: Array, by_pictures: Array) -> Arrays:
    pictures, hidden = generate(g, z)
    out = by_pictures * (1 - pictures**2)
    inner = (out @ g["W2"]) * (1 - hidden**2)
    return {"W1": inner.T @ z, "b1": inner.sum(0), "W2": out.T @ hidden, "b2": out.sum(0)}


# --- the discriminator ---


def judge(d: Arrays, x: Array) -> Array:
    """Logits (B,)."""
    return (np.tanh(x @ d["W1"].T + d["b1"]) @ d["W2"].T + d["b2"])[:, 0]


def input_gradients(d: Arrays, x: Array) -> Array:
    """d D(x) / d x, row by row: W1^T (w2 * (1 - h^2))."""
    hidden = np.tanh(x @ d["W1"].T + d["b1"])
    return (d["W2"][0] * (1 - hidden**2)) @ d["W1"]


def discriminator_gradients(d: Arrays, x: Array, by_logits: Array) -> Arrays:
    hidden = np.tanh(x @ d["W1"].T + d["b1"])
    inner = by_logits[:, None] * d["W2"] * (1 - hidden**2)
    return {
        "W1": inner.T @ x,
        "b1": inner.sum(0),
        "W2": by_logits[None] @ hidden,
        "b2": by_logits.sum(keepdims=True),
    }


def gradients_of_input_gradients(d: Arrays, x: Array, along: Array) -> Arrays:
    """By the weights: the sum over rows of along . (d D(x) / d x), for a constant `along`.

    That is the sum over rows and hidden units j of w2_j s_j v_j with v = W1 along and
    s = 1 - tanh(a)^2, whose derivative by a is -2 tanh(a) s.
    """
    hidden = np.tanh(x @ d["W1"].T + d["b1"])
    s, v, w2 = 1 - hidden**2, along @ d["W1"].T, d["W2"][0]
    through_s = w2 * v * (-2 * hidden * s)
    return {
        "W1": (w2 * s).T @ along + through_s.T @ x,
        "b1": through_s.sum(0),
        "W2": (s * v).sum(0, keepdims=True),
        "b2": np.zeros(1),
    }


# --- penalties: value, gradients by D's weights ---


def half_squared_norm(d: Arrays, x: Array) -> tuple[float, Arrays]:
    """E |g|^2 / 2: R1 and R2."""
    g = input_gradients(d, x)
    return float((g**2).sum(1).mean() / 2), gradients_of_input_gradients(d, x, g / len(x))


def squared_norm(d: Arrays, x: Array) -> tuple[float, Arrays]:
    """E |g|^2."""
    value, gradients = half_squared_norm(d, x)
    return 2 * value, scaled(gradients, 2)


def distance_from_one(d: Arrays, x: Array) -> tuple[float, Arrays]:
    """E (|g| - 1)^2."""
    g = input_gradients(d, x)
    norm = np.sqrt((g**2).sum(1, keepdims=True))
    along = 2 * (norm - 1) * g / norm / len(x)
    return float(((norm - 1) ** 2).mean()), gradients_of_input_gradients(d, x, along)


def squared_logits(d: Arrays, x: Array) -> tuple[float, Arrays]:
    logits = judge(d, x)
    return float((logits**2).mean()), discriminator_gradients(d, x, 2 * logits / len(x))


def squared_difference(d: Arrays, x: Array, changed: Array) -> tuple[float, Arrays]:
    apart = judge(d, x) - judge(d, changed)
    slope = 2 * apart / len(x)
    here = discriminator_gradients(d, x, slope)
    return float((apart**2).mean()), add(here, discriminator_gradients(d, changed, -slope))


# --- losses: value, slopes by the logits ---


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _toward(logits: Array, kind: str, side: int) -> tuple[float, Array]:
    """What is paid for logits that should be large (side 1) or small (side -1)."""
    count, signed = len(logits), side * logits
    if kind == "log":
        wrong = 1 - _sigmoid(signed)
        return float(-np.log(_sigmoid(signed)).mean()), -side * wrong / count
    if kind == "hinge":
        short = 1 - signed > 0
        return float(((1 - signed) * short).mean()), -side * short / count
    if kind == "square":
        target = (1 + side) / 2
        return float(((logits - target) ** 2).mean() / 2), (logits - target) / count
    return float(-signed.mean()), np.full(count, -side / count)  # linear


def _against_the_average(winner: Array, loser: Array, kind: str) -> tuple[float, Array, Array]:
    """Each logit minus the other kind's mean, which has a slope as well."""
    above, by_winner = _toward(winner - loser.mean(), kind, 1)
    below, by_loser = _toward(loser - winner.mean(), kind, -1)
    on_winner = by_winner - by_loser.sum() / len(winner)
    return above + below, on_winner, by_loser - by_winner.sum() / len(loser)


def discriminator_loss(loss: str, real: Array, fake: Array) -> tuple[float, Array, Array]:
    """Value, slopes by the real and by the generated ones' logits."""
    if loss == "relativistic":
        value, slope = _toward(real - fake, "log", 1)
        return value, slope, -slope
    if loss.startswith("relativistic_average"):
        return _against_the_average(real, fake, "hinge" if loss.endswith("hinge") else "log")
    kind = {"hinge": "hinge", "wasserstein": "linear", "least_squares": "square"}.get(loss, "log")
    above, on_real = _toward(real, kind, 1)
    below, on_fake = _toward(fake, kind, -1)
    return above + below, on_real, on_fake


def generator_loss(loss: str, real: Array, fake: Array) -> tuple[float, Array]:
    """Value, slopes by the generated ones' logits."""
    if loss.startswith("relativistic"):
        value, on_fake, _ = discriminator_loss(loss, fake, real)
        return value, on_fake
    if loss == "minimax":
        value, slope = _toward(fake, "log", -1)
        return -value, -slope
    kind = {"non_saturating": "log", "least_squares": "square"}.get(loss, "linear")
    return _toward(fake, kind, 1)


# --- how weights move ---


class Rates(NamedTuple):
    method: str = "adam"
    step: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.9
    epsilon: float = 1e-6
    decay: float = 0.0


@dataclass
class Memory:
    count: int = 0
    first: Arrays = field(default_factory=dict)
    second: Arrays = field(default_factory=dict)


def move(weights: Arrays, gradients: Arrays, memory: Memory, rates: Rates) -> Arrays:
    """The weights after one update; `memory` goes on."""
    memory.count += 1
    moved: Arrays = {}
    for name, g in gradients.items():
        first = memory.first.get(name, np.zeros_like(g))
        second = memory.second.get(name, np.zeros_like(g))
        memory.second[name] = second = rates.beta2 * second + (1 - rates.beta2) * g**2
        if rates.method == "rmsprop":
            step = g / (np.sqrt(second) + rates.epsilon)
        else:
            memory.first[name] = first = rates.beta1 * first + (1 - rates.beta1) * g
            corrected = np.sqrt(second / (1 - rates.beta2**memory.count))
            step = first / (1 - rates.beta1**memory.count) / (corrected + rates.epsilon)
        kept = weights[name]
        if rates.method == "adamw":  # decoupled: neither moment sees it
            kept = kept - rates.step * rates.decay * kept
        moved[name] = kept - rates.step * step
    return moved


def clipped(weights: Arrays, limit: float) -> Arrays:
    return {name: np.minimum(np.maximum(value, -limit), limit) for name, value in weights.items()}


# --- one update ---


class Update(NamedTuple):
    value: float
    parts: dict[str, float]
    gradients: Arrays


def discriminator_update(
    g: Arrays,
    d: Arrays,
    real: Array,
    z: Array,
    loss: str,
    weights: dict[str, float],
    shares: Array,
    changed: Array,
) -> Update:
    """What D pays, part by part, and its gradients; `weights` are those of the penalties."""
    fake, _ = generate(g, z)
    on_real, on_fake = judge(d, real), judge(d, fake)
    value, by_real, by_fake = discriminator_loss(loss, on_real, on_fake)
    parts = {"adversarial": value}
    gradients = [
        discriminator_gradients(d, real, by_real),
        discriminator_gradients(d, fake, by_fake),
    ]
    line = shares[:, None] * real + (1 - shares[:, None]) * fake
    penalties = {
        "r1": lambda: half_squared_norm(d, real),
        "r2": lambda: half_squared_norm(d, fake),
        "one_centered": lambda: distance_from_one(d, line),
        "zero_centered": lambda: squared_norm(d, line),
        "drift": lambda: squared_logits(d, real),
        "consistency": lambda: squared_difference(d, real, changed),
    }
    total = value
    for name, weight in weights.items():
        parts[name], by_weights = penalties[name]()
        total += weight * parts[name]
        gradients.append(scaled(by_weights, weight))
    return Update(total, parts, add(*gradients))


def generator_update(g: Arrays, d: Arrays, real: Array, z: Array, loss: str) -> Update:
    fake, _ = generate(g, z)
    value, slope = generator_loss(loss, judge(d, real), judge(d, fake))
    by_pictures = slope[:, None] * input_gradients(d, fake)
    return Update(value, {"adversarial": value}, generator_gradients(g, z, by_pictures))
