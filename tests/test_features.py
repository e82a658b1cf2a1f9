from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from torch import nn

from conftest import picture
from morelike.errors import UserError
from morelike.features import Extractor, extractor, features_of
from morelike.features.extractor import Look
from morelike.rng import rng

IMAGES = np.stack([picture(number, 64, 64) for number in range(40)])
CLOSE: Any = {"rtol": 1e-3, "atol": 1e-3}


@pytest.fixture(scope="module")
def look() -> Extractor:
    return extractor()


class Counted(nn.Module):
    """Mean colours, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return images.mean(dim=(2, 3))


@pytest.fixture
def counted() -> tuple[Extractor, Counted]:
    network = Counted()
    means = Extractor("means@0", "means@0", 3, Look(network, lambda x: x), torch.device("cpu"))
    return means, network


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def test_the_untrained_network_is_the_same_everywhere(look: Extractor) -> None:
    features = look(IMAGES[:2])
    assert look.name == "random@4546e387"
    assert features.shape == (2, look.dimension) == (2, 1619)
    assert features.dtype == torch.float32
    again = extractor()
    assert again.key == look.key
    assert torch.equal(again(IMAGES[:2]), features)
    numbers = torch.from_numpy(rng(0, "test").standard_normal((1619, 2))).float()
    torch.testing.assert_close(features @ numbers, torch.tensor(PINNED), rtol=0.01, atol=0.05)


PINNED = [[-8.507, -23.745], [-19.854, -4.705]]


def test_a_row_depends_on_its_picture_alone(look: Extractor) -> None:
    whole = look(IMAGES)
    torch.testing.assert_close(look(IMAGES[::-1]).flip(0), whole, **CLOSE)
    torch.testing.assert_close(look(IMAGES[33:34]), whole[33:34], **CLOSE)
    assert look(IMAGES[:0]).shape == (0, 1619)


def test_gray_is_equal_channels_and_transparency_is_white(look: Extractor) -> None:
    gray = IMAGES[:3, :, :, :1]
    torch.testing.assert_close(look(gray), look(gray.repeat(3, axis=3)), **CLOSE)
    alpha = np.zeros((3, 64, 64, 1), np.uint8)
    alpha[:, :, 32:] = 255
    on_white = np.where(alpha == 255, IMAGES[:3], 255).astype(np.uint8)
    shown = look(np.concatenate([IMAGES[:3], alpha], axis=3))
    torch.testing.assert_close(shown, look(on_white), **CLOSE)
    assert (shown - look(IMAGES[:3])).abs().max() > 0.5


def blurred(images: np.ndarray) -> np.ndarray:
    change = ImageFilter.GaussianBlur(1)
    return np.stack([np.asarray(Image.fromarray(one).filter(change)) for one in images])


@pytest.mark.parametrize(
    "damage",
    [
        lambda images: images[..., ::-1],  # colours
        blurred,
        lambda images: np.roll(images, 32, axis=1),  # the layout
        lambda images: images[:, :, ::-1],  # mirrored
    ],
    ids=["colour", "blur", "layout", "mirror"],
)
def test_damage_is_seen(look: Extractor, damage: Any) -> None:
    # With texture: what is smooth already is hardly moved by blur.
    grain = np.random.default_rng(0).normal(0, 20, (8, 64, 64, 3))
    textured = (IMAGES[:8] + grain).clip(0, 255).astype(np.uint8)
    moved = (look(damage(textured)) - look(textured)).square().mean(dim=1).sqrt()
    assert moved.min() > 0.1  # standard deviations


@pytest.mark.parametrize("shape", [(1, 16, 16, 3), (1, 20, 70, 1), (1, 160, 200, 3)])
def test_other_sizes_are_scaled(look: Extractor, shape: tuple[int, ...]) -> None:
    found = look(np.full(shape, 90, np.uint8))
    assert found.shape == (1, 1619)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("images", [IMAGES[0], IMAGES.astype(np.float32), IMAGES[..., :2]])
def test_what_is_no_picture_is_refused(look: Extractor, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 is needed"):
        look(images)


def test_a_known_set_is_not_looked_at_again(
    counted: tuple[Extractor, Counted], own_cache: Path
) -> None:
    means, network = counted
    first = features_of(means, IMAGES[:5])
    assert network.calls == 1
    assert torch.equal(features_of(means, IMAGES[:5]), first)
    assert network.calls == 1
    assert len(list(own_cache.iterdir())) == 1
    features_of(means, IMAGES[:5], cache=False)
    features_of(means, IMAGES[5:10])
    features_of(means, IMAGES[:5].reshape(5, 32, 128, 3))  # the same bytes in another shape
    assert network.calls == 4
    other = Extractor("means@1", "means@1", 3, means.look, means.device)
    features_of(other, IMAGES[:5])
    assert network.calls == 5


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another's"])
def test_a_damaged_file_is_made_again(
    counted: tuple[Extractor, Counted], own_cache: Path, damage: str
) -> None:
    means, network = counted
    features_of(means, IMAGES[5:10])
    (foreign,) = own_cache.iterdir()
    first = features_of(means, IMAGES[:5])
    (path,) = (p for p in own_cache.iterdir() if p != foreign)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-30] ^= 1
    spoilt = {
        "cut": whole[:-9],
        "flipped": bytes(flipped),
        "empty": b"",
        "another's": foreign.read_bytes(),
    }
    path.write_bytes(spoilt[damage])
    assert torch.equal(features_of(means, IMAGES[:5]), first)
    assert network.calls == 3
    assert path.read_bytes() == whole


def test_without_room_in_the_cache_features_come_all_the_same(
    counted: tuple[Extractor, Counted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "file"))
    means, _ = counted
    assert torch.equal(features_of(means, IMAGES[:5]), means(IMAGES[:5]))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("randon", r"no extractor 'randon'; the nearest is 'random'"),
        ("inception", r"'inception' needs its weights: give their file, or ask for the download"),
        ("dinov2", r"'dinov2' needs its weights"),
        ("timm:mobilenetv2_100", r"'timm:mobilenetv2_100' needs its weights"),
    ],
)
def test_nothing_is_fetched_unasked(
    name: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "create_connection", forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    with pytest.raises(UserError, match=sentence):
        extractor(name)


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [("inception", "torch_fidelity", "torch-fidelity"), ("timm:resnet10t", "timm", "timm")],
)
def test_a_missing_package_is_named(
    name: str, module: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=f"pip install {package}, or use the extractor 'random'"):
        extractor(name, path)


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    with pytest.raises(UserError, match=r"there is no file .*some\.safetensors"):
        extractor("timm:resnet10t", path)
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="'random' takes no weights"):
        extractor("random", path)
    pytest.importorskip("timm")
    with pytest.raises(UserError, match="is no safetensors file"):
        extractor("timm:resnet10t", path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="are not those of timm:resnet10t"):
        extractor("timm:resnet10t", path)
    with pytest.raises(UserError, match="timm has no network 'nothing'"):
        extractor("timm:nothing", path)


def test_a_pickle_that_runs_something_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")
    path = tmp_path / "weights.pth"
    torch.save(SimpleNamespace(a=1), path)
    with pytest.raises(UserError, match="other files of this kind are not safe to read"):
        extractor("inception", path)


@pytest.mark.shared
def test_the_shared_weights_are_shown_what_they_were_trained_on(shared: Path) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import load_file

    path = shared / "weights" / "mobilenetv2_100.imagenet.safetensors"
    mobile = extractor("timm:mobilenetv2_100", path)
    network = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=1000).eval()
    network.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    shown = torch.from_numpy(IMAGES[:2]).permute(0, 3, 1, 2).float()
    large = nn.functional.interpolate(shown, (224, 224), mode="bicubic", antialias=True)
    with torch.inference_mode():
        expected = network.forward_features(large.clamp(0, 255) / 127.5 - 1).mean(dim=(2, 3))
    torch.testing.assert_close(mobile(IMAGES[:2]), expected, **CLOSE)
    assert mobile.dimension == 1280


def test_importing_loads_no_torch() -> None:
    code = "import sys, morelike.features; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


@pytest.mark.shared
def test_a_trained_network_disturbs_nobody_s_random_numbers(shared: Path) -> None:
    before = torch.get_rng_state()
    extractor("timm:mobilenetv2_100", shared / "weights" / "mobilenetv2_100.imagenet.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
