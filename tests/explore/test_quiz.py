"""The quiz: its statistics, its state, its page and server, and all of it as a browser sees it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from morelike.errors import Interrupted, UserError
from morelike.explore import quiz as module
from morelike.explore import quiz_page
from morelike.explore.found import Found
from morelike.explore.quiz import quiz, stored
from morelike.explore.quiz_game import Quiz, score
from morelike.explore.quiz_page import Served, page, png, served
from morelike.reopened import dataset_of
from morelike.runs import Run
from outline import Outline, colours, contrast, style

# Statistics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "of"), [(0, 1), (5, 10), (14, 20), (3, 20), (20, 20)])
def test_p_is_the_exact_binomial(right: int, of: int) -> None:
    """All scores that are as far from half are counted, as fractions."""
    far = abs(2 * right - of)
    ways = sum(comb(of, k) for k in range(of + 1) if abs(2 * k - of) >= far)
    found = score(right, of)
    assert found.p == pytest.approx(float(Fraction(ways, 2**of)))
    low, high = found.interval
    assert low <= right / of <= high


def test_scores_are_put_in_words() -> None:
    assert "no difference was shown" in score(11, 20).meaning
    assert "can be told" in score(18, 20).meaning
    assert "pass for the real ones" in score(2, 20).meaning
    nothing = score(0, 0)
    assert (nothing.p, nothing.share, nothing.interval) == (1, None, (0, 1))


# State --------------------------------------------------------------------------------------------


def test_a_quiz_goes_from_pair_to_pair() -> None:
    current = Quiz.dealt([3, 1, 2], [7, 8, 9], seed=0)
    assert [(p.real, p.fake) for p in current.pairs] == [(3, 7), (1, 8), (2, 9)]
    sides = [pair.real_on for pair in current.pairs]
    wrong = {"left": "right", "right": "left"}
    current.answer(0, sides[0], 1.5)
    current.answer(1, wrong[sides[1]], -1)
    assert (current.place, current.finished) == (2, False)
    for number, side in ((1, "left"), (3, "left"), (2, "both")):
        with pytest.raises(ValueError, match="pair 2 is next"):
            current.answer(number, side, 1)
    current.answer(2, sides[2], 1e9)
    assert current.finished
    with pytest.raises(ValueError, match="is next"):
        current.answer(3, "left", 1)
    assert current.right() == [True, False, True]
    assert current.fooled() == [1]
    assert current.score()[:2] == (2, 3)
    assert [answer.seconds for answer in current.answers] == [1.5, 0, 3600]


def test_sides_are_even_and_depend_on_the_quiz() -> None:
    def sides(seed: int, number: int) -> list[str]:
        dealt = Quiz.dealt(range(400), range(400), seed, number)
        return [pair.real_on for pair in dealt.pairs]

    assert sides(0, 1) == sides(0, 1)
    assert sides(0, 1) != sides(0, 2)
    assert sides(0, 1) != sides(1, 1)
    assert 160 < sides(0, 1).count("left") < 240


# Page and server ----------------------------------------------------------------------------------

REAL, FAKE = (np.full((8, 8, 3), shade, np.uint8) for shade in (200, 50))


class Site:
    """A quiz of three pairs that is being shown."""

    def __init__(self, at: Served, kept: list[int]) -> None:
        self.at, self.kept = at, kept

    def get(self, path: str = "", **headers: str) -> tuple[int, bytes, Any]:
        return fetch(self.at.address + path, headers=headers)

    def answer(self, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        code, got, _ = fetch(self.at.address + "answer", data)
        return code, json.loads(got) if got else None


def fetch(
    address: str, data: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes, Any]:
    asked = urllib.request.Request(address, data, headers or {})
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


@pytest.fixture
def site() -> Iterator[Site]:
    current, kept = Quiz.dealt([0, 1, 2], [0, 1, 2], 0), []
    pairs = [
        {side: REAL if side == pair.real_on else FAKE for side in ("left", "right")}
        for pair in current.pairs
    ]
    with served(
        current,
        pairs,
        page("<run>", REAL),
        lambda: kept.append(current.place),
        lambda: {"lines": [], "fooled": current.fooled()},
    ) as at:
        yield Site(at, kept)


def test_the_page_asks_and_the_server_keeps_every_answer(site: Site) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", site.at.address)
    assert json.loads(site.get("state")[1]) == {"round": 0, "rounds": 3}
    for number, side in enumerate(("left", "right", "left")):
        assert site.get("result")[0] == 404
        code, state = site.answer({"round": number, "side": side, "seconds": 0.5})
        assert (code, state) == (200, {"round": number + 1, "rounds": 3})
        assert site.kept == list(range(1, number + 2))
    assert not site.at.over.is_set()
    assert json.loads(site.get("result")[1])["fooled"] == site.at.quiz.fooled()
    site.at.wait()
    assert site.at.over.is_set()


def test_what_is_no_answer_changes_nothing(site: Site) -> None:
    good = {"round": 0, "side": "left", "seconds": 1}
    for bad in (
        b"{",
        b"[]",
        b"null",
        {"round": 0, "side": "left"},
        {**good, "round": 1},
        {**good, "round": False},
        {**good, "side": "real"},
        {**good, "side": ["left"]},
        {**good, "seconds": "x"},
        b'{"round": 0, "side": "left", "seconds": NaN}',
    ):
        assert site.answer(bad) == (409, None), bad
    assert site.answer(b" " * 2000)[0] == 404
    assert (site.at.quiz.place, site.kept) == (0, [])
    assert site.answer(good)[0] == 200
    assert site.answer(good)[0] == 409  # the same once more, as of an impatient finger


def test_only_who_knows_the_secret_gets_anything(site: Site) -> None:
    root = f"http://127.0.0.1:{site.at.port}"
    for path in ("", "/", "/state", "/x/state", "/x/", f"/{site.at.token}", f"/{site.at.token}x/"):
        code, body, _ = fetch(root + path)
        assert (code, body) == (404, b""), path
    for path in ("../state", "3/left.png", "0/left.jpg", "0/real.png", "-1/left.png", "x"):
        assert site.get(path)[0] == 404, path
    # A name of its own that a foreign page gave this machine.
    assert site.get("state", Host="evil.example")[0] == 404
    assert site.get("state", Host=f"localhost:{site.at.port}")[0] == 200
    code, _, _ = fetch(root + "/x/answer", b'{"round": 0, "side": "left", "seconds": 1}')
    assert (code, site.at.quiz.place) == (404, 0)


def test_pictures_tell_nothing_but_their_pixels(site: Site) -> None:
    headers = []
    for side in ("left", "right"):
        code, body, found = site.get(f"0/{side}.png")
        assert code == 200
        assert [name for name, _ in chunks(body)] == [b"IHDR", b"IDAT", b"IEND"]
        expected = REAL if side == site.at.quiz.pairs[0].real_on else FAKE
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(body))), expected)
        headers.append({k: v for k, v in found.items() if k not in ("Date", "Content-Length")})
    assert headers[0] == headers[1]
    assert site.get("1/left.png")[0] == 200  # the next one, ahead
    assert site.get("2/left.png")[0] == 404
    # Nothing that the page is told before the end tells the side, either.
    html = site.get()[1].decode() + site.get("state")[1].decode()
    assert "real_on" not in html.replace("one.real_on", "")


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The parts of a PNG file by name."""
    found, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    return found


def test_all_pictures_become_rgb_of_one_form() -> None:
    gray, clear = np.full((4, 4, 1), 9, np.uint8), np.zeros((4, 4, 4), np.uint8)
    for picture, shade in ((gray, 9), (clear, 255)):
        image = Image.open(io.BytesIO(png(picture)))
        assert image.mode == "RGB"
        assert image.info == {}
        assert image.getpixel((0, 0)) == (shade,) * 3


def test_the_page_loads_nothing_from_elsewhere(site: Site) -> None:
    _, body, headers = site.get()
    html = body.decode()
    outline = Outline(html)
    assert "&lt;run&gt;" in html
    policy = headers["Content-Security-Policy"]
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(outline.raw[kind].encode()).digest())
        assert f"{kind}-src 'sha256-{digest.decode()}'" in policy
    assert "default-src 'none'; img-src 'self' data:; connect-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"https?:|url\(|@import", html)
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_the_page_can_be_used_without_a_mouse_and_by_ear(site: Site) -> None:
    outline = Outline(site.get()[1].decode())
    buttons = [values for tag, values in outline.tags if tag == "button"]
    assert [values["id"] for values in buttons] == ["left", "right"]
    images = [values["alt"] for tag, values in outline.tags if tag == "img"]
    assert images == ["Left picture", "Right picture"]
    assert {"status", "alert"} <= set(outline.values("role"))
    assert '"ArrowLeft"' in outline.raw["script"] or "ArrowLeft:" in outline.raw["script"]
    found = style("morelike.page", "page.css")
    for scheme in ("light", "dark"):
        named = colours(found, scheme)
        for words in ("ink", "soft"):
            assert contrast(named[words], named["card"]) >= 4.5


# The command --------------------------------------------------------------------------------------

Chooser = Callable[[int, bytes, bytes], str | None]


class Person:
    """Takes the quiz in place of a browser, once its address is said."""

    def __init__(self, chooses: Chooser) -> None:
        self.chooses, self.said, self.result = chooses, list[str](), dict[str, Any]()
        self.thread = threading.Thread(target=self.take, daemon=True)

    def __call__(self, text: str) -> None:
        self.said.append(text)
        if "http" in text:
            self.thread.start()

    def take(self) -> None:
        address = next(t for t in self.said if "http" in t).split("at ")[1].split(" ")[0]
        state = json.loads(fetch(address + "state")[1])
        while state["round"] < state["rounds"]:
            number = state["round"]
            pair = [fetch(f"{address}{number}/{side}.png")[1] for side in ("left", "right")]
            side = self.chooses(number, *pair)
            body = json.dumps({"round": number, "side": side, "seconds": 0.25 + number})
            state = json.loads(fetch(address + "answer", body.encode())[1])
        self.result = json.loads(fetch(address + "result")[1])


def taken(person: Person, *args: Any, **options: Any) -> Found:
    found = quiz(*args, open_page=False, say=person, **options)
    person.thread.join(10)
    return found


@pytest.fixture(scope="module")
def real_pictures(trained_run: Run) -> set[bytes]:
    dataset = dataset_of(trained_run)
    return {dataset.images[i].tobytes() for i in dataset.held_out}


def knows(real: set[bytes], wrong: tuple[int, ...] = ()) -> Chooser:
    """Somebody who knows all real pictures, and errs at will."""

    def choose(number: int, left: bytes, right: bytes) -> str:
        known = [np.asarray(Image.open(io.BytesIO(x))).tobytes() in real for x in (left, right)]
        assert known.count(True) == 1
        return ("left", "right")[known[1] != (number in wrong)]

    return choose


def test_a_quiz_of_a_run_from_end_to_end(
    trained_run: Run, real_pictures: set[bytes], tmp_path: Path
) -> None:
    person = Person(knows(real_pictures, wrong=(1,)))
    found = taken(person, trained_run.path, tmp_path / "q", rounds=6, device="cpu")
    assert set(found.files) == {"quiz.json", "fooled.png"}
    record = json.loads((tmp_path / "q" / "quiz-001.json").read_text())
    assert [a["right"] for a in record["answers"]] == [True, False, True, True, True, True]
    assert [a["seconds"] for a in record["answers"]] == [0.25 + i for i in range(6)]
    assert len({a["real"] for a in record["answers"]}) == 6
    assert record["finished"]
    assert found.facts["score"] == record["score"]
    assert (found.facts["score"]["right"], found.facts["score"]["of"]) == (5, 6)
    assert found.facts["score"]["p_guessing"] == pytest.approx(2 * 7 / 64, abs=1e-3)
    assert found.facts["fooled"] == [record["answers"][1]["real"]]
    assert person.result["lines"] == list(found.lines)
    (pair,) = person.result["fooled"]
    assert pair["real"] == found.facts["fooled"][0]
    assert pair["real_on"] == record["answers"][1]["real_on"]
    # Once more: other pictures first, and both are counted together.
    person = Person(knows(real_pictures))
    again = taken(person, trained_run.path, tmp_path / "q", rounds=2, device="cpu")
    second = json.loads((tmp_path / "q" / "quiz-002.json").read_text())["answers"]
    assert not {a["real"] for a in second} & {a["real"] for a in record["answers"]}
    assert not {a["generated"] for a in second} & {a["generated"] for a in record["answers"]}
    pooled = again.facts["all_quizzes"]
    assert (pooled["quizzes"], pooled["right"], pooled["of"]) == (2, 7, 8)
    assert "All 2 quizzes: 7 of 8 right" in again.lines[1]
    assert not (tmp_path / "q" / "fooled.png").exists()
    # Those of another checkpoint are not.
    person = Person(knows(real_pictures))
    other = taken(person, trained_run.path, tmp_path / "q", rounds=1, checkpoint="16", device="cpu")
    assert other.facts["all_quizzes"]["quizzes"] == 1


def test_no_real_picture_comes_twice(
    trained_run: Run, real_pictures: set[bytes], tmp_path: Path
) -> None:
    person = Person(knows(real_pictures))
    found = taken(person, trained_run.path, tmp_path, rounds=200, device="cpu")
    held = len(real_pictures)
    assert found.facts["score"]["of"] == held
    assert f"There are {held} pairs and not 200" in person.said[0]
    person = Person(knows(real_pictures))
    taken(person, trained_run.path, tmp_path, rounds=1, device="cpu")
    assert "1 of the real pictures were in earlier quizzes" in person.said[0]


def test_what_was_answered_is_kept_when_it_is_stopped(
    trained_run: Run, real_pictures: set[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(at: Served) -> None:
        address = at.address
        for number in range(2):
            body = json.dumps({"round": number, "side": "left", "seconds": 1}).encode()
            assert fetch(address + "answer", body)[0] == 200
            record = json.loads((tmp_path / "quiz-001.json").read_text())
            assert len(record["answers"]) == number + 1  # already there
        raise KeyboardInterrupt

    monkeypatch.setattr(quiz_page.Served, "wait", stopped)
    with pytest.raises(Interrupted, match=r"stopped after 2 of 4 answers; .*quiz-001\.json"):
        quiz(trained_run.path, tmp_path, rounds=4, open_page=False, device="cpu")
    record = json.loads((tmp_path / "quiz-001.json").read_text())
    assert (len(record["answers"]), record["finished"]) == (2, False)
    about = {"run": trained_run.name, "checkpoint": record["of"]["checkpoint"]}
    assert len(stored(tmp_path, about)) == 1
    # One that was not begun leaves nothing.
    monkeypatch.setattr(
        quiz_page.Served, "wait", lambda at: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(Interrupted, match="before the first answer"):
        quiz(trained_run.path, tmp_path, rounds=4, open_page=False, device="cpu")
    assert not (tmp_path / "quiz-002.json").exists()


def test_an_answer_that_cannot_be_kept_ends_it(
    trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = module.files.write_json

    def full(path: Path, value: Any) -> None:
        if value["answers"]:
            raise OSError(28, "No space left on device")
        write(path, value)

    monkeypatch.setattr(module.files, "write_json", full)
    person = Person(lambda number, left, right: "left")
    person.thread = threading.Thread(
        target=lambda: fetch(
            person.said[-1].split("at ")[1].split(" ")[0] + "answer",
            b'{"round": 0, "side": "left", "seconds": 1}',
        )
    )
    with pytest.raises(UserError, match="no space left on device"):
        taken(person, trained_run.path, tmp_path, rounds=4, device="cpu")


def test_a_folder_of_pictures_beside_another(write_pictures: Any, tmp_path: Path) -> None:
    made = write_pictures(tmp_path / "made", 9, width=32, height=32)
    real = write_pictures(tmp_path / "real", 10, first=50, width=64, height=48)
    person = Person(lambda number, left, right: "left")
    found = taken(person, made, real=str(real), rounds=20)
    assert found.folder == tmp_path / "made-quiz"
    assert found.facts["score"]["of"] == 9
    assert "no more generated pictures" in person.said[0]
    record = json.loads((found.folder / "quiz-001.json").read_text())
    assert sorted(a["generated"] for a in record["answers"]) == list(range(9))
    assert all(int(a["real"][:3]) >= 50 for a in record["answers"])
    assert found.facts["folder"] == "made"
    assert not (made / "explore").exists()


def test_a_generator_beside_pictures_of_its_kind(
    trained_run: Run, write_pictures: Any, tmp_path: Path
) -> None:
    shared = Path(shutil.copytree(trained_run.generator, tmp_path / "generator"))
    real = write_pictures(tmp_path / "real", 10, first=80)
    person = Person(lambda number, left, right: "right")
    found = taken(person, shared, real=str(real), rounds=3, device="cpu")
    assert found.folder == shared / "explore" / "quiz"
    assert found.facts["run"] == trained_run.name


def test_damaged_files_of_earlier_quizzes_are_passed_over(tmp_path: Path) -> None:
    about = {"run": "x", "checkpoint": "y"}
    answers = [{"right": True, "real": "a", "generated": 1}]
    good = {"schema": 1, "of": about, "answers": answers}
    records = ["", "[]", "{", '{"schema": 1}', {**good, "answers": [{}]}, {**good, "of": {}}, good]
    for number, one in enumerate(records):
        contents = one if isinstance(one, str) else json.dumps(one)
        (tmp_path / f"quiz-{number:03d}.json").write_text(contents)
    assert stored(tmp_path, about) == [good]


def test_what_cannot_be_done_is_said(
    trained_run: Run, write_pictures: Any, pictures_folder: Path, tmp_path: Path
) -> None:
    for rounds in (0, 201):
        with pytest.raises(UserError, match=r"use --rounds 1 to 200\."):
            quiz(trained_run.path, rounds=rounds)
    with pytest.raises(UserError, match="there is no run folder and no folder of pictures"):
        quiz(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="there is no picture in it"):
        quiz(tmp_path / "empty")
    with pytest.raises(UserError, match="name real ones with --real"):
        quiz(pictures_folder)
    with pytest.raises(UserError, match="a shared generator, without pictures; name real ones"):
        quiz(trained_run.generator)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        quiz(trained_run.path, tmp_path / "file" / "q", device="cpu")
    assert not (trained_run.path / "explore" / "quiz").exists()
