"""Colours for groups and for steps of time, told apart on light and on dark ground.

Chosen in Oklch (Ottosson 2020), where equal steps look equal, and brought into sRGB.
"""

from __future__ import annotations

import math

NEUTRAL = "#8f969c"  # of what belongs to no group
_GOLDEN_ANGLE = 180 * (3 - math.sqrt(5))
_FIRST_HUE, _CHROMA = 252.0, 0.15
_LIGHTNESSES = (0.66, 0.74, 0.58)  # of one round of hues after another
_HUES_IN_A_ROUND = 7
_EARLY, _LATE = (0.50, 288.0), (0.80, 75.0)  # lightness and hue of the first and the last step
_TO_SMALLER_CHROMA = 0.96


def groups(count: int) -> list[str]:
    """``count`` colours as "#rrggbb": neighbours in the list lie far apart in hue."""
    return [
        _hex(_LIGHTNESSES[i // _HUES_IN_A_ROUND % len(_LIGHTNESSES)], _CHROMA, _FIRST_HUE + i * _GOLDEN_ANGLE)
        for i in range(count)
    ]


def steps(count: int) -> list[str]:
    """``count`` colours as "#rrggbb" in an order that the eye can follow: dark violet to light amber."""
    shares = [i / (count - 1) if count > 1 else 0.5 for i in range(count)]
    return [
        _hex(_EARLY[0] + share * (_LATE[0] - _EARLY[0]), _CHROMA, _EARLY[1] + share * (_LATE[1] - _EARLY[1]))
        for share in shares
    ]


def _hex(lightness: float, chroma: float, hue: float) -> str:
    linear = _linear(lightness, chroma, hue)
    while not all(0 <= value <= 1 for value in linear):  # out of gamut: less colourful, hue and lightness kept
        chroma *= _TO_SMALLER_CHROMA
        linear = _linear(lightness, chroma, hue)
    return "#" + "".join(f"{round(255 * _gamma(value)):02x}" for value in linear)


def _linear(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """Linear red, green and blue of a colour in Oklch; the matrices are those of its definition."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
