"""Shards: any number of samples in files that are whole or not there."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import morelike
from morelike import pictures, samples
from morelike.config import DataConfig
from morelike.data import open_source
from morelike.errors import UserError
from morelike.samples import write_shards
from morelike.sampling import TrainedGenerator, Wish, load


@pytest.fixture(scope="module")
def generator(
    tmp_path_factory: pytest.TempPathFactory, write_pictures: Callable[..., Path]
) -> TrainedGenerator:
    folder = tmp_path_factory.mktemp("shards")
    source = write_pictures(folder / "photos", 12)
    small = {"generator": {"width": 4, "latent": 5}, "discriminator": {"width": 4}}
    training = {"batch": 8, "images": 16, "device": "cpu", "precision": "fp32"}
    data = {"resolution": 16}
    run = morelike.train(source, run=folder / "run", data=data, training=training, **small)
    return load(run.path)


def test_tar_shards_hold_the_samples_in_order(generator: TrainedGenerator, tmp_path: Path) -> None:
    seeds = [*range(70), 500]
    told: list[tuple[int, int]] = []
    paths = write_shards(
        generator, seeds, tmp_path, size=40, progress=lambda done, total: told.append((done, total))
    )
    assert [path.name for path in paths] == ["00000.tar", "00001.tar"]
    expected = generator.sample(seeds)
    found = [item for path in paths for item in open_source(path).items(DataConfig())]
    assert [item.key for item in found] == [f"{seed}.png" for seed in seeds]
    with tarfile.open(paths[1]) as archive:
        member = archive.extractfile("500.png")
        assert member is not None
        (tmp_path / "one.png").write_bytes(member.read())
    assert np.array_equal(pictures.read_png(tmp_path / "one.png"), expected[-1])
    assert told[-1] == (71, 71)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_npy_shards_are_arrays(generator: TrainedGenerator, tmp_path: Path) -> None:
    paths = write_shards(generator, range(50), tmp_path, size=45, form="npy")
    arrays = [np.load(path, allow_pickle=False) for path in paths]
    assert [len(array) for array in arrays] == [45, 5]
    assert np.array_equal(np.concatenate(arrays), generator.sample(range(50)))


def test_what_was_broken_off_goes_on_and_is_never_half_there(
    generator: TrainedGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: Any, chunks: Any, seeds: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    first = write_shards(generator, range(20), tmp_path, size=10, form="npy")
    first[1].unlink()
    before = first[0].stat().st_mtime_ns
    monkeypatch.setattr(samples, "_array", broken)
    with pytest.raises(KeyboardInterrupt):
        write_shards(generator, range(20), tmp_path, size=10, form="npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.npy", "shards.json"]
    monkeypatch.undo()
    again = write_shards(generator, range(20), tmp_path, size=10, form="npy")
    assert again == first
    assert first[0].stat().st_mtime_ns == before
    assert len(np.load(first[1])) == 10


def test_shards_of_something_else_are_not_mixed(
    generator: TrainedGenerator, tmp_path: Path
) -> None:
    write_shards(generator, range(10), tmp_path, size=5)
    for other in ({"size": 6}, {"form": "npy"}, {"wish": Wish(truncation=1.0)}):
        with pytest.raises(UserError, match="choose another folder"):
            write_shards(generator, range(10), tmp_path, **{"size": 5, **other})
    with pytest.raises(UserError, match="choose another folder"):
        write_shards(generator, range(11), tmp_path, size=5)
    (tmp_path / "shards.json").unlink()
    with pytest.raises(UserError, match="holds other shards"):
        write_shards(generator, range(10), tmp_path, size=5)


def test_bf16_differs_by_little(generator: TrainedGenerator) -> None:
    fast = TrainedGenerator(
        generator.config, generator.network, generator.device, "bf16", "run", "0 images"
    )
    exact, rounded = (g.sample(range(40)).astype(int) for g in (generator, fast))
    assert not np.array_equal(exact, rounded)
    assert np.abs(exact - rounded).mean() < 2
