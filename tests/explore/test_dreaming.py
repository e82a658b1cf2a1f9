from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from morelike.explore.dreaming import (
    best,
    dreams,
    layers_of,
    patch,
    receptive_field,
    responses,
    separation,
    total_variation,
)
from morelike.rng import rng

SHAPE = (3, 16, 16)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 6, 4, 2, 1),
        nn.Flatten(),
        nn.Linear(6 * 16, 1),
    )
    return layers.requires_grad_(False)


def test_layers_are_the_convolutions_in_their_order() -> None:
    root = network()
    found = layers_of(root, root, SHAPE)
    assert [layer.module for layer in found] == [root[0], root[2]]
    assert [(layer.channels, layer.size) for layer in found] == [(4, (8, 8)), (6, (4, 4))]
    assert not root[0]._forward_hooks


def test_company_after_the_pictures_is_left_out() -> None:
    root = network()
    layer = layers_of(root, root, SHAPE)[1]
    images = torch.from_numpy(rng(0, "images").standard_normal((5, *SHAPE))).float()
    alone = responses(root, layer, images[:2])
    torch.testing.assert_close(
        responses(lambda x: root(torch.cat([x, images[2:]])), layer, images[:2]), alone
    )
    assert alone.shape == (2, 6, 4, 4)


def test_the_receptive_field_is_known() -> None:
    root = network()
    fields = [receptive_field(root, layer, SHAPE) for layer in layers_of(root, root, SHAPE)]
    assert fields == [(4, 4), (10, 10)]  # 4, then 4 + 3 * 2


def test_a_dream_is_what_the_unit_wants() -> None:
    root = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False)).requires_grad_(False)
    root[0].weight.copy_(torch.tensor([[1.0, -1, 0], [0, 0, 1]])[:, :, None, None])
    (layer,) = layers_of(root, root, SHAPE)
    made, reached = dreams(root, layer, [0, 1], torch.ones(2), SHAPE, starts=2)
    assert made.shape == (2, 2, *SHAPE) and reached.shape == (2, 2)
    red, green, blue = made[0].mean((0, 2, 3))
    assert red > 0.4 and green < -0.4 and abs(blue) < 0.2
    assert made[1, :, 2].mean() > 0.4
    expected = made[0, :, 0].mean((1, 2)) - made[0, :, 1].mean((1, 2))
    torch.testing.assert_close(reached[0], expected, rtol=1e-4, atol=1e-4)
    # The second start is another one; the same call gives the same.
    assert not torch.equal(made[0, 0], made[0, 1])
    torch.testing.assert_close(dreams(root, layer, [0, 1], torch.ones(2), SHAPE)[0], made)


def test_total_variation_of_a_step() -> None:
    picture = torch.zeros(1, 1, 4, 4)
    picture[..., 2:] = 1
    assert float(total_variation(picture)) == pytest.approx(4 / 12)


def test_the_best_are_found_at_their_places() -> None:
    maps = torch.zeros(5, 3, 4, 6)
    maps[2, 1, 3, 5], maps[4, 1, 0, 2] = 9, 7
    flat = maps.flatten(2).max(2)
    found = best(flat.values, flat.indices, [1], 2, width=6)
    assert found.which.tolist() == [[2, 4]] and found.values.tolist() == [[9, 7]]
    assert found.places.tolist() == [[[3, 5], [0, 2]]]


def test_patches_stay_inside() -> None:
    picture = np.arange(16 * 24).reshape(16, 24, 1)
    middle = patch(picture, (1, 3), (4, 6), (4, 4))
    assert middle.shape == (4, 4, 1) and middle[0, 0, 0] == picture[4, 12, 0]
    assert patch(picture, (0, 0), (4, 6), (10, 10))[0, 0, 0] == 0
    assert patch(picture, (3, 5), (4, 6), (10, 10))[-1, -1, 0] == picture[-1, -1, 0]
    assert patch(picture, (3, 5), (4, 6), (16, 24)).shape == picture.shape


def test_separation_is_in_standard_deviations() -> None:
    numbers = torch.from_numpy(rng(0, "apart").standard_normal((4000, 2)))
    other = torch.from_numpy(rng(1, "apart").standard_normal((4000, 2))) * 3
    found = separation(numbers, other + torch.tensor([0.0, 5.0]))
    assert found[0] < 0.1
    assert float(found[1]) == pytest.approx(5 / 5**0.5, rel=0.05)  # variances 1 and 9
