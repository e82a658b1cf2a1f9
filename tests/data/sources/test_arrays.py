from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morelike.config import DataConfig
from morelike.data.item import Item
from morelike.data.sources import arrays, open_source
from morelike.errors import UserError

SETTINGS = DataConfig()


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def npy(folder: Path, array: np.ndarray) -> Path:
    np.save(folder / "x.npy", array)
    return folder / "x.npy"


def npz(folder: Path, **content: np.ndarray) -> Path:
    np.savez_compressed(folder / "x.npz", **content)
    return folder / "x.npz"


def items(path: Path, settings: DataConfig = SETTINGS) -> list[Item]:
    source = open_source(path)
    found = list(source.items(settings))
    assert source.count(settings) == len(found)
    return found


def read(path: Path) -> np.ndarray:
    found = np.stack([np.asarray(item.read()) for item in items(path)])
    assert found.dtype == np.uint8
    return found


@pytest.mark.parametrize("shape", [(3, 9, 12, 1), (3, 9, 12, 3), (3, 9, 12, 4), (3, 9, 12)])
def test_rows_columns_and_channels_are_read_as_they_are(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    array = pixels(*shape)
    assert np.array_equal(read(npy(tmp_path, array)), array)
    assert np.array_equal(read(npy(tmp_path, np.asfortranarray(array))), array)
    assert [item.key for item in items(tmp_path / "x.npy")] == [f"x/{i:05d}" for i in range(3)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_may_come_first_if_nothing_else_can_be_meant(
    tmp_path: Path, channels: int
) -> None:
    array = pixels(2, channels, 9, 12)
    assert np.array_equal(read(npy(tmp_path, array)), array.transpose(0, 2, 3, 1))


def test_flat_rows_are_squares_or_the_planes_of_squares(tmp_path: Path) -> None:
    gray, planes = pixels(5, 28, 28), pixels(5, 3, 32, 32)
    assert np.array_equal(read(npy(tmp_path, gray.reshape(5, 784))), gray)
    flat = planes.reshape(5, 3072)
    assert np.array_equal(read(npy(tmp_path, flat)), planes.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("shape", [(2, 3, 9, 3), (5, 9, 3), (5, 1, 9, 1), (512, 640, 4)])
def test_what_cannot_be_told_apart_is_refused_with_the_remedy(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    with pytest.raises(UserError, match=r"cannot be told apart; save it as \(N, H, W, 1\)"):
        items(npy(tmp_path, pixels(*shape)))


@pytest.mark.parametrize(
    "shape", [(5,), (5, 7), (5, 16), (2, 5, 9, 7), (2, 2, 2, 2, 2), (), (0, 9, 9)]
)
def test_other_shapes_are_refused_with_the_remedy(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"x.npy has the shape .*; save pictures as|cannot be read"):
        items(npy(tmp_path, pixels(*shape)))


@pytest.mark.parametrize("kind", ["f2", "f4", ">f8"])
def test_fractions_are_brought_to_bytes(tmp_path: Path, kind: str) -> None:
    array = pixels(3, 9, 12, 3)
    assert np.array_equal(read(npy(tmp_path, array.astype(kind))), array)
    assert np.array_equal(read(npy(tmp_path, (array / 255).astype("f4"))), array)
    assert np.unique(read(npy(tmp_path, np.full((2, 9, 9), 0.999)))).tolist() == [255]


def test_the_scale_is_that_of_the_whole_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "CHUNK", 100)
    array = np.zeros((5, 9, 12), "f4")
    array[0], array[4] = 1, 200  # the first is dark, not white
    assert read(npy(tmp_path, array))[0].max() == 1


def test_truths_are_black_and_white(tmp_path: Path) -> None:
    assert np.unique(read(npy(tmp_path, pixels(3, 9, 12) > 99))).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((2, 9, 9), -1.0), "values from -1 to -1; bring them to 0 to 1"),
        (np.full((2, 9, 9), 256.0), "values from 256 to 256"),
        (np.full((2, 9, 9), np.nan), "values from nan"),
        (np.zeros((2, 9, 9), np.int64), r"holds int64; save values from 0 to 255 with .astype"),
        (np.zeros((2, 9, 9), np.uint16), "holds uint16"),
        (np.full((2, 9, 9), "x"), "holds <U1"),
    ],
)
def test_other_values_are_refused_with_the_remedy(
    tmp_path: Path, array: np.ndarray, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        items(npy(tmp_path, array))


class Bomb:
    gone_off = False

    def __setstate__(self, state: object) -> None:
        Bomb.gone_off = True

    def __reduce__(self) -> Any:
        return Bomb, (), {"a": 1}


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    array = np.array([Bomb()], dtype=object)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", pictures=pixels(2, 9, 9), y=array)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(UserError, match="Python objects, which are never loaded"):
            items(tmp_path / name)
    assert not Bomb.gone_off


def test_a_npy_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2**16, 512, 512, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 2**16 * 512 * 512 * 3)  # 48 GB; sparse, takes no room
    found = open_source(path).items(SETTINGS)
    assert np.asarray(next(found).read()).shape == (512, 512, 3)


def test_a_npz_too_large_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MOST_UNPACKED", 10_000)
    with pytest.raises(UserError, match=r"unpacks to .* GB; save its pictures as a .npy file"):
        items(npz(tmp_path, a=np.zeros((100, 32, 32), np.uint8)))


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 512, 512, 3)}
    np.lib.format.write_array_header_1_0(buffer, header)
    (tmp_path / "x.npy").write_bytes(buffer.getvalue() + bytes(100))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("a.npy", buffer.getvalue() + bytes(100))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(UserError, match="cannot be read as NumPy's arrays"):
            items(tmp_path / name)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_broken_files_are_one_sentence(tmp_path: Path, name: str) -> None:
    path = npy(tmp_path, pixels(4, 9, 9)) if name == "x.npy" else npz(tmp_path, a=pixels(4, 9, 9))
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        for data in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :],
        ):
            path.write_bytes(data)
            try:
                for item in items(path):
                    item.read()
            except UserError:
                pass


def test_keras_mnist_gives_labels_and_both_sides(tmp_path: Path) -> None:
    train, test = pixels(6, 28, 28), pixels(3, 28, 28)
    found = items(
        npz(tmp_path, x_train=train, y_train=np.arange(6), x_test=test, y_test=np.array([7, 8, 9]))
    )
    assert [item.key for item in found][2:4] == ["x_test/00002", "x_train/00000"]
    assert [item.label for item in found] == list("789012345")
    assert [item.side for item in found] == ["held_out"] * 3 + ["train"] * 6
    assert np.array_equal(np.asarray(found[4].read()), train[1])
    unlabelled = items(tmp_path / "x.npz", DataConfig(labels="none"))
    assert {item.label for item in unlabelled} == {None}


def test_medmnist_gives_labels_and_sides(tmp_path: Path) -> None:
    content = {}
    for split in ("train", "val", "test"):
        content[f"{split}_images"] = pixels(4, 28, 28, 3)
        content[f"{split}_labels"] = np.array([[1], [0], [1], [2]], np.uint8)
    found = items(npz(tmp_path, **content))
    assert [item.side for item in found] == ["held_out"] * 4 + ["train"] * 4 + ["held_out"] * 4
    assert [item.label for item in found] == list("1012") * 3


@pytest.mark.parametrize("name", ["y", "labels", "Label"])
def test_labels_lie_beside_the_pictures(tmp_path: Path, name: str) -> None:
    found = items(npz(tmp_path, pictures=pixels(3, 9, 9), **{name: np.array([4, 5, 6])}))
    assert [item.label for item in found] == ["4", "5", "6"]
    assert {item.side for item in found} == {None}
    found = items(npz(tmp_path, arr_0=pixels(3, 9, 9), **{name: np.array(["a", "b", "c"])}))
    assert [item.label for item in found] == ["a", "b", "c"]
    other = items(npz(tmp_path, a=pixels(3, 9, 9), **{name: np.array([4, 5])}, z=np.arange(3)))
    assert {item.label for item in other} == {None}


def test_several_or_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"several arrays that could be the pictures: a, b; save"):
        items(npz(tmp_path, a=pixels(3, 9, 9), b=pixels(3, 9, 9)))
    with pytest.raises(UserError, match=r"no array of pictures.*it holds a \(3,\)"):
        items(npz(tmp_path, a=pixels(3)))
    with pytest.raises(UserError, match="has no folders"):
        items(npz(tmp_path, a=pixels(3, 9, 9)), DataConfig(labels="folders"))
