"""Layers of style-based generators: weights that depend on the picture, and resampling with blur.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks",
arXiv 1812.04948, and Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN",
arXiv 1912.04958.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.models.layers import wide

SLOPE, GAIN = 0.2, math.sqrt(2)
"""Of leaky ReLU, and what gives its output the mean square of its input again (nearly)."""


class Dense(nn.Module):
    """x (B, I) -> W x + b (B, O), with equalised learning rate (Karras et al. 2018, section 4.1).

    What is learnt is W and b divided by `rate`, and W by sqrt(1 / I) besides, so that a step of
    Adam, whose length is that of the learning rate, moves both `rate` times as far as it would. W
    begins with a variance of 1 / I, b as `bias` everywhere. Always in float32 at least.
    """

    def __init__(self, ins: int, outs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outs, ins) / rate)
        self.bias = nn.Parameter(torch.full((outs,), bias / rate))
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """W x + b."""
        # A style multiplies a whole map, so its rounding would be that of a whole picture.
        with torch.autocast(x.device.type, enabled=False):
            weight = self.weight * (self.rate / math.sqrt(self.weight.shape[1]))
            return F.linear(x.to(weight.dtype), weight, self.bias * self.rate)


class Modulated(nn.Module):
    """Maps x (B, I, H, W) and w (B, D) -> (B, O, H, W), or (B, O, 2H, 2W): a convolution whose
    weights depend on the picture (Karras et al. 2020, section 2.2).

    With the style s = A w + b, one number for each map that comes in, the weights are
    w'_oik = s_i w_oik (eq. 1), and where they are demodulated w''_oik = w'_oik / sqrt(sum_ik
    w'_oik^2 + 1e-8) (eq. 3), so that an output has the variance of the inputs, if these are
    independent and alike, times `gain` squared.

    No picture gets weights of its own here: s_i goes to the maps that come in, the square root to
    those that come out, which is the same, with one convolution for all pictures; where the map
    is to be doubled, that is done between s_i and the convolution.

    In bf16 only the convolution is: between two of them maps are in float32, as sums of bf16 maps
    and what is the same for many places take ten times as long on a CPU.
    """

    def __init__(
        self,
        ins: int,
        outs: int,
        side: int,
        latent: int,
        *,
        demodulated: bool = True,
        doubling: bool = False,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outs, ins, side, side))
        self.style = Dense(latent, ins, bias=1.0)
        self.demodulated, self.doubling, self.gain = demodulated, doubling, gain

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """The maps that come out."""
        style = self.style(w)
        weight = self.weight / math.sqrt(self.weight[0].numel())
        x = x * style[:, :, None, None]
        x = wide(F.conv2d(doubled(x) if self.doubling else x, weight, padding=weight.shape[2] // 2))
        if not self.demodulated:
            return x
        with torch.autocast(x.device.type, enabled=False):
            squares = style.square() @ weight.square().sum((2, 3)).T
        return x * (self.gain * (squares + 1e-8).rsqrt())[:, :, None, None]


class Styled(nn.Module):
    """Maps, w and noise (B, 1, H, W) -> maps: a modulated 3x3 convolution, the noise times a learnt
    strength that begins at 0, a bias for each map, and leaky ReLU (Karras et al. 2020, fig. 2).
    """

    def __init__(self, ins: int, outs: int, latent: int, *, doubling: bool, noisy: bool) -> None:
        super().__init__()
        # Before the activation instead of after it, which is the same and one pass less.
        self.modulated = Modulated(ins, outs, 3, latent, doubling=doubling, gain=GAIN)
        self.bias = nn.Parameter(torch.zeros(outs))
        self.strength = nn.Parameter(torch.zeros(())) if noisy else None

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """The maps that come out."""
        x = self.modulated(x, w)
        x += GAIN * self.bias[:, None, None]
        if self.strength is not None:
            assert noise is not None
            x += GAIN * self.strength * noise
        return F.leaky_relu(x, SLOPE, inplace=True)


class Coloured(nn.Module):
    """Maps and w -> colours (B, C, H, W): a modulated 1x1 convolution, not demodulated."""

    def __init__(self, ins: int, channels: int, latent: int) -> None:
        super().__init__()
        self.modulated = Modulated(ins, channels, 1, latent, demodulated=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """The colours."""
        return self.modulated(x, w) + self.bias[:, None, None]


def doubled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W), bilinear: the filter [1, 3, 3, 1] on pixels with zeros in
    between, and at the border the border's pixels again.
    """
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class RunningMean(nn.Module):
    """The mean of rows that come a few at a time: of all of them at first, later of the last, the
    weight of each halving with every `half_life` rows that come after it.

    A part of the state. How many rows come at a time changes only how these are weighted among
    themselves.
    """

    value: Tensor
    rows: Tensor

    def __init__(self, *shape: int, half_life: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(shape))
        self.register_buffer("rows", torch.zeros((), dtype=torch.int64))
        self.half_life = half_life

    @torch.no_grad()
    def add(self, mean: Tensor, rows: int) -> None:
        """Take in so many rows, 1 or more, of this mean (*shape)."""
        self.rows += rows
        share = (rows / self.rows).clamp(min=1 - 0.5 ** (rows / self.half_life))
        self.value.lerp_(mean.to(self.value), share.to(self.value))
