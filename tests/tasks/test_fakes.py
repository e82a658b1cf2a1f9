from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.checkpoint import DamagedCheckpoint, save_tensors
from morelike.cosines import radii
from morelike.rng import SeedDraws, StepDraws, rng
from morelike.tasks import Fakes, measured, read_fakes, unpaired
from morelike.tasks.blurring import gaussian
from morelike.tasks.fakes import FAINTEST, MOST, spectrum

CPU = torch.device("cpu")
SIDE = 32


def scenes(
    count: int, seed: int = 0, size: tuple[int, int] = (SIDE, SIDE), channels: int = 1
) -> Tensor:
    """(N, C, H, W) float64 with the spectrum of real pictures, 1 / f^2: smooth fields of clouds."""
    white = torch.from_numpy(rng(seed, "scenes").standard_normal((count, channels, *size)))
    waves = torch.fft.rfft2(white)
    down, right = torch.fft.fftfreq(size[0]), torch.fft.rfftfreq(size[1])
    fields = torch.fft.irfft2(waves / torch.hypot(down[:, None], right).clamp_min(1 / SIDE), s=size)
    return (0.28 * fields / fields.std()).clamp(-1, 1)


def eight_bits(values: Tensor) -> np.ndarray:
    rounded = (values.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return rounded.permute(0, 2, 3, 1).numpy()


def blurred(values: Tensor, sigma: float) -> Tensor:
    return gaussian(values, torch.full((len(values),), sigma, dtype=values.dtype), sigma)


def transfer(sigma: float, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """What a Gaussian leaves of each cosine; its weights at whole pixels make the sum a product."""
    reach = np.arange(-math.ceil(3 * sigma), math.ceil(3 * sigma) + 1)
    weights = np.exp(-0.5 * (reach / sigma) ** 2)
    weights /= weights.sum()
    down, right = (
        np.cos(np.pi * np.outer(np.arange(side), reach) / side) @ weights for side in size
    )
    return down[:, None] * right


def noisy(values: Tensor, sigma: float, seed: int = 0) -> Tensor:
    return values + sigma * torch.from_numpy(rng(seed, "noise").standard_normal(values.shape))


def decibels(a: Tensor, b: Tensor) -> np.ndarray:
    return (10 * torch.log10(a / b)).flatten()[1:].numpy()


@pytest.mark.parametrize("sigma", [0.6, 1.0])
def test_a_known_blur_gives_back_its_transfer_function(sigma: float) -> None:
    real = scenes(300)
    fakes = measured(eight_bits(blurred(real, sigma)), eight_bits(real))
    expected = transfer(sigma)
    assert fakes.gain[0, 0] == 1
    # What is nearly as it was, chance could do as well; what is nearly gone, rounding replaces.
    there = (expected < 0.85) & (expected > 0.15)
    assert there.sum() > 250
    assert fakes.gain.numpy()[there] == pytest.approx(expected[there], abs=0.015)
    assert fakes.gain.numpy()[expected > 0.98].min() > 0.96
    assert fakes.noise.sqrt().max() < 0.01


@pytest.mark.parametrize("sigma", [0.1, 0.2])
def test_known_noise_gives_back_its_power(sigma: float) -> None:
    real = scenes(300, channels=3)
    fakes = measured(eight_bits(noisy(real, sigma)), eight_bits(real))
    fine = radii((SIDE, SIDE)) > 6
    assert fakes.noise.numpy()[fine].mean() == pytest.approx(sigma**2, rel=0.04)
    assert fakes.noise.numpy()[fine] == pytest.approx(sigma**2, rel=0.3)
    assert fakes.gain.min() > 0.99


def test_of_the_same_pictures_nothing_differs() -> None:
    real = eight_bits(scenes(40))
    real.setflags(write=False)  # as if mapped from a file
    fakes = measured(real, real)
    assert torch.equal(fakes.gain, torch.ones(SIDE, SIDE))
    assert torch.equal(fakes.noise, torch.zeros(SIDE, SIDE))
    assert fakes.describe() == (
        "In waves of every length the samples have the power of real pictures of their size, "
        "within 1 dB."
    )


def test_how_bright_they_are_makes_no_difference() -> None:
    real = (0.5 * scenes(60)).clamp(-0.5, 0.5)
    real = real - real.mean((2, 3), keepdim=True)
    fakes = measured(eight_bits(real + 0.4), eight_bits(real))
    assert fakes.gain.min() > 0.99 and fakes.noise.max() < 1e-4


def test_other_pictures_of_the_same_kind_hardly_differ() -> None:
    # Pictures of very different contrast, as real ones are: one set may have a fifth more power.
    contrast = torch.from_numpy(rng(0, "contrast").exponential(0.5, (80, 1, 1, 1)))
    real = scenes(80) * contrast
    gains, noises = [], []
    for seed in range(8):
        order = rng(seed, "halves").permutation(80)
        fakes = measured(eight_bits(real[order[:40]]), eight_bits(real[order[40:]]))
        gains.append(fakes.gain.mean().item())
        noises.append(fakes.noise.mean().sqrt().item())
    assert np.mean(gains) > 0.98
    assert np.mean(noises) < 0.02


@pytest.mark.parametrize(("sigma", "noise"), [(0.8, 0.0), (0.0, 0.1), (0.5, 0.03)])
@pytest.mark.parametrize("channels", [1, 3])
def test_at_strength_1_real_pictures_have_the_spectrum_of_samples(
    sigma: float, noise: float, channels: int
) -> None:
    real, other = scenes(200, 1, channels=channels), scenes(200, 2, channels=channels)
    samples = eight_bits(noisy(blurred(other, max(sigma, 0.01)), noise))
    fakes = measured(samples, eight_bits(real))
    made = fakes.applied(real, torch.ones(200), SeedDraws(range(200), CPU))
    before = decibels(spectrum(torch.from_numpy(eight_bits(real))), spectrum(fakes.samples))
    after = decibels(spectrum(torch.from_numpy(eight_bits(made))), spectrum(fakes.samples))
    told = (spectrum(fakes.samples) > 4 * FAINTEST).flatten()[1:].numpy()
    assert told.mean() > 0.6
    assert np.abs(before[told]).max() > 3
    assert np.abs(after[told]).mean() < 0.25 and np.abs(after[told]).max() < 1.3


def test_at_strength_0_nothing_changes_and_between_it_is_less() -> None:
    real = scenes(60, channels=3)
    fakes = measured(eight_bits(noisy(blurred(real, 0.7), 0.05)), eight_bits(real))
    draws = SeedDraws(range(60), CPU)
    away = [
        (fakes.applied(real, torch.full((60,), strength), draws) - real).square().mean().item()
        for strength in (0.0, 0.3, 0.6, 1.0, 1.25)
    ]
    assert away[0] < 1e-12
    assert away == sorted(away) and away[1] > 0 and away[3] > 2 * away[1]


def test_chance_says_how_strongly() -> None:
    real = scenes(100)
    fakes = measured(eight_bits(blurred(real, 1.0)), eight_bits(real))
    away = (fakes.degrade(real, SeedDraws(range(100), CPU)) - real).square().mean((1, 2, 3))
    most = (
        fakes.applied(real, torch.full((100,), 1.25), SeedDraws(range(100), CPU)) - real
    ).square()
    share = away / most.mean((1, 2, 3))
    assert share.max() <= 1 and share.max() > 0.95 and share.min() < 0.02
    assert torch.histc(share, 3, 0, 1).min() > 10


@pytest.mark.parametrize("size", [(16, 16), (24, 40), (64, 64)])
def test_parts_are_treated_as_the_whole_is(size: tuple[int, int]) -> None:
    real = scenes(400)
    fakes = measured(eight_bits(noisy(blurred(real, 0.7), 0.15)), eight_bits(real))
    flat = torch.zeros(200, 1, *size, dtype=torch.float64)
    noise = fakes.applied(flat, torch.ones(200), SeedDraws(range(200), CPU))
    whole = fakes.applied(
        torch.zeros(200, 1, SIDE, SIDE).double(), torch.ones(200), SeedDraws(range(200), CPU)
    )
    assert noise.var() == pytest.approx(whole.var().item(), rel=0.1)
    # A wave of four pixels loses as much in any picture.
    alone = Fakes(fakes.samples, fakes.gain, fakes.noise * 0)
    for values in (flat, torch.zeros(1, 1, SIDE, SIDE).double()):
        place = torch.arange(values.shape[3]).double() + 0.5
        wave = (values + 0.5 * (2 * torch.pi * place / 4).cos())[:1]
        left = alone.applied(wave, torch.ones(1), SeedDraws([0], CPU))
        assert left.std() / wave.std() == pytest.approx(fakes.gain[0, SIDE // 2].item(), abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_row_depends_on_itself_alone(dtype: torch.dtype, channels: int) -> None:
    real = scenes(30, channels=channels)
    fakes = measured(eight_bits(noisy(blurred(real, 0.7), 0.2)), eight_bits(real))
    inputs = real[:4, :, :20, :28].to(dtype)
    found = fakes.degrade(inputs, SeedDraws([5, 6, 7, 8], CPU))
    assert found.shape == inputs.shape and found.dtype == dtype
    assert found.isfinite().all() and found.abs().max() <= 1
    assert torch.equal(fakes.degrade(inputs, SeedDraws([5, 6, 7, 8], CPU)), found)
    alone = fakes.degrade(inputs[2:3], SeedDraws([7], CPU))
    assert torch.allclose(alone, found[2:3], atol=1e-5)


def test_people_are_told_where_samples_lack_power_and_where_they_have_too_much() -> None:
    real = scenes(200)
    said = measured(eight_bits(blurred(real, 1.0)), eight_bits(real)).describe()
    assert said.startswith("Beside real pictures of their size the samples lack power in waves of")
    assert "under 4 (-" in said and "too much" not in said
    assert said.endswith("pixels; in all others they are within 1 dB.")
    said = measured(eight_bits(noisy(real, 0.2)), eight_bits(real)).describe()
    assert "lack" not in said and "have too much in waves of under 4 (+" in said
    # Half of the amplitude is 6 dB less.
    fakes = measured(eight_bits(0.5 * real), eight_bits(real))
    assert fakes.gain[0, 0] == 1 and fakes.gain.flatten()[1:].max() < 0.6
    said = fakes.describe()
    told = [float(part.split(" dB")[0]) for part in said.split("(")[1:]]
    assert len(told) == 5 and told == pytest.approx([-6.02] * 5, abs=0.4)


def test_fakes_are_read_as_they_were_saved(tmp_path: Path) -> None:
    real = scenes(8, channels=3)
    fakes = measured(eight_bits(blurred(real, 1.0)), eight_bits(real))
    fakes.save(tmp_path / "fakes.safetensors")
    again = read_fakes(tmp_path / "fakes.safetensors")
    for name in ("samples", "gain", "noise"):
        assert torch.equal(getattr(again, name), getattr(fakes, name))
    assert [path.name for path in tmp_path.iterdir()] == ["fakes.safetensors"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fakes.safetensors"
    with pytest.raises(DamagedCheckpoint, match="cannot be read"):
        read_fakes(path)
    save_tensors(path, {"gain": torch.ones(4, 4)})
    with pytest.raises(DamagedCheckpoint, match="no samples of a generator"):
        read_fakes(path)
    save_tensors(
        path,
        {
            "samples": torch.zeros(2, 4, 4, 3).byte(),
            "gain": torch.ones(4, 5),
            "noise": torch.ones(4, 5),
        },
    )
    with pytest.raises(DamagedCheckpoint, match="no samples of a generator"):
        read_fakes(path)


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    fakes = Fakes(torch.zeros(2, 4, 4, 3).byte(), torch.ones(4, 4), torch.zeros(4, 4))
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        fakes.save(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_sets_must_be_of_one_shape_and_hold_two_pictures() -> None:
    two = np.zeros((2, 8, 8, 3), np.uint8)
    for samples, real in ((two, two[:, :4]), (two, two[..., :1]), (two[:1], two), (two, two[:1])):
        with pytest.raises(ValueError, match="sets of one shape"):
            measured(samples, real)
    assert (
        len(measured(np.zeros((MOST + 5, 2, 2, 1), np.uint8), two[:, :2, :2, :1]).samples) == MOST
    )


def numbered(count: int, side: int = 8) -> Fakes:
    """Samples of which each tells its number and place."""
    samples = torch.arange(count * side * side).view(count, side, side, 1) % 256
    ones = torch.ones(side, side)
    return Fakes(samples.byte(), ones, 0 * ones)


def test_unpaired_inputs_are_samples() -> None:
    fakes = numbered(4)
    found = unpaired(fakes, SeedDraws(range(200), CPU))
    assert found.shape == (200, 1, 8, 8) and found.abs().max() <= 1
    shown = ((found + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    which = [next(i for i in range(4) if torch.equal(one, fakes.samples[i])) for one in shown]
    assert min(which.count(i) for i in range(4)) > 25
    assert torch.equal(unpaired(fakes, SeedDraws([7], CPU)), found[7:8])
    assert torch.equal(unpaired(fakes, SeedDraws([7], CPU), 8), found[7:8])


def test_unpaired_crops_are_parts_of_samples() -> None:
    found = unpaired(numbered(4), SeedDraws(range(200), CPU), 3)
    assert found.shape == (200, 1, 3, 3)
    first = ((found[:, 0] + 1) * 127.5).round().long()
    assert torch.equal(first[:, 1, 2], (first[:, 0, 0] + 10))
    assert set((first[:, 0, 0] % 8).tolist()) == set(range(6))
    part = StepDraws(0, 64, "generator", 8, 3, 6, CPU, torch.float64)
    whole = StepDraws(0, 64, "generator", 8, 0, 8, CPU, torch.float64)
    made = unpaired(numbered(4), part, 3)
    assert made.dtype == torch.float64
    assert torch.equal(made, unpaired(numbered(4), whole, 3)[3:6])
