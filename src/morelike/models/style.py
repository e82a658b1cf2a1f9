"""A style-based GAN: Karras et al. 2019, "A Style-Based Generator Architecture for Generative
Adversarial Networks", arXiv 1812.04948, and Karras et al. 2020, "Analyzing and Improving the Image
Quality of StyleGAN", arXiv 1912.04958 (StyleGAN2).

A small network maps z to w; in the space W of these, directions come apart that z has mixed. G
begins with a map that is the same for all pictures, and w decides in every layer how strong each
map is (`modulated.py`). Noise at every pixel makes what is left to chance in a picture. G's picture
is the sum of what each resolution adds to it (fig. 7, "skip"); D is residual.

What is the papers': modulation and demodulation, skips and residuals, minibatch standard deviation,
equalised learning rates, the filter [1, 3, 3, 1] where a map is doubled, lazy path length
regularisation, style mixing, the mean of w and truncation towards it. What is not:

- Of the two convolutions between two resolutions of G, the first comes before the map is doubled
  and not with it, and in D the second after it is halved; so at the full resolution each network
  has one. On a CPU the others would take about as long as all the rest.
- D halves a map by the mean of 2x2 pixels, without a wider filter: one for each map has a gradient
  that in bf16 took more than half of a step on a CPU.
- The mean path length begins with the first that is measured, not with 0.
- Pictures end with tanh, as they have to lie in [-1, 1]; the papers' are unbounded.
- Maps double with each coarser resolution, as there, but from a width for less: the papers' is
  width 16 at 1024 pixels, so 256 at 64, with widest, latent and style 512 and mapping 8.
- The condition enters through a linear embedding beside z, as in Karras et al. 2020, "Training
  Generative Adversarial Networks with Limited Data", arXiv 2006.06676 (2020b below), but it is not
  normalised: an attribute in the middle of its range is near 0.

At 64x64 RGB, the defaults have 353,680 parameters in G and 569,288 in D.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.config import ConditionConfig, Config, Section
from morelike.errors import UserError
from morelike.models import adversarial
from morelike.models.discriminator import Discriminator
from morelike.models.family import Batch, Inputs, Networks, Term
from morelike.models.layers import (
    MinibatchStandardDeviation,
    PixelNorm,
    PlacesFlattened,
    equalise,
    equalised,
)
from morelike.models.modulated import (
    GAIN,
    SLOPE,
    Coloured,
    Dense,
    RunningMean,
    Styled,
    doubled,
)
from morelike.models.sizes import check_size, coarsest, doublings, widths
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

REMEMBERED = 5_000
"""Pictures after which a w counts half in the mean of w: about the papers' 0.995 a batch of 32."""
LENGTHS_REMEMBERED = 69
"""The same for path lengths, in steps that measure them: the paper's 0.99."""
LENGTH = "path_length_mean"
"""What the mean path length of a step is called."""


class GeneratorConfig(Section):
    """The generator's size, and what is asked of its space W."""

    width: Annotated[int, Field(ge=1, le=1024)] = 8
    """Feature maps at the full resolution; each coarser one has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 256
    """Most feature maps."""
    latent: Annotated[int, Field(ge=1, le=65536)] = 64
    """Length of the latent vector z."""
    style: Annotated[int, Field(ge=1, le=65536)] = 64
    """Length of w."""
    mapping: Annotated[int, Field(ge=1, le=64)] = 2
    """Layers from z to w; 8 in the papers, 2 for CIFAR-10 in Karras et al. 2020b."""
    mapping_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Times the learning rate for these layers."""
    noise: bool = True
    """Whether each layer gets noise of its own at every pixel."""
    mixing: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of pictures that are trained with a second w from some layer on (0.9 in the papers). It
    keeps coarse and fine layers from relying on each other, and asks that any two of them go
    together, which few pictures hardly show; Karras et al. 2020b leave it out for CIFAR-10."""
    path_length: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the path length regularisation, in units of the paper's (appendix B)."""
    path_length_every: Annotated[int, Field(ge=1, le=1024)] = 8
    """Apply it only in each n-th step, with n times its weight."""
    path_length_shrink: Annotated[int, Field(ge=1, le=1024)] = 2
    """Apply it to each n-th picture of the batch only."""


class DiscriminatorConfig(Section):
    """The discriminator's size."""

    width: Annotated[int, Field(ge=1, le=1024)] = 8
    """Feature maps at the full resolution; each coarser one has twice as many, up to `widest`."""
    widest: Annotated[int, Field(ge=1, le=4096)] = 256
    """Most feature maps."""
    minibatch_stddev: bool = True
    """Append how much pictures differ, before the last layers (Karras et al. 2018)."""
    minibatch_discrimination: Annotated[int, Field(ge=0, le=1024)] = 0
    """Append as many measures of how close the others are, at the end (Salimans et al. 2016)."""


class Generator(nn.Module):
    """z (B, latent), standard normal, the condition (B, K) if there is one, and noise (B, N) ->
    pictures (B, *shape) in [-1, 1].

    In training two more inputs may follow for style mixing: other latents (B, latent), and the
    layer (B,) from which on these decide. Each call in training mode moves the mean of w.
    """

    def __init__(
        self, shape: tuple[int, int, int], config: GeneratorConfig, condition: ConditionConfig
    ) -> None:
        super().__init__()
        channels = shape[0]
        first = coarsest(shape)
        maps = widths(config.width, config.widest, doublings(shape) + 1)[::-1]
        style, noisy = config.style, config.noise
        self.normalised = PixelNorm()
        # Each column is added as it is where a label is 1, so it need not be small if it is one of
        # many.
        self.embedding = (
            nn.Parameter(torch.randn(config.latent, condition.size)) if condition.size else None
        )
        joined = config.latent * (2 if condition.size else 1)
        sizes = itertools.pairwise([joined, *[style] * config.mapping])
        self.maps = nn.ModuleList(Dense(i, o, rate=config.mapping_rate) for i, o in sizes)
        self.mean = RunningMean(style, half_life=REMEMBERED)
        self.length = RunningMean(half_life=LENGTHS_REMEMBERED)
        self.constant = nn.Parameter(torch.randn(maps[0], *first))
        self.layers = nn.ModuleList([Styled(maps[0], maps[0], style, doubling=False, noisy=noisy)])
        self.colours = nn.ModuleList([Coloured(maps[0], channels, style)])
        self.areas = [first] if noisy else []
        for number, (ins, outs) in enumerate(itertools.pairwise(maps)):
            for doubling in (False, True):
                into = outs if doubling else ins
                self.layers.append(Styled(into, outs, style, doubling=doubling, noisy=noisy))
                height, width = (side << (number + doubling) for side in first)
                self.areas += [(height, width)] if noisy else []
            self.colours.append(Coloured(outs, channels, style))

    def mapping(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents (B, latent) and, where there is one, the condition (B, K) -> w (B, D)."""
        w = self.normalised(latents)
        if self.embedding is not None:
            assert condition is not None
            with torch.autocast(w.device.type, enabled=False):
                told = condition.to(self.embedding.dtype) @ self.embedding.T
            w = torch.cat([w, told], 1)
        for layer in self.maps:
            w = F.leaky_relu(layer(w), SLOPE) * GAIN
        return w

    def synthesis(self, w: Tensor, noise: Tensor) -> Tensor:
        """Pictures of w (B, D), or of one for each layer (B, layers, D), and noise (B, N).

        Layers are those of the network, the coarsest first, and at the end what the last colours
        are made with; other colours are made with the w of the layer that follows them.
        """
        each = w.unbind(1) if w.dim() == 3 else [w] * (len(self.layers) + 1)
        noises: list[Any] = [None] * len(self.layers)
        if self.areas:
            parts = noise.split([math.prod(area) for area in self.areas], 1)
            noises = [p.unflatten(1, (1, *a)) for p, a in zip(parts, self.areas, strict=True)]
        x = self.constant.expand(len(w), *self.constant.shape)
        x = self.layers[0](x, each[0], noises[0])
        picture = self.colours[0](x, each[1])
        for number, colour in enumerate(self.colours[1:]):
            for layer in (2 * number + 1, 2 * number + 2):
                x = self.layers[layer](x, each[layer], noises[layer])
            picture = doubled(picture) + colour(x, each[2 * number + 3])
        return torch.tanh(picture)

    def centre(self) -> Tensor:
        """The mean of w over the latents of training, (D,)."""
        return self.mean.value

    def forward(self, *inputs: Tensor) -> Tensor:
        """The pictures."""
        latents, condition, noise, mixing = self.told(inputs)
        w = self.mapping(latents, condition)
        if self.training:
            self.mean.add(w.detach().mean(0), len(w))
        if mixing:
            others, start = mixing
            numbers = torch.arange(len(self.layers) + 1, device=w.device)
            is_first = (numbers < start[:, None])[..., None]
            w = torch.where(is_first, w[:, None], self.mapping(others, condition)[:, None])
        return self.synthesis(w, noise)

    def unusual(self, lengths: Tensor) -> Tensor:
        """E[(length - a)^2] of path lengths (B,) (Karras et al. 2020, eq. 4).

        `a` is the running mean over all earlier steps, so that it is the same however a batch is
        split; in the first step every length is as it should be. (The paper lets it grow from 0,
        which pulls hard on all weights at first, and Adam remembers it for long.)
        """
        usual = torch.where(self.length.rows > 0, self.length.value, lengths.detach())
        return (lengths - usual).square().mean()

    def remember(self, observed: Mapping[str, Tensor]) -> None:
        """After an update: take the mean path length into `a`, if it was measured."""
        if LENGTH in observed:
            self.length.add(observed[LENGTH], 1)

    def told(self, inputs: Inputs) -> tuple[Tensor, Tensor | None, Tensor, Inputs]:
        """Latents, condition, noise, and what there is for style mixing."""
        latents, *more = inputs
        condition = None if self.embedding is None else more.pop(0)
        noise, *mixing = more
        return latents, condition, noise, tuple(mixing)


class Halving(nn.Module):
    """A residual block of D, (B, I, H, W) -> (B, O, H/2, W/2) (Karras et al. 2020, fig. 7)."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        half = nn.AvgPool2d(2)
        self.main = nn.Sequential(
            _three(ins, ins), _rectified(), half, _three(ins, outs), _rectified()
        )
        self.shortcut = nn.Sequential(half, equalised(nn.Conv2d(ins, outs, 1, bias=False)))

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways, with the mean square of each."""
        # An equalised layer doubles the mean square, for the activation that halves it; there is
        # none on the shortcut.
        return self.main(x) * math.sqrt(1 / 2) + self.shortcut(x) / 2


def trunk(shape: tuple[int, int, int], config: DiscriminatorConfig) -> tuple[nn.Sequential, int]:
    """Pictures (B, *shape) in [-1, 1] -> features (B, F), and F.

    One halving a block down to 4 on the shorter side, where one convolution takes all places in.
    """
    channels = shape[0]
    maps = widths(config.width, config.widest, doublings(shape) + 1)
    last = coarsest(shape)
    deviation = [MinibatchStandardDeviation()] if config.minibatch_stddev else []
    layers = nn.Sequential(
        equalised(nn.Conv2d(channels, maps[0], 1)),
        _rectified(),
        *(Halving(ins, outs) for ins, outs in itertools.pairwise(maps)),
        *deviation,
        _three(maps[-1] + len(deviation), maps[-1]),
        _rectified(),
        equalised(nn.Conv2d(maps[-1], maps[-1], last)),
        _rectified(),
        PlacesFlattened(),
    )
    return layers, maps[-1]


def build(config: Config[GeneratorConfig, DiscriminatorConfig]) -> Networks:
    """Both networks for the configured shape of the pictures.

    Raises:
        UserError: if they are too small, or if the condition is to enter by a norm that there is
            not.
    """
    shape, settings, condition = config.data.shape, config.discriminator, config.condition
    check_size("style", shape)
    if condition.norm_size:
        raise UserError(
            "style takes its condition as input only, from which every layer's style follows; set "
            "condition.generator=input."
        )
    judging = Discriminator(
        *trunk(shape, settings),
        config,
        equalise,
        discrimination=settings.minibatch_discrimination,
    )
    return Networks(Generator(shape, config.generator, condition), judging)


def inputs(
    config: Config[GeneratorConfig, Any], draws: Draws, condition: Tensor | None = None
) -> Inputs:
    """Latents, the conditions where there are any, and noise for all layers, (count, N)."""
    given = adversarial.inputs(config, draws, condition)
    return *given, draws.normal("noise", noises(config))


def noises(config: Config[GeneratorConfig, Any]) -> int:
    """N, how many random numbers one picture takes as noise."""
    if not config.generator.noise:
        return 0
    _, height, width = config.data.shape
    # Two layers at each resolution but the last, which has one.
    areas = [(height * width) >> (2 * n) for n in range(doublings(config.data.shape) + 1)]
    return areas[0] + 2 * sum(areas[1:])


def discriminator_terms(
    config: Config[GeneratorConfig, Any], networks: Networks, batch: Batch
) -> list[Term]:
    """Those of every discriminator, on pictures of mixed styles if that is asked for."""
    return adversarial.discriminator_terms(config, networks, mixed(config, batch))


def generator_terms(
    config: Config[GeneratorConfig, Any], networks: Networks, batch: Batch
) -> list[Term]:
    """Those of every generator, and the path length regularisation."""
    settings = config.generator
    generator: Any = networks.generator
    terms = adversarial.generator_terms(config, networks, mixed(config, batch))
    weight = settings.path_length * path_length_weight(*config.data.size)
    if not weight:
        return terms
    every = settings.path_length_every
    lengths = cache(lambda: path_lengths(generator, batch, settings.path_length_shrink))
    return [
        *terms,
        Term("path_length", weight, lambda: generator.unusual(lengths()), every),
        Term(LENGTH, 0.0, lambda: lengths().detach().mean(), every),
    ]


def mixed(config: Config[GeneratorConfig, Any], batch: Batch) -> Batch:
    """The batch whose generated pictures have two styles, as often as is asked for (Karras et al.
    2019, section 3.1): other latents, and from which layer on they decide, at random.
    """
    settings, draws = config.generator, batch.draws
    if not settings.mixing:
        return batch
    layers = 2 * doublings(config.data.shape) + 2
    chance, place = draws.uniform("mixing", 2).unbind(1)
    start = 1 + (place * (layers - 1)).floor()
    start = torch.where(chance < settings.mixing, start, layers)
    others = draws.normal("mixing.latents", settings.latent)
    return dataclasses.replace(batch, inputs=(*batch.inputs, others, start))


def path_length_weight(height: int, width: int) -> float:
    """What the paper takes (appendix B), ln 2 / (r^2 (ln r - ln 2)) for pictures of r x r, without
    the r^2, which is in the noise here.
    """
    return math.log(2) / (math.log(height * width) / 2 - math.log(2))


def path_lengths(generator: Any, batch: Batch, shrink: int = 1) -> Tensor:
    """|| J_w^T y || (Karras et al. 2020, eq. 4) of each `shrink`-th picture.

    J_w is the Jacobian of a picture by w (B, D), the same for all layers, and y noise of standard
    deviation 1 / sqrt(H W).
    """
    latents, condition, noise, _ = generator.told(tuple(i[::shrink] for i in batch.inputs))
    with torch.autocast(latents.device.type, enabled=False):
        w = generator.mapping(latents, condition)
        made = generator.synthesis(w, noise)
        _, channels, height, width = made.shape
        y = batch.draws.normal("path length", channels, height, width)[::shrink]
        product = (made * y).sum() / math.sqrt(height * width)
        (slope,) = torch.autograd.grad(product, w, create_graph=True)
        # The square root has no gradient at 0, where a picture is white or black all over.
        return (slope.square().sum(1) + 1e-12).sqrt()


def _rectified() -> nn.LeakyReLU:
    return nn.LeakyReLU(SLOPE, inplace=True)


def _three(ins: int, outs: int) -> nn.Conv2d:
    return equalised(nn.Conv2d(ins, outs, 3, padding=1))
