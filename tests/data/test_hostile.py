"""Damaged files of every format: a picture of the asked shape or a named rejection, soon."""

from __future__ import annotations

import importlib.util
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from morelike.data.decode import decode
from morelike.data.fit import Crop, Form
from morelike.data.item import Rejection

# The caller keeps Pillow's warnings quiet.
pytestmark = pytest.mark.filterwarnings("ignore")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "hostile_files.py"
_spec = importlib.util.spec_from_file_location("hostile_files", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
hostile_files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hostile_files)

FILES: dict[str, bytes] = hostile_files.whole_files()
FORM = Form(16, 16, 4, "center", (255, 255, 255))
TIMES_EACH = 40
"""Damaged versions of each file; benchmarks/hostile_files.py makes 10,000 in all."""

searching = settings(
    max_examples=60,
    deadline=timedelta(seconds=5),
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

forms = st.builds(
    Form,
    height=st.sampled_from([8, 16, 40, 64]),
    width=st.sampled_from([8, 16, 40, 64]),
    channels=st.sampled_from([3, 4]),
    crop=st.sampled_from(["center", "pad", "fit", "smart"]),
    matte=st.tuples(*[st.integers(0, 255)] * 3),
)


def test_the_files_are_whole() -> None:
    for name, data in FILES.items():
        assert hostile_files.outcome(data, FORM) == "a picture", name


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_a_picture_or_a_rejection(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = set()
    for number in range(TIMES_EACH):
        data = hostile_files.damaged(FILES[name], np.random.default_rng(number))
        began = time.process_time()
        seen.add(hostile_files.outcome(data, hostile_files.FORMS[number % 4]))
        assert time.process_time() - began < 2
    assert len(seen) > 1  # something was damaged
    kibibyte = 1 if sys.platform == "darwin" else 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * kibibyte
    assert grown < 600 * 2**20


@searching
@given(
    start=st.sampled_from([b"", *sorted({data[:16] for data in FILES.values()})]),
    rest=st.binary(max_size=400),
    form=forms,
)
def test_any_bytes_are_a_picture_or_a_rejection(start: bytes, rest: bytes, form: Form) -> None:
    hostile_files.outcome(start + rest, form)


@pytest.mark.parametrize("name", FILES)
@searching
@example(share=1.0)
@given(share=st.floats(0, 1))
def test_a_file_cut_short_is_rejected_or_was_not_needed_to_its_end(name: str, share: float) -> None:
    data = FILES[name]
    whole = decode(data, FORM)
    try:
        cut = decode(data[: round(share * len(data))], FORM)
    except Rejection as rejection:
        assert str(rejection)
        assert share < 1
    else:
        assert np.array_equal(cut.pixels, whole.pixels)


@searching
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    channels=st.sampled_from([0, 1, 3, 4]),
    form=forms,
    seed=st.integers(0, 99),
)
def test_any_size_and_any_number_of_channels(
    height: int, width: int, channels: int, form: Form, seed: int
) -> None:
    shape = (height, width, channels) if channels else (height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    outcome = hostile_files.outcome(pixels, form)
    assert outcome == "a picture" or "long and thin" in outcome


@pytest.mark.parametrize("crop", ["center", "pad", "fit", "smart"])
@searching
@given(
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    orientation=st.integers(1, 8),
    side=st.sampled_from([8, 16, 31, 64]),
)
def test_jpegs_of_any_size(
    crop: Crop, height: int, width: int, orientation: int, side: int
) -> None:
    """Shrinking on load rounds sizes; no crop may reach over the edge."""
    exif = hostile_files.Image.Exif()
    exif[0x0112] = orientation
    image = hostile_files.Image.new("RGB", (width, height), (200, 90, 30))
    data = hostile_files.encoded(image, "JPEG", exif=exif)
    outcome = hostile_files.outcome(data, Form(side, 2 * side, 3, crop, (0, 0, 0)))
    assert outcome == "a picture" or "long and thin" in outcome
