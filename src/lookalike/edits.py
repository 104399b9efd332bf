"""What happens to pictures that are copied around: seeded edits, for finding known images again.

Edits work on decoded pixels only; files are none of their business. The same picture, edit and seed give the same
pixels.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from lookalike.errors import SettingError, ShapeError
from lookalike.types import Pixels

Random = np.random.Generator

_BLUR_FRACTION = 0.01  # of the shorter side
_OVERLAY_FRACTION = 0.1  # of the area
_LETTERS = 12


@dataclass(frozen=True, slots=True)
class Edit:
    """One way in which a copy differs from its original.

    Attributes:
        name: What tables call it.
        what: What it does, in words.
        make: (picture, random numbers) -> edited picture, both RGB.
    """

    name: str
    what: str
    make: Callable[[Image.Image, Random], Image.Image]


def apply(name: str, pixels: Pixels, seed: int) -> Pixels:
    """An edited copy of a picture.

    Args:
        name: One of ``EDITS``.
        pixels: (h, w, 3) uint8 RGB.
        seed: 0 or more; decides places and colours where an edit leaves them open. The size of the result depends on
            the name and the size of the picture only.

    Returns:
        (h', w', 3) uint8 RGB; crops and scales are smaller, a quarter turn swaps the sides.

    Raises:
        SettingError: there is no edit of that name.
        ShapeError: the pixels are no such array.
    """
    if name not in EDITS:
        raise SettingError(f"there is no edit {name!r}", hint=f"one of {', '.join(EDITS)}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ShapeError(f"pixels: expected (h, w, 3) uint8, got {pixels.shape} {pixels.dtype.name}")
    random = np.random.default_rng([seed, *name.encode()])
    return np.array(EDITS[name].make(Image.fromarray(pixels), random))


def _jpeg(image: Image.Image, _: Random, *, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data, formats=["JPEG"])


def _crop(image: Image.Image, random: Random, *, fraction: float) -> Image.Image:
    """A part of the same aspect ratio, anywhere."""
    width, height = (max(1, round(side * math.sqrt(fraction))) for side in image.size)
    left = int(random.integers(image.width - width + 1))
    top = int(random.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _scale(image: Image.Image, _: Random, *, fraction: float) -> Image.Image:
    width, height = (max(1, round(side * fraction)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _rotate(image: Image.Image, random: Random, *, degrees: int) -> Image.Image:
    """About the middle, either way, in a frame of the same size: what is turned out is lost, corners become black."""
    angle = degrees if random.integers(2) else -degrees
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=degrees == 90)


def _flip(image: Image.Image, _: Random) -> Image.Image:
    return ImageOps.mirror(image)


def _blur(image: Image.Image, _: Random) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(_BLUR_FRACTION * min(image.size)))


def _grey(image: Image.Image, _: Random) -> Image.Image:
    return image.convert("L").convert("RGB")


def _brightness(image: Image.Image, _: Random, *, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def _overlay(image: Image.Image, random: Random) -> Image.Image:
    """A bar over the whole width, or a square, somewhere, with a row of blocks on it that look like letters."""
    covered = _OVERLAY_FRACTION * image.width * image.height
    width = image.width if random.integers(2) else min(image.width, max(1, round(math.sqrt(covered))))
    height = min(image.height, max(1, round(covered / width)))
    left = int(random.integers(image.width - width + 1))
    top = int(random.integers(image.height - height + 1))
    paper, ink = random.permutation([(250, 250, 245), (20, 20, 25)])
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((left, top, left + width - 1, top + height - 1), fill=tuple(paper.tolist()))
    step = width / (_LETTERS + 1)
    for letter, (wide, tall) in enumerate(random.uniform(0.4, 0.8, size=(_LETTERS, 2))):
        x, y = left + (letter + 0.7) * step, top + height * 0.8
        pen.rectangle((x, y - height * 0.7 * tall, x + step * wide, y), fill=tuple(ink.tolist()))
    return drawn


_ALL = (
    *(Edit(f"jpeg {q}", f"saved as a JPEG of quality {q}", partial(_jpeg, quality=q)) for q in (75, 50, 30, 10)),
    *(Edit(f"crop {p}%", f"{p} % of the area, anywhere", partial(_crop, fraction=p / 100)) for p in (90, 70, 50)),
    *(Edit(f"scale {p}%", f"both sides scaled to {p} %", partial(_scale, fraction=p / 100)) for p in (50, 25)),
    Edit("rotate 5", "turned by 5 degrees either way, black corners", partial(_rotate, degrees=5)),
    Edit("rotate 15", "turned by 15 degrees either way, black corners", partial(_rotate, degrees=15)),
    Edit("rotate 90", "turned by a quarter either way", partial(_rotate, degrees=90)),
    Edit("flip", "left and right swapped", _flip),
    Edit("blur", "blurred: Gaussian with a radius of 1 % of the shorter side", _blur),
    Edit("grey", "colours taken out", _grey),
    Edit("darker", "half as bright", partial(_brightness, factor=0.5)),
    Edit("brighter", "half as bright again, highlights clipped", partial(_brightness, factor=1.5)),
    Edit("overlay", "a bar or square with letters over 10 % of the area", _overlay),
)
EDITS: dict[str, Edit] = {edit.name: edit for edit in _ALL}
