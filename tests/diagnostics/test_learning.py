from __future__ import annotations

import numpy as np
import pytest
import torch

from morelike.diagnostics import learning
from morelike.diagnostics.evidence import Evidence, Pictures
from morelike.diagnostics.learning import (
    CHANCE,
    FEWEST,
    POINTS,
    Moment,
    distance_to_held_out,
    is_of_another_kind,
    learning_finding,
    null_of,
    progress,
    trend,
    unlike_by_chance,
)
from morelike.metrics.kernel import kid, kid_permutations
from morelike.rng import rng


def history(values: np.ndarray | list[float], apart: float = 2.0) -> list[Moment]:
    return [Moment(1000 * (i + 1), apart * (i + 1), float(value)) for i, value in enumerate(values)]


def noisy(values: np.ndarray, spread: float, seed: int) -> list[Moment]:
    return history(values + rng(seed, "history").normal(0, spread, len(values)))


def normal(count: int, seed: int, far: float = 0.0) -> Pictures:
    """Pictures that nobody looks at, with normal features."""
    rows = rng(seed, "features").standard_normal((count, 12)) + far
    return Pictures(np.zeros((count, 16, 16, 3), np.uint8), torch.from_numpy(rows).float())


def evidence(samples: Pictures, held: int = 30, far: float = 0.0) -> Evidence:
    return Evidence(normal(120, 1), normal(held, 2, far), samples, "normal")


FLAT = np.full(20, 40.0)
FALLING = np.linspace(100, 20, 20)


@pytest.mark.parametrize(
    ("values", "spread", "word"),
    [
        (FALLING, 1, "LEARNING"),
        (100 * 0.9 ** np.arange(20), 0.3, "LEARNING"),
        (FLAT, 1, "STALLED"),
        (np.concatenate([np.linspace(90, 40, 10), np.linspace(40, 50, 10)]), 0.5, "STALLED"),
        (FLAT, 12, "UNKNOWN"),
        (np.concatenate([np.linspace(90, 30, 10), np.linspace(30, 120, 10)]), 1, "DIVERGED"),
        (np.concatenate([FALLING, [20, 20, 19, 300]]), 1, "DIVERGED"),
        (np.array([100.0, 50, 30]), 0, "UNKNOWN"),
    ],
    ids=["falling", "decaying", "flat", "rising", "noisy", "lost", "lost at last", "short"],
)
def test_the_word_for_a_history(values: np.ndarray, spread: float, word: str) -> None:
    words = [progress(noisy(values, spread, seed)) for seed in range(20)]
    assert words.count(word) >= 18, words


@pytest.mark.parametrize("count", [8, 20, 200])
@pytest.mark.parametrize("spread", [2.0, 10.0])
def test_chance_makes_neither_progress_nor_loss(count: int, spread: float) -> None:
    words = [progress(noisy(np.full(count, 40.0), spread, seed)) for seed in range(150)]
    assert words.count("LEARNING") <= 9  # 2.5 % of 150 are expected
    assert words.count("DIVERGED") <= 16


@pytest.mark.parametrize("values", [[], [30.0], [30.0, 20.0, 10.0]])
def test_short_histories_have_no_trend(values: list[float]) -> None:
    assert trend(history(values)) is None
    assert progress(history(values)) == "UNKNOWN"


def test_the_slope_is_that_of_the_last_half_of_the_time() -> None:
    line = trend(history([500, 300, 100, 44, 40, 36, 32, 28]))
    assert line is not None
    assert line.points == POINTS
    assert line.slope == pytest.approx(-2)  # four every two minutes
    assert line.error == pytest.approx(0, abs=1e-9)
    assert line.minutes == pytest.approx(6)
    assert line.change == pytest.approx(-12 / 40)
    assert line.improves
    assert not line.worsens
    assert not line.stands


def test_half_of_the_time_is_not_half_of_the_measurements() -> None:
    early = [Moment(i, i / 10, 100.0 - i) for i in range(10)]
    late = [Moment(10 + i, 10.0 + 2 * i, 50.0) for i in range(5)]
    line = trend([*early, *late])
    assert line is not None
    assert (line.points, line.minutes) == (5, 8)
    assert line.slope == pytest.approx(0, abs=1e-9)


def test_all_at_one_time_is_no_history() -> None:
    assert trend([Moment(i, 3.0, 10.0) for i in range(6)]) is None


@pytest.mark.parametrize("count", [7, 12, 40])
def test_the_interval_holds_the_true_slope_in_95_of_100(count: int) -> None:
    held = 0
    for seed in range(400):
        line = trend(noisy(50 - 1.5 * np.arange(count), 4, seed))
        assert line is not None
        held += abs(line.slope + 0.75) <= line.reach
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize("level", [1000.0, 0.0, -1.0])
def test_words_do_not_depend_on_units_of_time_or_on_the_sign_of_the_level(level: float) -> None:
    values = level + np.linspace(200, 100, 12)
    for apart in (1e-3, 1.0, 1e3):
        assert progress(history(values, apart)) == "LEARNING"


def test_a_constant_history_stands() -> None:
    line = trend(history([30.0] * 10))
    assert line is not None
    assert line.stands
    assert not line.worsens
    assert progress(history([30.0] * 10)) == "STALLED"


def test_the_distance_is_kid_to_held_out_pictures() -> None:
    case = evidence(normal(60, 3, far=0.5))
    found = distance_to_held_out(case)
    assert found is not None
    assert found.value == pytest.approx(kid(case.samples.features, case.held_out.features))
    assert found.low < found.value < found.high
    assert distance_to_held_out(evidence(normal(60, 3), held=FEWEST - 1)) is None
    assert distance_to_held_out(evidence(normal(60, 3), held=FEWEST)) is not None


def test_the_null_holds_real_pictures_in_about_95_of_100() -> None:
    inside = 0
    for seed in range(60):
        parts = (normal(80, 10 * seed + i) for i in (1, 2, 3))
        train, held, samples = parts
        case = Evidence(train, held[:40], samples[:40], "normal")
        low, high = null_of(case)
        assert low < 0 < high
        inside += low <= kid(case.samples.features, case.held_out.features) <= high
    assert 52 <= inside <= 60


def test_chance_parts_samples_of_the_same_kind_and_not_others() -> None:
    alike = [unlike_by_chance(evidence(normal(60, seed))) for seed in range(10, 30)]
    assert sum(p <= CHANCE for p in alike) <= 3
    assert np.median(alike) > 0.2
    assert unlike_by_chance(evidence(normal(60, 10, far=0.6))) <= CHANCE


def test_copies_of_training_pictures_are_not_unlike_real_ones() -> None:
    assert unlike_by_chance(evidence(normal(120, 1), held=4)) > CHANCE


def test_held_out_pictures_of_another_kind_are_noticed() -> None:
    assert is_of_another_kind(evidence(normal(20, 3), far=2.0))


def test_a_split_of_one_set_is_of_one_kind() -> None:
    for seed in range(20):
        rows = normal(120, 100 + seed)
        assert not is_of_another_kind(Evidence(rows[:90], rows[90:], rows[:20], "normal"))
    # Nor is one that was taken a little differently, although no exchange gives as much.
    other = evidence(normal(20, 3), far=0.45)
    held = other.held_out.features
    exchanged = kid_permutations(other.train.features[:30], held, 200, rng(0, "exchanges"))
    assert kid(other.train.features[:30], held) > 1.2 * exchanged.max().item()
    assert not is_of_another_kind(other)


def test_too_few_held_out_pictures_leave_it_unknown() -> None:
    found = learning_finding(evidence(normal(30, 3), held=3), history(FALLING))
    assert (found.state, found.word) == ("unknown", "UNKNOWN")
    assert found.sentence.startswith("With 3 held-out pictures")
    assert "hold out 4 or more (data.held_out)" in found.sentence


@pytest.mark.parametrize("count", [0, 1, 3])
def test_without_a_history_only_the_distance_is_said(count: int) -> None:
    found = learning_finding(evidence(normal(60, 3, far=0.8)), history([50.0] * count))
    assert (found.topic, found.state, found.word) == ("learning", "unknown", "UNKNOWN")
    wanted = "one set of pictures has no history" if count == 0 else "its history is too short"
    assert wanted in found.sentence
    assert "where real pictures give up to" in found.sentence
    (figure,) = found.figures
    assert figure.low is not None
    assert figure.high is not None
    assert figure.null is not None
    assert figure.low < figure.value < figure.high
    assert figure.value > figure.null[1]
    assert figure.note == "60 samples, 30 held-out pictures, normal"
    assert len(found.curves) == (count > 1)


@pytest.mark.parametrize(
    ("values", "state", "word", "said", "remedy"),
    [
        (FALLING, "yes", "LEARNING", "and it falls by 2.1 (±", "--resume"),
        (FLAT, "no", "STALLED", "and it does not fall any more", "--checkpoint best"),
        (
            np.concatenate([np.linspace(90, 40, 10), np.linspace(40, 50, 10)]),
            "no",
            "STALLED",
            "and it rises",
            "--checkpoint best",
        ),
        (
            np.concatenate([np.linspace(90, 30, 10), np.linspace(30, 120, 10)]),
            "no",
            "DIVERGED",
            "it was 30 after ",
            "optimizer.*.learning_rate",
        ),
    ],
    ids=["falling", "flat", "rising", "lost"],
)
def test_the_finding_says_what_the_history_does(
    values: np.ndarray, state: str, word: str, said: str, remedy: str
) -> None:
    found = learning_finding(evidence(normal(60, 3, far=0.8)), noisy(values, 0.2, 0))
    assert (found.state, found.word) == (state, word)
    assert said in found.sentence
    assert remedy in found.remedy
    (curve,) = found.curves
    assert curve.images == tuple(range(1000, 21000, 1000))
    worth = found.figures[1]
    assert worth.low is not None
    assert worth.high is not None
    assert worth.low < worth.value < worth.high
    assert (worth.low > 0) == (word == "LEARNING")


def test_samples_within_the_null_are_said_to_be_and_nothing_more() -> None:
    case = evidence(normal(60, 5))
    unsteady = noisy(FLAT, 12, 0)
    assert progress(unsteady) == "UNKNOWN"
    found = learning_finding(case, unsteady)
    assert "within what real pictures give" in found.sentence
    # Unsteady, but there is nothing left to learn.
    assert found.word == "STALLED"


def test_large_and_small_slopes_are_written_in_plain_figures() -> None:
    case = evidence(normal(60, 3, far=0.8))
    for scale in (1e-3, 1, 100):
        sentence = learning_finding(case, noisy(FALLING * scale, 5 * scale, 1)).sentence
        assert "e+" not in sentence
        assert "e-" not in sentence


def test_recorded_takes_what_this_extractor_read_until_then() -> None:
    def record(images: int, **more: object) -> dict[str, object]:
        return {"images": images, "seconds": 60.0 * images, **more}

    records = [
        record(1, loss_generator=0.5),
        record(2, kid=30.0, extractor="a"),
        record(3, kid=20.0, extractor="b"),
        record(4, kid=None, extractor="a"),
        record(5, kid=10.0, extractor="a"),
        record(6, kid=5.0, extractor="a"),
    ]
    assert learning.recorded(records, "a", 5) == [Moment(2, 2.0, 30.0), Moment(5, 5.0, 10.0)]
