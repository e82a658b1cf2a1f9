from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from morelike.data.fit import Decoded, Form
from morelike.data.store import KEPT_DAYS, Store, batch, forget_old, picture_digest

FORM = Form(8, 12, 3, "center", (255, 255, 255))


def decoded(seed: int) -> Decoded:
    numbers = np.random.default_rng(seed)
    return Decoded(
        numbers.integers(0, 256, (8, 12, 3), np.uint8),
        numbers.integers(0, 256, (64, 64, 3), np.uint8),
        100 + seed,
        200,
        seed % 2 == 0,
        seed % 3 == 0,
        1.5,
        ("16 bit", "CMYK") if seed == 1 else (),
    )


def name(seed: int) -> bytes:
    return bytes([seed]) * 16


def add(store: Store, *seeds: int) -> list[int]:
    store.add(batch([(name(s), 1000 + s, decoded(s)) for s in seeds]))
    rows = [store.find(name(s)) for s in seeds]
    assert None not in rows
    return [row for row in rows if row is not None]


def test_what_is_added_is_found_again_by_this_and_by_later_processes(tmp_path: Path) -> None:
    store = Store(tmp_path, FORM)
    assert store.find(name(1)) is None
    rows = add(store, 1, 2, 3)
    for here in (store, Store(tmp_path, FORM)):
        found = [here.find(name(s)) for s in (1, 2, 3)]
        assert found == rows
        facts = here.facts(rows)
        assert facts["width"].tolist() == [101, 102, 103]
        assert facts["bytes"].tolist() == [1001, 1002, 1003]
        assert facts["gray"].tolist() == [False, True, False]
        for row, seed in zip(rows, (1, 2, 3), strict=True):
            assert np.array_equal(here.pixels([row])[0], decoded(seed).pixels)
            back = here.decoded([row])[0]
            assert back.notes == decoded(seed).notes
            assert (back.width, back.transparent, back.enlarged) == (100 + seed, seed == 3, 1.5)
            assert np.array_equal(back.proxy, decoded(seed).proxy)


def test_rows_of_several_processes_come_in_the_order_asked_for(tmp_path: Path) -> None:
    for seeds in ((1, 2), (3,), (4, 5, 6)):
        add(Store(tmp_path, FORM), *seeds)
    store = Store(tmp_path, FORM)
    rows = [store.find(name(s)) for s in (5, 1, 6, 3, 5)]
    assert None not in rows
    pixels = store.pixels(np.array(rows))
    for seed, image in zip((5, 1, 6, 3, 5), pixels, strict=True):
        assert np.array_equal(image, decoded(seed).pixels)


def test_the_same_contents_are_kept_once(tmp_path: Path) -> None:
    store = Store(tmp_path, FORM)
    first = add(store, 7)
    both = add(store, 7, 8, 8)
    assert both == [first[0], first[0] + 1, first[0] + 1]
    (pixels,) = tmp_path.rglob("*.pixels")
    assert pixels.stat().st_size == 2 * 8 * 12 * 3


@pytest.mark.parametrize("kind", ["rows", "proxies", "pixels"])
@pytest.mark.parametrize("lost", [1, 5_000])
def test_a_torn_end_is_not_believed(tmp_path: Path, kind: str, lost: int) -> None:
    add(Store(tmp_path, FORM), *range(1, 9))
    (path,) = tmp_path.rglob(f"*.{kind}")
    with path.open("r+b") as file:
        file.truncate(max(0, path.stat().st_size - lost))
    store = Store(tmp_path, FORM)
    found = {s: store.find(name(s)) for s in range(1, 9)}
    assert found[8] is None
    for seed, row in found.items():
        if row is not None:
            assert np.array_equal(store.pixels([row])[0], decoded(seed).pixels)
    rows = add(store, 8)
    assert np.array_equal(store.pixels(rows)[0], decoded(8).pixels)


def test_other_forms_do_not_mix(tmp_path: Path) -> None:
    add(Store(tmp_path, FORM), 1)
    for other in (
        FORM._replace(crop="pad"),
        FORM._replace(width=16),
        FORM._replace(matte=(0, 0, 0)),
    ):
        assert Store(tmp_path, other).find(name(1)) is None


def test_digests_tell_shapes_apart() -> None:
    flat = np.arange(24, dtype=np.uint8)
    shapes = [(2, 4, 3), (4, 2, 3), (8, 1, 3), (8, 3, 1)]
    assert len({picture_digest(flat.reshape(shape)) for shape in shapes}) == 4


def test_only_what_was_not_used_for_a_month_is_forgotten(tmp_path: Path) -> None:
    add(Store(tmp_path, FORM), 1)
    add(Store(tmp_path, FORM._replace(crop="pad")), 1)
    old = next(path for path in (tmp_path / "decoded").iterdir())
    long_ago = old.stat().st_mtime - (KEPT_DAYS + 1) * 86_400
    os.utime(old, (long_ago, long_ago))
    forget_old(tmp_path)
    assert not old.exists()
    assert len(list((tmp_path / "decoded").iterdir())) == 1
