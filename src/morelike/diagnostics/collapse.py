"""Collapse: are samples as varied as real pictures, and is no kind of picture missing?

Variety is judged twice. In features, and by layout: where light and dark lie in coarse cells,
whatever the colours and the dirt (`matching.py`). A generator that makes one picture under varied
noise is varied in features and collapsed in layout; both were seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.diagnostics.evidence import Evidence
from morelike.diagnostics.finding import Figure, Finding, Panel, Power
from morelike.diagnostics.matching import Matcher
from morelike.rng import rng

DRAWS = 20
"""Subsets of real pictures, and of samples, that are compared."""
LARGEST = 128
"""Pictures in a subset."""
LEAST_VARIETY = {"features": 1 / 3, "layout": 1 / 2}
"""Collapsed below this share of real pictures' variety, if that is beyond chance as well.

Real bicycles, roses and dogs whose distances in features all shrink to .8, as paler and smoother
pictures' do, have .55 to .70 left, and shrunk to .6, .23 to .38: what is merely too uniform shall
not be called collapsed. Layout knows no contrast, so there it takes pictures of the same thing.
"""
MOST_ALIKE = 0.02
"""Collapsed above this share of nearly identical pairs: as from fewer than fifty pictures."""
ALIKE = 0.5
"""Two samples are nearly identical if they are nearer than this times the distance that the nearest
two of ten real pictures usually have."""
FEWEST = 10
"""Real pictures below which they are no yardstick."""
TRIALS, POWER = 20, 0.95
"""How often each planted case is tried, and how often it is to be found."""
SHOWN = 13
MOST = 768
"""Pictures of a set that are compared with one another."""


class Variety(NamedTuple):
    """How varied samples are in one space, beside real pictures."""

    name: str
    ratio: float
    """Vendi score of subsets of the samples, by that of equally large subsets of real pictures."""
    least: float
    """Below which ratio they are collapsed."""
    null: tuple[float, float]
    """The same of subsets of real pictures alone, in 95 of 100 cases."""
    alike: float
    """Share of the pairs of samples that are nearly identical."""
    alike_real: float
    """The same of real pictures."""
    size: int
    """Pictures in a subset."""

    @property
    def is_collapsed(self) -> bool:
        """Whether this is neither chance nor a small loss."""
        poor = self.ratio < min(self.least, self.null[0])
        return poor or self.alike > self.most_alike

    @property
    def most_alike(self) -> float:
        """The largest share of nearly identical pairs that is no collapse."""
        return max(MOST_ALIKE, 3 * self.alike_real)


@dataclass(frozen=True)
class Yardstick:
    """How varied real pictures are in one space: features, or layout."""

    name: str
    distances: Tensor
    """(R, R) float64 between real pictures."""
    scale: float
    """Of the kernel exp(-d^2 / 2 scale^2): half the median of these distances."""
    threshold: float
    """Below this distance two samples are nearly identical."""

    @classmethod
    def of(cls, name: str, real: Tensor) -> Yardstick:
        """From real pictures (R, F); at most `MOST` of them are used."""
        numbers = rng(0, "variety", name)
        chosen = torch.from_numpy(numbers.permutation(len(real))[:MOST])
        apart = distances(real[chosen])
        pairs = apart[*torch.triu_indices(len(apart), len(apart), 1)]
        least = []
        for _ in range(DRAWS):
            ten = torch.from_numpy(numbers.permutation(len(apart))[:10])
            few = apart[ten][:, ten].clone().fill_diagonal_(torch.inf)
            least.append(few.min().item())
        scale = max(pairs.median().item() / 2, 1e-9)  # most of them may be one and the same picture
        return cls(name, apart, scale, ALIKE * float(np.mean(least)))

    def variety(self, distances: Tensor) -> Variety:
        """That of samples with these distances (n, n) between them, n at least 4."""
        size = min(LARGEST, len(distances), len(self.distances) // 2)
        usual = self._vendi(self.distances, size)
        low, high = np.quantile(usual / usual.mean(), [0.025, 0.975]).tolist()
        ratio = float(self._vendi(distances, size).mean() / usual.mean())
        alike = [self._alike(x) for x in (distances, self.distances)]
        least = LEAST_VARIETY[self.name]
        return Variety(self.name, ratio, least, (low, high), alike[0], alike[1], size)

    def worth(self, variety: Variety) -> float:
        """How many different real pictures, repeated to fill a subset, are as varied."""
        size = variety.size
        counts = np.unique(np.geomspace(1, size, 16).round().astype(int))
        usual = self._vendi(self.distances, size).mean()
        numbers = rng(0, "variety", "worth", size)
        ratios = []
        for count in counts.tolist():
            chosen = numbers.permutation(len(self.distances))[:count]
            rows = torch.from_numpy(chosen[np.arange(size) % count])
            ratios.append(self._score(self.distances[rows][:, rows]) / usual)
        return float(np.interp(variety.ratio, np.maximum.accumulate(ratios), counts))

    def _vendi(self, distances: Tensor, size: int) -> np.ndarray:
        """(DRAWS,) Vendi scores (Friedman & Dieng 2023) of random subsets. The kernel is Gaussian,
        so only distances count, and not where the samples lie.
        """
        numbers = rng(0, "variety", "subsets", size)
        scores = []
        for _ in range(DRAWS):
            chosen = torch.from_numpy(numbers.permutation(len(distances))[:size])
            scores.append(self._score(distances[chosen][:, chosen]))
        return np.array(scores)

    def _score(self, distances: Tensor) -> float:
        """Of one set, from its distances (n, n)."""
        alike = (distances / self.scale).square().div(-2).exp()
        values = torch.linalg.eigvalsh(alike / len(alike)).clamp_min(0)
        return torch.special.entr(values).sum().exp().item()

    def _alike(self, distances: Tensor) -> float:
        pairs = distances[*torch.triu_indices(len(distances), len(distances), 1)]
        return (pairs < self.threshold).double().mean().item()


class Space(NamedTuple):
    """Samples in one of the two spaces, and what they are measured with."""

    real: Yardstick
    samples: Tensor
    """(n, n) float64 distances."""

    def variety(self) -> Variety:
        """That of the samples."""
        return self.real.variety(self.samples)


def spaces(evidence: Evidence, matcher: Matcher) -> list[Space]:
    """Features, and layout, of real pictures (training and held-out ones) and of samples."""
    real = np.concatenate([evidence.train.images, evidence.held_out.images])
    features = torch.cat([evidence.train.features, evidence.held_out.features])
    layout = [torch.from_numpy(matcher.layout(x)) for x in (real, evidence.samples.images[:MOST])]
    return [
        Space(Yardstick.of("features", features), distances(evidence.samples.features[:MOST])),
        Space(Yardstick.of("layout", layout[0]), distances(layout[1])),
    ]


def distances(rows: Tensor) -> Tensor:
    """Euclidean distances (n, n), float64, between rows (n, F)."""
    rows = rows.double() - rows.double().mean(dim=0)
    # Exact, and not by the Gram matrix: copies are to be at 0.
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def collapse_finding(evidence: Evidence, matcher: Matcher) -> Finding:
    """Whether samples are far less varied than real pictures are."""
    real = len(evidence.train) + len(evidence.held_out)
    if real < FEWEST:
        return Finding(
            "collapse",
            "unknown",
            f"{real} real pictures are too few to measure variety by; {FEWEST} would do.",
        )
    both = spaces(evidence, matcher)
    found = [space.variety() for space in both]
    power = _power(len(evidence.samples), both)
    surely = min(each.found for each in power if each.expected)
    collapsed = [each for each in found if each.is_collapsed]
    state = "yes" if collapsed else "no" if surely >= POWER else "unknown"
    if collapsed:
        worst = min(collapsed, key=lambda each: each.ratio)
        worth = both[found.index(worst)].real.worth(worst)
        sentence = (
            f"{worst.size} samples are as varied, by {worst.name}, as {worth:.0f} real pictures, "
            f"and {worst.alike:.1%} of their pairs are nearly identical (of real ones, "
            f"{worst.alike_real:.2%})."
        )
    else:
        least = min(found, key=lambda each: each.ratio)
        sentence = (
            f"Samples have {least.ratio:.0%} of the variety of real pictures, by {least.name}; "
        )
        sentence += (
            "that is no collapse."
            if state == "no"
            else f"but a collapse onto few pictures would be noticed in {surely:.0%} of cases "
            "only; take more samples (--count), or add pictures."
        )
    figures = []
    for each in found:
        figures += [
            Figure(
                f"variety by {each.name}",
                each.ratio,
                null=each.null,
                note=f"Vendi score of {each.size} samples by that of {each.size} real pictures",
            ),
            Figure(
                f"nearly identical pairs by {each.name}",
                each.alike,
                null=(0.0, each.most_alike),
                note="share of all pairs of samples",
            ),
        ]
    remedy = (
        "Let D see whole batches (objective.joint_batch=false, discriminator.minibatch_stddev=true)"
        ", or change who is faster (optimizer.generator.learning_rate, "
        "optimizer.discriminator.learning_rate)."
    )
    return Finding(
        topic="collapse",
        state=state,
        sentence=sentence,
        remedy=remedy if collapsed else "",
        word="COLLAPSED" if collapsed else "",
        figures=tuple(figures),
        panels=(_most_alike(evidence, both[1]),) if collapsed else (),
        power=tuple(power),
    )


def _power(samples: int, both: list[Space]) -> list[Power]:
    """Generators of one real picture, of ten, and of half of them, judged as the samples are."""
    numbers = rng(0, "collapse power")
    real = len(both[0].real.distances)

    def speaks(chosen: np.ndarray) -> bool:
        rows = torch.from_numpy(chosen)
        return any(s.real.variety(s.real.distances[rows][:, rows]).is_collapsed for s in both)

    power = []
    repeated = np.arange(min(samples, LARGEST))
    for few, case in ((1, "a generator of one picture"), (10, "a generator of ten pictures")):
        trials = [speaks(numbers.permutation(real)[repeated % few]) for _ in range(TRIALS)]
        power.append(Power(case, float(np.mean(trials)), TRIALS, True))
    trials = [speaks(numbers.permutation(real)[: real // 2]) for _ in range(TRIALS)]
    return [*power, Power("half of the real pictures", float(np.mean(trials)), TRIALS, False)]


def _most_alike(evidence: Evidence, space: Space) -> Panel:
    """The sample with the nearest neighbours, and these."""
    near = space.samples.sort(dim=1)
    center = int(near.values[:, :SHOWN].sum(dim=1).argmin())
    order = near.indices[center, 1:SHOWN].numpy()
    one = np.repeat(evidence.samples.images[center : center + 1], len(order), axis=0)
    return Panel(
        "Samples that are most alike", ("one", "another"), (one, evidence.samples.images[order])
    )
