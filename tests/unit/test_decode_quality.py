"""Sharpness, brightness, contrast and information of pictures of which the right answer is known."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageFilter
from tests.decode_samples import BUCKETS, SQUARE, encoded, photo

from lookalike.decode import Decoder
from lookalike.decode_quality import WINDOW_PX, Measures, measure, sharpness
from lookalike.errors import ShapeError
from lookalike.quality import Quality
from lookalike.settings import Settings
from lookalike.types import DecodeSpec


def measured(image: Image.Image) -> Measures:
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=80, subsampling="4:2:0")
    return measure(image, len(jpeg.getvalue()))


def grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def ramp(width_px: int, low: float = 10, high: float = 250) -> Image.Image:
    """One edge down the middle, from dark to bright over so many pixels."""
    across = (np.arange(128) - 60) * (high - low) / width_px + low
    return grey(np.tile(across.clip(min(low, high), max(low, high)), (128, 1)).round())


def contrasty(picture: Image.Image) -> Image.Image:
    """The shape of a drawn picture in black on its ground, in grey."""
    colour = max(picture.getcolors(2**24), key=lambda found: found[0])[1]
    ground = picture.convert("L").point(lambda value: 120 + value // 2)
    shape = Image.fromarray((np.asarray(picture) == colour).all(axis=2))
    ground.paste(10, (0, 0), shape)
    return ground


# ---------------------------------------------------------------- brightness, contrast


@pytest.mark.parametrize("value", [0, 1, 51, 128, 254, 255])
def test_brightness_of_one_grey_is_exact_and_its_contrast_is_none(value: int) -> None:
    found = measured(Image.new("RGB", (64, 48), (value, value, value)))
    assert found.brightness == pytest.approx(value / 255, abs=1e-9)
    assert found.contrast == 0
    assert found.sharpness is None


def test_brightness_is_luma_and_contrast_the_deviation_of_it() -> None:
    assert measured(Image.new("RGB", (32, 32), (255, 0, 0))).brightness == pytest.approx(0.299, abs=0.002)
    assert measured(Image.new("RGB", (32, 32), (0, 255, 0))).brightness == pytest.approx(0.587, abs=0.002)
    half = Image.new("RGB", (64, 64))
    half.paste((255, 255, 255), (32, 0, 64, 64))
    found = measured(half)
    assert (found.brightness, found.contrast) == (pytest.approx(0.5), pytest.approx(0.5))
    pale = half.point(lambda value: 100 + value // 5)
    assert measured(pale).contrast == pytest.approx(0.1)


# ---------------------------------------------------------------- sharpness


@pytest.mark.parametrize("width_px", [1, 2, 3, 4])
@pytest.mark.parametrize(("low", "high"), [(10, 250), (90, 150), (250, 10)])
def test_the_sharpness_of_a_ramp_is_one_by_its_width(width_px: int, low: int, high: int) -> None:
    across, down = ramp(width_px, low, high), ramp(width_px, low, high).transpose(Image.Transpose.TRANSPOSE)
    assert sharpness(across) == pytest.approx(1 / width_px, rel=0.03)
    assert sharpness(down) == pytest.approx(1 / width_px, rel=0.03)


@pytest.mark.parametrize("kind", range(8))
def test_more_blur_is_less_sharp_whatever_the_picture_shows(draw: Callable[..., Image.Image], kind: int) -> None:
    picture = contrasty(draw(kind, seed=3, size_px=(256, 192)))
    found = [sharpness(picture.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 3, 4)]
    assert None not in found
    assert all(before > after for before, after in pairwise(found))  # type: ignore[operator]
    assert found[0] > 0.7 > 0.5 > found[1] > 0.3 > found[2]  # type: ignore[operator]


def test_noise_does_not_make_a_blurred_picture_sharp() -> None:
    blurred = np.asarray(photo(256, 192).filter(ImageFilter.GaussianBlur(2)).convert("L"), float)
    edge = np.asarray(ramp(4), float)
    noise = np.random.default_rng(0).normal(0, 3, edge.shape)
    assert sharpness(grey(edge + noise)) == pytest.approx(0.25, abs=0.08)
    assert sharpness(grey(blurred)) is None  # soft waves: no edge at all, and noise is none either
    assert sharpness(grey(blurred + np.random.default_rng(0).normal(0, 3, blurred.shape))) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (WINDOW_PX - 1, WINDOW_PX - 1), (12, 2)])
def test_pictures_without_room_for_an_edge_have_no_sharpness(size: tuple[int, int]) -> None:
    values = np.random.default_rng(1).integers(0, 256, size[::-1]).astype(np.uint8)
    assert sharpness(Image.fromarray(values)) is None


# ---------------------------------------------------------------- information


def test_information_is_nothing_for_one_colour_and_grows_with_what_there_is_to_see() -> None:
    for size in ((256, 192), (255, 17), (64, 64), (16, 16)):
        assert measured(Image.new("RGB", size, (90, 120, 40))).information < 0.1
    shade = Image.merge("RGB", [grey(np.tile(np.linspace(40, 220, 256), (192, 1)))] * 3)
    plain = Image.new("RGB", (256, 192), "white")
    parts = [plain, shade, photo(256, 192), grey(np.random.default_rng(0).integers(0, 256, (192, 256))).convert("RGB")]
    found = [measured(part).information for part in parts]
    assert found == sorted(found)
    assert found[0] < 0.01 < 0.1 < found[1] < 0.2 < 0.5 < found[2] < 3 < found[3] <= 8


# ---------------------------------------------------------------- through the decoder


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    with Decoder(Settings()) as decoder:
        yield decoder


def decoded(decoder: Decoder, data: bytes, spec: DecodeSpec = BUCKETS) -> Quality:
    quality = decoder.decode(data, spec).quality
    assert quality is not None
    return quality


def test_quality_comes_with_a_thumbnail_and_only_then(decoder: Decoder) -> None:
    data = encoded(photo(300, 200), "PNG")
    assert decoder.decode(data, BUCKETS, thumbnail=False).quality is None
    assert decoder.decode(data, BUCKETS).quality is not None


@pytest.mark.parametrize("name", ["PNG", "JPEG"])
@pytest.mark.parametrize("kind", [1, 3, 6])
def test_a_picture_of_another_resolution_measures_nearly_the_same(
    decoder: Decoder, draw: Callable[..., Image.Image], kind: int, name: str
) -> None:
    large = contrasty(draw(kind, seed=1, size_px=(2048, 1536))).filter(ImageFilter.GaussianBlur(8)).convert("RGB")
    options = {"quality": 92} if name == "JPEG" else {}
    found = [
        decoded(decoder, encoded(large.resize((width, width * 3 // 4), Image.Resampling.LANCZOS), name, **options))
        for width in (2048, 1024, 700, 512, 300)
    ]
    for measure_name, within in (("sharpness", 0.12), ("brightness", 0.005), ("contrast", 0.005), ("information", 0.2)):
        values = [getattr(quality, measure_name) for quality in found]
        assert max(values) - min(values) <= within, (measure_name, values)


def test_the_shapes_of_the_network_and_the_turn_of_the_file_do_not_matter(decoder: Decoder) -> None:
    picture = photo(320, 240).filter(ImageFilter.UnsharpMask(2, 300))
    turned = Image.Exif()
    turned[0x0112] = 6
    usual = decoded(decoder, encoded(picture, "PNG"))
    for data, spec in (
        (encoded(picture, "PNG"), SQUARE),
        (encoded(picture, "PNG"), DecodeSpec(((224, 224),), crop_fraction=0.875)),
        (encoded(picture.transpose(Image.Transpose.ROTATE_90), "PNG", exif=turned.tobytes()), BUCKETS),
    ):
        found = decoded(decoder, data, spec)
        assert found.brightness == pytest.approx(usual.brightness, abs=0.005)
        assert found.information == pytest.approx(usual.information, rel=0.25)


def test_a_tiny_picture_is_measured_as_it_is_not_as_it_is_enlarged(decoder: Decoder) -> None:
    checks = grey(np.kron(np.indices((8, 8)).sum(axis=0) % 2 * 200 + 20, np.ones((8, 8))))
    assert decoded(decoder, encoded(checks.convert("RGB"), "PNG")).sharpness == 1.0


@pytest.mark.parametrize(
    "measures", [(None, None, 0.1, 1.0), (1.1, 0.5, 0.1, 1.0), (0.5, -0.1, 0.1, 1.0), (0.5, 0.5, float("nan"), 1.0)]
)
def test_impossible_measures_are_refused(measures: tuple[float, ...]) -> None:
    with pytest.raises(ShapeError, match=r"quality: (sharpness|brightness|contrast)"):
        Quality(*measures)
