"""How a picture came out: sharpness, brightness, contrast, information. Runs in the child process, so Pillow alone."""

from __future__ import annotations

import math
from typing import NamedTuple

from PIL import Image, ImageChops

WINDOW_PX = 8  # along a row or a column, a power of two
LEAST_SPAN = 32  # grey values that an edge spans; less is texture, noise or shade
STEEPEST_SHARE = 0.1  # of all edges: what is out of focus on purpose, or hides in the haze, does not count
ROWS = 32  # and columns that are looked at, spread evenly
LEAST_EDGES = 25  # rows or columns that an edge crosses
EMPTY_JPEG_BYTES, EMPTY_BLOCK_BYTES, BLOCK_PX = 626, 4, 16  # what Pillow writes for a picture of one colour
MOST_BITS = 8.0
_GREYS = 256
_PER_OCTAVE = 31  # so that the logarithm of 255 is a byte
_LOGARITHMS = [round(_PER_OCTAVE * math.log2(max(1, value))) for value in range(_GREYS)]
_EQUAL = [255] + [0] * (_GREYS - 1)
_EDGES = [255 * (span >= LEAST_SPAN) for span in range(_GREYS)]


class Measures(NamedTuple):
    """As ``quality.Quality``, which the parent makes of it."""

    sharpness: float | None
    brightness: float
    contrast: float
    information: float


def measure(image: Image.Image, jpeg_bytes: int) -> Measures:
    """Measure an RGB thumbnail.

    Args:
        image: At most 256 px on the long side, so that pictures of any resolution compare.
        jpeg_bytes: Size of its JPEG.

    *Source*: brightness and contrast are mean and root mean square contrast of luma (Rec. 601; Peli 1990, "Contrast in
    complex images"). Information is the compressed size, a known stand-in for complexity (Yu and Winkler 2013, "Image
    complexity and spatial information"). Sharpness: see ``sharpness``.
    """
    grey = image.convert("L")
    brightness, contrast = _moments(grey)
    blocks = math.ceil(image.width / BLOCK_PX) * math.ceil(image.height / BLOCK_PX)
    bits = 8 * (jpeg_bytes - EMPTY_JPEG_BYTES - EMPTY_BLOCK_BYTES * blocks) / (image.width * image.height)
    return Measures(sharpness(grey), brightness, contrast, min(max(bits, 0.0), MOST_BITS))


def _moments(grey: Image.Image) -> tuple[float, float]:
    """Mean and deviation, of 1."""
    counts, total = grey.histogram(), grey.width * grey.height
    mean = sum(value * count for value, count in enumerate(counts)) / total
    variance = sum((value - mean) ** 2 * count for value, count in enumerate(counts)) / total
    return mean / (_GREYS - 1), min(math.sqrt(variance) / (_GREYS - 1), 0.5)


def sharpness(grey: Image.Image) -> float | None:
    """How steep the steepest tenth of all edges is; None where there are too few edges.

    An edge is a window along a row or a column with its largest step, from one pixel to the next, in the middle; its
    steepness is that step by the range of the window. A hard edge has 1, a ramp over w pixels 1 / w. Being a ratio at
    edges only, it follows neither contrast nor how much of the picture is textured; the variance of a Laplacian does.

    Args:
        grey: Of mode L.

    *Source*: ours; a simple form of measuring the width of edges (Marziliano et al. 2002, "A no-reference perceptual
    blur metric").
    """
    counts = [0] * _GREYS
    rows = grey.resize((grey.width, min(grey.height, ROWS)), Image.Resampling.NEAREST)
    columns = grey.resize((min(grey.width, ROWS), grey.height), Image.Resampling.NEAREST)
    for picture in (rows, columns.transpose(Image.Transpose.TRANSPOSE)):
        counts = [sum(pair) for pair in zip(counts, _slowness(picture), strict=True)]
    total = sum(counts)
    if total < LEAST_EDGES:
        return None
    left = STEEPEST_SHARE * total
    for slowness, count in enumerate(counts):
        left -= count
        if left <= 0:
            return float(2 ** (-slowness / _PER_OCTAVE))
    raise AssertionError("the counts add up to the total")


def _slowness(grey: Image.Image) -> list[int]:
    """How many edges across rows have each logarithm of range by step, see ``_LOGARITHMS``."""
    if grey.width <= WINDOW_PX:
        return [0] * _GREYS
    first, second = _cut(grey, 0, 1), _cut(grey, 1, 0)
    steps = ImageChops.difference(first, second)
    # As one picture: three maxima for the price of one. The minimum is the maximum of the inverse.
    highest, inverse, steepest = _maxima(Image.merge("RGB", (first, ImageChops.invert(first), steps))).split()
    middle = _cut(steps, WINDOW_PX // 2 - 1, WINDOW_PX // 2)
    spans = ImageChops.difference(highest, ImageChops.invert(inverse))
    edges = ImageChops.darker(spans.point(_EDGES), ImageChops.difference(steepest, middle).point(_EQUAL))
    slowness = ImageChops.difference(spans.point(_LOGARITHMS), steepest.point(_LOGARITHMS))
    return slowness.histogram(edges)


def _maxima(image: Image.Image) -> Image.Image:
    """The maximum of every window along a row; narrower by ``WINDOW_PX - 1``."""
    covered = 1
    while covered < WINDOW_PX:
        image = ImageChops.lighter(_cut(image, 0, covered), _cut(image, covered, 0))
        covered *= 2
    return image


def _cut(image: Image.Image, left: int, right: int) -> Image.Image:
    """Without so many columns on either side."""
    return image.crop((left, 0, image.width - right, image.height))
