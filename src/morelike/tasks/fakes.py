"""How the samples of a generator differ from real pictures of their size, done to real pictures.

By frequency, for lack of a better model: a filter takes away what samples have too little of, and
noise adds what they have too much of. What generators get wrong besides, such as a wheel too many,
no filter does or undoes. That generators have a spectrum of their own: Durall et al. 2020 (arXiv
2003.01826).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from morelike import files
from morelike.checkpoint import DamagedCheckpoint, read_tensors, save_tensors
from morelike.cosines import basis, radii
from morelike.rng import Draws
from morelike.tasks.blurring import gaussian
from morelike.tasks.degrading import grain
from morelike.tasks.task import cut, places

MOST = 2_048
"""Samples that are kept."""
STRENGTH = 1.25
"""The greatest; 1 is what was measured."""
SMOOTH = 1.0
"""Sigma of the mean over neighbouring cosines."""
FAINTEST = (1 / 127.5) ** 2 / 12
"""The power that rounding to 8 bits adds; what lies below it cannot be told."""
TELLING = 1.0
"""Decibels that are worth telling."""
GROUPS = 8
"""Parts of a set whose powers are compared, to know what chance does."""
CHANCE = 2.0
"""So many standard errors are taken for chance."""
CHUNK = 64
NAMES = ("samples", "gain", "noise")


@dataclass(frozen=True, eq=False)
class Fakes:
    """Samples of a generator, and by frequency what makes real pictures of their size like them."""

    samples: Tensor
    """(M, h, w, C) uint8 on the CPU, M up to 2,048."""
    gain: Tensor
    """(h, w) float32 in (0, 1], the factor of each cosine."""
    noise: Tensor
    """(h, w) float32, the power added to each cosine of each channel, for values in [-1, 1]."""

    def degrade(self, inputs: Tensor, draws: Draws) -> Tensor:
        """Real pictures (B, C, H, W) in [-1, 1] made like samples, in [-1, 1]: each as strongly as
        chance has it, from not at all to a little more than samples are.
        """
        return self.applied(inputs, STRENGTH * draws.uniform("task.fakes"), draws)

    def applied(self, inputs: Tensor, strength: Tensor, draws: Draws) -> Tensor:
        """The same with these strengths (B,): the gain is taken to that power, and the noise's
        standard deviation so many times. Parts of pictures are treated as the whole is: what counts
        is how many pixels a wave is long.
        """
        strength = strength.to(inputs)[:, None, None, None]
        down, right = (torch.from_numpy(basis(side)).to(inputs) for side in inputs.shape[2:])
        gain, noise = (_at(inputs.shape[2:], each).to(inputs) for each in (self.gain, self.noise))
        # The cosines are orthonormal, so white noise is white noise among them, too.
        added = strength * noise.sqrt() * grain(inputs, draws, "task.fakes.grain")
        waves = down @ inputs @ right.T * gain**strength + added
        return (down.T @ waves @ right).clamp(-1, 1)

    def describe(self) -> str:
        """A sentence for people: in waves of which lengths samples lack power beside real pictures,
        and in which they have too much.
        """
        fake = spectrum(self.samples)
        # Where the one says something, the other says nothing.
        real = (fake - self.noise) / self.gain.square()
        lack: list[str] = []
        excess: list[str] = []
        for name, band in _octaves(tuple(fake.shape)):
            decibels = 10 * math.log10(float(fake[band].sum() / real[band].sum()))
            if abs(decibels) >= TELLING:
                (lack if decibels < 0 else excess).append(f"{name} ({decibels:+.1f} dB)")
        told = [f"lack power in waves of {_listed(lack)} pixels"] if lack else []
        told += [f"have too much in waves of {_listed(excess)} pixels"] if excess else []
        if not told:
            return (
                "In waves of every length the samples have the power of real pictures of their "
                f"size, within {TELLING:g} dB."
            )
        return (
            f"Beside real pictures of their size the samples {' and '.join(told)}; in all others "
            f"they are within {TELLING:g} dB."
        )

    def save(self, path: Path) -> None:
        """Write all of it to a safetensors file, all or nothing.

        Raises:
            OSError: as the file system does, such as when the disk is full.
        """
        temporary = path.with_name(f".writing-{path.name}")
        try:
            save_tensors(temporary, {name: getattr(self, name) for name in NAMES})
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        files.sync_folder(path.parent)


def read_fakes(path: Path) -> Fakes:
    """What `Fakes.save` wrote.

    Raises:
        DamagedCheckpoint: if the file cannot be read, or is another.
    """
    tensors = read_tensors(path)
    if tensors.keys() != set(NAMES) or tensors["samples"].shape[1:3] != tensors["gain"].shape:
        raise DamagedCheckpoint(f"{path} holds no samples of a generator")
    return Fakes(**tensors)


def measured(samples: np.ndarray, real: np.ndarray) -> Fakes:
    """What makes real pictures like samples.

    With the mean powers P_f and P_r of each cosine, `gain` is the least of 1 and sqrt(P_f / P_r),
    and `noise` is what is missing of P_f then, P_f - gain^2 P_r. Of the logarithm d of P_f / P_r
    only d (1 - (2 e / d)^2) is taken, and nothing where it is less than two of its standard errors
    e (the garrote of Breiman 1995): a few lively pictures among one set of two move all powers by
    much. The mean of each picture is left as it is.

    Args:
        samples: (M, h, w, C) uint8, M at least 2; the first 2,048 are taken.
        real: (N, h, w, C) uint8, N at least 2.

    Raises:
        ValueError: if the two sets are not of one shape, or too small.
    """
    if samples.shape[1:] != real.shape[1:] or min(len(samples), len(real)) < 2:
        raise ValueError(f"sets of one shape are needed, not {samples.shape} and {real.shape}")
    kept, others = (torch.from_numpy(np.array(each)) for each in (samples[:MOST], real))
    (fake, by_chance), (true, too) = _spectrum(kept), _spectrum(others)
    ratio = fake - true
    squares = ratio.square()
    limit = CHANCE**2 * (by_chance + too)
    ratio = torch.where(squares > limit, ratio * (1 - limit / squares), 0)
    ratio[0, 0] = 0
    gain = (ratio.clamp_max(0) / 2).exp()
    noise = true.exp() * ratio.clamp_min(0).expm1()
    return Fakes(kept, gain.float(), noise.float())


def unpaired(fakes: Fakes, draws: Draws, crop: int | None = None) -> Tensor:
    """Samples as inputs, drawn at random: (draws.count, C, h, w) in [-1, 1]; random squares of side
    `crop` of them if that is given, in their own pixels, where they are larger.
    """
    numbers = draws.uniform("task.unpaired", 3)
    which = (numbers[:, 0].cpu() * len(fakes.samples)).long()
    taken = _shown(fakes.samples[which].to(numbers.device), numbers.dtype)
    if crop is None or crop >= max(taken.shape[2:]):
        return taken
    size = min(crop, taken.shape[2]), min(crop, taken.shape[3])
    return cut(taken, places(taken, size, numbers[:, 1:]), size)


def spectrum(pictures: Tensor) -> Tensor:
    """(h, w), the mean power of each cosine over pictures (N, h, w, C) uint8 and channels, in
    [-1, 1] terms, smoothed. The first, which stands for the pictures' means, says nothing.
    """
    return _spectrum(pictures)[0].exp().float()


def _spectrum(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """(h, w) float64 each: the logarithm of the power, and the square of its standard error."""
    parts = [pictures[start::GROUPS] for start in range(min(GROUPS, len(pictures)))]
    powers = torch.stack([_power(part) for part in parts])
    sizes = torch.tensor([len(part) for part in parts], dtype=powers.dtype)[:, None, None]
    logs = _smooth(torch.cat([(powers * sizes).sum(0, keepdim=True) / sizes.sum(), powers]).log())
    squares = logs[1:].var(0) / len(parts)
    for _, band in _octaves(tuple(squares.shape)):  # one of eight says little, those of many more
        squares[band] = squares[band].mean()
    return logs[0], squares


def _power(pictures: Tensor) -> Tensor:
    """(h, w) float64, the mean square of each cosine, and no less than what rounding adds."""
    down, right = (torch.from_numpy(basis(side)) for side in pictures.shape[1:3])
    total = torch.zeros(pictures.shape[1:3], dtype=torch.float64)
    for some in pictures.split(CHUNK):
        waves = down @ _shown(some, down.dtype) @ right.T
        total += waves.double().square().mean(1).sum(0)
    return (total / len(pictures)).clamp_min(FAINTEST)


def _smooth(logs: Tensor) -> Tensor:
    """Logarithms (N, h, w) as means of their neighbours': steep spectra stay as they are, where a
    mean of powers would be that of the strongest. The pictures' mean has no part in any.
    """
    known = torch.ones_like(logs)
    known[:, 0, 0] = 0
    sigma = logs.new_full((2 * len(logs),), SMOOTH)
    sums, weights = gaussian(torch.cat([logs * known, known])[:, None], sigma, SMOOTH).chunk(2)
    return (sums / weights)[:, 0]


def _shown(pictures: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, h, w, C) uint8 -> (N, C, h, w) in [-1, 1]."""
    return pictures.permute(0, 3, 1, 2).to(dtype).div(127.5).sub(1)


def _at(size: Sequence[int], values: Tensor) -> Tensor:
    """Values of each cosine (h, w) at the frequencies of pictures of another size: (H, W)."""
    down, right = (_between(*sides) for sides in zip(size, values.shape, strict=True))
    return down @ values @ right.T


def _between(after: int, before: int) -> Tensor:
    """(after, before), linear interpolation: cosine k of n has k / 2n waves in a pixel."""
    place = (torch.arange(after) * (before / after)).clamp_max(before - 1)
    return (1 - (place[:, None] - torch.arange(before)).abs()).clamp_min(0)


def _octaves(size: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
    """Names of the bands, from short waves to long ones, and (h, w) which cosines are in each."""
    height, width = size
    shorter = min(size)
    cycles = torch.from_numpy(radii((height, width)))
    lengths = shorter / cycles.clamp_min(1e-9)
    edges = [0, *(2**power for power in range(2, max(3, math.floor(math.log2(shorter)) + 1)))]
    for low, high in itertools.pairwise([*edges, math.inf]):
        name = f"under {high}" if low == 0 else f"{low} to {high}"
        name = f"{low} and more" if math.isinf(high) else name
        yield name, (lengths >= low) & (lengths < high) & (cycles > 0)


def _listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
