"""Any kind of pixel to 8 bits, and those to sRGB, with Pillow. Runs in the child process (``decode_worker``) only."""

from __future__ import annotations

import io
import math
from array import array
from functools import lru_cache

from PIL import Image, ImageCms

GREY = (127, 127, 127)  # what shows through transparent pixels
MAX_PROFILE_BYTES = 4 * 2**20

_INTEGER_SCALES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # 8, 10, 12, 14 and 16 bits
_FLOAT_SCALES = (1.0, 255.0, 65535.0)
_SAMPLE_PX = 256
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_SRGB = ImageCms.createProfile("sRGB")


def to_eight_bit(image: Image.Image) -> Image.Image:
    """A picture that can be resized: L, RGB, CMYK or LAB, or RGBa (colour already multiplied by opacity)."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _stretch(image)
    if image.has_transparency_data:
        return (image if image.mode == "RGBA" else image.convert("RGBA")).convert("RGBa")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in _PROFILE_SPACES else image.convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB from one of ``to_eight_bit``'s modes; transparent pixels over mid grey.

    Args:
        image: Small already: this is done after resizing.
        profile: The file's ICC profile; one that is damaged or does not fit the picture is ignored.
    """
    if image.mode == "RGBa":
        straight = image.convert("RGBA")
        colour = to_srgb(straight.convert("RGB"), profile)
        return Image.composite(colour, Image.new("RGB", image.size, GREY), straight.getchannel("A"))
    transform = _transform(profile, image.mode) if profile and len(profile) <= MAX_PROFILE_BYTES else None
    if transform is None and image.mode == "LAB":
        transform = _lab_transform()
    if transform is not None:
        try:
            return ImageCms.applyTransform(image, transform) or image
        except ImageCms.PyCMSError:
            pass
    return image.convert("RGB")


def value_range(values: list[float], scales: tuple[float, ...]) -> tuple[float, float]:
    """Which values become black and white.

    The full scale is the smallest in ``scales`` that holds the largest value: files seldom say that a camera's 12 bits
    lie in their 16. Where the picture uses at least an eighth of that scale (0.1 to 99.9 %), brightness is kept: black
    is 0, white the full scale. Else, as in thermal pictures, contrast is: black and white are those percentiles, at
    least 1/256 of the scale apart, so that noise on a plain surface stays noise.

    Args:
        values: A sample of finite values, sorted, at least one.
        scales: The customary full scales, ascending.
    """
    full = next((s for s in scales if values[-1] <= s), 0.0) if values[0] >= 0 else 0.0
    tail = len(values) // 1000
    low, high = values[tail], values[-1 - tail]
    if full and high - low >= full / 8:
        return 0.0, full
    least = (full or max(abs(low), abs(high)) or 1.0) / 256
    widen = max(0.0, least - (high - low)) / 2
    return low - widen, high + widen


def _stretch(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or float, to L. Values that are no number become black."""
    sample = image.resize((min(image.width, _SAMPLE_PX), min(image.height, _SAMPLE_PX)), Image.Resampling.NEAREST)
    values = sorted(v for v in array("f", sample.convert("F").tobytes()) if math.isfinite(v))
    if not values:
        return Image.new("L", image.size)
    low, high = value_range(values, _FLOAT_SCALES if image.mode == "F" else _INTEGER_SCALES)
    gain = 255 / (high - low)
    offset = 0.5 - low * gain  # converting cuts off the fraction
    return image.convert("F").point(lambda value: value * gain + offset).convert("L")


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """How to get from a profile to sRGB; None where there is nothing to do, or no way. Building one takes ms."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source)
        if source.profile.xcolor_space.strip() != _PROFILE_SPACES[mode] or ("sRGB" in name and "inear" not in name):
            return None
        return ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return None


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _SRGB, "LAB", "RGB")
