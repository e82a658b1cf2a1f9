"""Which extractors there are, and what they share. torch is loaded when one is made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from morelike.errors import UserError, nearest

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

VERSION = 1
"""Counted up whenever the same weights would give other features."""
BATCH = 32
"""Pictures looked at together. Always as many, so that memory does not grow with their number."""
KNOWN = ("random", "inception", "dinov2", "timm:NAME")


class Look(NamedTuple):
    """A network, and how a picture must be shown to it."""

    network: nn.Module
    """From what `prepare` gives to (n, F)."""
    prepare: Callable[[Tensor], Tensor]
    """From (n, 3, H, W) float32 in [0, 255] to what the network wants."""
    drawn: bytes | None = None
    """What stands for the weights in the name, if it is not the weights themselves."""


@dataclass(frozen=True)
class Extractor:
    """Turns pictures into features; made by `extractor`."""

    name: str
    """What a score states: the network and, after an @, a short hash of its weights."""
    key: str
    """The same with all of the hash: equal keys give equal features."""
    dimension: int
    look: Look
    device: torch.device

    def __call__(self, images: np.ndarray) -> Tensor:
        """The features of pictures, in memory that does not depend on how many they are.

        Args:
            images: (N, H, W, C) uint8, gray (C = 1), RGB, or RGBA, which is laid on white; may be
                memory-mapped. Other sizes than the network's are scaled to it.

        Returns:
            (N, F) float32, on the CPU. A row depends on its picture alone, up to rounding.

        Raises:
            ValueError: if the array is not such pictures.
        """
        import torch

        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3, 4):
            raise ValueError(
                f"(N, H, W, 1, 3 or 4) uint8 is needed, not {images.shape} {images.dtype}"
            )
        features = torch.empty((len(images), self.dimension))
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                some = slice(start, start + BATCH)
                shown = torch.from_numpy(np.array(images[some])).to(self.device)
                features[some] = self.look.network(self.look.prepare(rgb(shown))).float().cpu()
        return features


def extractor(
    name: str = "random",
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    *,
    download: bool = False,
) -> Extractor:
    """Make an extractor.

    Args:
        name: "random", an untrained network that needs nothing; "inception", the network of FID
            (2,048 features, through torch-fidelity); "timm:NAME", any network of timm; "dinov2",
            which is timm's vit_small_patch14_dinov2.lvd142m.
        weights: a file with the weights of a trained network: safetensors, or for "inception" also
            torch-fidelity's .pth.
        device: where it runs.
        download: fetch the weights of a trained network, if no file is given.

    Raises:
        UserError: for an unknown name, a missing package, or weights that are missing or wrong.
    """
    import torch

    path = None if weights is None else Path(weights)
    if path is not None and not path.is_file():
        raise UserError(f"there is no file {path}; give the file that holds the network's weights.")
    with torch.random.fork_rng(devices=()):  # its first weights must not disturb anybody's
        look = _look(name, path, download)
    digest = weights_digest(look)
    place = torch.device(device)
    network = look.network.eval().requires_grad_(False).to(place)
    look = look._replace(network=network)
    with torch.inference_mode():
        dimension = network(look.prepare(torch.zeros((1, 3, 64, 64), device=place))).shape[1]
    return Extractor(f"{name}@{digest[:8]}", f"{name}@{digest} v{VERSION}", dimension, look, place)


def _look(name: str, weights: Path | None, download: bool) -> Look:
    if name == "random":
        from morelike.features.untrained import untrained

        if weights is not None:
            raise UserError(
                f"the extractor 'random' takes no weights, and would not use {weights}; name the "
                "network that they belong to, such as timm:mobilenetv2_100."
            )
        return untrained()
    if name != "inception" and name != "dinov2" and not name.startswith("timm:"):
        raise UserError(f"there is no extractor '{name}'; {nearest(name, KNOWN)}.")
    if weights is None and not download:
        raise UserError(
            f"the extractor '{name}' needs its weights: give their file, or ask for the download, "
            "or use 'random', which needs neither."
        )
    from morelike.features import pretrained

    return pretrained.inception(weights) if name == "inception" else pretrained.timm(name, weights)


def rgb(images: Tensor) -> Tensor:
    """(n, H, W, C) uint8, gray, RGB or RGBA on white, to (n, 3, H, W) float32 in [0, 255]."""
    shown = images.permute(0, 3, 1, 2).float()
    if shown.shape[1] == 4:
        alpha = shown[:, 3:] / 255
        shown = shown[:, :3] * alpha + 255 * (1 - alpha)
    return shown.expand(-1, 3, -1, -1)


def weights_digest(look: Look) -> str:
    """32 hex digits that only these weights give."""
    digest = hashlib.blake2b(look.drawn or b"", digest_size=16)
    if look.drawn is None:
        for name, values in sorted(look.network.state_dict().items()):
            digest.update(f"{name} {tuple(values.shape)} {values.dtype}".encode())
            digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()
