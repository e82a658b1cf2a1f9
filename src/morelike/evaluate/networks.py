"""What a run's own networks tell: is D overfit, has it won, does it forget, is anything dead?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from morelike.conditions import encoded
from morelike.data import Dataset
from morelike.diagnostics import discriminator, health, latent, leak
from morelike.diagnostics.evidence import Evidence
from morelike.diagnostics.finding import Finding
from morelike.diagnostics.learning import CHANCE, unlike_by_chance
from morelike.evaluate.subject import SEEDS_FROM, Subject
from morelike.players import Players, players, spread_over
from morelike.rng import rng
from morelike.runs import Run
from morelike.sampling import Wish, drawn_inputs

ASKED = 256
"""Pictures of each kind that D is asked about."""
OLDER = 4
"""Older checkpoints whose samples it is shown."""
FOLLOWED = 6
"""Checkpoints over which weights are followed."""
Say = Callable[[str], None]


def network_findings(subject: Subject, evidence: Evidence, say: Say) -> list[Finding]:
    """All that needs the networks; nothing for a folder of pictures."""
    if subject.run is None or subject.dataset is None:
        return []
    say("asking the networks")
    now = players(subject.run, str(subject.images))
    differ = unlike_by_chance(evidence) <= CHANCE
    found = [*_discriminator(subject.run, subject.dataset, now, differ)]
    found += _health(subject.run, now)
    settings = now.config.augment
    mirrored = now.config.data.mirror is True
    how = leak.Setting(settings.policy, settings.translation, settings.cutout, mirrored)
    stuck = health.saturation(evidence.samples.images, evidence.train.images)
    found.append(replace(stuck, topic="black and white"))
    found.append(leak.leak(evidence.samples.images, evidence.train.images, how))
    return found + _latent(now, evidence)


def _discriminator(run: Run, dataset: Dataset, now: Players, differ: bool) -> list[Finding]:
    if now.discriminator is None:
        return [Finding("discriminator", "unknown", f"There is no discriminator: {now.missing}.")]
    condition, loss = now.config.condition, now.config.objective.loss
    around = _some(dataset.train)

    def told(chosen: np.ndarray) -> np.ndarray | None:
        records = [dataset.manifest[i] for i in chosen]
        return encoded(condition, records) if condition.size else None

    def real(chosen: np.ndarray) -> np.ndarray:
        return now.logits_of_pictures(
            dataset.images[chosen], dataset.images[around], told(chosen), told(around)
        )

    def fake(maker: Players) -> np.ndarray:
        seeds = range(SEEDS_FROM, SEEDS_FROM + ASKED)
        shown = dataset.images[around]
        return now.logits_of_samples(seeds, maker=maker, train=shown, train_condition=told(around))

    train, held, made = real(around), real(_some(dataset.held_out)), fake(now)
    before = [c for c in run.checkpoints.all() if 0 < c.images < now.images]
    older = {c.images: fake(players(run, c)) for c in spread_over(before, OLDER)}
    return [
        discriminator.overfit(train, held, made, loss),
        discriminator.balance(train, made, loss, differ=differ),
        discriminator.forgetting(train, made, older, now.images),
    ]


def _health(run: Run, now: Players) -> list[Finding]:
    followed = [c for c in spread_over(run.checkpoints.all(), FOLLOWED) if c.images <= now.images]
    tensors = ((c.images, c.tensors()) for c in followed)
    found = [replace(health.weights(health.history(tensors)), topic="weights")]
    last = followed[-1].tensors("")
    for player in ("generator", "discriminator"):
        epsilon = getattr(now.config.optimizer, player).epsilon
        if any(name.startswith(f"optimizer.{player}.") for name in last):
            gradients = health.gradients(last, player, epsilon)
            found.append(replace(gradients, topic=f"gradients of the {player}"))
    seeds = list(range(SEEDS_FROM, SEEDS_FROM + ASKED))
    inputs = (given for given, _ in drawn_inputs(now.config, seeds, now.device, Wish()))
    dead = health.dead_units(health.silences(now.averaged, inputs), ASKED)
    return [*found, replace(dead, topic="dead channels")]


def _latent(now: Players, evidence: Evidence) -> list[Finding]:
    count = len(evidence.samples)
    seeds = list(range(SEEDS_FROM, SEEDS_FROM + count))
    parts = [
        given[0].flatten(1).cpu().numpy()[:meant]
        for given, meant in drawn_inputs(now.config, seeds, now.device, Wish())
    ]
    latents = np.concatenate(parts)
    train = evidence.train.features
    if min(len(train), count) <= 2 * latent.NEIGHBOURS:
        return []
    quality, poor = latent.log_realism(train, evidence.samples.features)
    samples = evidence.samples
    twins = latent.identical(latents, samples.features.numpy(), train.numpy(), samples.images)
    regions = latent.poor_region(latents, quality, poor, samples.images)
    return [replace(regions, topic="poor regions"), replace(twins, topic="twins")]


def _some(chosen: np.ndarray) -> np.ndarray:
    return chosen[np.sort(rng(0, "asked").permutation(len(chosen))[:ASKED])]
