"""Each task by its name, as training asks for it."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.config import Config, DataConfig, Section, TaskConfig
from morelike.errors import UserError
from morelike.rng import SeedDraws, StepDraws
from morelike.tasks import Fakes, Task, luma, measured, resample, task_of
from morelike.tasks.edges import edges

CPU = torch.device("cpu")
NAMES = [name for name in get_args(TaskConfig.model_fields["name"].annotation) if name]
WITHOUT_ALPHA = ("colorize", "from-edges", "inpaint", "pairs")


def settings(
    name: str, channels: int = 3, resolution: int = 32, width: int | None = None, **task: Any
) -> Config[Section, Section]:
    return Config[Section, Section](
        data=DataConfig.model_validate(
            {"resolution": resolution, "width": width, "channels": channels}
        ),
        generator=Section(),
        discriminator=Section(),
        task=TaskConfig.model_validate({"name": name, **task}),
    )


def built(name: str, channels: int = 3, fakes: Fakes | None = None, **task: Any) -> Task:
    width = 64 if name == "pairs" else None
    found = task_of(settings(name, channels, width=width, **task), fakes)
    assert found is not None
    return found


def drawn(count: int, channels: int, height: int = 32, width: int = 32) -> Tensor:
    """Soft blobs in [-1, 1]."""
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(count, channels, 6, 6, generator=generator).double() * 2.4 - 1.2
    return resample(rough, (height, width), "bicubic").clamp(-1, 1)


def like(name: str, count: int, channels: int) -> Tensor:
    return drawn(count, channels, 32, 64 if name == "pairs" else 32)


def channels_of(name: str) -> list[int]:
    if name == "colorize":
        return [3]
    return [1, 3] if name in WITHOUT_ALPHA else [1, 3, 4]


EACH = [(name, channels) for name in NAMES for channels in channels_of(name)]


def test_without_a_name_there_is_no_task() -> None:
    assert task_of(settings("")) is None


@pytest.mark.parametrize(("name", "channels"), EACH)
@pytest.mark.parametrize("crop", [None, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_given_and_what_it_should_become(
    name: str, channels: int, crop: int | None, dtype: torch.dtype
) -> None:
    task, pictures = built(name, channels), like(name, 3, channels).to(dtype)
    pair = task.pair(pictures, SeedDraws(range(3), CPU), crop)
    assert task.name == name and task.halves == (name == "pairs")
    assert task.scale == int(name.partition(":")[2] or 1)
    side = crop or 32
    assert pair.target.shape == (3, channels, side, side)
    assert pair.input.shape == (3, task.channels, side // task.scale, side // task.scale)
    for values in pair:
        assert values.dtype == dtype and values.isfinite().all()
        assert values.min() >= -1 and values.max() <= 1 and values.std() > 0.05
    if crop is None and name != "pairs":
        assert torch.equal(pair.target, pictures)


@pytest.mark.parametrize(("name", "channels"), EACH)
def test_a_row_is_the_same_in_any_company(name: str, channels: int) -> None:
    task, pictures = built(name, channels), like(name, 4, channels)
    together = task.pair(pictures, SeedDraws([3, 9, 1, 4], CPU), 16)
    again = task.pair(pictures, SeedDraws([3, 9, 1, 4], CPU), 16)
    alone = task.pair(pictures[2:3], SeedDraws([1], CPU), 16)
    for whole, same, one in zip(together, again, alone, strict=True):
        assert torch.equal(whole, same)
        assert torch.allclose(one, whole[2:3], atol=1e-6)


@pytest.mark.parametrize("name", ["enlarge:2", "inpaint", "deblur"])
def test_a_part_of_a_batch_gets_what_the_whole_gets(name: str) -> None:
    steps = ("blur", "noise", "jpeg") if name != "inpaint" else ()
    task, pictures = built(name, degrade=steps), drawn(6, 3)
    whole = task.pair(pictures, StepDraws(0, 60, "generator", 6, 0, 6, CPU), 16)
    part = task.pair(pictures[2:5], StepDraws(0, 60, "generator", 6, 2, 5, CPU), 16)
    assert torch.allclose(part.input, whole.input[2:5], atol=1e-5)
    assert torch.equal(part.target, whole.target[2:5])
    later = task.pair(pictures, StepDraws(0, 66, "generator", 6, 0, 6, CPU), 16)
    assert not torch.allclose(later.input, whole.input, atol=0.01)


def test_what_each_input_is() -> None:
    pictures, draws = drawn(4, 3), SeedDraws(range(4), CPU)
    for filter in ("area", "bicubic", "lanczos"):
        small = built("enlarge:4", downscale=filter).pair(pictures, draws).input
        assert torch.allclose(small, resample(pictures, (8, 8), filter).clamp(-1, 1))
    assert torch.equal(built("colorize").pair(pictures, draws).input, luma(pictures))
    assert torch.equal(built("from-edges").pair(pictures, draws).input, edges(pictures))
    left, right = drawn(4, 3), -drawn(4, 3)
    pair = built("pairs").pair(torch.cat([left, right], 3), draws)
    assert torch.equal(pair.input, left) and torch.equal(pair.target, right)
    holes = built("inpaint").pair(pictures, draws).input
    assert ((holes[:, 3:] == 1).expand(-1, 3, -1, -1) == (holes[:, :3] == 0)).all()
    soft = built("deblur").pair(pictures, draws).input
    assert soft.diff(dim=3).square().mean() < pictures.diff(dim=3).square().mean()


@pytest.mark.parametrize("name", ["enlarge:2", "deblur"])
def test_inputs_are_degraded_besides_and_targets_are_not(name: str) -> None:
    pictures, draws = drawn(4, 3), SeedDraws(range(4), CPU)
    plain, worse = built(name), built(name, degrade=("noise", "jpeg"))
    clean, dirty = (task.pair(pictures, draws) for task in (plain, worse))
    assert torch.equal(dirty.target, pictures)
    assert 0.003 < (dirty.input - clean.input).std() < 0.2


def eight_bits(pictures: Tensor) -> np.ndarray:
    return ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def test_a_share_of_the_inputs_is_made_like_samples() -> None:
    pictures, draws = drawn(200, 3, 16, 16), SeedDraws(range(200), CPU)
    plain = built("enlarge:2").pair(pictures, draws).input
    noise = 0.1 * torch.randn(plain.shape, generator=torch.Generator().manual_seed(0))
    fakes = measured(eight_bits((plain + noise).clamp(-1, 1)), eight_bits(plain))
    for share, least, most in ((0.0, 0, 0), (0.4, 60, 100), (1.0, 198, 200)):
        task = built("enlarge:2", fakes=fakes, like_fakes=share)
        found = task.pair(pictures, draws)
        changed = ((found.input - plain).abs().amax((1, 2, 3)) > 1e-4).sum()
        assert least <= changed <= most
        assert torch.equal(found.target, pictures)


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("colorize", {"channels": 1}, "colorize learns colours, and these pictures are gray"),
        *((name, {"channels": 4}, "set data.channels=3 to lay them on") for name in WITHOUT_ALPHA),
        ("enlarge:8", {"resolution": 16, "width": 20}, "multiples of 8, not 20 x 16; set data"),
        ("pairs", {}, "data.width is 32; set data.width=64"),
    ],
)
def test_pictures_that_do_not_suit_a_task_are_refused_in_one_sentence(
    name: str, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        task_of(settings(name, **given))
    text = str(caught.value)
    assert text.endswith(".") and ". " not in text
