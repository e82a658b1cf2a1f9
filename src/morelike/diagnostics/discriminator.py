"""What the discriminator's own answers tell: whether it knows its training pictures by heart, is
far ahead, sees nothing, or forgets.

All figures are functions of logits, the higher the more real, however D was trained: those of a
critic have no place at which "real" begins, so they are compared by rank. AUC is the share of pairs
(one real picture, one generated) that D puts in the right order: 1 if it is always right, 0.5 if it
guesses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from morelike.diagnostics.finding import Curve, Figure, Finding
from morelike.rng import rng

DRAWS = 400
"""Of bootstraps and of nulls."""
TAIL = 0.025
HALF = 0.5
"""The line that all three questions share: more than half of what D knows, or has lost."""
LEAST = 8
"""Logits of each kind without which nothing is said."""

NO_CUT = {"wasserstein", "relativistic", "relativistic_average", "relativistic_average_hinge"}
"""Losses for which no logit is the border between real and generated."""


class Auc(NamedTuple):
    """A share of pairs in the right order, and where it may lie."""

    value: float
    low: float
    high: float


def auc(higher: np.ndarray, lower: np.ndarray, level: float = 0.95) -> Auc:
    """P(a > b) + P(a = b) / 2 for a of `higher` (n,) and b of `lower` (m,), with an interval.

    The interval is that of Newcombe 2006, "Confidence intervals for an effect size measure based on
    the Mann-Whitney statistic, part 2", method 5: all theta for which |value - theta| is at most z
    times the standard deviation that Hanley & McNeil 1982 give for theta, with the mean of n and m
    in place of each in its corrections. Unlike a bootstrap's it has a width at 0 and 1.
    """
    order = np.concatenate([higher, lower])
    _, place, counts = np.unique(order, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, m = len(higher), len(lower)
    value = float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
    z = NormalDist().inv_cdf((1 + level) / 2)

    def beyond(theta: float) -> bool:
        """Whether theta is too far from the value to be the truth."""
        more = (n + m) / 2 - 1
        inner = 1 + more * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return abs(value - theta) > z * math.sqrt(theta * (1 - theta) * inner / (n * m))

    return Auc(value, _border(value, 0.0, beyond), _border(value, 1.0, beyond))


def _border(inside: float, outside: float, beyond: Callable[[float], bool]) -> float:
    """Where `beyond` begins between two places, by halving."""
    if not beyond(outside):
        return outside
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
    return inside


def r_v(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> float:
    """(E[D_train] - E[D_validation]) / (E[D_train] - E[D_generated]), Karras et al. 2020, "Training
    Generative Adversarial Networks with Limited Data", eq. 1: 0 if D finds pictures it never saw as
    real as those it learnt from, 1 if it finds them as false as generated ones. NaN if D finds
    training and generated pictures alike.
    """
    gap = train.mean() - fake.mean()
    return float((train.mean() - held_out.mean()) / gap) if gap else math.nan


def r_t(train: np.ndarray, cut: float = 0.0) -> float:
    """E[sign(D_train)], Karras et al. 2020, eq. 1: 1 if D is right about all training pictures."""
    return float(np.sign(train - cut).mean())


def only_by_heart(to_train: float, to_held_out: float) -> float:
    """The share of D's knowledge that does not reach beyond the training pictures.

    r_v in ranks: (AUC_train - AUC_held_out) / (AUC_train - 1/2), where AUC is against generated
    pictures. 0 if D tells pictures it never saw from generated ones as well as those it learnt
    from; 1 if it only guesses there; above 1, up to 2, if it finds them more false than generated
    ones. NaN if D does not tell its training pictures from generated ones.
    """
    return (to_train - to_held_out) / (to_train - 0.5) if to_train > 0.5 else math.nan


def overfit(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray, loss: str) -> Finding:
    """Whether D knows its training pictures by heart instead of what they have in common.

    "yes" if surely more than half of what D knows does not reach beyond the training pictures
    (`only_by_heart`), and more than chance makes of training pictures that are taken for held-out
    ones; "no" if surely less than half.

    Args:
        train: (N,) logits of training pictures.
        held_out: (M,) of real pictures that were never trained on, asked about in the same way.
        fake: (K,) of samples of the same checkpoint.
        loss: `objective.loss`, which says whether a logit has a sign.
    """
    if min(len(train), len(fake)) < LEAST or not len(held_out):
        return _unknown(
            "Whether the discriminator knows its training pictures by heart cannot be told: "
            f"it was asked about {len(train)} training, {len(held_out)} held-out and {len(fake)} "
            "generated pictures.",
            "Hold pictures out from training (data.held_out).",
        )
    to_train, to_held, seen = auc(train, fake), auc(held_out, fake), auc(train, held_out)
    if to_train.low <= 0.5:
        return _unknown(
            "Whether the discriminator knows its training pictures by heart cannot be told: it "
            f"does not tell them from samples (right in {to_train.value:.0%} of pairs)."
        )
    share = only_by_heart(to_train.value, to_held.value)
    low = only_by_heart(to_train.value, max(to_held.low, 0.0))
    ends = sorted((low, only_by_heart(to_train.value, to_held.high)))
    null = _null_of_halves(train, len(held_out), fake)
    figures = (
        Figure("known only by heart", share, *ends, null=null["share"], note="0 none, 1 all of it"),
        Figure(
            "r_v", r_v(train, held_out, fake), *_boot_r_v(train, held_out, fake), null=null["r_v"]
        ),
        Figure(
            "training above held-out",
            *seen,
            null=null["seen"],
            note=f"share of pairs; {len(train)} training, {len(held_out)} held-out",
        ),
        Figure("held-out above samples", *to_held, null=null["to_held"], note="share of pairs"),
        Figure("training above samples", *to_train, note="share of pairs"),
        *_with_cut(train, loss),
    )
    compared = (
        f"it puts training pictures above samples in {to_train.value:.1%} of pairs, and pictures "
        f"it never saw in {to_held.value:.1%}"
    )
    if ends[0] > HALF and ends[0] > null["share"][1]:
        return Finding(
            "discriminator",
            "yes",
            f"The discriminator knows its training pictures by heart: {compared}.",
            remedy="Augment what it sees (augment.policy = color, translation), add pictures, or "
            "make it smaller (discriminator.width) or smoother (penalty.r1).",
            figures=figures,
        )
    if ends[1] < HALF:
        most = "Most of what" if ends[0] > null["share"][1] else "What"
        rest = ", so some of it is by heart" if ends[0] > null["share"][1] else ""
        sentence = (
            f"{most} the discriminator knows holds for pictures it never saw: {compared}{rest}."
        )
        return Finding("discriminator", "no", sentence, figures=figures)
    return Finding(
        "discriminator",
        "unknown",
        f"With {len(held_out)} held-out pictures it cannot be told whether the discriminator knows "
        f"its training pictures by heart: {compared}, the latter anything from {to_held.low:.0%} "
        f"to {to_held.high:.0%}.",
        remedy="Hold out more pictures (data.held_out).",
        figures=figures,
    )


def _null_of_halves(
    train: np.ndarray, count: int, fake: np.ndarray
) -> dict[str, tuple[float, float]]:
    """What the same figures are where training pictures are taken for held-out ones, as many as
    there are of these, but half of all at most.
    """
    rows: list[tuple[float, float, float, float]] = []
    count = min(count, len(train) // 2)
    for number in range(DRAWS):
        order = rng(0, "overfit", number).permutation(len(train))
        taken, rest = train[order[:count]], train[order[count:]]
        to_rest, to_taken = _plain_auc(rest, fake), _plain_auc(taken, fake)
        share = only_by_heart(to_rest, to_taken)
        rows.append((share, r_v(rest, taken, fake), _plain_auc(rest, taken), to_taken))
    ends = np.nanquantile(np.array(rows), [TAIL, 1 - TAIL], axis=0)
    names = ("share", "r_v", "seen", "to_held")
    return {name: (float(ends[0, i]), float(ends[1, i])) for i, name in enumerate(names)}


def _boot_r_v(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    values = []
    for number in range(DRAWS):
        state = rng(0, "r_v", number)
        drawn = (each[state.randint(0, len(each), len(each))] for each in (train, held_out, fake))
        values.append(r_v(*drawn))
    low, high = np.nanquantile(values, [TAIL, 1 - TAIL])
    return float(low), float(high)


def _plain_auc(higher: np.ndarray, lower: np.ndarray) -> float:
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")
    return float(below.mean() / (2 * len(lower)))


def _with_cut(train: np.ndarray, loss: str) -> tuple[Figure, ...]:
    if loss in NO_CUT:
        return ()
    note = "E[sign(D)] of training pictures; Karras et al. 2020 aim at 0.6"
    return (Figure("r_t", r_t(train, cut(loss)), note=note),)


def cut(loss: str) -> float:
    """The logit above which D says "real": 1/2 where targets are 0 and 1, else 0."""
    return 0.5 if loss == "least_squares" else 0.0


def apart(real: np.ndarray, fake: np.ndarray) -> float:
    """How far real and generated pictures are apart for D, in units of how far generated ones are
    from one another: (q05 of real - q95 of fake) / (q95 - q05 of fake), q05
    the 5 % quantile.

    Below 0 where they overlap; infinite where all generated ones get one answer, below the real.
    """
    low, high = np.quantile(fake, [0.05, 0.95])
    gap = float(np.quantile(real, 0.05) - high)
    if high > low:
        return gap / float(high - low)
    return math.inf if gap > 0 else -math.inf


def balance(
    train: np.ndarray, fake: np.ndarray, loss: str, *, differ: bool | None = None
) -> Finding:
    """Whether the game between the two networks has come to a stop.

    D is far ahead if to it samples are farther from the real pictures than from one another
    (`apart` above 1): none of the differences between samples would bring one of them near. So it
    always is at the very beginning. It is of no use if it cannot tell samples from real pictures
    although they differ.

    That D is nearly always right is no fault by itself: in healthy runs it is (99.7 % of pairs in a
    DCGAN of CIFAR-10, whose `apart` was 0.3). WGANs of bicycles, three seeds each: where the
    generator had ten times the critic's learning rate `apart` was -0.6 to -0.3 after 40,000
    pictures and -0.6 to -0.1 after 128,000; at equal rates, which gave bicycles about six times as
    far from real ones (sliced Wasserstein distance), 7.9 to 13.5 and 0.6 to 2.1.

    Args:
        train: (N,) logits of training pictures.
        fake: (K,) of samples of the same checkpoint.
        loss: `objective.loss`.
        differ: whether another measure finds samples and real pictures to differ; None if nobody
            asked.
    """
    if min(len(train), len(fake)) < LEAST:
        return _unknown("There are too few answers of the discriminator.", topic="balance")
    right = auc(train, fake)
    distance = apart(train, fake)
    bounds = _boot_apart(train, fake)
    figures = (
        Figure(
            "real above samples",
            *right,
            null=_null_of_auc(len(train), len(fake)),
            note="share of pairs; the null is of pictures that are alike to it",
        ),
        Figure(
            "real and samples apart",
            distance,
            *bounds,
            note="in spreads of the samples; below 0 they overlap, above 1 it is far ahead",
        ),
        *_shares_right(train, fake, loss),
    )
    if bounds[0] > 1:
        why = ", and with the minimax loss G then learns nothing" if loss == "minimax" else ""
        how = (
            f"the samples are {distance:.1f} times as far from real pictures as from one another"
            if math.isfinite(distance)
            else "all samples are the same"
        )
        return Finding(
            "balance",
            "yes",
            f"The discriminator is far ahead of the generator: to it {how}{why}.",
            remedy="Raise optimizer.generator.learning_rate, slow the discriminator down "
            "(optimizer.discriminator.learning_rate, training.discriminator_steps) or keep it "
            "smooth (penalty.r1, discriminator.norm)"
            + (", and take objective.loss = non_saturating." if loss == "minimax" else "."),
            figures=figures,
        )
    if right.high < 0.75 and right.low <= 0.5:
        sentence = (
            "The discriminator does not tell samples from training pictures "
            f"(right in {right.value:.0%} of pairs)"
        )
        if differ is None:
            return Finding(
                "balance",
                "unknown",
                f"{sentence}: either they are as good as real, or it is too weak.",
                figures=figures,
            )
        if differ:
            return Finding(
                "balance",
                "yes",
                f"{sentence} although they differ: it gives the generator nothing to learn from.",
                remedy="Strengthen the discriminator (discriminator.width, "
                "optimizer.discriminator.learning_rate, training.discriminator_steps), or weaken "
                "its penalties (penalty.r1, penalty.one_centered, penalty.clip).",
                figures=figures,
            )
    if bounds[1] > 1:
        return Finding(
            "balance",
            "unknown",
            "Whether the discriminator is too far ahead is not sure: to it the samples are "
            f"{distance:.1f} times as far from real pictures as from one another, anything from "
            f"{bounds[0]:.1f} to {bounds[1]:.1f} times.",
            figures=figures,
        )
    return Finding(
        "balance",
        "no",
        f"The game goes on: the discriminator is right in {right.value:.1%} of pairs, and some "
        "samples are nearer to real pictures than others.",
        figures=figures,
    )


def _null_of_auc(n: int, m: int) -> tuple[float, float]:
    """Where the AUC of two sets of one distribution lies: Mann & Whitney 1947."""
    away = NormalDist().inv_cdf(1 - TAIL) * math.sqrt((n + m + 1) / (12 * n * m))
    return 0.5 - away, 0.5 + away


def _boot_apart(train: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    values = []
    for number in range(DRAWS):
        state = rng(0, "apart", number)
        drawn = (each[state.randint(0, len(each), len(each))] for each in (train, fake))
        values.append(apart(*drawn))
    low, high = np.quantile(values, [TAIL, 1 - TAIL], method="nearest")  # some may be infinite
    return float(low), float(high)


def _shares_right(train: np.ndarray, fake: np.ndarray, loss: str) -> tuple[Figure, ...]:
    if loss in NO_CUT:
        return ()
    middle = cut(loss)
    return (
        Figure("right about training pictures", float((train > middle).mean()), note="share"),
        Figure("right about samples", float((fake < middle).mean()), note="share"),
    )


def forgetting(
    train: np.ndarray, fake: np.ndarray, older: Mapping[int, np.ndarray], images: int
) -> Finding:
    """Whether D has forgotten what earlier samples were like.

    Skill is 2 AUC - 1: 1 if D is always right, 0 if it guesses, below 0 if it takes samples for
    more real than real pictures. "yes" if at some older checkpoint it surely has less than half the
    skill that it has on today's samples; "no" if it surely has more at all of them. Intervals are
    widened for as many checkpoints (Bonferroni).

    The game is then one of going round: G may come back to what D no longer minds.

    Args:
        train: (N,) logits of training pictures.
        fake: (K,) of samples of the same checkpoint.
        older: by pictures shown, (K,) of samples of older checkpoints, of the same seeds.
        images: pictures shown at the checkpoint whose discriminator was asked.
    """
    if min(len(train), len(fake)) < LEAST or not older:
        return _unknown(
            "Whether the discriminator forgets cannot be told: there are no older checkpoints to "
            "show it.",
            "Keep more checkpoints (training.keep).",
            topic="forgetting",
        )
    now = auc(train, fake)
    if now.low <= 0.5:
        return _unknown(
            "Whether the discriminator forgets cannot be told: it does not tell today's samples "
            f"from real pictures either (right in {now.value:.0%} of pairs).",
            topic="forgetting",
        )
    level = 1 - 2 * TAIL / len(older)
    then = {when: auc(train, older[when], level) for when in sorted(older)}
    line = 0.5 + HALF * (now.value - 0.5)
    lost = [when for when, found in then.items() if found.high < line]
    worst = min(then, key=lambda when: then[when].value)
    null = (now.low, now.high)
    curve = Curve(
        "real above samples of older checkpoints",
        (*then, images),
        (*(found.value for found in then.values()), now.value),
        null=null,
        onset=max(lost) if lost else None,
    )
    figures = (
        Figure(
            f"real above samples of {worst:,} pictures shown",
            *then[worst],
            null=null,
            note=f"share of pairs, the lowest of {len(then)} older checkpoints",
        ),
        Figure("real above samples of today", *now, note="share of pairs"),
    )
    said = (
        f"it puts real pictures above the samples made at {worst:,} pictures shown in "
        f"{then[worst].value:.1%} of pairs, above today's in {now.value:.1%}"
    )
    if lost:
        return Finding(
            "forgetting",
            "yes",
            f"The discriminator forgets: {said}.",
            remedy="Slow it down (optimizer.discriminator.learning_rate), keep it smooth "
            "(penalty.r1), or let the averaged generator lag more (training.ema_half_life).",
            figures=figures,
            curves=(curve,),
        )
    sure = all(found.low > line for found in then.values())
    return Finding(
        "forgetting",
        "no" if sure else "unknown",
        f"The discriminator remembers earlier samples: {said}."
        if sure
        else f"Whether the discriminator forgets is not sure: {said}.",
        figures=figures,
        curves=(curve,),
    )


def _unknown(sentence: str, remedy: str = "", topic: str = "discriminator") -> Finding:
    return Finding(topic, "unknown", sentence, remedy=remedy)
