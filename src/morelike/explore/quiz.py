"""Which one is real? Two pictures side by side, one real and one generated, and a person chooses.

Nothing is said before the end: who is told after each pair learns, and who sees the score may stop
when it is good.
"""

from __future__ import annotations

import contextlib
import os
import webbrowser
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from morelike import files
from morelike.config import RESOLUTIONS, DataConfig
from morelike.data import open_dataset, open_source, prepare
from morelike.data.dataset import is_prepared
from morelike.errors import Interrupted, UserError
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Progress, quiet
from morelike.explore.quiz_game import SIDES, Quiz, Score, score
from morelike.reopened import dataset_of
from morelike.rng import rng
from morelike.runs import cannot_write, is_run, open_run
from morelike.sampling import load
from morelike.sheet import Row, sheet

MOST_ROUNDS = 200
SEEDS_FROM = 4_000_000
"""Seeds of the samples that are shown: not those of grids, probes and evaluations."""
SCHEMA = 1


class Shown(NamedTuple):
    """The pictures of a quiz."""

    about: dict[str, Any]
    """Whose generated pictures these are: quizzes are pooled if it is the same."""
    title: str
    real: np.ndarray
    """(R, H, W, C) uint8, never trained on."""
    names: list[str]
    """R, what they are called."""
    where: str
    """Where they are from."""
    fakes: Callable[[Sequence[int]], np.ndarray]
    """Generated pictures by number, of the same size."""
    most: int | None = None
    """How many of these there are; None: without end."""


def quiz(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    real: str | None = None,
    rounds: int = 20,
    seed: int = 0,
    checkpoint: str | int = "best",
    data: str | None = None,
    device: str = "auto",
    open_page: bool = True,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = quiet,
) -> Found:
    """Let a person tell real pictures from generated ones, on a page of this machine.

    Every answer is written to `quiz-NNN.json` at once. At the end `quiz.json` holds the score of
    this quiz and that of all quizzes of the same pictures in the folder, and `fooled.png` the pairs
    of which the generated picture was taken for real.

    Args:
        path: a run or generator folder, or a folder of generated pictures.
        out: where results go; if not given `explore/quiz` in a run or generator folder, and
            `NAME-quiz` beside a folder of pictures.
        real: real pictures that were never trained on; for a run its held-out ones, if not given.
        rounds: pairs, 1 to 200; fewer if there are not as many real pictures, as one that came
            twice would give itself away.
        seed: of which real pictures are shown, and on which side.
        checkpoint: of a run: best, latest or a number of images seen.
        data: of a run: where its pictures are now, if not where they were.
        device: auto, cpu, cuda, cuda:N or mps.
        open_page: open the page in the browser.
        say: told the address of the page, and what is different from what was asked.
        progress: told about the preparation of pictures.

    Raises:
        UserError: if there are no real or no generated pictures.
        Interrupted: if it was stopped; what was answered is kept.
    """
    from morelike.explore.quiz_page import encoded, page, served

    if not 1 <= rounds <= MOST_ROUNDS:
        raise UserError(f"{rounds} pairs are out of range; use --rounds 1 to {MOST_ROUNDS}.")
    shown = _shown(Path(path), real, str(checkpoint), data, device, progress)
    count = min(rounds, len(shown.real), rounds if shown.most is None else shown.most)
    if count < rounds:
        say(
            f"There are {count} pairs and not {rounds}: each picture is shown once, and no more "
            f"are there than {len(shown.real)} real ones {shown.where}."
            if count == len(shown.real)
            else f"There are {count} pairs and not {rounds}: there are no more generated pictures."
        )
    place = Path(path)
    if out is None and not _generates(place):
        out = place.resolve().parent / f"{place.resolve().name}-quiz"
    folder = folder_for(path, "quiz", out)
    before = stored(folder, shown.about)
    target = _claimed(folder)
    number = int(target.stem.partition("-")[2])
    again = [answer for one in before for answer in one["answers"]]
    mixed = rng(seed, "quiz", number)
    chosen = _rarest(shown.names, [a["real"] for a in again], mixed)[:count]
    known = len({shown.names[i] for i in chosen} & {a["real"] for a in again})
    if known:
        say(
            f"{known} of the real pictures were in earlier quizzes: who knows them again, is right."
        )
    if shown.most is None:
        numbers = [SEEDS_FROM + number * MOST_ROUNDS + i for i in range(count)]
    else:
        numbers = _rarest(range(shown.most), [a["generated"] for a in again], mixed)[:count]
    current = Quiz.dealt(chosen, numbers, seed, number)
    fakes = dict(zip(numbers, shown.fakes(numbers), strict=True))
    pictures = [
        {
            "left": shown.real[pair.real] if pair.real_on == "left" else fakes[pair.fake],
            "right": shown.real[pair.real] if pair.real_on == "right" else fakes[pair.fake],
        }
        for pair in current.pairs
    ]
    began = datetime.now(UTC).isoformat(timespec="seconds")

    def keep() -> None:
        record = {
            "schema": SCHEMA,
            "of": shown.about,
            "real_pictures": shown.where,
            "began": began,
            "seed": seed,
            "pairs": count,
            "real_pictures_of_earlier_quizzes": known,
            "finished": current.finished,
            "score": _score_facts(current.score()),
            "answers": _answers(current, shown.names),
        }
        try:
            files.write_json(target, record)
        except OSError as error:
            raise cannot_write(folder, error) from error

    def result() -> dict[str, Any]:
        pooled = _pooled([*before, {"answers": _answers(current, shown.names)}])
        return {
            "lines": _lines(current.score(), pooled, len(before)),
            "fooled": [
                {
                    "real": shown.names[current.pairs[i].real],
                    "real_on": current.pairs[i].real_on,
                    **{side: encoded(pictures[i][side]) for side in SIDES},
                }
                for i in current.fooled()
            ],
        }

    try:
        keep()
        with served(current, pictures, page(shown.title, pictures[0]["left"]), keep, result) as at:
            say(f"The quiz is at {at.address} (on this machine only; Ctrl-C ends it).")
            if open_page:
                webbrowser.open(at.address)
            at.wait()
    except KeyboardInterrupt:
        if not current.finished:
            raise Interrupted(_kept(current, target)) from None
    finally:
        if not current.answers:
            target.unlink(missing_ok=True)
    pooled = _pooled(stored(folder, shown.about))
    facts = {
        **shown.about,
        "quiz": target.name,
        "real_pictures": shown.where,
        "score": _score_facts(current.score()),
        "real_pictures_of_earlier_quizzes": known,
        "median_seconds": _median(current),
        "fooled": [shown.names[current.pairs[i].real] for i in current.fooled()],
        "all_quizzes": {"quizzes": len(before) + 1, **_score_facts(pooled)},
    }
    lines = _lines(current.score(), pooled, len(before))
    sheets = {"fooled": _fooled(current, pictures, shown)} if current.fooled() else {}
    if not sheets:
        (folder / "fooled.png").unlink(missing_ok=True)
    return write(folder, "quiz", facts, sheets, lines=lines)


def stored(folder: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    """What earlier quizzes of the same generated pictures left in a folder; files that are none
    are passed over.
    """
    found = []
    for path in sorted(folder.glob("quiz-*.json")):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            one = files.read_json(path)
            if one["schema"] == SCHEMA and one["of"] == about and one["answers"]:
                _ = [(a["right"] + 0, a["real"], a["generated"]) for a in one["answers"]]
                found.append(one)
    return found


def _claimed(folder: Path) -> Path:
    """The next quiz-NNN.json, which no other process will take."""
    taken = [int(p.stem[5:]) for p in folder.glob("quiz-*.json") if p.stem[5:].isdigit()]
    number = max(taken, default=0)
    try:
        while True:
            number += 1
            path = folder / f"quiz-{number:03d}.json"
            with contextlib.suppress(FileExistsError):
                path.touch(exist_ok=False)
                return path
    except OSError as error:
        raise cannot_write(folder, error) from error


def _rarest(names: Sequence[Any], before: Iterable[Any], mixed: np.random.RandomState) -> list[int]:
    """All of them by chance, those first that were shown least: who knows a picture again knows
    that it is real.
    """
    times = Counter(before)
    return sorted(mixed.permutation(len(names)).tolist(), key=lambda i: times[names[i]])


# Where pictures come from -------------------------------------------------------------------------


def _generates(path: Path) -> bool:
    return is_run(path) or (path / "model.safetensors").is_file()


def _shown(
    path: Path, real: str | None, checkpoint: str, data: str | None, device: str, progress: Progress
) -> Shown:
    told: Any = progress  # of preparations, too, whose length may not be known
    if not _generates(path):
        return _of_folder(path, real, told)
    generator = load(path, checkpoint, device=device)
    about = {"run": generator.name, "checkpoint": generator.checkpoint}
    if real is not None:
        images, names = _real(Path(real), generator.config.data, told)
        where = f"in {real}"
    elif is_run(path):
        dataset = dataset_of(open_run(path), data, told)
        images = dataset.images[dataset.held_out]
        names = [dataset.manifest[i]["key"] for i in dataset.held_out]
        where = "held out from training"
        if not names:
            raise UserError(
                f"no picture was held out when {path} was trained; name real ones that it has "
                "never seen with --real."
            )
    else:
        raise UserError(
            f"{path} is a shared generator, without pictures; name real ones with --real."
        )
    return Shown(about, generator.name, images, names, where, generator.sample)


def _of_folder(path: Path, real: str | None, progress: Any) -> Shown:
    side = _side_of(path)
    if real is None:
        raise UserError(
            f"{path} is not a run folder; for a folder of generated pictures name real ones with "
            "--real."
        )
    settings = DataConfig(resolution=side, channels=3, crop="center")
    images, names = _real(Path(real), settings, progress)
    # Some may be alike: what a generator makes is not tidied up.
    settings = settings.model_copy(update={"held_out": 0.0, "dedup": "none", "labels": "none"})
    made = prepare(open_source(str(path), settings), settings, progress)
    about = {"folder": path.resolve().name, "digest": made.digest}
    pictures = made.images
    where = f"in {real}"
    return Shown(
        about, about["folder"], images, names, where, lambda n: pictures[list(n)], len(pictures)
    )


def _real(source: Path, settings: DataConfig, progress: Any) -> tuple[np.ndarray, list[str]]:
    """Real pictures as the generated ones are: of one size, with as many channels."""
    if is_prepared(source):
        dataset = open_dataset(source)
        chosen = dataset.held_out if len(dataset.held_out) else np.arange(len(dataset.manifest))
        if dataset.settings.shape != settings.shape:
            raise UserError(
                f"the pictures in {source} are not of the size of the generated ones, "
                f"{settings.size[1]}x{settings.size[0]}; give the folder they were prepared from."
            )
    else:
        wanted = settings.model_copy(
            update={"held_out": 0.0, "dedup": "exact", "labels": "none", "patches": ()}
        )
        dataset = prepare(open_source(str(source), wanted), wanted, progress)
        chosen = np.arange(len(dataset.manifest))
    return dataset.images[chosen], [dataset.manifest[i]["key"] for i in chosen]


def _side_of(folder: Path) -> int:
    """The largest side that networks know and most pictures in a folder have.

    Raises:
        UserError: if there are none.
    """
    if not folder.is_dir():
        raise UserError(f"there is no run folder and no folder of pictures {folder}.")
    sizes: Counter[int] = Counter()
    for path in sorted(folder.iterdir()):
        # What cannot be read is named later.
        unusable = contextlib.suppress(OSError, ValueError, Image.DecompressionBombError)
        with unusable, Image.open(path) as image:
            sizes[min(image.size)] += 1
    if not sizes:
        raise UserError(f"{folder} is no run folder, and there is no picture in it.")
    usual = sizes.most_common(1)[0][0]
    return max((side for side in RESOLUTIONS if side <= usual), default=min(RESOLUTIONS))


# What is said and written -------------------------------------------------------------------------


def _answers(current: Quiz, names: Sequence[str]) -> list[dict[str, Any]]:
    answered = zip(current.pairs, current.answers, current.right(), strict=False)
    return [
        {
            "real": names[pair.real],
            "generated": pair.fake,
            "real_on": pair.real_on,
            "chose": answer.chose,
            "right": right,
            "seconds": round(answer.seconds, 3),
        }
        for pair, answer, right in answered
    ]


def _score_facts(found: Score) -> dict[str, Any]:
    return {
        "right": found.right,
        "of": found.of,
        "share": None if found.share is None else round(found.share, 4),
        "interval_95": [round(x, 4) for x in found.interval],
        "p_guessing": float(f"{found.p:.3g}"),
        "meaning": found.meaning,
    }


def _pooled(quizzes: Sequence[dict[str, Any]]) -> Score:
    answers = [bool(a["right"]) for one in quizzes for a in one["answers"]]
    return score(sum(answers), len(answers))


def _lines(found: Score, pooled: Score, before: int) -> list[str]:
    lines = [f"{_said(found)} {found.meaning}"]
    if before:
        lines.append(f"All {before + 1} quizzes: {_said(pooled)} {pooled.meaning}")
    return lines


def _said(found: Score) -> str:
    low, high = found.interval
    return (
        f"{found.right} of {found.of} right, {found.share or 0:.0%} ({low:.0%} to {high:.0%}; "
        f"guessing: 50%, p = {found.p:.2g})."
    )


def _median(current: Quiz) -> float | None:
    seconds = [answer.seconds for answer in current.answers]
    return round(float(np.median(seconds)), 3) if seconds else None


def _kept(current: Quiz, target: Path) -> str:
    if not current.answers:
        return "stopped before the first answer."
    return f"stopped after {current.place} of {len(current.pairs)} answers; they are in {target}."


def _fooled(current: Quiz, pictures: Sequence[dict[str, np.ndarray]], shown: Shown) -> np.ndarray:
    rows = []
    for number in current.fooled():
        pair, answer = current.pairs[number], current.answers[number]
        fake = "right" if pair.real_on == "left" else "left"
        words = [f"pair {number + 1}", f"{answer.seconds:.1f} s", shown.names[pair.real]]
        rows.append(Row(words, [pictures[number][fake], pictures[number][pair.real_on]]))
    title = f"{shown.title}: generated pictures that were taken for real"
    return sheet(title, rows, header=("generated", "real"))
