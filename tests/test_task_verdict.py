"""The verdict on a run that makes pictures from pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import morelike
from morelike.enhance.score import Scored
from morelike.runs import Run
from morelike.task_verdict import WORDS, has_task, verdict_of_task

TINY: dict[str, Any] = {
    "family": "enlarger",
    "task": {"name": "enlarge:2", "crop": None},
    "data": {"resolution": 16, "held_out": 0.4},
    "generator": {"width": 4, "blocks": 1, "adversarial": 0.0},
    "discriminator": {"width": 4, "layers": 1},
    "optimizer": {"generator": {"learning_rate": 0.01}},
    "training": {"batch": 4, "images": 16, "device": "cpu", "precision": "fp32"},
}


@pytest.fixture(scope="module")
def run(write_pictures: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("verdict")
    return morelike.train(write_pictures(folder / "pictures", 24), run=folder / "run", **TINY)


def test_the_word_is_that_of_the_feature_distance(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from morelike import task_verdict as module

    real = module.score

    def scripted(word: str) -> Callable[..., Scored]:
        def score(*given: Any, **more: Any) -> Scored:
            found = real(*given, **more)
            found.facts["figures"]["feature_distance"]["verdict"] = word
            return found

        return score

    for word, (said, state) in WORDS.items():
        monkeypatch.setattr(module, "score", scripted(word))
        verdict = verdict_of_task(run.path, device="cpu")
        assert verdict.words == (said,)
        assert verdict.findings[0].state == state


def test_it_rests_on_held_out_pictures_and_names_the_best_other_way(run: Run) -> None:
    assert has_task(run.path)
    verdict = verdict_of_task(run.path, device="cpu")
    assert verdict.counts == {"held_out": 10}
    (finding,) = verdict.findings
    names = [figure.name for figure in finding.figures]
    assert names[0] == "PSNR in dB"
    assert any(name.startswith("feature distance, less that of") for name in names)
    apart = finding.figures[1]
    assert apart.low is not None
    assert apart.high is not None
    assert apart.low <= apart.value <= apart.high
    (sheet,) = finding.panels[0].pictures
    assert sheet.ndim == 4
