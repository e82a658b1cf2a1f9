"""Copying: does the generator retell its training pictures?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from morelike.diagnostics.controls import COPIES, DECOYS
from morelike.diagnostics.copies import Copies, Judged
from morelike.diagnostics.evidence import Evidence
from morelike.diagnostics.finding import Figure, Finding, Panel, Power
from morelike.diagnostics.matching import Matcher
from morelike.metrics.chances import binomial_tail, share_interval
from morelike.metrics.memorization import authenticity, copying, exchange_z
from morelike.rng import rng

ALARM = 0.05
"""How often an honest generator may be accused."""
DECOYS_NEAR = 0.025
"""Share of near-copies that accuses nobody: averages of training pictures have up to that, since
some are nearly one of their parts."""
SHARE, POWER = 0.05, 0.95
"""Which share of copies is to be found, and how surely."""
PLANTED = 100
"""Pictures planted of each kind."""
TRIALS = 200
SHOWN = 12
MOST_LAID = 256
"""Samples that are laid upon training and held-out pictures alike."""
MORE = (256, 512, 1024, 2048, 4096, 8192)
"""Numbers of samples that may be advised."""


def most_honest(samples: int, copies: Copies) -> int:
    """The largest number of near-copies among `samples` that accuses nobody.

    More are unlikely by chance, be they real pictures never trained on or averages.
    """
    share = max(copies.usual, DECOYS_NEAR)
    low, high = -1, samples + 1
    while high - low > 1:
        middle = (low + high) // 2
        accused = binomial_tail(middle, samples, share) < ALARM
        low, high = (low, middle) if accused else (middle, high)
    return low


def copying_finding(evidence: Evidence, copies: Copies, judged: Judged) -> Finding:
    """Whether more samples than chance allows are near-copies, and how surely that would be seen.

    Args:
        evidence: all three sets.
        copies: fitted to its training and held-out pictures.
        judged: its samples, judged by `copies`.
    """
    near, samples = int(judged.near.sum()), len(judged.near)
    honest, beyond = most_honest(samples, copies), int((copies.real < copies.limit).sum())
    recall = _shares_near(COPIES, evidence.train.images, copies)
    decoys = _shares_near(DECOYS, evidence.train.images, copies)
    power = _power(recall, decoys, samples, honest, copies.usual)
    surely = min(each.found for each in power if each.expected)
    state = "yes" if near > honest else "no" if surely >= POWER else "unknown"
    share, (low, high) = near / samples, share_interval(near, samples)
    figure = Figure(
        "near-copies", share, low, high, (0.0, honest / samples), f"share of {samples} samples"
    )
    sentence = {
        "yes": f"{share:.1%} of the samples retell a training picture; of real pictures that were "
        f"never trained on, {beyond} of {len(copies.real)} are as near to one.",
        "no": f"{share:.1%} of the samples are near-copies of a training picture, where chance "
        f"gives up to {honest / samples:.1%}.",
        "unknown": f"{share:.1%} of the samples are near-copies, but one copy in twenty would be "
        f"noticed in {surely:.0%} of cases only; " + _would_do(recall, samples, copies),
    }
    remedy = (
        "Use an earlier checkpoint (--checkpoint), add pictures, or augment more "
        "(augment.policy: color, translation, cutout); morelike sample --safe leaves near-copies "
        "out."
    )
    return Finding(
        topic="copying",
        state=state,
        sentence=sentence[state],
        remedy=remedy if state == "yes" else "",
        word="COPYING" if state == "yes" else "",
        figures=(figure, *_distances(evidence)),
        panels=(_nearest(evidence, judged),),
        power=tuple(power),
    )


def _shares_near(
    cases: Mapping[str, object], train: np.ndarray, copies: Copies
) -> dict[str, float]:
    """How many planted pictures of each kind are called near-copies."""
    numbers = rng(0, "planted copies")
    some = train[numbers.permutation(len(train))[:PLANTED]]
    return {
        name: float(copies.judge(make(some, numbers)).near.mean())
        for name, make in (COPIES | DECOYS).items()
        if name in cases
    }


def _power(
    recall: dict[str, float], decoys: dict[str, float], samples: int, honest: int, usual: float
) -> list[Power]:
    """How often copying generators, generators of decoys, and honest ones are accused, in trials
    drawn from what was seen picture by picture.
    """
    numbers = rng(0, "copying power")
    few = round(SHARE * samples)
    cases = [(f"{SHARE:.0%} copies, {name}", few, found, True) for name, found in recall.items()]
    cases += [(f"all {name}", samples, found, False) for name, found in decoys.items()]
    cases += [("real pictures never trained on", 0, 0.0, False)]
    power = []
    for case, planted, found, expected in cases:
        counts = numbers.binomial(planted, found, TRIALS)
        counts += numbers.binomial(samples - planted, usual, TRIALS)
        power.append(Power(case, float((counts > honest).mean()), TRIALS, expected))
    return power


def _would_do(recall: dict[str, float], samples: int, copies: Copies) -> str:
    """How many samples would make it sure, or why no number would."""
    hardest = min(recall, key=lambda name: recall[name])
    for more in MORE:
        found = binomial_tail(most_honest(more, copies) + 1, more, SHARE * recall[hardest])
        if more > samples and found >= POWER:
            return f"{more} samples (--count) would do."
    return (
        f"more samples would not help, as only {recall[hardest]:.0%} of planted copies "
        f"({hardest}) are told from real pictures, of which up to {copies.usual:.0%} look like "
        "copies themselves; leave out near-copies (morelike prepare --dedup near), or add pictures."
    )


def _distances(evidence: Evidence) -> list[Figure]:
    """Figures beside the one that decides: by features, without a limit of their own."""
    train, held, samples = (
        part.features for part in (evidence.train, evidence.held_out, evidence.samples)
    )
    if len(held) < 2:
        return []
    found = copying(samples, train, held, rng(0, "copying"))
    few = min(len(train), len(held))
    usual = authenticity(held, train)
    spread = 1.96 * (usual * (1 - usual) / len(held)) ** 0.5
    return [
        Figure(
            "nearer to training than to held-out pictures",
            found.exchange_z,
            null=(-1.96, 1.96),
            note=f"standard deviations, by features, {few} of each; 0 for no preference",
        ),
        Figure(
            "nearer to training than to held-out pictures, in pixels",
            _preference(evidence, few),
            null=(-1.96, 1.96),
            note="the same, moved, mirrored and recoloured as fits best",
        ),
        Figure(
            "authenticity",
            authenticity(samples, train),
            null=(max(0.0, usual - spread), min(1.0, usual + spread)),
            note="share of samples farther from a training picture than that is from its like",
        ),
    ]


def _preference(evidence: Evidence, count: int) -> float:
    """`exchange_z` of samples laid upon as many training as held-out pictures."""
    both = [
        part.images[rng(0, "preference").permutation(len(part.images))[:count]]
        for part in (evidence.train, evidence.held_out)
    ]
    matcher = Matcher.fitted(np.concatenate(both))
    nearest = matcher.match(evidence.samples.images[:MOST_LAID]).which[:, 0]
    claimed = np.bincount(nearest, minlength=2 * count).reshape(2, count)
    return exchange_z(torch.from_numpy(claimed).double())


def _nearest(evidence: Evidence, judged: Judged) -> Panel:
    """The samples nearest to a training picture, beside it: one for each such picture first."""
    order = np.argsort(judged.score, kind="stable")
    _, first = np.unique(judged.which[order], return_index=True)
    others = np.setdiff1d(np.arange(len(order)), first)
    order = order[np.concatenate([np.sort(first), others])][:SHOWN]
    train = evidence.train.images[judged.which[order]]
    turned = judged.mirrored[order, None, None, None]
    captions = [
        f"{'near-copy, ' if judged.near[i] else ''}nearer than "
        f"{100 - judged.percentile[i]:.0f} % of real pictures"
        for i in order
    ]
    return Panel(
        "The samples nearest to a training picture",
        ("sample", "training picture"),
        (evidence.samples.images[order], np.where(turned, train[:, :, ::-1], train)),
        tuple(captions),
    )
