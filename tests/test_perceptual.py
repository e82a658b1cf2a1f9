from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from conftest import picture
from morelike.errors import UserError
from morelike.features import perceptual as module
from morelike.features.perceptual import Perceptual, perceptual
from morelike.metrics.fidelity import feature_distance, psnr

CLOSE: Any = {"rtol": 1e-4, "atol": 1e-5}
SMALL = "test_efficientnet"
"""A network of timm that is there for tests."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def blurred(pictures: Tensor, sigma: float) -> Tensor:
    place = torch.arange(-9, 10)
    bell = torch.exp(-(place**2) / (2 * sigma**2)).to(pictures)
    bell = (bell / bell.sum()).expand(3, 1, -1)
    padded = F.pad(pictures, (9,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, bell[..., None], groups=3), bell[:, :, None], groups=3)


PLAIN = torch.stack(
    [torch.from_numpy(picture(number, 48, 48)).permute(2, 0, 1) for number in range(6)]
)
PICTURES = (PLAIN / 127.5 - 1 + blurred(noise(6, 3, 48, 48), 1)).clamp(-1, 1)
"""Shapes with soft grain on them."""


@pytest.fixture(scope="module")
def look() -> Perceptual:
    return perceptual()


def saved(folder: Path, name: str) -> Path:
    """A file with random weights for a network of timm, in which no batch norm does nothing."""
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        state = timm.create_model(name).state_dict()
    for number, (key, values) in enumerate(state.items()):
        if key.endswith(("running_mean", "running_var")):
            values += 0.3 * noise(*values.shape, seed=number).abs()
    save_file(state, folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("weights"), SMALL)


def test_the_untrained_network_is_the_same_everywhere(look: Perceptual) -> None:
    assert look.name == "random@cc5f5b8c"
    maps = look.maps(PICTURES)
    assert [tuple(one.shape) for one in maps] == [
        (6, 16, 48, 48),
        (6, 9, 24, 24),
        (6, 9, 12, 12),
    ]
    assert {one.dtype for one in maps} == {torch.float32}
    found = torch.stack([one[:2].mean(dim=(1, 2, 3)) for one in maps])
    torch.testing.assert_close(found, torch.tensor(PINNED), rtol=1e-3, atol=1e-4)


PINNED = [[0.4134, 0.4998], [0.0800, 0.0724], [0.0731, 0.0625]]


def test_a_network_is_made_once(
    weights: Path, monkeypatch: pytest.MonkeyPatch, look: Perceptual
) -> None:
    assert perceptual() is look
    assert look.to("cpu") is look
    trained = perceptual(f"timm:{SMALL}", weights)
    monkeypatch.chdir(weights.parent)
    assert perceptual(f"timm:{SMALL}", weights.name, torch.device("cpu")) is trained
    assert trained is not look


@pytest.mark.parametrize("name", ["random", f"timm:{SMALL}"])
def test_making_one_leaves_a_training_as_it_is(name: str, weights: Path) -> None:
    module._perceptual.cache_clear()
    before = torch.get_rng_state()
    with torch.inference_mode():  # whoever measures first must not spoil it for training
        network = perceptual(name, None if name == "random" else weights)
        network.maps(PICTURES)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(one.requires_grad for one in network.made.network.parameters())
    assert not network.made.network.training
    truth = network.maps(PICTURES[:2])
    assert not any(one.requires_grad for one in truth)
    made = blurred(PICTURES[:2], 1).requires_grad_()
    distance = feature_distance(network.maps(made), truth).sum()
    (gradient,) = torch.autograd.grad(distance, made)
    along = gradient / gradient.norm()
    with torch.no_grad():
        ends = [feature_distance(network.maps(made + s * along), truth).sum() for s in (-0.1, 0.1)]
    assert ((ends[1] - ends[0]) / 0.2).item() == pytest.approx(gradient.norm().item(), rel=0.2)


def test_pictures_can_be_moved_to_others_by_it(look: Perceptual) -> None:
    truth = look.maps(PICTURES[:2])
    made = blurred(PICTURES[:2], 1.5).requires_grad_()
    adam = torch.optim.Adam([made], lr=0.03)
    distances = []
    for _ in range(30):
        distance = feature_distance(look.maps(made), truth)
        distances.append(distance.detach())
        adam.zero_grad()
        distance.sum().backward()
        adam.step()
    assert (distances[-1] < 0.3 * distances[0]).all()


def test_it_stays_in_float32_under_autocast(look: Perceptual) -> None:
    expected = look.maps(PICTURES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = look.maps(PICTURES)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    assert look.maps(PICTURES.bfloat16())[0].dtype == torch.float32
    assert look.maps(PICTURES.double())[0].dtype == torch.float32


def test_gray_is_equal_channels_and_transparency_is_white(look: Perceptual) -> None:
    gray = PICTURES[:, :1]
    for one, other in zip(look.maps(gray), look.maps(gray.repeat(1, 3, 1, 1)), strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
    alpha = torch.ones_like(gray)
    alpha[..., 20:] = -1.0
    alpha[..., :5] = 0.5
    laid = torch.where(alpha < 0, 1.0, PICTURES)
    laid[..., :5] = 0.75 * PICTURES[..., :5] + 0.25
    shown = look.maps(torch.cat([PICTURES, alpha], dim=1))
    for one, other in zip(shown, look.maps(laid), strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_a_row_depends_on_its_picture_alone(look: Perceptual) -> None:
    whole = look.maps(PICTURES)
    for one, other in zip(look.maps(PICTURES[3:4]), whole, strict=True):
        torch.testing.assert_close(one, other[3:4], **CLOSE)


def test_a_crop_is_seen_as_it_is(look: Perceptual) -> None:
    pictures = noise(1, 3, 64, 64)
    whole, crop = look.maps(pictures), look.maps(pictures[:, :, 8:56, 12:60])
    for one, other in zip(crop, whole, strict=True):
        stride = 64 // other.shape[2]
        there = other[:, :, 8 // stride : 56 // stride, 12 // stride : 60 // stride]
        inside = (..., slice(4, -4), slice(4, -4))  # a crop has borders of its own
        torch.testing.assert_close(one[inside], there[inside], **CLOSE)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 3, 37, 50), (2, 1, 16, 9)])
def test_any_size(look: Perceptual, shape: tuple[int, ...]) -> None:
    maps = look.maps(noise(*shape))
    assert all(one.isfinite().all() and one.numel() for one in maps)


@pytest.mark.parametrize(
    "damages",
    [
        [blurred(PICTURES, sigma) for sigma in (0.5, 1, 2, 4)],
        [PICTURES + size * noise(6, 3, 48, 48, seed=7) for size in (0.03, 0.1, 0.3)],
        [PICTURES.roll(by, 3) for by in (1, 2, 4)],
        [PICTURES * (1 - less) for less in (0.2, 0.5, 0.8)],
    ],
    ids=["blur", "noise", "shift", "contrast"],
)
def test_more_damage_is_farther_away(look: Perceptual, damages: list[Tensor]) -> None:
    truth = look.maps(PICTURES)
    found = torch.stack([feature_distance(look.maps(damage), truth) for damage in damages])
    assert (found[0] > 0).all()
    assert (found.diff(dim=0) > 0).all()


def test_blur_is_graver_than_a_shift_that_pixels_mind_as_much(look: Perceptual) -> None:
    truth = look.maps(PICTURES)
    soft, moved = blurred(PICTURES, 1.8), PICTURES.roll(1, 3)
    assert (psnr(soft, PICTURES) > psnr(moved, PICTURES)).all()
    apart = [feature_distance(look.maps(made), truth) for made in (soft, moved)]
    assert (apart[0] > apart[1]).all()


# --- networks of timm ---


def test_a_trained_network_gives_its_layers(weights: Path) -> None:
    import timm
    from safetensors.torch import load_file

    network = timm.create_model(SMALL, features_only=True).eval()
    network.load_state_dict(load_file(weights), strict=False)
    about = timm.get_pretrained_cfg(SMALL)
    assert about is not None
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (about.mean, about.std))
    with torch.no_grad():
        expected = network(((PICTURES[:, :, :41] + 1) / 2 - mean) / std)
    look = perceptual(f"timm:{SMALL}", weights)
    assert look.name.startswith(f"timm:{SMALL}@")
    found = look.maps(PICTURES[:, :, :41])
    assert [48 // one.shape[3] for one in found] == [2, 4, 8, 16]
    for one, other in zip(found, expected[:4], strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_other_weights_have_another_name(tmp_path: Path, weights: Path) -> None:
    from safetensors.torch import load_file

    state = load_file(weights)
    state["conv_stem.weight"] += 1e-3
    save_file(state, tmp_path / "moved.safetensors")
    one, other = (perceptual(f"timm:{SMALL}", w) for w in (weights, tmp_path / "moved.safetensors"))
    assert one.name != other.name


@pytest.mark.shared
def test_the_shared_weights_are_shown_what_they_were_trained_on(shared: Path) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import load_file

    path = shared / "weights" / "mobilenetv2_100.imagenet.safetensors"
    look = perceptual("timm:mobilenetv2_100", path)
    assert look.name == "timm:mobilenetv2_100@c1b4259e"
    network = timm.create_model("mobilenetv2_100", pad_type="same", features_only=True).eval()
    state = {k: v.float() for k, v in load_file(path).items()}
    network.load_state_dict(state, strict=False)
    with torch.no_grad():
        expected = network(PICTURES)  # value / 127.5 - 1, as it is
    found = look.maps(PICTURES)
    assert [one.shape[1] for one in found] == [16, 24, 32, 96]
    for one, other in zip(found, expected[:4], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


# --- what a person can get wrong ---


def test_wrong_names_and_files_are_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(UserError, match=r"no perceptual network 'randon'; the nearest is 'random'"):
        perceptual("randon")
    with pytest.raises(UserError, match="'timm:vgg16' needs its weights, and none are fetched"):
        perceptual("timm:vgg16")
    with pytest.raises(UserError, match="'random' takes no weights"):
        perceptual("random", weights)
    with pytest.raises(UserError, match=r"there is no file .*none\.safetensors; give the file"):
        perceptual("timm:vgg16", tmp_path / "none.safetensors")
    path = tmp_path / "some.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match=f"are not those of timm:{SMALL}"):
        perceptual(f"timm:{SMALL}", path)
    with pytest.raises(UserError, match="timm has no network 'nothing'"):
        perceptual("timm:nothing", path)


def test_a_network_without_maps_of_any_size_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "test_vit")
    with pytest.raises(UserError, match="timm:test_vit has no maps of pictures of any size"):
        perceptual("timm:test_vit", path)


def test_a_missing_package_is_named(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    module._perceptual.cache_clear()
    with pytest.raises(UserError, match="pip install timm"):
        perceptual(f"timm:{SMALL}", weights)


def test_pictures_that_are_too_small_or_none_are_refused(look: Perceptual, weights: Path) -> None:
    with pytest.raises(UserError, match="at least 2 pixels a side, not of 1x8"):
        look.maps(torch.zeros(1, 3, 1, 8))
    trained = perceptual(f"timm:{SMALL}", weights)
    with pytest.raises(UserError, match="at least 16 pixels a side, not of 15x16; take larger"):
        trained.maps(torch.zeros(1, 3, 15, 16))
    assert trained.maps(torch.zeros(1, 3, 16, 16))[-1].numel()
    for shape in (1, 2, 16, 16), (3, 16, 16):
        with pytest.raises(ValueError, match="1, 3 or 4"):
            look.maps(torch.zeros(shape))
