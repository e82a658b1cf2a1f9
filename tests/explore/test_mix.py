from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from morelike.errors import UserError
from morelike.explore import mix as module
from morelike.explore import opened as opening
from morelike.explore.found import Found
from morelike.explore.mix import blocks, by_chance, mix, shares, styled, summed
from morelike.explore.opened import Opened
from morelike.explore.paths import Parts, slerp
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


def untrained(name: str, **sections: Any) -> TrainedGenerator:
    """A generator whose pictures differ, with noise that shows."""
    config = configure(
        {
            "family": name,
            "data": {"resolution": 16, "channels": 3, "mirror": False},
            "generator": {"width": 2} | ({} if name == "regressor" else {"latent": 6}),
            **sections,
        }
    )
    torch.manual_seed(0)
    network = family(name).build(config).generator
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith(("bias", "strength")):
                parameter.add_(0.3 * torch.randn_like(parameter))
    return TrainedGenerator(config, network.eval(), torch.device("cpu"), "fp32", "x", "y")


def model_of(generator: TrainedGenerator, path: Path = Path("x")) -> Opened:
    return Opened(path, generator, space_of(generator.network))


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


# Shares -------------------------------------------------------------------------------------------


def test_shares_are_those_of_the_sums_of_squares() -> None:
    x = numbers(4, 5, 7).numpy() + 2 * numbers(4, 1, 7, seed=1).numpy() + 3
    whole = x.mean((0, 1))
    total = row = column = rest = 0.0
    for i in range(4):
        for j in range(5):
            of_row, of_column = x[i].mean(0), x[:, j].mean(0)
            total += np.sum((x[i, j] - whole) ** 2)
            row += np.sum((of_row - whole) ** 2)
            column += np.sum((of_column - whole) ** 2)
            rest += np.sum((x[i, j] - of_row - of_column + whole) ** 2)
    found = shares(torch.from_numpy(x))
    assert found is not None
    np.testing.assert_allclose(found, np.array([row, column, rest]) / total, atol=1e-12)


def test_shares_of_grids_that_one_side_decides() -> None:
    rows = numbers(4, 1, 3).expand(4, 5, 3)
    assert shares(rows) == pytest.approx((1, 0, 0))
    assert shares(rows.transpose(0, 1)) == pytest.approx((0, 1, 0))
    signs = torch.tensor([1.0, -1.0])
    only_both = (signs[:, None] * signs)[..., None]
    assert shares(only_both) == pytest.approx((0, 0, 1))
    assert shares(torch.full((4, 5, 3), 0.3)) is None
    assert shares(torch.zeros((1, 1, 3))) is None


def test_shares_by_chance_are_what_noise_has() -> None:
    found = [shares(numbers(3, 6, 40, seed=seed)) for seed in range(50)]
    np.testing.assert_allclose(np.mean(found, axis=0), by_chance(3, 6), atol=0.01)  # pyright: ignore
    assert by_chance(1, 1) is None
    assert by_chance(1, 4) == pytest.approx((0, 1, 0))


# Grids --------------------------------------------------------------------------------------------


def test_layers_are_in_three_blocks() -> None:
    assert blocks(18) == {"coarse": (0, 5), "middle": (6, 11), "fine": (12, 17)}
    assert blocks(10) == {"coarse": (0, 3), "middle": (4, 6), "fine": (7, 9)}
    assert blocks(4) == {"coarse": (0, 1), "middle": (2, 2), "fine": (3, 3)}
    assert blocks(2) == {"coarse": (0, 0), "middle": (1, 1)}


def test_styles_are_those_of_the_column_in_the_named_layers() -> None:
    one = Points(numbers(2, 3), (numbers(2, 9),))
    other = Points(numbers(2, 3, seed=1), (numbers(2, 9, seed=1),))
    found = styled(one, other, 5, (1, 3))
    assert found.values.shape == (2, 5, 3)
    for layer in range(5):
        expected = other if 1 <= layer <= 3 else one
        assert torch.equal(found.values[:, layer], expected.values)
    assert torch.equal(found.rest[0], one.rest[0])


def test_a_row_mixed_with_itself_is_its_sample() -> None:
    generator = untrained("style", condition=LABELS)
    model = model_of(generator)
    points = model.points([4, 5])
    samples = generator.sample([4, 5])
    mixed = styled(points, points, 6, (0, 2))
    assert np.abs(model.show(mixed).astype(int) - samples).max() <= 1
    swapped = model.show(styled(points, points.rows([1, 0]), 6, (0, 2)))
    assert np.abs(swapped.astype(int) - samples).max() > 1


@pytest.fixture(scope="module")
def halves(trained_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("mix") / "deep"
    return mix(trained_run.path, folder, rows=[1, 2], columns=[3, 4, 5], device="cpu")


def test_everything_is_there(halves: Found) -> None:
    assert {path.name for path in halves.folder.iterdir()} == {"mix.png", "mix.json"}
    assert json.loads(halves.files["mix.json"].read_text()) == halves.facts
    facts = halves.facts
    assert (facts["space"], facts["rows"], facts["columns"]) == ("z", [1, 2], [3, 4, 5])
    (grid,) = facts["grids"]
    assert (grid["name"], grid["layers_of_column"]) == ("half", None)
    assert set(grid["shares"]) == {"features", "light", "colour"}
    for found in (*grid["shares"].values(), facts["by_chance"]):
        assert sum(found.values()) == pytest.approx(1, abs=2e-4)
    with Image.open(halves.files["mix.png"]) as sheet:
        assert sheet.width == max(480, 24 + 190 + 4 * 68)
        assert 3 * 68 < sheet.height < 3 * 68 + 160


def test_the_grid_shows_what_lies_half_way(
    trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(
        module, "sheet", lambda title, rows, *_: kept.extend(rows) or np.zeros((2, 2, 3), np.uint8)
    )
    mix(trained_run.path, tmp_path, rows=[1, 2], columns=[3, 4, 5], device="cpu")
    generator = load(trained_run.path, device="cpu")
    assert np.array_equal(kept[0].pictures[1:], generator.sample([3, 4, 5]))
    assert np.array_equal([row.pictures[0] for row in kept[1:]], generator.sample([1, 2]))
    model = model_of(generator)
    ends = model.points([2, 4]).values
    half = slerp(ends[:1], ends[1:], torch.tensor([0.5]))
    assert np.array_equal(kept[2].pictures[2], model.show(Points(half, ()))[0])


def test_styles_are_mixed_by_blocks_or_by_named_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = untrained("style", generator={"width": 2, "latent": 6, "noise": False})
    monkeypatch.setattr(module, "opened", lambda *_: model_of(generator, tmp_path))
    found = mix(tmp_path, rows=[1, 2], columns=[3, 4, 5])
    assert found.folder == tmp_path / "explore" / "mix"
    assert found.facts["space"] == "w"
    named = {one["name"]: one["layers_of_column"] for one in found.facts["grids"]}
    assert named == {"coarse": [0, 1], "middle": [2, 3], "fine": [4, 5]}
    with Image.open(found.files["mix.png"]) as sheet:
        assert sheet.height > 9 * 68
    # All layers from the column: the row decides nothing.
    found = mix(tmp_path, rows=[1, 2], columns=[3, 4, 5], layers=(0, 5))
    (grid,) = found.facts["grids"]
    assert grid["shares"]["features"] == {"row": 0, "column": 1, "rest": 0}


def test_gray_pictures_have_no_colour_to_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = untrained("dcgan", data={"resolution": 32, "width": 16, "channels": 1})
    monkeypatch.setattr(module, "opened", lambda *_: model_of(generator, tmp_path))
    (grid,) = mix(tmp_path, rows=[1, 2], columns=[3, 4]).facts["grids"]
    assert grid["shares"]["colour"] is None
    assert grid["shares"]["light"] is not None


# Arithmetic ---------------------------------------------------------------------------------------


def groups(*sizes: int, columns: int = 6) -> list[Points]:
    return [
        Points(
            numbers(size, columns, seed=i),
            (numbers(size, 2, seed=i + 10), numbers(size, 9, seed=i + 20)),
        )
        for i, size in enumerate(sizes)
    ]


def test_sums_are_of_means() -> None:
    a, b, c = groups(3, 2, 4)
    found = summed([a, b, c], Parts(latents=4, conditions=1), rescale=False)
    expected = a.values.mean(0) - b.values.mean(0) + c.values.mean(0)
    torch.testing.assert_close(found.result.values[0], expected)
    torch.testing.assert_close(found.means[1].values[0], b.values.mean(0))
    condition = a.rest[0].mean(0) - b.rest[0].mean(0) + c.rest[0].mean(0)
    torch.testing.assert_close(found.result.rest[0][0], condition)
    # A mean of noise would be weaker than noise.
    assert torch.equal(found.result.rest[1], c.rest[1][:1])
    assert torch.equal(found.means[0].rest[1], a.rest[1][:1])


def test_rescaled_sums_are_as_long_as_latents_and_point_where_they_did() -> None:
    a, b, c = groups(3, 2, 4)
    has = Parts(latents=4, conditions=1)
    plain, found = (summed([a, b, c], has, rescale=scale) for scale in (False, True))
    for group, mean, before in zip((a, b, c), found.means, plain.means, strict=True):
        usual = group.values[:, :4].norm(dim=1).mean()
        torch.testing.assert_close(mean.values[0, :4].norm(), usual)
        assert torch.equal(mean.values[:, 4:], before.values[:, 4:])  # codes have no length
    result, before = found.result.values[0], plain.result.values[0]
    torch.testing.assert_close(result[:4].norm(), c.values[:, :4].norm(dim=1).mean())
    cosine = torch.nn.functional.cosine_similarity(result[:4], before[:4], dim=0)
    assert float(cosine) == pytest.approx(1)
    assert torch.equal(result[4:], before[4:])
    in_w = Parts(0, 0)
    assert torch.equal(
        summed([a, b, c], in_w, rescale=True).result.values,
        summed([a, b, c], in_w, rescale=False).result.values,
    )


def test_means_of_one_are_its_sample_and_a_less_a_changes_nothing() -> None:
    a, _, c = groups(1, 1, 1)
    for rescale in (False, True):
        found = summed([a, a, c], Parts(6, 1), rescale=rescale)
        assert torch.equal(found.means[0].values, a.values)
        torch.testing.assert_close(found.result.values, c.values)


def test_in_a_world_without_curves_all_is_carried_over() -> None:
    model: Any = SimpleNamespace(
        points=lambda seeds: numbers(len(seeds), 5, seed=9),
        show=lambda points: points.numpy(),
    )
    by: Any = SimpleNamespace(look=torch.from_numpy, unit=2.0)
    a, b, c = numbers(3, 5).unbind(0)
    found = module._carried(model, by, torch.stack([a, b, c, a - b + c, a]).numpy())
    size = round(float((a - b).norm()) / 2, 4)
    assert (found["asked"], found["change"], found["cosine"]) == (size, size, 1.0)
    others = numbers(module.OTHERS, 5, seed=9) - c
    expected = (others @ (a - b) / others.norm(dim=1) / (a - b).norm()).mean()
    assert found["cosine_by_chance"] == pytest.approx(float(expected), abs=1e-4)
    assert found["neighbours"] == pytest.approx(float((b - c).norm()) / 2, abs=1e-4)
    nothing = module._carried(model, by, torch.stack([a, a, c, c, c]).numpy())
    assert (nothing["cosine"], nothing["neighbours"]) == (None, 0)


@pytest.mark.parametrize(
    ("name", "condition", "moved"),
    [("dcgan", {}, 6), ("infogan", LABELS, 6), ("fastgan", {}, 6), ("style", LABELS, 64)],
)
def test_arithmetic_of_the_families(
    name: str,
    condition: dict[str, Any],
    moved: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = untrained(name, condition=condition)
    if name == "dcgan":
        with torch.no_grad():
            for parameter in generator.network.parameters():
                parameter.mul_(6)  # so that pictures differ by many levels
    model = model_of(generator, tmp_path)
    monkeypatch.setattr(module, "opened", lambda *_: model)
    found = mix(tmp_path, a=[3, 5], b=[7], c=[9, 11, 13])
    assert (found.facts["a"], found.facts["b"], found.facts["c"]) == ([3, 5], [7], [9, 11, 13])
    assert found.facts["rescaled"] == (name != "style")
    assert -1 <= found.facts["cosine"] <= 1
    with Image.open(found.files["mix.png"]) as sheet:
        assert sheet.width == 24 + 190 + 9 * 68
    result = model.points([9])
    near = module._nearby(model, result, module.parts(generator.config, model.space))
    apart = (near.values - result.values).square().mean(0).sqrt()
    assert (apart[:moved] > 0).all()
    assert (apart[moved:] == 0).all()
    spread = model.points(range(128)).values.std(0)[:moved]
    assert float((apart[:moved] / spread).square().mean().sqrt()) == pytest.approx(0.25, rel=0.35)


# What cannot be done ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"a": [1], "b": [2]}, "a - b + c needs three groups of seeds; give --a, --b and --c."),
        (
            {"a": [1], "b": [2], "c": [3], "rows": [4]},
            "arithmetic takes --a, --b and --c, a grid --rows, --columns and --from-layer; give "
            "either.",
        ),
        ({"rows": range(17)}, "17 seeds are too many; a row, column or group has at most 16."),
        ({"columns": [-1]}, "seed -1 is out of range"),
        ({"layers": (0, 1)}, "only the family style has layers that can be mixed; leave out"),
    ],
)
def test_what_cannot_be_done_is_said(
    asked: dict[str, Any], sentence: str, trained_run: Run, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        mix(trained_run.path, tmp_path / "x", **asked)
    assert sentence in str(caught.value)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("layers", [(0, 6), (-1, 2), (3, 2)])
def test_layers_that_there_are_not(
    layers: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = untrained("style")
    monkeypatch.setattr(module, "opened", lambda *_: model_of(generator, tmp_path))
    with pytest.raises(UserError, match=r"no layers .*; the generator has 0:5, from the coarsest"):
        mix(tmp_path, layers=layers)
