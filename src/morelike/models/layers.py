"""Layers that several families share: spectral normalisation, what lets D see a whole batch, how G
is told its condition, and equalised learning rates.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

N = TypeVar("N", bound=nn.Module)


class SpectralNorm(nn.Module):
    """W -> W / sigma(W), whose largest singular value is 1 (Miyato et al. 2018, eq. 8).

    A weight (out, ...) is the matrix with `out` rows. `u` is the guess of its first left singular
    vector, and a part of the state. While training, each pass takes one step of the power iteration
    (algorithm 1): v <- W^T u, u <- W v, both scaled to length 1; then sigma = u^T W v, whose
    gradient to W is u v^T. In evaluation u stays as it is. The first guess is drawn from torch's
    global generator.
    """

    # Why not torch.nn.utils.parametrizations.spectral_norm: on CUDA, autocast makes its products in
    # bf16, which keeps three digits of what is to be exact to six. What mounts this on a layer,
    # below, is torch's.

    u: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        guess = torch.randn(len(weight), dtype=weight.dtype, device=weight.device)
        self.register_buffer("u", F.normalize(guess, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight, divided by the estimate of its largest singular value."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            with torch.no_grad():
                u = self.u
                v = F.normalize(matrix.T @ u, dim=0)
                if self.training:
                    # Not in place: an earlier pass may still need its u for its gradient.
                    u = F.normalize(matrix @ v, dim=0)
                    self.u.copy_(u)
            return weight / (u @ (matrix @ v))


def spectrally_normalised(network: N) -> N:
    """The same network, with every linear and convolutional weight normalised (`SpectralNorm`).

    To be called after the weights are initialised. Each pass of the network in training is one step
    of the power iteration of each weight, so with `training.accumulation` it takes more of them.
    """
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            norm = SpectralNorm(layer.weight)
            # The check that is skipped would need a weight with numbers, which meta has not.
            parametrize.register_parametrization(layer, "weight", norm, unsafe=True)
    return network


class MinibatchStandardDeviation(nn.Module):
    """(B, C, ...) -> (B, C + 1, ...): one more map, which says how much pictures differ (Karras et
    al. 2018, section 3).

    It is the same number everywhere for a group of pictures: the standard deviation over the group,
    sqrt(var + 1e-8), of each feature at each place, averaged over features and places. A group is
    `group` pictures next to each other, or the most that divide the batch.

    It mixes the pictures of a batch: a logit depends on the other pictures of its group, and the
    gradient of one picture with them.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, features: Tensor) -> Tensor:
        """Append the map."""
        count = len(features)
        size = next(n for n in range(min(self.group, count), 0, -1) if count % n == 0)
        # Neighbours, not every n-th as the authors have it: so real pictures meet real ones where
        # both are in one batch, and a batch in parts has the same groups as the whole.
        with torch.autocast(features.device.type, enabled=False):
            wide = features if features.dtype == torch.float64 else features.float()
            groups = wide.unflatten(0, (-1, size))
            # Ten times as fast on a CPU as `var`, which reads across memory.
            away = groups - groups.mean(1, keepdim=True)
            deviations = (away.square().mean(1) + 1e-8).sqrt().flatten(1).mean(1)
        each = deviations.repeat_interleave(size).to(features.dtype)
        # Added to zeros rather than expanded: the map has the features' memory format then.
        one = torch.zeros_like(features[:, :1]) + each.view(-1, *(1 for _ in features.shape[1:]))
        return torch.cat([features, one], 1)


class MinibatchDiscrimination(nn.Module):
    """(B, A) -> (B, A + kernels): how close each picture is to all others (Salimans et al. 2016,
    section 3.2).

    With M_i = f(x_i) T, a matrix (kernels, size): o(x_i)_b = sum_j exp(-|| M_ib - M_jb ||_1), the
    sum over all j of the batch, i among them, and f(x_i) is joined with o(x_i).

    T is drawn from N(0, 1 / (A size^2)): for features of order 1 distances are of order 1, where
    exp has a slope.

    It mixes the pictures of a batch: a logit depends on all other pictures in it, and the gradient
    of one picture with them.
    """

    def __init__(self, features: int, kernels: int, size: int = 5) -> None:
        super().__init__()
        self.kernels = kernels
        self.weight = nn.Parameter(torch.empty(features, kernels * size))
        nn.init.normal_(self.weight, 0.0, features**-0.5 / size)

    def forward(self, features: Tensor) -> Tensor:
        """Append the closeness to the batch."""
        with torch.autocast(features.device.type, enabled=False):
            matrices = (features.to(self.weight.dtype) @ self.weight).unflatten(
                1, (self.kernels, -1)
            )
            distances = (matrices[:, None] - matrices[None]).abs().sum(3)
            closeness = torch.exp(-distances).sum(1)
        return torch.cat([features, closeness.to(features.dtype)], 1)


class Conditioned(nn.Module):
    """A layer that is given the condition (B, K) beside its input; None where there is none."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the layer makes of x."""
        raise NotImplementedError


class ConditionalSequential(nn.Sequential):
    """Layers one after the other; those that are conditioned are given the condition too."""

    def forward(self, input: Tensor, condition: Tensor | None = None) -> Tensor:
        """The last layer's output."""
        x = input
        for layer in self:
            x = layer(x, condition) if isinstance(layer, Conditioned) else layer(x)
        return x


class Joined(Conditioned):
    """(B, A) and the condition (B, K) -> (B, A + K) (Mirza & Osindero 2014)."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Both beside each other."""
        assert condition is not None
        return torch.cat([x, condition.to(x.dtype)], 1)


class ConditionalBatchNorm2d(Conditioned):
    """Batch norm whose gains and shifts depend linearly on the condition (Dumoulin et al. 2017,
    eq. 5): (1 + A y) * normalised(x) + B y, with A and B beginning at 0.
    """

    def __init__(self, maps: int, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=False)
        self.gain = nn.Parameter(torch.zeros(size, maps))
        self.shift = nn.Parameter(torch.zeros(size, maps))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The normalised maps, scaled and shifted."""
        assert condition is not None
        gain, shift = ((condition @ w)[:, :, None, None] for w in (self.gain, self.shift))
        return (1 + gain) * self.norm(x) + shift


def wide(values: Tensor) -> Tensor:
    """What losses are computed in: float32 at least."""
    return values if values.dtype == torch.float64 else values.float()


class PixelNorm(nn.Module):
    """a -> a / sqrt(mean(a^2) + 1e-8), the mean over the features of each place (Karras et al.
    2018, section 4.2): (B, F) or (B, F, H, W).
    """

    def forward(self, features: Tensor) -> Tensor:
        """Features of mean square 1."""
        # In bf16, three roundings in each of many layers would add up; so there is one.
        full = wide(features)
        return (full * (full.square().mean(1, keepdim=True) + 1e-8).rsqrt()).to(features.dtype)


class PlacesFlattened(nn.Flatten):
    """(B, C, H, W) -> (B, H W C): the features of each place beside each other.

    With channels last that is how they lie in memory. So nothing is copied, and the gradient that
    comes back lies alike; in the other order, the layers before would take many times as long.
    """

    def forward(self, input: Tensor) -> Tensor:
        """One row a picture."""
        return input.permute(0, 2, 3, 1).flatten(1)


class Scaled(nn.Module):
    """W -> factor * W."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that is used, of the one that is learnt."""
        return self.factor * weight


L = TypeVar("L", nn.Linear, nn.Conv2d)


def equalised(layer: L) -> L:
    """The same layer with equalised learning rate (Karras et al. 2018, section 4.1).

    What is learnt is drawn from N(0, 1), and what is used is sqrt(2 / fan_in) times it, which has
    the variance of He et al. 2015. So one step of Adam or RMSprop, whose length does not depend on
    the gradient's, moves narrow and wide layers by the same share. Biases begin at 0.
    """
    nn.init.normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    factor = math.sqrt(2 / math.prod(layer.weight.shape[1:]))
    # The check that is skipped would need a weight with numbers, which meta has not.
    parametrize.register_parametrization(layer, "weight", Scaled(factor), unsafe=True)
    return layer


def equalise(network: nn.Module) -> None:
    """Equalise the heads; the trunk is already."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear):
            equalised(layer)
