"""What a unit of a network responds to: pictures made for it, and the patches that it likes best.

Activation maximisation: Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network";
with jitter as in Mordvintsev et al. 2015, "Inceptionism", and total variation as in Mahendran &
Vedaldi 2015, "Understanding Deep Image Representations by Inverting Them", arXiv 1412.0035, eq. 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.rng import rng

Network = Callable[[Tensor], Any]
"""Pictures (N, C, H, W) in [-1, 1] go in; only what its layers make of them is looked at."""

STEPS, RATE, JITTER = 160, 0.05, 16
"""Of the ascent; pictures are shifted by up to one part in JITTER of their side in each step."""
SMOOTH, MODEST = 1.0, 0.3
"""Weights of the total variation and of the mean square of the picture, as shares of what the
response is at the time; without these, colours run to their ends and pixels to noise."""
OCTAVES = 4
"""A picture is the sum of so many, each half as fine as the next, so that coarse forms come as
quickly as fine ones."""


class Layer(NamedTuple):
    """A convolution, by what it makes of one picture."""

    module: nn.Module
    channels: int
    size: tuple[int, int]
    """(H, W) of its maps."""


def layers_of(root: nn.Module, network: Network, shape: tuple[int, int, int]) -> list[Layer]:
    """The convolutions of `root` that `network` runs, in their order; each once."""
    found: dict[nn.Module, Layer] = {}

    def watch(module: nn.Module, given: Any, made: Any) -> None:
        if isinstance(made, Tensor) and made.dim() == 4 and module not in found:
            found[module] = Layer(module, made.shape[1], (made.shape[2], made.shape[3]))

    hooks = [
        module.register_forward_hook(watch)
        for module in root.modules()
        if isinstance(weight := getattr(module, "weight", None), Tensor) and weight.dim() == 4
    ]
    device = next(root.parameters()).device
    try:
        with torch.no_grad():
            network(torch.zeros((2, *shape), device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def responses(network: Network, layer: Layer, pictures: Tensor) -> Tensor:
    """(N, channels, H, W), what a layer makes of N pictures, whatever company the network puts
    after them; gradients flow.
    """
    kept: list[Tensor] = []

    def watch(module: nn.Module, given: Any, made: Tensor) -> None:
        kept.append(made)

    hook = layer.module.register_forward_hook(watch)
    try:
        network(pictures)
    finally:
        hook.remove()
    return kept[0][: len(pictures)]


def receptive_field(network: Network, layer: Layer, shape: tuple[int, int, int]) -> tuple[int, int]:
    """(height, width) of what a unit in the middle of a map sees of a picture, in pixels."""
    device = next(layer.module.parameters()).device
    numbers = rng(0, "receptive field").standard_normal((2, *shape))
    picture = torch.from_numpy(numbers).float().to(device).requires_grad_()
    with torch.enable_grad():
        made = responses(network, layer, picture)[0]
        middle = made[:, layer.size[0] // 2, layer.size[1] // 2].sum()
        (gradient,) = torch.autograd.grad(middle, picture)
    seen = gradient[0].abs().sum(0) > 0
    down, right = (torch.nonzero(seen.any(axis)).flatten() for axis in (1, 0))
    height, width = (int(x[-1] - x[0]) + 1 if len(x) else 1 for x in (down, right))
    return height, width


def dreams(
    network: Network,
    layer: Layer,
    units: Sequence[int],
    spread: Tensor,
    shape: tuple[int, int, int],
    starts: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Tensor, Tensor]:
    """Pictures to which units respond most.

    Args:
        network: with layers to look at; frozen.
        layer: one of them.
        units: channels of it.
        spread: (channels,), standard deviation of each over real pictures, greater than 0.
        shape: (C, H, W) of a picture.
        starts: pictures for each unit.
        progress: told (steps done, in all).

    Returns:
        Pictures (units, starts, C, H, W) in [-1, 1], and the mean response of each over its map,
        (units, starts).
    """
    count, device = len(units) * starts, spread.device
    numbers = rng(0, "dream")
    # From the coarsest to the picture's own.
    sizes = [tuple(max(1, side >> n) for side in shape[1:]) for n in reversed(range(OCTAVES))]
    octaves = [
        torch.from_numpy(0.1 * numbers.standard_normal((count, shape[0], *size)))
        .float()
        .to(device)
        .requires_grad_()
        for size in sizes
    ]
    chosen = torch.tensor(units, device=device).repeat_interleave(starts)
    optimizer = torch.optim.Adam(octaves, RATE)

    def picture() -> Tensor:
        parts = [
            F.interpolate(octave, shape[1:], mode="bilinear", align_corners=False)
            for octave in octaves
        ]
        return torch.stack(parts).sum(0).tanh()

    def reached(shown: Tensor) -> Tensor:
        made = responses(network, layer, shown)[torch.arange(count), chosen]
        return made.mean((1, 2)) / spread[chosen]

    with torch.enable_grad():
        for step in range(STEPS):
            shown = picture()
            by = [int(numbers.randint(-(s // JITTER) - 1, s // JITTER + 2)) for s in shape[1:]]
            response = reached(shown.roll(by, (2, 3)))
            cost = SMOOTH * total_variation(shown) + MODEST * shown.square().mean((1, 2, 3))
            loss = -response + response.detach().abs() * cost
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            progress(step + 1, STEPS)
    with torch.no_grad():
        shown = picture()
        found = reached(shown) * spread[chosen]
    return shown.unflatten(0, (len(units), starts)), found.unflatten(0, (len(units), starts))


def total_variation(pictures: Tensor) -> Tensor:
    """(N,), mean absolute difference of neighbouring values."""
    down = (pictures[:, :, 1:] - pictures[:, :, :-1]).abs().mean((1, 2, 3))
    right = (pictures[..., 1:] - pictures[..., :-1]).abs().mean((1, 2, 3))
    return down + right


class Best(NamedTuple):
    """The pictures that a unit responds to most, and where."""

    which: np.ndarray
    """(units, K), the strongest first."""
    places: np.ndarray
    """(units, K, 2), row and column in the map."""
    values: np.ndarray
    """(units, K), the responses there."""


def best(peaks: Tensor, where: Tensor, units: Sequence[int], count: int, width: int) -> Best:
    """Of peaks (N, channels), at places `where` in a map of that width, the `count` largest."""
    some = peaks[:, list(units)].T
    values, which = some.topk(min(count, some.shape[1]), dim=1)
    at = where[:, list(units)].T.gather(1, which)
    places = torch.stack([at // width, at % width], -1)
    return Best(which.cpu().numpy(), places.cpu().numpy(), values.cpu().numpy())


def patch(
    picture: np.ndarray, place: Sequence[int], maps: tuple[int, int], field: tuple[int, int]
) -> np.ndarray:
    """What a unit at a place of its map sees of a picture (H, W, C), cut at the edges by moving it
    inwards: (field, C).
    """
    found = []
    for at, cells, side, seen in zip(place, maps, picture.shape, field, strict=False):
        middle = (at + 0.5) * side / cells
        start = round(min(max(middle - seen / 2, 0), side - seen))
        found.append(slice(start, start + seen))
    return picture[found[0], found[1]]


def separation(one: Tensor, other: Tensor) -> Tensor:
    """How far apart two sets of responses are, unit by unit: d' = |difference of means| / root of
    the mean variance (Green & Swets 1966). (N, channels) and (M, channels) to (channels,).
    """
    spread = ((one.var(0) + other.var(0)) / 2).sqrt().clamp_min(1e-12)
    return (one.mean(0) - other.mean(0)).abs() / spread
