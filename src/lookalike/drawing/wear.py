"""Age and use: what makes each drawn part an individual, the same in every photograph of it. Ours, no source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.drawing.materials import RUST, STEEL
from lookalike.drawing.piece import (
    PX_PER_UNIT,
    REACH,
    SIZE_PX,
    Piece,
    Plane,
    distance_to,
    noise,
    plane,
    ramp,
    resample,
    smooth,
    window,
)

TABLE = 256  # steps of each axis of the light tables over the direction of a surface
FAR = 2.0  # shadows are followed on the ground as far as -FAR..FAR
SHADOW_PX = 320


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A weathered part, ready to be photographed any number of times.

    Attributes:
        height: (n, n) float32, 0 on the ground.
        under: (n, n) float32, where the body ends below.
        where: (m,) int64, the points of the flattened plane that the part covers; the next three have a row for each.
        skin: (6, m) float32: linear R, G, B, metalness, roughness, openness (1 where nothing stands close).
        facing: (m,) int32, the row of the light tables for the direction of the surface.
        shaded_by: (m,) int32, the point of a flattened shadow map.
        low: (SHADOW_PX, SHADOW_PX) float32, the heights again over -FAR..FAR, for shadows.
        low_under: Likewise where the body ends below.
        near: (SHADOW_PX, SHADOW_PX) float32, 1 where the part stands close and keeps light from the ground.
    """

    height: Plane
    under: Plane
    where: NDArray[np.int64]
    skin: Plane
    facing: NDArray[np.int32]
    shaded_by: NDArray[np.int32]
    low: Plane
    low_under: Plane
    near: Plane


def weather(piece: Piece, wear: float, rust: float) -> Surface:
    """Give a part its scratches, dirt, worn edges and rust, each 0..1, and prepare it for photographs."""
    rng, size = piece.rng, (SIZE_PX, SIZE_PX)
    _dents(piece, wear)
    height = np.maximum(piece.height, 0)
    *color, metal, rough, wears = piece.surface()
    clouds, fine = noise(rng, size, 5), noise(rng, size, 60, 2)
    hollow = smooth(height, 10) - height
    broad = smooth(height, 40) - height
    edge = ramp(-hollow, 0.02, 0.05) * ramp(clouds + fine, 0.9 - wear, 1.4 - wear) * wears * (metal < 0.5)
    dirt = ramp(hollow / 0.04 + broad / 0.15 + clouds * 0.5 + fine * 0.3, 0.2, 1.4) * (0.25 + 0.6 * wear)
    spread = clouds + 0.35 * fine + hollow / 0.05
    stain = ramp(spread, 1.3 - 2.2 * rust, 2.0 - 2.2 * rust) * (rust > 0) * (wears > 0.9)
    grime = (1 - 0.7 * dirt) * (1 + (0.08 * clouds + 0.05 * fine) * (0.3 + 0.7 * wears))
    mottle = 1 + 0.35 * noise(rng, size, 25, 3) + 0.25 * fine
    for channel, bare, brown in zip(color, STEEL.color, RUST.color, strict=True):
        channel += edge * (np.float32(0.8 * bare) - channel)
        channel *= grime
        channel += stain * (np.float32(brown) * mottle - channel)
    metal += edge * (0.9 - metal)
    metal *= 1 - stain
    rough += (0.12 * clouds + 0.07 * fine) * (0.3 + 0.7 * wears) + 0.4 * dirt
    rough += stain * (0.95 - rough)
    nx, ny = _normals(piece, height + 0.0015 * fine * stain, metal, rough, wear * wears)
    openness = 1 - np.clip(1.1 * np.maximum(hollow, 0) / 0.06 + 0.9 * np.maximum(broad, 0) / 0.2, 0, 0.8)
    return _prepared(height, np.minimum(piece.under, height), nx, ny, (*color, metal, rough, openness))


def _prepared(height: Plane, under: Plane, nx: Plane, ny: Plane, skin: tuple[Plane, ...]) -> Surface:
    """Everything about a part that is the same in all its photographs."""
    where = np.flatnonzero(height > 0)
    x, y = (p.ravel()[where] for p in plane()[:2])
    nx, ny = nx.ravel()[where], ny.ravel()[where]
    # The camera is near: towards the rim it sees the surface as if that were turned a little.
    across, along = (
        np.clip((n + 0.13 * p + 1) * (TABLE / 2), 0, TABLE - 1).astype(np.int32) for n, p in ((nx, x), (ny, y))
    )
    column, row = (((p + FAR) * (SHADOW_PX / (2 * FAR))).astype(np.int32) for p in (x, y))
    return Surface(
        height,
        under,
        where,
        np.stack([np.clip(p.ravel()[where], 0, 1) for p in skin]),
        along * TABLE + across,
        row * SHADOW_PX + column,
        *_from_afar(height, under),
    )


def _dents(piece: Piece, wear: float) -> None:
    rng = piece.rng
    for _ in range(int(rng.poisson(5 * wear))):
        x, y, size = float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-0.9, 0.9)), float(rng.uniform(0.015, 0.05))
        part = window(x, y, 2.4 * size)
        piece.emboss(-0.25 * size * np.exp(-((distance_to(x, y, part) / size) ** 2)), part)


def _normals(piece: Piece, height: Plane, metal: Plane, rough: Plane, wear: Plane) -> tuple[Plane, Plane]:
    """X and y of the unit normals of the heights, with tool marks, casting skin and scratches."""
    rng, (x, y, r, _) = piece.rng, plane()
    soft = np.pad(height * np.float32(PX_PER_UNIT), 1, mode="edge")
    for _ in range(2):  # 1-2-1 each way: walls run at any angle, not in steps of a pixel
        soft = (0.25 * (soft[:-2] + soft[2:]) + 0.5 * soft[1:-1]).T
    gy, gx = np.gradient(soft)
    rings = np.repeat(rng.standard_normal(600), 2).astype(np.float32)
    if piece.grain == "turned":
        marks = 0.07 * rings[(r * 600).astype(int)] * metal / (r + 0.01)
        gx, gy = gx + marks * x, gy + marks * y
    elif piece.grain == "along":
        gx = gx + 0.10 * rings[((x + REACH) * 400).astype(int)] * metal
    else:
        gy = gy + 0.07 * rings[((y + REACH + 0.02 * np.sin(x)) * 400).astype(int)] * metal
    grain = rng.standard_normal(height.shape, dtype=np.float32) * (0.02 + 0.10 * np.clip(rough - 0.4, 0, 1))
    scratch = _scratches(rng, int(60 * wear.max())) * (wear > 0)
    wavy = 0.03 * noise(rng, height.shape, 4, 2)
    gx, gy = gx + grain + 0.5 * scratch + wavy, gy + grain[::-1] + 0.4 * scratch + wavy[:, ::-1]
    unit = 1 / np.sqrt(1 + gx * gx + gy * gy)
    return -gx * unit, -gy * unit


def _scratches(rng: np.random.Generator, count: int) -> Plane:
    """Fine lines, -1..1: how far each tilts the surface."""
    from PIL import Image, ImageDraw, ImageFilter

    sheet = Image.new("L", (SIZE_PX, SIZE_PX), 128)
    pen = ImageDraw.Draw(sheet)
    for _ in range(count):
        start, angle, long = rng.uniform(0, SIZE_PX, 2), rng.uniform(0, np.pi), rng.exponential(90)
        way = np.array([np.cos(angle), np.sin(angle)]) * long
        points = [tuple(start + way * t + rng.normal(0, long * 0.02, 2)) for t in (0, 0.5, 1)]
        pen.line(points, int(128 + rng.uniform(-110, 110)), int(rng.integers(1, 3)))
    return np.asarray(sheet.filter(ImageFilter.BoxBlur(1)), np.float32) / 128 - 1


def _from_afar(height: Plane, under: Plane) -> tuple[Plane, Plane, Plane]:
    inner = int(SHADOW_PX * REACH / FAR)
    margin = (SHADOW_PX - inner) // 2
    low, low_under = (np.pad(np.maximum(resample(p, (inner, inner)), 0), margin) for p in (height, under))
    body = low * np.exp(-8 * low_under)
    near = 0.65 * np.clip(smooth(body, 12) / 0.12, 0, 1) + 0.35 * np.clip(smooth(body, 30) / 0.2, 0, 1)
    return low, low_under, near
