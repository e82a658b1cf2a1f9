"""What cannot leak: from pictures as D sees them, how pictures are can be told back.

D sees the distribution T q of a set whose pictures have the distribution q. If T has an inverse,
G's q has to be the real one, or D could tell; if not, some wrong q look right (Karras et al. 2020,
appendix C). For a group of changes T is a circulant matrix: (1 - p) 1 + p times how the change is
drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.augment import ADAPTIVE, MORE, augment, pipeline
from morelike.augment.pipeline import _Drawn
from morelike.config import AugmentConfig

MOST = AugmentConfig().most
COUNT = 20_000
ANGLES = 12


def numbers(seed: int = 0, count: int = COUNT) -> Tensor:
    return torch.rand(count, MORE, generator=torch.Generator().manual_seed(seed)).double()


def circulant(shares: np.ndarray) -> np.ndarray:
    """(n, n): column k is the distribution of what element k of a cyclic group becomes."""
    return np.stack([np.roll(shares, k) for k in range(len(shares))], axis=1)


def smallest(shares: np.ndarray) -> float:
    return float(np.linalg.svd(circulant(shares), compute_uv=False).min())


def marker() -> Tensor:
    """A picture that no turn, mirroring or inversion leaves as it is."""
    return torch.arange(3 * 16).double().view(1, 3, 4, 4) / 24 - 1


def outcomes(name: str, probability: float) -> np.ndarray:
    """How often the pipeline makes each element of the group out of the same picture; the first is
    the picture as it is.
    """
    x = marker()
    v = torch.ones(3).double() / math.sqrt(3)
    flip = torch.eye(3).double() - 2 * torch.outer(v, v)
    elements = {
        "mirror": [x, x.flip(3)],
        "quarter_turns": [torch.rot90(x, k, (2, 3)) for k in range(4)],
        "luma_flip": [x, torch.einsum("ij,bjhw->bihw", flip, x)],
    }[name]
    y = augment(
        x.expand(COUNT, -1, -1, -1),
        torch.zeros(COUNT, 8),
        (name,),
        probability=probability,
        more=numbers(),
    )
    is_element = torch.stack([(y - e).abs().flatten(1).amax(1) < 1e-9 for e in elements])
    assert (is_element.sum(0) == 1).all()  # nothing but these, and these all differ
    return is_element.double().mean(1).numpy()


def angles(name: str, probability: float) -> Tensor:
    """By how much each picture is turned altogether, in space or in hue; 0 where it is not."""
    held = _Drawn(numbers(), (name,), probability)
    if name == "hue":
        return pipeline._color(held).hue
    geometry, _ = pipeline._geometry(held)
    return geometry.turn_before + geometry.turn_after


def sectors(name: str, probability: float) -> np.ndarray:
    """The same as shares: of no turn at all, and of the sectors about twelve angles."""
    found = angles(name, probability)
    place = (found / (2 * math.pi / ANGLES)).round().long() % ANGLES
    return np.bincount(place.numpy(), minlength=ANGLES) / COUNT


def shifts(probability: float, side: int = 64) -> np.ndarray:
    """How often a picture is shifted so far, around a ring of its side."""
    x = torch.zeros(COUNT, 1, side, 1)
    x[:, :, side // 2] = 1
    y = augment(
        x, torch.zeros(COUNT, 8), ("integer_translation",), probability=probability, more=numbers()
    )
    return np.roll(y.sum((0, 1, 3)).numpy() / COUNT, -side // 2)


GROUPS: dict[str, Callable[[float], np.ndarray]] = {
    "mirror": lambda p: outcomes("mirror", p),
    "quarter_turns": lambda p: outcomes("quarter_turns", p),
    "luma_flip": lambda p: outcomes("luma_flip", p),
    "hue": lambda p: sectors("hue", p),
    "rotation": lambda p: sectors("rotation", p),
    "integer_translation": shifts,
}
UNIFORM = ("mirror", "quarter_turns", "luma_flip", "hue", "rotation")
FACTORS = (
    "scaling",
    "anisotropic_scaling",
    "fractional_translation",
    "brightness",
    "contrast",
    "saturation",
)


def test_every_change_is_looked_at() -> None:
    assert {*GROUPS, *FACTORS} == set(ADAPTIVE)


# --- a: as it is stays the most probable ---


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("probability", [0.1, 0.5, MOST])
def test_as_it_is_stays_the_most_probable(name: str, probability: float) -> None:
    shares = GROUPS[name](probability)
    assert shares.argmax() == 0
    # As computed: what is not touched, and the part of the draws that changes nothing.
    elements = {"mirror": 2, "quarter_turns": 4, "luma_flip": 2, "integer_translation": 17}
    drawn = 1 / elements.get(name, ANGLES)
    expected = 1 - probability + probability * drawn
    assert shares[0] == pytest.approx(expected, abs=0.012)
    others = shares[1:][shares[1:] > 0]
    assert others == pytest.approx(probability * drawn, abs=0.012)


@pytest.mark.parametrize("name", FACTORS)
def test_of_what_is_drawn_from_a_density_only_as_it_is_has_a_chance(name: str) -> None:
    values = factor(name, MOST)
    found, often = values.unique(return_counts=True)
    assert found[often.argmax()] == 0
    assert often.max().item() / COUNT == pytest.approx(1 - MOST, abs=0.01)
    assert often.sort().values[-2] < 30  # at the bound of normal numbers at most


# --- b: what D sees tells how pictures are ---


@pytest.mark.parametrize("name", UNIFORM)
def test_a_group_has_an_inverse_below_1_and_none_at_1(name: str) -> None:
    """Its eigenvalues are 1, and 1 - p for all that is not the same in each element."""
    for probability in (0.3, MOST):
        shares = GROUPS[name](probability)
        assert smallest(shares) == pytest.approx(1 - probability, abs=0.025)
        assert smallest(shares) > 0.15
    assert smallest(GROUPS[name](1.0)) < 0.025  # 0, up to how few were drawn


def test_the_same_without_chance() -> None:
    for count in (2, 4, ANGLES):
        for p in (0.0, 0.3, MOST, 0.99):
            shares = np.full(count, p / count)
            shares[0] += 1 - p
            assert smallest(shares) == pytest.approx(1 - p)
        assert smallest(np.full(count, 1 / count)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("side", [16, 32, 64, 128, 256])
def test_whole_shifts_have_an_inverse_up_to_the_most(side: int) -> None:
    """A shift that is uniform among 2r + 1 has negative eigenvalues, so at some p below 1 the
    mixture has a 0: at 0.809 for 16 pixels, and at up to 0.831 for more.
    """
    reach = int(side * 0.125 + 0.5)
    kernel = np.zeros(side)
    kernel[np.arange(-reach, reach + 1)] = 1 / (2 * reach + 1)
    eigenvalues = np.fft.fft(kernel).real
    assert 1 - MOST + MOST * eigenvalues.min() > 0
    gone = 1 / (1 - eigenvalues.min())  # where 1 - p + p * least = 0
    assert 0.805 < gone < 0.835
    assert gone > MOST


def test_whole_shifts_as_they_are_drawn() -> None:
    assert smallest(shifts(MOST)) > 0.01
    assert smallest(shifts(0.4)) > 0.4


def factor(name: str, probability: float) -> Tensor:
    """What is drawn, as a number that adds up when it is applied twice: logarithms of factors."""
    held = _Drawn(numbers(2), (name,), probability)
    (geometry, _), color = pipeline._geometry(held), pipeline._color(held)
    return {
        "scaling": geometry.scale.log2(),
        "anisotropic_scaling": geometry.stretch.log2(),
        "fractional_translation": geometry.right,
        "brightness": color.brightness,
        "contrast": color.contrast.log2(),
        "saturation": color.saturation.log2(),
    }[name]


@pytest.mark.parametrize("name", FACTORS)
def test_normal_draws_have_an_inverse(name: str) -> None:
    """Their characteristic function, (1 - p) + p exp(-(sw)^2 / 2), is nowhere below 1 - p."""
    for probability in (0.3, MOST):
        values = factor(name, probability)
        deviation = values.std()
        for frequency in (0.5, 1.0, 2.0, 4.0, 8.0):
            found = torch.exp(1j * frequency / deviation * values).mean()
            assert found.real > 1 - probability - 0.02
            assert abs(found.imag) < 0.02


@pytest.mark.parametrize("name", ["mirror", "quarter_turns", "luma_flip"])
def test_how_pictures_are_is_told_back(name: str) -> None:
    """A set of which 6 in 10 pictures are as they are and the rest is changed already."""
    count = 4 if name == "quarter_turns" else 2
    truth = np.array([0.6, 0.25, 0.1, 0.05] if count == 4 else [0.6, 0.4])
    shares = outcomes(name, MOST)
    seen = circulant(shares) @ truth
    drawn = np.random.RandomState(0).multinomial(200_000, seen) / 200_000
    told = np.linalg.solve(circulant(shares), drawn)
    assert told == pytest.approx(truth, abs=0.02)
    # At 1, what is seen of it is what is seen of a set that is all turned.
    wrong = truth[::-1].copy()
    blind = circulant(np.full(count, 1 / count))
    assert blind @ truth == pytest.approx(blind @ wrong)
    assert np.abs(seen - circulant(shares) @ wrong).max() > 0.03
