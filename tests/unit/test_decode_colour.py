"""Every kind of pixel becomes 8-bit sRGB."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from tests.decode_samples import BLUE, GREEN, RED, SQUARE, WHITE, assert_close, corners, encoded, quadrants

from lookalike.decode import Decoder
from lookalike.decode_colour import value_range
from lookalike.settings import Settings
from lookalike.types import DecodedImage


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(Settings()) as decoder:
        yield decoder


def grey_of(decoded: DecodedImage) -> np.ndarray:
    assert (decoded.pixels[..., 0] == decoded.pixels[..., 2]).all()
    return decoded.pixels[..., 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_pictures(decoder: Decoder, mode: str) -> None:
    image = Image.new("L", (64, 64), 0)
    image.paste(255, (32, 0, 64, 64))
    grey = grey_of(decoder.decode(encoded(image.convert(mode), "PNG"), SQUARE))
    assert_close(grey[:, :30], np.zeros((64, 30)), 0)
    assert_close(grey[:, 34:], np.full((64, 30), 255), 0)


def test_transparent_pixels_show_mid_grey(decoder: Decoder) -> None:
    image = quadrants(64, 64).convert("RGBA")
    image.putalpha(0)
    image.paste((*GREEN, 255), (32, 0, 64, 32))
    image.paste((255, 255, 255, 128), (0, 32, 32, 64))
    found = corners(decoder.decode(encoded(image, "PNG"), SQUARE))
    assert_close(found, [(127,) * 3, GREEN, (191,) * 3, (127,) * 3], 1)


def test_hidden_colours_do_not_bleed_through_when_shrunk(decoder: Decoder) -> None:
    image = Image.new("RGBA", (1024, 1024), (255, 0, 0, 0))
    image.paste((*BLUE, 255), (512, 0, 1024, 1024))
    pixels = decoder.decode(encoded(image, "PNG"), SQUARE).pixels
    assert pixels[..., 0].max() <= 130  # nothing of the red that nobody can see


@pytest.mark.parametrize("name", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_colour(decoder: Decoder, name: str) -> None:
    image = quadrants(64, 64).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    data = encoded(image, name, transparency=image.getpixel((5, 5)))
    assert_close(corners(decoder.decode(data, SQUARE)), [(127,) * 3, GREEN, BLUE, WHITE], 3)


def test_rgb_with_one_transparent_colour(decoder: Decoder) -> None:
    data = encoded(quadrants(64, 64), "PNG", transparency=RED)
    assert_close(corners(decoder.decode(data, SQUARE)), [(127,) * 3, GREEN, BLUE, WHITE], 1)


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])  # Adobe's JPEGs hold CMYK inverted, TIFFs do not
def test_cmyk_keeps_its_colours(decoder: Decoder, name: str) -> None:
    data = encoded(quadrants(64, 64).convert("CMYK"), name, **({"quality": 95} if name == "JPEG" else {}))
    assert_close(corners(decoder.decode(data, SQUARE)), [RED, GREEN, BLUE, WHITE], 8)


def test_lab_becomes_rgb(decoder: Decoder) -> None:
    lab = Image.new("LAB", (16, 16), (136, 208, 195))  # L 53.3, a 80, b 67: pure red
    assert_close(decoder.decode(encoded(lab, "TIFF"), SQUARE).pixels[32, 32], (255, 0, 0), 14)


def sixteen_bit(values: np.ndarray, name: str = "PNG") -> bytes:
    return encoded(Image.fromarray(values.astype(np.uint16)), name)


def test_sixteen_bits_that_use_their_range_keep_their_brightness(decoder: Decoder) -> None:
    values = np.tile(np.linspace(0, 65535, 64), (64, 1))
    assert_close(grey_of(decoder.decode(sixteen_bit(values), SQUARE))[5], values[5] / 257, 1)


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_twelve_bits_in_sixteen_fill_eight(decoder: Decoder, name: str) -> None:
    values = np.tile(np.linspace(0, 4095, 64), (64, 1))
    assert_close(grey_of(decoder.decode(sixteen_bit(values, name), SQUARE))[5], values[5] / 4095 * 255, 1)


def test_a_twelve_bit_camera_gives_dark_scenes_as_dark(decoder: Decoder) -> None:
    dark = np.full((64, 64), 1100)
    dark[:, 32:] = 1700
    grey = grey_of(decoder.decode(sixteen_bit(dark), SQUARE))
    assert_close([grey[5, 5], grey[5, 60]], [1100 / 4095 * 255, 1700 / 4095 * 255], 1)


def test_a_thermal_picture_is_stretched(decoder: Decoder) -> None:
    values = np.tile(np.linspace(29_000, 31_000, 64), (64, 1))
    grey = grey_of(decoder.decode(sixteen_bit(values), SQUARE))
    assert grey.min() <= 3
    assert grey.max() >= 252
    assert (np.diff(grey[5].astype(int)) >= 0).all()


def test_noise_on_a_plain_sixteen_bit_surface_stays_small(decoder: Decoder) -> None:
    values = 30_000 + np.random.default_rng(1).integers(-8, 9, (64, 64))
    assert grey_of(decoder.decode(sixteen_bit(values), SQUARE)).std() < 12


def test_big_endian_sixteen_bits(decoder: Decoder) -> None:
    values = np.tile(np.linspace(0, 65535, 64), (64, 1)).astype(">u2")
    image = Image.frombytes("I;16B", (64, 64), values.tobytes())
    assert_close(grey_of(decoder.decode(encoded(image, "TIFF"), SQUARE))[5], values[5] / 257, 1)


def test_thirty_two_bit_integers(decoder: Decoder) -> None:
    values = np.tile(np.linspace(-1_000_000, 3_000_000, 64), (64, 1)).astype(np.int32)
    grey = grey_of(decoder.decode(encoded(Image.fromarray(values), "TIFF"), SQUARE))
    assert_close(grey[5], np.linspace(0, 255, 64), 3)


@pytest.mark.parametrize("full", [1.0, 255.0])
def test_floats_on_a_customary_scale_keep_it(decoder: Decoder, full: float) -> None:
    values = np.tile(np.linspace(0, 0.8 * full, 64, dtype=np.float32), (64, 1))
    grey = grey_of(decoder.decode(encoded(Image.fromarray(values), "TIFF"), SQUARE))
    assert_close(grey[5], np.linspace(0, 0.8 * 255, 64), 1)


def test_floats_that_are_no_numbers_are_black_and_harm_nobody(decoder: Decoder) -> None:
    values = np.full((64, 64), 0.5, np.float32)
    values[:8] = math.nan
    values[8:16] = -math.inf
    values[16:24] = math.inf
    grey = grey_of(decoder.decode(encoded(Image.fromarray(values), "TIFF"), SQUARE))
    assert_close(grey[:14], np.zeros((14, 64)), 0)
    assert_close(grey[18:22], np.full((4, 64), 255), 0)
    assert_close(grey[30:], np.full((34, 64), 127), 1)
    nothing = Image.fromarray(np.full((8, 8), math.nan, np.float32))
    assert_close(decoder.decode(encoded(nothing, "TIFF"), SQUARE).pixels, np.zeros((64, 64, 3)), 0)


def test_the_range_of_values() -> None:
    integers = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
    assert value_range([0, 100, 200], integers) == (0, 255)
    assert value_range([0, 2000, 4000], integers) == (0, 4095)
    assert value_range([29_000, 30_000, 31_000], integers) == (29_000, 31_000)
    low, high = value_range([500.0], integers)
    assert low < 500 < high
    assert value_range([-5.0, 5.0], integers) == (-5, 5)
    low, high = value_range([0.0], (1.0,))
    assert low < 0 < high
    hot_pixel = sorted([1000.0] * 5000 + [1500.0] * 5000 + [4095.0])
    assert value_range(hot_pixel, integers) == (1000, 1500)


def linear_profile(description: bytes = b"linear") -> bytes:
    """An ICC profile with sRGB's primaries and no gamma, built by hand (ICC.1:2001-04, sections 6 and 7)."""

    def s15(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 256) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", len(description) + 1) + description + bytes(1 + 78)
    blocks = {
        b"desc": text + bytes(-len(text) % 4),
        b"cprt": b"text" + bytes(4) + b"none\0\0\0\0",
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ " + bytes(4) + s15(0.4361, 0.2225, 0.0139),
        b"gXYZ": b"XYZ " + bytes(4) + s15(0.3851, 0.7169, 0.0971),
        b"bXYZ": b"XYZ " + bytes(4) + s15(0.1431, 0.0606, 0.7141),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, at = struct.pack(">I", len(blocks)), b"", 128 + 4 + 12 * len(blocks)
    for tag, block in blocks.items():
        table += tag + struct.pack(">II", at + len(body), len(block))
        body += block
    head = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + s15(0.9642, 1.0, 0.8249)
    return head + bytes(128 - len(head)) + table + body


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_colour_profile_is_applied(decoder: Decoder, name: str) -> None:
    linear = Image.new("RGB", (32, 32), (55, 55, 55))  # 0.2157 of the light is 127 in sRGB
    data = encoded(linear, name, icc_profile=linear_profile(), quality=95)
    decoded = decoder.decode(data, SQUARE)
    assert_close(decoded.pixels[32, 32], (127,) * 3, 3)
    with Image.open(io.BytesIO(decoded.thumbnail)) as thumbnail:
        assert_close(thumbnail.getpixel((16, 16)), (127,) * 3, 4)


def test_a_profile_applies_below_transparency(decoder: Decoder) -> None:
    image = Image.new("RGBA", (32, 32), (55, 55, 55, 255))
    image.paste((255, 0, 0, 0), (0, 0, 16, 32))
    pixels = decoder.decode(encoded(image, "PNG", icc_profile=linear_profile()), SQUARE).pixels
    assert_close(pixels[32, 60], (127,) * 3, 3)
    assert_close(pixels[32, 4], (127,) * 3, 0)


@pytest.mark.parametrize("profile", [b"no profile at all" * 20, linear_profile()[:200], linear_profile(b"sRGB")])
def test_a_profile_that_is_damaged_or_says_srgb_changes_nothing(decoder: Decoder, profile: bytes) -> None:
    data = encoded(quadrants(), "PNG", icc_profile=profile)
    assert_close(corners(decoder.decode(data, SQUARE)), [RED, GREEN, BLUE, WHITE], 0)


def test_a_profile_for_another_kind_of_pixel_is_ignored(decoder: Decoder) -> None:
    data = encoded(Image.new("L", (32, 32), 55), "PNG", icc_profile=linear_profile())
    assert_close(decoder.decode(data, SQUARE).pixels[32, 32], (55,) * 3, 0)
