"""DCGAN as tutorials train it: the yardstick of `training_speed.py` and `sampling_speed.py`.

Radford et al. 2015 in the plainest PyTorch: fp32, pictures in NCHW, `torch.optim.Adam`, binary
cross-entropy on sigmoids, and gradients of D's weights that are computed in G's turn too, to be
thrown away.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


def generator(width: int = 64, latent: int = 100) -> nn.Sequential:
    """Latents (B, latent, 1, 1) to pictures (B, 3, 64, 64) in [-1, 1]."""
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(latent, 8 * width, 4, 1, 0, bias=False),
        nn.BatchNorm2d(8 * width),
        nn.ReLU(inplace=True),
    ]
    for maps in (8 * width, 4 * width, 2 * width):
        layers += [
            nn.ConvTranspose2d(maps, maps // 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(maps // 2),
            nn.ReLU(inplace=True),
        ]
    layers += [nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return _drawn(nn.Sequential(*layers))


def discriminator(width: int = 64) -> nn.Sequential:
    """Pictures to probabilities (B, 1, 1, 1)."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, width, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    for maps in (width, 2 * width, 4 * width):
        layers += [
            nn.Conv2d(maps, 2 * maps, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * maps),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    layers += [nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
    return _drawn(nn.Sequential(*layers))


def _drawn(network: nn.Sequential) -> nn.Sequential:
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
    return network


class Losses(NamedTuple):
    """Of one step."""

    discriminator: float
    generator: float


class Tutorial:
    """Both networks and their optimizers."""

    def __init__(
        self,
        width: int = 64,
        latent: int = 100,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.generator = generator(width, latent).to(device, dtype)
        self.discriminator = discriminator(width).to(device, dtype)
        self.criterion = nn.BCELoss()
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.generator, self.discriminator)
        ]

    def step(self, real: Tensor, latents: Tensor) -> Losses:
        """Update D on real and generated pictures, then G on the same generated ones."""
        of_g, of_d = self.optimizers
        ones, zeros = (real.new_full((len(real),), value) for value in (1.0, 0.0))
        self.discriminator.zero_grad()
        loss_real = self.criterion(self.discriminator(real).flatten(), ones)
        loss_real.backward()
        fake = self.generator(latents[:, :, None, None])
        loss_fake = self.criterion(self.discriminator(fake.detach()).flatten(), zeros)
        loss_fake.backward()
        of_d.step()
        self.generator.zero_grad()
        loss = self.criterion(self.discriminator(fake).flatten(), ones)
        loss.backward()
        of_g.step()
        return Losses((loss_real + loss_fake).item(), loss.item())
