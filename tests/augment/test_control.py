from __future__ import annotations

import math

import pytest
import torch

from morelike.augment import Control, moved, overfit_by_pairs, overfit_by_sign, read


def after(control: Control, *readings: float) -> Control:
    for reading in readings:
        control = read(control, reading)
    return control


def test_readings_are_averaged() -> None:
    assert after(Control(0.3), 0.5, 0.75, 1.0) == Control(0.3, 2.25, 3)


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ((0.7,), 0.35),  # ahead: more
        ((0.5,), 0.25),
        ((0.6,), 0.3),  # just there
        ((0.9, 0.4), 0.35),  # 0.65 on average
        ((0.9, 0.2, 0.6), 0.25),
        ((), 0.3),  # nothing was read
    ],
)
def test_the_probability_follows_the_mean(readings: tuple[float, ...], expected: float) -> None:
    control = moved(after(Control(0.3), *readings), 0.6, 0.8, 0.05)
    assert control.probability == pytest.approx(expected, abs=1e-12)
    assert (control.total, control.readings) == (0, 0)


def test_it_stays_between_0_and_the_most() -> None:
    control, seen = Control(), []
    for _ in range(100):
        control = moved(read(control, 1.0), 0.6, 0.8, 0.03)
        seen.append(control.probability)
    assert seen == sorted(seen)
    assert seen[-1] == 0.8
    for _ in range(100):
        control = moved(read(control, -1.0), 0.6, 0.8, 0.03)
    assert control.probability == 0


def test_it_settles_where_d_is_as_far_ahead_as_wanted() -> None:
    # A discriminator whose lead falls from 1 to 0.2 as the probability rises: 0.6 at a half.
    control = Control()
    for _ in range(200):
        control = moved(read(control, 1 - 0.8 * control.probability), 0.6, 0.8, 0.02)
    assert control.probability == pytest.approx(0.5, abs=0.021)


def test_the_mean_sign() -> None:
    logits = torch.tensor([3.0, 0.1, 0.0, -0.5])
    assert overfit_by_sign(logits).item() == pytest.approx(0.25)
    assert overfit_by_sign(logits, 0.5).item() == pytest.approx(-0.5)
    assert overfit_by_sign(torch.ones(5)).item() == 1


def test_the_pairs_ranked_right() -> None:
    real, fake = torch.tensor([2.0, 0.0, -1.0]), torch.tensor([1.0, -1.0])
    # Right: 2>1, 2>-1, 0>-1; wrong: 0<1, -1<1; a draw.
    assert overfit_by_pairs(real, fake).item() == pytest.approx((3 - 2) / 6)
    assert overfit_by_pairs(real, fake).item() == -overfit_by_pairs(fake, real).item()
    # Only differences count.
    assert overfit_by_pairs(real + 100, fake + 100).item() == overfit_by_pairs(real, fake).item()
    assert overfit_by_pairs(real + 4, fake).item() == 1


def test_by_pairs_it_reads_more_of_the_same_discriminator() -> None:
    """What the documents say: 0.6 by the sign is 0.77 by pairs, for equal normal logits."""
    generator = torch.Generator().manual_seed(0)
    middle = math.sqrt(2) * torch.erfinv(torch.tensor(0.6)).item()
    real, fake = torch.randn(2, 3000, generator=generator)
    real, fake = real + middle, fake - middle
    assert overfit_by_sign(real).item() == pytest.approx(0.6, abs=0.04)
    assert overfit_by_pairs(real, fake).item() == pytest.approx(0.77, abs=0.03)
