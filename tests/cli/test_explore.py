"""`morelike explore`: every command through the command line, on a tiny run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import Command
from morelike.runs import Run

COMMANDS = (
    "sweep --base 2 --steps 3 --dims 0,2",
    "interpolate --seeds 1,2 --frames 3 --no-even",
    "directions --kind sefa --count 1 --base 1",
    "mix --rows 0,1 --columns 2",
    "dream --unit 0",
    "timelapse --seeds 0-1",
)


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line.split()[0])
def test_each_command_ends_with_its_folder(command: Command, run_copy: Run, line: str) -> None:
    name, *options = line.split()
    ended = command("explore", name, run_copy.path, *options, "--device", "cpu")
    assert ended.code == 0, ended.err
    folder = Path(ended.out.splitlines()[-1])
    assert folder == run_copy.path / "explore" / name
    facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert facts["run"] == run_copy.name
    printed = command("explore", name, run_copy.path, *options, "--device", "cpu", "--json")
    told = json.loads(printed.out)
    assert told["out"] == str(folder) and {**told, **facts} == told
    assert all(Path(path).is_file() for path in told["files"].values())


def test_directions_are_there_for_samples(command: Command, run_copy: Run) -> None:
    sample = ("sample", run_copy.path, "--seeds", "0", "--device", "cpu", "--move", "pca1=+2")
    ended = command(*sample)
    assert ended.code == 2 and "find some with `morelike explore directions" in ended.err
    found = command("explore", "directions", run_copy.path, "--kind", "pca", "--base", "1")
    assert found.code == 0, found.err
    assert command(*sample, "--out", "moved").code == 0
    assert Path("moved/0.png").is_file()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sweep RUN --range 1", "--range must be like -1:1, not '1'"),
        ("sweep RUN --dims x", "'x' is not a seed or a range"),
        ("sweep RUN --dims 99", "there is no dimension 99; the generator has 0 to 7"),
        ("interpolate RUN --seeds 4", "a walk needs at least two seeds"),
        ("dream RUN --layer 9", "has no layer 9; its convolutions are 1 to 2"),
        ("directions nowhere", "neither a run folder nor a generator folder"),
        ("dream nowhere", "there is no run folder nowhere"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(
    command: Command, trained_run: Run, line: str, sentence: str
) -> None:
    words = [str(trained_run.path) if word == "RUN" else word for word in line.split()]
    ended = command("explore", *words)
    assert ended.code == 2 and sentence in " ".join(ended.err.split()), ended.err
    assert "Traceback" not in ended.err
