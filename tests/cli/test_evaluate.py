"""`morelike evaluate` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import Command
from morelike.runs import Run


def test_a_run_gets_a_verdict_and_a_page(command: Command, run_copy: Run) -> None:
    ended = command("evaluate", run_copy.path, "--count", 32, "--device", "cpu")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[-1] == str(run_copy.path / "verdict.html")
    verdict = json.loads((run_copy.path / "verdict.json").read_text())
    assert lines[0] == " · ".join(verdict["words"])
    shown = command("runs", "show", run_copy.path)
    assert f"evaluated      {lines[0]}" in shown.out


def test_folders_and_json(command: Command, pictures_folder: Path, tmp_path: Path) -> None:
    ended = command(
        "evaluate",
        pictures_folder,
        "--train",
        pictures_folder,
        "--size",
        16,
        "--out",
        tmp_path / "v",
        "--json",
    )
    assert ended.code == 0, ended.err
    verdict = json.loads(ended.out)
    assert Path(verdict["page"]).is_file()
    assert verdict["counts"] == {"train": 20, "held_out": 0, "samples": 20}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["RUN", "--train", "PICTURES"], "is a run and knows its pictures"),
        (["PICTURES"], "name what its generator was trained on with --train"),
        (["nowhere", "--train", "PICTURES"], "no run folder and no folder of pictures"),
        (["RUN", "--checkpoint", "7"], "7"),
        (["RUN", "--features", "randon"], "random"),
        (["RUN", "--features", "inception"], "needs its weights"),
        (["RUN", "--features", "random", "--weights", "config.json"], "config.json"),
        (["RUN", "--data", "PICTURES/none"], "none"),
    ],
)
def test_what_cannot_be_evaluated_is_one_sentence(
    command: Command, trained_run: Run, pictures_folder: Path, options: list[str], sentence: str
) -> None:
    places = {"RUN": str(trained_run.path), "PICTURES": str(pictures_folder)}
    given = [places.get(o, o.replace("PICTURES", places["PICTURES"])) for o in options]
    ended = command("evaluate", *given, "--device", "cpu")
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == 1
    assert sentence in ended.err


def test_a_run_with_a_task_gets_a_verdict_and_a_page(
    command: Command, pictures_folder: Path, tmp_path: Path
) -> None:
    settings = {
        "task.name": "enlarge:2",
        "task.crop": 8,
        "data.resolution": 16,
        "data.held_out": 0.4,
        "generator.width": 4,
        "generator.blocks": 1,
        "discriminator.width": 4,
        "discriminator.layers": 1,
        "training.batch": 4,
    }
    changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    run = tmp_path / "run"
    trained = command(
        *("train", pictures_folder, "--run", run, "--images", "8", "--device", "cpu", *changes)
    )
    assert trained.code == 0, trained.err
    assert f"morelike enhance apply {run}" in trained.err
    ended = command("evaluate", run, "--device", "cpu")
    assert ended.code == 0, ended.err
    verdict = json.loads((run / "verdict.json").read_text())
    assert verdict["words"][0] in ("BETTER", "WORSE", "UNKNOWN")
    assert verdict["findings"][0]["topic"] == "fidelity"
    page = (run / "verdict.html").read_text()
    assert "feature distance, less that of" in page
    assert ended.out.splitlines()[-1] == str(run / "verdict.html")
    wrong = command("evaluate", run, "--size", "64")
    assert wrong.code == 2
    assert "knows its pictures" in wrong.err
