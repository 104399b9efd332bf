"""A part of a picture is decoded as if the rest were not there, at its full resolution."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from tests.decode_samples import BLUE, BUCKETS, GREEN, RED, SQUARE, WHITE, assert_close, encoded, photo, quadrants

from lookalike.decode import Decoder, DecoderPool
from lookalike.decode_picture import LEAST_BOX_PX, Wish, make_plan
from lookalike.errors import SettingError
from lookalike.settings import Settings
from lookalike.types import DecodeSpec

INVERSE = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that undoes each orientation
CORNERS = {(0, 0, 0.5, 0.5): RED, (0.5, 0, 1, 0.5): GREEN, (0, 0.5, 0.5, 1): BLUE, (0.5, 0.5, 1, 1): WHITE}


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(Settings()) as decoder:
        yield decoder


@pytest.mark.parametrize("name", ["JPEG", "TIFF", "PNG"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_box_means_the_upright_picture(decoder: Decoder, turn: int, name: str) -> None:
    upright = quadrants(320, 192)
    stored = upright.transpose(Image.Transpose(INVERSE[turn])) if turn in INVERSE else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(stored, name, exif=exif, quality=95)
    for (x0, y0, x1, y1), colour in CORNERS.items():
        inside = (x0 + 0.05, y0 + 0.05, x1 - 0.05, y1 - 0.05)
        decoded = decoder.decode(data, BUCKETS, box=inside)
        assert_close(decoded.pixels, np.broadcast_to(colour, decoded.pixels.shape), 8)
        assert (decoded.width_px, decoded.height_px) == (320, 192)


@pytest.mark.parametrize("name", ["PNG", "JPEG"])
@pytest.mark.parametrize("spec", [BUCKETS, DecodeSpec(((64, 64),), "bilinear", 0.5)])
def test_a_box_is_decoded_like_a_picture_of_its_own(decoder: Decoder, name: str, spec: DecodeSpec) -> None:
    image = photo(1600, 1200)
    part = decoder.decode(encoded(image, name, quality=95), spec, box=(0.25, 0.5, 0.75, 0.75))
    alone = decoder.decode(encoded(image.crop((400, 600, 1200, 900)), name, quality=95), spec)
    assert part.pixels.shape == alone.pixels.shape
    assert np.abs(part.pixels.astype(float) - alone.pixels).mean() < 1.5
    with Image.open(io.BytesIO(part.thumbnail)) as shown, Image.open(io.BytesIO(alone.thumbnail)) as expected:
        assert shown.size == expected.size
        assert np.abs(np.asarray(shown, float) - np.asarray(expected, float)).mean() < 1.5


def test_a_small_box_keeps_the_resolution_of_a_large_jpeg(decoder: Decoder) -> None:
    lines = np.zeros((2048, 2048, 3), np.uint8)
    lines[:, ::16] = lines[:, 1::16] = 255
    box = (0.5, 0.5, 0.5625, 0.5625)  # 128 px with 8 lines
    seen = decoder.decode(encoded(Image.fromarray(lines), "JPEG", quality=95), SQUARE, box=box).pixels
    assert float(seen.astype(float).std()) > 60


def test_the_pixels_of_a_box_do_not_depend_on_the_thumbnail(decoder: Decoder) -> None:
    data, box = encoded(photo(1600, 1200), "JPEG"), (0.1, 0.2, 0.9, 0.4)
    without = decoder.decode(data, BUCKETS, thumbnail=False, box=box)
    assert (without.pixels == decoder.decode(data, BUCKETS, box=box).pixels).all()


def test_the_whole_picture_as_a_box_changes_nothing(decoder: Decoder) -> None:
    data = encoded(photo(500, 400), "JPEG")
    assert (decoder.decode(data, BUCKETS, box=(0, 0, 1, 1)).pixels == decoder.decode(data, BUCKETS).pixels).all()


@pytest.mark.parametrize("crop", [1.0, 0.875])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("box", [(0.0, 0.0, 0.5, 1.0), (0.3, 0.7, 0.9, 0.8), (0.95, 0.1, 1.0, 0.15)])
def test_a_plan_looks_at_nothing_outside_the_box(turn: int, crop: float, box: tuple[float, ...]) -> None:
    plan = make_plan((3000, 900), turn, Wish(BUCKETS.shapes, "bicubic", crop, True, box))
    left, top, right, bottom = plan.box
    assert plan.meant[0] - 1e-9 <= left < right <= plan.meant[2] + 1e-9
    assert plan.meant[1] - 1e-9 <= top < bottom <= plan.meant[3] + 1e-9
    assert plan.cover[0] * (right - left) >= plan.size[0] - 1e-6
    assert plan.cover[1] * (bottom - top) >= plan.size[1] - 1e-6


@pytest.mark.parametrize(
    "box", [(0.5, 0.5, 0.5, 0.9), (0.9, 0.1, 0.1, 0.9), (-0.1, 0, 1, 1), (0, 0, 1, 1.01), (0, 0, float("nan"), 1)]
)
def test_an_impossible_box_is_refused_before_it_is_sent(decoder: Decoder, box: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match="box"):
        decoder.decode(encoded(quadrants(), "PNG"), SQUARE, box=box)


def test_a_box_with_next_to_nothing_in_it_says_so(decoder: Decoder) -> None:
    data = encoded(quadrants(96, 64), "PNG")
    with pytest.raises(SettingError, match=r"0\.5,0\.5,0\.55,0\.9 covers 4\.8 x 25\.6 px of 96 x 64") as caught:
        decoder.decode(data, SQUARE, box=(0.5, 0.5, 0.55, 0.9))
    assert "larger" in caught.value.hint
    assert decoder.decode(data, SQUARE, box=(0, 0, LEAST_BOX_PX / 96, 1)).pixels.shape == (64, 64, 3)


def test_a_pool_takes_boxes() -> None:
    with DecoderPool(Settings(), count=1) as pool:
        decoded = pool.decode(encoded(quadrants(), "PNG"), SQUARE, box=(0.55, 0.55, 0.95, 0.95))
    assert_close(decoded.pixels, np.broadcast_to(WHITE, decoded.pixels.shape), 0)
