"""Networks that learnt from photographs: of timm, and the Inception of FID through torch-fidelity.

Their weights come from a file, or from where their packages fetch them. Nothing is fetched unless
`extractor` was asked to; both packages are optional.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from morelike.errors import MorelikeError, UserError
from morelike.features.extractor import Look

DINOV2 = "vit_small_patch14_dinov2.lvd142m"
PATCH_SIDE = 224
"""Side of the pictures for networks on patches that were made for larger ones, such as DINOv2 for
518: 16x16 patches instead of 37x37, a fifth of the time, as its own evaluation does."""


class Special(NamedTuple):
    """What weights want that is not what timm says of the network of this name."""

    arguments: dict[str, Any]
    mean: float
    std: float


SPECIAL = {
    # MobileNetV2 1.0 224 dequantised from TensorFlow's, which pads and scales otherwise.
    "408468cc57c38833d96d6e10b74ecf4b": Special({"pad_type": "same"}, 0.5, 0.5),
}
"""By the BLAKE2b hash of the file."""


def timm(name: str, weights: Path | None) -> Look:
    """A network of timm ("timm:NAME" or "dinov2") without its classifier.

    Pictures are scaled to its size as a whole, bicubic and antialiased, and normalised as timm says
    the weights want it.

    Args:
        name: the name of the extractor.
        weights: a safetensors file; None fetches timm's own from the Hugging Face hub.

    Raises:
        UserError: if timm or the network is missing, or the file does not fit it.
        MorelikeError: if the weights cannot be fetched.
    """
    try:
        import timm as package
    except ImportError:
        raise _missing(name, "timm", "timm") from None
    model = DINOV2 if name == "dinov2" else name.removeprefix("timm:")
    if not package.is_model(model):
        raise UserError(
            f"timm has no network '{model}'; timm.list_models() names those that it has."
        )
    stored = None if weights is None else _safetensors(weights)
    special = None if weights is None else SPECIAL.get(_file_digest(weights))
    arguments = special.arguments if special else {}
    try:
        network: Any = package.create_model(
            model, pretrained=weights is None, num_classes=0, **arguments
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise _no_download(name, error) from error
    about = network.pretrained_cfg
    if stored is not None:
        heads = about.get("classifier") or ()
        heads = (heads,) if isinstance(heads, str) else tuple(heads)
        body = {k: v for k, v in stored.items() if not k.startswith(tuple(f"{h}." for h in heads))}
        _load(network, body, name, weights)
    size = _size(network, about)
    mean, std = (special.mean, special.std) if special else (about["mean"], about["std"])
    return Look(network, _Normalised(size, mean, std))


def inception(weights: Path | None) -> Look:
    """The Inception v3 of FID (Heusel et al. 2017), as TensorFlow's FID has it: 2,048 features.

    Args:
        weights: torch-fidelity's weights-inception-2015-12-05-6726825d.pth, or the same as
            safetensors; None fetches the former from torch-fidelity's releases.

    Raises:
        UserError: if torch-fidelity is missing, or the file is not these weights.
        MorelikeError: if the weights cannot be fetched.
    """
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as package
    except ImportError:
        raise _missing("inception", "torch-fidelity", "torch_fidelity") from None
    path = _fetched(package.URL_INCEPTION_V3) if weights is None else weights
    source: Any = str(path)
    if path.suffix == ".safetensors":
        source = io.BytesIO()
        torch.save(_safetensors(path), source)
        source.seek(0)
    elif not _file_sha256(path).startswith(_hash_in(package.URL_INCEPTION_V3)):
        # A .pth runs what it says while it is read, so only the one that is known may be.
        raise UserError(
            f"{path} is not torch-fidelity's {package.URL_INCEPTION_V3.rpartition('/')[2]}, and "
            "other files of this kind are not safe to read; give the weights as safetensors."
        )
    try:
        network: Any = package.FeatureExtractorInceptionV3("inception", ["2048"], source)
    except RuntimeError as error:
        raise _misfit(path, "inception", error) from error
    return Look(_First(network), lambda images: images.round().to(torch.uint8))


class _Normalised:
    """Scales pictures in [0, 255] to a size and normalises them, as they were in training."""

    def __init__(self, size: tuple[int, int], mean: Any, std: Any) -> None:
        self._size = size
        self._mean = torch.tensor(mean).reshape(1, -1, 1, 1)
        self._std = torch.tensor(std).reshape(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        large = F.interpolate(images, self._size, mode="bicubic", antialias=True)
        normal = (large.clamp(0, 255) / 255 - self._mean.to(images)) / self._std.to(images)
        return normal.contiguous(memory_format=torch.channels_last)  # twice as fast on CPUs


class _First(nn.Module):
    """torch-fidelity gives a tuple of what was asked for."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)[0]


def _size(network: Any, about: Any) -> tuple[int, int]:
    """(height, width) that the network is shown."""
    height, width = about["input_size"][1:]
    if about.get("fixed_input_size") and height > PATCH_SIDE and hasattr(network, "set_input_size"):
        network.set_input_size(img_size=PATCH_SIDE)
        return PATCH_SIDE, PATCH_SIDE
    return height, width


def _safetensors(path: Path) -> dict[str, Tensor]:
    """The weights in a safetensors file, as float32 where they are of fewer bits."""
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is no safetensors file; give the weights as one.") from error
    return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}


def _load(network: nn.Module, state: dict[str, Tensor], name: str, path: Path | None) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise _misfit(path, name, error) from error


def _misfit(path: Path | None, name: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:160]
    return UserError(f"the weights in {path} are not those of {name} ({reason}...); give its own.")


def _fetched(url: str) -> Path:
    """Where torch keeps this file, fetched if it is not there; the name ends in its SHA-256."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(
                url, str(path), hash_prefix=_hash_in(url), progress=False
            )
        except (OSError, RuntimeError) as error:
            raise _no_download("inception", error) from error
    return path


def _hash_in(url: str) -> str:
    """The beginning of the file's SHA-256, with which torch's names of weights end."""
    return Path(url).stem.rpartition("-")[2]


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _missing(name: str, package: str, module: str) -> UserError:
    return UserError(
        f"the extractor '{name}' needs the package {module}, which is not installed; "
        f"pip install {package}, or use the extractor 'random'."
    )


def _no_download(name: str, error: Exception) -> MorelikeError:
    reason = " ".join(str(error).split())[:160]
    return MorelikeError(
        f"the weights of '{name}' could not be fetched ({reason}); fetch their file by other means "
        "and name it, or use the extractor 'random'."
    )
