"""What a decoder hands back; what it is for hostile files is in test_decode_hostile."""

from __future__ import annotations

import importlib.util
import io
import math
import os
import struct
import threading
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from PIL import Image, TiffImagePlugin
from tests.decode_samples import (
    BLUE,
    BUCKETS,
    GREEN,
    RED,
    SQUARE,
    WHITE,
    assert_close,
    corners,
    encoded,
    photo,
    quadrants,
)

from lookalike.decode import Decoder, DecoderPool
from lookalike.decode_picture import Wish, make_plan
from lookalike.errors import ImageDecodeError, ImageTooLargeError, LookalikeError, SettingError
from lookalike.formats import HEAD_BYTES, is_image_head
from lookalike.settings import Settings
from lookalike.types import DecodeSpec


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(Settings()) as decoder:
        yield decoder


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("name", "options", "within"),
    [
        ("JPEG", {"quality": 95}, 6),
        ("MPO", {"quality": 95}, 6),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("AVIF", {"quality": 95}, 6),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("BMP", {}, 0),
        ("GIF", {}, 1),
        ("JPEG2000", {}, 1),
        ("PPM", {}, 0),
    ],
)
def test_every_format_decodes_to_its_colours(
    decoder: Decoder, name: str, options: dict[str, object], within: int
) -> None:
    if name == "MPO":
        options = {**options, "save_all": True, "append_images": [Image.new("RGB", (96, 64))]}
    data = encoded(quadrants(), name, **options)
    assert is_image_head(data[:HEAD_BYTES])
    decoded = decoder.decode(data, SQUARE)
    assert decoded.format == name
    assert (decoded.width_px, decoded.height_px) == (96, 64)
    assert decoded.pixels.shape == (64, 64, 3)
    assert decoded.pixels.dtype == np.uint8
    assert_close(corners(decoded), [RED, GREEN, BLUE, WHITE], within)


@pytest.mark.parametrize("name", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_of_several_pictures_counts(decoder: Decoder, name: str) -> None:
    pages = [Image.new("RGB", (32, 32), colour) for colour in (RED, GREEN)]
    options = {"lossless": True} if name == "WEBP" else {}
    data = encoded(pages[0], name, save_all=True, append_images=pages[1:], **options)
    assert_close(decoder.decode(data, SQUARE).pixels[32, 32], RED, 1)


# ---------------------------------------------------------------- geometry


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((400, 300), (224, 288)),
        ((300, 400), (288, 224)),
        ((640, 360), (192, 320)),
        ((100, 100), (256, 256)),
        ((5000, 1), (192, 320)),
        ((1, 5000), (320, 192)),
        ((1, 1), (256, 256)),
    ],
)
def test_the_shape_nearest_in_aspect_ratio_is_taken(
    decoder: Decoder, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    decoded = decoder.decode(encoded(Image.new("RGB", size, RED), "PNG"), BUCKETS)
    assert decoded.pixels.shape == (*shape, 3)
    assert (decoded.width_px, decoded.height_px) == size
    assert_close(decoded.pixels, np.broadcast_to(RED, decoded.pixels.shape), 0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_whole_image_is_squeezed_exactly_as_pillow_does_it(decoder: Decoder, interpolation: str) -> None:
    image = photo(150, 100)
    decoded = decoder.decode(encoded(image, "PNG"), DecodeSpec(((64, 64),), interpolation))
    expected = image.resize((64, 64), Image.Resampling[interpolation.upper()])
    assert_close(decoded.pixels, expected, 0)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (300, 300)])
def test_a_crop_is_the_centre_of_the_scaled_image(decoder: Decoder, size: tuple[int, int]) -> None:
    image = photo(*size)
    decoded = decoder.decode(encoded(image, "PNG"), DecodeSpec(((224, 224),), "bicubic", 0.875))
    scale = 256 / min(size)
    scaled = image.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.BICUBIC)
    left, top = (scaled.width - 224) // 2, (scaled.height - 224) // 2
    expected = np.asarray(scaled.crop((left, top, left + 224, top + 224)), float)
    assert np.abs(decoded.pixels - expected).mean() < 3  # the reference cuts at whole pixels


def test_a_thin_image_can_be_cropped(decoder: Decoder) -> None:
    decoded = decoder.decode(encoded(Image.new("L", (1, 5000), 90), "PNG"), DecodeSpec(((64, 64),), "bicubic", 0.875))
    assert_close(decoded.pixels, np.full((64, 64, 3), 90), 0)


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_a_large_image_is_shrunk_as_well_as_slowly(decoder: Decoder, name: str) -> None:
    image = photo(1600, 1200)
    data = encoded(image, name, quality=95)
    decoded = decoder.decode(data, BUCKETS)
    expected = image.resize((288, 224), Image.Resampling.BICUBIC)
    assert np.abs(decoded.pixels - np.asarray(expected, float)).mean() < 2
    assert (decoded.width_px, decoded.height_px) == (1600, 1200)


@pytest.mark.parametrize("crop", [1.0, 0.875])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("size", [(3000, 900), (640, 480), (1, 5000), (200, 200)])
def test_a_plan_never_shrinks_below_what_is_shown(size: tuple[int, int], turn: int, crop: float) -> None:
    plan = make_plan(size, turn, Wish(BUCKETS.shapes, "bicubic", crop, True))
    left, top, right, bottom = plan.box
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    assert plan.cover[0] * (right - left) >= plan.size[0] - 1e-6
    assert plan.cover[1] * (bottom - top) >= plan.size[1] - 1e-6
    assert max(plan.thumbnail) <= min(256, max(size))


# ---------------------------------------------------------------- orientation and date

INVERSE = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that undoes each orientation


@pytest.mark.parametrize("name", ["JPEG", "TIFF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_upright(decoder: Decoder, turn: int, name: str) -> None:
    upright = quadrants(320, 192)
    stored = upright.transpose(Image.Transpose(INVERSE[turn])) if turn in INVERSE else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    decoded = decoder.decode(encoded(stored, name, exif=exif, quality=90), BUCKETS)
    assert (decoded.width_px, decoded.height_px) == (320, 192)
    assert decoded.pixels.shape == (192, 320, 3)
    assert_close(corners(decoded), [RED, GREEN, BLUE, WHITE], 8)
    with Image.open(io.BytesIO(decoded.thumbnail)) as thumbnail:
        assert thumbnail.size == (256, 154)
        assert_close(thumbnail.getpixel((64, 40)), RED, 12)


@pytest.mark.parametrize("name", ["JPEG", "MPO", "TIFF", "WEBP", "PNG"])
def test_the_date_of_the_photo_is_found(decoder: Decoder, name: str) -> None:
    exif, tags = Image.Exif(), TiffImagePlugin.ImageFileDirectory_v2()
    exif[0x8769] = tags[0x8769] = {0x9003: "2019:07:04 23:59:58"}
    options = {"tiffinfo": tags} if name == "TIFF" else {"exif": exif}
    assert decoder.decode(encoded(quadrants(), name, **options), SQUARE).taken_at == "2019-07-04T23:59:58"


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "2019:02:30 10:00:00", "yesterday", "1066:10:14 09:00:00", ""])
def test_a_date_that_is_nonsense_is_none(decoder: Decoder, text: str) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0x9003: text}
    assert decoder.decode(encoded(quadrants(), "JPEG", exif=exif), SQUARE).taken_at is None


def test_damaged_exif_costs_only_itself(decoder: Decoder) -> None:
    data = encoded(quadrants(), "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff" + bytes(40), quality=95)
    assert_close(corners(decoder.decode(data, SQUARE)), [RED, GREEN, BLUE, WHITE], 6)


# ---------------------------------------------------------------- thumbnails


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 500), (256, 128)), ((100, 60), (100, 60)), ((1, 5000), (1, 256)), ((500, 500),) * 2]
)
@pytest.mark.parametrize("spec", [BUCKETS, SQUARE, DecodeSpec(((224, 224),), "bicubic", 0.875)])
def test_a_thumbnail_shows_the_whole_picture(
    decoder: Decoder, size: tuple[int, int], expected: tuple[int, int], spec: DecodeSpec
) -> None:
    decoded = decoder.decode(encoded(quadrants(*size) if min(size) > 1 else photo(*size), "PNG"), spec)
    with Image.open(io.BytesIO(decoded.thumbnail)) as thumbnail:
        assert thumbnail.format == "JPEG"
        assert thumbnail.size == tuple(min(side, 256) for side in expected)
        if min(size) > 1:
            assert_close(thumbnail.getpixel((5, 5)), RED, 12)
            assert_close(thumbnail.getpixel((thumbnail.width - 5, thumbnail.height - 5)), WHITE, 12)


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
@pytest.mark.parametrize("spec", [BUCKETS, SQUARE, DecodeSpec(((64, 64),), "bilinear", 0.5)])
def test_the_pixels_do_not_depend_on_the_thumbnail(decoder: Decoder, name: str, spec: DecodeSpec) -> None:
    data = encoded(photo(1600, 1200), name)
    without = decoder.decode(data, spec, thumbnail=False)
    assert without.thumbnail == b""
    assert (without.pixels == decoder.decode(data, spec).pixels).all()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM"])
def test_half_a_picture_is_a_failure(decoder: Decoder, name: str) -> None:
    data = encoded(photo(200, 150), name)
    with pytest.raises(ImageDecodeError, match=r"\w"):
        decoder.decode(data[: len(data) // 2], SQUARE)
    assert decoder.decode(data, SQUARE).format == name


def test_a_png_whose_picture_is_whole_may_end_badly(decoder: Decoder) -> None:
    data = encoded(quadrants(), "PNG")
    end = data.index(b"IEND") - 4
    damaged = data[:end] + struct.pack(">I4s", 1000, b"tEXt") + b"cut off"
    assert_close(corners(decoder.decode(damaged, SQUARE)), [RED, GREEN, BLUE, WHITE], 0)


@pytest.mark.parametrize("data", [b"GIF89a", b"hello", b"\0" * 1000, b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_image_is_refused(decoder: Decoder, data: bytes) -> None:
    with pytest.raises(ImageDecodeError, match="not an image of a supported format"):
        decoder.decode(data, SQUARE)


@pytest.mark.parametrize("name", ["TGA", "ICO", "PCX", "SGI", "DDS", "EPS", "PDF"])
def test_formats_outside_the_list_are_refused(decoder: Decoder, name: str) -> None:
    with pytest.raises(ImageDecodeError, match="not an image of a supported format"):
        decoder.decode(encoded(quadrants(), name), SQUARE)


def test_an_empty_file_is_refused(decoder: Decoder) -> None:
    with pytest.raises(ImageDecodeError, match="empty"):
        decoder.decode(b"", SQUARE)


@pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is not None, reason="the extra heic is installed")
def test_heic_without_the_extra_says_how_to_get_it(decoder: Decoder) -> None:
    with pytest.raises(ImageDecodeError, match="HEIC") as caught:
        decoder.decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), SQUARE)
    assert caught.value.hint == "pip install 'lookalike[heic]'"


def test_limits_are_named() -> None:
    settings = Settings(max_pixels=10_000, max_file_bytes=100_000)
    with Decoder(settings) as decoder:
        with pytest.raises(ImageTooLargeError, match=r"10,100 pixels.* 10,000 \(setting max_pixels\)"):
            decoder.decode(encoded(Image.new("L", (101, 100)), "PNG"), SQUARE)
        with pytest.raises(ImageTooLargeError, match=r"4,000,000 pixels"):  # Pillow's other exception
            decoder.decode(encoded(Image.new("L", (2000, 2000)), "JPEG"), SQUARE)
        with pytest.raises(ImageTooLargeError, match=r"100,001 bytes.* 100,000 \(setting max_file_bytes\)"):
            decoder.decode(bytes(100_001), SQUARE)
        assert decoder.decode(encoded(Image.new("L", (100, 100)), "PNG"), SQUARE).width_px == 100


@pytest.mark.parametrize(
    "spec",
    [
        DecodeSpec(()),
        DecodeSpec(((0, 5),)),
        DecodeSpec(((100_000, 5),)),
        DecodeSpec(((64, 64),), "nearest"),
        DecodeSpec(((64, 64),), "bicubic", 0.0),
        DecodeSpec(((64, 64),), "bicubic", 1.5),
        DecodeSpec(((64, 64),), "bicubic", math.nan),
    ],
)
def test_an_impossible_wish_is_refused_before_it_is_sent(decoder: Decoder, spec: DecodeSpec) -> None:
    with pytest.raises(SettingError):
        decoder.decode(encoded(quadrants(), "PNG"), spec)


# ---------------------------------------------------------------- several at once


def test_a_pool_serves_many_threads(decoder: Decoder) -> None:
    files = [encoded(photo(200 + i, 150), "JPEG") for i in range(24)]
    expected = [decoder.decode(data, SQUARE).pixels for data in files]
    found: dict[int, np.ndarray] = {}
    with DecoderPool(Settings(), count=2) as pool:
        pool.start()

        def work(first: int) -> None:
            for i in range(first, len(files), 6):
                found[i] = pool.decode(files[i], SQUARE).pixels

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all((found[i] == pixels).all() for i, pixels in enumerate(expected))


def test_a_pool_has_the_configured_number_of_decoders() -> None:
    before = {child.pid for child in psutil.Process().children()}
    with DecoderPool(Settings(workers=3)) as pool:
        pool.start()
        assert len({child.pid for child in psutil.Process().children()} - before) == 3
    assert {child.pid for child in psutil.Process().children()} <= before


def test_a_closed_decoder_says_so() -> None:
    decoder = Decoder(Settings())
    decoder.close()
    decoder.close()
    with pytest.raises(LookalikeError, match="closed"):
        decoder.decode(encoded(quadrants(), "PNG"), SQUARE)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_decoders_that_come_and_go_leave_no_descriptors(decoder: Decoder) -> None:
    data = encoded(quadrants(), "PNG")
    decoder.decode(data, SQUARE)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with Decoder(Settings()) as other:
            other.decode(data, SQUARE)
    assert len(os.listdir("/proc/self/fd")) == before
