"""Networks whose maps at several depths are compared, and let gradients through to the pictures.

    from morelike.features.perceptual import perceptual
    look = perceptual()                     # needs no file
    apart = feature_distance(look.maps(made), look.maps(truth))     # metrics/fidelity.py

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", compare
pictures so; Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution", train by it. Unlike `extractor`, which tells a set of pictures from another, this
keeps places apart, can be trained through, and never resizes a picture.

"random" is made of what `untrained` is made of, as far as a step of training can spare the time:
filters that see every pixel, and oriented energies at two scales. Networks of timm take their
weights from a file, which is never fetched.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.errors import UserError, nearest
from morelike.features.extractor import Look, weights_digest
from morelike.features.untrained import Untrained

DESIGN = "fine filters and two scales of oriented energies, 2"
"""What the hash in the name of "random" is of; another design, another name."""
FINE, SCALES = 16, 2
"""Of the first random layer that many filters, of the oriented energies that many scales."""
FAINT = 0.02
"""Energies of this size count half: below it, in what is nearly flat, their directions are chance.
A step of 3 levels of 255 has about that."""
DEEPEST = 16
"""The coarsest stride of a trained network's maps, which is that of LPIPS's VGG and its like."""


class Maps(NamedTuple):
    """A network that gives maps."""

    network: nn.Module
    """From (B, 3, H, W) float32 in [-1, 1] to a list of maps (B, C_l, H_l, W_l)."""
    least: int
    """The smallest side of a picture that it has maps of."""
    digest: str


@dataclass(frozen=True)
class Perceptual:
    """A frozen network and its maps; made by `perceptual`.

    It is no module, so whoever keeps one does not save its weights with his own.
    """

    name: str
    """What a score states: the network and, after an @, a short hash of its weights."""
    device: torch.device
    asked: tuple[str, Path | None]
    """The network and the file that it was made from."""
    made: Maps

    def to(self, device: str | torch.device) -> Perceptual:
        """The same network on another device."""
        return perceptual(*self.asked, device)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """What the network makes of pictures, at each of its depths, from the finest on.

        Gradients flow to the pictures. Autocast does not reach in here: differences of maps are
        small, and bfloat16 keeps three digits.

        Args:
            pictures: (B, C, H, W) in [-1, 1], gray (C = 1), RGB, or RGBA, which is laid on white;
                as large as they are, and on any device. Values beyond -1 and 1 are taken as such.

        Returns:
            float32, each (B, C_l, H_l, W_l), on the pictures' device.

        Raises:
            ValueError: if the array is not such pictures.
            UserError: if they are smaller than the network's coarsest map asks for.
        """
        if pictures.device != self.device:
            return self.to(pictures.device).maps(pictures)
        with torch.autocast(pictures.device.type, enabled=False):
            shown = rgb(pictures.float())
            if min(shown.shape[2:]) < self.made.least:
                raise UserError(
                    f"{self.name} has maps of pictures of at least {self.made.least} pixels a "
                    f"side, not of {shown.shape[2]}x{shown.shape[3]}; take larger pictures or "
                    "crops, or another network."
                )
            return self.made.network(shown)


def perceptual(
    name: str = "random", weights: str | Path | None = None, device: str | torch.device = "cpu"
) -> Perceptual:
    """The network of this name; asked for again, the same one.

    Args:
        name: "random", an untrained network that needs nothing; "timm:NAME", a network of timm that
            takes pictures of any size, such as timm:vgg16.
        weights: a safetensors file with the weights of a trained network.
        device: where it is at first; `maps` goes where its pictures are.

    Raises:
        UserError: for an unknown name, a missing package, weights that are missing or wrong, or a
            network that has no such maps.
    """
    if name != "random" and not name.startswith("timm:"):
        raise UserError(
            f"there is no perceptual network '{name}'; {nearest(name, ('random', 'timm:NAME'))}."
        )
    if name == "random" and weights is not None:
        raise UserError(
            f"the perceptual network 'random' takes no weights, and would not use {weights}; name "
            "the network that they belong to, such as timm:vgg16."
        )
    if name != "random" and weights is None:
        raise UserError(
            f"the perceptual network '{name}' needs its weights, and none are fetched; give their "
            "safetensors file, or use 'random', which needs none."
        )
    path = None if weights is None else Path(weights).resolve()
    if path is not None and not path.is_file():
        raise UserError(f"there is no file {weights}; give the file that holds {name}'s weights.")
    return _perceptual(name, path, torch.empty(0, device=device).device)


@functools.cache
def _perceptual(name: str, weights: Path | None, device: torch.device) -> Perceptual:
    # Whoever asks first may be measuring; whoever asks next may want gradients. And a network's
    # first weights, which are thrown away, must not move the random numbers of a training.
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=()):
        made = _untrained() if weights is None else _trained(name, weights)
        network = made.network.eval().requires_grad_(False).to(device)
    known = f"{name}@{made.digest[:8]}"
    return Perceptual(known, device, (name, weights), made._replace(network=network))


def rgb(pictures: Tensor) -> Tensor:
    """(B, C, H, W) in [-1, 1], gray, RGB or RGBA on white, to (B, 3, H, W).

    Raises:
        ValueError: if the array is not such pictures.
    """
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3, 4):
        raise ValueError(f"(B, 1, 3 or 4, H, W) is needed, not {tuple(pictures.shape)}")
    if pictures.shape[1] == 4:
        alpha = (pictures[:, 3:] + 1) / 2
        return pictures[:, :3] * alpha + (1 - alpha)
    return pictures.expand(-1, 3, -1, -1)


class Energies(nn.Module):
    """The finest filters of `Untrained`, and its oriented energies of luma at two scales.

    Without further layers: these took longer, and moved the order in which damages to a picture are
    found grave away from a trained network's.
    """

    opponent: Tensor
    pairs: Tensor
    filters: Tensor
    shifts: Tensor

    def __init__(self) -> None:
        super().__init__()
        whole = Untrained()
        first: Any = whole.layers[0]
        self.register_buffer("opponent", whole.opponent)
        self.register_buffer("pairs", whole.pairs)
        self.register_buffer("filters", first.weight[:FINE].clone())
        self.register_buffer("shifts", first.bias[:FINE].clone())

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """A map of FINE channels, then SCALES maps of a channel for each direction and one more."""
        shown = torch.einsum("oc,nchw->nohw", self.opponent, pictures)
        maps = [F.conv2d(shown, self.filters, self.shifts, padding="same").relu()]
        luma = shown[:, :1]
        for scale in range(SCALES):
            if scale:
                luma = F.avg_pool2d(luma, 2)
            maps.append(self._energies(luma))
        return maps

    def _energies(self, luma: Tensor) -> Tensor:
        """By direction, at every other place; the constant stands for what is too faint to see.

        Energies are smooth: every other place tells as much, in half the time. Scaled to length 1,
        as maps are to be compared, that is the gain control of Heeger 1992, "Normalization of cell
        responses in cat striate cortex": E / sqrt(constant^2 + sum E^2).
        """
        reach = self.pairs.shape[-1] // 2
        both = F.conv2d(F.pad(luma, (reach,) * 4, mode="replicate"), self.pairs, stride=2)
        even, odd = both.chunk(2, dim=1)
        energy = (even.square() + odd.square() + 1e-6).sqrt()
        return torch.cat([energy, torch.full_like(energy[:, :1], FAINT)], dim=1)


def _untrained() -> Maps:
    network = Energies()
    return Maps(network, 2 ** (SCALES - 1), weights_digest(Look(network, rgb, DESIGN.encode())))


class Trained(nn.Module):
    """A network of timm, cut off after the last map that is wanted."""

    dark: Tensor
    light: Tensor

    def __init__(self, look: Look, depths: Sequence[int]) -> None:
        super().__init__()
        network: Any = look.network
        network.prune_intermediate_layers(depths, prune_head=True)
        self.network = network
        self.depths = list(depths)
        # What `prepare` makes of black and of white says how it normalises, without its resizing.
        black, white = look.prepare(torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 3, 8, 8))
        self.register_buffer("dark", black[:, :1, :1].clone())
        self.register_buffer("light", white[:, :1, :1].clone())

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The maps at the depths that were asked for."""
        normal = self.dark + (self.light - self.dark) * (pictures + 1) / 2
        normal = normal.contiguous(memory_format=torch.channels_last)  # a third faster on CPUs
        return self.network.forward_intermediates(
            normal, indices=self.depths, stop_early=True, intermediates_only=True
        )


def _trained(name: str, weights: Path) -> Maps:
    from morelike.features import pretrained

    look = pretrained.timm(name, weights)
    digest = weights_digest(look)
    strides = [about["reduction"] for about in getattr(look.network, "feature_info", ())]
    depths = [depth for depth, stride in enumerate(strides) if stride <= DEEPEST]
    try:
        made = Trained(look, depths).eval()
        made(torch.zeros(1, 3, 3 * DEEPEST - 1, 2 * DEEPEST + 1))
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"{name} has no maps of pictures of any size; name a convolutional network of timm, "
            "such as timm:vgg16, or use 'random'."
        ) from error
    return Maps(made, max(strides[depth] for depth in depths), digest)
