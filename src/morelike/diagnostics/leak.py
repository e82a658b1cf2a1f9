"""Whether samples show what is done to pictures before the discriminator sees them (`augment.py`).

A generator learns to make what D is shown. Differentiable augmentation does not leak while D can
tell augmented from plain. Where it is too strong, and pictures are few, samples come out shifted
with a gray strip, with a gray square, or in colours that no picture has (Karras et al. 2020,
"Training Generative Adversarial Networks with Limited Data", section 2.2; Zhao et al. 2020). Each
statistic is of one picture, in the terms of the augmentation that it looks for; what real pictures
of the set give decides what is unusual.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from morelike.augment import NUMBERS, augment
from morelike.diagnostics.discriminator import auc
from morelike.diagnostics.finding import Figure, Finding, Panel, Power
from morelike.metrics.chances import wilson
from morelike.rng import rng

FILL = 127.5
"""What enters at a border and what is cut out: 0 in [-1, 1]."""
NEAR = 12.0
"""Levels of 255 within which a value counts as the fill: a generator makes it with some noise."""
FLAT = 0.9
"""Share of a line or a square that has to be the fill."""
TRIALS = 40
"""Planted sets of each kind."""
LEAST = 16
"""Real pictures and samples without which nothing is said."""
ERROR = 0.01
"""How often, at most, real pictures of the set are taken for a leak, by each augmentation."""
END_ERROR = 0.03
"""The same for one of the two ends of a colour: for both ends, of one of three, 3 * 0.03^2."""
SPREAD_ERROR = 0.002
"""The same for how widely one colour is spread."""
PLANTED = (1.0, 0.2)
SHOWN = 8
SHARE = "share of the samples"
PART = {"gray strips": "translation", "gray squares": "cutout"}
COLORS = ("brightness", "saturation", "contrast")


class Setting(NamedTuple):
    """What was done to pictures; the section `augment` of a configuration, as plain values."""

    policy: tuple[str, ...] = ("color", "translation", "cutout")
    translation: float = 0.125
    cutout: float = 0.5


def strips(images: np.ndarray, most: float = 0.125) -> np.ndarray:
    """(N,): how deep a strip of the fill lies along a border, as a share of the largest shift.

    A strip is at most the largest shift deep, all of it within 12 levels of mid-gray (nine pixels
    of ten in each line), and ends sharply: in the line behind it values are on average more than
    24 levels from mid-gray. So neither a gray background nor a faint picture has one.

    Args:
        images: (N, H, W, C) uint8.
        most: largest shift as a share of the side (`augment.translation`).
    """
    away = np.abs(images.astype(np.float32) - FILL)
    deepest = np.zeros(len(images))
    for axis in (1, 2):
        reach = int(images.shape[axis] * most + 0.5)
        near = (away.max(axis=3) <= NEAR).mean(axis=3 - axis) >= FLAT
        behind = away.mean(axis=(3 - axis, 3)) > 2 * NEAR
        for step in (1, -1):
            lines, sharp = near[:, ::step], behind[:, ::step]
            depth = np.cumprod(lines[:, : reach + 1], axis=1).sum(axis=1)
            ends = np.take_along_axis(sharp, depth[:, None], axis=1)[:, 0]
            deepest = np.maximum(deepest, np.where(ends & (depth <= reach), depth / reach, 0))
    return deepest


def squares(images: np.ndarray, side: float = 0.5) -> np.ndarray:
    """(N,): a square of the fill, of half the side of one that is cut out: the share of the fill in
    it, if at least 0.9, or 0.

    At a corner, where least of it is left, a cut-out square shows a quarter of itself, which is one
    of half its side.

    Args:
        images: (N, H, W, C) uint8.
        side: of the square that is cut out, as a share of the picture's (`augment.cutout`).
    """
    gray = _is_fill(images).astype(np.float32)
    sums = np.pad(gray.cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
    high, wide = (max(2, int(size * side / 2)) for size in gray.shape[1:])
    inside = sums[:, high:, wide:] - sums[:, :-high, wide:]
    inside = inside - sums[:, high:, :-wide] + sums[:, :-high, :-wide]
    share = inside.max(axis=(1, 2)) / (high * wide)
    # A picture that is gray all over has no square cut out of it.
    whole = gray.mean(axis=(1, 2)) > 1.5 * side**2
    return np.where((share >= FLAT) & ~whole, share, 0)


def colors(images: np.ndarray) -> np.ndarray:
    """(N, 3): brightness, saturation and contrast, what "color" changes, in levels of 255.

    The mean of all values; the root mean square of how far a pixel's channels are from their mean
    (0 for gray pictures); the root mean square of how far the pixels' means are from that of the
    picture.
    """
    values = images[..., :3].astype(np.float32)
    gray = values.mean(axis=3)
    saturation = np.sqrt(np.square(values - gray[..., None]).mean(axis=(1, 2, 3)))
    return np.stack([gray.mean(axis=(1, 2)), saturation, gray.std(axis=(1, 2))], axis=1)


def _is_fill(images: np.ndarray) -> np.ndarray:
    near = np.abs(images.astype(np.float32) - FILL) <= NEAR
    return np.logical_and.reduce(near, axis=3)


def planted(images: np.ndarray, policy: Sequence[str], how: Setting, seed: int = 0) -> np.ndarray:
    """The pictures as D sees them under this policy: (N, H, W, C) uint8 in, the same out."""
    pictures = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    numbers = torch.from_numpy(rng(seed, "planted", *policy).random_sample((len(images), NUMBERS)))
    changed = augment(pictures / 127.5 - 1, numbers.float(), policy, how.translation, how.cutout)
    back = (changed + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return back.permute(0, 2, 3, 1).contiguous().numpy()


class Unusual(NamedTuple):
    """How many pictures lie beyond the real ones by one statistic, at one end."""

    name: str
    share: float
    chance: float
    """How probable as many or more are for real pictures of the same set."""
    null: tuple[float, float]
    """Between which shares 95 of 100 sets of real pictures have it."""
    which: np.ndarray
    """(n,) bool."""


def unusual(kind: str, values: np.ndarray, real: np.ndarray) -> tuple[Unusual, ...]:
    """Pictures beyond real ones, at each end that counts.

    The line is the k-th largest (or smallest) of N real values. For colours k = N / 40, and at
    least 1. For strips and squares it is the first that is 0: so many real pictures have one. How
    many of n more real pictures lie beyond it has a beta-binomial distribution with a = k and
    b = N + 1 - k, exactly, whatever the values' own is: each order of all N + n is as likely as
    every other. Ties only make it rarer.

    Args:
        kind: a colour, which has two ends, or something else, which has the upper one.
        values: (n,) of the pictures that are looked at.
        real: (N,) of real pictures.
    """
    some = max(1, len(real) // 40)
    k = some if kind in COLORS else min(int((real > 0).sum()) + 1, len(real))
    ordered = np.sort(real)
    beyond = {"above": values > ordered[-k], "below": values < ordered[k - 1]}
    tail = _tail(len(values), k, len(real) + 1 - k)
    # The largest count that is not among the rarest fortieth.
    most = int(np.flatnonzero(tail > 0.025)[-1]) / len(values)
    return tuple(
        Unusual(
            f"{kind} {end} real pictures" if kind in COLORS else kind,
            float(which.mean()),
            float(tail[which.sum()]),
            (0.0, most),
            which,
        )
        for end, which in beyond.items()
        if end == "above" or kind in COLORS
    )


@lru_cache(maxsize=16)
def _tail(n: int, a: int, b: int) -> np.ndarray:
    """(n + 1,): P(count >= i) of a beta-binomial distribution."""
    gamma = math.lgamma
    ends = gamma(n + 1) - gamma(n + a + b) + gamma(a + b) - gamma(a) - gamma(b)
    log = [
        ends - gamma(i + 1) - gamma(n - i + 1) + gamma(i + a) + gamma(n - i + b)
        for i in range(n + 1)
    ]
    return np.minimum(1.0, np.exp(log)[::-1].cumsum()[::-1])


def statistics(images: np.ndarray, how: Setting) -> dict[str, np.ndarray]:
    """All statistics of pictures by name, (N,) each: those of the policy's parts."""
    found: dict[str, np.ndarray] = {}
    if "translation" in how.policy:
        found["gray strips"] = strips(images, how.translation)
    if "cutout" in how.policy:
        found["gray squares"] = squares(images, how.cutout)
    if "color" in how.policy:
        values = colors(images)
        kinds = COLORS if images.shape[3] > 1 else ("brightness", "contrast")
        found |= {kind: values[:, COLORS.index(kind)] for kind in kinds}
    return found


def _leaking(made: dict[str, np.ndarray], real: dict[str, np.ndarray]) -> dict[str, list[Unusual]]:
    """What is unusual by each statistic, of those that leak.

    Colours leak if pictures lie beyond the real ones at both ends: augmentation goes both ways,
    while a poor generator's pictures are too pale or too dark. There are two ways to see it: too
    many far out, at each end, or values farther from their median than those of real pictures are
    from theirs, with both ends taking part.
    """
    result = {}
    for kind, values in made.items():
        found = unusual(kind, values, real[kind])
        rarest = max(each.chance for each in found)
        if rarest < (END_ERROR if kind in COLORS else ERROR) or (
            kind in COLORS
            and min(each.share for each in found) > 1 / 40
            and _wider(values, real[kind])
        ):
            result[kind] = list(found)
    return result


def _wider(values: np.ndarray, real: np.ndarray) -> bool:
    """Whether values lie farther from their median than real ones do from theirs."""
    away = (np.abs(each - np.median(each)) for each in (values, real))
    return auc(*away, level=1 - 2 * SPREAD_ERROR).low > 0.5


def leak(
    samples: np.ndarray,
    real: np.ndarray,
    how: Setting,
    *,
    power: bool = True,
) -> Finding:
    """Whether what the discriminator's pictures are augmented with shows in the samples.

    A poor generator, too, can make colours that are too strong and too weak: so only the parts of
    the policy that was trained with are looked for, and what it says of colours is the weakest.

    Args:
        samples: (n, H, W, C) uint8.
        real: (N, H, W, C) uint8, training pictures as they are, not augmented; held-out ones may be
            among them.
        how: the augmentation that was trained with; with an empty policy nothing can leak.
        power: whether to try it on planted cases made from `real`.
    """
    if not how.policy:
        return Finding("leak", "no", "Pictures are not augmented in this run: nothing can leak.")
    if min(len(samples), len(real)) < LEAST:
        return Finding(
            "leak",
            "unknown",
            f"Whether augmentation leaks cannot be told of {len(samples)} samples and {len(real)} "
            f"real pictures; {LEAST} of each are needed.",
        )
    made, there = statistics(samples, how), statistics(real, how)
    found = _leaking(made, there)
    figures = tuple(
        Figure(each.name, each.share, *wilson(each.share, len(samples)), null=each.null, note=SHARE)
        for kind, values in made.items()
        for each in unusual(kind, values, there[kind])
    )
    tried = _power(real, there, len(samples), how) if power else ()
    if not found:
        parts = ", ".join(how.policy)
        return Finding(
            "leak",
            "no",
            f"The augmentation ({parts}) does not show in the samples.",
            figures=figures,
            power=tried,
        )
    said = [
        f"{kind} {'below or above' if kind in COLORS else 'as in'} "
        f"{'that of nearly all real pictures' if kind in COLORS else 'augmented pictures'} "
        f"in {sum(each.share for each in some):.0%}"
        for kind, some in found.items()
    ]
    culprits = sorted({PART.get(kind, "color") for kind in found})
    remedy = f"Take {' and '.join(culprits)} out of augment.policy"
    if "translation" in culprits:
        remedy += ", or lower augment.translation"
    if "cutout" in culprits:
        remedy += ", or lower augment.cutout"
    return Finding(
        "leak",
        "yes",
        f"Samples show what was done to the pictures to augment them: {'; '.join(said)} of them.",
        remedy=f"{remedy}; more pictures make it rarer.",
        figures=figures,
        panels=(_panel(samples, real, found, how),),
        power=tried,
    )


def _panel(
    samples: np.ndarray, real: np.ndarray, found: dict[str, list[Unusual]], how: Setting
) -> Panel:
    """Samples that are unusual beside real pictures as the discriminator sees them."""
    which = np.any([each.which for some in found.values() for each in some], axis=0)
    shown = np.flatnonzero(which)[:SHOWN]
    policy = [part for part in how.policy if part in {PART.get(kind, "color") for kind in found}]
    chosen = rng(0, "leak panel").randint(0, len(real), len(shown))
    plain = np.ascontiguousarray(real[chosen])
    captions = tuple(
        ", ".join(each.name for some in found.values() for each in some if each.which[i])
        for i in shown
    )
    return Panel(
        "Samples that look augmented",
        ("sample", "a real picture, augmented", "the same as it is"),
        (samples[shown], planted(plain, policy, how), plain),
        captions,
    )


def _power(
    real: np.ndarray, there: dict[str, np.ndarray], count: int, how: Setting
) -> tuple[Power, ...]:
    """Planted cases: half of the real pictures, augmented, against the other half as they are. As
    many as there are samples, so some again where there are few.
    """
    results = []
    cases: list[tuple[str, dict[str, np.ndarray], float]] = [
        ("real pictures as they are", there, 0)
    ]
    for part in how.policy:
        changed = statistics(planted(real, (part,), how), how)
        for share in PLANTED:
            cases.append((f"{share:.0%} of real pictures with {part}", changed, share))  # noqa: PERF401
    for name, changed, share in cases:
        spoke = 0
        for trial in range(TRIALS):
            state = rng(0, "leak power", name, trial)
            order = state.permutation(len(real))
            rest = order[len(real) // 2 :]
            # As they are each at most once: those drawn again would look like more evidence.
            chosen = state.choice(rest, count) if share else rest[:count]
            touched = state.random_sample(len(chosen)) < share
            made = {k: np.where(touched, changed[k][chosen], there[k][chosen]) for k in there}
            known = {k: values[order[: len(real) // 2]] for k, values in there.items()}
            spoke += bool(_leaking(made, known))
        results.append(Power(name, spoke / TRIALS, TRIALS, expected=share > 0))
    return tuple(results)
