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
