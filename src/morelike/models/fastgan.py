"""FastGAN: Liu, Zhu, Song & Elgammal 2021, "Towards Faster and Stabilized GAN Training for
High-fidelity Few-shot Image Synthesis", arXiv 2101.04775: for few pictures and little time.

G has one 3x3 convolution a resolution, with batch norm and a gated linear unit, and skip-layer
excitation (section 3.1, eq. 1 and 2): maps of a low resolution decide how much of each map of a
high one goes on, which is a short way for gradients at next to no cost. D is trained as an encoder
too (section 3.2, eq. 3): from two of its maps of a real picture, small decoders have to draw the
picture again, from the coarser one all of it, from the finer one a part, so that D has to look at
more than the first thing that tells real from generated. It gives one logit for each patch of the
picture, and the loss is the hinge (eq. 4 and 5).

The paper is about pictures of 256 to 1024 pixels. What is made of it for 16 to 256:

- It excites 128 from 8 pixels, 256 from 16, 512 from 32: a 16th. Here, too, every map of 64 pixels
  and more is excited from a 16th of its side; smaller pictures have theirs, at their full
  resolution, from the map of 4 pixels.
- D halves pictures down to 8 pixels, and decodes these and the 16 before, as in the paper; those of
  16 pixels it halves down to 4. Of 8x8 places there are 5x5 logits, of 4x4 there is one.
- A part is half of the map each way, at a place that each picture draws for itself. Decoders double
  a map twice, or less where that is the picture's resolution: 32 pixels where the paper has 128.

What differs from the paper:

- Its reconstruction is compared in the features of a network that learnt from a million
  photographs (Zhang et al. 2018, LPIPS). Here that is a choice (`perceptual_network`, with a file
  of its weights); by default, with no network to fetch, it is compared in pixels and in the
  differences of neighbouring ones, at three scales. The decoders have no tanh, as augmentation
  takes colours out of [-1, 1].
- Noise enters at every second resolution (8, 32, 128), and is an input like z, so that a sample
  depends on its seed alone.
- D has batch norm by default; spectral norm, in its place or beside it, is a choice (`norm`).
- No spectral norm in G: each convolution but the last has batch norm after it, to which the scale
  of a weight means nothing, and the average of two weights would have the scale of neither.
- Nearest-neighbour upsampling and the 3x3 convolution after it are one transposed convolution with
  4x4 weights made of the 3x3 ones, the same function for less than half of the products.

These defaults are for a CPU: at 64x64 RGB, G has 1,262,074 parameters, and D 478,146, of which
98,370 are the decoders'.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.config import ConditionConfig, Config, Section
from morelike.features.perceptual import perceptual
from morelike.metrics.fidelity import feature_distance
from morelike.models import adversarial, dcgan
from morelike.models.adversarial import Sight, generator_terms
from morelike.models.discriminator import Discriminator
from morelike.models.family import Batch, Inputs, Networks, Term
from morelike.models.layers import (
    ConditionalBatchNorm2d,
    MinibatchStandardDeviation,
    spectrally_normalised,
    wide,
)
from morelike.models.sizes import SMALLEST, check_size, coarsest, doublings, widths
from morelike.models.strided import Doubling, Opening
from morelike.rng import Draws

__all__ = [
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "build",
    "discriminator_terms",
    "generator_terms",
    "inputs",
]

REACH = 4
"""Doublings from the map that excites to the one that is excited: a 16th of the side."""
DECODED = 2
"""Doublings of a decoder."""
SCALES = 3
"""At which a reconstruction is compared: as it is decoded, a half and a quarter of that."""


class GeneratorConfig(Section):
    """The generator's size."""

    width: Annotated[int, Field(ge=1, le=1024)] = 8
    """Feature maps at the full resolution; each coarser one has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 512
    """Most feature maps."""
    latent: Annotated[int, Field(ge=1, le=65536)] = 256
    """Length of the latent vector z."""
    noise: bool = True
    """Add noise to the maps at every second resolution, with a strength that is learnt."""


class DiscriminatorConfig(Section):
    """The discriminator's size, what it is kept in check with, and what it is to draw again."""

    width: Annotated[int, Field(ge=1, le=1024)] = 32
    """Feature maps of the first layer; each halving after it has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 512
    """Most feature maps."""
    norm: Literal["batch", "spectral", "both", "none"] = "batch"
    """Batch norm, spectral normalisation of all weights but the decoders' (Miyato et al. 2018),
    both or neither. With batch norm there are no penalties on gradients."""
    reconstruction: Annotated[float, Field(ge=0)] = 1.0
    """Weight with which D has to be able to draw real pictures again (eq. 3); 0: no decoders."""
    perceptual_network: Annotated[str, Field(pattern="^(random|timm:.+)$")] | None = None
    """Whose maps decide how like they are: random, which nobody trained; or timm:NAME, such as
    timm:vgg16, which learnt from photographs. None: pixels decide."""
    perceptual_weights: str | None = None
    """The file (safetensors) that holds the weights of timm:NAME."""

    @property
    def compared_by(self) -> tuple[str, str | None] | None:
        """The network whose maps are compared, and its weights; None: there is no need of one."""
        name = self.perceptual_network if self.reconstruction else None
        return None if name is None else (name, self.perceptual_weights)

    minibatch_stddev: bool = False
    """Append how much pictures differ, before the last layers (Karras et al. 2018)."""


class Gated(nn.Module):
    """(B, 2 C, ...) -> (B, C, ...): one half of the maps times the sigmoid of the other (Dauphin et
    al. 2017, "Language Modeling with Gated Convolutional Networks", eq. 1).
    """

    def forward(self, maps: Tensor) -> Tensor:
        """The gated half."""
        # Forward and back, half of the time that torch's own takes with channels last.
        values, gates = maps.chunk(2, 1)
        return values * gates.sigmoid()


class Normed(nn.Module):
    """(B, 2 C, H, W) and a condition (B, K) if it decides over the norm -> (B, C, H, W): batch
    norm, then the gate.
    """

    def __init__(self, maps: int, by_norm: int) -> None:
        super().__init__()
        self.conditional = ConditionalBatchNorm2d(2 * maps, by_norm) if by_norm else None
        self.norm = nn.Identity() if by_norm else nn.BatchNorm2d(2 * maps)
        self.gated = Gated()

    def forward(self, maps: Tensor, condition: Tensor | None) -> Tensor:
        """Normalised and gated maps."""
        if self.conditional is not None:
            return self.gated(self.conditional(maps, condition))
        return self.gated(self.norm(maps))


class Block(nn.Module):
    """Maps (B, ins, H, W) -> (B, outs, 2H, 2W): doubled, with noise if there is any, normed."""

    def __init__(self, ins: int, outs: int, by_norm: int, *, noisy: bool) -> None:
        super().__init__()
        self.doubling = Doubling(ins, 2 * outs)
        self.strength = nn.Parameter(torch.zeros(1)) if noisy else None
        self.normed = Normed(outs, by_norm)

    def forward(self, maps: Tensor, condition: Tensor | None, noise: Tensor | None) -> Tensor:
        """`noise` is (B, 1, 2H, 2W), the same for all maps."""
        large = self.doubling(maps)
        if self.strength is not None:
            assert noise is not None
            large = large + (self.strength * noise).to(large.dtype)
        return self.normed(large, condition)


class Excitation(nn.Module):
    """Skip-layer excitation (eq. 1 and 2): y = F(x_low) * x_high, with F a number in (0, 1) for
    each map of x_high: means over 4x4 parts, a convolution that takes them all in, LeakyReLU, a 1x1
    convolution, the sigmoid.
    """

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        self.gates = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            nn.Conv2d(low, high, 4, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(high, high, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """(B, low, h, w) and (B, high, H, W) -> (B, high, H, W)."""
        return self.gates(low) * high


class Generator(nn.Module):
    """z (B, latent), a condition (B, K) if there is one, and noise (B, places) if there is any, all
    but the condition standard normal -> pictures (B, *shape) in [-1, 1].

    A map of 4 on its shorter side from z, then one doubling a block: 4, 8, ... the picture.
    """

    def __init__(
        self, shape: tuple[int, int, int], config: GeneratorConfig, condition: ConditionConfig
    ) -> None:
        super().__init__()
        channels = shape[0]
        count = doublings(shape)
        maps = widths(config.width, config.widest, count + 1)[::-1]
        joined, by_norm = condition.input_size, condition.norm_size
        self.is_conditional, self.is_joined = condition.size > 0, joined > 0
        self.noises = noises(shape, config)
        ins = config.latent + joined
        self.start = nn.Sequential(
            nn.Unflatten(1, (ins, 1, 1)),
            Opening(ins, 2 * maps[0], coarsest(shape)),
        )
        self.normed = Normed(maps[0], by_norm)
        self.blocks = nn.ModuleList(
            Block(i, o, by_norm, noisy=noise is not None)
            for (i, o), noise in zip(itertools.pairwise(maps), self.noises, strict=True)
        )
        self.reach = min(REACH, count)
        pairs = zip(maps, maps[self.reach :], strict=False)
        self.excitations = nn.ModuleList(Excitation(low, high) for low, high in pairs)
        last = nn.Conv2d(maps[-1], channels, 3, padding=1, bias=False)
        self.picture = nn.Sequential(last, nn.Tanh())
        dcgan.initialise(self)

    def forward(self, latents: Tensor, *rest: Tensor) -> Tensor:
        """The pictures."""
        condition = rest[0] if self.is_conditional else None
        if self.is_joined:
            assert condition is not None
            latents = torch.cat([latents, condition.to(latents.dtype)], 1)
        found = [self.normed(self.start(latents), condition)]
        noise = self._cut(rest[-1]) if any(self.noises) else [None] * len(self.noises)
        for number, block in enumerate(self.blocks, 1):
            large = block(found[-1], condition, noise[number - 1])
            if number >= self.reach:
                source = number - self.reach
                large = self.excitations[source](found[source], large)
            found.append(large)
        return self.picture(found[-1])

    def _cut(self, noise: Tensor) -> list[Tensor | None]:
        """(B, places) -> (B, 1, H, W) for each block that takes some."""
        areas = [math.prod(size) if size else 0 for size in self.noises]
        parts = zip(self.noises, noise.split(areas, 1), strict=True)
        return [part.unflatten(1, (1, *size)) if size else None for size, part in parts]


def noises(
    shape: tuple[int, int, int], config: GeneratorConfig
) -> tuple[tuple[int, int] | None, ...]:
    """(height, width) of the noise that each block adds, or None: every second one, from the first
    on.
    """
    count = doublings(shape)
    sizes = [tuple(side >> count - 1 - i for side in shape[1:]) for i in range(count)]
    return tuple(
        (size[0], size[1]) if config.noise and i % 2 == 0 else None for i, size in enumerate(sizes)
    )


def inputs(
    config: Config[GeneratorConfig, Any], draws: Draws, condition: Tensor | None = None
) -> Inputs:
    """Latents z ~ N(0, 1), (count, latent), conditions where there are any, and noise ~ N(0, 1),
    (count, places), a number for each place of each map that gets any.
    """
    given = adversarial.inputs(config, draws, condition)
    sizes = noises(config.data.shape, config.generator)
    places = sum(math.prod(size) for size in sizes if size)
    return (*given, draws.normal("noise", places)) if places else given


class Halving(nn.Module):
    """(B, ins, H, W) -> (B, outs, H / 2, W / 2): the mean of two ways, one with a strided and a
    level convolution, one with averages of 2x2 and a 1x1 convolution.
    """

    def __init__(self, ins: int, outs: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_convolution(ins, outs, 4, 2, 1, batch_norm=batch_norm),
            *_convolution(outs, outs, 3, 1, 1, batch_norm=batch_norm),
        )
        self.direct = nn.Sequential(
            nn.AvgPool2d(2), *_convolution(ins, outs, 1, 1, 0, batch_norm=batch_norm)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """The mean of both."""
        return (self.main(maps) + self.direct(maps)) / 2


class Trunk(nn.Module):
    """Pictures (B, C, H, W) in [-1, 1] -> features (B, F): the maps of the last resolution but one,
    and those of the last, 8 on the shorter side, or 4 of pictures of 16 pixels.

    They come place by place, which is how they lie in memory with channels last.
    """

    def __init__(self, shape: tuple[int, int, int], config: DiscriminatorConfig) -> None:
        super().__init__()
        channels, *size = shape
        halvings = doublings(shape, 8 if min(size) > 16 else SMALLEST)
        maps = widths(config.width, config.widest, halvings)
        batch_norm = config.norm in ("batch", "both")
        # As in DCGAN, no batch norm on what comes straight from the picture.
        enter = nn.Conv2d(channels, maps[0], 4, 2, 1, bias=not batch_norm)
        self.enter = nn.Sequential(enter, _rectified())
        self.blocks = nn.ModuleList(
            Halving(i, o, batch_norm=batch_norm) for i, o in itertools.pairwise(maps)
        )
        fine, coarse = (
            (count, size[0] >> depth, size[1] >> depth)
            for depth, count in enumerate(maps[-2:], halvings - 1)
        )
        self.fine, self.coarse = fine, coarse
        """(maps, height, width) of both parts of the features."""

    def forward(self, pictures: Tensor) -> Tensor:
        """The features."""
        maps = [self.enter(pictures)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return torch.cat([each.permute(0, 2, 3, 1).flatten(1) for each in maps[-2:]], 1)

    def parted(self, features: Tensor) -> list[Tensor]:
        """Features -> the finer and the coarser maps, (B, C, H, W) each."""
        shapes = (self.fine, self.coarse)
        parts = features.split([math.prod(shape) for shape in shapes], 1)
        return [
            part.unflatten(1, (height, width, maps)).permute(0, 3, 1, 2)
            for part, (maps, height, width) in zip(parts, shapes, strict=True)
        ]


class Drawn(NamedTuple):
    """Pictures as they were decoded, and as they are, (B, C, h, w) each."""

    decoded: Tensor
    real: Tensor


class EncodingDiscriminator(Discriminator):
    """Pictures (B, *shape) in [-1, 1] -> logits (B, P), one a patch, and reconstructions.

    With a condition, every logit of a picture gets the same projection, that of the means of the
    coarser maps (Miyato & Koyama 2018), which is also what the auxiliary classifier is given.
    """

    def __init__(self, config: Config[Any, DiscriminatorConfig]) -> None:
        shape, settings = config.data.shape, config.discriminator
        trunk = Trunk(shape, settings)
        maps = trunk.coarse[0]
        super().__init__(trunk, maps, config, initialise, spectral_norm=_is_spectral(settings))
        deviation = [MinibatchStandardDeviation()] if settings.minibatch_stddev else []
        batch_norm = settings.norm in ("batch", "both")
        patches: Any = nn.Sequential(
            *deviation,
            *_convolution(maps + len(deviation), maps, 1, 1, 0, batch_norm=batch_norm),
            # No bias: it would move all logits alike, to which half of the losses are blind.
            nn.Conv2d(maps, 1, 4, bias=False),
        )
        initialise(patches)
        self.logit = spectrally_normalised(patches) if _is_spectral(settings) else patches
        self.decoders = nn.ModuleList()
        self.strides = [shape[1] // part[1] for part in (trunk.fine, trunk.coarse)]
        if settings.reconstruction:
            parts = zip((trunk.fine, trunk.coarse), self.strides, strict=True)
            self.decoders.extend(_decoder(part[0], shape[0], stride) for part, stride in parts)
            initialise(self.decoders)

    def logits(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, P) of features and, where there is one, the condition."""
        coarse = self.coarse(features)
        logits = self.logit(coarse).flatten(1)
        if self.projection is None or condition is None:
            return logits
        return logits + (self.projection(condition) * coarse.mean((2, 3))).sum(1, keepdim=True)

    def misnamed(self, features: Tensor, condition: Tensor, classes: int) -> Tensor:
        """How wrong the auxiliary classifier is, a scalar."""
        return super().misnamed(self.coarse(features).mean((2, 3)), condition, classes)

    def coarse(self, features: Tensor) -> Tensor:
        """The coarser of both maps that features are."""
        return self._parted(features)[1]

    def drawn(self, features: Tensor, pictures: Tensor, where: Tensor) -> tuple[Drawn, Drawn]:
        """A part of each picture, decoded from the finer maps, and the whole from the coarser ones.

        Args:
            features: (B, F) of these pictures.
            pictures: (B, C, H, W).
            where: (B, 2) in [0, 1), which part of each: how far down and to the right.
        """
        fine, coarse = self._parted(features)
        stride = self.strides[0]
        height, width = (side // 2 for side in fine.shape[2:])
        places = torch.tensor([s + 1 for s in (height, width)], device=where.device)
        corners = (where * places).long()
        part = self.decoders[0](cropped(fine, corners, (height, width)))
        real = cropped(pictures, corners * stride, (height * stride, width * stride))
        whole = self.decoders[1](coarse)
        return Drawn(part, _as_small(real, part)), Drawn(whole, _as_small(pictures, whole))

    def _parted(self, features: Tensor) -> list[Tensor]:
        trunk: Any = self.trunk
        return trunk.parted(features)


def cropped(maps: Tensor, corners: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), each from its corner (B, 2), a row and a column."""
    rows, columns = (
        corners[:, i, None] + torch.arange(side, device=corners.device)
        for i, side in enumerate(size)
    )
    which = torch.arange(len(maps), device=corners.device)[:, None, None]
    return maps[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def unlikeness(drawn: Drawn) -> Tensor:
    """How far decoded pictures are from the real ones, a scalar: at each of three scales the mean
    absolute difference, and that of the differences of neighbouring pixels, down and across, which
    are what one sees of edges.
    """
    away = wide(drawn.decoded) - wide(drawn.real)
    found = []
    for scale in range(SCALES):
        if scale:
            away = F.avg_pool2d(away, 2)
        found += [away.abs().mean(), *(away.diff(dim=side).abs().mean() for side in (2, 3))]
    return torch.stack(found).sum()


def comparison(settings: DiscriminatorConfig) -> Callable[[Drawn], Tensor]:
    """What says how far decoded pictures are from the real ones, as a scalar: `unlikeness`, or the
    distance between maps of the network that is named (Zhang et al. 2018, eq. 1 with w = 1).
    """
    if settings.compared_by is None:
        return unlikeness
    look = perceptual(*settings.compared_by)
    return lambda drawn: feature_distance(look.maps(drawn.decoded), look.maps(drawn.real)).mean()


def discriminator_terms(
    config: Config[Any, DiscriminatorConfig], networks: Networks, batch: Batch
) -> list[Term]:
    """Those of every discriminator, and how badly it draws the real pictures again, as it sees
    them: a part of each and the whole.
    """
    sight = Sight(config, networks, batch, moving_g=False)
    terms, weight = adversarial.discriminator_terms_at(sight), config.discriminator.reconstruction

    def reconstruction() -> Tensor:
        where = batch.draws.uniform("part", 2)
        pairs = networks.discriminator.drawn(sight.real_features, sight.real[0], where)
        compare = comparison(config.discriminator)
        return torch.stack([compare(each) for each in pairs]).sum()

    return [*terms, Term("reconstruction", weight, reconstruction)] if weight else terms


def initialise(network: nn.Module) -> None:
    """Draw D's weights from N(0, 2 / (1.04 fan_in)), He's for LeakyReLU of slope 0.2."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, 0.2)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _is_spectral(settings: DiscriminatorConfig) -> bool:
    return settings.norm in ("spectral", "both")


def _rectified() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)


def _convolution(
    ins: int, outs: int, side: int, stride: int, padding: int, *, batch_norm: bool
) -> list[nn.Module]:
    layer = nn.Conv2d(ins, outs, side, stride, padding, bias=not batch_norm)
    return [layer, *([nn.BatchNorm2d(outs)] if batch_norm else []), _rectified()]


def _decoder(maps: int, channels: int, stride: int) -> nn.Sequential:
    """Maps that have a place for every `stride` pixels of a picture -> the picture, or a smaller
    one. No batch norm: it would mix pictures in a D that does not.
    """
    layers: list[nn.Module] = []
    for _ in range(min(DECODED, int(math.log2(stride)))):
        fewer = max(1, maps // 4)
        layers += [Doubling(maps, 2 * fewer, bias=True), Gated()]
        maps = fewer
    return nn.Sequential(*layers, nn.Conv2d(maps, channels, 3, padding=1))


def _as_small(pictures: Tensor, decoded: Tensor) -> Tensor:
    factor = pictures.shape[2] // decoded.shape[2]
    return F.avg_pool2d(pictures, factor) if factor > 1 else pictures


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures.

    Raises:
        UserError: if they are too small.
    """
    shape = config.data.shape
    check_size("fastgan", shape)
    made = Generator(shape, config.generator, config.condition)
    return Networks(made, EncodingDiscriminator(config))
