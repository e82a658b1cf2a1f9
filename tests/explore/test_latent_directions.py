from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.explore.latent_directions import (
    activations,
    first_maps,
    in_steps,
    linear_direction,
    logistic_direction,
    principal_directions,
    semantic_factors,
)
from morelike.models import configure, families, family
from morelike.rng import SeedDraws, rng
from morelike.space import Latents, space_of
from networks import TASKS

CPU = torch.device("cpu")


def numbers(*shape: int, name: str = "numbers") -> Tensor:
    return torch.from_numpy(rng(0, name).standard_normal(shape)).float()


def built(name: str, **sections: Any) -> tuple[Any, tuple[Tensor, ...]]:
    settings: dict[str, Any] = {
        "family": name,
        "data": {"resolution": 16, "channels": 3},
        "generator": {"width": 4, "latent": 8},
        **sections,
    }
    config = configure(settings)
    network = family(name).build(config).generator.eval().requires_grad_(False)
    return network, family(name).inputs(config, SeedDraws(range(2), CPU))


def test_the_first_layers_map_is_its_weight() -> None:
    network, inputs = built("dcgan")
    space = Latents(network)
    maps = first_maps(space, space.points(inputs))
    weight = next(p for p in network.parameters() if p.dim() == 4)  # (latent, maps, 4, 4)
    expected = weight.flatten(1)
    torch.testing.assert_close(maps.T @ maps, expected @ expected.T)


@pytest.mark.parametrize("name", [n for n in families() if n not in ("regressor", "mlp", *TASKS)])
def test_every_family_has_layers_that_are_fed_the_point(name: str) -> None:
    network, inputs = built(name)
    space = space_of(network)
    points = space.points(inputs)
    maps = first_maps(space, points)
    assert maps.shape[1] == points.values.shape[1]
    assert torch.linalg.matrix_rank(maps) == maps.shape[1]


def test_a_style_network_is_entered_by_every_style() -> None:
    network, inputs = built("style")
    space = space_of(network)
    maps = first_maps(space, space.points(inputs))
    rows = sum(m.style.weight.shape[0] for m in network.modules() if hasattr(m, "style"))
    assert maps.shape[0] == rows
    # Equal to what moves: a step in w changes each style by the map's row.
    first = next(m.style for m in network.modules() if hasattr(m, "style"))
    w = numbers(2, maps.shape[1])
    moved = first(w) - first(torch.zeros_like(w))
    torch.testing.assert_close(w @ maps[: moved.shape[1]].T, moved, rtol=1e-4, atol=1e-5)


def test_semantic_factors_are_the_first_right_singular_vectors() -> None:
    maps = numbers(30, 6)
    found = semantic_factors(maps, 3)
    _, _, expected = np.linalg.svd(maps.numpy())
    for one, other in zip(found.numpy(), expected[:3], strict=True):
        assert abs(float(one @ other)) == pytest.approx(1, abs=1e-5)
    assert len(semantic_factors(maps, 99)) == 6


def test_principal_directions_find_what_varies_most() -> None:
    values = numbers(400, 5)
    seen = torch.zeros(400, 9)
    seen[:, 2] = 5 * values[:, 3]  # most of what is seen follows the fourth value
    seen[:, 7] = 2 * values[:, 0]
    found = principal_directions(values, seen + 0.01 * numbers(400, 9, name="noise"), 2)
    np.testing.assert_allclose(found[0].abs(), [0, 0, 0, 1, 0], atol=0.15)
    np.testing.assert_allclose(found[1].abs(), [1, 0, 0, 0, 0], atol=0.15)


def test_principal_directions_of_w_are_those_of_w_itself() -> None:
    values = numbers(300, 4) * torch.tensor([1.0, 4.0, 0.5, 2.0])
    opened = cast("Any", SimpleNamespace(space=SimpleNamespace(name="w")))
    points = cast("Any", SimpleNamespace(values=values))
    found = principal_directions(values, activations(opened, points), 4)
    centred = values - values.mean(0)
    _, _, expected = np.linalg.svd(centred.numpy())
    for one, other in zip(found.numpy(), expected, strict=True):
        assert abs(float(one @ other)) == pytest.approx(1, abs=1e-4)


def test_logistic_and_linear_directions_find_the_normal() -> None:
    values = numbers(2000, 6)
    normal = torch.tensor([3.0, 0, -4, 0, 0, 0]) / 5
    shares = torch.sigmoid(4 * values @ normal - 2)  # a rare class
    assert float(logistic_direction(values, shares) @ normal) > 0.995
    assert float(logistic_direction(values, 1 - shares) @ normal) < -0.995
    assert float(linear_direction(values, 7 + 0.1 * values @ normal) @ normal) > 0.999


def test_directions_do_not_depend_on_the_scale_of_a_column() -> None:
    values = numbers(2000, 3)
    scaled = values * torch.tensor([1.0, 100.0, 1.0])
    target = values[:, 0] + values[:, 1]
    found = linear_direction(scaled, target)
    expected = torch.tensor([1.0, 0.01, 0.0])
    assert float(found @ expected / expected.norm()) > 0.9999


def test_a_step_is_one_standard_deviation() -> None:
    values = numbers(500, 3) * torch.tensor([1.0, 5.0, 0.1]) + 3
    steps = in_steps(torch.eye(3)[1:2] * 7, values)
    assert float(steps.norm()) == pytest.approx(float(values[:, 1].std()), rel=1e-5)
    assert steps[0, 0] == 0


def test_a_network_that_is_fed_something_else_is_said() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, z: Tensor) -> Tensor:
            return self.layer(z.sin())[:, :, None, None]

    space = Latents(Odd())
    with pytest.raises(ValueError, match="fed the point"), torch.no_grad():
        first_maps(space, space.points((numbers(2, 4),)))
