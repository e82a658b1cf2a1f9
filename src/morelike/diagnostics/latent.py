"""Whether the latent space is uneven: regions whose samples are poor, or all one picture.

Among latents of many dimensions no two are near: of 1,000 in 64 dimensions, the nearest neighbour
has a cosine of about 0.4. So neighbours tell little, and what tells most is a direction. Measured
with a planted cap (`planted`: a tenth of the space, where samples are three deviations poorer), 200
permutations at 1 %, 20 trials (10 for neighbours): share of trials in which it is seen that quality
depends on z, by ridge regression and by the mean over the 10 nearest neighbours:

    samples  dimensions   ridge   neighbours
        256          64    0.60         0.30
        512         100    1.00         0.60
        512         200    0.90         0.40
       1000         100    1.00         0.90
       1000         200    1.00         0.00

With half of the space planted both see it nearly always. Neither is made for a poor shell or slab,
which lies to both sides of every direction. `poor_region`, which asks for more than dependence,
said "yes" in all trials with half of the space; with the cap in 0.40, 0.20 and 0 of those with 512
samples of 64, 100 and 200 dimensions, in 0.90 and 0.55 of those with 1,000 of 64 and 100, in the
others mostly "unknown"; with nothing planted in none of 140. So draw 1,000 samples and more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from morelike.diagnostics.finding import Figure, Finding, Panel
from morelike.metrics.chances import wilson
from morelike.metrics.manifold import manifold
from morelike.rng import rng

NO_LATENTS = "Samples of this generator have no latents of their own: it has no latent space."
PERMUTATIONS = 200
CHANCE = 0.01
"""How often chance alone may look like dependence."""
STRENGTHS = (0.1, 1.0, 10.0)
"""Of the ridge, times the number of samples. The best for directions that explain a share R^2 of
the quality is d (1 - R^2) / R^2."""
REGION = 0.1
"""Share of the latent space that is the poorest region."""
HALF = 0.5
SHOWN = 8
FAR = 0.3
"""Cosine of two latents below which nothing says that their samples should be alike."""
LEAST = 64
"""Samples without which nothing is said."""
SPLITS = 200
ALIKE = 0.05
"""Share of real pictures that are nearer to another than others are; half of what these keep is the
line for near-identical."""


NEIGHBOURS = 5
"""How many others realism reaches to."""
POOR = 0.05
"""Share of real pictures that lie below what is poor."""


def log_realism(real: Tensor, samples: Tensor) -> tuple[np.ndarray, float]:
    """How real samples look by one half of the real pictures, and what is poor by the other.

    Args:
        real: (N, F) features, N above 2 x NEIGHBOURS.
        samples: (n, F) features.

    Returns:
        (n,) log realism (`metrics.manifold`), infinite for what equals a picture of that half or
        shares nothing with it; and the value that 5 % of the other half lie below.
    """
    order = rng(0, "realism").permutation(len(real))
    half, rest = (real[part] for part in np.array_split(order, 2))
    with np.errstate(divide="ignore"):
        values, usual = (
            np.log(manifold(half, some, NEIGHBOURS).realism.numpy()) for some in (samples, rest)
        )
    return values, float(np.quantile(usual, POOR))


class Ridge(NamedTuple):
    """What one can tell of a value from z alone, each value being told from the others."""

    r2: float
    """1 - squared error / variance, out of sample; below 0 if it is worse than the mean."""
    null: np.ndarray
    """(permutations,) the same where the values are shuffled."""
    told: np.ndarray
    """(n,), the value of each sample as told from all others."""


def told_from(latents: np.ndarray, values: np.ndarray) -> Ridge:
    """How well values can be told from latents by ridge regression, leave-one-out, exactly.

    Inputs are the direction z / |z| and the length |z|, each of mean 0 and variance 1. With the hat
    matrix H, the residual without sample i is (y_i - (Hy)_i) / (1 - H_ii). The strength of the
    ridge is the best of three, for shuffled values too, so that the null knows of the choice.

    Args:
        latents: (n, d) float.
        values: (n,).
    """
    length = np.linalg.norm(latents, axis=1, keepdims=True)
    inputs = np.concatenate([latents / np.maximum(length, 1e-12), length], axis=1)
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    columns = [values, *(rng(0, "latent", i).permutation(values) for i in range(PERMUTATIONS))]
    targets = np.stack(columns, axis=1).astype(np.float64)
    targets -= targets.mean(axis=0)
    left, singular, _ = np.linalg.svd(inputs, full_matrices=False)
    best = np.full(targets.shape[1], -np.inf)
    told = np.zeros(len(values))
    for strength in STRENGTHS:
        kept = singular**2 / (singular**2 + strength * len(values))
        fitted = left @ (kept[:, None] * (left.T @ targets))
        leverage = np.square(left) @ kept + 1 / len(values)  # the last is the mean's
        without = (targets - fitted) / (1 - leverage)[:, None]
        r2 = 1 - np.square(without).sum(axis=0) / np.square(targets).sum(axis=0)
        if r2[0] > best[0]:
            told = values - without[:, 0]
        best = np.maximum(best, r2)
    return Ridge(float(best[0]), best[1:], told)


def poor_region(
    latents: np.ndarray,
    quality: np.ndarray,
    poor_below: float,
    samples: np.ndarray | None = None,
) -> Finding:
    """Whether there is a region of z whose samples are poor, while most others are not.

    Quality always depends on z somehow, so that alone is no fault. "yes" if it surely does (R^2
    beyond all but 1 in 100 permutations), and in the tenth of the samples that is told to be the
    poorest from z alone a sample is rather poor than good, surely more often poor than elsewhere,
    while in the tenth that is told to be the best it is rather good.

    Args:
        latents: (n, d), what each sample was made from.
        quality: (n,), such as log realism; higher is better; infinite values count as the largest
            or smallest finite one.
        poor_below: below which quality a sample is poor, such as the 5 % quantile of real pictures.
        samples: (n, H, W, C) uint8, to show.
    """
    if not _has_latents(latents):
        return _unknown(NO_LATENTS)
    if len(quality) < LEAST or not np.isfinite(quality).any():
        return _unknown(f"A poor region of z needs {LEAST} samples; there are {len(quality)}.")
    finite = quality[np.isfinite(quality)]
    values = np.clip(quality, finite.min(), finite.max())
    if values.std() < 1e-12:
        return _unknown("All samples are of one quality.")
    found = told_from(latents, values)
    line = float(np.quantile(found.null, 1 - CHANCE))
    order = np.argsort(found.told)
    region = order[: max(1, round(REGION * len(values)))]
    poor = values < poor_below
    inside, overall = float(poor[region].mean()), float(poor.mean())
    low, high = wilson(inside, len(region))
    all_low, all_high = wilson(overall, len(poor))
    best = order[::-1][: len(region)]
    at_best = float(poor[best].mean())
    figures = (
        Figure(
            "quality told from z",
            found.r2,
            null=(float(np.quantile(found.null, 0.025)), float(np.quantile(found.null, 0.975))),
            note="R^2, each sample told from the others; the null is of shuffled qualities",
        ),
        Figure(
            "poor samples in the poorest region",
            inside,
            low,
            high,
            null=(all_low, all_high),
            note=f"share of {len(region)}, the tenth told to be the poorest; its null is the share "
            "of all samples",
        ),
        Figure(
            "poor samples in the best region",
            at_best,
            *wilson(at_best, len(best)),
            note=f"share of {len(best)}, the tenth told to be the best",
        ),
    )
    panels = ()
    if samples is not None:
        columns = ("told to be the poorest", "told to be the best")
        panels = (
            Panel("What z alone tells", columns, (samples[region[:SHOWN]], samples[best[:SHOWN]])),
        )
    depends = found.r2 > line
    poorer = inside > HALF and low > all_high
    if depends and poorer and at_best < HALF:
        return Finding(
            "latent",
            "yes",
            f"A region of the latent space makes poor samples: of the tenth that is told to be the "
            f"poorest from z alone {inside:.0%} are poor, of all {overall:.0%}.",
            remedy="Draw with a truncation (morelike sample --truncation), or train on with a "
            "lower optimizer.generator.learning_rate.",
            figures=figures,
            panels=panels,
        )
    if depends and not poorer and high > HALF > at_best and overall < HALF:
        return Finding(
            "latent",
            "unknown",
            f"Quality depends on where in the latent space a sample comes from, but with "
            f"{len(values)} samples it is not sure that a region is poor: of the tenth told to be "
            f"the poorest {inside:.0%} are, of all {overall:.0%}.",
            remedy="Look at more samples.",
            figures=figures,
            panels=panels,
        )
    return Finding(
        "latent",
        "no",
        f"No region of the latent space is found that is poorer than the rest: of the tenth told "
        f"to be the poorest {inside:.0%} are poor, of all {overall:.0%}.",
        figures=figures,
        panels=panels if depends else (),
    )


def identical(
    latents: np.ndarray,
    features: np.ndarray,
    real: np.ndarray,
    samples: np.ndarray | None = None,
) -> Finding:
    """Whether latents far from each other (cosine below 0.3) give nearly the same picture.

    Near-identical are features nearer to each other than half the distance that 19 of 20 real
    pictures keep from their nearest other. The line comes from halves of the real pictures, taken
    at random, and the null from the other halves; as many samples are looked at together, since
    among more the nearest is nearer. Where more than one in twenty real
    pictures has a twin itself, next to nothing counts as near-identical.

    "yes" if surely more samples have a partner than real pictures do.

    Args:
        latents: (n, d).
        features: (n, F), of the samples.
        real: (m, F), of real pictures, of the same extractor.
        samples: (n, H, W, C) uint8, to show.
    """
    if not _has_latents(latents):
        return _unknown(NO_LATENTS)
    half = min(len(real), len(features)) // 2
    if half < LEAST // 4 or len(features) < LEAST:
        return _unknown(
            f"Whether z far apart give one picture cannot be told of {len(features)} samples and "
            f"{len(real)} real pictures."
        )
    unit = latents / np.maximum(np.linalg.norm(latents, axis=1, keepdims=True), 1e-12)
    among = _distances(features)
    # Pairs of near latents may well be alike.
    among[unit @ unit.T >= FAR] = np.inf
    between = _distances(real)
    np.fill_diagonal(between, np.inf)
    splits = [rng(0, "identical", i).permutation(len(real)) for i in range(SPLITS)]
    # Twins of the set that fall into one half would move a single line much.
    line = float(np.median([_line(between, order[:half]) for order in splits]))
    null, shares = [], []
    for number, order in enumerate(splits):
        other = order[half : 2 * half]
        null.append(float((between[np.ix_(other, other)].min(axis=1) < line).mean()))
        some = rng(0, "identical samples", number).permutation(len(features))[:half]
        shares.append(float((among[np.ix_(some, some)].min(axis=1) < line).mean()))
    share = float(np.mean(shares))
    low, high = (float(x) for x in np.quantile(shares, [0.025, 0.975]))
    top = float(np.quantile(null, 0.975))
    surely = float(np.quantile(np.subtract(shares, null), 0.025)) > 0
    figures = (
        Figure(
            "samples with a near-identical one from a far z",
            share,
            low,
            high,
            null=(float(np.quantile(null, 0.025)), top),
            note=f"share of {half} that are looked at together",
        ),
    )
    panels = () if samples is None else _pairs(among, line, samples)
    if surely and share > top:
        return Finding(
            "latent",
            "yes",
            f"Latents far from each other give nearly the same picture: {share:.0%} of the samples "
            f"have a twin among {half}, of real pictures up to {top:.0%}.",
            remedy="Let the discriminator see whole batches (discriminator.minibatch_stddev), "
            "augment (augment.policy), or lower optimizer.generator.learning_rate.",
            figures=figures,
            panels=panels,
        )
    state = "no" if share <= top else "unknown"
    return Finding(
        "latent",
        state,
        f"{share:.0%} of the samples have a near-identical one from a far z among {half}; of real "
        f"pictures up to {top:.0%} have.",
        figures=figures,
        panels=panels if state == "unknown" else (),
    )


def _line(distances: np.ndarray, some: np.ndarray) -> float:
    """Below which distance some real pictures would be near-identical."""
    return float(np.quantile(distances[np.ix_(some, some)].min(axis=1), ALIKE)) / 2


def _pairs(among: np.ndarray, line: float, samples: np.ndarray) -> tuple[Panel, ...]:
    """The most alike pairs below the line, no sample twice."""
    left, right, used = [], [], set[int]()
    nearest = among.argmin(axis=1)
    for one in np.argsort(among.min(axis=1)):
        other = int(nearest[one])
        if among[one, other] >= line or len(left) == SHOWN:
            break
        if one not in used and other not in used:
            used |= {int(one), other}
            left.append(int(one))
            right.append(other)
    if not left:
        return ()
    columns = ("sample", "its twin from a far z")
    return (Panel("Twins", columns, (samples[left], samples[right])),)


def _distances(features: np.ndarray) -> np.ndarray:
    """(n, n) float64, Euclidean."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    squares = np.square(centred).sum(axis=1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * centred @ centred.T, 0))


def planted(
    count: int, dimensions: int, share: float, poorer: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A latent space of known truth: latents (count, dimensions), and qualities (count,) that are
    standard normal and, in a cap of `share` of the space, `poorer` lower.
    """
    state = rng(seed, "planted cap", count, dimensions)
    latents = state.standard_normal((count, dimensions))
    direction = state.standard_normal(dimensions)
    along = latents @ (direction / np.linalg.norm(direction))
    quality = state.standard_normal(count)
    quality[along > np.quantile(along, 1 - share)] -= poorer
    return latents, quality


def _has_latents(latents: np.ndarray) -> bool:
    """Whether each sample has its own: those of a generator that is fed labels alone have not."""
    return len(np.unique(latents, axis=0)) > len(latents) / 2


def _unknown(sentence: str) -> Finding:
    return Finding("latent", "unknown", sentence)
