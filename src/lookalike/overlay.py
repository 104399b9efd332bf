"""Pictures with a translucent map of what adds to a score on them; pixels in, image files out.

The colours are a diverging pair that people with any colour vision can tell apart, and the strongest quarter has an
outline too, so a black-and-white print still shows it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.types import Float32, Pixels

if TYPE_CHECKING:
    from PIL import Image

LONG_SIDE_PX = 400
ADDS = np.array([214, 94, 0], np.float32)  # vermilion and blue of Okabe and Ito 2008
TAKES = np.array([0, 114, 178], np.float32)
_PALE = 0.45  # how far the picture itself steps back: 0 not at all, 1 to white
_GREY = 0.8  # how much of its colour it loses
_MOST = 0.78  # opacity of the map where it is strongest
_GAP_PX, _LINE_PX, _TEXT_PX = 12, 26, 15


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One picture and its map.

    Attributes:
        title: A few words above it; ours, never a file name.
        pixels: (h, w, 3) uint8.
        contributions: (h', w') float32, over the whole picture.
        aspect: Width by height of the picture as it should be seen.
    """

    title: str
    pixels: Pixels
    contributions: Float32
    aspect: float


def as_png(panels: Sequence[Panel], legend: str) -> bytes:
    """The panels side by side above a line of text, as a PNG; the same panels give the same bytes."""
    from PIL import Image, ImageDraw, ImageFont

    pictures = [overlay(panel) for panel in panels]
    height = max(picture.height for picture in pictures)
    width = sum(picture.width for picture in pictures) + _GAP_PX * (len(pictures) + 1)
    font = ImageFont.load_default(_TEXT_PX)
    width = max(width, round(font.getlength(legend)) + 2 * _GAP_PX)
    sheet = Image.new("RGB", (width, _LINE_PX + height + _LINE_PX + _GAP_PX), "white")
    pen, x = ImageDraw.Draw(sheet), _GAP_PX
    for panel, picture in zip(panels, pictures, strict=True):
        pen.text((x, _LINE_PX / 2), panel.title, (90, 90, 90), font, anchor="lm")
        sheet.paste(picture, (x, _LINE_PX + (height - picture.height) // 2))
        x += picture.width + _GAP_PX
    pen.text((_GAP_PX, _LINE_PX + height + _LINE_PX / 2 + 3), legend, (30, 30, 30), font, anchor="lm")
    return _file(sheet, "PNG")


def as_jpeg(panel: Panel) -> bytes:
    """One panel as a JPEG, for a page."""
    return _file(overlay(panel), "JPEG")


def overlay(panel: Panel) -> Image.Image:
    """The picture, paler, under its map: warm where a part adds to the score, cool where it takes away."""
    from PIL import Image

    size = _size(panel.aspect)
    picture = Image.fromarray(panel.pixels).resize(size, Image.Resampling.LANCZOS)
    base = np.asarray(picture, np.float32)
    grey = base @ np.array([0.299, 0.587, 0.114], np.float32)
    base = base + _GREY * (grey[..., None] - base)
    base = base + _PALE * (255 - base)
    heat = enlarge(panel.contributions, size)
    strongest = float(np.abs(heat).max()) or 1.0
    opacity = _MOST * (np.abs(heat) / strongest)[..., None]
    colour = np.where((heat >= 0)[..., None], ADDS, TAKES)
    blended = base + opacity * (colour - base)
    blended[_outline(heat)] = (40, 40, 40)
    return Image.fromarray(np.clip(blended + 0.5, 0, 255).astype(np.uint8))


def enlarge(contributions: Float32, size: tuple[int, int]) -> Float32:
    """A map of (width, height) pixels, bicubic between the middles of the places: smooth, and no place is moved."""
    from PIL import Image

    return np.asarray(Image.fromarray(contributions).resize(size, Image.Resampling.BICUBIC))


def _outline(heat: Float32) -> NDArray[np.bool_]:
    """Where the strongest quarter begins."""
    inside = heat >= np.quantile(heat, 0.75)
    around = np.pad(inside, 1, mode="edge")
    deep = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return inside & ~deep


def _size(aspect: float) -> tuple[int, int]:
    shorter = min(aspect, 1 / aspect)
    short = max(_LINE_PX, round(LONG_SIDE_PX * shorter))
    return (LONG_SIDE_PX, short) if aspect >= 1 else (short, LONG_SIDE_PX)


def _file(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, quality=85)  # a PNG has no quality, and ignores it
    return out.getvalue()
