from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.explore.paths import Parts, between, evenly, lerp, parts, slerp, unevenness
from morelike.models import configure, family
from morelike.rng import SeedDraws
from morelike.space import Points, space_of

LABELS = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def units(*shape: int, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(numbers(*shape, seed=seed), dim=1)


def test_slerp_of_unit_vectors_is_shoemakes() -> None:
    a, b = units(5, 4), units(5, 4, seed=1)
    at = np.array([0.0, 0.1, 0.5, 0.7, 1.0])
    angle = np.arccos(np.sum(a.numpy() * b.numpy(), axis=1))
    first, last = (np.sin(share * angle) / np.sin(angle) for share in (1 - at, at))
    expected = first[:, None] * a.numpy() + last[:, None] * b.numpy()
    np.testing.assert_allclose(slerp(a, b, torch.from_numpy(at)), expected, atol=1e-12)


def test_slerp_turns_evenly_and_lengths_go_linearly() -> None:
    at = torch.linspace(0, 1, 11, dtype=torch.float64)
    a, b = 3 * units(1, 6), 5 * units(1, 6, seed=1)
    way = slerp(a.expand(11, -1), b.expand(11, -1), at)
    torch.testing.assert_close(way.norm(dim=1), 3 + 2 * at)
    directions = way / way.norm(dim=1, keepdim=True)
    turns = (directions[1:] * directions[:-1]).sum(1).acos()
    torch.testing.assert_close(turns, turns.mean().expand(10))
    whole = (directions[0] * directions[-1]).sum().acos()
    torch.testing.assert_close(turns.sum(), whole)


def test_latents_keep_their_length_on_the_sphere_and_lose_it_on_the_straight_way() -> None:
    a, b = numbers(200, 100), numbers(200, 100, seed=1)
    half = torch.full((200,), 0.5)
    assert float(slerp(a, b, half).norm(dim=1).mean()) == pytest.approx(10, rel=0.01)
    assert float(lerp(a, b, half).norm(dim=1).mean()) == pytest.approx(math.sqrt(50), rel=0.02)


@pytest.mark.parametrize("way", [lerp, slerp])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_are_the_points_themselves(way: Any, dtype: torch.dtype) -> None:
    a, b = numbers(400, 7).to(dtype), numbers(400, 7, seed=1).to(dtype) * 100
    assert torch.equal(way(a, b, torch.zeros(400)), a)
    assert torch.equal(way(a, b, torch.ones(400)), b)
    assert way(a, b, torch.full((400,), 0.3)).dtype == dtype


def test_slerp_where_there_is_no_turn() -> None:
    a = units(1, 3)
    cases = {
        "the same": (a, a),
        "one way": (2 * a, 4 * a),
        "opposite": (a, -a),
        "no direction": (a * 0, a),
        "neither has one": (a * 0, a * 0),
    }
    for name, (one, other) in cases.items():
        found = slerp(one, other, torch.tensor([0.25]))
        torch.testing.assert_close(found, 0.75 * one + 0.25 * other, msg=name)


def test_slerp_of_small_angles_is_exact() -> None:
    tiny = 1e-7
    a = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    b = torch.tensor([[math.cos(tiny), math.sin(tiny)]], dtype=torch.float64)
    found = slerp(a, b, torch.tensor([0.3], dtype=torch.float64))
    assert float(found[0, 1]) == pytest.approx(0.3 * tiny, rel=1e-6)
    nothing = slerp(numbers(3, 0), numbers(3, 0), torch.full((3,), 0.5))
    assert nothing.shape == (3, 0)


def test_each_part_goes_its_own_way() -> None:
    one = Points(numbers(2, 6), (numbers(2, 3, seed=1), numbers(2, 50, seed=2)))
    other = Points(numbers(2, 6, seed=3), (numbers(2, 3, seed=4), numbers(2, 50, seed=5)))
    at, has = [0.5, 0.25], Parts(latents=4, conditions=1)
    found = between(one, other, at, has, "slerp")
    t = torch.tensor(at, dtype=torch.float64)
    turned = slerp(one.values[:, :4], other.values[:, :4], t)
    straight = one.values + t[:, None] * (other.values - one.values)
    torch.testing.assert_close(found.values, torch.cat([turned, straight[:, 4:]], 1))
    torch.testing.assert_close(
        found.rest[0], one.rest[0] + t[:, None] * (other.rest[0] - one.rest[0])
    )
    torch.testing.assert_close(found.rest[1], slerp(one.rest[1], other.rest[1], t))
    flat = between(one, other, at, has, "lerp")
    torch.testing.assert_close(flat.values, straight)
    assert all(torch.equal(x, y) for x, y in zip(flat.rest, found.rest, strict=True))


@pytest.mark.parametrize(
    ("name", "space", "expected", "columns"),
    [
        ("dcgan", "z", Parts(6, 0), [6]),
        ("dcgan conditional", "z", Parts(6, 1), [6, 2]),
        ("infogan conditional", "z", Parts(6, 1), [18, 2]),
        ("fastgan conditional", "z", Parts(6, 1), [6, 2, 64]),
        ("fastgan", "z", Parts(6, 0), [6, 64]),
        ("style conditional", "z", Parts(6, 1), [6, 2, 416]),
        ("style conditional", "w", Parts(0, 0), [64, 416]),
        ("regressor conditional", "z", Parts(0, 0), [2]),
    ],
)
def test_parts_of_the_families(name: str, space: str, expected: Parts, columns: list[int]) -> None:
    chosen, _, conditional = name.partition(" ")
    config = configure(
        {
            "family": chosen,
            "data": {"resolution": 16, "channels": 3, "mirror": False},
            "generator": {"width": 2} | ({} if chosen == "regressor" else {"latent": 6}),
            "condition": LABELS if conditional else {},
        }
    )
    network: Any = family(chosen).build(config).generator
    where = space_of(network, space)
    inputs = family(chosen).inputs(config, SeedDraws([1, 2], torch.device("cpu")))
    with torch.no_grad():
        points = where.points(inputs)
    assert [part.shape[1] for part in (points.values, *points.rest)] == columns
    assert parts(config, where) == expected


def test_evenly_cuts_a_way_into_parts_of_equal_length() -> None:
    # 8 long in all: a part is 2, and the third piece of 3 is left after 2 of its 3 and so on.
    found = evenly(np.array([1.0, 1.0, 3.0, 3.0]), 4)
    np.testing.assert_allclose(found, [0, 0.5, 0.5 + 2 / 12, 0.75 + 1 / 12, 1], atol=1e-5)


def test_evenly_passes_quickly_where_nothing_moves() -> None:
    found = evenly(np.array([1.0, 0.0, 0.0, 1.0]), 4)
    np.testing.assert_allclose(found[[1, 3]], [0.125, 0.875], atol=1e-5)
    assert (np.diff(found) > 0).all()
    # Where the half of the way is anywhere in between, it is in the middle.
    assert evenly(np.array([1.0, 0.0, 0.0, 1.0]), 2)[1] == pytest.approx(0.5)


def test_evenly_begins_and_ends_at_the_ends() -> None:
    for steps in (np.zeros(5), np.random.default_rng(0).random(97) * 1e-9, np.array([0.0, 3.0])):
        found = evenly(steps, 7)
        assert (found[0], found[-1], len(found)) == (0, 1, 8)
        assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(evenly(np.zeros(5), 4), [0, 0.25, 0.5, 0.75, 1])


def test_unevenness() -> None:
    assert unevenness(np.array([2.0, 2.0, 2.0])) == 1
    assert unevenness(np.array([1.0, 2.0, 6.0])) == 3
    assert unevenness(np.zeros(3)) == 1
    assert math.isinf(unevenness(np.array([0.0, 0.0, 1.0])))
