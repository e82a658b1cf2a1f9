from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from morelike.data.traits import TRAITS, measure, thumbs


def plain(colour: tuple[int, int, int] = (255, 255, 255), side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def one(proxy: np.ndarray, pixels: np.ndarray | None = None) -> np.void:
    """The traits of a single picture."""
    return measure(proxy[None], (proxy if pixels is None else pixels)[None])[0]


def edge(radius: float, low: float = 20, high: float = 230) -> np.ndarray:
    """A straight edge blurred by a Gaussian: (64, 64, 1)."""
    across = [(1 + math.erf((x - 31.7) / (radius * math.sqrt(2)))) / 2 for x in range(64)]
    row = np.rint(low + (high - low) * np.array(across)).astype(np.uint8)
    return np.tile(row, (64, 1))[..., None]


def test_a_row_has_a_fixed_size_and_is_the_same_on_every_machine() -> None:
    assert not TRAITS.hasobject
    assert TRAITS.fields is not None
    for kind, *_ in TRAITS.fields.values():
        assert kind.base.str[0] in "<|"
    assert measure(noise(3, 64, 64, 3), noise(3, 32, 48, 1)).dtype == TRAITS


def test_a_picture_does_not_depend_on_those_beside_it() -> None:
    proxies, pixels = noise(40, 64, 64, 3), noise(40, 32, 48, 3, seed=1)
    proxies[::3, :9] = 255
    together = measure(proxies, pixels)
    for i in (0, 7, 39):
        alone = measure(proxies[i : i + 1], pixels[i : i + 1])
        for field in TRAITS.names or ():
            assert np.allclose(together[i][field], alone[0][field], rtol=1e-5), field
    assert len(measure(proxies[:0], pixels[:0])) == 0


@pytest.mark.parametrize("half", [0, 1, 2, 3])
def test_a_thumb_is_the_rounded_mean_of_every_four_pixels(half: int) -> None:
    block = np.full((2, 2, 3), 10, np.uint8)
    block.reshape(4, 3)[:half] += 1
    found = thumbs(np.tile(block, (32, 32, 1))[None])
    assert found.shape == (1, 32, 32, 3)
    assert np.all(found == (11 if half >= 2 else 10))
    proxies = noise(5, 64, 64, 3)
    means = proxies.reshape(5, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    assert np.array_equal(thumbs(proxies), np.floor(means + 0.5).astype(np.uint8))


def test_the_border_is_told_apart_from_what_lies_inside() -> None:
    proxy = plain((200, 30, 60))
    proxy[2:-2, 2:-2] = noise(60, 60, 3)
    found = one(proxy)
    assert found["border"].tolist() == [200, 30, 60]
    assert found["border_share"] == 1
    assert found["border_spread"] == 0
    assert found["white_share"] == 0


def test_what_touches_the_border_counts_by_its_share() -> None:
    proxy = plain()
    proxy[:, :16] = (10, 10, 10)  # of the ring of 496 pixels, 64 beside and 2 x 28 above and below
    found = one(proxy)
    assert found["border"].tolist() == [255, 255, 255]
    away = (2 * 64 + 4 * 14) / 496
    assert found["border_share"] == pytest.approx(1 - away)
    assert found["white_share"] == pytest.approx(1 - away)
    assert found["border_spread"] == pytest.approx(245 * away)


def test_light_gray_is_white_and_light_yellow_is_not() -> None:
    assert one(plain((243, 243, 243)))["white_share"] == 1
    assert one(plain((220, 220, 220)))["white_share"] == 0
    assert one(plain((255, 255, 200)))["white_share"] == 0


def test_contrast_and_colour_have_known_values() -> None:
    pixels = plain((255, 255, 255))
    pixels[:, :32] = 0
    found = one(plain(), pixels)
    assert found["contrast"] == pytest.approx(127.5, abs=0.01)
    assert found["color"].tolist() == pytest.approx([127.5] * 3, abs=0.01)
    pixels[:, :32] = (255, 0, 0)
    found = one(plain(), pixels)
    assert found["color"].tolist() == pytest.approx([255, 127.5, 127.5], abs=0.01)
    assert found["contrast"] == pytest.approx(127.5 * (1 - 0.299), abs=0.02)


def test_content_is_what_differs_from_the_median() -> None:
    pixels = plain((90, 120, 150))
    assert one(plain(), pixels)["content"] == 0
    pixels[10:20, 10:30] = (90, 120, 190)
    assert one(plain(), pixels)["content"] == pytest.approx(200 / 4096)
    faint = plain((90, 120, 150))
    faint[10:20, 10:30] = (90, 120, 158)
    assert one(plain(), faint)["content"] == 0


def test_gray_and_transparent_pictures_are_measured_like_what_they_look_like() -> None:
    gray = noise(64, 64, 1)
    as_gray, as_colour = one(plain(), gray), one(plain(), gray.repeat(3, axis=2))
    for field in TRAITS.names or ():
        assert np.allclose(as_gray[field], as_colour[field], rtol=1e-4), field
    colour = noise(64, 64, 3)
    opaque = np.concatenate([colour, np.full((64, 64, 1), 255, np.uint8)], axis=2)
    assert one(plain(), opaque) == one(plain(), colour)
    hidden = np.concatenate([colour, np.zeros((64, 64, 1), np.uint8)], axis=2)
    assert one(plain((40, 80, 120)), hidden) == one(plain((40, 80, 120)), plain((40, 80, 120)))


@pytest.mark.parametrize("radius", [1.0, 1.5, 2.0, 3.0])
def test_the_blur_is_the_radius_of_a_blurred_edge(radius: float) -> None:
    assert one(plain(), edge(radius))["blur"] == pytest.approx(radius, rel=0.12)
    # However strong the edge is, and whichever way it runs.
    assert one(plain(), edge(radius, 90, 170))["blur"] == pytest.approx(radius, rel=0.15)
    assert one(plain(), edge(radius).swapaxes(0, 1))["blur"] == one(plain(), edge(radius))["blur"]


def test_a_sharp_edge_is_sharp_and_a_flat_picture_has_no_blur() -> None:
    assert one(plain(), edge(1e-6))["blur"] == pytest.approx(0.5, abs=0.01)
    assert one(plain(), plain())["blur"] == 0


def framed(top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> np.ndarray:
    proxy = noise(64, 64, 3)
    for side, width in ((proxy, top), (proxy[::-1], bottom)):
        side[:width] = (8, 8, 8)
    for side, width in ((proxy.swapaxes(0, 1), left), (proxy[:, ::-1].swapaxes(0, 1), right)):
        side[:width] = (8, 8, 8)
    return proxy


@pytest.mark.parametrize("bars", [(8, 8, 0, 0), (0, 0, 12, 12), (5, 5, 5, 5), (0, 20, 0, 0)])
def test_bars_are_found_at_their_sides_with_their_widths(bars: tuple[int, ...]) -> None:
    found = one(framed(*bars))
    assert found["bars"].tolist() == list(bars)
    assert [bool(step > 0.75) for step in found["steps"]] == [bool(bar) for bar in bars]


def test_a_bar_may_end_between_two_lines_of_the_proxy() -> None:
    proxy = plain((240, 240, 240))
    proxy[:8], proxy[8] = 8, 30
    found = one(proxy)
    assert found["bars"].tolist() == [8, 0, 0, 0]
    assert found["steps"][0] > 0.75


def test_a_strip_with_a_caption_is_a_bar() -> None:
    image = Image.fromarray(noise(256, 256, 3))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 208, 256, 256), fill=(250, 250, 250))
    draw.text((30, 218), "bicycle, 1987", fill=(0, 0, 0), font=ImageFont.load_default(20))
    found = one(np.asarray(image.resize((64, 64), Image.Resampling.BOX)))
    assert found["bars"].tolist() == [0, 12, 0, 0]
    assert found["steps"][1] > 0.9


def test_a_plain_background_is_no_frame() -> None:
    image = Image.new("RGB", (256, 256), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 60, 216, 236), fill=(180, 20, 40))
    assert one(np.asarray(image.resize((64, 64), Image.Resampling.BOX)))["steps"].max() < 0.4
    draw.ellipse((-20, 20, 276, 300), fill=(30, 40, 50))  # cut off by three sides
    assert one(np.asarray(image.resize((64, 64), Image.Resampling.BOX)))["steps"].max() < 0.5
    across = np.linspace(0, 255, 64)[:, None, None]
    gradient = np.broadcast_to(across, (64, 64, 3)).astype(np.uint8)
    assert one(gradient)["steps"].max() == 0
    assert one(plain())["steps"].max() == 0


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(16, 16, 1), (16, 64, 3), (33, 17, 4), (8, 8, 3)]),
    st.integers(0, 255),
)
def test_every_trait_is_finite_and_every_share_a_share(
    seed: int, shape: tuple[int, int, int], most: int
) -> None:
    # Cut off at `most`, so that nearly plain pictures come too.
    proxies = np.minimum(noise(2, 64, 64, 3, seed=seed), most).astype(np.uint8)
    pixels = np.minimum(noise(2, *shape, seed=seed), most).astype(np.uint8)
    found = measure(proxies, pixels)
    for field in TRAITS.names or ():
        assert np.isfinite(found[field]).all(), field
    for field in ("border_share", "white_share", "content", "steps"):
        assert found[field].min() >= 0, field
        assert found[field].max() <= 1, field
    assert found["bars"].max() <= 21
