"""`morelike enhance` and `morelike translate` through the command line, on tiny runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file

from commands import Command
from morelike.models import configure
from morelike.runs import Run

TINY = [
    *("--set", "data.resolution=32", "--set", "task.crop=16", "--set", "generator.width=4"),
    *("--set", "discriminator.width=4", "--set", "training.batch=4", "--images", "8"),
    *("--device", "cpu", "--precision", "fp32", "--set", "data.held_out=0.4"),
]
ENLARGE = [*TINY, "--set", "generator.blocks=1", "--set", "discriminator.layers=1"]


@pytest.fixture(scope="module")
def enlarger(tmp_path_factory: pytest.TempPathFactory, pictures_folder: Path) -> Run:
    """A run that hardly learnt to enlarge; only to be read."""
    from morelike.api import train

    return train(
        pictures_folder,
        run=tmp_path_factory.mktemp("cli") / "00001-enlarge",
        family="enlarger",
        task={"name": "enlarge:2"},
        data={"resolution": 16, "held_out": 0.4},
        generator={"width": 4, "blocks": 1, "adversarial": 0},
        discriminator={"width": 4, "layers": 1},
        training={"batch": 4, "images": 8, "device": "cpu", "precision": "fp32"},
    )


def refused(command: Command, *words: str | Path) -> str:
    """The one sentence that a command says which cannot work."""
    ended = command(*words)
    assert ended.code == 2 and ended.out == "", ended
    assert ended.err.count("\n") == 1 and "Traceback" not in ended.err, ended.err
    return ended.err


@pytest.mark.parametrize("name", ["enhance", "translate"])
@pytest.mark.parametrize("word", ["train", "apply", "score"])
def test_help_is_immediate_and_has_examples(
    name: str, word: str, quiet_environment: dict[str, str]
) -> None:
    code = f"""
import sys
sys.argv = ["morelike", "{name}", "{word}", "--help"]
from morelike.cli import main
try:
    main()
finally:
    print([each for each in ("torch", "numpy", "PIL", "spandrel") if each in sys.modules])
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=quiet_environment,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert f"morelike {name} {word}" in ended.stdout.partition("Examples")[2]
    assert ended.stdout.splitlines()[-1] == "[]"


def test_an_enlarger_is_trained_and_goes_on(command: Command, pictures_folder: Path) -> None:
    words = ("enhance", "train", pictures_folder, "--task", "enlarge:2", *ENLARGE)
    ended = command(*words, "--seed", "5")
    assert ended.code == 0, ended.err
    folder = Path(ended.out.splitlines()[-1])
    config = Run(folder).config()
    assert (config["family"], config["recipe"]) == ("enlarger", "enlarge")
    assert config["task"]["name"] == "enlarge:2"
    assert (config["data"]["resolution"], config["training"]["seed"]) == (32, 5)
    assert f"then: morelike enhance apply {folder} PICTURES --out FOLDER" in ended.err
    ended = command("enhance", "train", "--resume", folder, "--images", "12", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {"run": str(folder)}
    assert Run(folder).metrics()[-1]["images"] == 12


def test_translate_has_a_recipe_of_its_own(command: Command, pictures_folder: Path) -> None:
    levels = ["--set", "generator.levels=2", "--set", "discriminator.layers=1"]
    ended = command("translate", "train", pictures_folder, *TINY, *levels, "--json")
    assert ended.code == 0, ended.err
    config = Run(Path(json.loads(ended.out)["run"])).config()
    assert (config["family"], config["recipe"]) == ("unet", "translate")
    assert config["task"]["name"] == "colorize"


def test_a_plan_trains_nothing(command: Command, pictures_folder: Path) -> None:
    words = ("enhance", "train", pictures_folder, "--task", "enlarge:2", *ENLARGE, "--dry-run")
    ended = command(*words)
    assert ended.code == 0, ended.err
    assert "generator " in ended.out and "images/s" in ended.out
    assert not Path("runs").exists()


def test_a_generator_is_matched(
    command: Command, trained_run: Run, pictures_folder: Path, enlarger: Run
) -> None:
    own = [word for word in ENLARGE if "resolution" not in word]
    del own[own.index("--set")]  # of the resolution, which is the generator's times two
    words = ("enhance", "train", "--match", trained_run.path, "--task", "enlarge:2")
    ended = command(*words, *own)
    assert ended.code == 0, ended.err
    run = Run(Path(ended.out.splitlines()[-1]))
    config = run.config()
    assert run.data()["source"] == str(pictures_folder)
    assert config["task"]["fakes"] == str(trained_run.path)
    assert config["data"]["resolution"] == 32 and run.fakes.is_file()
    said = refused(command, *words, "--resume", run.path)
    assert "keeps what it was matched with; leave out --match" in said
    shared = ("enhance", "train", "--match", trained_run.generator, "--task", "enlarge:2")
    assert "name the pictures before --match" in refused(command, *shared, *own)
    assert "--match is for enlargers" in refused(
        command, "enhance", "train", "--match", trained_run.path, "--task", "deblur"
    )
    assert "knows no seeds" in refused(command, "enhance", "train", "--match", enlarger.path)


def test_pictures_are_made(command: Command, enlarger: Run, pictures_folder: Path) -> None:
    (bad := Path("in")).mkdir()
    (bad / "text.png").write_text("no picture")
    (bad / "good.png").write_bytes((pictures_folder / "000.png").read_bytes())
    ended = command("enhance", "apply", enlarger.path, bad, "--out", "big", "--device", "cpu")
    assert ended.code == 0, ended.err
    assert ended.out == "1 pictures in big\n"
    assert "1 picture(s) could not be used:" in ended.err
    assert "text.png: not a picture in a known format" in ended.err
    with Image.open("big/good.png") as image:
        assert image.size == (40, 40)
    words = ("enhance", "apply", enlarger.path, "in/good.png", "-o", "big", "--device", "cpu")
    assert "big/good.png is there already; make it anew with --again" in refused(command, *words)
    printed = command(*words, "--again", "--from-whole", "--json", "--tile", "32")
    told = json.loads(printed.out)
    assert told["files"] == ["big/good.png"] and told["inputs"] == ["big/good.input.png"]
    with Image.open("big/good.input.png") as image:
        assert image.size == (10, 10)


def test_samples_of_a_run_are_enlarged(command: Command, enlarger: Run, trained_run: Run) -> None:
    words = ("enhance", "apply", enlarger.path, "--from-run", trained_run.path, "--device", "cpu")
    ended = command(*words, "--seeds", "0-2", "--out", "big")
    assert ended.code == 0, ended.err
    assert ended.out.strip() == "3 pictures in big, grid in big/grid.png"
    names = sorted(path.name for path in Path("big").iterdir())
    assert names == ["0.png", "1.png", "2.png", "grid.png"]


def test_it_is_scored(command: Command, enlarger: Run) -> None:
    ended = command("enhance", "score", enlarger.path, "--out", "found", "--device", "cpu")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "found"
    assert "PSNR in dB" in ended.out
    words = ("translate", "score", enlarger.path, "--out", "found", "--device", "cpu", "--json")
    told = json.loads(command(*words).out)
    assert told["files"]["score.png"] == "found/score.png"
    assert told["figures"].keys() == {"psnr", "ssim", "feature_distance"}


def test_a_general_model_takes_the_place_of_a_run(
    command: Command, pictures_folder: Path, enlarger: Run
) -> None:
    pytest.importorskip("spandrel", reason="needs spandrel: pip install 'morelike[general]'")
    from spandrel.architectures.Compact import Compact

    save_file(Compact(num_feat=4, num_conv=1, upscale=2).state_dict(), "compact.safetensors")
    picture = pictures_folder / "000.png"
    words = ("enhance", "apply", "--model", "compact.safetensors", "--device", "cpu", "-o", "big")
    ended = command(*words, picture)
    assert ended.code == 0, ended.err
    assert "how far it looks is not known, so tiles overlap by 32 pixels" in ended.err
    with Image.open("big/000.png") as image:
        assert image.size == (40, 40)
    said = refused(command, *words, enlarger.path, picture)
    assert "and --model both say what to apply; give one of them" in said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("apply", "name a run that `morelike enhance train` made, or a file with --model"),
        ("apply RUN", "no pictures were named; give files, folders, or --from-run RUN"),
        ("apply --model x.safetensors", "no pictures were named"),
        ("apply --model x.pth a.png", "x.pth is a pickle, which may run any program"),
        ("apply --model x.safetensors a.png", "there is no file x.safetensors"),
        ("apply RUN a.png --from-run GAN", "takes samples in place of pictures; leave out a.png"),
        ("apply RUN a.png --seeds 3", "--seeds are those of --from-run; give that too"),
        ("apply RUN --from-run GAN --seeds x", "'x' is not a seed or a range"),
        ("apply RUN --from-run GAN --from-whole", "--from-whole is for pictures; leave it out"),
        ("apply RUN --from-run RUN", "knows no seeds"),
        ("apply GAN a.png", "makes pictures from seeds, not from pictures"),
        ("apply nowhere a.png", "nowhere is neither a run folder nor a generator folder"),
        ("apply RUN nowhere.png", "there is no nowhere.png; name a picture, or a folder"),
        ("apply RUN .", "there is no picture in .; name a picture, or a folder with some"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(
    command: Command, enlarger: Run, trained_run: Run, line: str, sentence: str
) -> None:
    places = {"RUN": str(enlarger.path), "GAN": str(trained_run.path)}
    words = [places.get(word, word) for word in line.split()]
    assert sentence in refused(command, "enhance", *words, "--out", "big")
    assert not Path("big").exists()


def test_both_recipes_can_be_configured() -> None:
    from morelike import recipes

    for name, family, scale in (("enlarge", "enlarger", 4), ("translate", "unet", 1)):
        config = configure(recipes.find(name).values())
        assert (config.family, config.task.scale) == (family, scale)


@pytest.mark.parametrize("line", ["enhance train", "translate train photos --task circle"])
def test_what_to_train_on_must_be_said(command: Command, line: str) -> None:
    said = refused(command, *line.split())
    assert "no pictures were named" in said or "task.name" in said
