"""A network that reads labels and attributes off pictures, learnt from a run's own real pictures.

Generated pictures have no labels; what it reads off them stands for these, and how well it reads
real pictures that it never saw says how far to trust it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike import files
from morelike.checkpoint import DamagedCheckpoint, read_tensors, save_tensors
from morelike.conditions import LABEL
from morelike.data import Dataset
from morelike.errors import UserError
from morelike.models import dcgan
from morelike.pictures import from_uint8
from morelike.rng import rng

STEPS, BATCH, WIDTH, RATE = 600, 64, 16, 2e-3
MOST_CLASSES, FEWEST_IN_CLASS = 50, 8
SHIFT = 0.06
"""Pictures are moved by up to this share of their side while it learns."""
CHUNK = 256
SCHEMA = 1


class Trait(NamedTuple):
    """What can be read: a label or an attribute."""

    name: str
    classes: tuple[str, ...]
    """Its values, if they are words; else it is a number."""
    mean: float = 0.0
    spread: float = 1.0
    """Of a number, over the training pictures."""

    @property
    def size(self) -> int:
        """Numbers that the network answers with."""
        return len(self.classes) or 1


@dataclass(frozen=True)
class Reader:
    """Reads traits off pictures."""

    traits: tuple[Trait, ...]
    network: nn.Sequential
    """Pictures (N, C, H, W) in [-1, 1] -> (N, sum of the traits' sizes)."""
    device: torch.device
    scores: Mapping[str, Mapping[str, float]]
    """Of each trait on held-out pictures: `accuracy` and that of always naming the commonest class,
    or `r2`, the share of its variance that is read."""

    @torch.no_grad()
    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """What pictures show.

        Args:
            images: (N, H, W, C) uint8, of the size that it learnt from.

        Returns:
            Of each trait (N, K) probabilities of its classes, or (N, 1) values in its own units.
        """
        answers = [
            self.network(from_uint8(images[start : start + CHUNK], self.device)).float().cpu()
            for start in range(0, len(images), CHUNK)
        ]
        parts = torch.cat(answers).split([trait.size for trait in self.traits], 1)
        return {
            trait.name: (
                part.softmax(1) if trait.classes else part * trait.spread + trait.mean
            ).numpy()
            for trait, part in zip(self.traits, parts, strict=True)
        }


def value(record: Mapping[str, Any], name: str) -> Any:
    """A picture's label or attribute."""
    return record[LABEL] if name == LABEL else record["attributes"][name]


def traits_of(records: Sequence[Mapping[str, Any]]) -> tuple[Trait, ...]:
    """What can be learnt from these pictures: labels and attributes that all have, that differ, and
    that are numbers or a few words with some pictures each.
    """
    columns = {LABEL: [one.get(LABEL) for one in records]}
    for key in records[0].get("attributes", {}):
        columns[key] = [one["attributes"].get(key) for one in records]
    found = []
    for name, values in columns.items():
        if any(value is None for value in values):
            continue
        if name != LABEL and all(isinstance(value, int | float) for value in values):
            numbers = np.asarray(values, np.float64)
            if np.isfinite(numbers).all() and numbers.std() > 0:
                found.append(Trait(name, (), float(numbers.mean()), float(numbers.std())))
            continue
        counts = Counter(map(str, values))
        if 2 <= len(counts) <= MOST_CLASSES and min(counts.values()) >= FEWEST_IN_CLASS:
            found.append(Trait(name, tuple(sorted(counts))))
    return tuple(found)


def reader_of(
    dataset: Dataset,
    folder: Path,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reader:
    """The reader that is kept in `folder`, or else a new one, which is then kept there.

    Args:
        dataset: pictures with labels or attributes.
        folder: made if need be.
        device: where it runs.
        progress: told (steps done, steps in all) if it has to learn.

    Raises:
        UserError: if the pictures have no label or attribute that could be learnt.
    """
    traits = traits_of(dataset.manifest)
    if not traits:
        raise UserError(
            "the pictures that it was trained on have neither labels nor attributes to learn from; "
            "give data.labels=folders, or a metadata.csv beside the pictures."
        )
    stamp = {
        "schema": SCHEMA,
        "digest": dataset.digest,
        "traits": [[t.name, list(t.classes), t.mean, t.spread] for t in traits],
        "steps": STEPS,
        "width": WIDTH,
    }
    kept = _kept(dataset, traits, folder, stamp, device)
    return kept or _learnt(dataset, traits, folder, stamp, device, progress)


def _kept(
    dataset: Dataset,
    traits: tuple[Trait, ...],
    folder: Path,
    stamp: Mapping[str, Any],
    device: torch.device,
) -> Reader | None:
    try:
        facts = files.read_json(folder / "reader.json")
        if {key: facts[key] for key in stamp} != stamp:
            return None
        network = built(dataset, traits)
        network.load_state_dict(read_tensors(folder / "reader.safetensors"))
        return Reader(traits, network.to(device).eval(), device, facts["scores"])
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, DamagedCheckpoint):
        return None


def _learnt(
    dataset: Dataset,
    traits: tuple[Trait, ...],
    folder: Path,
    stamp: Mapping[str, Any],
    device: torch.device,
    progress: Callable[[int, int], None],
) -> Reader:
    network = learn(dataset, traits, device, progress)
    reader = Reader(traits, network, device, {})
    scores = score(reader, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / ".reader.safetensors"
    save_tensors(temporary, network.state_dict())
    temporary.replace(folder / "reader.safetensors")
    files.write_json(folder / "reader.json", {**stamp, "scores": scores})
    return Reader(traits, network, device, scores)


def built(dataset: Dataset, traits: Sequence[Trait], seed: int = 0) -> nn.Sequential:
    """The network with its initial weights: DCGAN's discriminator, narrow, with other answers."""
    height, width = dataset.settings.size
    shape = (int(dataset.settings.channels), height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk, count = dcgan.trunk(shape, dcgan.DiscriminatorConfig(width=WIDTH))
        network = nn.Sequential(trunk, nn.Linear(count, sum(trait.size for trait in traits)))
        dcgan.initialise(network)
    return network


def learn(
    dataset: Dataset,
    traits: Sequence[Trait],
    device: torch.device,
    progress: Callable[[int, int], None],
    seed: int = 0,
) -> nn.Sequential:
    """Train on the training pictures: cross-entropy of words, squared error of numbers in units of
    their spread, by Adam with a rate that falls to 0. Rare classes count as much as common ones.
    """
    network = built(dataset, traits, seed).to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    falling = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / STEPS)) / 2
    )
    wanted = truth(dataset, dataset.train, traits)
    reach = [round(SHIFT * side) for side in dataset.settings.size]
    sizes = [trait.size for trait in traits]
    weights = [_weights(part, trait) for trait, part in zip(traits, wanted, strict=True)]
    for step in range(STEPS):
        numbers = rng(seed, "reader", step)
        rows = numbers.randint(0, len(dataset.train), BATCH)
        images = from_uint8(dataset.images[dataset.train[rows]], device)
        down, right = (int(numbers.randint(-most, most + 1)) for most in reach)
        images = images.roll((down, right), (2, 3))
        losses = []
        for trait, answer, target, weight in zip(
            traits, network(images).split(sizes, 1), wanted, weights, strict=True
        ):
            told = torch.from_numpy(target[rows]).to(device)
            if trait.classes:
                losses.append(F.cross_entropy(answer, told, weight.to(device)))
            else:
                losses.append(F.mse_loss(answer[:, 0], told))
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        falling.step()
        progress(step + 1, STEPS)
    return network.eval()


def truth(dataset: Dataset, rows: np.ndarray, traits: Sequence[Trait]) -> list[np.ndarray]:
    """Of each trait (N,): the number of its class, or its value in units of its spread."""
    found = []
    for trait in traits:
        values = [value(dataset.manifest[i], trait.name) for i in rows]
        if trait.classes:
            place = {name: number for number, name in enumerate(trait.classes)}
            found.append(np.array([place[str(one)] for one in values], np.int64))
        else:
            scaled = (np.asarray(values, np.float64) - trait.mean) / trait.spread
            found.append(scaled.astype(np.float32))
    return found


def score(reader: Reader, dataset: Dataset) -> dict[str, dict[str, float]]:
    """How well held-out pictures are read."""
    rows = dataset.held_out
    if len(rows) < 2:
        return {}
    said = reader.read(dataset.images[rows])
    found: dict[str, dict[str, float]] = {}
    for trait, right in zip(reader.traits, truth(dataset, rows, reader.traits), strict=True):
        answers = said[trait.name]
        if trait.classes:
            hits = (answers.argmax(1) == right).mean()
            most = np.bincount(right).max() / len(right)
            figures = {"accuracy": hits, "commonest": most}
        else:
            error = np.square(answers[:, 0] - (right * trait.spread + trait.mean)).mean()
            figures = {"r2": 1 - error / max(float(np.var(right)) * trait.spread**2, 1e-12)}
        found[trait.name] = {key: round(float(value), 4) for key, value in figures.items()}
    return found


def _weights(classes: np.ndarray, trait: Trait) -> Tensor:
    if not trait.classes:
        return torch.ones(1)
    counts = np.bincount(classes, minlength=len(trait.classes)).clip(1)
    return torch.from_numpy(len(classes) / (len(counts) * counts)).float()
