"""Training on a task: pairs come from the pictures, held-out ones are shown and measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import morelike
from morelike.api import settle
from morelike.checkpoint import Checkpoint
from morelike.errors import UserError
from morelike.models import configure
from morelike.pictures import read_png
from morelike.rng import StepDraws
from morelike.runs import Run
from morelike.settings import merge
from morelike.training.examples import examples
from morelike.training.feed import Feed
from morelike.training.probe import Fidelity, Probe

CPU = torch.device("cpu")
ENLARGE: dict[str, Any] = {
    "family": "enlarger",
    "task": {"name": "enlarge:2", "crop": 8},
    "data": {"resolution": 16, "held_out": 0.4},
    "generator": {"width": 4, "blocks": 1},
    "discriminator": {"width": 4, "layers": 1},
    "training": {"batch": 4, "images": 24, "device": "cpu", "precision": "fp32"},
}


def train(source: Path | str, run: Path, **more: Any) -> Run:
    return morelike.train(source, run=run, **merge(ENLARGE, more))


def state_of(run: Run) -> dict[str, torch.Tensor]:
    found = run.checkpoints.pointed("latest")
    assert isinstance(found, Checkpoint)
    return found.tensors()


@pytest.fixture(scope="module")
def trained(pictures: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(pictures(20), tmp_path_factory.mktemp("task") / "run")


@pytest.fixture(scope="module")
def small_generator(
    pictures: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A generator of pictures of 16 x 16, trained on nothing much."""
    folder = tmp_path_factory.mktemp("fakes") / "run"
    settings = {
        "data": {"resolution": 16},
        "generator": {"width": 4, "latent": 4},
        "discriminator": {"width": 4},
        "training": {"batch": 8, "images": 8, "device": "cpu", "precision": "fp32"},
    }
    return morelike.train(pictures(20), run=folder, family="dcgan", **settings).path


def feed_of(source: Path | str, **more: Any) -> tuple[Feed, Any, Any]:
    job = settle(source, None, None, None, merge(ENLARGE, more))
    return Feed(job.dataset, job.config, CPU), job.config, job.dataset


def test_a_run_shows_what_it_makes_of_held_out_pictures(trained: Run) -> None:
    sheet = read_png(trained.samples / "step-0000000-examples.png")
    held_out = len(trained.data()["split"]["held_out"])
    assert held_out == 8
    assert sheet.shape == (8 * 16, 4 * 16, 3)
    # The last column is the truth, and the first one it with half the pixels.
    real = {bytes(read_png(path)) for path in trained.samples.glob("frames/*.png")}
    assert real
    given, truth = sheet[:, :16], sheet[:, 48:]
    assert np.array_equal(given[::2, ::2], given[1::2, 1::2])
    assert not np.array_equal(truth[::2, ::2], truth[1::2, 1::2])
    assert np.abs(given.mean((0, 1)) - truth.mean((0, 1))).max() < 3


def test_a_run_in_two_parts_equals_a_run_in_one(
    trained: Run, pictures: Callable[[int], Path], tmp_path: Path
) -> None:
    run = train(pictures(20), tmp_path / "run", training={"images": 8})
    train(pictures(20), tmp_path / "run")
    one, other = state_of(trained), state_of(run)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_the_card_tells_how_to_use_it(trained: Run) -> None:
    card = (trained.generator / "README.md").read_text()
    assert "A network for the task enlarge:2, trained on pictures of 16 x 16" in card
    assert "morelike enhance apply" in card
    assert "seeds" not in card


def test_without_seeds_there_are_no_samples(trained: Run, small_generator: Path) -> None:
    for folder in (trained.path, trained.generator):
        with pytest.raises(UserError, match=r"makes pictures from pictures \(enlarge:2\)"):
            morelike.load(folder)
        network = morelike.load(folder, from_pictures=True).network
        assert network(torch.zeros(1, 3, 6, 5)).shape == (1, 3, 12, 10)
    with pytest.raises(UserError, match="makes pictures from seeds"):
        morelike.load(small_generator, from_pictures=True)


def test_the_feed_gives_pairs_that_belong_together(pictures: Callable[[int], Path]) -> None:
    feed, _, dataset = feed_of(pictures(20), task={"downscale": "area"}, data={"mirror": True})
    real, condition, unpaired = feed.shown(0, StepDraws(0, 0, "test", 4, 0, 4, CPU))
    assert real.shape == (4, 3, 8, 8)
    assert unpaired is None
    torch.testing.assert_close(condition, torch.nn.functional.avg_pool2d(real, 2))
    # Each is a part of one of the training pictures, or of its mirror image.
    images = dataset.images[dataset.train].astype(np.float32) / 127.5 - 1
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([images, images[:, :, ::-1]]), (8, 8), axis=(1, 2)
    )
    for picture in real.numpy():
        assert np.abs(windows - picture).max((3, 4, 5)).min() < 1e-6


def test_mirrored_pairs_stay_pairs(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    for number in range(12):
        picture = numbers.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "a" / f"{number}.png")
        Image.fromarray(255 - picture).save(tmp_path / "b" / f"{number}.png")
    source = f"pairs:{tmp_path / 'a'},{tmp_path / 'b'}"
    task = {"name": "pairs", "crop": None}
    feed, config, _ = feed_of(source, task=task, data={"mirror": True, "held_out": 0.0})
    assert config.data.size == (16, 32)
    draws = [StepDraws(0, at, "test", 8, 0, 8, CPU) for at in (0, 8)]
    seen = [feed.shown(one.images, one) for one in draws]
    for real, condition, _ in seen:
        assert real.shape == condition.shape == (8, 3, 16, 16)
        torch.testing.assert_close(real, -condition)
    plain = Feed(
        settle(
            source, None, None, None, merge(ENLARGE, {"task": task, "data": {"held_out": 0.0}})
        ).dataset,
        config.model_copy(update={"data": config.data.model_copy(update={"mirror": False})}),
        CPU,
    )
    straight = plain.shown(0, draws[0]).real
    turned = [not torch.equal(a, b) for a, b in zip(seen[0].real, straight, strict=True)]
    assert 0 < sum(turned) < 8
    for a, b, is_turned in zip(seen[0].real, straight, turned, strict=True):
        assert torch.equal(a, b.flip(2) if is_turned else b)


def test_pairs_and_their_task_go_together(pictures: Callable[[int], Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="pairs:DIR_A,DIR_B"):
        settle(pictures(20), None, None, None, merge(ENLARGE, {"task": {"name": "pairs"}}))
    with pytest.raises(UserError, match="train on it with the task pairs"):
        settle(f"pairs:{pictures(20)},{pictures(20)}", None, None, None, ENLARGE)


def test_fakes_are_drawn_once_and_kept(
    pictures: Callable[[int], Path], small_generator: Path, tmp_path: Path
) -> None:
    more = {"data": {"resolution": 32}, "task": {"crop": 16, "fakes": str(small_generator)}}
    heard: list[str] = []

    class Ear:
        def record(self, record: dict[str, Any]) -> None: ...
        def picture(self, name: str, picture: np.ndarray, images: int) -> None: ...
        def message(self, text: str) -> None:
            heard.append(text)

        def close(self) -> None: ...

    settings = merge(ENLARGE, more)
    one = morelike.train(
        pictures(20),
        run=tmp_path / "one",
        **merge(settings, {"training": {"images": 8}}),
        readers=[Ear()],
    )
    assert any("power" in text for text in heard)
    assert "generator_unpaired" in one.metrics()[-1]
    assert "discriminator_unpaired" in one.metrics()[-1]
    straight = morelike.train(pictures(20), run=tmp_path / "two", **settings)
    kept = one.fakes.read_bytes()
    small_generator.rename(tmp_path / "gone")
    try:  # the run goes on without the generator
        morelike.train(run=one.path, images=24)
    finally:
        (tmp_path / "gone").rename(small_generator)
    assert one.fakes.read_bytes() == kept
    found, other = state_of(one), state_of(straight)
    assert [name for name in found if not torch.equal(found[name], other[name])] == []


def test_fakes_of_another_size_are_refused(
    pictures: Callable[[int], Path], small_generator: Path
) -> None:
    more = {"data": {"resolution": 64}, "task": {"crop": 16, "fakes": str(small_generator)}}
    with pytest.raises(UserError, match="begins with 32 x 32 with 3 channels"):
        settle(pictures(20), None, None, None, merge(ENLARGE, more))


def test_examples_are_always_the_same_held_out_pictures(pictures: Callable[[int], Path]) -> None:
    _, config, dataset = feed_of(pictures(20))
    few, all_of_them = examples(dataset, config, 3), examples(dataset, config, 99)
    assert len(few.truth) == 3
    assert len(all_of_them.truth) == len(dataset.held_out)
    held = {picture.tobytes() for picture in dataset.images[dataset.held_out]}
    assert {picture.tobytes() for picture in all_of_them.truth} == held
    again = examples(dataset, config, 3)
    assert torch.equal(few.inputs, again.inputs)
    assert few.inputs.shape == (3, 3, 8, 8)


def test_the_probe_measures_nearness_and_ranks_by_features(
    trained: Run, pictures: Callable[[int], Path]
) -> None:
    _, config, dataset = feed_of(pictures(20))

    class At:
        images, seconds, device = 0, 60.0, CPU
        ema = morelike.load(trained.path, from_pictures=True, device="cpu").network

    probe = Probe(dataset, config)
    reading, word = probe.read(At)  # type: ignore[arg-type]
    assert isinstance(reading, Fidelity)
    assert word == ""
    assert reading.pictures == len(dataset.held_out)
    assert reading.rank == reading.feature_distance > 0
    assert reading.figures().keys() == {"feature_distance", "psnr", "ssim"}

    class Blurred(torch.nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            mean = given.mean((2, 3), keepdim=True)
            return mean.expand(-1, -1, 2 * given.shape[2], 2 * given.shape[3])

    At.ema = Blurred()
    worse, _ = probe.read(At)  # type: ignore[arg-type]
    assert worse.rank > reading.rank
    assert worse.figures()["psnr"] < reading.figures()["psnr"]
    assert worse.figures()["ssim"] < reading.figures()["ssim"]


def test_a_configuration_without_a_task_has_none() -> None:
    assert configure({}).task.name == ""
    with pytest.raises(UserError, match="must be a multiple of 4"):
        configure({"family": "enlarger", "task": {"name": "enlarge:4", "crop": 18}})
    with pytest.raises(UserError, match="fakes are small pictures"):
        configure({"family": "unet", "task": {"name": "colorize", "fakes": "runs/1"}})
    with pytest.raises(UserError, match="degrade has no meaning"):
        configure({"family": "unet", "task": {"name": "colorize", "degrade": ["blur"]}})
