"""The whole way: from pictures of known truth to the words of a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import picture
from morelike.diagnostics.finding import Finding
from morelike.errors import UserError
from morelike.evaluate.evaluation import evaluate, words, write
from morelike.evaluate.subject import Subject, from_folders, from_run
from morelike.evaluate.verdict import Verdict
from morelike.features import extractor
from morelike.runs import Run

SIDE = 32


def drawn(first: int, count: int) -> np.ndarray:
    return np.stack([picture(number, SIDE, SIDE) for number in range(first, first + count)])


@pytest.fixture(scope="module")
def real() -> tuple[np.ndarray, np.ndarray]:
    return drawn(0, 60), drawn(1000, 24)


def judged(real: tuple[np.ndarray, np.ndarray], samples: np.ndarray) -> Verdict:
    return evaluate(Subject("drawn", real[0], real[1], samples), extractor())


def topic(verdict: Verdict, name: str) -> Finding:
    return next(finding for finding in verdict.findings if finding.topic == name)


def test_new_pictures_of_the_kind_are_neither_copied_nor_collapsed(
    real: tuple[np.ndarray, np.ndarray],
) -> None:
    verdict = judged(real, drawn(2000, 96))
    assert not {"COPYING", "COLLAPSED", "DIVERGED"} & set(verdict.words)
    assert topic(verdict, "copying").state != "yes"
    assert topic(verdict, "collapse").state == "no"
    assert verdict.counts == {"train": 60, "held_out": 24, "samples": 96}


def test_copies_and_one_picture_are_both_called_what_they_are(
    real: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    copies = judged(real, np.concatenate([real[0][:, :, ::-1], drawn(2000, 36)]))
    assert copies.words[0] == "COPYING"
    assert "COLLAPSED" not in copies.words
    one = judged(real, np.repeat(real[0][:1], 64, axis=0))
    assert {"COLLAPSED", "COPYING"} <= set(one.words)
    facts, page = write(one, tmp_path / "out")
    stored = json.loads(facts.read_text())
    assert stored["words"] == list(one.words)
    assert "COLLAPSED" in page.read_text()
    assert {finding["topic"] for finding in stored["findings"]} >= {"learning", "copying"}


@pytest.mark.parametrize("kind", ["noise", "averaged", "smeared", "blurred"])
def test_what_is_neither_a_copy_nor_good_is_called_neither(
    real: tuple[np.ndarray, np.ndarray], kind: str
) -> None:
    from morelike.diagnostics.controls import DECOYS

    verdict = judged(real, DECOYS[kind](real[0], np.random.RandomState(0)))
    assert "COPYING" not in verdict.words
    assert "LEARNING" not in verdict.words
    assert "no measure tells" not in topic(verdict, "learning").sentence


def test_other_pictures_in_place_of_held_out_ones_are_refused(
    real: tuple[np.ndarray, np.ndarray],
) -> None:
    noise = np.random.RandomState(0).randint(0, 256, (24, SIDE, SIDE, 3)).astype(np.uint8)
    with pytest.raises(UserError, match="another kind"):
        evaluate(Subject("x", real[0], noise, drawn(2000, 32)), extractor())


def test_words_put_faults_first_and_say_unknown_where_nothing_is_known() -> None:
    def found(topic: str, state: str, word: str = "") -> Finding:
        return Finding(topic, state, "", word=word)  # pyright: ignore[reportArgumentType]

    assert words([found("learning", "yes", "LEARNING"), found("copying", "no")]) == ("LEARNING",)
    both = [found("learning", "yes", "LEARNING"), found("copying", "unknown")]
    assert words(both) == ("LEARNING", "UNKNOWN")
    faults = [found("learning", "no", "STALLED"), found("copying", "yes", "COPYING")]
    assert words([*faults, found("collapse", "yes", "COLLAPSED")]) == (
        "COLLAPSED",
        "COPYING",
        "STALLED",
    )
    assert words([found("learning", "unknown", "UNKNOWN")]) == ("UNKNOWN",)
    copying = [found("learning", "yes", "LEARNING"), found("copying", "yes", "COPYING")]
    assert words(copying) == ("COPYING",)
    begun = [found("learning", "yes", "LEARNING"), found("collapse", "yes", "COLLAPSED")]
    assert words(begun) == ("COLLAPSED", "LEARNING")


def test_a_run_is_evaluated_with_its_networks_and_its_history(trained_run: Run) -> None:
    subject = from_run(trained_run.path, checkpoint="latest", count=32, device="cpu")
    assert subject.images == 32
    assert len(subject.samples) == 32
    verdict = evaluate(subject, extractor())
    topics = {finding.topic for finding in verdict.findings}
    assert {"discriminator", "balance", "forgetting", "weights", "leak", "twins"} <= topics
    curve = topic(verdict, "copying").curves[0]
    assert curve.images == (0, 16, 32)
    json.dumps(verdict.as_dict(), allow_nan=False)


def write_all(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return folder


def test_folders_are_read_whole_and_at_the_size_of_the_generated_pictures(tmp_path: Path) -> None:
    samples = write_all(tmp_path / "made", np.repeat(drawn(0, 4), 5, axis=0))
    train = write_all(tmp_path / "train", drawn(0, 10))
    held = write_all(tmp_path / "held", drawn(20, 6))
    subject = from_folders(samples, train, held)
    assert subject.samples.shape == (20, 32, 32, 3)  # equal pictures are not one
    assert (len(subject.train), len(subject.held_out)) == (10, 6)
    assert subject.name == "made"
    small = from_folders(samples, train, held, size=16)
    assert small.samples.shape[1:] == small.train.shape[1:] == (16, 16, 3)
    assert "no held-out" in from_folders(samples, train).notices[0]


def test_folders_that_cannot_be_compared_are_one_sentence(tmp_path: Path) -> None:
    train = write_all(tmp_path / "train", drawn(0, 10))
    few = write_all(tmp_path / "few", drawn(0, 3))
    samples = write_all(tmp_path / "made", drawn(0, 20))
    empty = tmp_path / "empty"
    empty.mkdir()
    mixed = write_all(tmp_path / "mixed", drawn(0, 4))
    Image.new("RGB", (48, 48)).save(mixed / "other.png")
    odd = tmp_path / "odd"
    odd.mkdir()
    Image.new("RGB", (48, 48)).save(odd / "a.png")
    for folder, against, sentence in (
        (mixed, train, r"not of one square size \(32x32, 48x48\)"),
        (odd, train, "48 pixels wide; give one of 16, 32"),
        (empty, train, "no picture in it"),
        (tmp_path / "none", train, "no run folder and no folder"),
        (samples, few, "3 training pictures .* are too few"),
    ):
        with pytest.raises(UserError, match=sentence):
            from_folders(folder, against)
    one = from_folders(few, train)
    with pytest.raises(UserError, match="3 generated pictures are too few"):
        evaluate(one, extractor())
