"""Read every picture of a source once: decoded, measured and stored, or rejected by name."""

from __future__ import annotations

import hashlib
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from morelike.config import DataConfig
from morelike.data.decode import decode
from morelike.data.fit import Crop, Decoded, Form, choose_crop
from morelike.data.item import Item, Rejection, Side
from morelike.data.store import FACTS, Row, Store

WINDOW_BYTES = 64 * 2**20  # prepared pictures in flight
STREAM_BYTES = 256 * 2**20  # encoded pictures taken off a stream and not yet decoded
SURVEYED = 96
COLORS = {"white": (255, 255, 255), "black": (0, 0, 0), "gray": (128, 128, 128)}

Progress = Callable[[int, int | None], None]
"""Told (pictures done, pictures in all, if that is known)."""


@dataclass
class Scan:
    """All usable pictures of a source, in its order, and what could not be used."""

    keys: list[str]
    labels: list[str | None]
    attributes: list[dict[str, float | str]]
    sides: list[Side | None]
    groups: list[str | None]
    rows: np.ndarray
    """(N,) rows in the store."""
    facts: np.ndarray
    """(N,) FACTS."""
    rejected: list[dict[str, str]]
    """key and reason of each file that cannot be used."""


def form_of(settings: DataConfig, crop: Crop) -> Form:
    """What every picture is decoded to under these settings."""
    height, width = settings.size
    red, green, blue = COLORS.get(settings.matte) or bytes.fromhex(settings.matte[1:])
    return Form(height, width, 4 if settings.channels == 4 else 3, crop, (red, green, blue))


def survey(items: Iterable[Item], streamed: bool, form: Form, store: Store) -> tuple[Crop, str]:
    """Choose how pictures are cropped by looking at a sample, decoded with a center crop.

    The sample is spread evenly over a list of items, or is the beginning of a stream. What is
    decoded stays in `store`, so nothing is lost if the center it is.

    Returns:
        The crop, and one sentence that says why.
    """
    if isinstance(items, list):
        items = items[:: max(1, len(items) // SURVEYED)]
    found = scan(itertools.islice(items, SURVEYED), streamed, form, store)
    return choose_crop(store.decoded(found.rows))


def scan(
    items: Iterable[Item],
    streamed: bool,
    form: Form,
    store: Store,
    report: Callable[[int], None] = lambda done: None,
) -> Scan:
    """Read, decode, measure and store all these pictures.

    Raises:
        UserError: if the source of the items cannot be read.
        OSError: if the store cannot be written.
    """
    result = Scan([], [], [], [], [], np.zeros(0, np.int64), np.zeros(0, FACTS), [])
    rows: list[Row] = []
    done = 0
    # Python keeps one list of warning filters for all threads, so it is set here, in none of them.
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # odd metadata; what matters raises
        for window, outcomes in _ahead(pool, items, store, form, streamed):
            found: list[_Outcome] = []
            for outcome in outcomes:
                found.append(outcome)
                done += 1
                report(done)
            rows += _keep(window, found, store, result)
    result.rows = np.array(rows, np.int64)
    result.facts = store.facts(result.rows)
    return result


class _Fresh(NamedTuple):
    """A picture that the store does not have yet."""

    content: bytes
    size: int
    decoded: Decoded


_Outcome = bytes | _Fresh | Rejection  # bytes: the content of one that the store has


def _ahead(
    pool: ThreadPoolExecutor, items: Iterable[Item], store: Store, form: Form, streamed: bool
) -> Iterator[tuple[Sequence[Item], Iterable[_Outcome]]]:
    """Windows with their outcomes; the next one is worked on while this one is looked at."""
    # `find` in the threads sees the store as it is before this window's additions: at worst a
    # picture is decoded twice.
    work = partial(_read_and_decode, store=store, form=form)
    waiting: tuple[Sequence[Item], Iterable[_Outcome]] | None = None
    for window in _windows(items, form, streamed):
        submitted = (window, pool.map(work, window))
        if waiting is not None:
            yield waiting
        waiting = submitted
    if waiting is not None:
        yield waiting


def _windows(items: Iterable[Item], form: Form, streamed: bool) -> Iterator[Sequence[Item]]:
    """Cut the items so that neither encoded nor prepared pictures fill the memory."""
    most = max(16, min(512, WINDOW_BYTES // (form.height * form.width * form.channels)))
    window: list[Item] = []
    held = 0
    for item in items:
        if streamed:
            item, size = _taken(item)
            held += size
        window.append(item)
        if len(window) >= most or held >= STREAM_BYTES // 2:
            yield window
            window, held = [], 0
    if window:
        yield window


def _taken(item: Item) -> tuple[Item, int]:
    """An item off a stream with its contents in hand, and their size."""
    try:
        data = item.read()
    except (OSError, Rejection) as problem:
        return replace(item, read=partial(_raise, problem)), 0
    size = data.nbytes if isinstance(data, np.ndarray) else len(data)
    return replace(item, read=lambda: data), size


def _raise(problem: Exception) -> Any:
    raise problem


def _read_and_decode(item: Item, store: Store, form: Form) -> _Outcome:
    try:
        if item.identity is not None:
            content = _hash(item.identity.encode())
            if store.find(content) is not None:
                return content
            data = item.read()
        else:
            data = item.read()
            content = _content(data)
            if store.find(content) is not None:
                return content
        size = data.nbytes if isinstance(data, np.ndarray) else len(data)
        return _Fresh(content, size, decode(data, form))
    except Rejection as rejection:
        return rejection
    except OSError as error:
        return Rejection(f"cannot be read: {error.strerror or error}")


def _content(data: bytes | np.ndarray) -> bytes:
    if isinstance(data, np.ndarray):
        return _hash(repr((data.shape, data.dtype.str)).encode(), np.ascontiguousarray(data).data)
    return _hash(data)


def _hash(*parts: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _keep(
    window: Sequence[Item], found: Sequence[_Outcome], store: Store, result: Scan
) -> list[Row]:
    """Put a window's new pictures into the store and its records into `result`."""
    fresh = [outcome for outcome in found if isinstance(outcome, _Fresh)]
    store.add(
        [one.content for one in fresh], [one.size for one in fresh], [one.decoded for one in fresh]
    )
    rows: list[Row] = []
    for item, outcome in zip(window, found, strict=True):
        if isinstance(outcome, Rejection):
            result.rejected.append({"key": item.key, "reason": str(outcome)})
            continue
        row = store.find(outcome.content if isinstance(outcome, _Fresh) else outcome)
        assert row is not None, "what was decoded is stored"
        rows.append(row)
        result.keys.append(item.key)
        result.labels.append(item.label)
        result.attributes.append(item.attributes)
        result.sides.append(item.side)
        result.groups.append(item.group)
    return rows
