"""Whether samples show what is done to pictures before the discriminator sees them (`augment.py`).

A generator learns to make what D is shown. Differentiable augmentation does not leak while D can
tell augmented from plain. Where it is too strong, and pictures are few, samples come out shifted
with a gray strip, with a gray square, or in colours that no picture has (Karras et al. 2020,
"Training Generative Adversarial Networks with Limited Data", section 2.2; Zhao et al. 2020). Each
statistic is of one picture, in the terms of the augmentation that it looks for; what real pictures
of the set give decides what is unusual.

What turns, mirrors, shifts or scales pictures, inverts them or changes their hue leaves no mark of
its own, and is looked for by whether a picture fits the set better once it is undone
(`undoing.py`). Whether that can work depends on the set: where planted cases are not found, the
finding names the augmentations that it is blind to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from morelike.augment import ADAPTIVE, MORE, NUMBERS, augment
from morelike.diagnostics.discriminator import auc
from morelike.diagnostics.finding import Figure, Finding, Panel, Power
from morelike.diagnostics.marks import colors, squares, strips
from morelike.diagnostics.undoing import UNDO, Reference, gains, reference
from morelike.metrics.chances import wilson
from morelike.rng import rng

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
COMPARED = 500
"""Real pictures that are looked at, at most, where changes are undone on each."""


class Setting(NamedTuple):
    """What was done to pictures; the section `augment` of a configuration, as plain values."""

    policy: tuple[str, ...] = ("color", "translation", "cutout")
    translation: float = 0.125
    cutout: float = 0.5
    mirrored: bool = False
    """Whether training shows every picture mirrored, too: then a mirrored sample is as it should
    be."""


def planted(images: np.ndarray, policy: Sequence[str], how: Setting, seed: int = 0) -> np.ndarray:
    """The pictures as D sees them where all of this policy is applied to each: (N, H, W, C) uint8
    in, the same out.
    """
    pictures = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    draws = rng(seed, "planted", *policy)
    numbers = torch.from_numpy(draws.random_sample((len(images), NUMBERS))).float()
    sizes = how.translation, how.cutout
    if set(policy) & set(ADAPTIVE):
        more = torch.from_numpy(draws.random_sample((len(images), MORE))).float()
        changed = augment(pictures / 127.5 - 1, numbers, policy, *sizes, 1.0, more)
    else:
        changed = augment(pictures / 127.5 - 1, numbers, policy, *sizes)
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

    The line is the k-th largest (or smallest) of N real values. For most k = N / 40, and at least
    1. For strips and squares it is the first that is 0: so many real pictures have one. How
    many of n more real pictures lie beyond it has a beta-binomial distribution with a = k and
    b = N + 1 - k, exactly, whatever the values' own is: each order of all N + n is as likely as
    every other. Ties only make it rarer.

    Args:
        kind: a colour, which has two ends, or something else, which has the upper one.
        values: (n,) of the pictures that are looked at.
        real: (N,) of real pictures.
    """
    some = max(1, len(real) // 40)
    k = min(int((real > 0).sum()) + 1, len(real)) if kind in PART else some
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


def statistics(
    images: np.ndarray,
    how: Setting,
    known: Reference | None = None,
    left_out: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """All statistics of pictures by name, (N,) each: those of the policy's parts.

    Args:
        images: (N, H, W, C) uint8.
        how: the policy.
        known: the set that they are to fit, for changes that are undone.
        left_out: the real pictures that these are or were made from (`undoing.gains`).
    """
    found: dict[str, np.ndarray] = {}
    if "translation" in how.policy:
        found["gray strips"] = strips(images, how.translation)
    if "cutout" in how.policy:
        found["gray squares"] = squares(images, how.cutout)
    wanted = [kind for kind in COLORS if {kind, "color"} & set(how.policy)]
    if wanted:
        values = colors(images)
        kinds = [kind for kind in wanted if images.shape[3] > 1 or kind != "saturation"]
        found |= {kind: values[:, COLORS.index(kind)] for kind in kinds}
    if known is not None:
        names = _undone(how, images.shape[3])
        found |= gains(images, known, names, left_out)
    return found


def _undone(how: Setting, channels: int) -> list[str]:
    """The parts that are looked for by undoing them."""
    pointless = {"mirror"} if how.mirrored else set()
    pointless |= {"hue"} if channels < 3 else set()
    return [name for name in how.policy if name in UNDO and name not in pointless]


def _leaking(made: dict[str, np.ndarray], real: dict[str, np.ndarray]) -> dict[str, list[Unusual]]:
    """What is unusual by each statistic, of those that leak.

    Colours leak if pictures lie beyond the real ones at both ends: augmentation goes both ways,
    while a poor generator's pictures are too pale or too dark. There are two ways to see it: too
    many far out, at each end, or values farther from their median than those of real pictures are
    from theirs, with both ends taking part.
    """
    result = {}
    undone = sum(kind in UNDO for kind in made)  # they share one error
    for kind, values in made.items():
        found = unusual(kind, values, real[kind])
        rarest = max(each.chance for each in found)
        limit = END_ERROR if kind in COLORS else ERROR / undone if kind in UNDO else ERROR
        if rarest < limit or (
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
    known = None
    if _undone(how, real.shape[3]):
        if len(real) > COMPARED:
            real = real[np.sort(rng(0, "leak compared").permutation(len(real))[:COMPARED])]
        known = reference(real, mirrored=how.mirrored)
    made, there = statistics(samples, how, known), statistics(real, how, known, real)
    found = _leaking(made, there)
    figures = tuple(
        Figure(each.name, each.share, *wilson(each.share, len(samples)), null=each.null, note=SHARE)
        for kind, values in made.items()
        for each in unusual(kind, values, there[kind])
    )
    tried = _power(real, there, len(samples), how, known) if power else ()
    blind = _blind(tried, how)
    if not found:
        seen = [part for part in how.policy if part not in blind]
        parts = ", ".join(seen)
        return Finding(
            "leak",
            "no" if seen else "unknown",
            f"The augmentation ({parts}) does not show in the samples.{_of(blind)}"
            if seen
            else f"Whether augmentation leaks cannot be told.{_of(blind)}",
            figures=figures,
            power=tried,
        )
    said = [f"{_said(kind)} in {sum(e.share for e in some):.0%}" for kind, some in found.items()]
    culprits = sorted(set().union(*(_parts(kind, how) for kind in found)))
    remedy = f"Take {' and '.join(culprits)} out of augment.policy"
    if "translation" in culprits:
        remedy += ", or lower augment.translation"
    if "cutout" in culprits:
        remedy += ", or lower augment.cutout"
    if set(culprits) & set(ADAPTIVE):
        remedy += ", or lower augment.probability (with augment.target: augment.most)"
    return Finding(
        "leak",
        "yes",
        f"Samples show what was done to the pictures to augment them: {'; '.join(said)} of them."
        f"{_of(blind)}",
        remedy=f"{remedy}; more pictures make it rarer.",
        figures=figures,
        panels=(_panel(samples, real, found, how),),
        power=tried,
    )


def _said(kind: str) -> str:
    if kind in COLORS:
        return f"{kind} below or above that of nearly all real pictures"
    if kind in UNDO:
        return f"a better fit with {_words(kind)} undone than nearly all real pictures have"
    return f"{kind} as in augmented pictures"


def _parts(kind: str, how: Setting) -> set[str]:
    """Which parts of the policy a statistic looks for."""
    if kind in COLORS:
        return {kind, "color"} & set(how.policy)
    return {PART.get(kind, kind)}


def _blind(tried: Sequence[Power], how: Setting) -> list[str]:
    """Parts that were not noticed in half of the trials, though every picture had them."""
    missed = {each.case for each in tried if each.expected and each.found < 0.5}
    return [part for part in how.policy if _case(1.0, part) in missed]


def _case(share: float, part: str) -> str:
    return f"{share:.0%} of real pictures with {_words(part)}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _of(blind: Sequence[str]) -> str:
    if not blind:
        return ""
    named = ", ".join(_words(part) for part in blind)
    return f" With these pictures it would not be noticed of: {named}."


def _panel(
    samples: np.ndarray, real: np.ndarray, found: dict[str, list[Unusual]], how: Setting
) -> Panel:
    """Samples that are unusual beside real pictures as the discriminator sees them."""
    which = np.any([each.which for some in found.values() for each in some], axis=0)
    shown = np.flatnonzero(which)[:SHOWN]
    culprits = set().union(*(_parts(kind, how) for kind in found))
    policy = [part for part in how.policy if part in culprits]
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
    real: np.ndarray,
    there: dict[str, np.ndarray],
    count: int,
    how: Setting,
    known: Reference | None,
) -> tuple[Power, ...]:
    """Planted cases: half of the real pictures, augmented, against the other half as they are. As
    many as there are samples, so some again where there are few.
    """
    results = []
    cases: list[tuple[str, dict[str, np.ndarray], float]] = [
        ("real pictures as they are", there, 0)
    ]
    for part in how.policy:
        changed = statistics(planted(real, (part,), how), how, known, real)
        for share in PLANTED:
            cases.append((_case(share, part), changed, share))  # noqa: PERF401
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
            others = {k: values[order[: len(real) // 2]] for k, values in there.items()}
            spoke += bool(_leaking(made, others))
        results.append(Power(name, spoke / TRIALS, TRIALS, expected=share > 0))
    return tuple(results)
