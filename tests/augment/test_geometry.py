from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.augment.blit import blit
from morelike.augment.geometry import Geometry, places, resampled


def what(count: int = 1, **given: Any) -> Geometry:
    neutral = {"scale": 1.0, "turn_before": 0.0, "stretch": 1.0, "turn_after": 0.0}
    neutral |= {"right": 0.0, "down": 0.0}
    values = {
        k: torch.as_tensor(v, dtype=torch.float64).expand(count)
        for k, v in (neutral | given).items()
    }
    return Geometry(**values)


def from_where(geometry: Geometry, place: tuple[float, float], aspect: float = 1.0) -> list[float]:
    return (places(geometry, aspect)[0] @ torch.tensor([*place, 1.0], dtype=torch.float64)).tolist()


def picture(height: int = 8, width: int = 8) -> Tensor:
    drawn = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    return drawn.double() * 2 - 1


# --- the matrix ---


@pytest.mark.parametrize(
    ("given", "place", "came_from"),
    [
        ({}, (0.3, -0.7), (0.3, -0.7)),
        ({"scale": 2.0}, (0.5, -1.0), (0.25, -0.5)),
        ({"turn_before": math.pi / 2}, (1, 0), (0, -1)),  # what is right was above
        ({"turn_after": math.pi / 2}, (0, 1), (1, 0)),
        ({"turn_after": math.pi / 4}, (1, 1), (math.sqrt(2), 0)),
        ({"stretch": 2.0}, (0.5, 0.25), (0.25, 0.5)),
        ({"right": 0.25}, (0, 0), (-0.5, 0)),  # a quarter of the width, which is 2
        ({"down": -0.125}, (0.1, 0), (0.1, 0.25)),
    ],
)
def test_known_places(
    given: dict[str, float], place: tuple[float, float], came_from: tuple[float, float]
) -> None:
    assert from_where(what(**given), place) == pytest.approx(list(came_from), abs=1e-12)


def test_a_share_of_the_width_is_longer_in_a_wide_picture() -> None:
    assert from_where(what(right=0.25), (0, 0), 1.5) == pytest.approx([-0.75, 0])
    assert from_where(what(down=0.25), (0, 0), 1.5) == pytest.approx([0, -0.5])
    # A circle stays one.
    turned = what(turn_after=math.pi / 2)
    assert from_where(turned, (1.5, 0), 1.5) == pytest.approx([0, -1.5], abs=1e-12)


def test_the_matrix_is_the_inverse_of_the_paper_s_product() -> None:
    numbers, aspect = np.random.default_rng(3), 1.25
    for _ in range(20):
        s, a = np.exp(numbers.normal(0, 0.3, 2))
        before, after = numbers.uniform(-np.pi, np.pi, 2)
        right, down = numbers.normal(0, 0.2, 2)

        def turn(angle: float) -> np.ndarray:
            c, n = np.cos(angle), np.sin(angle)
            return np.array([[c, -n, 0], [n, c, 0], [0, 0, 1]])

        shift = np.array([[1, 0, 2 * aspect * right], [0, 1, 2 * down], [0, 0, 1]])
        stretch, scale = np.diag([a, 1 / a, 1]), np.diag([s, s, 1])
        forward = shift @ turn(after) @ stretch @ turn(before) @ scale
        given = what(
            scale=s, turn_before=before, stretch=a, turn_after=after, right=right, down=down
        )
        found = places(given, aspect)[0].numpy()
        np.testing.assert_allclose(found, np.linalg.inv(forward)[:2], rtol=1e-10, atol=1e-12)


# --- the look-up ---


def changed(x: Tensor, **given: float) -> Tensor:
    return resampled(x, places(what(len(x), **given), x.shape[3] / x.shape[2]))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 7), (4, 8), (6, 3), (1, 1)])
def test_where_nothing_happens_a_picture_stays(height: int, width: int) -> None:
    x = picture(height, width)
    torch.testing.assert_close(changed(x), x, rtol=0, atol=1e-12)


def test_turns_by_right_angles_are_those_of_pixels() -> None:
    x = picture()
    for quarters in (1, 2, 3):
        # rot90 is counter-clockwise.
        expected = torch.rot90(x, -quarters, (2, 3))
        for name in ("turn_before", "turn_after"):
            found = changed(x, **{name: quarters * math.pi / 2})
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    wide = picture(4, 8)
    half = changed(wide, turn_after=math.pi)
    torch.testing.assert_close(half, wide.flip((2, 3)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (4, 8)])
def test_shifts_by_whole_pixels_are_blits(height: int, width: int) -> None:
    x = picture(height, width)
    for down, right in [(1, 0), (0, -2), (-1, 1), (2, 2)]:
        found = changed(x, right=right / width, down=down / height)
        none = torch.tensor([0])
        expected = blit(x, none > 0, none, none + down, none + right)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_between_two_pixels_is_their_mean() -> None:
    x = picture()
    found = changed(x, right=0.5 / 8)
    torch.testing.assert_close(found[..., 1:], (x[..., 1:] + x[..., :-1]) / 2)
    torch.testing.assert_close(found[..., 0], x[..., 0])  # its reflection is itself


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 24), (24, 16)])
def test_a_slope_is_taken_along(height: int, width: int) -> None:
    """Bilinear look-ups of a linear function are exact, wherever no border is near."""
    aspect = width / height
    y, x = torch.meshgrid(
        (2 * torch.arange(height) + 1) / height - 1,
        aspect * ((2 * torch.arange(width) + 1) / width - 1),
        indexing="ij",
    )
    slope = (0.3 + 0.5 * x - 0.8 * y).double()[None, None]
    given = {"scale": 2.5, "turn_before": 0.4, "stretch": 1.2, "turn_after": -1.1}
    given |= {"right": 0.03, "down": -0.05}
    found = changed(slope, **given)[0, 0]
    matrix = places(what(**given), aspect)[0]
    u, v = (row[0] * x + row[1] * y + row[2] for row in matrix)
    inside = (u.abs() < aspect * (1 - 1 / width)) & (v.abs() < 1 - 1 / height)
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(found[inside], (0.3 + 0.5 * u - 0.8 * v).double()[inside])


def test_beyond_a_border_is_the_reflection() -> None:
    x = picture()
    found = changed(x, scale=0.5)
    around = np.pad(x[0].numpy(), ((0, 0), (8, 8), (8, 8)), mode="symmetric")
    # Half as large: each place is the mean of the four pixels that it lies between.
    blocks = around[:, 4 - 4 : 20 + 4].reshape(3, 12, 2, 12, 2).mean((2, 4))[:, 2:10, 2:10]
    np.testing.assert_allclose(found[0].numpy(), blocks, atol=1e-12)


def test_the_same_change_at_each_resolution() -> None:
    drawn = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    fine = torch.nn.functional.interpolate(drawn, 128, mode="bilinear")
    given = {"scale": 1.3, "turn_after": 0.7, "stretch": 0.9, "right": 0.1, "down": 0.05}
    half = torch.nn.functional.avg_pool2d
    away = half(changed(fine, **given), 2) - changed(half(fine, 2), **given)
    assert away.abs().max() < 0.05  # at the kinks of the picture
    assert away.abs().mean() < 0.003


def test_gradients_equal_finite_differences() -> None:
    x = picture(4, 4).requires_grad_()
    given = {"scale": 1.3, "turn_before": 0.7, "stretch": 0.9, "turn_after": 2.0, "right": 0.1}
    assert torch.autograd.gradcheck(lambda x: changed(x, **given), x)
