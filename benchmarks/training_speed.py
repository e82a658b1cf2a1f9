"""Training of DCGAN-64 on a CPU: a step of morelike beside a tutorial's, the same work in both.

    python benchmarks/training_speed.py            # ten blocks, five minutes
    python benchmarks/training_speed.py --gate     # only: is it the same work?

The gate: in float64, from the same weights, on the same pictures and latents, five steps of either
give the same losses, and the same weights after them. What morelike does besides (it averages the
generator, watches for NaN, keeps figures) is counted against it. Both have the whole machine in
turn; pictures lie in memory.
"""

from __future__ import annotations

import argparse
import atexit
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from interleaved import SAME, Measured, Side, cpu_peaks, interleave, options, report
from morelike.allocator import memory_kept
from morelike.config import Config
from morelike.distributed import World
from morelike.models import configure, family
from morelike.rng import StepDraws
from morelike.settings import merge
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step
from tutorial import Tutorial

BATCH, WIDTH, LATENT, PICTURES = 64, 64, 100, 1024
GATED, STEPS = 5, 4
CPU = torch.device("cpu")
PLAIN = {
    "data": {"resolution": 64, "channels": 3, "mirror": False},
    "generator": {"width": WIDTH, "latent": LATENT},
    "discriminator": {"width": WIDTH},
    "training": {"batch": BATCH, "device": "cpu", "precision": "bf16", "same_fakes": True},
}
"""The tutorial's settings are the family's defaults."""


def pictures(count: int) -> Any:
    """Noise, which costs as much as anything else."""
    images = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    return SimpleNamespace(images=images, train=np.arange(count))


class Ours:
    """A training of morelike, without the loop around its steps."""

    def __init__(self, **sections: Any) -> None:
        self.config: Config[Any, Any] = configure(merge(PLAIN, sections))
        self.family = family("dcgan")
        self.state = State(self.config, CPU)
        self.feed = Feed(pictures(PICTURES), self.config, CPU)

    def step(self) -> dict[str, Tensor]:
        """One."""
        return step(self.state, self.family, self.config, self.feed, World())

    def given(self) -> tuple[Tensor, Tensor]:
        """The real pictures and the latents of the step that comes next."""
        at, batch = self.state.images, self.config.training.batch
        draws = StepDraws(0, at, "discriminator.0", batch, 0, batch, CPU, self.state.dtype)
        return self.feed.batch(at, draws), self.family.inputs(self.config, draws)[0]


def gate() -> None:
    """Check that both sides do the same work.

    Raises:
        AssertionError: if they do not.
    """
    ours = Ours(training={"precision": "fp32", "batch": 8})
    for module in ours.state.modules().values():
        module.double()
    tutorial = Tutorial(WIDTH, LATENT, torch.float64)
    networks = ours.state.networks
    copy_weights(networks.generator.parameters(), tutorial.generator.parameters())
    copy_weights(networks.discriminator.parameters(), tutorial.discriminator.parameters())
    for number in range(GATED):
        expected = tutorial.step(*ours.given())
        found = ours.step()
        for player, loss in expected._asdict().items():
            off = abs(found[f"loss_{player}"].item() - loss)
            assert off < 1e-9, f"step {number + 1}: the loss of the {player} is {off:.1e} off"
    for network, other in (
        (networks.generator, tutorial.generator),
        (networks.discriminator, tutorial.discriminator),
    ):
        for one, two in zip(network.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(as_convolution(one), two, rtol=1e-7, atol=1e-9)
    print(f"the same work: {GATED} steps in float64 give equal losses and weights")


@torch.no_grad()
def copy_weights(source: Any, target: Any) -> None:
    """Give the tutorial's network the weights of ours."""
    for one, other in zip(source, target, strict=True):
        other.copy_(as_convolution(one))


def as_convolution(weight: Tensor) -> Tensor:
    """The same weight; a layer that is linear in the features of 4x4 places is a convolution."""
    if weight.dim() != 2:
        return weight
    return weight.unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)


def tutorial() -> Side:
    """Images a second of the tutorial, over some steps."""
    side, real = Tutorial(WIDTH, LATENT), torch.rand(BATCH, 3, 64, 64) * 2 - 1
    return partial(timed, lambda: side.step(real, torch.randn(BATCH, LATENT)))


def morelike(precision: str) -> Side:
    """The same of morelike, with the memory as `morelike train` has it."""
    side, kept = Ours(training={"precision": precision}), ExitStack()
    kept.enter_context(memory_kept())  # until the process ends
    atexit.register(kept.close)
    return partial(timed, side.step)


def timed(work: Callable[[], Any]) -> float:
    """Images a second."""
    began = time.perf_counter()
    for _ in range(STEPS):
        work()
    return STEPS * BATCH / (time.perf_counter() - began)


SIDES = {
    "tutorial, images/s": tutorial,
    "morelike, images/s": partial(morelike, "bf16"),
    "morelike again, images/s": partial(morelike, "bf16"),
    "morelike in fp32, images/s": partial(morelike, "fp32"),
}


def gflop() -> float:
    """What one picture costs in a step of ours, in convolutions and products: a multiplication and
    an addition are two. Gradients that nobody needs are not counted, since they are not computed.
    """
    ours = Ours(training={"precision": "fp32"})
    counter = FlopCounterMode(display=False)
    with counter:
        ours.step()
    return counter.get_total_flops() / BATCH / 1e9


def summary(measured: Measured, asked: argparse.Namespace) -> None:
    """Print ratios and the share of the peak."""
    ours, tutorial = "morelike, images/s", "tutorial, images/s"
    done = gflop() * measured.speed(ours)
    peak = measured.peak("convolution, bf16, GFLOP/s")
    report(
        "training_speed",
        measured,
        {
            "morelike to tutorial": measured.ratio(ours, tutorial),
            "morelike in fp32 to tutorial": measured.ratio("morelike in fp32, images/s", tutorial),
            SAME: measured.ratio("morelike again, images/s", ours),
        },
        asked,
        {"of a bf16 convolution's peak": f"{done:.0f} of {peak:.0f} GFLOP/s, {done / peak:.0%}"},
    )


def main() -> None:
    """Gate, measure, print."""
    asked = options(__doc__, gated=True)
    gate()
    if not asked.gate:
        summary(interleave(SIDES, asked.blocks, cpu_peaks()), asked)


if __name__ == "__main__":
    main()
