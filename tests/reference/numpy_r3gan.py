"""The networks of R3GAN forwards, and D's gradient by its pictures backwards, in NumPy.

Written from Huang et al. 2024 alone (section 3, figure 3). Every layer is linear or a leaky ReLU,
so each is a pair: what it gives, and the transpose of what it did, by which a gradient goes back.

A network is a list of layers, each a kind and its weights; maps are (B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Array = np.ndarray
Layer = tuple[str, Sequence[Array]]
Back = Callable[[Array], Array]
Applied = tuple[Array, Back]


def doubling(count: int) -> Array:
    """(2 n, n): a point halfway between two centres, at 3/4 from one and 1/4 from the other."""
    matrix = np.zeros((2 * count, count))
    for row in range(2 * count):
        centre = (row + 0.5) / 2 - 0.5
        left = int(np.floor(centre))
        for place, share in ((left, left + 1 - centre), (left + 1, centre - left)):
            matrix[row, min(max(place, 0), count - 1)] += share
    return matrix


def halving(count: int) -> Array:
    """(n / 2, n): 1, 3, 3, 1 eighths; what would lie outside is taken at the border."""
    matrix = np.zeros((count // 2, count))
    for row in range(count // 2):
        for place, share in enumerate((1, 3, 3, 1), 2 * row - 1):
            matrix[row, min(max(place, 0), count - 1)] += share / 8
    return matrix


def _resampled(x: Array, matrix: Callable[[int], Array]) -> Applied:
    tall, wide = matrix(x.shape[2]), matrix(x.shape[3])
    y = np.einsum("ih,jw,bchw->bcij", tall, wide, x)
    return y, lambda g: np.einsum("ih,jw,bcij->bchw", tall, wide, g)


def _one(x: Array, weight: Array) -> Applied:
    w = weight[:, :, 0, 0]
    return np.einsum("oc,bchw->bohw", w, x), lambda g: np.einsum("oc,bohw->bchw", w, g)


def _three(x: Array, weight: Array) -> Applied:
    """In as many groups as the weight says; zeros around the maps."""
    outs, ins = weight.shape[:2]
    count, maps, height, width = x.shape
    groups = maps // ins
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    y = np.zeros((count, outs, height, width))
    each = outs // groups
    for group in range(groups):
        of, to = slice(group * ins, (group + 1) * ins), slice(group * each, (group + 1) * each)
        for i, j in np.ndindex(3, 3):
            seen = padded[:, of, i : i + height, j : j + width]
            y[:, to] += np.einsum("oc,bchw->bohw", weight[to, :, i, j], seen)

    def back(g: Array) -> Array:
        whole = np.zeros_like(padded)
        for group in range(groups):
            of, to = slice(group * ins, (group + 1) * ins), slice(group * each, (group + 1) * each)
            for i, j in np.ndindex(3, 3):
                part = np.einsum("oc,bohw->bchw", weight[to, :, i, j], g[:, to])
                whole[:, of, i : i + height, j : j + width] += part
        return whole[:, :, 1:-1, 1:-1]

    return y, back


def _rectified(x: Array, bias: Array) -> Applied:
    slopes = np.where(x + bias[:, None, None] > 0, 1, 0.2)
    return slopes * (x + bias[:, None, None]), lambda g: slopes * g


def _residual(x: Array, w1: Array, b1: Array, w2: Array, b2: Array, w3: Array) -> Applied:
    backs: list[Back] = []
    y = x
    for step in (
        lambda y: _one(y, w1),
        lambda y: _rectified(y, b1),
        lambda y: _three(y, w2),
        lambda y: _rectified(y, b2),
        lambda y: _one(y, w3),
    ):
        y, back = step(y)
        backs.append(back)

    def all_back(g: Array) -> Array:
        through = g
        for back in reversed(backs):
            through = back(through)
        return g + through

    return x + y, all_back


def _basis(x: Array, linear: Array, maps: Array) -> Applied:
    y = (x @ linear.T)[:, :, None, None] * maps
    return y, lambda g: (g * maps).sum((2, 3)) @ linear


def _gathered(x: Array, weight: Array) -> Applied:
    return (x * weight).sum((2, 3)), lambda g: g[:, :, None, None] * weight


LAYERS: dict[str, Callable[..., Applied]] = {
    "Residual": _residual,
    "Conv2d": _one,
    "Upsample": lambda x: _resampled(x, doubling),
    "Halved": lambda x: _resampled(x, halving),
    "Basis": _basis,
    "Gathered": _gathered,
    "Linear": lambda x, w: (x @ w.T, lambda g: g @ w),
    "Tanh": lambda x: (np.tanh(x), lambda g: g * (1 - np.tanh(x) ** 2)),
}


def applied(layers: Sequence[Layer], x: Array) -> Applied:
    """What the layers make of x, and how a gradient goes back through all of them."""
    backs: list[Back] = []
    for kind, weights in layers:
        x, back = LAYERS[kind](x, *weights)
        backs.append(back)

    def all_back(g: Array) -> Array:
        for back in reversed(backs):
            g = back(g)
        return g

    return x, all_back


def judged(layers: Sequence[Layer], heads: Array, x: Array) -> tuple[Array, Array]:
    """Logits (B,), and the gradient of each by its picture; `heads` is (B, F) or (F,)."""
    features, back = applied(layers, x)
    return (features * heads).sum(1), back(np.broadcast_to(heads, features.shape))


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def discriminator_value(
    layers: Sequence[Layer], heads: Array, real: Array, fake: Array, r1: float, r2: float
) -> tuple[float, float, float]:
    """E softplus(D(fake) - D(real)), and the two penalties with their weights, gamma / 2 each."""
    (on_real, by_real), (on_fake, by_fake) = (judged(layers, heads, x) for x in (real, fake))
    squares = [(g**2).sum((1, 2, 3)).mean() for g in (by_real, by_fake)]
    return float(softplus(on_fake - on_real).mean()), r1 / 2 * squares[0], r2 / 2 * squares[1]
