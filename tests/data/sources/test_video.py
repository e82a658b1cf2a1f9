from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from morelike.config import DataConfig
from morelike.data.item import Item, Rejection
from morelike.data.sources import open_source, video


def write(
    path: Path, seconds: float = 3.0, rate: int = 10, size: tuple[int, int] = (64, 48)
) -> Path:
    """A video that grows brighter: 20 levels a second; its upper left quarter stays black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(round(seconds * rate)):
            pixels = np.full((height, width, 3), 40 + 20 * number // rate, np.uint8)
            pixels[: height // 2, : width // 2] = 0
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def items(path: Path, every: float = 1.0, **settings: str) -> list[Item]:
    source = open_source(path)
    assert source.streamed
    found = list(source.items(DataConfig(every=every, **settings)))  # pyright: ignore
    assert len({item.key for item in found}) == len(found)
    return found


def refusal(item: Item) -> str:
    with pytest.raises(Rejection) as raised:
        item.read()
    return str(raised.value)


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi", "x.mov", "x.M4V"])
def test_frames_come_at_the_start_and_after_so_many_seconds(tmp_path: Path, name: str) -> None:
    found = items(write(tmp_path / name))
    assert [item.key for item in found] == [f"{name}/00000{i}.000s" for i in range(3)]
    for second, item in enumerate(found):
        pixels = np.asarray(item.read())
        assert pixels.shape == (48, 64, 3)
        assert pixels.dtype == np.uint8
        assert pixels[40, 50].mean() == pytest.approx(40 + 20 * second, abs=6)
        assert pixels[5, 5].mean() < 12


def test_fractions_of_seconds_and_less_than_a_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4", seconds=2)
    assert [item.key[-8:] for item in items(path, 0.25)] == [
        *("000.000s", "000.300s", "000.500s", "000.800s"),
        *("001.000s", "001.300s", "001.500s", "001.800s"),
    ]
    assert len(items(path, 0.001)) == 20
    assert len(items(path, 1000)) == 1


@pytest.mark.parametrize(
    ("matrix", "quarters"),
    [((0, 1, -1, 0), 3), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
)
def test_a_video_filmed_on_its_side_is_turned_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], quarters: int
) -> None:
    upright = np.asarray(items(write(tmp_path / "x.mp4"))[0].read())
    data = bytearray((tmp_path / "x.mp4").read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 2**16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 2**30)
    (tmp_path / "x.mp4").write_bytes(data)
    assert np.array_equal(
        np.asarray(items(tmp_path / "x.mp4")[0].read()), np.rot90(upright, quarters)
    )


def test_a_length_that_lies_changes_nothing(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "x.mp4").read_bytes())
    for box, place in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        start = data.index(box) + place
        data[start : start + 4] = struct.pack(">I", 2**31)
    (tmp_path / "x.mp4").write_bytes(data)
    assert len(items(tmp_path / "x.mp4")) == 3


@pytest.mark.parametrize("content", [b"", b"no video" * 100])
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(content)
    write(tmp_path / "c.mp4")
    found = items(tmp_path)
    assert [item.key[:5] for item in found] == ["a.mp4"] * 3 + ["b.mp4"] + ["c.mp4"] * 3
    assert refusal(found[3]).startswith("the video cannot be read from the start on: ")


def test_a_list_of_other_files_is_no_video(tmp_path: Path) -> None:
    write(tmp_path / "secret.mkv")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mkv\n#EXT-X-ENDLIST\n"
    (tmp_path / "x.mp4").write_text(playlist)
    (tmp_path / "y.mkv").write_text("ffconcat version 1.0\nfile secret.mkv\n")
    for name in ("x.mp4", "y.mkv"):
        (item,) = items(tmp_path / name)
        assert "cannot be read from the start on" in refusal(item)


def test_what_comes_before_a_cut_is_used(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mkv", seconds=6)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: round(share * len(whole))])
        good = [item for item in items(path) if item.key.endswith("s") and "after" not in item.key]
        assert len(good) == pytest.approx(6 * share, abs=1.5)
        for item in good:
            item.read()


def test_frames_too_large_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MOST_PIXELS", 64 * 48 - 1)
    found = items(write(tmp_path / "x.mp4"))
    assert {refusal(item) for item in found} == {"64 x 48 pixels are too many"}


def test_folders_of_videos_give_labels_and_sides(tmp_path: Path) -> None:
    for name in ("train/run/a.mp4", "train/jump/a.mp4", "test/run/a.mp4"):
        write(tmp_path / name, seconds=0.5)
    found = items(tmp_path, labels="folders")
    assert [(item.key, item.label, item.side) for item in found] == [
        ("test/run/a.mp4/000000.000s", "run", "held_out"),
        ("train/jump/a.mp4/000000.000s", "jump", "train"),
        ("train/run/a.mp4/000000.000s", "run", "train"),
    ]


def test_a_tiny_change_anywhere_is_no_crash(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.mp4", seconds=0.5).read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 60):
        (tmp_path / "x.mp4").write_bytes(whole[:place] + b"\xfe" + whole[place + 1 :])
        for item in items(tmp_path / "x.mp4"):
            try:
                item.read()
            except Rejection as rejection:
                assert str(rejection)


def test_frames_of_one_scene_belong_together(tmp_path: Path) -> None:
    found = items(write(tmp_path / "x.mp4", seconds=2.5), every=0.1)
    assert len(found) == 25
    scenes = [item.group for item in found]
    assert None not in scenes
    assert [scenes.count(scene) for scene in dict.fromkeys(scenes)] == [10, 10, 5]
