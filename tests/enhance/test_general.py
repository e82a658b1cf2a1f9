from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from conftest import WritePictures
from morelike.enhance.apply import apply
from morelike.enhance.general import REACH, of_file
from morelike.errors import UserError


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small enlarger of an architecture that spandrel knows, with random weights."""
    pytest.importorskip("spandrel", reason="needs spandrel: pip install 'morelike[general]'")
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    network = Compact(num_feat=8, num_conv=2, upscale=2)
    path = tmp_path_factory.mktemp("general") / "compact.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_what_it_is_comes_from_its_weights(weights: Path) -> None:
    model = of_file(weights, device="cpu")
    assert (model.task, model.scale, model.takes, model.gives) == ("enlarge:2", 2, 3, 3)
    assert model.reach == REACH and not model.whole and model.keeps_gray
    assert (
        "RealESRGAN Compact" in model.says[0] and "is not known, so tiles overlap" in model.says[0]
    )


def test_tiles_make_the_whole(weights: Path, tmp_path: Path, write_pictures: WritePictures) -> None:
    source = write_pictures(tmp_path / "in", 1, width=130, height=101)
    model = of_file(weights, device="cpu")
    done = apply(model, [source], tmp_path / "out", tile=90)
    with Image.open(done.written[0]) as image:
        made = np.asarray(image)
        assert dict(image.text)["model"] == "compact.safetensors"  # pyright: ignore[reportAttributeAccessIssue]
    with Image.open(source / "000.png") as image:
        shown = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    import spandrel

    loaded: Any = spandrel.ModelLoader().load_from_state_dict(_state(weights))
    wanted = (255 * loaded(shown)[0]).permute(1, 2, 0).numpy()
    assert made.shape == (202, 260, 3)
    assert np.abs(made - wanted).max() < 0.51


def _state(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def test_inputs_can_be_derived(
    weights: Path, tmp_path: Path, write_pictures: WritePictures
) -> None:
    source = write_pictures(tmp_path / "in", 1, width=41, height=30)
    done = apply(of_file(weights, device="cpu"), [source], tmp_path / "out", from_whole=True)
    with Image.open(done.inputs[0]) as small, Image.open(done.written[0]) as large:
        assert (small.size, large.size) == ((20, 15), (40, 30))


def test_pickles_are_never_read(tmp_path: Path) -> None:
    for name in ("model.pth", "MODEL.PT", "x.ckpt"):
        (tmp_path / name).write_bytes(b"\x80\x04")
        with pytest.raises(UserError, match="is a pickle, which may run any program while it is"):
            of_file(tmp_path / name)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        of_file(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(UserError, match="is no safetensors file; give the weights as one"):
        of_file(tmp_path / "text.safetensors")


def test_weights_of_nothing_known(tmp_path: Path) -> None:
    pytest.importorskip("spandrel", reason="needs spandrel: pip install 'morelike[general]'")
    for name in ("some.weight", "body.0.weight"):
        path = tmp_path / "odd.safetensors"
        save_file({name: torch.zeros(3), "body.1.weight": torch.zeros(2)}, path)
        with pytest.raises(UserError, match=r"spandrel finds no architecture in .*odd\.saf"):
            of_file(path, device="cpu")


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UserError, match=r"needs the package spandrel, .* 'morelike\[general\]'"):
        of_file(path)


def test_holes_are_filled_by_a_general_inpainter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What such a model is called with: a picture in [0, 1] and a mask of 0 and 1."""
    spandrel = pytest.importorskip("spandrel", reason="needs spandrel")
    from morelike.enhance import general

    class Fills:
        purpose, scale, input_channels, output_channels = "Inpainting", 1, 3, 3
        supports_bfloat16 = False
        size_requirements = spandrel.SizeRequirements(minimum=16, multiple_of=8)
        tiling = spandrel.ModelTiling.DISCOURAGED
        architecture = spandrel.MAIN_REGISTRY["LaMa"].architecture
        model = torch.nn.Identity()

        def to(self, *where: Any) -> Fills:
            return self

        def eval(self) -> Fills:
            return self

        def __call__(self, shown: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            assert shown.shape[1:] == (3, 16, 24) and mask.shape[1:] == (1, 16, 24)
            assert shown.min() >= 0 and set(mask.unique().tolist()) == {0, 1}
            return shown * (1 - mask) + mask

    monkeypatch.setattr(spandrel.ModelLoader, "load_from_state_dict", lambda *_: Fills())
    monkeypatch.setattr(general, "_weights", lambda path: {})
    model = of_file("lama.safetensors", device="cpu", precision="auto")
    assert (model.task, model.takes, model.gives) == ("inpaint", 4, 3)
    assert (model.stride, model.least) == (8, 16)
    assert "its authors discourage tiles" in model.says[1]
    given = torch.zeros(2, 4, 16, 24)
    given[:, 3] = -1
    given[:, 3, :4] = 1
    made = model.network(given)
    assert made.shape == (2, 3, 16, 24)
    assert (made[:, :, :4] == 1).all() and (made[:, :, 4:] == 0).all()
    with pytest.raises(UserError, match="does not work in bf16; give --precision fp32"):
        of_file("lama.safetensors", device="cpu", precision="bf16")
