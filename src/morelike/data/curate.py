"""Which of the pictures are kept: judgements over the whole set, and the rules that use them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal

import numpy as np

from morelike.config import DataConfig
from morelike.data import background, quality
from morelike.data.background import Background
from morelike.data.decisions import Decision, Facing, Overrides
from morelike.data.duplicates import Group, best_copy, exact_groups, near_groups
from morelike.data.facing import Facing as FacingFound
from morelike.data.facing import facing
from morelike.data.fit import PROXY
from morelike.data.outliers import Outliers, outliers
from morelike.data.quality import Quality
from morelike.data.scan import Scan
from morelike.data.store import Store
from morelike.data.traits import TRAITS, measure, thumbs

CHUNK = 512
KEPT = Decision()


class Judgements:
    """What can be said about the pictures of a scan; each is made when it is first asked for."""

    def __init__(self, scan: Scan, store: Store, overrides: Overrides | None = None) -> None:
        self.scan, self.store = scan, store
        contents = [content.tobytes().hex() for content in scan.facts["content"]]
        told = overrides or Overrides()
        self.contents: list[str] = contents
        self.told = [
            told.find(key, content) for key, content in zip(scan.keys, contents, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.scan.keys)

    @cached_property
    def thumbs(self) -> np.ndarray:
        """(N, 32, 32, 3) uint8: whole pictures, squeezed."""
        return self.thumbs_of(np.arange(len(self)))

    def thumbs_of(self, chosen: np.ndarray) -> np.ndarray:
        """The thumbs of these pictures."""
        result = np.empty((len(chosen), PROXY // 2, PROXY // 2, 3), np.uint8)
        for part in _parts(len(chosen)):
            result[part] = thumbs(self.store.proxies(self.scan.rows[chosen[part]]))
        return result

    @cached_property
    def traits(self) -> np.ndarray:
        """(N,) TRAITS: what is measured of each picture on its own."""
        result = np.empty(len(self), TRAITS)
        for part in _parts(len(self)):
            rows = self.scan.rows[part]
            result[part] = measure(self.store.proxies(rows), self.store.pixels(rows))
        return result

    @cached_property
    def exact(self) -> list[tuple[int, ...]]:
        """Groups of pictures with equal prepared pixels."""
        return exact_groups([digest.tobytes().hex() for digest in self.scan.facts["digest"]])

    @cached_property
    def near(self) -> list[Group]:
        """Groups of near copies among those that are not exact copies."""
        first = np.ones(len(self), bool)
        for group in self.exact:
            first[[i for i in group if i != self.best(group)]] = False
        numbers = np.flatnonzero(first)
        return [_renumbered(group, numbers) for group in near_groups(self.thumbs[numbers])]

    @cached_property
    def background(self) -> Background:
        """The colour around each picture's subject."""
        return background.judge(self.traits)

    @cached_property
    def quality(self) -> Quality:
        """Blank, blurred and framed pictures."""
        return quality.judge(self.traits)

    @cached_property
    def outliers(self) -> Outliers:
        """How little each is like the others."""
        return outliers(self.thumbs)

    @cached_property
    def facing(self) -> FacingFound:
        """The way each faces, with those told by hand as anchors."""
        anchors: dict[int, Literal["left", "right"]] = {
            i: told.facing for i, told in enumerate(self.told) if told and told.facing != ""
        }
        return facing(self.thumbs, anchors)

    @cached_property
    def _sizes(self) -> list[tuple[int, int]]:
        facts = self.scan.facts
        pixels = facts["width"].astype(np.int64) * facts["height"]
        return list(zip(pixels.tolist(), facts["bytes"].tolist(), strict=True))

    def best(self, group: Sequence[int]) -> int:
        """Which of the copies is kept: one kept by hand, else the best."""
        kept = [i for i in group if (told := self.told[i]) and told.keep]
        return best_copy(kept or group, self._sizes, self.scan.keys)


def curate(found: Judgements, settings: DataConfig) -> list[Decision]:
    """A decision for every picture: by hand where it was told, else by the rules of `settings`.

    The rules are asked in this order, and the first that leaves a picture out names the reason:
    copies, size, background, blank, blurred, framed, enlarged, outliers.
    """
    left_out: dict[int, Decision] = {}

    def leave_out(i: int, reason: str, score: float | None = None) -> None:
        left_out.setdefault(i, Decision(False, reason, score))

    if settings.dedup != "none":
        for group in found.exact:
            best = found.best(group)
            for i in group:
                if i != best:
                    leave_out(i, f"exact copy of {found.scan.keys[best]}", 0.0)
    if settings.dedup == "near":
        for near in found.near:
            best = found.best(near.members)
            for i in near.members:
                if i != best:
                    leave_out(i, f"near copy of {found.scan.keys[best]}", _distance(near, i))
    facts = found.scan.facts
    for i in np.flatnonzero(np.minimum(facts["width"], facts["height"]) < settings.min_side):
        leave_out(int(i), "too small", float(min(facts["width"][i], facts["height"][i])))
    if settings.background != "any":
        wanted = (
            found.background.white if settings.background == "white" else found.background.plain
        )
        for i in np.flatnonzero(~wanted):
            leave_out(
                int(i), f"no {settings.background} background", float(found.background.score[i])
            )
    for fault in settings.drop:
        flags, scores = faults(found, fault)
        for i in np.flatnonzero(flags):
            leave_out(int(i), fault, float(scores[i]))
    if settings.drop_outliers:
        open_ = np.array([i for i in range(len(found)) if i not in left_out], np.int64)
        worst = open_[np.argsort(-found.outliers.score[open_], kind="stable")]
        for i in worst[: round(settings.drop_outliers * len(open_))]:
            leave_out(int(i), "unlike the others", float(found.outliers.score[i]))
    return [
        _with_facing(found.told[i] or left_out.get(i, KEPT), found, i, settings)
        for i in range(len(found))
    ]


def faults(
    found: Judgements, fault: Literal["blank", "blurred", "framed", "enlarged"]
) -> tuple[np.ndarray, np.ndarray]:
    """Which pictures have this fault, (N,) bool, and the figure behind it, (N,)."""
    if fault == "enlarged":
        enlarged = found.scan.facts["enlarged"]
        return enlarged > 1, enlarged
    return getattr(found.quality, fault), getattr(found.quality, f"{fault}_score")


def _with_facing(decision: Decision, found: Judgements, i: int, settings: DataConfig) -> Decision:
    if settings.face == "any" or decision.facing:  # told by hand, perhaps
        return decision
    way: Facing = found.facing.majority
    if found.facing.score[i] < 0:
        way = "left" if way == "right" else "right"
    return Decision(decision.keep, decision.reason, decision.score, way, decision.by)


def _parts(count: int) -> Iterator[slice]:
    """Few enough pictures at a time that memory stays flat."""
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))


def _renumbered(group: Group, numbers: np.ndarray) -> Group:
    """A group of places in `numbers` as one of the numbers themselves."""
    pairs = [
        pair._replace(first=int(numbers[pair.first]), second=int(numbers[pair.second]))
        for pair in group.pairs
    ]
    return Group(tuple(int(numbers[i]) for i in group.members), tuple(pairs))


def _distance(group: Group, i: int) -> float:
    """How far `i` is from the nearest other one of its group."""
    return min(pair.distance for pair in group.pairs if i in (pair.first, pair.second))


def mirrored(decision: Decision, settings: DataConfig) -> bool:
    """Whether a picture is turned round so that it faces the way that was asked for."""
    return settings.face != "any" and decision.facing not in ("", settings.face)
