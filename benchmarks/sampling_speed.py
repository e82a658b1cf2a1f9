"""Samples a second of DCGAN-64, from seeds to uint8: morelike beside plain PyTorch.

    python benchmarks/sampling_speed.py            # ten blocks, two minutes
    python benchmarks/sampling_speed.py --device cuda

Plain is the tutorial's generator in fp32 and NCHW, in batches of 64, without gradients, and its
pictures turned into uint8. Of morelike each picture comes from a seed of its own, in whatever
company, which costs something.
"""

from __future__ import annotations

import itertools
import time
from functools import partial

import numpy as np
import torch

from interleaved import SAME, Side, interleave, options, peaks, report
from morelike.models import configure, family
from morelike.sampling import TrainedGenerator
from tutorial import generator

BATCH, WIDTH, LATENT, PICTURES = 64, 64, 100, 512


def ours(precision: str, device: torch.device) -> TrainedGenerator:
    """An untrained generator of morelike, which takes as long as a trained one."""
    config = configure(
        {
            "data": {"resolution": 64, "channels": 3, "mirror": False},
            "generator": {"width": WIDTH, "latent": LATENT},
        }
    )
    network = family("dcgan").build(config).generator
    network.to(device).to(memory_format=torch.channels_last)
    network.eval().requires_grad_(False)
    return TrainedGenerator(config, network, device, precision, "benchmark", "0 images")


def sampling(precision: str, device: torch.device) -> Side:
    """Pictures a second, never of the same seeds twice."""
    made, starts = ours(precision, device), itertools.count(0, PICTURES)

    def run() -> float:
        start, began = next(starts), time.perf_counter()
        for _ in made.chunks(range(start, start + PICTURES)):
            pass
        return PICTURES / (time.perf_counter() - began)

    return run


def plain(device: torch.device) -> Side:
    """The tutorial's."""
    network = generator(WIDTH, LATENT).eval().to(device)

    @torch.no_grad()
    def run() -> float:
        began = time.perf_counter()
        for _ in range(PICTURES // BATCH):
            made = network(torch.randn(BATCH, LATENT, 1, 1, device=device))
            pixels = ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())
        return PICTURES / (time.perf_counter() - began)

    return run


def main() -> None:
    """Measure and print."""
    asked = options(__doc__).parse_args()
    sides = {
        "plain, images/s": partial(plain, asked.device),
        "morelike in bf16, images/s": partial(sampling, "bf16", asked.device),
        "morelike in bf16 again, images/s": partial(sampling, "bf16", asked.device),
        "morelike in fp32, images/s": partial(sampling, "fp32", asked.device),
    }
    measured = interleave(sides, asked.blocks, peaks(asked.device))
    report(
        "sampling_speed",
        measured,
        {
            "bf16 to plain": measured.ratio("morelike in bf16, images/s", "plain, images/s"),
            "fp32 to plain": measured.ratio("morelike in fp32, images/s", "plain, images/s"),
            SAME: measured.ratio("morelike in bf16 again, images/s", "morelike in bf16, images/s"),
        },
        asked,
    )


if __name__ == "__main__":
    main()
