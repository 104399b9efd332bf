"""What the drawn parts lie on: concrete, wood, sheet metal, cloth and the like, seen from straight above.

Each function returns linear colour (n, n, 3) and heights in pixels (n, n); `ground` lights the heights from +x, and the
photographer turns the texture so that this agrees with the lamp. Ours, no source.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lookalike.drawing.materials import Color
from lookalike.drawing.piece import Plane, noise, ramp, resample, smooth

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 1280  # pixels; the texture stands for 8 x 8 units of the plane
UNIT = SIZE / 8


def _grid() -> tuple[Plane, Plane]:
    axis = np.arange(SIZE, dtype=np.float32)
    return np.broadcast_to(axis, (SIZE, SIZE)), np.broadcast_to(axis[:, None], (SIZE, SIZE))


def _flat(color: Color, amount: Plane) -> Plane:
    return np.asarray(np.array(color, np.float32) * np.clip(1 + amount, 0.05, 3)[..., None])


def _speckle(rng: np.random.Generator) -> Plane:
    return rng.standard_normal((SIZE, SIZE)).astype(np.float32)


def concrete(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Grey, cloudy, with pits, sand and oil stains."""
    full = (SIZE, SIZE)
    clouds, sand = noise(rng, full, 6, 5, 0.6), _speckle(rng)
    pits = ramp(noise(rng, full, 160, 2), 0.95, 1.2)
    oil = ramp(noise(rng, full, 4, 3), 0.55, 0.95)
    color = _flat((0.30, 0.29, 0.275), 0.16 * clouds + 0.10 * sand - 0.5 * pits - 0.55 * oil)
    return color, 0.5 * smooth(sand, 3) + 1.2 * noise(rng, full, 50, 3) - 2.5 * pits


def wood(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Planks of a workbench with grain, gaps and stains."""
    _, y = _grid()
    planks = np.floor(y / (1.3 * UNIT))
    grain = np.zeros((SIZE, SIZE), np.float32)
    shift = rng.uniform(0, SIZE, 16)
    for octave, (along, across) in enumerate(((6, 90), (10, 260), (14, 640))):
        grain += resample(rng.uniform(-1, 1, (across, along)).astype(np.float32), (SIZE, SIZE)) * 0.7**octave
    rings = np.sin((y + 18 * noise(rng, (SIZE, SIZE), 3, 2)) / 5.5 + shift[planks.astype(int) % 16])
    tone = rng.uniform(-0.22, 0.22, 16)[planks.astype(int) % 16].astype(np.float32)
    gap = ramp(np.abs((y / (1.3 * UNIT)) % 1 - 0.5), 0.488, 0.498)
    stain = ramp(noise(rng, (SIZE, SIZE), 4, 4), 0.5, 1.1)
    color = _flat((0.33, 0.185, 0.085), 0.20 * grain + 0.10 * rings + tone - 0.9 * gap - 0.5 * stain)
    return color, 0.8 * grain - 6 * gap


def painted_metal(rng: np.random.Generator, paint: Color) -> tuple[Plane, Plane]:
    """A painted bench top with scuffs and scratches down to the metal."""
    full = (SIZE, SIZE)
    scuff = ramp(noise(rng, full, 10, 5, 0.7), 0.95, 1.5)
    marks = _lines(rng, 130, 160.0)
    color = _flat(paint, 0.10 * noise(rng, full, 5) + 0.03 * _speckle(rng))
    bare = np.clip(0.6 * scuff + 0.8 * marks, 0, 1)[..., None]
    return color + bare * (np.float32(0.30) - color), 0.7 * noise(rng, full, 120, 2) - 1.0 * marks


def _lines(rng: np.random.Generator, count: int, mean_length: float) -> Plane:
    from PIL import Image, ImageDraw

    sheet = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(sheet)
    for _ in range(count):
        start, angle, long = rng.uniform(0, SIZE, 2), rng.uniform(0, 2 * np.pi), rng.exponential(mean_length)
        end = start + long * np.array([np.cos(angle), np.sin(angle)])
        pen.line(
            [tuple(start), tuple((start + end) / 2 + rng.normal(0, 6, 2)), tuple(end)], int(rng.integers(60, 255)), 1
        )
    return np.asarray(sheet, np.float32) / 255


def floor(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """A painted workshop floor with a worn yellow line."""
    full, (x, _) = (SIZE, SIZE), _grid()
    clouds = noise(rng, full, 8, 5, 0.6)
    color = _flat((0.105, 0.125, 0.135), 0.2 * clouds + 0.06 * _speckle(rng))
    worn = ramp(noise(rng, full, 30, 4, 0.7), 0.3, 0.9)
    line = (np.abs(x - SIZE * rng.uniform(0.25, 0.75)) < 0.45 * UNIT) * (1 - 0.8 * worn)
    color += line[..., None] * (np.array((0.60, 0.36, 0.02), np.float32) - color)
    dirt = 0.55 * ramp(noise(rng, full, 5, 4), 0.3, 1.3) + 0.5 * _lines(rng, 60, 200.0)
    return color * (1 - 0.7 * dirt)[..., None], 0.8 * noise(rng, full, 90, 3) + 0.3 * line


def cloth(rng: np.random.Generator, dye: Color) -> tuple[Plane, Plane]:
    """A woven shop cloth with folds."""
    full, (x, y) = (SIZE, SIZE), _grid()
    bend = 10 * noise(rng, full, 3, 2)
    weave = np.sin((x + bend) * 1.05) * np.sin((y - bend) * 1.05)
    threads = np.sin((x + y + bend) * 0.52)
    folds = noise(rng, full, 3, 3, 0.45)
    grease = ramp(noise(rng, full, 6, 4), 0.55, 1.2)
    color = _flat(dye, 0.16 * weave + 0.10 * threads + 0.06 * _speckle(rng) + 0.10 * folds - 0.45 * grease)
    return color, 0.5 * weave + 26 * folds


def tread_plate(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Steel plate with a pattern of raised bars."""
    full, (x, y) = (SIZE, SIZE), _grid()
    pitch = 0.42 * UNIT
    height = np.zeros(full, np.float32)
    for turn, shift in ((0, 0.0), (1, 0.5)):
        u, v = ((x + y) / 1.414 / pitch + shift) % 1 - 0.5, ((x - y) / 1.414 / pitch + shift) % 1 - 0.5
        long, wide = (u, v) if turn else (v, u)
        height = np.maximum(height, 1 - ramp((long / 0.36) ** 2 + (wide / 0.11) ** 2, 0.35, 1.0))
    grime = noise(rng, full, 7, 5, 0.6)
    color = _flat((0.24, 0.24, 0.245), 0.30 * height + 0.18 * grime + 0.05 * _speckle(rng))
    return color, 5 * height + 0.5 * noise(rng, full, 140, 2)


def cutting_mat(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """A green mat with a printed grid and knife marks."""
    full, (x, y) = (SIZE, SIZE), _grid()
    grid = np.zeros(full, np.float32)
    for step, strength, width in ((UNIT * 0.5, 0.75, 0.9), (UNIT * 0.1, 0.22, 0.6)):
        for p in (x, y):
            grid = np.maximum(grid, strength * (np.abs((p / step + 0.5) % 1 - 0.5) * step < width))
    color = _flat((0.025, 0.115, 0.085), 0.10 * noise(rng, full, 6) + 0.06 * _speckle(rng))
    color += (0.7 * grid)[..., None] * (np.array((0.42, 0.50, 0.36), np.float32) - color)
    marks = _lines(rng, 90, 110.0)
    return color + 0.05 * marks[..., None], 0.4 * _speckle(rng) - 1.2 * marks


def cardboard(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Brown packing board with flutes, creases and fibres."""
    full, (x, y) = (SIZE, SIZE), _grid()
    flutes = np.sin((y + 3 * noise(rng, full, 4, 2)) * 2 * np.pi / 9)
    crease = ramp(np.abs(x - SIZE * rng.uniform(0.2, 0.8) + 6 * noise(rng, full, 6)), 5, 0.5)
    spots = ramp(noise(rng, full, 200, 2), 0.9, 1.2)
    color = _flat(
        (0.37, 0.235, 0.125), 0.09 * noise(rng, full, 6, 5) + 0.03 * flutes + 0.05 * _speckle(rng) - 0.25 * spots
    )
    return color, 0.35 * flutes - 4 * crease + 0.3 * _speckle(rng)


def conveyor(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """A black rubber belt with a fine pattern and dust."""
    full, (x, y) = (SIZE, SIZE), _grid()
    pattern = ramp(np.abs(((x + y) / 11) % 1 - 0.5), 0.1, 0.4) * ramp(np.abs(((x - y) / 11) % 1 - 0.5), 0.1, 0.4)
    dust = np.clip(0.5 + 0.6 * noise(rng, full, 7, 5, 0.65), 0, 2)
    color = _flat((0.028, 0.029, 0.031), 0.8 * dust + 0.3 * pattern + 0.12 * _speckle(rng))
    return color + 0.5 * _lines(rng, 40, 60.0)[..., None] * 0.1, 1.4 * pattern


def light_table(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """White inspection paper, slightly uneven, with pencil marks."""
    full = (SIZE, SIZE)
    color = _flat((0.66, 0.66, 0.645), 0.035 * noise(rng, full, 4) + 0.015 * _speckle(rng))
    pencil = _lines(rng, 25, 80.0) + 0.4 * ramp(noise(rng, full, 9, 4), 0.95, 1.5)
    return color * (1 - 0.35 * pencil)[..., None], 0.25 * _speckle(rng) + 3 * noise(rng, full, 4, 2)


GROUNDS: tuple[Callable[[np.random.Generator], tuple[Plane, Plane]], ...] = (
    concrete,
    wood,
    partial(painted_metal, paint=(0.08, 0.125, 0.17)),
    partial(painted_metal, paint=(0.20, 0.215, 0.20)),
    floor,
    partial(cloth, dye=(0.20, 0.028, 0.024)),
    partial(cloth, dye=(0.05, 0.075, 0.125)),
    partial(cloth, dye=(0.31, 0.29, 0.245)),
    tread_plate,
    cutting_mat,
    cardboard,
    conveyor,
    light_table,
)


def ground(make: Callable[[np.random.Generator], tuple[Plane, Plane]], rng: np.random.Generator) -> Image:
    """The texture as an sRGB Pillow image (SIZE, SIZE), its heights lit from +x."""
    from PIL import Image

    color, height = make(rng)
    slope = -np.gradient(height, axis=1)
    lit = color * np.clip(1 + 0.42 * slope, 0.25, 2.2)[..., None]
    bytes_of = (np.linspace(0, 1, 4096) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(bytes_of[(np.clip(lit, 0, 1) * 4095).astype(np.int16)])
