"""One DCGAN update of each player, forwards and backwards by hand, in plain NumPy float64.

Written from the papers alone, to be compared with the package's own step:
Radford et al. 2015 (the networks), Ioffe & Szegedy 2015 (batch norm, with its derivative in
section 3), Dumoulin & Visin 2016 (the transposed convolution is the convolution's adjoint),
Goodfellow et al. 2014, Mao et al. 2017, Lim & Ye 2017 and Salimans et al. 2016 (the losses),
Kingma & Ba 2015 (Adam).

A network is a dict of arrays: `kernel0`, `kernel1`, ... for its layers from input to output, and
`gainI`, `shiftI`, `meanI`, `varianceI` for the batch norm after layer I, where there is one.
Convolution kernels are (out, in, 4, 4), transposed ones (in, out, 4, 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Arrays = dict[str, Array]
Backward = Callable[[Array], tuple[Array, Arrays]]
"""The loss's derivative by a layer's output -> that by its input, and those by its weights."""

SLOPE = 0.2
EPSILON = 1e-5
MOMENTUM = 0.1


# --- layers: each gives its output and its backward function ---


def _taps(height: int, width: int, kernel: Array, stride: int) -> list[tuple[int, int, tuple]]:
    """Each place (a, b) in the kernel, with the padded pixels that it meets at all outputs."""
    rows, columns = kernel.shape[2:]
    return [
        (
            a,
            b,
            (
                slice(None),
                slice(None),
                slice(a, a + stride * (height - 1) + 1, stride),
                slice(b, b + stride * (width - 1) + 1, stride),
            ),
        )
        for a in range(rows)
        for b in range(columns)
    ]


def _pad(x: Array, by: int) -> Array:
    return np.pad(x, ((0, 0), (0, 0), (by, by), (by, by)))


def _crop(x: Array, by: int) -> Array:
    return x[:, :, by : x.shape[2] - by, by : x.shape[3] - by]


def convolution(
    x: Array, kernel: Array, stride: int, padding: int, name: str
) -> tuple[Array, Backward]:
    """y[n,o,i,j] = sum over c,a,b of kernel[o,c,a,b] x[n,c,si+a-p,sj+b-p]."""
    padded = _pad(x, padding)
    height, width = ((side - kernel.shape[2]) // stride + 1 for side in padded.shape[2:])
    taps = _taps(height, width, kernel, stride)
    y = sum(np.einsum("nchw,oc->nohw", padded[at], kernel[:, :, a, b]) for a, b, at in taps)

    def backward(dy: Array) -> tuple[Array, Arrays]:
        dx, dkernel = np.zeros_like(padded), np.zeros_like(kernel)
        for a, b, at in taps:
            dx[at] += np.einsum("nohw,oc->nchw", dy, kernel[:, :, a, b])
            dkernel[:, :, a, b] = np.einsum("nohw,nchw->oc", dy, padded[at])
        return _crop(dx, padding), {name: dkernel}

    return y, backward


def transposed_convolution(
    x: Array, kernel: Array, stride: int, padding: int, name: str
) -> tuple[Array, Backward]:
    """Each input pixel adds kernel[o] times itself to the output from (si-p, sj-p) on."""
    count, _, height, width = x.shape
    sides = [stride * (side - 1) + kernel.shape[2] for side in (height, width)]
    taps = _taps(height, width, kernel, stride)
    y = np.zeros((count, kernel.shape[1], *sides))
    for a, b, at in taps:
        y[at] += np.einsum("nchw,co->nohw", x, kernel[:, :, a, b])

    def backward(dy: Array) -> tuple[Array, Arrays]:
        padded = _pad(dy, padding)  # what was cropped away had no influence
        dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
        for a, b, at in taps:
            dx += np.einsum("nohw,co->nchw", padded[at], kernel[:, :, a, b])
            dkernel[:, :, a, b] = np.einsum("nchw,nohw->co", x, padded[at])
        return dx, {name: dkernel}

    return _crop(y, padding), backward


def batch_norm(x: Array, weights: Arrays, layer: int) -> tuple[Array, Backward, Arrays]:
    """Training mode; also gives the running statistics as they are afterwards."""
    gain, shift = (weights[f"{name}{layer}"][:, None, None] for name in ("gain", "shift"))
    over = (0, 2, 3)
    size = x.size // x.shape[1]
    mean = x.sum(over) / size
    centred = x - mean[:, None, None]
    variance = (centred**2).sum(over) / size
    deviation = np.sqrt(variance + EPSILON)[:, None, None]
    whitened = centred / deviation
    running = {
        f"mean{layer}": (1 - MOMENTUM) * weights[f"mean{layer}"] + MOMENTUM * mean,
        f"variance{layer}": (1 - MOMENTUM) * weights[f"variance{layer}"]
        + MOMENTUM * variance * size / (size - 1),
    }

    def backward(dy: Array) -> tuple[Array, Arrays]:
        # The mean and the variance depend on every x, so what points along them is taken out.
        along_mean = dy.sum(over, keepdims=True) / size
        along_deviation = (dy * whitened).sum(over, keepdims=True) / size
        dx = gain / deviation * (dy - along_mean - whitened * along_deviation)
        return dx, {f"gain{layer}": (dy * whitened).sum(over), f"shift{layer}": dy.sum(over)}

    return gain * whitened + shift, backward, running


def leaky_relu(x: Array, slope: float) -> tuple[Array, Backward]:
    steepness = np.where(x > 0, 1.0, slope)
    return x * steepness, lambda dy: (dy * steepness, {})


def hyperbolic_tangent(x: Array) -> tuple[Array, Backward]:
    y = (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)
    return y, lambda dy: (dy * (1 - y**2), {})


# --- networks ---


class Pass(NamedTuple):
    output: Array
    backward: Backward
    running: Arrays


def _depth(weights: Arrays) -> int:
    return sum(name.startswith("kernel") for name in weights)


def _chain(backwards: list[Backward]) -> Backward:
    def backward(dy: Array) -> tuple[Array, Arrays]:
        gradients: Arrays = {}
        for one in reversed(backwards):
            dy, found = one(dy)
            gradients |= found
        return dy, gradients

    return backward


def generator_pass(weights: Arrays, latents: Array) -> Pass:
    """z (B, latent) -> pictures; ReLU, batch norm in all layers but the last, tanh at the end."""
    x = latents[:, :, None, None]
    last = _depth(weights) - 1
    backwards: list[Backward] = []
    running: Arrays = {}
    for layer in range(last + 1):
        stride, padding = (1, 0) if layer == 0 else (2, 1)
        name = f"kernel{layer}"
        x, backward = transposed_convolution(x, weights[name], stride, padding, name)
        backwards.append(backward)
        if layer < last:
            x, backward, statistics = batch_norm(x, weights, layer)
            running |= statistics
            backwards.append(backward)
            x, backward = leaky_relu(x, 0.0)
        else:
            x, backward = hyperbolic_tangent(x)
        backwards.append(backward)
    return Pass(x, _chain(backwards), running)


def discriminator_pass(weights: Arrays, pictures: Array) -> Pass:
    """Pictures -> logits (B,); LeakyReLU, batch norm in all layers but the first and the last."""
    x = pictures
    last = _depth(weights) - 1
    backwards: list[Backward] = []
    running: Arrays = {}
    for layer in range(last + 1):
        stride, padding = (1, 0) if layer == last else (2, 1)
        name = f"kernel{layer}"
        x, backward = convolution(x, weights[name], stride, padding, name)
        backwards.append(backward)
        if 0 < layer < last:
            x, backward, statistics = batch_norm(x, weights, layer)
            running |= statistics
            backwards.append(backward)
        if layer < last:
            x, backward = leaky_relu(x, SLOPE)
            backwards.append(backward)
    chained = _chain(backwards)
    return Pass(x[:, 0, 0, 0], lambda dy: chained(dy[:, None, None, None]), running)


# --- losses, with their derivatives by the logits ---


def _probability(logits: Array) -> Array:
    return 1 / (1 + np.exp(-logits))


def _cross_entropy(logits: Array, target: float) -> tuple[float, Array]:
    p = _probability(logits)
    loss = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()
    return float(loss), (p - target) / len(logits)


def _half_square(logits: Array, target: float) -> tuple[float, Array]:
    distance = logits - target
    return float((distance**2).mean() / 2), distance / len(logits)


def _margin(logits: Array, side: int) -> tuple[float, Array]:
    short = 1 - side * logits
    active = short > 0
    return float((short * active).mean()), -side * active / len(logits)


def discriminator_loss(
    loss: str, real: Array, fake: Array, smoothing: float
) -> tuple[float, Array, Array]:
    """The loss and its derivatives by the logits of real and of generated pictures."""
    on_real, on_fake = {
        "minimax": (_cross_entropy(real, 1 - smoothing), _cross_entropy(fake, 0)),
        "non_saturating": (_cross_entropy(real, 1 - smoothing), _cross_entropy(fake, 0)),
        "least_squares": (_half_square(real, 1 - smoothing), _half_square(fake, 0)),
        "hinge": (_margin(real, 1), _margin(fake, -1)),
    }[loss]
    return on_real[0] + on_fake[0], on_real[1], on_fake[1]


def generator_loss(loss: str, fake: Array) -> tuple[float, Array]:
    """The loss and its derivative by the logits of generated pictures."""
    if loss == "minimax":  # the opposite of what D pays for generated pictures
        value, slope = _cross_entropy(fake, 0)
        return -value, -slope
    if loss == "hinge":
        return float(-fake.mean()), np.full_like(fake, -1 / len(fake))
    return {"non_saturating": _cross_entropy, "least_squares": _half_square}[loss](fake, 1)


# --- updates ---


class Rates(NamedTuple):
    """Adam's settings."""

    step: float
    beta1: float
    beta2: float
    epsilon: float


@dataclass(frozen=True)
class Moments:
    """Adam's memory of one network."""

    count: int = 0
    first: Arrays = field(default_factory=dict)
    second: Arrays = field(default_factory=dict)


def adam(
    weights: Arrays, gradients: Arrays, moments: Moments, rates: Rates
) -> tuple[Arrays, Moments]:
    """Algorithm 1 of Kingma & Ba 2015: epsilon is added to the root of the corrected moment."""
    count = moments.count + 1
    first: Arrays = {}
    second: Arrays = {}
    moved: Arrays = {}
    for name, g in gradients.items():
        first[name] = rates.beta1 * moments.first.get(name, 0.0) + (1 - rates.beta1) * g
        second[name] = rates.beta2 * moments.second.get(name, 0.0) + (1 - rates.beta2) * g**2
        m = first[name] / (1 - rates.beta1**count)
        v = second[name] / (1 - rates.beta2**count)
        moved[name] = weights[name] - rates.step * m / (np.sqrt(v) + rates.epsilon)
    return moved, Moments(count, first, second)


class Update(NamedTuple):
    """What one player's update leaves behind; both networks' running statistics have moved."""

    loss: float
    gradients: Arrays
    generator: Arrays
    discriminator: Arrays
    moments: Moments
    logits: tuple[Array, ...]


def discriminator_update(
    generator: Arrays,
    discriminator: Arrays,
    moments: Moments,
    real: Array,
    latents: Array,
    loss: str,
    smoothing: float,
    rates: Rates,
    joint: bool,
) -> Update:
    """D sees the real pictures, then the generated ones, each normalised for itself.

    Or, if `joint`, both in one batch, and batch norm mixes their statistics.
    """
    made = generator_pass(generator, latents)
    if joint:
        on_both = discriminator_pass(discriminator, np.concatenate([real, made.output]))
        real_logits, fake_logits = on_both.output[: len(real)], on_both.output[len(real) :]
        value, *slopes = discriminator_loss(loss, real_logits, fake_logits, smoothing)
        _, gradients = on_both.backward(np.concatenate(slopes))
        running = on_both.running
    else:
        on_real = discriminator_pass(discriminator, real)
        on_fake = discriminator_pass(discriminator | on_real.running, made.output)
        real_logits, fake_logits = on_real.output, on_fake.output
        value, *slopes = discriminator_loss(loss, real_logits, fake_logits, smoothing)
        _, from_real = on_real.backward(slopes[0])
        _, from_fake = on_fake.backward(slopes[1])
        gradients = {name: from_real[name] + from_fake[name] for name in from_real}
        running = on_fake.running
    moved, moments = adam(discriminator, gradients, moments, rates)
    return Update(
        value,
        gradients,
        generator | made.running,
        discriminator | running | moved,
        moments,
        (real_logits, fake_logits),
    )


def generator_update(
    generator: Arrays,
    discriminator: Arrays,
    moments: Moments,
    real: Array,
    latents: Array,
    loss: str,
    rates: Rates,
    joint: bool,
) -> Update:
    """The gradient flows through D, which stays as it is, into G.

    If `joint`, the real pictures are in D's batch; they count only in its batch norm.
    """
    made = generator_pass(generator, latents)
    company = real if joint else real[:0]
    seen = discriminator_pass(discriminator, np.concatenate([company, made.output]))
    fake_logits = seen.output[len(company) :]
    value, slope = generator_loss(loss, fake_logits)
    on_pictures, _ = seen.backward(np.concatenate([np.zeros(len(company)), slope]))
    _, gradients = made.backward(on_pictures[len(company) :])
    moved, moments = adam(generator, gradients, moments, rates)
    return Update(
        value,
        gradients,
        generator | made.running | moved,
        discriminator | seen.running,
        moments,
        (fake_logits,),
    )
