from __future__ import annotations

import numpy as np
import pytest
import torch

from morelike.explore.effects import agreement, centre, effect, undone
from morelike.rng import rng


def blobs(count: int = 4, side: int = 32) -> np.ndarray:
    """White pictures with a dark square each, (N, H, W, 3) uint8."""
    images = np.full((count, side, side, 3), 255, np.uint8)
    for number in range(count):
        images[number, 10 + number : 18 + number, 8:20] = 40
    return images


def measured(before: np.ndarray, after: np.ndarray) -> object:
    numbers = torch.from_numpy(rng(0, "seen").standard_normal((len(before), 6))).float()
    return effect(before, after, numbers, numbers + 2, unit=4.0)


def test_a_shift_is_position() -> None:
    before = blobs()
    found = measured(before, np.roll(before, (2, -3), (1, 2)))
    assert found.position == pytest.approx(1, abs=1e-9)
    assert found.mostly == "position"
    # Further than an eighth of the side is another picture.
    assert measured(before, np.roll(before, 9, 2)).position < 0.6


def test_another_hue_of_the_same_light_is_colour() -> None:
    before = np.full((2, 16, 16, 3), 100, np.uint8)
    after = before.copy()
    after[:, 4:8, 4:8] = (160, 100, 40)
    found = measured(before, after)
    assert found.colour == pytest.approx(1)
    assert found.mostly == "colour"
    brighter = measured(before, before + 50)
    assert brighter.colour == pytest.approx(0, abs=1e-9)
    assert brighter.mostly == "form"
    assert brighter.pixels == pytest.approx(50 / 255)


def test_size_and_consistency_are_of_features() -> None:
    found = measured(blobs(), blobs())
    assert found.size == pytest.approx(2 * 6**0.5 / 4)
    assert found.consistency == pytest.approx(1)
    assert found.pixels == 0 and found.position == 0 and found.where.sum() == 0


def test_agreement_is_the_mean_cosine_of_pairs() -> None:
    changes = torch.from_numpy(rng(0, "changes").standard_normal((5, 7)))
    units = changes / changes.norm(dim=1, keepdim=True)
    pairs = [float(units[i] @ units[j]) for i in range(5) for j in range(i)]
    assert agreement(changes) == pytest.approx(np.mean(pairs))
    assert agreement(torch.tensor([[1.0, 0], [-2, 0]])) == pytest.approx(-1)
    assert agreement(torch.zeros(3, 2)) == 0
    assert agreement(torch.ones(1, 2)) == 1


def test_undone_is_the_best_of_all_shifts() -> None:
    numbers = rng(0, "undone")
    before, after = numbers.random_sample((2, 2, 16, 16))
    change = np.square(after - before).sum()
    best = sum(
        min(
            np.square(np.roll(a, (i, j), (0, 1)) - b).sum()
            for i in range(-2, 3)
            for j in range(-2, 3)
        )
        for a, b in zip(before, after, strict=True)
    )
    assert undone(before, after) == pytest.approx(1 - best / change)


def test_the_centre_of_a_map() -> None:
    where = np.zeros((8, 16))
    where[2, 12] = 3
    assert centre(where) == (12.5 / 16, 2.5 / 8)
    assert centre(np.zeros((4, 4))) == (0.5, 0.5)


def test_facts_are_ready_for_json() -> None:
    import json

    facts = measured(blobs(), np.roll(blobs(), 1, 1)).facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["at"][0] == pytest.approx(14 / 32, abs=0.01)
