"""What was found out about a set of pictures, as facts, advice, a page and a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from morelike import files
from morelike.data.contact import contact_sheet
from morelike.data.curate import faults
from morelike.data.duplicates import Group as NearGroup
from morelike.data.page import page
from morelike.data.page.report import (
    Advice,
    Borders,
    Change,
    Counts,
    Facing,
    Fact,
    Group,
    Label,
    Originals,
    Report,
    Setting,
    Shown,
    Unreadable,
)
from morelike.data.preparation import Prepared, reason_kind
from morelike.data.prognosis import Facts, prognosis

FAULTS: tuple[Literal["blank", "blurred", "framed", "enlarged"], ...] = (
    "blurred",
    "blank",
    "framed",
    "enlarged",
)
MIRRORED: dict[bool | None, Literal["different", "alike", "cannot tell"]] = {
    True: "different",
    False: "alike",
    None: "cannot tell",
}
MOST_COMPARED = 500
NOISE = 4  # levels of 255 by which equal pictures may differ
MOST_CONTACT = 400


class Inspection:
    """Everything that can be said about a source that was scanned and decided on."""

    def __init__(self, found: Prepared, command: str, thorough: bool) -> None:
        """What is said takes no time unless `thorough`: near copies, kinds of pictures, outliers,
        facing are then measured even if no decision rested on them. `command` decides otherwise.
        """
        self._found, self._command, self._thorough = found, command, thorough

    @cached_property
    def facts(self) -> Facts:
        """What the advice rests on."""
        found, judged, kept = self._found, self._found.judgements, self._found.kept
        settings, facts = found.settings, found.scan.facts[kept]
        near = [[i for i in group.members if found.decisions[i].keep] for group in self._near]
        facing = judged.facing if self._knows("facing") else None
        sides = np.minimum(facts["width"] / settings.size[1], facts["height"] / settings.size[0])
        share = {fault: _mean(faults(judged, fault)[0][kept]) for fault in FAULTS}
        return Facts(
            found=len(judged) + len(found.scan.rejected),
            rejected=len(found.scan.rejected),
            left_out=len(judged) - len(kept),
            kept=len(kept),
            exact=found.copies,
            near=sum(len(group) - 1 for group in near if group) if self._knows("near") else None,
            effective=self._effective(kept),
            width=settings.size[1],
            height=settings.size[0],
            enlarged=share["enlarged"],
            larger=_mean(sides >= 2),
            blurred=share["blurred"],
            framed=share["framed"],
            blank=share["blank"],
            white=_mean(judged.background.white[kept]),
            plain=_mean(judged.background.plain[kept]),
            background=settings.background,
            mirrored=MIRRORED[facing.asymmetric] if facing else "not measured",
            consistency=float(facing.consistency) if facing else 0.0,
            labels=dict(found.labels),
            gray=settings.channels == 1,
            crop=settings.crop,
            crop_reason=found.crop_reason,
        )

    def _knows(self, judgement: str) -> bool:
        """Whether this was, or is to be, measured."""
        return self._thorough or judgement in vars(self._found.judgements)

    @property
    def _near(self) -> list[NearGroup]:
        return self._found.judgements.near if self._knows("near") else []

    def _effective(self, kept: np.ndarray) -> float | None:
        if not self._thorough:
            return None
        found = self._found
        return vendi_score(found.judgements.thumbs_of(_spread(kept)))

    @cached_property
    def advice(self) -> list[Advice]:
        """The prognosis."""
        return [*prognosis(self.facts), *(Advice("note", note) for note in self._found.notes)]

    def counts(self) -> list[tuple[str, int]]:
        """What is not kept, by reason, the commonest first."""
        unusable = [("cannot be used", self.facts.rejected)] if self.facts.rejected else []
        return unusable + [
            (f"left out: {reason}", n) for reason, n in self._found.left_out.most_common()
        ]

    @property
    def rejected(self) -> list[dict[str, str]]:
        """Key and reason of each file that cannot be used."""
        return self._found.scan.rejected

    def as_dict(self) -> dict[str, Any]:
        """Facts, advice and what could not be read, ready for JSON."""
        return {
            "source": self._found.source,
            "facts": self.facts._asdict() | {"labels": dict(self.facts.labels)},
            "left_out": dict(self._found.left_out),
            "advice": [{"severity": one.severity, "text": one.text} for one in self.advice],
            "rejected": self._found.scan.rejected,
        }

    def write(self, folder: Path) -> None:
        """Write index.html and contact.png into `folder`.

        Raises:
            OSError: as the file system does.
        """
        found = self._found
        files.write_text(folder / "index.html", page(self.report()))
        if len(found.judgements):
            sheet = contact_sheet(
                _Pixels(found, list(range(len(found.judgements)))),
                dropped=[not one.keep for one in found.decisions],
                most=MOST_CONTACT,
            )
            image = Image.fromarray(sheet)
            files.write_atomically(
                folder / "contact.png", lambda file: image.save(file, "PNG", optimize=True)
            )

    def report(self) -> Report:
        """All that the page shows."""
        found, judged, facts = self._found, self._found.judgements, self.facts
        settings, scanned = found.settings, found.scan.facts
        done = (
            "This is what the data set was made of."
            if not self._thorough
            else "Nothing was changed: this is only a look."
        )
        return Report(
            source=found.source,
            counts=Counts(facts.kept, facts.left_out, facts.rejected),
            lead=done,
            facts=[
                Fact("Size", f"{facts.width} x {facts.height}"),
                Fact("Crop", settings.crop, found.crop_reason),
                Fact("Channels", {1: "gray", 3: "RGB", 4: "RGBA"}[settings.shape[0]]),
            ],
            advice=self.advice,
            kept=self._pictures(found.kept),
            left_out=[
                Group(reason, self._left_out(reason), count)
                for reason, count in self._found.left_out.most_common()
            ],
            copies=[
                *(
                    self._copies(f"Equal, group {n}", group)
                    for n, group in enumerate(judged.exact, 1)
                ),
                *(
                    self._copies(f"Nearly equal, group {n}", group.members, _relation(group))
                    for n, group in enumerate(self._near, 1)
                ),
            ],
            unreadable=[Unreadable(one["key"], one["reason"]) for one in found.scan.rejected],
            flagged=[*filter(None, map(self._flagged, FAULTS)), *self._unlike()],
            modes=self._modes(),
            facing=self._facing(),
            originals=Originals(
                np.stack([scanned["width"], scanned["height"]], axis=1),
                (facts.width, facts.height),
            ),
            borders=self._borders(),
            labels=[Label(name, count) for name, count in sorted(facts.labels.items())],
            change=Change(
                [
                    "Open decisions.csv, which lies beside this page, in any spreadsheet.",
                    "Write keep or drop into the column decision, for as many pictures as you "
                    "like; left or right into facing, if one is turned the wrong way.",
                    "Save it, and run this; what the file says then goes before every rule.",
                ],
                [self._command],
            ),
            settings=[
                Setting(name, _plainly(value))
                for name, value in settings.model_dump(mode="json").items()
            ],
        )

    def _pictures(
        self, indices: Sequence[int] | np.ndarray, caption: Callable[[int], str] | None = None
    ) -> Sequence[Shown]:
        return _Lazy(self._found, [int(i) for i in indices], caption)

    def _left_out(self, reason: str) -> Sequence[Shown]:
        decisions = self._found.decisions
        chosen = [
            i
            for i, one in enumerate(decisions)
            if not one.keep and reason_kind(one.reason) == reason
        ]

        def caption(i: int) -> str:
            score = decisions[i].score
            named = decisions[i].reason if decisions[i].reason != reason else ""
            return named or ("" if score is None else f"{score:.2f}")

        return self._pictures(chosen, caption)

    def _copies(
        self, title: str, members: Sequence[int], describe: Callable[[int], str] | None = None
    ) -> Group:
        return Group(title, self._marked(members, describe), len(members))

    def _marked(
        self, members: Sequence[int], describe: Callable[[int], str] | None
    ) -> Sequence[Shown]:
        return _Lazy(self._found, list(members), describe, mark=True)

    def _flagged(self, fault: Literal["blank", "blurred", "framed", "enlarged"]) -> Group | None:
        flags, scores = faults(self._found.judgements, fault)
        kept = self._found.kept
        chosen = kept[flags[kept]]
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
        if not len(chosen):
            return None
        return Group(fault.capitalize(), self._pictures(chosen, lambda i: f"{scores[i]:.2f}"))

    def _unlike(self) -> list[Group]:
        if not self._knows("outliers"):
            return []
        score, kept = self._found.judgements.outliers.score, self._found.kept
        worst = kept[np.argsort(-score[kept], kind="stable")][: max(6, min(60, len(kept) // 20))]
        unlike = Group(
            "Least like the others",
            self._pictures(worst, lambda i: f"{score[i]:.2f}"),
            text="Ranked for the eye, the strangest first; --drop-outliers 2% leaves out so many.",
        )
        return [unlike]

    def _modes(self) -> list[Group]:
        if not self._knows("outliers"):
            return []
        found = self._found.judgements.outliers
        kept = self._found.kept
        groups = [kept[found.mode[kept] == mode] for mode in range(len(found.modes))]
        groups = sorted((group for group in groups if len(group)), key=len, reverse=True)
        if len(groups) < 2:
            return []
        return [
            Group(f"Kind {n}: {len(group) / len(kept):.0%}", self._pictures(group), len(group))
            for n, group in enumerate(groups, 1)
        ]

    def _facing(self) -> Facing | None:
        if not self._knows("facing"):
            return None
        found, kept = self._found.judgements.facing, self._found.kept
        if found.asymmetric is None:
            return None
        score = found.score
        order = kept[np.argsort(-np.abs(score[kept]), kind="stable")]
        if found.asymmetric:
            text = (
                f"Most things here face one way: {found.consistency:.0%} of the pictures (at least "
                f"{found.low:.0%}, with 95 % confidence), as judged by a rule learnt from the "
                "others. Training does not mirror them."
            )
        else:
            text = (
                "A rule learnt from some pictures cannot tell the others from their mirror "
                f"images ({found.consistency:.0%} right; chance is 50 %), so training mirrors "
                "half of them."
            )
        return Facing(
            float(max(found.consistency, 0.5)),
            text,
            Group("As most do", self._pictures(order[score[order] >= 0])),
            Group("The other way", self._pictures(order[score[order] < 0])),
        )

    def _borders(self) -> Borders | None:
        traits = self._found.judgements.traits
        if not len(traits):
            return None
        colours = traits["border"].astype(np.uint8)
        return Borders(colours.mean(axis=1) / 255, traits["border_share"], colours)


class _Lazy(Sequence[Shown]):
    """Pictures to show that are read from the store only when they are looked at."""

    def __init__(
        self,
        found: Prepared,
        indices: list[int],
        caption: Callable[[int], str] | None = None,
        mark: bool = False,
    ) -> None:
        self._found, self._indices, self._caption, self._mark = found, indices, caption, mark
        self._pixels = _Pixels(found, indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        i = self._indices[place]
        kept = self._found.decisions[i].keep
        return Shown(
            self._found.scan.keys[i],
            self._pixels[place],
            self._caption(i) if self._caption else "",
            ("kept" if kept else "left out") if self._mark else "",
        )


class _Pixels(Sequence[np.ndarray]):
    """Prepared pictures of a scan by their place in `indices`."""

    def __init__(self, found: Prepared, indices: Sequence[int]) -> None:
        self._found, self._indices = found, np.asarray(indices, np.int64)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: Any) -> Any:
        return self._found.pixels(self._indices[place : place + 1])[0]


def vendi_score(thumbs: np.ndarray) -> float:
    """How many wholly different pictures would be as varied (Friedman & Dieng 2022, eq. 2).

    It is exp(-sum e log e) over the eigenvalues e of the similarities divided by N: 1 if all are
    equal, N if no two have anything in common. Two pictures are as similar as the cosine between
    their 16x16 versions, less the mean of all; differences of a few levels count as none.

    Args:
        thumbs: (N, 32, 32, 3) uint8.
    """
    if not len(thumbs):
        return 0.0
    small = thumbs.reshape(len(thumbs), 16, 2, 16, 2, 3).mean(axis=(2, 4), dtype=np.float64)
    vectors = (small - small.mean(axis=0)).reshape(len(thumbs), -1)
    # One more component, the same for all: beside it, what is smaller than noise vanishes.
    noise = np.full((len(thumbs), 1), NOISE * np.sqrt(vectors.shape[1]))
    vectors = np.hstack([vectors, noise])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(vectors @ vectors.T / len(thumbs)).clip(1e-12)
    return float(np.exp(-(values * np.log(values)).sum()))


def _relation(group: NearGroup) -> Callable[[int], str]:
    """What happened to each member, as far as it is known."""
    told = {i: f"{pair.relation}, {pair.distance:.2f}" for pair in group.pairs for i in pair[:2]}
    return lambda i: told.get(i, "")


def _spread(indices: np.ndarray) -> np.ndarray:
    return indices[:: max(1, -(-len(indices) // MOST_COMPARED))]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _plainly(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(value)
