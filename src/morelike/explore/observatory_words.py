"""What was seen of a run, in a few sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from morelike.explore.forgetting import falls
from morelike.explore.spectrum import Order, order
from morelike.explore.timelapse import Milestone
from morelike.explore.watched import (
    FAR,
    WITHIN,
    Asked,
    Spectra,
    Wandering,
    ranked_probes,
    trained,
)

SURE = 0.05


def readings(
    stops: Sequence[Milestone], spectra: Spectra, wandering: Wandering | None, asked: Asked
) -> list[str]:
    """What was seen, in a few sentences."""
    lines = _spectrum_words(stops, spectra)
    if wandering is None:
        lines.append("Kinds: the training pictures are too few to part them into kinds.")
    else:
        lines += _wandering_words(stops, wandering)
    if asked.finding:
        lost = falls(asked.matrix[trained(asked)][:, trained(asked)])
        lines.append(f"D: {asked.finding}")
        if len(lost) > 1:
            lines.append(f"D: {fall_words(float(np.nanmean(lost)))}.")
    return lines + _probe_words(asked)


def _spectrum_words(stops: Sequence[Milestone], spectra: Spectra) -> list[str]:
    appeared = spectra.appeared
    if all(when == 0 for when in appeared):
        lines = [
            f"At the first checkpoint, after {stops[0].images:,} images, all frequencies have "
            f"within {WITHIN:g} dB of real pictures' power, and keep it; which came first is not "
            "to be seen (training.history keeps early checkpoints, training.keep more of the last)."
        ]
        return lines + _other_patterns(spectra)
    there = [
        f"{band.name} at {stops[when].images:,} images"
        for band, when in zip(spectra.bands, appeared, strict=True)
        if when is not None
    ]
    never = [
        f"{band.name} ({ratio:+.1f} dB at the end)"
        for band, when, ratio in zip(spectra.bands, appeared, spectra.ratios[-1], strict=True)
        if when is None
    ]
    lines = []
    if there:
        lines.append(
            "Frequencies, in cycles per picture, whose power has come to stay within "
            f"{WITHIN:g} dB of real pictures': {', '.join(there)}."
        )
    if never:
        lines.append(f"Those that have not: {', '.join(never)}.")
    lines.append(order_words(order(appeared)))
    return lines + _other_patterns(spectra)


def _other_patterns(spectra: Spectra) -> list[str]:
    """Bands that have the power of real pictures and not their patterns."""
    wrong = [
        f"{band.name} ({far:.1f} times)"
        for band, when, far in zip(spectra.bands, spectra.appeared, spectra.far[-1], strict=True)
        if when is not None and far > FAR
    ]
    if not wrong:
        return []
    return [
        "As much power but other patterns, by how many times farther from real pictures than "
        f"halves of these are from one another: {', '.join(wrong)}."
    ]


def order_words(found: Order) -> str:
    """Whether low frequencies come first, in a sentence."""
    if found.correlation is None:
        return "Whether low frequencies come before high ones is not to be seen: all come together."
    rho = f"rank correlation {found.correlation:+.2f}, by chance in {found.chance:.0%} of orders"
    if found.chance > SURE:
        return f"Whether low frequencies come before high ones is undecided ({rho})."
    first, last = ("Low", "high") if found.correlation > 0 else ("High", "low")
    return f"{first} frequencies come before {last} ones ({rho})."


def fall_words(fall: float) -> str:
    """What the mean of `falls` means."""
    better = "better" if fall < 0 else "worse"
    return (
        "over all pairs of checkpoints it tells samples from real pictures "
        f"{abs(fall):.0%} of full skill {better} than when it met them"
    )


def _wandering_words(stops: Sequence[Milestone], wandering: Wandering) -> list[str]:
    # What the first checkpoint of untrained weights makes is no kind of picture.
    trained = zip(wandering.moves, stops[:-1], strict=True)
    moves = [one for one, stop in trained if stop.images > 0]
    end = wandering.to_real[-1]
    lines = [
        f"Kinds: {len(wandering.real)} kinds of training pictures; at the end {end.distance:.0%} "
        "of the samples would have to be of another kind to be spread as these are (chance: "
        f"{end.usual:.0%})."
    ]
    if moves:
        sure = sum(one.chance < SURE / len(moves) for one in moves)
        mean, usual = np.mean([one[:2] for one in moves], axis=0)
        lines.append(
            f"Kinds: from one checkpoint to the next {mean:.0%} of the samples change kind, where "
            f"chance alone makes it {usual:.0%}; beyond chance in {sure} of {len(moves)} steps."
        )
    return lines


def _probe_words(asked: Asked) -> list[str]:
    if not asked.probes:
        return []
    ranked = ranked_probes(asked.probes)
    told = [
        f"{one.name} {one.scores[-1]:.2f} (untrained {one.fresh:.2f}, chance {one.chance:.2f})"
        for one in ranked[:3]
    ]
    lost = [
        f"{one.name} (from {one.scores[one.best]:.2f} to {one.scores[-1]:.2f})"
        for one in ranked
        if one.lost
    ]
    gained = sum(one.scores[-1] - one.fresh > 2 * one.error for one in asked.probes)
    return [
        f"D's features tell most of: {', '.join(told)}; more than an untrained D of {gained} of "
        f"{len(asked.probes)}.",
        f"D's features once told more of {', '.join(lost)}."
        if lost
        else "D's features lost nothing of it, beyond chance, that they once told.",
    ]
