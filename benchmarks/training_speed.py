"""Training of DCGAN-64: a step of morelike beside a tutorial's, the same work in both.

    python benchmarks/training_speed.py            # ten blocks, five minutes
    python benchmarks/training_speed.py --gate     # only: is it the same work?
    python benchmarks/training_speed.py --device cuda

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
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from interleaved import SAME, Measured, Side, finished, interleave, options, peaks, report
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
GATED, COUNTED = 5, 8
STEPS = {"cpu": 4, "cuda": 100}
CPU = torch.device("cpu")
PLAIN = {
    "data": {"resolution": 64, "channels": 3, "mirror": False},
    "generator": {"width": WIDTH, "latent": LATENT},
    "discriminator": {"width": WIDTH},
    "training": {"batch": BATCH, "precision": "bf16", "same_fakes": True},
}
"""The tutorial's settings are the family's defaults."""


def pictures(count: int, side: int) -> Any:
    """Noise, which costs as much as anything else."""
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return SimpleNamespace(images=images, train=np.arange(count))


class Ours:
    """A training of morelike, without the loop around its steps."""

    def __init__(self, device: torch.device, *layers: dict[str, Any]) -> None:
        where = {"training": {"device": str(device)}}
        self.config: Config[Any, Any] = configure(merge(*layers, where))
        self.family = family(self.config.family)
        self.state = State(self.config, device)
        dataset = pictures(PICTURES, self.config.data.resolution)
        self.feed = Feed(dataset, self.config, device)

    @property
    def batch(self) -> int:
        """Pictures in a step."""
        return self.config.training.batch

    def step(self) -> dict[str, Tensor]:
        """One."""
        return step(self.state, self.family, self.config, self.feed, World())

    def given(self) -> tuple[Tensor, Tensor]:
        """The real pictures and the latents of the step that comes next."""
        at, batch = self.state.images, self.batch
        draws = StepDraws(0, at, "discriminator.0", batch, 0, batch, CPU, self.state.dtype)
        return self.feed.batch(at, draws), self.family.inputs(self.config, draws)[0]


def gate() -> None:
    """Check that both sides do the same work.

    Raises:
        AssertionError: if they do not.
    """
    ours = Ours(CPU, PLAIN, {"training": {"precision": "fp32", "batch": 8}})
    for module in ours.state.modules().values():
        module.double()
    tutorial = Tutorial(WIDTH, LATENT, dtype=torch.float64)
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


def tutorial(device: torch.device) -> Side:
    """Images a second of the tutorial, over some steps."""
    side, real = Tutorial(WIDTH, LATENT, device), torch.rand(BATCH, 3, 64, 64, device=device)

    def work() -> None:
        side.step(2 * real - 1, torch.randn(BATCH, LATENT, device=device))

    return partial(timed, work, BATCH, STEPS[device.type], device)


def morelike(device: torch.device, steps: int, *layers: dict[str, Any]) -> Side:
    """The same of morelike, with the memory as `morelike train` has it."""
    side, kept = Ours(device, *layers), ExitStack()
    kept.enter_context(memory_kept())  # until the process ends
    atexit.register(kept.close)
    return partial(timed, side.step, side.batch, steps, device)


def timed(work: Callable[[], Any], batch: int, steps: int, device: torch.device) -> float:
    """Images a second."""
    began = time.perf_counter()
    for _ in range(steps):
        work()
    finished(device)
    return steps * batch / (time.perf_counter() - began)


def gflop(*layers: dict[str, Any]) -> float:
    """What one picture costs in a step of ours, in convolutions and products: a multiplication and
    an addition are two. Gradients that nobody needs are not counted, since they are not computed.
    """
    ours = Ours(CPU, *layers, {"training": {"precision": "fp32", "batch": COUNTED}})
    with Flops() as counter:
        ours.step()
    return counter.total / COUNTED / 1e9


class Flops(TorchDispatchMode):
    """Counts. PyTorch's own counter cannot look into second derivatives."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Of one operator, done as ever."""
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func.overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def summary(measured: Measured, asked: argparse.Namespace) -> None:
    """Print ratios and the share of the peak."""
    ours, tutorial = "morelike, images/s", "tutorial, images/s"
    done = gflop(PLAIN) * measured.speed(ours)
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
    parser = options(__doc__)
    parser.add_argument("--gate", action="store_true", help="check only: is it the same work?")
    asked = parser.parse_args()
    gate()
    if asked.gate:
        return
    ours = partial(morelike, asked.device, STEPS[asked.device.type], PLAIN)
    sides = {
        "tutorial, images/s": partial(tutorial, asked.device),
        "morelike, images/s": ours,
        "morelike again, images/s": ours,
        "morelike in fp32, images/s": partial(ours, {"training": {"precision": "fp32"}}),
    }
    summary(interleave(sides, asked.blocks, peaks(asked.device)), asked)


if __name__ == "__main__":
    main()
