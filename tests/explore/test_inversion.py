from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.config import ConditionConfig
from morelike.explore.inversion import (
    autocorrelation,
    invert,
    nearest,
    noise_areas,
    pyramid,
    rate,
    renormalised,
    room_of_latents,
    room_of_styles,
    summary,
    unlike,
)
from morelike.models import style
from morelike.rng import rng
from morelike.space import Points, Styles


def normal(*shape: int, place: str = "inversion") -> Tensor:
    return torch.from_numpy(rng(0, place, *shape).standard_normal(shape)).float()


class Linear:
    """Pictures (N, 1, 8, 8) that are a linear function of the point, and of noise if there is any.

    Without tanh the nearest picture is that of a least squares problem.
    """

    name = "z"
    network: Any = None

    def __init__(self, size: int) -> None:
        self.weight = normal(size, 64, place="weight") / 8

    def points(self, inputs: tuple[Tensor, ...]) -> Points:
        return Points(inputs[0], inputs[1:])

    def pictures(self, points: Points) -> Tensor:
        made = points.values @ self.weight
        if points.rest:
            made = made + 0.1 * points.rest[-1]
        return made.unflatten(1, (1, 8, 8))


def test_pyramid_and_loss_are_means() -> None:
    one, other = normal(2, 3, 16, 24), normal(2, 3, 16, 24, place="other")
    levels = pyramid(one)
    assert [tuple(level.shape[2:]) for level in levels] == [(16, 24), (8, 12), (4, 6)]
    a, b = one.double().numpy(), other.double().numpy()
    expected = 0.0
    for size in (1, 2, 4):
        means = [x.reshape(2, 3, 16 // size, size, 24 // size, size).mean((3, 5)) for x in (a, b)]
        expected = expected + ((means[0] - means[1]) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(unlike(one, pyramid(other)).numpy(), expected, rtol=1e-5)
    squares = (summary(one) - summary(other)).square().sum(1)
    np.testing.assert_allclose(squares.numpy(), expected, rtol=1e-5)


def test_the_nearest_come_first() -> None:
    samples = torch.tensor([[0.0], [5.0], [2.0], [9.0]])
    assert nearest(samples, torch.tensor([[1.9], [8.0]]), 3).tolist() == [[2, 0, 1], [3, 1, 2]]


def test_the_least_squares_solution_is_found() -> None:
    space, size = Linear(5), 5
    targets = normal(3, 1, 8, 8, place="targets")
    room = room_of_latents(torch.full((1, size), 100.0), size, 0)
    starts = Points(normal(6, size, place="starts"), ())
    found = invert(space, room, targets, starts, 200)
    # Squared differences at each level of the pyramid are those of a larger linear system.
    eye = torch.eye(64).reshape(64, 1, 8, 8)
    weight = (space.weight @ summary(eye)).double().numpy()
    wanted = summary(targets).double().numpy()
    expected, *_ = np.linalg.lstsq(weight.T, wanted.T, rcond=None)
    np.testing.assert_allclose(found.points.values.numpy(), expected.T, atol=2e-3)
    loss = np.square(wanted - expected.T @ weight).sum(1)
    np.testing.assert_allclose(found.loss.numpy(), loss, rtol=1e-3)
    assert found.losses.shape == (3, 2)
    assert torch.equal(found.loss, found.losses.min(1).values)


def test_a_target_does_not_care_for_its_company() -> None:
    space, size = Linear(4), 4
    room = room_of_latents(normal(50, size), size, 0)
    targets, starts = normal(20, 1, 8, 8), normal(40, size, place="starts")
    told: list[tuple[int, int]] = []
    all_of_them = invert(
        space, room, targets, Points(starts, ()), 30, progress=lambda *done: told.append(done)
    )
    alone = invert(space, room, targets[17:18], Points(starts[34:36], ()), 30)
    np.testing.assert_allclose(all_of_them.points.values[17:18], alone.points.values, atol=1e-4)
    assert told[-1] == (40 * 30, 40 * 30)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_best_start_is_taken_and_keeps_its_rest() -> None:
    space = Linear(2)
    room = room_of_latents(torch.full((1, 2), 100.0), 2, 0)
    good = torch.tensor([[1.0, -1.0]])
    noise = torch.cat([torch.full((1, 64), 3.0), torch.zeros(1, 64)])
    targets = space.pictures(Points(good, (noise[1:],)))
    found = invert(space, room, targets, Points(torch.zeros(2, 2), (noise,)), 200)
    assert found.losses[0, 1] < 1e-5 < found.losses[0, 0]
    assert torch.equal(found.points.rest[0], noise[1:])


def test_points_stay_in_the_room() -> None:
    space = Linear(6)
    samples = normal(100, 6)
    room = room_of_latents(samples, 3, 2)
    assert room.furthest == pytest.approx(np.linalg.norm(samples[:, :3].numpy(), axis=1).max())
    # Far beyond every bound, so each is reached.
    far = torch.tensor([[50.0, -50.0, 50.0, 7.0, 7.0, 50.0]])
    start = torch.tensor([[0.1, 0.2, 0.3, 0.0, 1.0, 0.5]])
    found = invert(space, room, space.pictures(Points(far, ())), Points(start, ()), 60).points
    values = found.values[0]
    assert values[3:5].tolist() == [0, 1]
    assert values[5] == 1
    assert room.distance(found.values).item() == pytest.approx(room.furthest, rel=1e-5)
    assert values[:3].norm().item() == pytest.approx(room.furthest, rel=1e-5)


def test_styles_are_measured_in_standard_deviations() -> None:
    mixing = normal(3, 3, place="mixing")
    samples = normal(500, 3) @ mixing + torch.tensor([1.0, 2.0, 3.0])
    room = room_of_styles(samples)
    moved = room.moved(samples)
    np.testing.assert_allclose(moved.mean(0).numpy(), 0, atol=1e-4)
    np.testing.assert_allclose((moved.T @ moved / 500).numpy(), np.eye(3), atol=1e-3)
    np.testing.assert_allclose(room.values(moved).numpy(), samples.numpy(), atol=1e-4)
    centred = samples.double().numpy() - samples.double().numpy().mean(0)
    inverse = np.linalg.inv(centred.T @ centred / 500)
    mahalanobis = np.sqrt(np.einsum("ni,ij,nj->n", centred, inverse, centred))
    np.testing.assert_allclose(room.distance(samples).numpy(), mahalanobis, rtol=1e-3)
    assert room.furthest == pytest.approx(mahalanobis.max(), rel=1e-3)
    # What does not vary is no division by 0.
    flat = room_of_styles(torch.cat([samples, torch.ones(500, 1)], 1))
    assert torch.isfinite(flat.back).all()


def test_autocorrelation_is_that_of_the_paper() -> None:
    areas = [(16, 32), (4, 4)]
    noise = normal(2, 16 * 32 + 16)
    expected = np.zeros(2)
    for row in range(2):
        whole = noise[row].double().numpy()
        levels = [whole[:512].reshape(16, 32), whole[512:].reshape(4, 4)]
        small = levels[0].reshape(8, 2, 16, 2).mean((1, 3)) * 2
        for level in (*levels, small):
            right = (level * np.roll(level, 1, 1)).mean()
            down = (level * np.roll(level, 1, 0)).mean()
            expected[row] += right**2 + down**2
    np.testing.assert_allclose(autocorrelation(noise, areas).numpy(), expected, rtol=1e-4)
    # A flat map of 1 has correlation 1 both ways, and 2 at the next scale.
    assert autocorrelation(torch.ones(1, 16 * 16), [(16, 16)]).item() == pytest.approx(2 + 2 * 16)


def test_noise_is_moved_and_stays_noise() -> None:
    areas = [(8, 8)]
    noise = 5 + 3 * normal(4, 64)
    even = renormalised(noise, areas)
    np.testing.assert_allclose(even.mean(1).numpy(), 0, atol=1e-5)
    np.testing.assert_allclose(even.square().mean(1).numpy(), 1, rtol=1e-5)
    space, room = Linear(2), room_of_latents(normal(9, 2), 2, 0)
    starts = Points(torch.zeros(4, 2), (even,))
    targets = normal(4, 1, 8, 8, place="targets")
    found = invert(space, room, targets, starts, 50, areas)
    moved = found.points.rest[0]
    assert (moved - even).abs().max() > 0.05
    np.testing.assert_allclose(moved.square().mean(1).numpy(), 1, rtol=1e-4)
    assert autocorrelation(moved, areas).max() < autocorrelation(even, areas).min()
    still = invert(space, room, targets, starts, 50)
    assert torch.equal(still.points.rest[0], even)


def test_the_rate_rises_and_falls_to_nothing() -> None:
    values = np.array([rate(step / 200) for step in range(201)])
    assert values[0] == pytest.approx(0.2)
    assert values[10:50] == pytest.approx(1)
    assert values[-1] == pytest.approx(0, abs=1e-9)
    assert (np.diff(values[50:]) <= 0).all()


def test_styles_and_noise_of_a_network_are_found() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        settings = style.GeneratorConfig(width=4, widest=8, latent=6, style=6, noise=True)
        network = style.Generator((3, 16, 16), settings, ConditionConfig())
    network.eval().requires_grad_(False)
    areas = noise_areas(network)
    assert areas == network.areas
    space = Styles(network)
    places = sum(height * width for height, width in areas)
    points = space.points((normal(64, 6), normal(64, places, place="noise")))
    room = room_of_styles(points.values)
    targets = space.pictures(points.rows(slice(2)))
    starts = points.rows(slice(10, 14))
    before = unlike(space.pictures(starts), pyramid(targets.repeat_interleave(2, 0)))
    found = invert(space, room, targets, starts, 60, areas)
    assert (found.losses < 0.2 * before.unflatten(0, (2, 2))).all()
    assert not found.points.values.requires_grad
    assert all(weight.grad is None for weight in network.parameters())


def test_where_noise_is() -> None:
    network: Any = SimpleNamespace(noises=((4, 4), None, (16, 8)))
    assert noise_areas(network) == [(4, 4), (16, 8)]
    assert noise_areas(torch.nn.Linear(1, 1)) == []
