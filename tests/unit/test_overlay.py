"""Overlays: where they are warm and cool, how large they are, and that the same input gives the same file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lookalike.overlay import LONG_SIDE_PX, Panel, as_jpeg, as_png, enlarge, overlay

GREY = np.full((64, 96, 3), 128, np.uint8)


def two_spots() -> np.ndarray:
    contributions = np.zeros((8, 8), np.float32)
    contributions[1, 1], contributions[6, 6] = 0.5, -0.5
    return contributions


def colour_at(image: Image.Image, x: float, y: float) -> tuple[int, ...]:
    return image.getpixel((int(x * image.width), int(y * image.height)))


def test_what_adds_is_warm_what_takes_away_is_cool_and_the_rest_stays_grey() -> None:
    image = overlay(Panel("query", GREY, two_spots(), 1.5))
    red, _, blue = colour_at(image, 1.5 / 8, 1.5 / 8)
    assert red > blue + 80
    red, _, blue = colour_at(image, 6.5 / 8, 6.5 / 8)
    assert blue > red + 80
    red, green, blue = colour_at(image, 0.9, 0.1)
    assert red == green == blue


def test_the_strongest_quarter_is_outlined() -> None:
    contributions = np.zeros((8, 8), np.float32)
    contributions[2:6, 2:6] = 1
    image = np.asarray(overlay(Panel("query", GREY, contributions, 1.0)))
    outline = (image == 40).all(axis=2)
    ys, xs = np.nonzero(outline)
    assert xs.min() / LONG_SIDE_PX == pytest.approx(0.25, abs=0.05)
    assert xs.max() / LONG_SIDE_PX == pytest.approx(0.75, abs=0.05)
    assert not outline[LONG_SIDE_PX // 2, LONG_SIDE_PX // 2]
    assert ys.min() / LONG_SIDE_PX == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("aspect", [1.0, 2.5, 0.4, 500.0, 0.002])
def test_a_picture_keeps_its_aspect_ratio_as_far_as_it_can_be_seen(aspect: float) -> None:
    image = overlay(Panel("query", GREY, two_spots(), aspect))
    assert max(image.size) == LONG_SIDE_PX
    if 0.1 < aspect < 10:
        assert image.width / image.height == pytest.approx(aspect, rel=0.01)
    assert min(image.size) >= 20


@pytest.mark.parametrize("value", [0.0, 0.3, -0.3])
def test_a_flat_map_can_be_drawn(value: float) -> None:
    overlay(Panel("query", GREY, np.full((3, 3), value, np.float32), 1.0))


def test_enlarging_moves_no_place() -> None:
    large = enlarge(two_spots(), (240, 160))
    y, x = np.unravel_index(large.argmax(), large.shape)
    assert (x / 240, y / 160) == pytest.approx((1.5 / 8, 1.5 / 8), abs=0.01)


def test_a_sheet_holds_both_pictures_and_is_the_same_every_time() -> None:
    panels = [Panel("query", GREY, two_spots(), 1.5), Panel("match 1", GREY, -two_spots(), 0.5)]
    png = as_png(panels, "score 0.500")
    sheet = Image.open(io.BytesIO(png))
    assert sheet.format == "PNG"
    assert sheet.width > LONG_SIDE_PX + LONG_SIDE_PX / 2
    assert not sheet.info
    assert png == as_png(panels, "score 0.500")
    assert png != as_png(panels, "score 0.501")


def test_one_panel_can_be_a_jpeg() -> None:
    image = Image.open(io.BytesIO(as_jpeg(Panel("query", GREY, two_spots(), 1.5))))
    assert image.format == "JPEG"
    assert image.width == LONG_SIDE_PX
