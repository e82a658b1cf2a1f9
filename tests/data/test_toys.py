from __future__ import annotations

import colorsys
import json
import math
from dataclasses import fields, replace
from functools import cache
from itertools import combinations, islice

import numpy as np
import pytest

from morelike.data.bicycle_drawing import draw_bicycle
from morelike.data.bicycles import KINDS, Bicycle, Point, find_joints, sample_bicycle
from morelike.data.toys import toy
from morelike.errors import UserError

BICYCLES = tuple(sample_bicycle(7, index) for index in range(200))
LABELS = {"paint"}  # says where frame_colour came from; the colour itself is what is drawn


@cache
def picture(index: int, size: int = 64) -> np.ndarray:
    return draw_bicycle(BICYCLES[index], size)


def ink(image: np.ndarray) -> np.ndarray:
    """How far each pixel is from white, 0 to 1, in its darkest channel: (size, size)."""
    return 1 - image.min(axis=2) / 255


def first_of(kind: str, extra: str = "none") -> Bicycle:
    return next(b for b in BICYCLES if (b.kind, b.extra) == (kind, extra))


def distance_to_segment(point: Point, start: Point, end: Point) -> float:
    p, a, b = (np.array(x) for x in (point, start, end))
    along = np.clip(np.dot(p - a, b - a) / np.dot(b - a, b - a), 0, 1)
    return float(np.linalg.norm(p - a - along * (b - a)))


def fit_circle(points: np.ndarray) -> tuple[float, float, float]:
    """The centre x, centre y and radius of the circle nearest to the (n, 2) points."""
    known = np.column_stack([2 * points, np.ones(len(points))])
    x, y, rest = np.linalg.lstsq(known, (points**2).sum(axis=1))[0]
    return float(x), float(y), math.sqrt(rest + x**2 + y**2)


def find_wheels(image: np.ndarray) -> list[tuple[float, float, float]]:
    """Measure both wheels, as centre x, centre y and radius, from the pixels alone.

    Near the ground there is nothing but tyres, so circles are fitted to where their ink begins
    and ends in each row; without mudguards the outer sides are clear almost to the top.
    """
    size = image.shape[0]
    dark = ink(image) > 0.2
    ground = int(np.flatnonzero(dark.any(axis=1))[-1])
    rear: list[tuple[float, float]] = []
    front: list[tuple[float, float]] = []
    for row in range(ground - int(0.25 * size), ground):
        columns, y = np.flatnonzero(dark[row]), row + 0.5
        rear.append((columns[0], y))
        front.append((columns[-1] + 1, y))
        if row > ground - 0.04 * size:
            rear.append((columns[columns < size / 2][-1] + 1, y))
            front.append((columns[columns > size / 2][0], y))
    return [fit_circle(np.array(points) / size) for points in (rear, front)]


def find_hue(image: np.ndarray, bicycle: Bicycle) -> float:
    """The hue of most of the strongly coloured ink, tyres left out (some are brown)."""
    size = image.shape[0]
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    joints = find_joints(bicycle)
    frame = np.ones((size, size), bool)
    for axle in (joints.rear, joints.front):
        away = np.hypot(x - axle[0], y - axle[1]) - bicycle.wheel_radius
        frame &= ~((away > -bicycle.tyre_width - 0.02) & (away < 0.01))
    pixels = image[frame].astype(float) / 255
    chroma = pixels.max(axis=1) - pixels.min(axis=1)
    hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in pixels])
    bins = np.bincount((hues * 24).astype(int) % 24, weights=chroma, minlength=24)
    peak = (int((bins + np.roll(bins, 1) + np.roll(bins, -1)).argmax()) + 0.5) / 24
    near = np.abs((hues - peak + 0.5) % 1 - 0.5) < 1.5 / 24
    return float((peak + np.average((hues - peak + 0.5) % 1 - 0.5, weights=chroma * near)) % 1)


def test_a_bicycle_depends_on_seed_and_index_only() -> None:
    backwards = [sample_bicycle(7, index) for index in reversed(range(200))]
    assert tuple(reversed(backwards)) == BICYCLES
    assert sample_bicycle(8, 0) != BICYCLES[0]
    assert sample_bicycle(0, 7) != sample_bicycle(7, 0)
    assert np.array_equal(draw_bicycle(sample_bicycle(7, 3)), picture(3))


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_numbers_are_refused(seed: int, index: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        sample_bicycle(seed, index)


@pytest.mark.parametrize("size", [16, 33, 64, 200])
def test_a_picture_has_the_size_asked_for(size: int) -> None:
    image = draw_bicycle(BICYCLES[0], size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


def test_every_bicycle_lies_inside_a_white_border_and_fills_the_picture() -> None:
    for index in range(len(BICYCLES)):
        image = picture(index)
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert border.min() == 255, index
        rows, columns = np.nonzero(ink(image) > 0.02)
        assert np.ptp(columns) >= 0.85 * 64, index
        assert np.ptp(rows) >= 0.47 * 64, index


def test_no_two_pictures_are_alike() -> None:
    images = np.stack([picture(index) for index in range(60)]).astype(float)
    assert min(np.abs(a - b).mean() for a, b in combinations(images, 2)) > 1.5


def test_edges_are_anti_aliased() -> None:
    bicycle = replace(first_of("road"), tyre_colour=(0.0, 0.0, 0.0))
    image = draw_bicycle(bicycle)
    below = image[int(bicycle.ground_y * 64) - 6 :, : int(bicycle.rear_axle_x * 64), 0]
    assert len(np.unique(below)) > 12


@pytest.mark.parametrize("kind", KINDS)
def test_every_factor_changes_the_picture(kind: str) -> None:
    bicycle = first_of(kind)
    before = draw_bicycle(bicycle)
    for field in fields(Bicycle):
        value = getattr(bicycle, field.name)
        if isinstance(value, float):
            other: object = value + (3.0 if field.name.endswith("angle") else 0.008)
        elif isinstance(value, tuple):
            other = (0.3, 0.5, 0.7)
        else:
            choices = {"kind": KINDS, "facing": ("left",), "extra": ("rack",), "paint": ("any",)}
            other = next(name for name in choices[field.name] if name != value)
        changed = not np.array_equal(draw_bicycle(replace(bicycle, **{field.name: other})), before)
        assert changed == (field.name not in LABELS), field.name


def test_factors_are_flat_json_and_complete() -> None:
    for bicycle in BICYCLES[:20]:
        factors = bicycle.factors()
        assert json.loads(json.dumps(factors, allow_nan=False)) == factors
        assert {type(value) for value in factors.values()} == {float, str}
        colours = {"frame_colour", "saddle_colour", "tyre_colour"}
        for field in fields(Bicycle):
            value = getattr(bicycle, field.name)
            if field.name in colours:
                part = field.name.removesuffix("colour")
                parts = tuple(factors[part + name] for name in ("red", "green", "blue"))
                assert parts == value
                assert all(0 <= channel <= 1 for channel in value)
            else:
                assert factors[field.name] == value
        assert factors["frame_hue"] == colorsys.rgb_to_hsv(*bicycle.frame_colour)[0]


def test_kinds_and_paints_occur_in_sensible_shares() -> None:
    many = [sample_bicycle(1, index) for index in range(900)]
    for kind in KINDS:
        assert 0.27 < sum(b.kind == kind for b in many) / 900 < 0.41, kind
    for paint in ("black", "white", "silver"):
        assert 0.04 < sum(b.paint == paint for b in many) / 900 < 0.13, paint
    hues = [b.frame_hue for b in many if b.paint == "coloured"]
    assert np.bincount((np.array(hues) * 6).astype(int), minlength=6).min() > 0.1 * len(hues)


def test_wheels_are_where_the_factors_say() -> None:
    for index, bicycle in enumerate(BICYCLES[:60]):
        if bicycle.extra == "mudguards":
            continue
        joints = find_joints(bicycle)
        # Between its knobs a mountain tyre is smaller by their depth.
        slack = 0.007 if bicycle.kind == "mountain" else 0.004
        measured = find_wheels(picture(index, 256))
        for wheel, axle in zip(measured, (joints.rear, joints.front), strict=True):
            assert wheel == pytest.approx((*axle, bicycle.wheel_radius), abs=slack), index


def test_tyres_are_dark_rings_at_64_pixels() -> None:
    around = np.radians(np.arange(30, 151, 4))  # the lower part, before white
    for index, bicycle in enumerate(BICYCLES[:60]):
        dark, joints = ink(picture(index)), find_joints(bicycle)
        middle = bicycle.wheel_radius - bicycle.tyre_width / 2
        for axle in (joints.rear, joints.front):
            ring, outside = (
                dark[
                    ((axle[1] + radius * np.sin(around)) * 64).astype(int),
                    ((axle[0] + radius * np.cos(around)) * 64).astype(int),
                ]
                for radius in (middle, bicycle.wheel_radius + 0.024)
            )
            assert np.median(ring) > 0.3, index
            assert np.median(outside) < 0.02, index


def test_the_frame_has_the_hue_the_factors_say() -> None:
    coloured = [index for index, b in enumerate(BICYCLES) if b.paint == "coloured"][:60]
    for index in coloured:
        bicycle = BICYCLES[index]
        error = (find_hue(picture(index), bicycle) - bicycle.frame_hue + 0.5) % 1 - 0.5
        assert abs(error) < 0.02, index


def test_uncoloured_frames_have_no_strong_hue() -> None:
    for bicycle in (b for b in BICYCLES if b.paint != "coloured"):
        assert max(bicycle.frame_colour) - min(bicycle.frame_colour) < 0.06


def test_facing_left_is_the_mirror_image() -> None:
    for index in range(6):
        mirrored = draw_bicycle(replace(BICYCLES[index], facing="left"))
        assert np.array_equal(mirrored, picture(index)[:, ::-1])
        assert not np.array_equal(mirrored, picture(index))


def test_a_bicycle_faces_right() -> None:
    for bicycle in BICYCLES[:30]:
        joints = find_joints(bicycle)
        assert joints.rear[0] < joints.saddle[0] < joints.stem[0] < joints.front[0]


def test_the_parts_meet_as_on_a_real_bicycle() -> None:
    for bicycle in BICYCLES:
        j = find_joints(bicycle)
        assert j.rear[1] == j.front[1] == bicycle.ground_y - bicycle.wheel_radius
        stay = math.dist(j.rear, j.crank_axle)
        assert stay == pytest.approx(bicycle.wheel_radius + bicycle.chain_stay_gap)
        # The saddle lies on the seat tube's line, and steering is one straight line.
        for a, b, c, slope in (
            (j.crank_axle, j.seat_top, j.saddle, bicycle.seat_angle),
            (j.steering, j.crown, j.head_top, bicycle.head_angle),
            (j.crown, j.head_top, j.stem, bicycle.head_angle),
        ):
            assert math.degrees(math.atan2(a[1] - b[1], a[0] - b[0])) == pytest.approx(slope)
            assert math.degrees(math.atan2(b[1] - c[1], b[0] - c[0])) == pytest.approx(slope)
        # The axle is the rake ahead of that line, square to it.
        assert math.dist(j.steering, j.front) == pytest.approx(bicycle.fork_rake)
        assert j.front[0] > j.steering[0]
        assert math.dist(j.crown, j.front) > bicycle.wheel_radius
        # The wheels turn freely: seat tube and down tube keep clear of them.
        gap = distance_to_segment(j.rear, j.crank_axle, j.seat_top) - bicycle.wheel_radius
        assert gap > 0
        gap = distance_to_segment(j.front, j.crank_axle, j.crown) - bicycle.wheel_radius
        assert gap > 0


@pytest.mark.parametrize("angle", [0.0, 60.0, 90.0, 200.0, 300.0])
def test_the_pedals_are_on_the_crank(angle: float) -> None:
    bicycle = replace(first_of("road"), crank_angle=angle)
    x, y = find_joints(bicycle).crank_axle
    turn = math.radians(angle)
    pedal = (x + 0.085 * math.cos(turn), y + 0.085 * math.sin(turn))
    row, column = int(pedal[1] * 256), int(pedal[0] * 256)
    assert draw_bicycle(bicycle, 256)[row, column].max() < 80
    assert pedal[1] < bicycle.ground_y


def test_the_saddle_is_on_its_post() -> None:
    for index, bicycle in enumerate(BICYCLES[:40]):
        column, row = (int(place * 256) for place in find_joints(bicycle).saddle)
        colour = np.array(bicycle.saddle_colour) * 255
        # A few rows, as the upper ones shine.
        difference = np.abs(picture(index, 256)[row : row + 3, column] - colour).max(axis=1)
        assert difference.min() < 3, index


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "tandem"}, "step-through.*tandem"),
        ({"facing": "up"}, "left.*up"),
        ({"extra": "bell"}, "rack.*bell"),
    ],
)
def test_unknown_words_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_bicycle(replace(BICYCLES[0], **change))


def test_a_toy_set_is_lazy_and_keyed() -> None:
    items = list(islice(toy("bicycles", 10**12, 32, seed=7), 3))
    assert [key for key, _, _ in items] == ["bicycles/00000", "bicycles/00001", "bicycles/00002"]
    for index, (_, factors, draw) in enumerate(items):
        assert np.array_equal(draw(), picture(index, 32))
        assert factors == BICYCLES[index].factors()
    assert len(list(toy("bicycles", 5, 16))) == 5
    assert list(toy("bicycles", 0, 16)) == []


def test_half_of_some_face_left_and_are_the_same_otherwise() -> None:
    one, other = (list(toy(name, 40, 16)) for name in ("bicycles", "bicycles-both-ways"))
    facing = [picture.factors["facing"] for picture in other]
    assert 10 < facing.count("left") < 30
    for right, either in zip(one, other, strict=True):
        assert {**right.factors, "facing": either.factors["facing"]} == either.factors
        drawn = right.draw()
        turned = drawn[:, ::-1] if either.factors["facing"] == "left" else drawn
        assert (either.draw() == turned).all()


def test_an_unknown_toy_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"bicicle.*the nearest is 'bicycles'"):
        toy("bicicle", 1, 64)
    with pytest.raises(UserError, match="bicycles"):
        toy("zzz", 1, 64)


@pytest.mark.parametrize(("count", "size", "seed"), [(-1, 64, 0), (1, 0, 0), (1, 64, -1)])
def test_impossible_toy_sets_are_refused(count: int, size: int, seed: int) -> None:
    with pytest.raises(UserError, match="0 or more"):
        toy("bicycles", count, size, seed)
