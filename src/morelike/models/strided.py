"""Convolutions of 4x4 with stride 2, which halve maps, and their transposes, which double them.

They are the same as PyTorch's, and on most devices they are PyTorch's. On CPUs that compute in
bf16, its kernels are slow where maps are small: for their last and first layers, networks took up
to twice as long as one product of matrices does, and up to four times for the gradient of the
weights. So there such products are made.

Everything follows from one form that is linear in each of three things, the larger maps x
(B, ins, 2H, 2W), the smaller maps y (B, outs, H, W) and the weight w (outs, ins, 4, 4):

    f(x, y, w) = sum of y[b, o, i, j] w[o, c, k, l] x[b, c, 2i + k - 1, 2j + l - 1]

The convolution is its gradient for y, the transposed convolution that for x, and what a weight
learns that for w. The gradients of each of the three are the other two, to any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

CHANNELS = 4
"""Of a picture, up to which it is sooner made pixel by pixel."""
FEW, SMALL = 16, 64
"""Places of the smaller maps up to which a convolution, and up to which the gradient of a weight,
is sooner done by a product of matrices. Measured with 16 to 64 pictures and 64 to 512 maps."""


def halved(x: Tensor, weight: Tensor) -> Tensor:
    """The convolution: (B, ins, 2H, 2W) and (outs, ins, 4, 4) -> (B, outs, H, W)."""
    if _is_slow(x, x.shape[2] * x.shape[3] // 4):
        # autocast does not know it
        return _form("y", {"x": x.bfloat16(), "weight": weight.bfloat16()})
    return F.conv2d(x, weight, stride=2, padding=1)


def doubled(y: Tensor, weight: Tensor) -> Tensor:
    """The transposed convolution: (B, outs, H, W) and (outs, ins, 4, 4) -> (B, ins, 2H, 2W)."""
    if weight.shape[1] <= CHANNELS and y.device.type == "cpu" and not torch.is_grad_enabled():
        return _by_pixels(y, weight)
    if _is_slow(y, y.shape[2] * y.shape[3]):
        return _form("x", {"y": y.bfloat16(), "weight": weight.bfloat16()})
    return F.conv_transpose2d(y, weight, stride=2, padding=1)


class Opening(nn.ConvTranspose2d):
    """(B, ins, 1, 1) -> (B, outs, H, W): the transposed convolution that begins a map, as the
    product of two matrices that it is.
    """

    def __init__(self, ins: int, outs: int, size: tuple[int, int]) -> None:
        super().__init__(ins, outs, size, 1, 0, bias=False)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The same as a layer of PyTorch."""
        made = input.flatten(1) @ self.weight.permute(0, 2, 3, 1).flatten(1)
        return made.unflatten(1, (*self.weight.shape[2:], -1)).permute(0, 3, 1, 2)


class Halving(nn.Conv2d):
    """(B, ins, 2H, 2W) -> (B, outs, H, W): a convolution of 4x4 with stride 2."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__(ins, outs, 4, 2, 1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """The same as a layer of PyTorch."""
        return halved(input, self.weight)


class Transposed(nn.ConvTranspose2d):
    """(B, ins, H, W) -> (B, outs, 2H, 2W): a transposed convolution of 4x4 with stride 2."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__(ins, outs, 4, 2, 1, bias=False)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The same as a layer of PyTorch; no size but the double is possible."""
        return doubled(input, self.weight)


class Doubling(nn.Conv2d):
    """(B, ins, H, W) -> (B, outs, 2H, 2W): each pixel repeated to 2x2, then a 3x3 convolution.

    It leaves no checkerboard (Odena, Dumoulin & Olah 2016, "Deconvolution and Checkerboard
    Artifacts").
    """

    def __init__(self, ins: int, outs: int, *, bias: bool = False) -> None:
        super().__init__(ins, outs, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """The same as one transposed convolution of 4x4: four ninths of the products."""
        turned = self.weight.flip(2, 3).transpose(0, 1)
        return _shifted(doubled(input, _spread(turned)), self.bias)


class Averaging(nn.Conv2d):
    """(B, ins, 2H, 2W) -> (B, outs, H, W): a 3x3 convolution, then means of 2x2."""

    def __init__(self, ins: int, outs: int, *, bias: bool = True) -> None:
        super().__init__(ins, outs, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """The same as one convolution of 4x4: four ninths of the products."""
        return _shifted(halved(input, _spread(self.weight) / 4), self.bias)


def _spread(weight: Tensor) -> Tensor:
    """(outs, ins, 3, 3) -> (outs, ins, 4, 4): the sum of what lies at each of four pixels."""
    rows = F.pad(weight, (0, 0, 0, 1)) + F.pad(weight, (0, 0, 1, 0))
    return F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))


def _shifted(maps: Tensor, bias: Tensor | None) -> Tensor:
    return maps if bias is None else maps + bias.to(maps.dtype)[:, None, None]


def _by_pixels(y: Tensor, weight: Tensor) -> Tensor:
    """The transposed convolution as one of 3x3 with level maps, whose outputs are the four pixels
    of each place (Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution Using an
    Efficient Sub-Pixel Convolutional Neural Network").

    That is 2.25 times the products, and with few channels half the time, but not for gradients.
    """
    outs, ins = weight.shape[:2]
    level = weight.new_zeros(ins, 2, 2, outs, 3, 3)
    for row in range(2):
        for column in range(2):
            # Pixel 2i + row lies under the weights' rows 3 and 1 from places i - 1 and i, or under
            # 2 and 0 from places i and i + 1; columns likewise.
            down, right = slice(row, row + 2), slice(column, column + 2)
            turned = weight[:, :, [3 - row, 1 - row]][..., [3 - column, 1 - column]]
            level[:, row, column, :, down, right] = turned.transpose(0, 1)
    flat = level.flatten(0, 2).contiguous(memory_format=torch.channels_last)
    return F.pixel_shuffle(F.conv2d(y, flat, padding=1), 2)


def _is_slow(maps: Tensor, places: int) -> bool:
    """Whether PyTorch's kernels are slow in what will be computed in."""
    if maps.device.type != "cpu" or places > SMALL:
        return False
    casts = torch.is_autocast_enabled("cpu")
    return (torch.get_autocast_dtype("cpu") if casts else maps.dtype) == torch.bfloat16


class _Form(Function):
    """The gradient of f for one of x, y and the weight, given both others."""

    @staticmethod
    def forward(ctx: Any, wanted: str, first: Tensor, second: Tensor) -> Tensor:
        ctx.wanted = wanted
        ctx.save_for_backward(first, second)
        return GRADIENTS[wanted](first, second)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        others = _others(ctx.wanted)
        given = dict(zip((*others, ctx.wanted), (*ctx.saved_tensors, *grad_outputs), strict=True))
        _, *asked = ctx.needs_input_grad
        return None, *(
            _form(name, given) if is_asked else None
            for name, is_asked in zip(others, asked, strict=True)
        )


def _form(wanted: str, given: Mapping[str, Tensor]) -> Tensor:
    return _Form.apply(wanted, *(given[name] for name in _others(wanted)))


def _others(wanted: str) -> tuple[str, ...]:
    return tuple(name for name in GRADIENTS if name != wanted)


def _for_x(y: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(y, weight, stride=2, padding=1)


def _for_y(x: Tensor, weight: Tensor) -> Tensor:
    height, width = x.shape[2] // 2, x.shape[3] // 2
    if height * width > FEW:
        return F.conv2d(x, weight, stride=2, padding=1)
    y = _empty(x, len(x), len(weight), height, width)
    torch.mm(_patches(x), _last(weight).flatten(1).T, out=_last(y).flatten(0, 2))
    return y


def _for_weight(x: Tensor, y: Tensor) -> Tensor:
    weight = _empty(x, y.shape[1], x.shape[1], 4, 4)
    torch.mm(_last(y).flatten(0, 2).T, _patches(x), out=_last(weight).flatten(1))
    return weight


GRADIENTS = {"x": _for_x, "y": _for_y, "weight": _for_weight}
"""Each takes the two others, in this order."""


def _empty(like: Tensor, *shape: int) -> Tensor:
    """With channels last. Products are written into it, since what a function of autograd gives
    must not be a view: layers after it may work in place.
    """
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def _last(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), as it lies in memory with channels last."""
    return maps.permute(0, 2, 3, 1).contiguous()


def _patches(x: Tensor) -> Tensor:
    """(B, C, 2H, 2W) -> (B H W, 16 C): what each place of the smaller maps sees."""
    padded = F.pad(_last(x), (0, 0, 1, 1, 1, 1))
    batch, height, width, maps = padded.shape
    row, column, step = (padded.stride(dim) for dim in (0, 1, 2))
    size = (batch, height // 2 - 1, width // 2 - 1, 4, 4, maps)
    seen = padded.as_strided(size, (row, 2 * column, 2 * step, column, step, 1))
    return seen.reshape(-1, 16 * maps)
