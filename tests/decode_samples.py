"""Pictures to decode, and how to compare what comes back."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image

from lookalike.types import DecodedImage, DecodeSpec

SQUARE = DecodeSpec(((64, 64),))
BUCKETS = DecodeSpec(((192, 320), (224, 288), (256, 256), (288, 224), (320, 192)))
RED, GREEN, BLUE, WHITE = (200, 30, 40), (30, 180, 60), (40, 50, 190), (240, 240, 240)


def quadrants(width: int = 96, height: int = 64) -> Image.Image:
    """Four colours: red and green above, blue and white below."""
    image = Image.new("RGB", (width, height))
    for i, colour in enumerate((RED, GREEN, BLUE, WHITE)):
        left, top = i % 2 * width // 2, i // 2 * height // 2
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


@lru_cache
def photo(width: int, height: int) -> Image.Image:
    """A smooth picture with some texture, always the same."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(7).normal(0, 6, (height, width, 3))
    waves = [np.sin(x / width * k * 3 + y / height * k) * 90 + 128 for k in (2, 3, 5)]
    return Image.fromarray((np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def corners(decoded: DecodedImage) -> list[tuple[int, ...]]:
    """The colours at the centres of the four quadrants, in reading order."""
    h, w = decoded.pixels.shape[:2]
    return [tuple(decoded.pixels[y, x].tolist()) for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]


def assert_close(found: object, expected: object, within: float) -> None:
    difference = np.abs(np.asarray(found, float) - np.asarray(expected, float)).max()
    assert difference <= within, f"differs by {difference}: {found} {expected}"
