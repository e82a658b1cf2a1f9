from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from morelike import files
from morelike.data import Dataset
from morelike.diagnostics.copies import Copies, Judged
from morelike.errors import UserError
from morelike.evaluate import gallery as module
from morelike.evaluate import scored as scoring
from morelike.evaluate.criteria import (
    CRITERIA,
    chosen,
    detail_features,
    layout_features,
    names,
    percentiles,
    ranks,
    realism,
    uncanny,
)
from morelike.evaluate.gallery import Gallery, caption, gallery
from morelike.evaluate.receipts import Receipt
from morelike.evaluate.scored import Scored, asked, scored
from morelike.evaluate.sheets import sheet
from morelike.features import extractor
from morelike.players import Players, players
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import Run
from morelike.sampling import load

# Criteria -----------------------------------------------------------------------------------------


def test_ranks_share_ties() -> None:
    assert ranks(np.array([3.0, 1.0, 2.0])).tolist() == [1.0, 0.0, 0.5]
    assert ranks(np.array([1.0, 5.0, 5.0, np.inf])).tolist() == [0.0, 0.5, 0.5, 1.0]
    assert ranks(np.full(4, 7.0)).tolist() == [0.5] * 4


def test_percentiles_are_among_held_out_pictures() -> None:
    held = np.array([1.0, 2.0, 3.0, 4.0, np.inf])
    found = percentiles(np.array([0.0, 2.0, 3.5, np.inf, np.nan]), held)
    assert found[:4].tolist() == [0.0, 30.0, 60.0, 90.0]
    assert np.isnan(found[4])
    # Those without a figure do not count, and four are too few to say anything.
    assert np.isnan(percentiles(np.array([1.0]), np.array([1, 2, 3, 4, np.nan]))).all()


def test_the_uncanny_are_high_by_one_and_low_by_the_other() -> None:
    first = np.arange(9.0)
    second = np.arange(9.0)
    second[[8, 0]] = second[[0, 8]]
    second[[7, 2]] = second[[2, 7]]
    assert uncanny(first, second).tolist() == [8, 7]
    assert uncanny(second, first).tolist() == [0, 2]
    assert uncanny(first, first).tolist() == []


def test_one_of_eight_is_uncanny_by_chance() -> None:
    numbers = rng(0, "one of eight is uncanny by chance")
    shares = [len(uncanny(*numbers.random_sample((2, 400)))) / 400 for _ in range(50)]
    assert np.mean(shares) == pytest.approx(1 / 8, abs=0.01)


def test_best_and_worst_are_the_ends() -> None:
    values = {"realism": np.array([0.3, np.inf, 0.9, 0.1]), "rarity": np.array([2, np.nan, 5, 3.0])}
    sheets = {one.name: one.order.tolist() for one in chosen(values, 2)}
    assert sheets == {
        "as-they-come": [0, 1],
        "best-realism": [1, 2],
        "worst-realism": [3, 0],
        "rarest": [2, 3],
        "commonest": [0, 3],
    }
    assert set(sheets) <= set(names())


def test_every_sheet_there_can_be_has_a_name_of_its_own() -> None:
    numbers = rng(0, "every sheet there can be has a name of its own")
    values = {one.key: numbers.random_sample(64) for one in CRITERIA}
    made = [one.name for one in chosen(values, 4)]
    assert sorted(made) == sorted(names())
    assert len(set(made)) == len(made)


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """(120, 32, 32, 3): a soft background, a textured disc about the middle."""
    return np.stack([textured(number) for number in range(120)])


def textured(number: int) -> np.ndarray:
    noise = np.random.default_rng(number)
    y, x = np.mgrid[0:32, 0:32] / 32
    centre, radius = 0.5 + noise.uniform(-0.06, 0.06, 2), noise.uniform(0.25, 0.32)
    disc = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2)[..., None]
    colour = np.array([200, 60, 60]) + noise.uniform(-30, 30, 3)
    texture = noise.normal(0, 25, (32, 32, 1))
    ground = np.array([60, 120, 70]) + noise.uniform(-20, 20, 3) + noise.normal(0, 3, (32, 32, 1))
    return np.where(disc, colour + texture, ground).clip(0, 255).astype(np.uint8)


def blurred(images: np.ndarray) -> np.ndarray:
    soft = ImageFilter.GaussianBlur(1.5)
    return np.stack([np.asarray(Image.fromarray(one).filter(soft)) for one in images])


def shifted(images: np.ndarray) -> np.ndarray:
    """The same texture and detail in the wrong place."""
    return np.roll(images, 16, axis=2)


def checkered(images: np.ndarray) -> np.ndarray:
    signs = np.indices((32, 32)).sum(0)[..., None] % 2 * 2 - 1
    return (images + 12.0 * signs).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("damage", [blurred, shifted, checkered])
def test_layout_and_detail_see_each_their_own(real: np.ndarray, damage: Any) -> None:
    train, fresh = real[:80], real[80:]
    shown = np.concatenate([fresh, damage(fresh)])
    none = torch.zeros((0, 1))
    seen = {}
    for key, view in (("layout", layout_features), ("detail", detail_features)):
        features = view(shown)
        values = realism(view(train), features, none.expand(0, features.shape[1])).realism
        whole, damaged = values[:40], values[40:]
        seen[key] = (whole[:, None] > damaged).mean()  # 1 if all damaged ones are below
    of_layout = damage is shifted
    assert seen["layout" if of_layout else "detail"] > 0.95
    assert 0.3 < seen["detail" if of_layout else "layout"] < 0.75


def test_detail_is_the_size_of_steps() -> None:
    y, x = np.mgrid[0:32, 0:32]
    stripes, board = x % 2 * 20 + 100, (x + y) % 2 * 20 + 100
    images = np.stack([stripes, board])[..., None].astype(np.uint8)
    full, half = detail_features(images).reshape(2, 2, 3, 3).unbind(1)
    # Across, down and over the corner; each quantile is the same, for all cells are.
    expected = np.log1p([[20, 0, 0], [20, 20, 40]])[..., None].repeat(3, axis=2)
    assert np.allclose(full, expected, atol=1e-4)
    assert np.allclose(half, 0, atol=1e-4)  # means of 2 x 2 are flat


def test_features_do_not_depend_on_the_company(real: np.ndarray) -> None:
    for view in (layout_features, detail_features):
        many = view(np.concatenate([real, real, real]))  # more than a block
        assert torch.allclose(many[300], view(real[60:61])[0], atol=1e-4)
    gray = real[:3, ..., :1]
    assert torch.allclose(layout_features(gray), layout_features(gray.repeat(3, axis=3)))
    assert layout_features(gray).shape == (3, 192)
    assert detail_features(gray[:, :9, :8]).shape == (3, 18)


def test_realism_of_samples_and_held_out_pictures_is_told_apart() -> None:
    numbers = rng(0, "realism of samples and held out pictures is told apart")
    train = torch.from_numpy(numbers.standard_normal((60, 4)))
    near, far = train[:3] + 1e-3, train[:3] + 50
    found = realism(train, torch.cat([near, far]), train[:5])
    assert found.realism[:3].min() > 0.2 > found.realism[3:].max()
    assert np.isinf(found.rarity).tolist() == [False] * 3 + [True] * 3
    assert np.isfinite(found.held_rarity).all()
    assert np.isinf(found.held_realism).any()
    assert (len(found.realism), len(found.held_rarity)) == (6, 5)
    alone = realism(train[:4], near, train[:0])
    assert len(alone.held_realism) == 0


# Scores -------------------------------------------------------------------------------------------


class Stand:
    """Finds the first training picture in all, and copies in even places."""

    def judge(self, images: np.ndarray) -> Judged:
        even = np.arange(len(images)) % 2 == 0
        score = np.arange(len(images)) - 9.0
        percentile = np.where(even, 0.0, np.nan)
        return Judged(np.zeros(len(images), int), even, score / 9 + 1, score, percentile, even)


@pytest.fixture(scope="module")
def dataset(trained_run: Run) -> Dataset:
    return dataset_of(trained_run)


def test_copies_of_training_pictures_are_real_and_noise_is_not(dataset: Dataset) -> None:
    numbers = rng(0, "copies of training pictures are real and noise is not")
    images = dataset.images[dataset.train[:12]]
    images[5] = numbers.randint(0, 256, images[5].shape)
    copies = cast("Copies", Stand())
    found = scored(range(12), images, dataset, copies, extractor())
    assert list(found.values) == ["realism", "rarity", "copying", "layout", "detail"]
    for key in ("realism", "layout", "detail"):
        # Of those with larger balls than half of all, copies are near to others only.
        assert 3 <= np.isinf(found.values[key]).sum() <= 9, key
    for key in ("realism", "detail"):
        assert found.values[key].argmin() == 5, key
    assert np.isnan(found.values["rarity"]).tolist() == [number == 5 for number in range(12)]
    assert found.values["copying"].tolist() == [number - 9.0 for number in range(12)]
    assert [one.near_copy for one in found.receipts] == [True, False] * 6
    assert found.receipts[0].nearest == dataset.manifest[dataset.train[0]]["key"]
    assert found.percentile["copying"][0] == 0
    assert np.isnan(found.percentile["copying"][1])


def test_the_discriminator_is_asked_until_chance_is_small(
    trained_run: Run, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = players(trained_run, "latest")
    assert found.mixes
    monkeypatch.setattr(scoring, "BLOCK", 5)
    opinions = asked(found, range(12), dataset)
    assert opinions.samples.shape == (12,)
    assert opinions.held_out.shape == (len(dataset.held_out),)
    assert 0 <= opinions.agreement <= 1
    # The mean of as many answers as are asked for.
    alone = found.logits_of_samples(list(range(5)) * 16, averaged=True).reshape(16, 5).mean(0)
    assert np.allclose(opinions.samples[:5], alone)


def test_agreement_tells_an_order_from_chance() -> None:
    numbers = rng(0, "agreement tells an order from chance")
    truth, noise = numbers.standard_normal(500), numbers.standard_normal((16, 500))
    assert scoring._agreement(noise) < 0.25
    # The mean of 16 with noise of variance 16: half of what is left is chance.
    assert scoring._agreement(truth + 4 * noise) == pytest.approx(0.5, abs=0.1)
    assert scoring._agreement(truth[None]) == 1
    assert scoring._agreement(np.zeros((4, 9))) == 0


# Sheets -------------------------------------------------------------------------------------------


def test_a_sheet_shows_each_sample_beside_its_picture() -> None:
    red = np.full((3, 64, 64, 3), (255, 0, 0), np.uint8)
    blue = np.full((3, 64, 64, 3), (0, 0, 255), np.uint8)
    captions = [("seed 1", "b", "c")] * 3
    made = sheet("Title", "note " * 60, red, blue, captions, [False, True, False])
    assert made.ndim == 3
    assert made.dtype == np.uint8
    for colour in ((255, 0, 0), (0, 0, 255)):
        where = (made == colour).all(-1)
        assert where.sum() == 3 * 128 * 128  # twice as large, and sharp
    left = (made == (255, 0, 0)).all(-1).nonzero()[1].min()
    right = (made == (0, 0, 255)).all(-1).nonzero()[1].min()
    assert right - left == 128 + 4
    assert (made == (213, 94, 0)).all(-1).sum() == 134**2 - 128**2  # three pixels about it
    calm = sheet("Title", "note", red, blue, captions, [False] * 3)
    assert not (calm == (213, 94, 0)).all(-1).any()
    assert len(calm) < len(made)  # the long note was broken


@pytest.mark.parametrize("shape", [(16, 16, 1), (96, 48, 3), (600, 400, 4), (129, 129, 3)])
def test_sheets_of_any_size(shape: tuple[int, int, int]) -> None:
    some = np.full((1, *shape), 90, np.uint8)
    made = sheet("ä " * 99, "w" * 999, some, some, [("é", "", "x" * 999)], [True])
    assert made.shape[2] == 3
    assert max(made.shape) < 1500


def test_captions_say_what_is_known() -> None:
    values = {"realism": np.array([1.234]), "rarity": np.array([np.nan])}
    percentile = {"realism": np.array([43.75]), "rarity": np.array([np.nan])}
    receipt = Receipt("a.png", True, 0.123, 12.5, True)
    images = np.zeros((1, 4, 4, 3), np.uint8)
    one = Scored([77], images, values, percentile, [receipt], np.array([0]))
    assert caption(one, 0, ["realism"]) == (
        "seed 77, realism 1.23 (p44)",
        "near-copy (p12), 0.12 unexplained",
        "mirror image of a.png",
    )


# The whole ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def one_extractor() -> Iterator[None]:
    """It takes a second to draw, and is the same each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "extractor", functools.cache(extractor))
        yield


@pytest.fixture(scope="module")
def made(trained_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    folder = tmp_path_factory.mktemp("gallery") / "deep" / "down"
    return gallery(trained_run.path, folder, count=24, show=5, device="cpu")


def test_everything_is_there(made: Gallery, trained_run: Run) -> None:
    facts = json.loads((made.folder / "gallery.json").read_text())
    assert facts == made.facts
    assert [one["seed"] for one in facts["samples"]] == list(range(24))
    pngs = {path.name for path in made.folder.glob("*.png")}
    assert pngs == {one["file"] for one in facts["sheets"]}
    assert {path.name for path in made.sheets.values()} == pngs
    assert {"best-realism.png", "worst-realism.png", "best-discriminator.png"} <= pngs
    assert {path.name for path in made.folder.iterdir()} - pngs == {"gallery.json", "gallery.html"}
    assert facts["train"] == len(trained_run.data()["split"]["train"])
    for one in facts["samples"]:
        assert one["receipt"]["nearest"] in trained_run.data()["split"]["train"]
        assert set(one["scores"]) == set(facts["criteria"])
    assert facts["near_copies"] == sum(one["receipt"]["near_copy"] for one in facts["samples"])
    assert not list(made.folder.glob(".*"))


def test_the_sheets_are_what_the_scores_say(made: Gallery) -> None:
    scores = {one["seed"]: one["scores"] for one in made.facts["samples"]}
    sheets = {one["file"]: one["seeds"] for one in made.facts["sheets"]}
    best, worst = sheets["best-realism.png"], sheets["worst-realism.png"]
    ordered = sorted(scores, key=lambda seed: scores[seed]["realism"])
    assert (worst, best) == (ordered[:5], ordered[:-6:-1])
    assert sheets["as-they-come.png"] == [0, 1, 2, 3, 4]
    copies = sorted(scores, key=lambda seed: scores[seed]["copying"])
    assert sheets["nearest-copies.png"] == copies[:5]
    with Image.open(made.sheets["best-realism"]) as image:
        image.load()
        notes = image.text  # pyright: ignore[reportAttributeAccessIssue]
    assert notes["seed"] == ",".join(map(str, best))


def test_beside_each_sample_is_its_nearest_turned_as_it_is(
    made: Gallery, dataset: Dataset, trained_run: Run
) -> None:
    with Image.open(made.sheets["as-they-come"]) as image:
        shown = np.asarray(image)
    samples = load(trained_run.path, device="cpu").sample(range(4))
    keys = [record["key"] for record in dataset.manifest]
    receipts = [one["receipt"] for one in made.facts["samples"][:4]]
    assert any(one["mirrored"] for one in receipts)
    for place, receipt in enumerate(receipts):
        nearest = dataset.images[keys.index(receipt["nearest"])]
        nearest = nearest[:, ::-1] if receipt["mirrored"] else nearest
        left = 10 + 280 * place
        for pixels, start in ((samples[place], left), (nearest, left + 132)):
            large = pixels.repeat(8, axis=0).repeat(8, axis=1)
            column = shown[:, start : start + 128]
            assert any(np.array_equal(column[y : y + 128], large) for y in range(60))


def test_the_page_loads_nothing(made: Gallery) -> None:
    html = (made.folder / "gallery.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    assert "http" not in html.replace("http-equiv", "").replace("http://www.w3.org", "")
    for one in made.facts["sheets"]:
        assert f"<h2>{one['title']}" in html
    assert html.count('class="pair') >= sum(len(one["seeds"]) for one in made.facts["sheets"])


def test_sheets_of_an_earlier_call_do_not_stay(
    trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*arguments: Any) -> Players:
        return replace(players(*arguments), discriminator=None, missing="there was none")

    monkeypatch.setattr(module, "players", without)
    stays, goes = tmp_path / "mine.png", tmp_path / "best-discriminator.png"
    stays.write_bytes(b"1")
    goes.write_bytes(b"1")
    said: list[str] = []
    found = gallery(trained_run.path, tmp_path, count=8, show=2, device="cpu", say=said.append)
    assert stays.exists() and not goes.exists()
    assert found.facts["notices"] == ["the discriminator was not asked: there was none."]
    assert found.facts["discriminator_agreement"] is None
    assert "discriminator" not in found.facts["criteria"]
    assert "making 8 samples" in said


def test_the_same_call_gives_the_same(made: Gallery, trained_run: Run, tmp_path: Path) -> None:
    again = gallery(trained_run.path, tmp_path / "g", count=24, show=5, device="cpu")
    assert again.facts == made.facts
    for name, path in made.sheets.items():
        assert path.read_bytes() == again.sheets[name].read_bytes()


def test_what_cannot_be_done_is_said(trained_run: Run, tmp_path: Path) -> None:
    run = trained_run.path
    for count in (7, 20_001):
        with pytest.raises(UserError, match=r"use --count 8 to 20000\."):
            gallery(run, count=count)
    for show in (0, 201):
        with pytest.raises(UserError, match=r"use --show 1 to 200\."):
            gallery(run, show=show)
    with pytest.raises(UserError, match="is a shared generator, without the pictures"):
        gallery(trained_run.generator)
    with pytest.raises(UserError, match="there is no checkpoint 5"):
        gallery(run, checkpoint=5)
    with pytest.raises(UserError, match="there is no extractor 'x'"):
        gallery(run, features="x")
    with pytest.raises(UserError, match="name where they are now with --data"):
        gallery(run, data="/nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        gallery(run, tmp_path / "file" / "g", count=8, show=1, device="cpu")
    assert not (run / "gallery").exists()


def test_null_stands_for_what_is_no_number(made: Gallery, tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", made.facts)  # refuses NaN and infinity
    told = made.facts["held_out"] >= 5
    for one in made.facts["samples"]:
        assert (one["percentiles"]["realism"] is not None) == told
