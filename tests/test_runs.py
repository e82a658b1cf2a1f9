from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from morelike import files, runs
from morelike.errors import UserError
from morelike.runs import Run, create_run, is_run, list_runs, open_run


def made(root: Path, name: str = "roses") -> Run:
    run = create_run(root, name)
    config = {"schema": 1, "family": "dcgan", "recipe": None, "data": {}, "training": {}}
    files.write_json(run.path / "config.json", config)
    data = {"schema": 1, "source": "pictures", "digest": "0", "split": {}}
    files.write_json(run.path / "data.json", data)
    return run


def test_runs_are_numbered_from_one(tmp_path: Path) -> None:
    root = tmp_path / "new" / "runs"
    assert [create_run(root, name).name for name in ("roses", "roses", "bicycles")] == [
        "00001-roses",
        "00002-roses",
        "00003-bicycles",
    ]


def test_the_next_number_is_one_more_than_the_largest(tmp_path: Path) -> None:
    for name in ("00007-x", "00003-y", "12-z", "notes", "99999-w", ".00200-hidden"):
        (tmp_path / name).mkdir()
    assert create_run(tmp_path, "x").name == "100000-x"
    assert create_run(tmp_path, "x").name == "100001-x"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("my pictures", "my-pictures"),
        ("../../etc", "etc"),
        ("a/b\\c:d\n*", "a-b-c-d"),
        ("Käse", "Käse"),
        ("...", "run"),
        ("", "run"),
        ("v1.2_x", "v1.2_x"),
    ],
)
def test_names_become_parts_of_a_path(tmp_path: Path, name: str, slug: str) -> None:
    run = create_run(tmp_path, name)
    assert run.path == tmp_path / f"00001-{slug}"
    assert run.path.is_dir()


def test_many_at_once_get_a_folder_each(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_run(tmp_path, "x"), range(40)))
    assert sorted(run.name for run in made) == [f"{number:05d}-x" for number in range(1, 41)]


def test_runs_of_different_names_begun_at_once_get_different_numbers(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: create_run(tmp_path, f"run{i}"), range(24)))
    assert sorted(run.name[:5] for run in made) == [f"{number:05d}" for number in range(1, 25)]
    assert sum(path.is_dir() for path in tmp_path.iterdir()) == 24


def test_a_place_where_no_folder_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for root in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(UserError, match=r"cannot write to .*; choose another folder with"):
            create_run(root, "x")
    with pytest.raises(UserError, match="cannot write to"):
        create_run(tmp_path, "x" * 300)


def test_a_run_is_a_folder_with_both_descriptions(tmp_path: Path) -> None:
    run = made(tmp_path)
    assert is_run(run.path)
    assert open_run(str(run.path)) == run
    assert open_run(run.path).config()["family"] == "dcgan"
    assert open_run(run.path).data()["source"] == "pictures"
    assert not is_run(tmp_path)
    assert not is_run(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "data.json"])
def test_what_is_no_run_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"there is no run folder .*nowhere"):
        open_run(tmp_path / "nowhere")
    run = made(tmp_path)
    for content in ("", "{", "[]", "5", '{"schema": 2}', "{}", "\x00", '{"schema": 1}'):
        (run.path / name).write_text(content)
        with pytest.raises(UserError, match=name) as caught:
            open_run(run.path)
        assert "\n" not in str(caught.value)
    (run.path / name).write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=f"{name} cannot be read"):
        open_run(run.path)
    (run.path / name).unlink()
    with pytest.raises(UserError, match=f"is not a run folder: it has no {name}"):
        open_run(run.path)
    assert not is_run(run.path)


def test_runs_are_listed_by_number(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        made(tmp_path, name)
    create_run(tmp_path, "begun")  # nothing in it yet
    (tmp_path / "notes.txt").write_text("not a run")
    assert [run.name for run in list_runs(tmp_path)] == ["00001-b", "00002-a", "00003-c"]
    with pytest.raises(UserError, match="there is no folder"):
        list_runs(tmp_path / "nowhere")


def test_records_are_read_up_to_where_a_killed_process_stopped(tmp_path: Path) -> None:
    run = made(tmp_path)
    assert run.metrics() == []
    lines = [json.dumps({"images": images}) for images in (8, 16, 24)]
    run.metrics_file.write_text("\n".join(lines) + "\n")
    assert [record["images"] for record in run.metrics()] == [8, 16, 24]
    for cut in ('{"images": 2', "\0\0\0\0", "5", "null", "{}", "\ufffd"):
        run.metrics_file.write_text("\n".join([*lines[:2], cut]), encoding="utf-8")
        assert [record["images"] for record in run.metrics()] == [8, 16]
    run.metrics_file.write_bytes(f"{lines[0]}\n".encode() + b"\xff\xfe")
    assert [record["images"] for record in run.metrics()] == [8]


def test_the_parts_have_their_places(tmp_path: Path) -> None:
    run = Run(tmp_path / "00001-x")
    assert run.checkpoints.path == run.path / "checkpoints"
    assert run.samples == run.path / "samples"
    assert run.generator == run.path / "generator"
    assert run.metrics_file == run.path / "metrics.jsonl"


def test_one_process_cannot_train_twice_in_a_folder(tmp_path: Path) -> None:
    run = made(tmp_path)
    with run.locked():
        with pytest.raises(UserError, match="another process is training in"), run.locked():
            pass
        with made(tmp_path, "other").locked():
            pass
    with run.locked():
        pass


def test_the_lock_goes_when_training_fails(tmp_path: Path) -> None:
    run = made(tmp_path)
    with pytest.raises(ZeroDivisionError), run.locked():
        raise ZeroDivisionError
    with run.locked():
        pass


HOLD = """
import sys, time
from pathlib import Path
from morelike.runs import Run
with Run(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_kept_out_until_it_is_killed(
    tmp_path: Path, quiet_environment: dict[str, str]
) -> None:
    run = made(tmp_path)
    command = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=quiet_environment
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            with pytest.raises(UserError, match="another process is training in"), run.locked():
                pass
        finally:
            child.kill()
    with run.locked():  # the killed process let go by itself
        pass


def test_a_folder_that_takes_no_lock_is_said(tmp_path: Path) -> None:
    run = Run(tmp_path / "nowhere" / "00001-x")
    (tmp_path / "nowhere").write_text("in the way")
    with pytest.raises(UserError, match="cannot write to"), run.locked():
        pass


def test_the_remedy_can_be_another_one(tmp_path: Path) -> None:
    error = runs.cannot_write(tmp_path, PermissionError(13, "Permission denied"))
    assert str(error) == (
        f"cannot write to {tmp_path}: permission denied; choose another folder with --out."
    )
