"""Networks small enough to follow, with real convolutions and known reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.enhance.model import Model


class Upright(nn.Module):
    """At one resolution, then sub-pixel, then once more: reach 1 + 2 + 1."""

    stride, reach = 1, 4

    def __init__(self, takes: int, gives: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.one = nn.Conv2d(takes, 6, 3, padding=1)
        self.two = nn.Conv2d(6, 6 * scale**2, 5, padding=2)
        self.three = nn.Conv2d(6, gives, 3, padding=1)

    def forward(self, given: Tensor) -> Tensor:
        hidden = F.pixel_shuffle(self.two(self.one(given).relu()), self.scale)
        return self.three(hidden).tanh()


class Hourglass(nn.Module):
    """Down to a quarter and up again. Reach: 2 and 4 of the strided convolutions, 4 of the one at
    the bottom, 3 of where a pixel lies within its four, 2 and 1 of those on the way up.
    """

    stride, reach = 4, 16

    def __init__(self, takes: int, gives: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(takes, 6, 4, 2, 1)
        self.further = nn.Conv2d(6, 8, 4, 2, 1)
        self.bottom = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.Conv2d(8, 6, 3, padding=1)
        self.last = nn.Conv2d(6 + takes, gives, 3, padding=1)

    def forward(self, given: Tensor) -> Tensor:
        hidden = self.bottom(self.further(self.down(given).relu()).relu()).relu()
        hidden = self.up(F.interpolate(hidden, scale_factor=2.0)).relu()
        hidden = F.interpolate(hidden, scale_factor=2.0)
        return self.last(torch.cat([hidden, given], 1)).tanh()


def seeded(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """With weights that are large enough to make everything matter, and in float64, so that nothing
    is rounded away.
    """
    torch.manual_seed(0)
    for weights in network.parameters():
        nn.init.normal_(weights, std=0.4)
    exact = network.double().eval().requires_grad_(False)
    return lambda given: exact(given.double())


def upright(
    task: str = "enlarge:2", takes: int = 3, gives: int = 3, scale: int = 2, **more: Any
) -> Model:
    network = seeded(Upright(takes, gives, scale))
    settings: dict[str, Any] = {"scale": scale, "stride": 1, "reach": 4, **more}
    return Model("upright", task, network, takes, gives, **settings)


def hourglass(task: str = "deblur", takes: int = 3, gives: int = 3, **more: Any) -> Model:
    network = seeded(Hourglass(takes, gives))
    settings: dict[str, Any] = {"stride": 4, "reach": 16, **more}
    return Model("hourglass", task, network, takes, gives, **settings)
