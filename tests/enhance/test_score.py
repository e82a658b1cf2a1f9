from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from morelike.enhance import score as module
from morelike.enhance.model import Model
from morelike.enhance.score import Scored, score
from morelike.errors import UserError
from morelike.features import extractor
from morelike.metrics.fidelity import psnr, ssim
from morelike.pictures import from_uint8, read_png
from morelike.reopened import dataset_of
from morelike.rng import SeedDraws
from morelike.runs import Run

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def quicker() -> Iterator[None]:
    """The extractor takes a second to draw, and is the same each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "extractor", functools.cache(extractor))
        yield


@pytest.fixture(scope="module")
def scored(enlarger_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return score(enlarger_run.path, tmp_path_factory.mktemp("score") / "deep", device="cpu")


def test_figures_are_those_of_the_pictures(scored: Scored, enlarger_run: Run) -> None:
    """Lanczos once more, by other means: shrunk and enlarged again by Pillow."""
    dataset = dataset_of(enlarger_run)
    assert scored.facts["pictures"] == len(dataset.held_out) == 8
    truth = dataset.images[dataset.held_out]
    made = []
    for one in truth:
        small = Image.fromarray(one).resize((16, 16), Image.Resampling.LANCZOS)
        made.append(np.asarray(small.resize((32, 32), Image.Resampling.LANCZOS)))
    pair = from_uint8(np.stack(made), CPU), from_uint8(truth, CPU)
    figures = scored.facts["figures"]
    assert figures["psnr"]["mean"]["Lanczos"] == pytest.approx(psnr(*pair).mean().item(), abs=0.05)
    assert figures["ssim"]["mean"]["Lanczos"] == pytest.approx(ssim(*pair).mean().item(), abs=0.002)
    assert set(figures["psnr"]["mean"]) == {"bicubic", "Lanczos", "network"}
    assert set(figures) == {"psnr", "ssim", "feature_distance"}


def test_differences_are_to_the_best_baseline(scored: Scored) -> None:
    for measure, sign in (("psnr", 1), ("ssim", 1), ("feature_distance", -1)):
        one = scored.facts["figures"][measure]
        means, found = one["mean"], one["difference"]
        others = {name: mean for name, mean in means.items() if name != "network"}
        assert one["best_baseline"] == max(others, key=lambda name: sign * others[name])
        apart = means["network"] - means[one["best_baseline"]]
        assert found["value"] == pytest.approx(apart, abs=2e-5)
        assert found["low"] <= found["value"] <= found["high"]


def test_everything_is_written_and_told(scored: Scored, enlarger_run: Run) -> None:
    assert {path.name for path in scored.folder.iterdir()} == {"score.png", "figures.json"}
    assert json.loads(scored.files["figures.json"].read_text()) == scored.facts
    assert scored.facts["run"] == enlarger_run.name and scored.facts["which"] == "held-out"
    assert scored.facts["extractor"].startswith("random@")
    assert scored.lines[0].startswith("PSNR in dB ")
    assert " on 8 held-out pictures, " in scored.lines[2]
    assert "95 % interval of the difference" in scored.lines[2]
    assert scored.lines[3].startswith("KID x 1000 of 8 held-out pictures, by random@")
    kids = scored.facts["kid_x_1000"]["figures"]
    assert kids["the pictures themselves"]["value"] < 0  # each is its own neighbour
    sheet = read_png(scored.files["score.png"])
    dataset = dataset_of(enlarger_run)
    first = dataset.images[dataset.held_out[0]].repeat(4, 0).repeat(4, 1)
    corner = np.argwhere((sheet == first[0, 0]).all(-1))
    assert any(np.array_equal(sheet[y : y + 128, x : x + 128], first) for y, x in corner)


def test_the_same_call_gives_the_same(scored: Scored, enlarger_run: Run, tmp_path: Path) -> None:
    again = score(enlarger_run.path, tmp_path, device="cpu")
    assert again.facts == scored.facts and again.lines == scored.lines
    assert again.files["score.png"].read_bytes() == scored.files["score.png"].read_bytes()


def replaced(network: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run's network be another one."""
    of_run = module.of_run

    def other(*arguments: Any, **more: Any) -> Model:
        own = of_run(*arguments, **more)
        return Model(**{**vars(own), "network": network})

    monkeypatch.setattr(module, "of_run", other)


def test_a_perfect_network_is_better_and_a_broken_one_worse(
    enlarger_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dataset_of(enlarger_run)
    truth = iter(from_uint8(dataset.images[dataset.held_out], CPU).split(module.CHUNK))
    with monkeypatch.context() as patch:
        replaced(lambda given: next(truth), enlarger_run, patch)
        perfect = score(enlarger_run.path, tmp_path / "perfect", device="cpu")
    figures = perfect.facts["figures"]
    assert {one["verdict"] for one in figures.values()} == {"better"}
    assert figures["psnr"]["mean"]["network"] == 60  # not infinite
    assert figures["feature_distance"]["mean"]["network"] == 0
    kids = perfect.facts["kid_x_1000"]["figures"]
    assert kids["network"] == kids["the pictures themselves"]
    with monkeypatch.context() as patch:
        replaced(lambda given: torch.zeros(len(given), 3, 32, 32), enlarger_run, patch)
        broken = score(enlarger_run.path, tmp_path / "broken", device="cpu")
    assert {one["verdict"] for one in broken.facts["figures"].values()} == {"worse"}
    assert ": worse, 95 % interval" in broken.lines[0]


def test_what_is_like_the_baseline_is_not_told_apart(
    enlarger_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lanczos itself, by which PSNR is best without learning."""
    from morelike.enhance.baselines import baselines

    def network(given: torch.Tensor) -> torch.Tensor:
        return from_uint8(baselines("enlarge:2", given, 2, 3)["Lanczos"], CPU)

    replaced(network, enlarger_run, monkeypatch)
    same = score(enlarger_run.path, tmp_path, device="cpu").facts["figures"]["psnr"]
    assert same["mean"]["network"] == same["mean"]["Lanczos"]
    assert same["best_baseline"] == "Lanczos" and same["verdict"] == "not told apart"
    assert same["difference"] == {"value": 0, "low": 0, "high": 0}


def test_samples_are_measured_without_a_truth(
    enlarger_run: Run, trained_run: Run, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    found = score(
        enlarger_run.path,
        tmp_path,
        from_run=trained_run.path,
        count=6,
        device="cpu",
        progress=lambda *done: told.append(done),
    )
    samples = found.facts["samples"]
    assert (samples["run"], samples["count"], samples["real"]) == (trained_run.name, 6, 20)
    assert set(samples["kid_x_1000"]["figures"]) == {"bicubic", "Lanczos", "network"}
    assert "KID x 1000 of 6 samples of" in found.lines[-1]
    assert "to 20 real pictures" in found.lines[-1]
    assert told[-1] == (12, 12)
    # Samples are of 16 x 16, and shown as large as what is made of them.
    assert read_png(found.files["samples.png"]).shape[1] > 6 * 128


def test_colours_are_measured_beside_gray(colorizer_run: Run, tmp_path: Path) -> None:
    found = score(colorizer_run.path, tmp_path, device="cpu")
    means = found.facts["figures"]["psnr"]["mean"]
    assert set(means) == {"gray", "mean colour", "network"}
    assert means["network"] < means["gray"]  # it hardly learnt


def test_inputs_are_the_tasks_own(
    colorizer_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[torch.Tensor] = []
    of_run = module.of_run

    def watched(*arguments: Any, **more: Any) -> Model:
        own = of_run(*arguments, **more)
        return Model(
            **{**vars(own), "network": lambda given: shown.append(given) or own.network(given)}
        )

    monkeypatch.setattr(module, "of_run", watched)
    score(colorizer_run.path, tmp_path, device="cpu")
    dataset, own = dataset_of(colorizer_run), of_run(colorizer_run.path, device="cpu")
    truth = from_uint8(dataset.images[dataset.held_out], CPU)
    assert own.learnt is not None
    wanted = own.learnt.pair(truth, SeedDraws(range(len(truth)), CPU)).input
    given = torch.cat(shown)
    assert (given - wanted).abs().max() <= 1.01 / 255  # of 8 bits
    assert torch.equal((given + 1) * 127.5, ((given + 1) * 127.5).round())


def test_mistakes_are_one_sentence(
    enlarger_run: Run, trained_run: Run, colorizer_run: Run, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="is a shared generator, without the pictures"):
        score(enlarger_run.generator, tmp_path, device="cpu")
    with pytest.raises(UserError, match="makes pictures from seeds, not from pictures"):
        score(trained_run.path, tmp_path, device="cpu")
    with pytest.raises(UserError, match="--count must be at least 2, not 1"):
        score(enlarger_run.path, tmp_path, count=1)
    with pytest.raises(UserError, match=r"makes pictures from pictures \(colorize\) and knows no"):
        score(enlarger_run.path, tmp_path, from_run=colorizer_run.path, device="cpu")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        score(enlarger_run.path, tmp_path / "file" / "x", count=2, device="cpu")
