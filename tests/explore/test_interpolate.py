from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from morelike.errors import UserError
from morelike.explore import interpolate as module
from morelike.explore import opened as opening
from morelike.explore.found import Found
from morelike.explore.interpolate import interpolate
from morelike.explore.opened import Opened
from morelike.explore.paths import Parts
from morelike.features import extractor
from morelike.models import configure, family
from morelike.runs import Run
from morelike.sampling import TrainedGenerator, load
from morelike.space import Points, space_of

LABELS = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}


@pytest.fixture(scope="module", autouse=True)
def one_extractor() -> Iterator[None]:
    """It takes a second to draw, and is the same each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "extractor", functools.cache(extractor))
        yield


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is handed over to be written: sheets, films, seconds."""
    kept: dict[str, Any] = {}

    def write(folder: Path, what: str, facts: Any, sheets: Any, films: Any, **more: Any) -> Found:
        kept.update(sheets=sheets, film=films["interpolate"], **more)
        return Found(folder, {}, dict(facts))

    monkeypatch.setattr(module, "write", write)
    return kept


def untrained(name: str, shape: dict[str, int], condition: dict[str, Any]) -> TrainedGenerator:
    """A generator whose pictures differ, with noise that shows."""
    config = configure(
        {
            "family": name,
            "data": {"channels": 3, "mirror": False, **shape},
            "generator": {"width": 2} | ({} if name == "regressor" else {"latent": 6}),
            "condition": condition,
        }
    )
    torch.manual_seed(0)
    network = family(name).build(config).generator
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith(("bias", "strength")):
                parameter.add_(0.3 * torch.randn_like(parameter))
    return TrainedGenerator(config, network.eval(), torch.device("cpu"), "fp32", "x", "y")


# The whole ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(trained_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("walk") / "deep" / "down"
    return interpolate(trained_run.path, folder, seeds=[3, 9, 27], frames=10, device="cpu")


def test_everything_is_there(made: Found) -> None:
    names = {"interpolate.png", "interpolate.gif", "interpolate.mp4", "interpolate.json"}
    assert {path.name for path in made.folder.iterdir()} == names == set(made.files)
    assert json.loads(made.files["interpolate.json"].read_text()) == made.facts
    with Image.open(made.files["interpolate.gif"]) as film:
        # 16 pixels, shown sixteenfold; twice ten steps and the first picture.
        assert (film.size, getattr(film, "n_frames", 0)) == ((256, 256), 21)
    with Image.open(made.files["interpolate.png"]) as sheet:
        # Nine pictures of 64 beside the words, two rows of them.
        assert sheet.width == 24 + 190 + 9 * 68
        assert 2 * 68 < sheet.height < 2 * 68 + 120


def test_the_figures_agree_with_each_other(made: Found) -> None:
    facts = made.facts
    assert (facts["mode"], facts["seeds"], facts["loop"]) == ("slerp", [3, 9, 27], False)
    legs = facts["legs"]
    assert [leg["seeds"] for leg in legs] == [[3, 9], [9, 27]]
    assert facts["length"] == pytest.approx(sum(leg["length"] for leg in legs), abs=2e-4)
    assert all(leg["length"] >= leg["straight"] > 0 for leg in legs)
    assert len(made.lines) == 3


def test_pictures_change_at_an_even_rate(
    tmp_path: Path, written: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = untrained("dcgan", {"resolution": 16}, {})
    with torch.no_grad():
        for parameter in generator.network.parameters():
            parameter.mul_(6)  # so that pictures differ by many levels
    monkeypatch.setattr(
        module, "opened", lambda *_: Opened(tmp_path, generator, space_of(generator.network))
    )
    found = interpolate(tmp_path, tmp_path, seeds=[3, 9, 27], frames=8)
    seen = extractor("random")(np.stack(written["film"])[:, ::16, ::16]).double().numpy()
    steps = np.linalg.norm(np.diff(seen, axis=0), axis=1).reshape(2, 8)
    for leg, some in zip(found.facts["legs"], steps, strict=True):
        assert leg["unevenness"] == pytest.approx(some.max() / np.median(some), abs=1e-3)
        assert leg["unevenness"] < 1.15
        assert leg["unevenness_before"] > 1.2


def test_the_film_shows_each_seeds_sample(
    trained_run: Run, tmp_path: Path, written: dict[str, Any]
) -> None:
    samples = load(trained_run.path, device="cpu").sample([5, 1, 8])
    for loop, even in ((False, True), (True, False)):
        interpolate(trained_run.path, tmp_path, seeds=[5, 1, 8], frames=6, loop=loop, even=even)
        film = np.stack(written["film"])[:, ::16, ::16]
        assert len(film) == (19 if loop else 13)
        assert np.array_equal(film[[0, 6, 12]], samples)
        assert written["seconds"] == pytest.approx(len(film) / 12)
        if loop:
            assert np.array_equal(film[18], samples[0])


@pytest.mark.parametrize(
    ("name", "mode", "condition"),
    [
        ("infogan", "slerp", LABELS),
        ("fastgan", "slerp", LABELS),
        ("style", "w", LABELS),
        ("style", "slerp", {}),
        ("regressor", "slerp", LABELS),
        ("mlp", "lerp", {}),
    ],
)
def test_all_families_walk_from_sample_to_sample(
    name: str,
    mode: str,
    condition: dict[str, Any],
    tmp_path: Path,
    written: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape = {"resolution": 16, "channels": 1} if name == "mlp" else {"resolution": 32, "width": 16}
    generator = untrained(name, shape, condition)

    def opened(*_: Any) -> Opened:
        return Opened(tmp_path, generator, space_of(generator.network))

    monkeypatch.setattr(module, "opened", opened)
    asked = None if mode in ("slerp", "w") and name != "style" else mode
    found = interpolate(tmp_path, tmp_path, seeds=[3, 4], frames=3, mode=asked)
    assert found.facts["mode"] == mode
    samples = generator.sample([3, 4])
    times = 256 // shape["resolution"]
    film = np.stack(written["film"])[:, ::times, ::times]
    assert np.array_equal(film[[0, -1]], np.broadcast_to(samples, (2, *samples.shape[1:3], 3)))


def test_a_style_network_walks_in_w_unless_told_otherwise(
    tmp_path: Path, written: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = untrained("style", {"resolution": 16}, {})
    monkeypatch.setattr(
        module, "opened", lambda *_: Opened(tmp_path, generator, space_of(generator.network))
    )
    films = {}
    for mode in (None, "w", "slerp", "lerp"):
        interpolate(tmp_path, tmp_path, seeds=[3, 4], frames=2, mode=mode, even=False)
        films[mode] = written["film"][1]
    assert np.array_equal(films[None], films["w"])
    assert not np.array_equal(films["w"], films["slerp"])
    w = space_of(generator.network, "w")
    model = Opened(tmp_path, generator, w)
    ends = model.points([3, 4])
    noise = ends.rest[0].double()
    # Half-way round the sphere both have the same part, whatever the angle.
    unit = torch.nn.functional.normalize(noise, dim=1).sum(0)
    half = unit / unit.norm() * noise.norm(dim=1).mean()
    middle = model.show(Points(ends.values.mean(0, keepdim=True), (half.float()[None],)))
    assert np.abs(middle[0].astype(int) - films["w"][::16, ::16]).max() <= 1


# Even steps ---------------------------------------------------------------------------------------


def walk(picture: Any, unit: float = 2.0) -> Any:
    """A walk on which the place t alone is known, and what features are of it."""
    model: Any = SimpleNamespace(show=lambda points: points.values.numpy())

    def look(places: np.ndarray) -> torch.Tensor:
        return picture(torch.from_numpy(places[:, 0]))

    by: Any = SimpleNamespace(look=look, unit=unit)
    ends = [(Points(torch.full((1, 1), t).double(), ()), np.full((1, 1), t)) for t in (0.0, 1.0)]
    return module._Walk(model, by, Parts(0, 0), "lerp", *ends)


def test_steps_are_evened_out() -> None:
    def cubic(t: torch.Tensor) -> torch.Tensor:
        return torch.stack([t**3, torch.zeros_like(t)], 1)

    before = module._leg(walk(cubic), (1, 2), 10, False)
    assert (before.length, before.straight) == (pytest.approx(0.5), pytest.approx(0.5))
    cubes = np.diff(np.linspace(0, 1, 11) ** 3)
    assert before.before == before.after == pytest.approx(cubes.max() / np.median(cubes))
    np.testing.assert_allclose(before.images[:, 0], np.linspace(0, 1, 11))
    after = module._leg(walk(cubic), (1, 2), 10, True)
    assert after.before == pytest.approx(before.before)
    assert after.after < 1.05
    # Along t^3 equal steps are at the cube roots; between measured places it is taken as straight.
    np.testing.assert_allclose(after.images[:, 0], np.cbrt(np.linspace(0, 1, 11)), atol=0.01)


def test_a_detour_is_longer_than_straight() -> None:
    def half_a_circle(t: torch.Tensor) -> torch.Tensor:
        return torch.stack([(math.pi * t).cos(), (math.pi * t).sin()], 1)

    leg = module._leg(walk(half_a_circle, unit=0.5), (1, 2), 24, True)
    assert leg.straight == pytest.approx(4)
    assert leg.length == pytest.approx(2 * math.pi, rel=1e-3)
    assert leg.before == pytest.approx(1)


def test_a_generator_that_makes_one_picture_walks_too() -> None:
    leg = module._leg(walk(lambda t: torch.zeros((len(t), 2))), (1, 2), 4, True)
    assert (leg.length, leg.before, leg.after) == (0, 1, 1)
    jump = module._leg(walk(lambda t: (t > 0.9).double()[:, None]), (1, 2), 8, False)
    assert jump.facts()["unevenness"] is None
    json.dumps(jump.facts(), allow_nan=False)


# What cannot be done ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"seeds": [3]}, "a walk needs at least two seeds, as in --seeds 3,9."),
        ({"mode": "w"}, "no space W, which only the family style has; use --mode slerp or lerp"),
        ({"mode": "slurp"}, "there is no mode 'slurp'; the nearest is 'slerp'"),
        ({"frames": 0}, "0 frames for each of 1 legs is out of range; a film has 1 to 1,200"),
        ({"frames": 601, "loop": True}, "use --frames 1 to 600"),
    ],
)
def test_what_cannot_be_done_is_said(
    asked: dict[str, Any], sentence: str, trained_run: Run, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        interpolate(trained_run.path, tmp_path / "x", **{"seeds": [3, 9], **asked})
    assert sentence in str(caught.value)
    assert not (tmp_path / "x").exists()
