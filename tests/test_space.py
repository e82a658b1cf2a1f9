from __future__ import annotations

import pytest
import torch
from torch import nn

from morelike.errors import UserError
from morelike.models import configure, family
from morelike.rng import SeedDraws
from morelike.space import Latents, Styles, joined, space_of

CPU = torch.device("cpu")


def network(name: str, **sections: object) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    settings = {
        "family": name,
        "data": {"resolution": 16, "channels": 3},
        "generator": {"width": 4, "latent": 8},
        **sections,
    }
    config = configure(settings)
    made = family(name).build(config).generator.eval().requires_grad_(False)
    return made, family(name).inputs(config, SeedDraws(range(3), CPU))


@pytest.mark.parametrize(("name", "letter"), [("dcgan", "z"), ("resnet", "z"), ("style", "w")])
def test_a_point_gives_the_picture_of_its_inputs(name: str, letter: str) -> None:
    generator, inputs = network(name)
    space = space_of(generator)
    assert space.name == letter
    points = space.points(inputs)
    torch.testing.assert_close(space.pictures(points), generator(*inputs))
    # Rows are pictures, whatever the rest is.
    swapped = points.rows([2, 0])
    torch.testing.assert_close(space.pictures(swapped), generator(*inputs)[[2, 0]])
    both = joined([points.rows(slice(1)), points.rows(slice(1, 3))])
    torch.testing.assert_close(space.pictures(both), generator(*inputs))


def test_moved_points_keep_all_but_their_values() -> None:
    generator, inputs = network("style")
    points = Styles(generator).points(inputs)
    moved = points.at(points.values + 1)
    assert torch.equal(moved.rest[0], points.rest[0])
    assert torch.equal(moved.values, points.values + 1)


def test_z_of_a_style_network_is_before_its_mapping() -> None:
    generator, inputs = network("style")
    space = space_of(generator, "z")
    assert isinstance(space, Latents)
    assert torch.equal(space.points(inputs).values, inputs[0])
    torch.testing.assert_close(space.pictures(space.points(inputs)), generator(*inputs))


def test_gradients_reach_the_points() -> None:
    for name in ("dcgan", "style"):
        generator, inputs = network(name)
        space = space_of(generator)
        points = space.points(inputs)
        values = points.values.clone().requires_grad_()
        space.pictures(points.at(values)).square().sum().backward()
        assert values.grad is not None and bool((values.grad.abs().sum(1) > 0).all())


def test_a_space_that_there_is_not_is_named() -> None:
    generator, _ = network("dcgan")
    with pytest.raises(UserError, match="no space w, which only the family style has"):
        space_of(generator, "w")
    with pytest.raises(UserError, match="no space 'x'; use z"):
        space_of(generator, "x")
