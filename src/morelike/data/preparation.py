"""From a source to a prepared data set: scan, judge, decide, split, write."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from morelike import files
from morelike.config import DataConfig
from morelike.data import decode as decoder
from morelike.data.curate import Judgements, curate, mirrored
from morelike.data.dataset import (
    NAMES,
    SCHEMA,
    UNFINISHED,
    Dataset,
    dataset_digest,
    is_complete,
    is_prepared,
    replacing,
    write_images,
    write_manifest,
)
from morelike.data.decisions import Decision, Overrides, write_decisions
from morelike.data.fit import Crop
from morelike.data.item import Item, Source
from morelike.data.scan import Progress, Scan, form_of, scan, survey
from morelike.data.split import held_out
from morelike.data.store import Store, forget_old
from morelike.errors import MorelikeError, UserError
from morelike.files import cache_folder
from morelike.version import __version__

FEWEST = 2
MOST_FOR_NEAR = 1_000
"""Up to this many pictures, near copies are looked for even if they are kept, so that none of them
is held out: with few pictures it would pass for something new. It takes less than a second."""
CHUNK = 512
OURS = frozenset({*NAMES, "index.html", "contact.png"})
"""Files of a prepared data set and of the page that is laid beside them."""


@dataclass
class Prepared:
    """A source that is scanned and decided on, but not written."""

    source: str
    settings: DataConfig
    """With crop and channels settled."""
    crop_reason: str
    scan: Scan
    judgements: Judgements
    decisions: list[Decision]
    notes: tuple[str, ...] = ()
    """What the source has to say, such as how many patches were blank."""

    @cached_property
    def kept(self) -> np.ndarray:
        """Indices of the pictures that are kept."""
        return np.flatnonzero([one.keep for one in self.decisions])

    @cached_property
    def left_out(self) -> Counter[str]:
        """How many pictures are left out for each kind of reason."""
        return Counter(reason_kind(one.reason) for one in self.decisions if not one.keep)

    @cached_property
    def labels(self) -> Counter[str]:
        """How many kept pictures each class has."""
        return Counter(label for i in self.kept if (label := self.scan.labels[i]) is not None)

    @property
    def copies(self) -> int:
        """Exact copies found, each beyond the first."""
        return sum(len(group) - 1 for group in self.judgements.exact)

    def pixels(self, chosen: np.ndarray) -> np.ndarray:
        """(len(chosen), H, W, C) uint8: these pictures as networks see them."""
        pixels = self.judgements.store.pixels(self.scan.rows[chosen])
        turned = [mirrored(self.decisions[i], self.settings) for i in chosen]
        pixels[turned] = pixels[turned, :, ::-1]
        return _gray(pixels) if self.settings.channels == 1 else pixels

    def decisions_csv(self) -> str:
        """The text of decisions.csv."""
        return write_decisions(self.scan.keys, self.judgements.contents, self.decisions)


def prepare(
    source: Source,
    settings: DataConfig,
    progress: Progress | None = None,
    target: Path | None = None,
    overrides: Overrides | None = None,
) -> Dataset:
    """Make a prepared data set of `source`, in `target` or else in the cache.

    The result depends on the pictures and the settings alone. Pictures that were decoded before are
    not decoded again, wherever they lie now. A data set that is already in `target` keeps the crop
    that was chosen for it, so that it can grow.

    Raises:
        UserError: if there are no pictures, or too few or too small a share that can be read, or if
            the result cannot be written.
    """
    if target is not None:
        check_target(target)
    found = decide(source, settings, progress, overrides, target)
    check_enough(found)
    name = found.source
    if target is None:
        target = cache_folder() / "datasets" / _fingerprint(found)
        if is_complete(target):
            return Dataset(target, name)
    else:
        name = str(target.absolute())
    write(found, target)
    return Dataset(target, name)


def check_target(target: Path) -> None:
    """Check that a data set may be written here.

    Raises:
        UserError: if something else is there.
    """
    if target.is_dir() and not is_prepared(target) and any(target.iterdir()):
        raise UserError(f"{target} holds something else than a prepared data set; name another.")
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; name a folder, such as {target.stem}.mld.")


def decide(
    source: Source,
    settings: DataConfig,
    progress: Progress | None = None,
    overrides: Overrides | None = None,
    earlier: Path | None = None,
) -> Prepared:
    """Scan `source` and decide about every picture; what was decoded stays in the cache.

    Raises:
        UserError: if the source cannot be read, holds no pictures, or the cache cannot be written.
    """
    cache = cache_folder()
    try:
        forget_old(cache)
        items = None if source.streamed else list(source.items(settings))
        total = source.count(settings) if items is None else len(items)

        def again() -> Iterable[Item]:
            return source.items(settings) if items is None else items

        crop, reason = _crop(again, source.streamed, settings, cache, earlier)
        form = form_of(settings, crop)
        store = Store(cache, form)
        report = progress or (lambda done, total: None)
        found = scan(again(), source.streamed, form, store, lambda done: report(done, total))
    except OSError as error:
        raise _cannot_write(cache, error) from error
    if not found.keys and not found.rejected:
        raise UserError(
            f"{source.name} holds no pictures; morelike reads JPEG, PNG, WebP, GIF, BMP, TIFF and "
            "AVIF."
        )
    channels = settings.channels
    if channels == "auto":
        channels = 1 if found.facts["gray"].all() else 3
    settled = settings.model_copy(update={"crop": crop, "channels": channels})
    judgements = Judgements(found, store, overrides)
    decisions = curate(judgements, settled)
    notes = tuple(getattr(source, "notes", ()))  # only some sources have any
    return Prepared(source.name, settled, reason, found, judgements, decisions, notes)


def _crop(
    items: Callable[[], Iterable[Item]],
    streamed: bool,
    settings: DataConfig,
    cache: Path,
    earlier: Path | None,
) -> tuple[Crop, str]:
    if settings.crop != "auto":
        return settings.crop, f"{settings.crop}, as asked for"
    if earlier is not None and is_prepared(earlier):
        with contextlib.suppress(OSError, ValueError, KeyError):
            before = files.read_json(earlier / "dataset.json")
            return before["settings"]["crop"], before["crop_reason"]
    form = form_of(settings, "center")
    return survey(items(), streamed, form, Store(cache, form))


def check_enough(found: Prepared) -> None:
    """Check that enough pictures can be read and are kept.

    Raises:
        UserError: naming the counts and the commonest reasons.
    """
    rejected, usable = found.scan.rejected, len(found.scan.keys)
    if usable < FEWEST:
        raise UserError(_too_few(found.source, usable, rejected))
    share = len(rejected) / (len(rejected) + usable)
    if share > found.settings.most_rejected:
        raise UserError(
            f"{len(rejected)} of the {len(rejected) + usable} files in {found.source} cannot be "
            f"used ({commonest([entry['reason'] for entry in rejected])}); look at them with "
            "morelike inspect, or allow it with data.most_rejected."
        )
    if len(found.kept) < FEWEST:
        reasons = [one.reason for one in found.decisions if not one.keep]
        raise UserError(
            f"only {len(found.kept)} of the {usable} pictures in {found.source} would be kept "
            f"({commonest(reasons)}); ask for less."
        )


def commonest(reasons: Iterable[str], most: int = 3) -> str:
    """The commonest reasons with their counts, as in "12 too small, 3 exact copy"."""
    counts = Counter(reason_kind(reason) for reason in reasons)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common(most))


def reason_kind(reason: str) -> str:
    """A reason without the name of the picture that it is a copy of."""
    return reason.split(" of ")[0] if " copy of " in reason else reason


def split(found: Prepared) -> list[str]:
    """The side of each kept picture: "train" or "held_out".

    A source that brings its own split keeps it; the rest is split by content, with near copies on
    one side wherever these are known.
    """
    kept, settings = found.kept, found.settings
    if not settings.held_out:
        return ["train"] * len(kept)
    sides: list[str | None] = [found.scan.sides[i] for i in kept]
    free = [place for place, side in enumerate(sides) if side is None]
    digests = found.scan.facts["digest"]
    names = {
        int(kept[place]): found.scan.groups[kept[place]] or digests[kept[place]].tobytes().hex()
        for place in free
    }
    near = len(free) <= MOST_FOR_NEAR or settings.dedup == "near"
    for group in found.judgements.near if near and free else []:
        members = [i for i in group.members if i in names]
        for i in members:
            names[i] = names[members[0]]
    chosen = held_out(list(names.values()), settings.held_out)
    for place, is_out in zip(free, chosen, strict=True):
        sides[place] = "held_out" if is_out else "train"
    return [side or "train" for side in sides]


def write(
    found: Prepared, target: Path, beside: Callable[[Path], None] = lambda folder: None
) -> None:
    """Write what was decided as a prepared data set; one that is there is replaced.

    `beside` may write more files into its folder before it takes its place.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        _remove_leftovers(target.parent)
        with replacing(target) as temporary:
            _write(found, temporary)
            beside(temporary)
    except OSError as error:
        raise _cannot_write(target.parent, error) from error


def _write(found: Prepared, folder: Path) -> None:
    settings, kept = found.settings, found.kept
    sides = split(found)
    shape = (len(kept), *settings.size, settings.shape[0])
    batches = (kept[start : start + CHUNK] for start in range(0, len(kept), CHUNK))
    write_images(folder / "images.npy", map(found.pixels, batches), shape)
    write_manifest(folder / "manifest.jsonl", _records(found, sides))
    files.write_text(folder / "decisions.csv", found.decisions_csv())
    info = {
        "schema": SCHEMA,
        "version": __version__,
        "source": found.source,
        "settings": settings.model_dump(mode="json", exclude={"mirror"}),
        "crop_reason": found.crop_reason,
        "count": len(kept),
        "duplicates": found.copies,
        "left_out": dict(sorted(found.left_out.items())),
        "labels": dict(sorted(found.labels.items())),
        "digest": dataset_digest(_records(found, sides), shape[-1]),
        "rejected": found.scan.rejected,
    }
    files.write_json(folder / "dataset.json", info)


def _records(found: Prepared, sides: Sequence[str]) -> Iterator[dict[str, Any]]:
    scanned = found.scan
    for i, side in zip(found.kept, sides, strict=True):
        yield {
            "key": scanned.keys[i],
            "content": found.judgements.contents[i],
            "digest": scanned.facts["digest"][i].tobytes().hex(),
            "split": side,
            "label": scanned.labels[i],
            "attributes": scanned.attributes[i],
            "mirrored": mirrored(found.decisions[i], found.settings),
        }


def _gray(pixels: np.ndarray) -> np.ndarray:
    """Luma of (..., 3) uint8 by ITU-R BT.601, (..., 1); exact for pictures that are gray."""
    return (pixels @ np.array([19595, 38470, 7471]) + 0x8000 >> 16).astype(np.uint8)[..., None]


def _fingerprint(found: Prepared) -> str:
    settings = found.settings.model_dump(mode="json", exclude={"mirror"})
    total = hashlib.blake2b(digest_size=16)
    total.update(json.dumps([SCHEMA, decoder.VERSION, settings], sort_keys=True).encode())
    scanned = found.scan
    for line in zip(
        scanned.keys,
        found.judgements.contents,
        scanned.labels,
        scanned.attributes,
        scanned.sides,
        scanned.groups,
        strict=True,
    ):
        total.update(json.dumps(line).encode())
    total.update(json.dumps(scanned.rejected).encode())
    return total.hexdigest()


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left; anything younger than a day may be another's work."""
    for leftover in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # another process may be tidying as well
            old = time.time() - leftover.stat().st_mtime > 86_400
            if old and {path.name for path in leftover.iterdir()} <= OURS:
                shutil.rmtree(leftover, ignore_errors=True)


def _too_few(name: str, count: int, rejected: list[dict[str, str]]) -> str:
    found = "one picture" if count == 1 else "no picture"
    sentence = f"{name} holds {found} that can be read; at least {FEWEST} are needed"
    if rejected:
        first = rejected[0]
        sentence += f" ({len(rejected)} rejected; {first['key']}: {first['reason']})"
    return f"{sentence}."


def _cannot_write(folder: Path, error: OSError) -> MorelikeError:
    reason = (error.strerror or str(error)).lower()
    remedy = (
        "set MORELIKE_CACHE to a folder with room"
        if folder.is_relative_to(cache_folder())
        else "choose another folder with --out"
    )
    return UserError(f"cannot write the prepared pictures to {folder}: {reason}; {remedy}.")
