from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from morelike.checkpoint import (
    META,
    TENSORS,
    Checkpoint,
    CheckpointFolder,
    DamagedCheckpoint,
    read_tensors,
    save_tensors,
)
from morelike.errors import UserError


def tensors(number: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(number)
    weight = torch.randn(4, 3, 5, 5, generator=generator)
    return {
        "generator.weight": weight.to(memory_format=torch.channels_last),
        "generator.count": torch.tensor(number),
        "ema.weight": weight[:2, ::2],
        "ema.half": weight.to(torch.bfloat16),
        "ema.double": weight.double().requires_grad_(),
        "empty": torch.zeros(0, 3),
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    """A folder with checkpoints at 8, 16 and 100 images."""
    folder = CheckpointFolder(tmp_path / "run" / "checkpoints")
    folder.path.parent.mkdir()
    for images in (8, 100, 16):  # 100 comes before 16 by name, and not by number
        folder.save(images, tensors(images), {"seconds": images / 2})
    return folder


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def test_what_is_saved_comes_back(folder: CheckpointFolder) -> None:
    saved = folder.save(24, tensors(24), {"seconds": 1.5, "best": None})
    assert saved.path == folder.path / "24"
    assert saved.images == 24
    assert same(saved.tensors(), tensors(24))
    assert not any(tensor.requires_grad for tensor in saved.tensors().values())
    assert set(saved.tensors("ema.")) == {"weight", "half", "double"}
    assert saved.tensors("nothing.") == {}
    meta = saved.verify()
    assert (meta["images"], meta["seconds"], meta["best"], meta["schema"]) == (24, 1.5, None, 1)


def test_a_checkpoint_is_safetensors_json_and_a_digest(folder: CheckpointFolder) -> None:
    path = folder.path / "8"
    assert sorted(file.name for file in path.iterdir()) == [META, TENSORS]
    assert same(load_file(path / TENSORS), tensors(8))
    meta = json.loads((path / META).read_text())
    assert meta["digest"] == hashlib.sha256((path / TENSORS).read_bytes()).hexdigest()


def test_checkpoints_are_in_the_order_of_their_images(folder: CheckpointFolder) -> None:
    assert [checkpoint.images for checkpoint in folder.all()] == [8, 16, 100]
    assert CheckpointFolder(folder.path / "nowhere").all() == []


def test_successive_checkpoints_differ(folder: CheckpointFolder) -> None:
    metas = [checkpoint.verify() for checkpoint in folder.all()]
    assert len({meta["digest"] for meta in metas}) == 3


def test_latest_is_the_one_saved_last_and_best_the_one_named(folder: CheckpointFolder) -> None:
    assert folder.pointed("latest") == Checkpoint(folder.path / "16")
    assert folder.pointed("best") is None
    folder.point("best", Checkpoint(folder.path / "8"))
    assert folder.pointed("best") == Checkpoint(folder.path / "8")
    assert (folder.path / "best").read_text() == "8\n"


@pytest.mark.parametrize("content", [b"", b"77", b"../8", b"\xff\xfe", b".", b"/"])
def test_a_pointer_to_nothing_points_nowhere(folder: CheckpointFolder, content: bytes) -> None:
    (folder.path / "best").write_bytes(content)
    assert folder.pointed("best") is None
    assert folder.find("best")[0].images == 100


@pytest.mark.parametrize(
    ("name", "damage"),
    [(TENSORS, cut), (TENSORS, flip), (TENSORS, Path.unlink), (META, cut), (META, Path.unlink)],
)
def test_damage_is_noticed(folder: CheckpointFolder, name: str, damage: Any) -> None:
    damage(folder.path / "100" / name)
    with pytest.raises(DamagedCheckpoint, match=name):
        Checkpoint(folder.path / "100").verify()
    newest, complaints = folder.newest_sound()
    assert newest is not None
    assert newest.images == 16
    assert len(complaints) == 1
    assert complaints[0].endswith("falling back to the checkpoint before it.")
    assert str(folder.path / "100") in complaints[0]


@pytest.mark.parametrize("text", ["[]", "{}", "5", '{"schema": 99}', "{", '"x"', "\x00"])
def test_meta_data_of_another_kind_are_not_believed(folder: CheckpointFolder, text: str) -> None:
    (folder.path / "100" / META).write_text(text)
    with pytest.raises(DamagedCheckpoint, match=META):
        Checkpoint(folder.path / "100").meta()
    assert folder.newest_sound()[0] == Checkpoint(folder.path / "16")


def test_with_every_checkpoint_damaged_none_is_found(folder: CheckpointFolder) -> None:
    for checkpoint in folder.all():
        cut(checkpoint.path / TENSORS)
    newest, complaints = folder.newest_sound()
    assert newest is None
    assert ["100" in complaints[0], "16" in complaints[1], len(complaints)] == [True, True, 3]
    for which in ("best", "latest"):
        with pytest.raises(UserError, match="holds no usable checkpoint"):
            folder.find(which)


def test_a_person_finds_checkpoints_by_name_or_number(folder: CheckpointFolder) -> None:
    folder.point("best", Checkpoint(folder.path / "8"))
    assert folder.find("best") == (Checkpoint(folder.path / "8"), [])
    assert folder.find("latest") == (Checkpoint(folder.path / "16"), [])
    assert folder.find("100") == (Checkpoint(folder.path / "100"), [])
    with pytest.raises(UserError, match=r"no checkpoint 32 .*there: 8, 16, 100\."):
        folder.find("32")
    for which in ("newest", "-8", "8.0", "", "../8", "²"):
        with pytest.raises(UserError, match=r"best, latest or a number|there is no checkpoint"):
            folder.find(which)
    empty = CheckpointFolder(folder.path / "nowhere")
    with pytest.raises(UserError, match="holds no usable checkpoint; train the run first"):
        empty.find("best")
    with pytest.raises(UserError, match="there: none"):
        empty.find("8")


def test_a_damaged_best_falls_back_and_says_so(folder: CheckpointFolder) -> None:
    folder.point("best", Checkpoint(folder.path / "16"))
    flip(folder.path / "16" / TENSORS)
    found, notices = folder.find("best")
    assert found.images == 100
    assert notices == [f"{folder.path / '16'} is damaged; using the newest sound checkpoint."]
    with pytest.raises(UserError, match="was cut short or changed; choose another of 8, 16, 100"):
        folder.find("16")


def test_half_written_folders_are_ignored_and_cleared_away(folder: CheckpointFolder) -> None:
    # What a process killed while saving leaves: everything but the last rename.
    half = folder.path / ".writing-200-12345"
    shutil.copytree(folder.path / "100", half)
    (folder.path / "notes.txt").write_text("a person's own file")
    (folder.path / "300").write_text("a file, not a folder")
    assert [checkpoint.images for checkpoint in folder.all()] == [8, 16, 100]
    assert folder.find("latest")[0].images == 16
    folder.prune(keep=3)
    assert not half.exists()
    assert (folder.path / "notes.txt").exists()


def test_history_keeps_the_first_since_each_doubling(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    for images in (0, *range(1000, 20_000, 1000)):
        folder.save(images, tensors(images), {})
        folder.prune(keep=2, history=True)
    # Doublings are those of 1,024: 1,000 is before it, 2,000 the first after, then 3,000 and so on.
    expected = [0, 1000, 2000, 3000, 5000, 9000, 17_000, 18_000, 19_000]
    assert [checkpoint.images for checkpoint in folder.all()] == expected
    folder.prune(keep=2)
    assert [checkpoint.images for checkpoint in folder.all()] == [18_000, 19_000]


def test_pruning_keeps_the_last_ones_and_the_best(folder: CheckpointFolder) -> None:
    for images in (200, 300):
        folder.save(images, tensors(images), {})
    folder.point("best", Checkpoint(folder.path / "16"))
    folder.prune(keep=2)
    assert [checkpoint.images for checkpoint in folder.all()] == [16, 200, 300]
    folder.prune(keep=1)
    assert [checkpoint.images for checkpoint in folder.all()] == [16, 300]
    folder.point("best", Checkpoint(folder.path / "300"))
    folder.prune(keep=1)
    assert [checkpoint.images for checkpoint in folder.all()] == [300]
    folder.prune(keep=5)
    assert folder.find("best")[0].images == 300


def test_the_same_number_can_be_saved_again(folder: CheckpointFolder) -> None:
    cut(folder.path / "100" / TENSORS)
    folder.save(100, tensors(7), {"again": True})
    assert folder.newest_sound() == (Checkpoint(folder.path / "100"), [])
    assert Checkpoint(folder.path / "100").meta()["again"] is True
    assert same(Checkpoint(folder.path / "100").tensors(), tensors(7))


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_earlier_ones_as_they_were(
    folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    for images in (200, 100):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left"):
                folder.save(images, tensors(1), {})
        after = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
        assert after == before
    assert folder.find("latest")[0].images == 16
    assert folder.save(200, tensors(1), {}).verify()


def test_a_failure_to_point_does_not_lose_what_was_saved(
    folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFolder, "point", lambda *_: full(0))
        with pytest.raises(OSError, match="No space left"):
            folder.save(200, tensors(200), {})
    assert folder.newest_sound() == (Checkpoint(folder.path / "200"), [])
    assert folder.find("latest")[0].images == 16


def test_meta_data_that_json_cannot_carry_are_refused_before_anything_is_there(
    folder: CheckpointFolder,
) -> None:
    with pytest.raises(ValueError, match="JSON"):
        folder.save(200, tensors(200), {"distance": float("nan")})
    assert [checkpoint.images for checkpoint in folder.all()] == [8, 16, 100]
    assert not list(folder.path.glob(".writing-*"))


def test_a_file_of_tensors_that_is_none_is_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "good", {"a": torch.ones(2)})
    assert torch.equal(read_tensors(tmp_path / "good")["a"], torch.ones(2))
    (tmp_path / "bad").write_bytes(b"\x10" + bytes(30))
    torch.save({"a": torch.ones(2)}, tmp_path / "pickle")
    for name in ("bad", "pickle", "nowhere"):
        with pytest.raises(DamagedCheckpoint, match="cannot be read"):
            read_tensors(tmp_path / name)


LIMITED = """
import errno, resource, sys
from pathlib import Path
import torch
from morelike.checkpoint import save_tensors

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    save_tensors(Path(sys.argv[1]), {"x": torch.zeros(100_000)})
except OSError as error:
    sys.exit(0 if error.errno == errno.EFBIG else 3)
sys.exit(4)
"""


@pytest.mark.skipif(os.name == "nt", reason="limits the size of files, as POSIX systems can")
def test_what_the_system_refuses_to_write_is_its_own_error(tmp_path: Path) -> None:
    """safetensors wraps such errors in one of its own, which nobody else would understand."""
    arguments = [sys.executable, "-c", LIMITED, str(tmp_path / "state.safetensors")]
    assert subprocess.run(arguments, timeout=120).returncode == 0
