"""The enlarger and the discriminator of patches in NumPy, and what both are trained for.

Written from the papers alone: the network of Ledig et al. 2017 (figure 4) without norms, added to
what Keys' cubic makes of the input (1981, eq. 15, with a = -1/2); D of Isola et al. 2017. Maps are
(B, C, H, W). A network is the list of its weights, in the order in which it applies them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
Weights = Sequence[Array]


def convolved(x: Array, weight: Array, bias: Array, stride: int = 1) -> Array:
    """With a border of one zero."""
    side = weight.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = ((size + 2 - side) // stride + 1 for size in x.shape[2:])
    y = np.zeros((len(x), len(weight), height, width)) + bias[:, None, None]
    for i, j in np.ndindex(side, side):
        seen = padded[:, :, i : i + stride * height : stride, j : j + stride * width : stride]
        y += np.einsum("oc,bchw->bohw", weight[:, :, i, j], seen)
    return y


def transposed(y: Array, weight: Array, size: tuple[int, int], stride: int = 1) -> Array:
    """A gradient by what `convolved` gave -> that by what it was given."""
    height, width = y.shape[2:]
    whole = np.zeros((len(y), weight.shape[1], size[0] + 2, size[1] + 2))
    for i, j in np.ndindex(*weight.shape[2:]):
        part = np.einsum("oc,bohw->bchw", weight[:, :, i, j], y)
        whole[:, :, i : i + stride * height : stride, j : j + stride * width : stride] += part
    return whole[:, :, 1:-1, 1:-1]


def rectified(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x)


def spread(x: Array) -> Array:
    """(B, 4 C, H, W) -> (B, C, 2H, 2W): maps 4c to 4c + 3 are the pixels of a place, row by row."""
    count, maps, height, width = x.shape
    y = np.zeros((count, maps // 4, 2 * height, 2 * width))
    for i, j in np.ndindex(2, 2):
        y[:, :, i::2, j::2] = x[:, 2 * i + j :: 4]
    return y


def cubic(count: int, scale: int) -> Array:
    """(scale n, n): what each larger pixel takes of the smaller ones, together 1, also where some
    of them lie beyond the border.
    """
    matrix = np.zeros((scale * count, count))
    for row in range(scale * count):
        centre = (row + 0.5) / scale - 0.5
        for place in range(count):
            away = abs(centre - place)
            if away < 1:
                matrix[row, place] = 1.5 * away**3 - 2.5 * away**2 + 1
            elif away < 2:
                matrix[row, place] = -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
    return matrix / matrix.sum(1, keepdims=True)


def enlarged(x: Array, scale: int) -> Array:
    tall, wide = (cubic(side, scale) for side in x.shape[2:])
    return np.einsum("ih,jw,bchw->bcij", tall, wide, x)


def generated(weights: Weights, x: Array, scale: int, blocks: int) -> Array:
    """What is made of x, before anything is cut off."""
    given = iter(weights)

    def layer(y: Array) -> Array:
        return convolved(y, next(given), next(given))

    y = layer(x)
    for _ in range(blocks):
        y = y + layer(rectified(layer(y)))
    for _ in range(int(np.log2(scale)) - 1):
        y = rectified(spread(layer(y)))
    y = spread(layer(y))
    assert next(given, None) is None
    return enlarged(x, scale) + y


def repeated(x: Array, scale: int) -> Array:
    return x.repeat(scale, 2).repeat(scale, 3)


def averaged(x: Array, scale: int) -> Array:
    count, maps, height, width = x.shape
    return x.reshape(count, maps, height // scale, scale, width // scale, scale).mean((3, 5))


def judged(weights: Weights, x: Array) -> tuple[list[Array], Array, Array]:
    """D's maps, its logits (B, P), and the gradient of their sum by x: convolutions of 4x4 that
    halve, one of 3x3, and the one that gives the logits.
    """
    *layers, last = [*zip(weights[:-1:2], weights[1::2], strict=True), (weights[-1], np.zeros(1))]
    sizes, maps = [], [x]
    for weight, bias in layers:
        sizes.append(maps[-1].shape[2:])
        maps.append(rectified(convolved(maps[-1], weight, bias, _stride(weight))))
    logits = convolved(maps[-1], *last)
    gradient = transposed(np.ones_like(logits), last[0], maps[-1].shape[2:])
    for (weight, _), size, found in zip(layers[::-1], sizes[::-1], maps[:0:-1], strict=True):
        gradient = transposed(gradient * np.where(found > 0, 1, 0.2), weight, size, _stride(weight))
    return maps[1:], logits.reshape(len(x), -1), gradient


def _stride(weight: Array) -> int:
    return 2 if weight.shape[2] == 4 else 1


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def distance(one: Sequence[Array], other: Sequence[Array]) -> float:
    """Zhang et al. 2018, eq. 1 with w = 1, the mean over pictures."""

    def direction(x: Array) -> Array:
        return x / np.sqrt((x**2).sum(1, keepdims=True))

    pairs = zip(one, other, strict=True)
    return sum(((direction(a) - direction(b)) ** 2).sum(1).mean() for a, b in pairs)


def matched(one: Sequence[Array], other: Sequence[Array]) -> float:
    """pix2pixHD, eq. 4."""
    return sum(np.abs(a - b).mean() for a, b in zip(one, other, strict=True))


def discriminator_value(
    weights: Weights, real: Array, fake: Array, unpaired: Array, share: float, r1: float
) -> dict[str, float]:
    """Each term with its weight: D on pairs, on what has no real picture, and R1."""
    (_, on_real, by_real), (_, on_fake, _), (_, on_other, _) = (
        judged(weights, x) for x in (real, fake, unpaired)
    )
    return {
        "adversarial": float(softplus(on_fake - on_real).mean()),
        "unpaired": share * float(softplus(on_other - on_real).mean()),
        "r1": r1 / 2 * float((by_real**2).sum((1, 2, 3)).mean()),
    }
