"""What speed benchmarks share: sides measured in turn, what the machine can do, what is printed.

A figure of one side means little on a machine where other things run, so sides take turns (A B A B)
and a ratio is that of two neighbours; the median over blocks is reported with the least and the
greatest. An A/A row, the same work against itself, shows what such a ratio is worth. Peaks are
measured between the blocks, so that a share of the peak is one of this machine at that time. Every
side has a process of its own, which sleeps while it is not its turn: what one does to its memory
cannot help or hinder another.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from morelike import files
from morelike.devices import pick_device
from morelike.errors import UserError

AT_ONCE = {"cpu": 1, "cuda": 20}
"""Pieces of work that a device is told of at a time."""
SAME, TOLERATED = "A/A", 0.15
"""The name of the ratio that should be 1; how much lower than stored another ratio may be."""
Side = Callable[[], float]
"""Does a block of work, and gives its speed."""
Maker = Callable[[], Side]
"""Makes a side in its own process; something that can be sent there: a function of a module, or
`functools.partial` of one."""


class Ratio(NamedTuple):
    """How many times as fast one side is as the other."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({self.least:.2f} to {self.most:.2f})"


class Measured(NamedTuple):
    """Speeds of every side and every peak, a number a block."""

    sides: dict[str, list[float]]
    peaks: dict[str, list[float]]

    def ratio(self, side: str, to: str) -> Ratio:
        """Of one side to its neighbour in time."""
        pairs = zip(self.sides[side], self.sides[to], strict=True)
        ratios = [one / other for one, other in pairs]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))

    def speed(self, side: str) -> float:
        """The median."""
        return statistics.median(self.sides[side])

    def peak(self, name: str) -> float:
        """The median."""
        return statistics.median(self.peaks[name])


def interleave(
    sides: Mapping[str, Maker], blocks: int = 10, peaks: Mapping[str, Side] | None = None
) -> Measured:
    """Let the sides take turns, each of them `blocks` times, after a first turn that is thrown
    away. `peaks` are measured in each block too, by this process.
    """
    found: dict[str, list[float]] = {name: [] for name in (*sides, *(peaks or {}))}
    with ExitStack() as ending:
        turns = {name: ending.enter_context(_elsewhere(make)) for name, make in sides.items()}
        for block in range(blocks + 1):
            for name, turn in {**turns, **(peaks or {})}.items():
                speed = turn()
                if block:
                    found[name].append(speed)
    split = ({n: found[n] for n in names} for names in (sides, peaks or {}))
    return Measured(*split)


@contextmanager
def _elsewhere(make: Maker) -> Iterator[Side]:
    """A side in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(make, there), daemon=True)
    process.start()

    def turn() -> float:
        here.send("go")
        return here.recv()

    yield turn
    here.send("end")
    process.join()


def _serve(make: Maker, turns: Connection) -> None:
    side = make()
    while turns.recv() == "go":
        turns.send(side())


def finished(device: torch.device) -> None:
    """Wait until a GPU has done what it was told to do; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rate(work: Callable[[], Any], amount: float, device: torch.device) -> float:
    """How much is done in a second: `work` does `amount`, and is repeated for half a second."""
    done, began = 0, time.perf_counter()
    while done == 0 or time.perf_counter() - began < 0.5:
        for _ in range(AT_ONCE[device.type]):
            work()
            done += 1
        finished(device)
    return done * amount / (time.perf_counter() - began)


@torch.no_grad()
def peaks(device: torch.device) -> dict[str, Side]:
    """GFLOP/s of products of matrices and of a convolution, GB/s of a copy, in best conditions."""
    side = {"cpu": 1024, "cuda": 8192}[device.type]
    batch, before, after = {"cpu": (64, 128, 256), "cuda": (256, 512, 512)}[device.type]
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    x = torch.randn(batch, before, 32, 32, device=device).to(memory_format=torch.channels_last)
    w = torch.randn(after, before, 3, 3, device=device).to(memory_format=torch.channels_last)
    half = [t.bfloat16() for t in (a, b, x, w)]
    source, target = torch.randn(2**24, device=device), torch.empty(2**24, device=device)
    product, convolution = 2 * side**3 / 1e9, 2 * batch * after * before * 9 * 32 * 32 / 1e9

    def quietly(work: Callable[[], Any], amount: float) -> Side:
        @torch.no_grad()
        def run() -> float:
            return rate(work, amount, device)

        return run

    return {
        "matrix product, fp32, GFLOP/s": quietly(lambda: a @ b, product),
        "matrix product, bf16, GFLOP/s": quietly(lambda: half[0] @ half[1], product),
        "convolution, fp32, GFLOP/s": quietly(lambda: F.conv2d(x, w, padding=1), convolution),
        "convolution, bf16, GFLOP/s": quietly(
            lambda: F.conv2d(half[2], half[3], padding=1), convolution
        ),
        "copy, GB/s": quietly(lambda: target.copy_(source), 2 * 4 * 2**24 / 1e9),
    }


def hardware() -> str:
    """What of the machine its speed depends on."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{model}, {torch.get_num_threads()} threads{gpu}"


def machine() -> str:
    """The machine in one line."""
    return (
        f"{hardware()}; torch {torch.__version__}, Python {platform.python_version()}; "
        f"{time.strftime('%Y-%m-%d')}"
    )


def _measured_on(name: str) -> torch.device:
    """The device of this name, for argparse."""
    try:
        device = pick_device(name)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if device.type not in AT_ONCE:
        known = " and ".join(AT_ONCE)
        raise argparse.ArgumentTypeError(f"this measures {known}, not {device.type}")
    return device


def options(description: str | None) -> argparse.ArgumentParser:
    """What every such benchmark can be asked for; `device` is one of PyTorch's."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=_measured_on, default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--blocks", type=int, default=10, help="turns of each side (10)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="store the ratios, for later checks")
    what.add_argument("--check", action="store_true", help="fail if a ratio fell below the stored")
    return parser


def report(
    name: str,
    measured: Measured,
    ratios: Mapping[str, Ratio],
    asked: argparse.Namespace,
    more: Mapping[str, str] | None = None,
) -> None:
    """Print a table; store the ratios in results/ beside this file, for each kind of machine, or
    compare them with those.

    Raises:
        SystemExit: if a ratio was to be checked, and fell.
    """
    print(f"\n## {name}\n\n{machine()}\n")
    print("| | median | least | most |\n| --- | --- | --- | --- |")
    for which, values in {**measured.sides, **measured.peaks}.items():
        print(
            f"| {which} | {statistics.median(values):.4g} | {min(values):.4g} | {max(values):.4g} |"
        )
    print()
    for which, ratio in ratios.items():
        print(f"- {which}: **{ratio}**")
    for what, text in (more or {}).items():
        print(f"- {what}: {text}")
    of = "" if asked.device.type == "cpu" else f"-{asked.device.type}"
    stored = Path(__file__).parent / "results" / f"{name}{of}.json"
    if asked.keep:
        kept = {which: ratio._asdict() for which, ratio in ratios.items()}
        known = files.read_json(stored) if stored.is_file() else {}
        files.write_json(stored, {**known, hardware(): {"measured": machine(), "ratios": kept}})
    if asked.check:
        if not stored.is_file():
            raise SystemExit(f"no ratios of {name} are stored yet; measure with --keep first.")
        _check(ratios, files.read_json(stored))


def _check(ratios: Mapping[str, Ratio], stored: Mapping[str, Any]) -> None:
    """Against this kind of machine; where it is not known, against that which has the least."""
    known = {hardware(): stored[hardware()]} if hardware() in stored else stored
    fallen = []
    for which, ratio in ratios.items():
        before = [
            (one["ratios"][which]["median"], one["measured"])
            for one in known.values()
            if which != SAME and which in one["ratios"]
        ]
        least, where = min(before, default=(0.0, ""))
        if ratio.median < (1 - TOLERATED) * least:
            fallen.append(f"{which}: {ratio.median:.2f}x, and {least:.2f}x on {where}")
    if fallen:
        raise SystemExit("slower than it was. " + "; ".join(fallen))
    print(f"- as fast as stored, or faster ({', '.join(known)})")
