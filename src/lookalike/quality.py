"""How pictures came out: the four measures, and from where on a picture counts as flawed. No arrays, no libraries.

The measures are made by ``decode_quality``; ``docs/quality.md`` says what they mean and how the lines were chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.errors import ShapeError

RANGES = {"sharpness": 1.0, "brightness": 1.0, "contrast": 0.5, "information": 8.0}
"""The measures of a Quality, and the most that each can be; the least is 0."""

FLAWS = ("blurred", "dark", "bright", "plain")
BLURRED_BELOW = 0.4  # sharpness; edges of pictures in focus are twice as steep
BLURRED_SHARE = 0.7  # and below this share of the gallery's median, because some subjects have soft edges
DARK_BELOW = 0.15  # brightness
BRIGHT_ABOVE = 0.85
PLAIN_CONTRAST = 0.02  # less is a blank picture with noise
PLAIN_BELOW = 0.2  # information: less than a smooth shade over the whole picture has


@dataclass(frozen=True, slots=True)
class Quality:
    """How a picture came out, measured on its thumbnail.

    Attributes:
        sharpness: How steep its steepest edges are, 0 (soft) to 1 (from one pixel to the next); None where it has too
            few edges to tell.
        brightness: Mean grey value, 0 (black) to 1 (white).
        contrast: Standard deviation of the grey values, 0 to 0.5.
        information: How much there is to see: bits per pixel of the thumbnail's JPEG beyond those of a picture of one
            colour, 0 to 8.
    """

    sharpness: float | None
    brightness: float
    contrast: float
    information: float

    def __post_init__(self) -> None:
        for name, most in RANGES.items():
            value = getattr(self, name)
            if not (name == "sharpness" if value is None else 0 <= value <= most):
                raise ShapeError(f"quality: {name} {value!r} is not within 0 to {most:g}")
