"""R3GAN: Huang, Gokaslan, Kuleshov & Tompkin 2024, "The GAN is dead; long live the GAN! A Modern
GAN Baseline", arXiv 2501.05441; the networks of its configuration E (section 3).

G and D mirror each other. At each resolution there are residual blocks, 1x1 -> grouped 3x3 -> 1x1
with leaky ReLU between them and nothing after the sum; between resolutions, bilinear resampling,
with a 1x1 convolution where the number of maps changes. G begins with learnt 4x4 maps, scaled by a
linear function of z; D ends with a depthwise convolution over all of its 4x4 places. There is no
normalisation of any kind. Instead the last convolution of each block begins at 0, so that both
networks begin as linear ones (but for G's tanh), and the two before it begin smaller, by the fourth
root of the number L of blocks (Zhang et al. 2019, "Fixup Initialization", section 3, for branches
of m = 3 layers: L^(-1 / (2m - 2))). Only the convolutions before a leaky ReLU have biases.

The game that belongs to it is the relativistic one with R1 and R2 at equal weights, in every step,
without momentum; the recipes `modern` and `cifar10-modern` have it. The authors tried penalties in
each eighth step only: slightly worse on photographs, and no convergence on toy sets (appendix E).

The paper's networks (table 9) have latent 64, expansion 2 and 2 blocks; here with their own counts
of parameters, in millions, and ours beside them:

    pictures                  width  widest  group    G paper, here     D paper, here
    Stacked MNIST, 32 px        768     768     16    20.73, 20.73      20.68, 20.68
    CIFAR-10, 32 px, 10 labels  768     768     16    20.78, 20.78      21.28, 21.28
    FFHQ, 64 px                 384     768     16    22.43, 22.43      22.38, 22.38
    FFHQ, 256 px                 96     768     16    23.06, 23.06      23.01, 23.01
    ImageNet, 32 px, 1000      1536    1536     32    82.91, 82.91      86.55, 86.55
    ImageNet, 64 px, 1000      1536    1536     32   103.57, 103.57    107.21, 107.21

What differs from the paper: pictures end with tanh, as they have to lie in [-1, 1], where the
paper's are unbounded; D's logit has a part that does not depend on the condition.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from morelike.config import ConditionConfig, Config, Section
from morelike.errors import UserError
from morelike.models.adversarial import discriminator_terms, generator_terms, inputs
from morelike.models.discriminator import Discriminator
from morelike.models.family import Networks
from morelike.models.layers import ConditionalSequential, Conditioned
from morelike.models.sizes import check_size, coarsest, doublings, widths

__all__ = [
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "build",
    "discriminator_terms",
    "generator_terms",
    "inputs",
]

SLOPE = 0.2
"""Of leaky ReLU where its input is negative."""


class Size(Section):
    """What both networks are made of."""

    width: Annotated[int, Field(ge=1, le=4096)] = 8
    """Feature maps at the full resolution; each coarser one has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 128
    """Most feature maps."""
    blocks: Annotated[int, Field(ge=1, le=16)] = 1
    """Residual blocks at each resolution; the paper has 2."""
    expansion: Annotated[int, Field(ge=1, le=8)] = 2
    """How many times as many maps there are within a block."""
    group: Annotated[int, Field(ge=1, le=4096)] = 16
    """Maps that a 3x3 convolution looks at together, or the most that divide this and theirs."""


class GeneratorConfig(Size):
    """The generator's size."""

    latent: Annotated[int, Field(ge=1, le=65536)] = 64
    """Length of the latent vector z, and of what a condition is embedded in beside it."""


class DiscriminatorConfig(Size):
    """The discriminator's size."""


class Residual(nn.Module):
    """x -> x + branch(x): 1x1, leaky ReLU, grouped 3x3, leaky ReLU, 1x1."""

    def __init__(self, maps: int, size: Size) -> None:
        super().__init__()
        wide = maps * size.expansion
        groups = wide // math.gcd(wide, size.group)
        self.branch = nn.Sequential(
            nn.Conv2d(maps, wide, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(wide, wide, 3, padding=1, groups=groups),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(wide, maps, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Both ways together."""
        return x + self.branch(x)


class Halved(nn.Module):
    """(B, C, H, W) -> (B, C, H / 2, W / 2): weights (1, 3, 3, 1) / 8 along each side, the border
    repeated.

    It is a quarter of the transpose of bilinear doubling, so that each player's resampling is the
    other's, passed backwards.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """The averages."""
        *before, height, width = maps.shape
        large, small = (height, width), (*before, height // 2, width // 2)
        # As a convolution by constants it takes two to twelve times as long on a CPU once R1 goes
        # backwards through it, in which there are four passes.
        transposed = torch.ops.aten.upsample_bilinear2d_backward
        return transposed(maps, large, small, False, 2.0, 2.0) / 4


class Basis(nn.Module):
    """Vectors (B, A) -> maps (B, C, H, W): learnt maps, each scaled by a linear function."""

    def __init__(self, ins: int, maps: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.scales = nn.Linear(ins, maps, bias=False)
        self.maps = nn.Parameter(torch.empty(1, maps, *size))

    def forward(self, vectors: Tensor) -> Tensor:
        """The scaled maps."""
        scales = self.scales(vectors)[:, :, None, None]
        # In the precision of the layers that follow: what they add to stays in this one.
        return scales * self.maps.to(scales.dtype)


class Gathered(nn.Module):
    """Maps (B, C, H, W) -> (B, C): each by learnt weights of its places."""

    def __init__(self, maps: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, maps, *size))

    def forward(self, maps: Tensor) -> Tensor:
        """The weighted sums."""
        return (maps * self.weight.to(maps.dtype)).sum((2, 3))


class Embedded(Conditioned):
    """z (B, A) and the condition (B, K) -> z and a linear function of the condition, (B, 2 A)."""

    def __init__(self, latent: int, condition: int) -> None:
        super().__init__()
        self.embed = nn.Linear(condition, latent, bias=False)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Both beside each other."""
        assert condition is not None
        embedded = self.embed(condition.to(x.dtype))
        return torch.cat([x, embedded.to(x.dtype)], 1)


class Generator(ConditionalSequential):
    """z (B, latent), standard normal, and a condition (B, K) if there is one -> pictures
    (B, *shape) in [-1, 1].

    Maps of 4 on the shorter side from z, then one doubling a resolution: 4, 8, ... the picture.
    """

    def __init__(
        self, shape: tuple[int, int, int], config: GeneratorConfig, condition: ConditionConfig
    ) -> None:
        told = condition.input_size
        maps = widths(config.width, config.widest, doublings(shape) + 1)[::-1]
        layers: list[nn.Module] = [
            *([Embedded(config.latent, told)] if told else []),
            Basis(config.latent * (2 if told else 1), maps[0], coarsest(shape)),
            *_blocks(maps[0], config),
        ]
        for ins, outs in itertools.pairwise(maps):
            layers += [
                *([_one(ins, outs)] if ins != outs else []),
                nn.Upsample(scale_factor=2, mode="bilinear"),
                *_blocks(outs, config),
            ]
        super().__init__(*layers, _one(maps[-1], shape[0]), nn.Tanh())
        initialise(self)


def trunk(
    shape: tuple[int, int, int], config: DiscriminatorConfig, *, projected: bool = False
) -> tuple[nn.Sequential, int]:
    """Pictures (B, *shape) in [-1, 1] -> features (B, F), and F.

    Where they are `projected` on an embedding of the condition, a linear layer comes before that.
    """
    maps = widths(config.width, config.widest, doublings(shape) + 1)
    layers: list[nn.Module] = [_one(shape[0], maps[0]), *_blocks(maps[0], config)]
    for ins, outs in itertools.pairwise(maps):
        layers += [
            Halved(),
            *([_one(ins, outs)] if ins != outs else []),
            *_blocks(outs, config),
        ]
    layers.append(Gathered(maps[-1], coarsest(shape)))
    if projected:
        layers.append(nn.Linear(maps[-1], maps[-1], bias=False))
    return nn.Sequential(*layers), maps[-1]


def initialise(network: nn.Module) -> None:
    """Draw all weights: N(0, 1 / fan-in), but what belongs to the blocks as said above, with the
    gain of leaky ReLU. A condition counts as one input, since of a label's numbers one is not 0.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            _draw(layer.weight, math.prod(layer.weight.shape[1:]))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, Gathered):
            _draw(layer.weight, math.prod(layer.weight.shape[2:]))
        elif isinstance(layer, Basis):
            _draw(layer.maps, 1)
    for layer in network.modules():
        if isinstance(layer, Embedded):
            _draw(layer.embed.weight, 1)
        elif isinstance(layer, Discriminator) and layer.projection is not None:
            _draw(layer.projection.weight, layer.projection.out_features)
    blocks = [block for block in network.modules() if isinstance(block, Residual)]
    gain = math.sqrt(2 / (1 + SLOPE**2)) * len(blocks) ** -0.25
    for block in blocks:
        *first, last = (layer for layer in block.branch if isinstance(layer, nn.Conv2d))
        for layer in first:
            _draw(layer.weight, math.prod(layer.weight.shape[1:]), gain)
        nn.init.zeros_(last.weight)


def _draw(weight: Tensor, fan_in: int, gain: float = 1.0) -> None:
    nn.init.normal_(weight, 0.0, gain / math.sqrt(fan_in))


def _blocks(maps: int, config: Size) -> list[nn.Module]:
    return [Residual(maps, config) for _ in range(config.blocks)]


def _one(ins: int, outs: int) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, 1, bias=False)


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures.

    Raises:
        UserError: if they are too small, or if the condition is to enter by a norm that there is
            not.
    """
    shape, condition = config.data.shape, config.condition
    check_size("r3gan", shape)
    if condition.norm_size:
        raise UserError(
            "r3gan has no norms by which to tell its generator the condition; set "
            "condition.generator=input."
        )
    projected = bool(condition.size and condition.projection)
    judging = Discriminator(
        *trunk(shape, config.discriminator, projected=projected), config, initialise
    )
    return Networks(Generator(shape, config.generator, condition), judging)
