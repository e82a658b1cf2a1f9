"""Which device and which number format to compute with."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from morelike.errors import UserError


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """The device for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        UserError: if this machine does not have it.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", local_rank)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"'{name}' is no device; use auto, cpu, cuda, cuda:N or mps.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("this machine has no usable CUDA device; use --device auto or cpu.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"there is no {name}; CUDA devices here: {torch.cuda.device_count()}.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("this machine has no MPS device; use --device auto or cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"'{name}' is not supported; use auto, cpu, cuda, cuda:N or mps.")
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", local_rank)
    return device


def pick_precision(name: str, device: torch.device) -> str:
    """`fp32` or `bf16`; `auto` takes bf16 where the device has it in hardware."""
    if name != "auto":
        return name
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        fast = _cpu_has_bf16()
    else:
        fast = False
    return "bf16" if fast else "fp32"


def _cpu_has_bf16() -> bool:
    # torch can compute in bf16 on any CPU, but without these instructions it is slower than fp32.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which networks run in the given precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
