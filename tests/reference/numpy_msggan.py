"""The networks of MSG-GAN forwards, in plain NumPy float64, written from the papers alone.

Karnewar & Wang 2019 (where pictures leave G and enter D) and Karras et al. 2018 (the layers of
both). A layer is a pair (learnt weight, bias); its scale, sqrt(2 / fan_in), is applied here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
Layer = tuple[Array, Array]


def scaled(weight: Array) -> Array:
    """Of (out, in, ...), by what one output is the sum of."""
    return weight * np.sqrt(2 / weight[0].size)


def convolved(x: Array, layer: Layer, border: int) -> Array:
    """The sum over all places of the kernel, with so many zeros around the picture."""
    kernel, bias = scaled(layer[0]), layer[1]
    x = np.pad(x, ((0, 0), (0, 0), (border, border), (border, border)))
    rows, columns = kernel.shape[2:]
    height, width = x.shape[2] - rows + 1, x.shape[3] - columns + 1
    result = np.zeros((len(x), len(kernel), height, width))
    for a in range(rows):
        for b in range(columns):
            part = x[:, :, a : a + height, b : b + width]
            result += np.einsum("bchw,oc->bohw", part, kernel[:, :, a, b])
    return result + bias[:, None, None]


def rectified(x: Array) -> Array:
    """LeakyReLU of slope 0.2."""
    return np.where(x > 0, x, 0.2 * x)


def normed(x: Array) -> Array:
    """Karras et al. 2018, section 4.2: the features of each place."""
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-8)


def doubled(x: Array) -> Array:
    """Each pixel four times."""
    return x.repeat(2, axis=2).repeat(2, axis=3)


def halved(x: Array) -> Array:
    """The mean of each 2x2 pixels."""
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def with_deviation(x: Array, group: int = 4) -> Array:
    """Karras et al. 2018, section 3, over groups of neighbours."""
    maps = []
    for start in range(0, len(x), group):
        part = x[start : start + group]
        deviation = np.sqrt(part.var(axis=0) + 1e-8).mean()
        maps.append(np.full((len(part), 1, *x.shape[2:]), deviation))
    return np.concatenate([x, np.concatenate(maps)], axis=1)


def combined(how: str, pictures: Array, maps: Array, layer: Layer | None) -> Array:
    """Karnewar & Wang 2019, section 2.1: phi_simple, phi_lin_cat, phi_cat_lin."""
    if how == "simple":
        return np.concatenate([pictures, maps], axis=1)
    assert layer is not None
    if how == "lin_cat":
        return np.concatenate([convolved(pictures, layer, 0), maps], axis=1)
    return convolved(np.concatenate([pictures, maps], axis=1), layer, 0)


def generated(
    latents: Array,
    condition: Array | None,
    dense: Layer,
    blocks: Sequence[Sequence[Layer]],
    pictures: Sequence[Layer],
    first: tuple[int, int],
) -> list[Array]:
    """Pictures at each resolution, the smallest first."""
    x = normed(latents)
    if condition is not None:
        x = np.concatenate([x, condition], axis=1)
    x = x @ scaled(dense[0]).T + dense[1]
    x = normed(rectified(x.reshape(len(x), -1, *first)))
    results = []
    for number, (block, picture) in enumerate(zip(blocks, pictures, strict=True)):
        x = doubled(x) if number else x
        for layer in block:
            x = normed(rectified(convolved(x, layer, 1)))
        results.append(np.tanh(convolved(x, picture, 0)))
    return results


def judged(
    scales: Sequence[Array],
    how: str,
    enter: Layer,
    blocks: Sequence[Sequence[Layer]],
    joints: Sequence[Layer | None],
    end: Sequence[Layer],
    logit: Array,
) -> Array:
    """Logits of pictures at each resolution, the smallest first."""
    *coarser, largest = scales
    x = rectified(convolved(largest, enter, 0))
    for block, joint, pictures in zip(blocks, joints, reversed(coarser), strict=True):
        x = with_deviation(x)
        for layer in block:
            x = rectified(convolved(x, layer, 1))
        x = combined(how, pictures, halved(x), joint)
    x = rectified(convolved(with_deviation(x), end[0], 1))
    x = rectified(convolved(x, end[1], 0))
    assert x.shape[2:] == (1, 1)
    return (x[:, :, 0, 0] @ scaled(logit).T)[:, 0]
