"""A drawn part as a height map with materials: what `parts` builds, `wear` ages and `scene` photographs.

Ours, no source: a part lies on the ground plane inside the unit circle, seen from above; its surface is one height per
point. A tube that bends, a bore or a thread are all heights. Wear is added once per part, so that an individual
keeps its scratches in every photo.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.drawing.materials import Material

Plane = NDArray[np.floating[Any]]  # float32, all of it
Mask = NDArray[np.bool_]
Window = tuple[slice, slice]
T = TypeVar("T")

SIZE_PX = 736
REACH = 1.25  # the plane shows -REACH..REACH; parts stay within radius 1.1
PX_PER_UNIT = SIZE_PX / (2 * REACH)
GROUND = -1.0
ALL: Window = (slice(None), slice(None))


@cache
def plane() -> tuple[Plane, Plane, Plane, Plane]:
    """x, y, radius and angle of every point of the plane, each (SIZE_PX, SIZE_PX)."""
    axis = ((np.arange(SIZE_PX, dtype=np.float32) + 0.5) / PX_PER_UNIT - REACH).astype(np.float32)
    x, y = np.broadcast_to(axis, (SIZE_PX, SIZE_PX)), np.broadcast_to(axis[:, None], (SIZE_PX, SIZE_PX))
    return x, y, np.sqrt(x * x + y * y), np.arctan2(y, x)


def resample(values: Plane, size: tuple[int, int]) -> Plane:
    """The values as (height, width), smoothly."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def noise(rng: np.random.Generator, size: tuple[int, int], coarse: float, octaves: int = 4, gain: float = 0.5) -> Plane:
    """Cloudy noise of about -1..1, (height, width); ``coarse``: how many clouds lie side by side."""
    cells = int(coarse) + 2
    total = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    for octave in range(1, octaves):
        cells = min(cells * 2, min(size))
        total = resample(total, (cells, cells))
        total = total + gain**octave * rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return resample(total, size)


def smooth(values: Plane, factor: int) -> Plane:
    """Blurred over about ``factor`` pixels."""
    h, w = values.shape
    return resample(resample(values, (max(h // factor, 4), max(w // factor, 4))), (h, w))


def ramp(values: Plane, low: float, high: float) -> Plane:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def distance_to(x: float, y: float, part: Window = ALL) -> Plane:
    """How far the points of the plane, or of a window, are from one point."""
    px, py, _, _ = plane()
    return np.asarray(np.sqrt((px[part] - x) ** 2 + (py[part] - y) ** 2))


def around(count: int, radius: float, turn: float = 0.0) -> list[tuple[float, float]]:
    """Points spread evenly over a circle around the middle."""
    angles = turn + 2 * np.pi * np.arange(count) / count
    return [(float(radius * np.cos(a)), float(radius * np.sin(a))) for a in angles]


def polygon(sides: int, apothem: float, turn: float = 0.0) -> Plane:
    """Signed distance to a regular polygon around the middle, negative inside."""
    _, _, r, a = plane()
    sector = 2 * np.pi / sides
    return np.asarray(r * np.cos((a - turn + sector / 2) % sector - sector / 2) - apothem)


def box(x: Plane, y: Plane, half_x: float, half_y: float, corner: float = 0.0) -> Plane:
    """Signed distance to a rectangle with round corners, negative inside."""
    dx, dy = np.abs(x) - (half_x - corner), np.abs(y) - (half_y - corner)
    outside = np.sqrt(np.maximum(dx, 0) ** 2 + np.maximum(dy, 0) ** 2)
    return np.asarray(outside + np.minimum(np.maximum(dx, dy), 0) - corner)


def slab(distance: Plane, top: float, bevel: float = 0.02) -> Plane:
    """Heights of a plate with a rounded edge from a signed distance; GROUND outside."""
    t = np.clip((distance + bevel) / bevel, 0, 1)
    return np.where(distance <= 0, top - bevel * (1 - np.sqrt(1 - t * t)), GROUND)


def dome(distance: Plane, radius: float, center: float) -> Plane:
    """Heights of a ball or round bar whose axis lies at height ``center``; GROUND outside."""
    inside = radius * radius - distance * distance
    return np.where(inside > 0, center + np.sqrt(np.maximum(inside, 0)), GROUND)


def window(x: float, y: float, reach_x: float, reach_y: float | None = None) -> Window:
    """The rows and columns of the plane within a reach of a point: small things are drawn only there."""
    reach_y = reach_x if reach_y is None else reach_y
    ends = [(y - reach_y, y + reach_y), (x - reach_x, x + reach_x)]
    low, high = np.clip((np.array(ends).T + REACH) * PX_PER_UNIT + [[0], [1]], 0, SIZE_PX).astype(int)
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def only(where: Mask, height: float | Plane) -> Plane:
    """The height where the condition holds, GROUND elsewhere."""
    return np.where(where, np.asarray(height, np.float32), np.float32(GROUND))


def tube(path: NDArray[np.float64], radius: float) -> tuple[Plane, Plane]:
    """Heights of a round bar along a path (n, 3) of points, GROUND where it is not, and of its axis."""
    result, axis = np.full((SIZE_PX, SIZE_PX), GROUND, np.float32), np.zeros((SIZE_PX, SIZE_PX), np.float32)
    x, y, _, _ = plane()
    for a, b in pairwise(path):
        middle, half = (a + b) / 2, np.abs(a - b) / 2 + radius
        part = window(float(middle[0]), float(middle[1]), float(half[0]), float(half[1]))
        d = b - a
        t = np.clip(((x[part] - a[0]) * d[0] + (y[part] - a[1]) * d[1]) / max(d[0] ** 2 + d[1] ** 2, 1e-9), 0, 1)
        square = radius**2 - (x[part] - a[0] - t * d[0]) ** 2 - (y[part] - a[1] - t * d[1]) ** 2
        level = a[2] + t * d[2]
        bar = np.where(square > 0, level + np.sqrt(np.maximum(square, 0)), GROUND)
        higher = bar > result[part]
        np.copyto(result[part], bar, where=higher, casting="same_kind")
        np.copyto(axis[part], level, where=higher, casting="same_kind")
    return result, axis


class Piece:
    """A part being built.

    Attributes:
        height: (SIZE_PX, SIZE_PX) float32 in units of the plane; GROUND where there is no part.
        under: (SIZE_PX, SIZE_PX) float32, where the body ends below: 0 for what stands on the ground.
        rng: Its own source of chance.
        grain: How it was worked: "turned" on a lathe, rings "along" its length, or "brushed".
    """

    def __init__(self, rng: np.random.Generator, number: int = 0, shared: np.random.Generator | None = None) -> None:
        self.rng = rng
        self.grain = "turned"
        self._number_in_kind = number
        self._shared = shared if shared is not None else rng
        self.height: Plane = np.full((SIZE_PX, SIZE_PX), GROUND, np.float32)
        self.under: Plane = np.zeros((SIZE_PX, SIZE_PX), np.float32)
        self._materials: list[Material] = []
        self._which = np.zeros((SIZE_PX, SIZE_PX), np.uint8)

    def serial(self) -> str:
        """A number as it is stamped on parts."""
        rng = self.rng
        return f"{rng.choice(list('ABCDEFGHKLMNPRSTX'))}{rng.integers(10, 99)}-{rng.integers(100, 9999)}"

    def one_of(self, *choices: T) -> T:
        """A choice that differs between the first individuals of a kind."""
        return choices[(int(self._shared.integers(len(choices))) + self._number_in_kind) % len(choices)]

    def _number(self, material: Material) -> int:
        if material not in self._materials:
            self._materials.append(material)
        return self._materials.index(material)

    def add(self, height: Plane, material: Material, axis: float | Plane | None = None, part: Window = ALL) -> None:
        """Put something on: wherever it is higher than what is there, it shows.

        Args:
            height: Its top, GROUND where it is not.
            material: What it is made of.
            axis: Height of the middle of a round body, which is as deep below as it is high above; None: it stands on
                the ground or on what lies below it.
            part: The window that ``height`` is given for.
        """
        higher = height > self.height[part]
        if axis is not None:
            np.copyto(self.under[part], np.maximum(2 * axis - height, 0), where=higher, casting="same_kind")
        np.copyto(self.height[part], height, where=higher, casting="same_kind")
        np.copyto(self._which[part], np.uint8(self._number(material)), where=higher)

    def add_bar(self, path: NDArray[np.float64], radius: float, material: Material) -> None:
        """Put on a round bar along a path (n, 3) of points."""
        height, axis = tube(path, radius)
        self.add(height, material, axis)

    def cut(
        self, where: Mask, depth: float | Plane = GROUND, material: Material | None = None, part: Window = ALL
    ) -> None:
        """Lower the surface to ``depth``; the default makes a hole through which the ground shows."""
        lower = where & (self.height[part] > depth)
        np.copyto(self.height[part], depth, where=lower, casting="same_kind")
        if material is not None:
            np.copyto(self._which[part], np.uint8(self._number(material)), where=lower)

    def emboss(self, amount: Plane, part: Window = ALL) -> None:
        """Raise or lower the surface a little, where there is any."""
        here = self.height[part]
        np.add(here, amount, out=here, where=here > 0, casting="same_kind")

    def mark(self, where: Mask, material: Material, part: Window = ALL) -> None:
        """Change the material without changing the shape."""
        np.copyto(self._which[part], np.uint8(self._number(material)), where=where & (self.height[part] > 0))

    def text(
        self, text: str, center: tuple[float, float], size: float, *, turn_degrees: float = 0.0, arc: float = 0.0
    ) -> Mask:
        """Where the letters of a text lie; ``arc`` bends it around the middle at that radius instead."""
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.load_default(size * PX_PER_UNIT)
        sheet = Image.new("L", (SIZE_PX, SIZE_PX))

        def put(letters: str, x: float, y: float, degrees: float) -> None:
            stamp = Image.new("L", (SIZE_PX // 2, SIZE_PX // 4))
            ImageDraw.Draw(stamp).text((SIZE_PX // 4, SIZE_PX // 8), letters, 255, font, anchor="mm")
            stamp = stamp.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
            at = [int((v + REACH) * PX_PER_UNIT - s / 2) for v, s in zip((x, y), stamp.size, strict=True)]
            sheet.paste(255, (at[0], at[1]), stamp)

        if not arc:
            put(text, *center, turn_degrees)
        for i, letter in enumerate(text if arc else ""):
            angle = np.radians(turn_degrees) + (i - (len(text) - 1) / 2) * size * 0.8 / arc
            put(letter, arc * np.sin(angle), -arc * np.cos(angle), -np.degrees(angle))
        return np.asarray(sheet) > 110

    def surface(self) -> Plane:
        """R, G, B, metalness, roughness and how much it wears, (6, n, n), before any wear."""
        table = np.array([[*m.color, m.metal, m.rough, m.wears] for m in self._materials], np.float32)
        return np.ascontiguousarray(table.T[:, self._which])
