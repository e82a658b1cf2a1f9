"""The quiz by itself: pairs, answers, and what they prove; nothing of pages and files.

A person who cannot tell is right half of the time, so the number of right answers has a known
distribution (two-alternative forced choice).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from morelike.metrics.chances import binomial_tail, share_interval
from morelike.rng import rng

Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = get_args(Side)
GUESSING = 0.5
ALARM = 0.05
"""How often a person who guesses may seem not to."""


class Pair(NamedTuple):
    """What stands side by side."""

    real: int
    """Which of the real pictures."""
    fake: int
    real_on: Side


class Answer(NamedTuple):
    """What was taken for real, and how long that took."""

    chose: Side
    seconds: float


class Score(NamedTuple):
    """How often a person was right."""

    right: int
    of: int
    share: float | None
    """None if nothing was asked."""
    interval: tuple[float, float]
    """Where that share may lie, Wilson's interval of 95 %."""
    p: float
    """How likely a score as far from half as this is, by guessing: exact binomial, two-sided."""

    @property
    def meaning(self) -> str:
        """One sentence."""
        if self.share is None:
            return "Nothing was answered."
        if self.p >= ALARM:
            return "That may well be guessing: no difference was shown."
        if self.share > GUESSING:
            return "That is more than guessing gives: the generated pictures can be told."
        return "That is less than guessing gives: the generated pictures pass for the real ones."


def score(right: int, of: int) -> Score:
    """The score of so many right answers."""
    more, fewer = binomial_tail(right, of, GUESSING), binomial_tail(of - right, of, GUESSING)
    p = min(1.0, 2 * min(more, fewer))
    return Score(right, of, right / of if of else None, share_interval(right, of), p)


@dataclass
class Quiz:
    """Pairs and the answers so far."""

    pairs: tuple[Pair, ...]
    answers: list[Answer] = field(default_factory=list)

    @classmethod
    def dealt(cls, real: Sequence[int], fake: Sequence[int], seed: int, number: int = 0) -> Quiz:
        """Pair the pictures in their order; which side the real one is on, each time by chance.

        Args:
            real: which real pictures, each once.
            fake: as many generated ones.
            seed: of the sides.
            number: of this quiz: another has other sides.
        """
        coins = rng(seed, "quiz sides", number).randint(2, size=len(real))
        dealt = zip(real, fake, coins, strict=True)
        return cls(tuple(Pair(int(one), int(other), SIDES[side]) for one, other, side in dealt))

    @property
    def place(self) -> int:
        """Which pair is next, from 0."""
        return len(self.answers)

    @property
    def finished(self) -> bool:
        """Whether all were answered."""
        return self.place == len(self.pairs)

    def answer(self, number: int, chose: str, seconds: float) -> None:
        """Take an answer.

        Args:
            number: of the pair, which must be the next one.
            chose: the side that is taken for real.
            seconds: how long that took; kept within 0 and an hour.

        Raises:
            ValueError: for another pair or another side.
        """
        if self.finished or number != self.place or chose not in SIDES:
            raise ValueError(f"pair {self.place} is next, and a side is left or right")
        side: Side = "left" if chose == "left" else "right"
        self.answers.append(Answer(side, min(max(seconds, 0.0), 3600.0)))

    def right(self) -> list[bool]:
        """Of each answer."""
        answered = zip(self.pairs, self.answers, strict=False)
        return [pair.real_on == answer.chose for pair, answer in answered]

    def score(self) -> Score:
        """Of the answers so far."""
        return score(sum(self.right()), self.place)

    def fooled(self) -> list[int]:
        """The pairs of which the generated picture was taken for real."""
        return [number for number, right in enumerate(self.right()) if not right]
