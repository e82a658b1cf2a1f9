from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image

from commands import Command
from conftest import WritePictures
from morelike import recipes
from morelike.checkpoint import TENSORS
from morelike.cli import app, console
from morelike.runs import Run, list_runs
from morelike.training.step import PARTS
from morelike.version import __version__


@pytest.fixture
def refused(command: Command) -> Callable[..., str]:
    """Run a command that cannot work, and give the one sentence it says."""

    def run(*arguments: str | Path, code: int = 2) -> str:
        ended = command(*arguments)
        assert ended.code == code, ended
        assert ended.out == ""
        return sentence(ended.err)

    return run


def sentence(err: str) -> str:
    """The one line that standard error must be."""
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert err.startswith("morelike: ")
    assert "Traceback" not in err
    assert err.rstrip()[-1] in ".?"
    return err


def damage(checkpoint: Path) -> None:
    with (checkpoint / TENSORS).open("r+b") as file:
        file.truncate(2000)


# Real processes -----------------------------------------------------------------------------------

HELPED = [
    [],
    ["train"],
    ["sample"],
    ["evaluate"],
    ["gallery"],
    ["recipes"],
    ["recipes", "list"],
    ["recipes", "show"],
    ["runs"],
    ["runs", "list"],
    ["runs", "show"],
]
# pydantic is not among these: typer itself loads it to show options.
HEAVY = ("torch", "numpy", "PIL", "matplotlib", "av", "safetensors", "morelike.config")
WATCHED = f"""
import os, sys
from morelike.cli import main
try:
    main()
finally:
    found = [name for name in {HEAVY} if name in sys.modules]
    seconds = sum(os.times()[:2])
    print(f"loaded {{found}}", f"seconds {{seconds}}", sep="\\n", file=sys.stderr)
"""


@pytest.mark.parametrize("words", HELPED, ids=" ".join)
def test_help_is_immediate_and_has_examples(
    words: list[str], quiet_environment: dict[str, str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, *words, "--help"],
        capture_output=True,
        text=True,
        env=quiet_environment,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    assert "Usage: " in ended.stdout
    usage, found, examples = ended.stdout.partition("Example")
    if not words:
        usage, found, examples = ended.stdout.partition("Begin with:")
    assert found, ended.stdout
    assert f"morelike {' '.join(words)}" in examples
    assert "--help" in usage
    loaded, seconds = ended.stderr.splitlines()
    assert loaded == "loaded []"
    # Half a second is the promise; a busy machine gets three times that.
    assert float(seconds.split()[1]) < 1.5


def test_the_package_runs_as_a_module(quiet_environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "morelike", "--version"],
        capture_output=True,
        text=True,
        env=quiet_environment,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"morelike {__version__}\n", "")


def test_the_real_command_trains_and_refuses(
    pictures_folder: Path,
    tmp_path: Path,
    tiny_options: list[str],
    quiet_environment: dict[str, str],
) -> None:
    program = Path(sys.executable).parent / "morelike"
    if not program.exists():
        pytest.skip("the command morelike is not installed beside this Python")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program), *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=quiet_environment,
            timeout=120,
            check=False,
        )

    trained = run("train", str(pictures_folder), *tiny_options)
    assert trained.returncode == 0, trained.stderr
    folder = trained.stdout.splitlines()[-1]
    assert folder.startswith("runs/00001-")
    assert (tmp_path / folder / "config.json").is_file()
    assert "16 images" in trained.stderr
    ended = run("train", "nowhere")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "there is no folder nowhere" in sentence(ended.stderr)


# Help and usage -----------------------------------------------------------------------------------


def examples() -> list[str]:
    """Every command line that a help page shows."""
    root = typer.main.get_command(app)
    pages = [root]
    for page in pages:
        pages += getattr(page, "commands", {}).values()
    lines = [line.strip() for page in pages for line in (page.epilog or "").splitlines()]
    return sorted({line[line.index("morelike ") :] for line in lines if "morelike " in line})


@pytest.mark.parametrize("line", examples())
def test_every_example_in_the_help_can_be_parsed(line: str) -> None:
    words = shlex.split(line.split(" > ")[0])[1:]
    page = typer.main.get_command(app)
    while hasattr(page, "commands"):
        page = page.commands[words.pop(0)]  # pyright: ignore[reportAttributeAccessIssue]
    page.make_context("morelike", words)
    for place, word in enumerate(words):
        if word == "--recipe" and not words[place + 1].endswith(".toml"):
            recipes.find(words[place + 1])


def test_there_are_examples() -> None:
    assert len(examples()) >= 10


def test_the_version_is_printed(command: Command) -> None:
    assert command("--version") == (0, f"morelike {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["trian"],
        ["train", "--imges", "3"],
        ["train", "--images", "many"],
        ["train", "--minutes", "x"],
        ["train", "--recipe"],
        ["train", "a", "b"],
        ["sample"],
        ["evaluate"],
        ["gallery"],
        ["sample", "x", "--truncation", "y"],
        ["recipes", "shwo"],
        ["recipes", "show"],
        ["runs", "show"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(command: Command, words: list[str]) -> None:
    ended = command(*words)
    assert ended.code == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert "Error" in ended.err


# Training -----------------------------------------------------------------------------------------


def test_training_prints_the_run_folder_last(
    command: Command, pictures_folder: Path, tiny_options: list[str]
) -> None:
    ended = command("train", pictures_folder, *tiny_options)
    assert ended.code == 0
    folder = Path(ended.out.splitlines()[-1])
    assert folder.parent == Path("runs")
    assert Run(folder).metrics()[-1]["images"] == 16
    assert f"morelike sample {folder} --seeds 0-63" in ended.err
    assert "16 images" in ended.err


def test_training_prints_json(
    command: Command, pictures_folder: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    ended = command("train", pictures_folder, *tiny_options, "--json", "--out", tmp_path / "o")
    assert ended.code == 0
    (run,) = list_runs(tmp_path / "o")
    assert json.loads(ended.out) == {"run": str(run.path)}


def test_options_are_settings(
    command: Command, pictures_folder: Path, tiny_options: list[str]
) -> None:
    options = ["--images", "8", "--seed", "5", "--minutes", "3", "--precision", "fp32"]
    ended = command("train", pictures_folder, *tiny_options, *options, "--device", "cpu")
    training = Run(Path(ended.out.strip())).config()["training"]
    assert (training["images"], training["seed"], training["minutes"]) == (8, 5, 3)
    assert (training["device"], training["precision"]) == ("cpu", "fp32")


def test_the_short_names_may_be_set_as_well(
    command: Command, pictures_folder: Path, tiny_options: list[str]
) -> None:
    ended = command("train", pictures_folder, *tiny_options, "--set", "images=8", "--set", "seed=3")
    training = Run(Path(ended.out.strip())).config()["training"]
    assert (training["images"], training["seed"]) == (8, 3)


def test_a_named_folder_is_begun_and_gone_on_with(
    command: Command, pictures_folder: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "my run"
    first = command("train", pictures_folder, *tiny_options, "--run", folder)
    assert (first.code, first.out) == (0, f"{folder}\n")
    again = command("train", pictures_folder, *tiny_options, "--run", folder, "--images", "24")
    assert (again.code, again.out) == (0, f"{folder}\n")
    assert f"going on from 16 images ({folder}/checkpoints/16)\n" in again.err
    assert [record["images"] for record in Run(folder).metrics()][-2:] == [16, 24]


def test_what_could_not_be_read_is_listed(
    command: Command, tiny_options: list[str], tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "p", 12)
    for number in range(25):
        (folder / f"bad [red]{number:02d}.png").write_bytes(b"")
    ended = command("train", folder, *tiny_options, "--set", "data.most_rejected=1")
    assert ended.code == 0
    assert "25 file(s) could not be used:\n" in ended.err
    assert "  bad [red]00.png: the file is empty\n" in ended.err
    assert "bad [red]20.png" not in ended.err
    assert "and 5 more, all named in data.json\n" in ended.err
    assert len(Run(Path(ended.out.strip())).data()["rejected"]) == 25


def test_odd_folders_are_printed_as_they_are(
    command: Command, pictures_folder: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / ("[bold]a [/b] " + "long " * 30).strip()
    ended = command("train", pictures_folder, *tiny_options, "--out", out)
    assert ended.code == 0
    (run,) = list_runs(out)
    assert ended.out == f"{run.path}\n"
    assert f"then: morelike sample {ended.out.strip()} --seeds 0-63\n" in ended.err


def test_folders_whose_name_is_not_utf8_can_be_trained_on(
    command: Command, tiny_options: list[str], tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        write_pictures(folder, 12)
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    ended = command("train", folder, *tiny_options)
    assert ended.code == 0
    run = Run(Path(ended.out.strip()))
    assert run.data()["source"] == str(folder)
    assert command("train", "--resume", run.path, "--images", "24").code == 0
    assert "\\udce9" in command("runs", "list").out


@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_shows_the_plan_and_writes_no_run(
    command: Command, pictures_folder: Path, tiny_options: list[str], as_json: bool
) -> None:
    flags = ["--json"] if as_json else []
    ended = command("train", pictures_folder, *tiny_options, "--images", "400", "--dry-run", *flags)
    assert ended.code == 0
    assert ended.err == ""
    assert list(Path.cwd().iterdir()) == []
    if as_json:
        plan = json.loads(ended.out)
        assert plan["source"] == str(pictures_folder)
        assert (plan["pictures_train"], plan["pictures_held_out"]) == (12, 8)
        assert (plan["images"], plan["device"], plan["precision"]) == (400, "cpu", "fp32")
        assert plan["seconds"] == pytest.approx(400 / plan["images_per_second"], rel=0.01, abs=0.1)
        sizes = ("generator_parameters", "discriminator_parameters", "memory_mib")
        assert all(plan[size] > 0 for size in sizes)
    else:
        assert f"{pictures_folder}: 12 pictures to train on, 8 held out" in ended.out
        assert "400 images, about " in ended.out
        table, why = ended.out.split("\n\n")
        words = [line.split()[0] for line in table.splitlines()]
        expected = ["data", "generator", "discriminator", "memory", "speed", "length", "penalties"]
        assert words == expected
        assert "on D's gradient, in each 16th step" in table
        assert why.startswith("Chosen for 12 pictures of ")
        assert "after 400 pictures shown, as you asked" in why


@pytest.mark.parametrize("as_json", [False, True])
def test_a_profile_shows_where_the_time_goes(
    command: Command, pictures_folder: Path, tiny_options: list[str], as_json: bool
) -> None:
    flags = ["--json"] if as_json else []
    ended = command("train", pictures_folder, *tiny_options, "--profile", *flags)
    assert ended.code == 0
    if as_json:
        assert set(json.loads(ended.out)["step"]) == set(PARTS)
    else:
        assert "images/s on cpu in fp32" in ended.out
        assert all(f"%  {part}" in ended.out for part in PARTS)
    assert list(Path.cwd().iterdir()) == []


def test_samples_in_shards(
    command: Command, pictures_folder: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    run = command("train", pictures_folder, *tiny_options, "--run", tmp_path / "run").out.strip()
    asked = (
        "sample",
        run,
        "--seeds",
        "0-24",
        "--shards",
        "10",
        "--form",
        "npy",
        "--out",
        tmp_path / "s",
    )
    ended = command(*asked, "--json")
    assert ended.code == 0
    assert [Path(path).name for path in json.loads(ended.out)["files"]] == [
        f"{number:05d}.npy" for number in range(3)
    ]
    assert "25 pictures in 3 files" in command(*asked).out
    assert command(*asked, "--safe").code == 2
    assert command(*asked[:-2], "--form", "zip").code == 2
    assert command(*asked, "--precision", "fp64").code == 2


# What a person can get wrong ----------------------------------------------------------------------


def test_sources_that_cannot_be_used(
    refused: Callable[..., str], tmp_path: Path, write_pictures: WritePictures
) -> None:
    assert "there is no folder photos/" in refused("train", "photos/")
    assert "no pictures were named" in refused("train")
    (tmp_path / "empty").mkdir()
    assert "empty holds no pictures; morelike reads" in refused("train", tmp_path / "empty")
    one = write_pictures(tmp_path / "one", 1)
    assert "holds one picture that can be read; at least 2" in refused("train", one)
    assert "is a file; give the folder" in refused("train", one / "000.png")
    for name in ("a.txt", "b.md"):
        (tmp_path / "empty" / name).write_text("some text")
    assert "holds no pictures" in refused("train", tmp_path / "empty")
    for name in ("a.jpg", "b\nc.png"):
        (tmp_path / "empty" / name).write_text("some text")
    assert "no picture that can be read" in refused("train", tmp_path / "empty")
    assert "a.jpg: not a picture in a known format" in refused("train", tmp_path / "empty")
    assert "the nearest is 'bicycles'" in refused("train", "toy:bicycle")
    assert "from 2 to 1000000" in refused("train", "toy:bicycles:1")
    assert "there is no folder two lines" in refused("train", "two\nlines")
    assert "name too long" in refused("train", "x" * 5000, code=1)
    assert list(Path.cwd().iterdir()) == []


SETTINGS = [
    (["--recipe", "rose-dcgan"], "no recipe 'rose-dcgan'; the nearest is 'roses-dcgan'"),
    (["--recipe", "nowhere.toml"], "nowhere.toml cannot be read"),
    (["--set", "training.btach=3"], "unknown key 'training.btach', the nearest is 'batch'"),
    (["--set", "trianing.batch=3"], "unknown key 'trianing', the nearest is 'training'"),
    (["--set", "btach=3"], "unknown key 'btach'"),
    (["--set", "family=dcgam"], "no family 'dcgam'; the nearest is 'dcgan'"),
    (["--set", "training.batch=0"], "training.batch should be greater than or equal to 1 (got 0)"),
    (["--set", "training.batch=many"], "training.batch should be a valid integer"),
    (["--set", "generator.width=9999"], "generator.width should be less than or equal to 1024"),
    (["--set", "data.resolution=48"], "data.resolution: must be one of 16, 32, 64, 128, 256"),
    (["--set", "data.channels=2"], "data.channels should be 'auto', 1, 3 or 4"),
    (["--set", "training.accumulation=5"], "accumulation 5 must divide batch 8"),
    (["--set", "training.batch"], "is not of the form section.key=value"),
    (["--set", "=3"], "is not of the form section.key=value"),
    (["--set", "training=3"], "training should be a valid dictionary"),
    (["--images", "0"], "training.images should be greater than or equal to 1"),
    (["--minutes", "0"], "training.minutes should be greater than 0"),
    (["--minutes", "nan"], "training.minutes should be a finite number"),
    (["--seed", "-1"], "training.seed should be greater than or equal to 0"),
    (["--precision", "fp16"], "training.precision should be 'auto', 'fp32' or 'bf16'"),
    (["--device", "gpu"], "'gpu' is no device; use auto"),
    (["--device", "meta"], "'meta' is not supported"),
]


@pytest.mark.parametrize(("options", "said"), SETTINGS, ids=[" ".join(o) for o, _ in SETTINGS])
def test_settings_that_cannot_be_used(
    refused: Callable[..., str],
    pictures_folder: Path,
    tiny_options: list[str],
    options: list[str],
    said: str,
) -> None:
    assert said in refused("train", pictures_folder, *tiny_options, *options)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there(refused: Callable[..., str], pictures_folder: Path) -> None:
    said = refused("train", pictures_folder, "--device", "cuda")
    assert "no usable CUDA device; use --device auto or cpu" in said


def test_recipe_files_that_cannot_be_used(
    refused: Callable[..., str], pictures_folder: Path
) -> None:
    mine = Path("mine.toml")
    for text, said in (
        ("[training\nbatch = 3\n", "recipe mine is not valid TOML"),
        ("batch = = 3", "recipe mine is not valid TOML"),
        ("[training]\nbacth = 3", "recipe mine: unknown key 'training.bacth', the nearest is"),
        ("[data]\nresolution = 65", "data.resolution: must be one of"),
        ("training = 3", "training should be a valid dictionary"),
    ):
        mine.write_text(text)
        assert said in refused("train", pictures_folder, "--recipe", "mine.toml")
    mine.write_bytes(b"\xff\xfe")
    assert "mine.toml cannot be read" in refused("train", pictures_folder, "--recipe", "mine.toml")


def test_places_where_no_run_can_be_made(
    refused: Callable[..., str], pictures_folder: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    train = ("train", pictures_folder, *tiny_options)
    assert "choose another folder with --out" in refused(*train, "--out", tmp_path / "file")
    assert "cannot make the folder" in refused(*train, "--run", tmp_path / "file")
    assert "is not a run folder and not empty" in refused(*train, "--run", tmp_path)
    said = refused(*train, "--run", tmp_path / "a", "--resume", tmp_path / "b")
    assert "--run and --resume both name the run folder" in said


def test_a_cache_that_cannot_be_written(
    refused: Callable[..., str],
    pictures_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "file"))
    assert "set MORELIKE_CACHE to a folder with room" in refused("train", pictures_folder)


def test_runs_that_cannot_go_on(
    refused: Callable[..., str], run_copy: Run, tmp_path: Path, write_pictures: WritePictures
) -> None:
    assert "there is no run folder nowhere" in refused("train", "--resume", "nowhere")
    assert "is not a run folder: it has no config.json" in refused("train", "--resume", tmp_path)
    others = write_pictures(tmp_path / "others", 9, first=50)
    said = refused("train", others, "--resume", run_copy.path)
    assert "was trained on other pictures" in said
    assert str(others) in said
    changes = ["--set", "generator.width=5", "--set", "training.batch=16", "--images", "64"]
    said = refused("train", "--resume", run_copy.path, *changes)
    assert "other values of generator.width, training.batch; go on without" in said
    said = refused("train", "--resume", run_copy.path, "--recipe", "bicycles")
    assert "was trained with other values of " in said
    assert "discriminator.width" in said
    (run_copy.path / "config.json").write_text("{")
    assert "config.json cannot be read" in refused("train", "--resume", run_copy.path)


def test_a_run_that_somebody_trains_is_left_alone(
    refused: Callable[..., str], run_copy: Run
) -> None:
    with run_copy.locked():
        said = refused("train", "--resume", run_copy.path)
    assert "another process is training in" in said


def test_a_damaged_newest_checkpoint_is_passed_over(command: Command, run_copy: Run) -> None:
    damage(run_copy.path / "checkpoints" / "32")
    ended = command("train", "--resume", run_copy.path, "--images", "40")
    assert ended.code == 0
    lines = ended.err.splitlines()
    assert lines[0].endswith("falling back to the checkpoint before it.")
    assert str(run_copy.path / "checkpoints" / "32") in lines[0]
    assert lines[1].startswith("going on from 16 images")
    assert [checkpoint.images for checkpoint in run_copy.checkpoints.all()][-1] == 40
    assert all(checkpoint.verify() for checkpoint in run_copy.checkpoints.all()[-1:])


def test_with_every_checkpoint_damaged_nothing_goes_on(command: Command, run_copy: Run) -> None:
    for checkpoint in run_copy.checkpoints.all():
        damage(checkpoint.path)
    ended = command("train", "--resume", run_copy.path)
    assert (ended.code, ended.out) == (2, "")
    *complaints, last = ended.err.splitlines(keepends=True)
    assert len(complaints) == 3
    assert all("was cut short or changed" in complaint for complaint in complaints)
    assert "is usable; start a new run" in sentence(last)


# Samples ------------------------------------------------------------------------------------------


def test_samples_are_written_with_their_grid(command: Command, run_copy: Run) -> None:
    ended = command("sample", run_copy.path, "--seeds", "0-2,9", "--grid", "g.png", "-o", "made")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "4 pictures in made, grid in g.png\n"
    names = sorted(path.name for path in Path("made").iterdir())
    assert names == ["0.png", "1.png", "2.png", "9.png"]
    with Image.open("g.png") as image:
        assert image.size == (32, 32)


def test_samples_go_into_the_run_unless_told_otherwise(command: Command, run_copy: Run) -> None:
    ended = command("sample", run_copy.path, "--seeds", "7", "--checkpoint", "16", "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == {
        "out": str(run_copy.path / "pictures"),
        "grid": None,
        "checkpoint": "16 images, averaged weights",
        "files": [str(run_copy.path / "pictures" / "7.png")],
    }
    assert (run_copy.path / "pictures" / "7.png").is_file()


def test_a_damaged_best_is_said_on_one_line(command: Command, run_copy: Run) -> None:
    best = run_copy.checkpoints.pointed("best")
    assert best is not None
    damage(best.path)
    ended = command("sample", run_copy.path, "--seeds", "7")
    assert ended.code == 0
    assert ended.err == f"{best.path} is damaged; using the newest sound checkpoint.\n"


SAMPLES = [
    (["--seeds", "x"], "'x' is not a seed or a range of seeds"),
    (["--seeds", "9-3"], "write 3-9"),
    (["--seeds", "-4"], "is not a seed"),
    (["--seeds", ""], "is not a seed"),
    (["--seeds", "9" * 5000], "is not a seed"),
    (["--seeds", "0-99999999999"], "more than 10,000,000 seeds"),
    (["--checkpoint", "24"], "there is no checkpoint 24"),
    (["--checkpoint", "newest"], "checkpoint 'newest' is not best, latest or a number"),
    (["--truncation", "0"], "truncation 0.0 is out of range; use 0.1 to 10"),
    (["--device", "gpu"], "'gpu' is no device"),
    (["--out", "file"], "cannot write to file: "),
    (["--seeds", "1", "--out", "ok", "--grid", "file/g.png"], "another file with --grid"),
]


@pytest.mark.parametrize(("options", "said"), SAMPLES, ids=[" ".join(o)[:40] for o, _ in SAMPLES])
def test_samples_that_cannot_be_made(
    refused: Callable[..., str], run_copy: Run, options: list[str], said: str
) -> None:
    Path("file").write_text("in the way")
    assert said in refused("sample", run_copy.path, *options)


def test_folders_that_cannot_be_sampled_from(
    refused: Callable[..., str], run_copy: Run, tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        said = refused("sample", folder)
        assert "is neither a run folder nor a generator folder" in said
    assert "--checkpoint and --raw need the whole run" in refused(
        "sample", run_copy.generator, "--raw"
    )
    for checkpoint in run_copy.checkpoints.all():
        damage(checkpoint.path)
    assert "holds no usable checkpoint" in refused("sample", run_copy.path)
    said = refused("sample", run_copy.path, "--checkpoint", "16")
    assert "was cut short or changed; choose another" in said


# Recipes and runs ---------------------------------------------------------------------------------


def test_recipes_are_listed(command: Command) -> None:
    lines = command("recipes", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == recipes.names()
    listed = json.loads(command("recipes", "list", "--json").out)
    assert [entry["name"] for entry in listed] == recipes.names()
    assert all(entry["title"] for entry in listed)
    assert all(entry["title"] in line for entry, line in zip(listed, lines, strict=True))


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_can_be_saved_edited_and_passed_back(
    command: Command, pictures_folder: Path, name: str, tmp_path: Path
) -> None:
    shown = command("recipes", "show", name)
    assert (shown.code, shown.err) == (0, "")
    mine = tmp_path / f"{name}.toml"
    mine.write_text(shown.out, encoding="utf-8")
    assert recipes.find(str(mine)) == recipes.find(name)
    assert command("recipes", "show", mine).out == shown.out
    whole = json.loads(command("recipes", "show", name, "--json").out)
    assert whole == json.loads(command("recipes", "show", mine, "--json").out)
    assert {"data", "generator", "discriminator", "objective", "training"} <= set(whole)


def test_a_saved_recipe_trains_under_its_own_name(
    command: Command, pictures_folder: Path, tiny_options: list[str]
) -> None:
    text = command("recipes", "show", "bicycles").out
    Path("mine.toml").write_text(text.replace("[training]", "[training]\nlog_every = 7"))
    ended = command("train", pictures_folder, "--recipe", "mine.toml", *tiny_options)
    assert ended.code == 0
    run = Run(Path(ended.out.strip()))
    assert run.name == "00001-mine"
    assert run.config()["recipe"] == "mine"
    assert run.config()["training"]["log_every"] == 7


def test_unknown_recipes_are_refused(refused: Callable[..., str]) -> None:
    assert "the nearest is 'bicycles'" in refused("recipes", "show", "bicycle")
    assert "known: " in refused("recipes", "show", "qqqqqqqq")


def test_runs_are_listed_and_shown(command: Command, run_copy: Run) -> None:
    root = run_copy.path.parent
    listed = json.loads(command("runs", "list", root, "--json").out)
    shown = json.loads(command("runs", "show", run_copy.path, "--json").out)
    assert listed == [shown]
    assert shown["run"] == str(run_copy.path)
    assert shown["images"] == 32
    assert shown["checkpoints"] == [0, 16, 32]
    assert shown["latest"] == 32
    assert shown["best"] in (0, 16, 32)
    assert shown["last"]["step"] == 4
    (line,) = command("runs", "list", root).out.splitlines()
    assert str(run_copy.path) in line
    assert "32 images" in line
    text = command("runs", "show", run_copy.path).out
    assert "12 pictures to train on, 8 held out" in text
    assert "0, 16, 32; best " in text
    assert "loss_generator" in text


def test_readings_of_two_networks_are_shown_apart(command: Command, run_copy: Run) -> None:
    reading = {"kid": 50.0, "near_copies": 0.0, "variety": 0.9, "verdict": "", "step": 1}
    with (run_copy.path / "metrics.jsonl").open("a") as file:
        for images, by in ((8, "random@1"), (16, "random@1"), (24, "timm:vgg16@2")):
            record = {"images": images, "seconds": 60.0, **reading, "extractor": by}
            file.write(json.dumps(record) + "\n")
    *_, first, second, apart, third = command("runs", "show", run_copy.path).out.splitlines()
    assert [line.split()[0] for line in (first, second, third)] == ["8", "16", "24"]
    assert "by timm:vgg16@2, above by random@1: not to be compared" in apart


def test_without_runs_there_is_nothing_to_list(
    command: Command, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()
    assert command("runs", "list", tmp_path / "none").out == f"no runs in {tmp_path / 'none'}\n"
    assert json.loads(command("runs", "list", tmp_path / "none", "--json").out) == []
    assert "there is no folder runs" in refused("runs", "list")
    assert "is not a run folder" in refused("runs", "show", tmp_path)
    assert "there is no run folder nowhere" in refused("runs", "show", "nowhere")


def test_one_unreadable_run_does_not_hide_the_others(command: Command, run_copy: Run) -> None:
    broken = run_copy.path.parent / "00000-broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"schema": 99}')
    (broken / "data.json").write_text('{"schema": 99}')
    ended = command("runs", "list", run_copy.path.parent)
    assert ended.code == 0
    assert [str(run_copy.path) in line for line in ended.out.splitlines()] == [True]
    assert "00000-broken" in ended.err
    assert "another version of morelike" in ended.err


def test_durations_are_short() -> None:
    assert [console.duration(s) for s in (0, 59.6, 61, 3600, 86_399.4)] == [
        "0:00",
        "1:00",
        "1:01",
        "1:00:00",
        "23:59:59",
    ]
