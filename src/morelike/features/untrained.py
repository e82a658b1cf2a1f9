"""The extractor that needs no weights: filters that see edges and colours, and a random network.

Untrained networks rank generators usefully (Naeem et al. 2020, "Reliable fidelity and diversity
metrics", section 4), if their numbers do not drown in one another. Three things see to that here:

- beside the random network, filters whose meaning is known: in each of 8 directions the energy of
  a quadrature pair (Freeman & Adelson 1991), by place, at four scales, and colours by place;
- each layer's responses have mean 0 and variance 1 on dead leaves (Lee, Mumford & Huang 2001),
  drawn pictures with the edges, scales and occlusions of photographs;
- so do the features, and beyond about 3 standard deviations they are squashed, so that no single
  one decides over a cubic kernel.

Weights are drawn by `rng` and dead leaves by float64 arithmetic, so features of two machines differ
by rounding alone.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.features.extractor import Look
from morelike.rng import rng

DESIGN = "oriented energies and an orthogonal network, 1"
"""What the hash in the name is of; another design, another name."""
LEAST, MOST = 32, 128
"""The shorter side of the pictures is scaled to lie between these, in pixels."""
DIRECTIONS, SCALES, GRID = 8, 4, 4
WIDTHS, FIRST = (48, 96, 128, 160), 5
"""Channels of the random layers, and the side of the first one's filters."""
LEAVES, PIECES, SIDE = 64, 80, 64
"""Dead leaves: pictures, leaves in each, side in pixels."""
SQUASH = 3.0
OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (1 / 2, 0.0, -1 / 2), (-1 / 4, 1 / 2, -1 / 4))
"""Luma, red against blue, green against both."""


def untrained() -> Look:
    """The network and how it is shown pictures; always the same."""
    return Look(Untrained(), sized, DESIGN.encode())


def sized(images: Tensor) -> Tensor:
    """(n, 3, H, W) in [0, 255], scaled if too large or too small, to the same in [-1, 1]."""
    short = min(images.shape[2:])
    wanted = min(max(short, LEAST), MOST)
    if wanted != short:
        height, width = (max(wanted, round(s * wanted / short)) for s in images.shape[2:])
        images = F.interpolate(
            images, (height, width), mode="bilinear", antialias=True, align_corners=False
        )
    return images / 127.5 - 1


class Untrained(nn.Module):
    """(n, 3, H, W) in [-1, 1], sides of at least 32, to features (n, 1,619)."""

    opponent: Tensor
    pairs: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        numbers = rng(0, "features", "weights")
        self.register_buffer("opponent", torch.tensor(OPPONENT))
        self.register_buffer("pairs", torch.from_numpy(quadrature_pairs()))
        self.layers = nn.ModuleList()
        with torch.inference_mode(False), torch.no_grad():
            leaves = torch.from_numpy(dead_leaves()).permute(0, 3, 1, 2).float() / 127.5 - 1
            shown = self._opponent(leaves)
            for number, width in enumerate(WIDTHS):
                side = FIRST if number == 0 else 3
                layer = nn.Conv2d(shown.shape[1], width, side, padding=side // 2)
                drawn = orthogonal(numbers, width, shown.shape[1], side)
                if number == 0:  # three of four see no flat colour, only how it changes
                    flat = np.arange(width)[:, None, None, None] % 4 == 0
                    drawn = np.where(flat, drawn, drawn - drawn.mean(axis=(2, 3), keepdims=True))
                shift = torch.from_numpy(0.5 * numbers.standard_normal(width)).float()
                layer.weight.copy_(torch.from_numpy(drawn))
                layer.bias = nn.Parameter(torch.zeros(width))
                response = layer(shown)
                spread, mean = torch.std_mean(response, dim=(0, 2, 3))
                layer.weight /= spread[:, None, None, None]
                layer.bias.copy_(shift - mean / spread)
                self.layers.append(layer)
                shown = F.avg_pool2d(layer(shown).relu(), 2)
            spread, mean = torch.std_mean(self._raw(leaves), dim=0)
        self.register_buffer("mean", mean)
        # What hardly varies over leaves must not be blown up into what varies most.
        self.register_buffer("spread", spread.clamp_min(0.05 * spread.median()))

    def forward(self, images: Tensor) -> Tensor:
        """Features of about unit variance, between -SQUASH and SQUASH."""
        standard = (self._raw(images) - self.mean) / self.spread
        return standard / (1 + standard.abs() / SQUASH)

    def _raw(self, images: Tensor) -> Tensor:
        shown = self._opponent(images)
        return torch.cat([self._oriented(shown), self._random(shown)], dim=1)

    def _opponent(self, images: Tensor) -> Tensor:
        return torch.einsum("oc,nchw->nohw", self.opponent, images)

    def _oriented(self, shown: Tensor) -> Tensor:
        """Colours by place, then energies by scale: of luma by place, of all three over all."""
        found = [F.adaptive_avg_pool2d(shown, GRID).flatten(1), shown.std(dim=(2, 3))]
        for scale in range(SCALES):
            if scale:
                shown = F.avg_pool2d(shown, 2)
            count, channels, height, width = shown.shape
            alone = shown.reshape(count * channels, 1, height, width)
            reach = self.pairs.shape[-1] // 2
            pairs = F.conv2d(F.pad(alone, (reach,) * 4, mode="reflect"), self.pairs)
            even, odd = pairs.chunk(2, dim=1)
            energy = (even.square() + odd.square() + 1e-6).sqrt()
            energy = energy.reshape(count, channels * DIRECTIONS, height, width)
            by_place = F.adaptive_avg_pool2d(energy[:, :DIRECTIONS], GRID).flatten(1)
            over_all = (energy.mean(dim=(2, 3)), energy.std(dim=(2, 3)))
            found += [(values + 1e-3).log() for values in (by_place, *over_all)]
        return torch.cat(found, dim=1)

    def _random(self, shown: Tensor) -> Tensor:
        """Mean and spread of every channel of every layer."""
        found = []
        for layer in self.layers:
            response = layer(shown).relu()
            found += [response.mean(dim=(2, 3)), response.std(dim=(2, 3))]
            shown = F.avg_pool2d(response, 2)
        return torch.cat(found, dim=1)


def quadrature_pairs(side: int = 7, sigma: float = 1.3) -> np.ndarray:
    """(2 x DIRECTIONS, 1, side, side) float32: second, then first derivatives of a Gaussian."""
    y, x = np.mgrid[:side, :side] - side // 2
    bell = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    pairs = []
    for order in (2, 1):
        for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
            along = x * np.cos(angle) + y * np.sin(angle)
            one = bell * ((along / sigma) ** 2 - 1 if order == 2 else along)
            one -= bell * one.sum() / bell.sum()  # blind to flat colour
            pairs.append(one / np.abs(one).sum())
    return np.stack(pairs)[:, None].astype(np.float32)


def orthogonal(numbers: np.random.RandomState, to: int, come: int, side: int) -> np.ndarray:
    """(to, come, side, side) float64 weights whose rows, or columns, are orthonormal."""
    shape = (to, come * side * side)
    q, r = np.linalg.qr(numbers.standard_normal((max(shape), min(shape))))
    q *= np.sign(np.diag(r))  # the sign is the library's choice otherwise
    return (q if shape[0] >= shape[1] else q.T).reshape(to, come, side, side)


def dead_leaves() -> np.ndarray:
    """(LEAVES, SIDE, SIDE, 3) uint8: ellipses on one another, of all sizes (density ~ radius^-3).

    They are shaded, some pictures are softened and some grainy, as photographs are.
    """
    numbers = rng(0, "features", "leaves")
    y, x = np.mgrid[:SIDE, :SIDE]
    pictures = np.empty((LEAVES, SIDE, SIDE, 3), np.uint8)
    for number in range(LEAVES):
        tone = numbers.random_sample(3)
        picture = np.tile(numbers.random_sample(3), (SIDE, SIDE, 1))
        for radius in numbers.uniform((2 / SIDE) ** 2, 1.5**-2, PIECES) ** -0.5:
            (down, across), angle = numbers.uniform(0, SIDE, 2), numbers.uniform(0, np.pi)
            u = ((x - across) * np.cos(angle) + (y - down) * np.sin(angle)) / radius
            v = ((y - down) * np.cos(angle) - (x - across) * np.sin(angle)) / radius
            leaf = u**2 + (v / numbers.uniform(0.3, 1)) ** 2 < 1
            shade = 0.1 * numbers.standard_normal()
            picture[leaf] = tone + 0.35 * numbers.standard_normal(3) + shade * u[leaf, None]
        picture = picture.clip(0, 1)
        if number % 3 == 0:
            picture = (
                picture + sum(np.roll(picture, by, at) for by in (1, -1) for at in (0, 1))
            ) / 5
        grain = (0.0, 0.01, 0.04)[number % 4 % 3]
        picture += grain * numbers.standard_normal(picture.shape)
        pictures[number] = np.rint(255 * picture.clip(0, 1))
    return pictures
