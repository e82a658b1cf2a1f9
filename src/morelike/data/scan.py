"""Read every picture of a source once: decoded and stored, or rejected by name."""

from __future__ import annotations

import hashlib
import itertools
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from morelike.config import DataConfig
from morelike.data.decode import decode
from morelike.data.fit import Crop, Decoded, Form, choose_crop
from morelike.data.item import Item, Rejection, Side
from morelike.data.store import FACTS, Batch, Row, Store, batch

BATCH = 32  # pictures that a thread works on before it hands them over
STREAM_BYTES = 32 * 2**20  # or so much taken off a stream
SURVEYED = 64
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
    """Read, decode and store all these pictures.

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
        try:
            for part, worked in _ahead(pool, _batches(items, streamed), store, form):
                if worked.new is not None:
                    store.add(worked.new)
                rows += _note(part, worked.outcomes, store, result)
                done += len(part)
                report(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # somebody waits at the keyboard
            raise
    result.rows = np.array(rows, np.int64)
    result.facts = store.facts(result.rows)
    return result


class _Worked(NamedTuple):
    """What became of a batch of items."""

    outcomes: list[bytes | Rejection]
    """Of each item; bytes: the hash of its contents, by which the store has it or will have it."""
    new: Batch | None
    """What the store does not have yet."""


def _ahead(
    pool: ThreadPoolExecutor, batches: Iterable[Sequence[Item]], store: Store, form: Form
) -> Iterator[tuple[Sequence[Item], _Worked]]:
    """Batches in their order, done; some more are being worked on meanwhile."""
    waiting: deque[tuple[Sequence[Item], Future[_Worked]]] = deque()
    most = 2 * (os.cpu_count() or 1) + 2
    for part in batches:
        waiting.append((part, pool.submit(_work, part, store, form)))
        if len(waiting) >= most:
            first, future = waiting.popleft()
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


def _batches(items: Iterable[Item], streamed: bool) -> Iterator[Sequence[Item]]:
    """Cut the items so that what comes off a stream does not fill the memory."""
    batch: list[Item] = []
    held = 0
    for item in items:
        if streamed:
            item, size = _taken(item)
            held += size
        batch.append(item)
        if len(batch) >= BATCH or held >= STREAM_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


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


def _work(items: Sequence[Item], store: Store, form: Form) -> _Worked:
    """Read and decode, in one of several threads.

    The store is only asked what it has; at worst a picture that comes twice is decoded twice.
    """
    outcomes: list[bytes | Rejection] = []
    fresh: list[tuple[bytes, int, Decoded]] = []
    for item in items:
        try:
            data = item.read() if item.identity is None else None
            content = _hash((item.identity or "").encode()) if data is None else _content(data)
            if store.find(content) is None:
                data = item.read() if data is None else data
                size = data.nbytes if isinstance(data, np.ndarray) else len(data)
                fresh.append((content, size, decode(data, form)))
            outcomes.append(content)
        except Rejection as rejection:
            outcomes.append(rejection)
        except OSError as error:
            outcomes.append(Rejection(f"cannot be read: {error.strerror or error}"))
    return _Worked(outcomes, batch(fresh) if fresh else None)


def _content(data: bytes | np.ndarray) -> bytes:
    if isinstance(data, np.ndarray):
        return _hash(repr((data.shape, data.dtype.str)).encode(), np.ascontiguousarray(data).data)
    return _hash(data)


def _hash(*parts: Any) -> bytes:
    digest = hashlib.sha256()  # processors have instructions for it
    for part in parts:
        digest.update(part)
    return digest.digest()[:16]


def _note(
    batch: Sequence[Item], outcomes: Sequence[bytes | Rejection], store: Store, result: Scan
) -> list[Row]:
    """Put a batch's records into `result`."""
    rows: list[Row] = []
    for item, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Rejection):
            result.rejected.append({"key": item.key, "reason": str(outcome)})
            continue
        row = store.find(outcome)
        assert row is not None, "what was decoded is stored"
        rows.append(row)
        result.keys.append(item.key)
        result.labels.append(item.label)
        result.attributes.append(item.attributes)
        result.sides.append(item.side)
        result.groups.append(item.group)
    return rows
