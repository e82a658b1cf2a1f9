from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from enhance.test_tiles import together, whole
from morelike.config import Config
from morelike.enhance.apply import apply
from morelike.enhance.model import Model, of_run
from morelike.errors import UserError
from morelike.models import configure, families, family
from morelike.models.family import FromPictures
from morelike.pictures import to_uint8
from morelike.runs import Run
from morelike.tasks import task_of

TASKS = {"enlarger": ("enlarge:2", "enlarge:4", "enlarge:8", "inpaint"), "unet": ("inpaint",)}
SMALL: dict[str, dict[str, Any]] = {"enlarger": {"blocks": 2}, "unet": {"levels": 2}}
"""So that tiles are small beside the test's picture, too."""


def model_of(name: str, task: str) -> Model:
    """A network of a family with random weights, in float64."""
    settings = {"data": {"resolution": 64, "channels": 3}, "discriminator": {"width": 4}}
    generator = {"width": 4, **SMALL[name]}
    config: Config[Any, Any] = configure(
        {"family": name, "task": {"name": task}, "generator": generator, **settings}
    )
    torch.manual_seed(0)
    network: Any = family(name).build(config).generator
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    exact, learnt = network.double().eval().requires_grad_(False), task_of(config)
    assert isinstance(network, FromPictures) and learnt is not None
    return Model(
        name,
        task,
        lambda given: exact(given.double()),
        learnt.channels,
        3,
        learnt.scale,
        stride=network.stride,
        reach=network.reach,
    )


CASES = [(name, task) for name, tasks in TASKS.items() for task in tasks]


@pytest.mark.parametrize(("name", "task"), CASES, ids=str)
def test_tiles_of_every_family_make_the_whole(name: str, task: str) -> None:
    model = model_of(name, task)
    numbers = torch.Generator().manual_seed(1)
    given = 2 * torch.rand((model.takes, 97, 131), generator=numbers) - 1
    most = 2 * (model.reach + model.stride) + 24
    made = together(model, given, most)
    assert made.std() > 0.1
    torch.testing.assert_close(made, whole(model, given), atol=1e-5, rtol=0)


def test_every_family_that_starts_from_pictures_is_tried() -> None:
    config = configure({})
    networks = (family(name).GeneratorConfig for name in families() if name not in TASKS)
    assert config.task.name == "" and not any("pixels" in each.model_fields for each in networks)


def test_a_run_says_what_it_is(enlarger_run: Run) -> None:
    model = of_run(enlarger_run.path, device="cpu")
    assert (model.task, model.takes, model.gives, model.scale) == ("enlarge:2", 3, 3, 2)
    assert model.stride == 1 and model.reach > 1 and model.keeps_gray
    assert model.notes == {
        "run": enlarger_run.name,
        "checkpoint": "80 images, averaged weights",
        "task": "enlarge:2",
    }
    shared = of_run(enlarger_run.generator, device="cpu")
    given = torch.rand(1, 3, 8, 9)
    torch.testing.assert_close(shared.network(given), model.network(given))
    raw = of_run(enlarger_run.path, "latest", raw=True, device="cpu")
    assert "raw weights" in raw.notes["checkpoint"]
    assert not torch.equal(raw.network(given), model.network(given))


def test_only_what_enlarges_keeps_gray(colorizer_run: Run) -> None:
    model = of_run(colorizer_run.path, device="cpu")
    assert (model.task, model.takes, model.gives) == ("colorize", 1, 3)
    assert not model.keeps_gray and model.stride == 4


def test_a_run_applied_to_a_file_is_its_network(enlarger_run: Run, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (43, 61, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    model = of_run(enlarger_run.path, device="cpu")
    done = apply(model, [tmp_path / "a.png"], tmp_path / "out", tile=24)
    shown = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    with Image.open(done.written[0]) as image:
        made = np.asarray(image)
    wanted = to_uint8(model.network(shown))[0]
    assert np.abs(made.astype(int) - wanted).max() <= 1 and (made == wanted).mean() > 0.999


def test_it_enlarges_better_than_pixels_repeated(enlarger_run: Run, wide_pictures: Path) -> None:
    model = of_run(enlarger_run.path, device="cpu")
    assert model.learnt is not None
    errors: list[tuple[float, float]] = []
    for path in sorted(wide_pictures.glob("*.png")):
        with Image.open(path) as image:
            target = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
        small: Tensor = F.avg_pool2d(target, 2)
        made = model.network(small)
        repeated = F.interpolate(small, scale_factor=2.0)
        errors.append(
            (float((made - target).square().mean()), float((repeated - target).square().mean()))
        )
    own, other = np.mean(errors, 0)
    assert own < 0.9 * other


def test_a_generator_from_chance_is_none(trained_run: Run) -> None:
    for path in (trained_run.path, trained_run.generator):
        with pytest.raises(UserError, match="makes pictures from seeds, not from pictures; name a"):
            of_run(path)
    with pytest.raises(UserError, match="neither a run folder nor a generator folder"):
        of_run("nowhere")


def test_the_trainer_is_never_loaded() -> None:
    code = """
import sys
from morelike.enhance import apply, general, match, score
print([name for name in sys.modules if name.startswith(("morelike.training", "spandrel", "timm"))])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
