"""How far the verdict's detectors can be trusted: planted cases and real pictures, trial by trial.

    python benchmarks/verdict_power.py --data bikes/ --train 64 --trials 200 --out bikes-64.json

In each trial a set is parted anew into training pictures, held-out ones, and others that play the
honest generator. Detectors are fitted to the first two and judge

- honest samples: the others (false alarms), each once, and drawn as below;
- honest samples with 1, 2, 5, 20 and 100 % copies of training pictures, of five kinds;
- generators of noise, of blurred, averaged and smeared training pictures;
- generators of one and of ten pictures, and one whose features lie a fifth nearer to one another.

The sets are freed of near-copies first. Every picture is judged once; a trial's samples are drawn
from the outcomes, with replacement, since few sets have as many others as there are samples.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from morelike.config import DataConfig
from morelike.data import open_source, prepare
from morelike.diagnostics.collapse import Yardstick, distances
from morelike.diagnostics.controls import COPIES, DECOYS
from morelike.diagnostics.copies import Copies
from morelike.diagnostics.copying import POWER, SHARE, most_honest
from morelike.diagnostics.coverage import coverage_finding
from morelike.diagnostics.evidence import Evidence, Pictures
from morelike.diagnostics.learning import (
    CHANCE,
    is_of_another_kind,
    null_of,
    unlike_by_chance,
)
from morelike.diagnostics.matching import Matcher
from morelike.features import Extractor, extractor, features_of
from morelike.metrics.chances import binomial_tail
from morelike.metrics.kernel import kid
from morelike.rng import rng

SHARES = (0.01, 0.02, SHARE, 0.2, 1.0)
OTHERS = 128
"""Other pictures that are judged in a trial, at most."""
DECOYS_JUDGED = 32
TIMES = {"averaged": 3}
"""Averages of two may be near-copies, rarely: so more are judged."""


def main() -> None:
    """Run the trials and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="pictures, as prepare takes them")
    parser.add_argument("--train", type=int, required=True, help="training pictures")
    parser.add_argument("--samples", type=int, default=512, help="samples of each generator")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after these")
    parser.add_argument("--out", type=Path, help="a JSON file for the counts")
    options = parser.parse_args()
    # Near-copies across the parts would be copies indeed.
    settings = DataConfig(dedup="near")
    dataset = prepare(open_source(options.data, settings), settings)
    images = np.asarray(dataset.images)
    look = extractor()
    features = features_of(look, images)
    found: defaultdict[str, list[bool]] = defaultdict(list)
    began = time.perf_counter()
    for trial in range(options.trials):
        for case, spoke in one(
            images, features, look, options.train, options.samples, trial
        ).items():
            found[case].append(spoke)
        if time.perf_counter() - began > options.seconds:
            break
    counts = {case: (sum(spoke), len(spoke)) for case, spoke in found.items()}
    print(f"{options.data}: {options.train} training pictures, {look.name}")
    for case, (spoke, trials) in counts.items():
        print(f"  {case:<48} {spoke:>4} of {trials}")
    if options.out:
        options.out.write_text(
            json.dumps({"arguments": vars(options), "counts": counts}, default=str)
        )


def one(
    images: np.ndarray,
    features: torch.Tensor,
    look: Extractor,
    count: int,
    samples: int,
    trial: int,
) -> dict[str, bool]:
    """One trial: which detector spoke in which case."""
    numbers = rng(trial, "verdict power")
    order = numbers.permutation(len(images))
    held = max(8, count // 10)
    if count + held + 8 > len(images):
        raise SystemExit(f"{len(images)} pictures are too few for {count} to train on")
    parts = np.split(order, [count, count + held, count + held + OTHERS])[:3]
    train, kept, others = (Pictures(images[x], features[torch.from_numpy(x)]) for x in parts)
    copies = Copies.fitted(train.images, kept.images)
    found = _copying(train, others, copies, samples, numbers)
    found |= _collapse(train, kept, others, copies.matcher, samples, numbers)
    found |= _pictures(train, kept, others, look, numbers)
    return found


def _copying(
    train: Pictures, others: Pictures, copies: Copies, samples: int, numbers: np.random.RandomState
) -> dict[str, bool]:
    honest = copies.judge(others.images).near
    limit = most_honest(samples, copies)

    def accused(planted: np.ndarray, few: int) -> bool:
        drawn = [numbers.choice(planted, few), numbers.choice(honest, samples - few)]
        return bool(np.concatenate(drawn).sum() > limit)

    found = {
        "COPYING, honest": int(honest.sum()) > most_honest(len(honest), copies),
        "COPYING, honest, drawn": accused(honest, 0),
    }
    few = round(SHARE * samples)
    some = train.images[numbers.permutation(len(train))[:few]]
    for name, make in COPIES.items():
        near = copies.judge(make(some, numbers)).near
        for share in SHARES:
            found[f"COPYING, {share:.0%} {name}"] = accused(near, max(1, round(share * samples)))
        # What the card would say of its own power, and so whether it would say UNKNOWN.
        sure = binomial_tail(limit + 1, few, float(near.mean())) >= POWER
        found[f"sure of itself, {SHARE:.0%} {name}"] = sure
        missed = sure and not found[f"COPYING, {SHARE:.0%} {name}"]
        found[f"missed, and not UNKNOWN, {SHARE:.0%} {name}"] = missed
    for name, make in DECOYS.items():
        some = train.images[:DECOYS_JUDGED]
        shown = [make(some, numbers) for _ in range(TIMES.get(name, 1))]
        near = copies.judge(np.concatenate(shown)).near
        found[f"COPYING, all {name}"] = accused(near, samples)
    return found


def _collapse(
    train: Pictures,
    held: Pictures,
    others: Pictures,
    matcher: Matcher,
    samples: int,
    numbers: np.random.RandomState,
) -> dict[str, bool]:
    """Judged as the card does: in features and by layout."""
    sides = [
        (name, *(torch.as_tensor(rows) for rows in parts))
        for name, parts in {
            "features": [part.features for part in (train, held, others)],
            "layout": [matcher.layout(part.images) for part in (train, held, others)],
        }.items()
    ]
    spaces = [
        (Yardstick.of(name, torch.cat([of_train, of_held])), of_train, of_others)
        for name, of_train, of_held, of_others in sides
    ]
    found = {}
    for few, name in ((1, "one picture"), (10, "ten pictures")):
        order = torch.from_numpy(numbers.permutation(len(train))[:few])
        order = order[torch.arange(min(samples, 256)) % few]
        found[f"COLLAPSED, {name}"] = any(
            measure.variety(distances(rows[order])).is_collapsed for measure, rows, _ in spaces
        )
    if len(others) >= 16:
        found["COLLAPSED, honest"] = any(
            measure.variety(distances(rows)).is_collapsed for measure, _, rows in spaces
        )
        measure, _, rows = spaces[0]
        found["COLLAPSED, too uniform"] = measure.variety(0.8 * distances(rows)).is_collapsed
    return found


def _pictures(
    train: Pictures,
    held: Pictures,
    others: Pictures,
    look: Extractor,
    numbers: np.random.RandomState,
) -> dict[str, bool]:
    found = {}
    if len(others) >= 16:
        evidence = Evidence(train, held, others, look.name)
        found["kinds left out, honest"] = coverage_finding(evidence).state == "yes"
        found["farther than the null, honest"] = (
            kid(others.features, held.features) > null_of(evidence)[1]
        )
        found["unlike real pictures, honest"] = unlike_by_chance(evidence) <= CHANCE
        for name, make in DECOYS.items():
            shown = make(train.images[:DECOYS_JUDGED], numbers)
            decoys = Pictures(shown, features_of(look, shown, cache=False))
            found[f"unlike real pictures, all {name}"] = (
                unlike_by_chance(Evidence(train, held, decoys, look.name)) <= CHANCE
            )
        found["held-out of another kind, honest"] = is_of_another_kind(evidence)
    return found


if __name__ == "__main__":
    main()
