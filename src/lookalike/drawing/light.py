"""Light on a part: lamp and room, shadow, and from linear light to bytes.

Ours, no source. Diffuse light follows Lambert; reflections show a small workshop of lamps and windows, sharp or soft
by roughness; both are looked up by the direction of the surface. Shadows are marched over the height map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.drawing.camera import Shot, Vector
from lookalike.drawing.piece import Plane, ramp, smooth
from lookalike.drawing.wear import FAR, SHADOW_PX, TABLE, Surface


def tables(shot: Shot, rng: np.random.Generator) -> Plane:
    """What a surface of each direction sends to the camera, (TABLE * TABLE, 7) float32.

    Columns: diffuse from the lamp and from all around, reflection of the lamp when rough and when smooth, of the room
    when rough and when smooth, and Fresnel's factor of a dielectric.
    """
    axis = (np.arange(TABLE, dtype=np.float32) + 0.5) * 2 / TABLE - 1
    nx, ny = np.meshgrid(axis, axis)
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 1e-4, 1))
    n = np.stack([nx, ny, nz], axis=-1) / np.sqrt(nx * nx + ny * ny + nz * nz)[..., None]
    view, lamp = shot.frame()[2].astype(np.float32), shot.lamp().astype(np.float32)
    facing = n @ view
    mirror = 2 * facing[..., None] * n - view
    at_lamp = mirror @ lamp
    lamps = [(_direction(rng, 0.2), rng.uniform(0.08, 0.20), rng.uniform(0.8, 2.0)) for _ in range(3)]
    columns = [np.maximum(n @ lamp, 0), 0.55 + 0.45 * n[..., 2]]
    for spread in (22.0, 420.0):
        columns.append(np.exp((at_lamp - 1) * spread) * (0.7 if spread < 100 else 5.0))
    for soft in (0.38, 0.05):
        room = 0.10 + 0.55 * ramp(mirror[..., 2], 0.10 - soft, 0.75 + soft)
        room *= 1 - 0.45 * np.exp((mirror @ view - 1) * (4 if soft > 0.2 else 14))  # the dark shape of the photographer
        for direction, wide, strength in lamps:
            away = np.abs(mirror @ direction)
            reach = wide / (wide + soft)
            room += (
                strength
                * reach
                * (1 - ramp(away, wide - soft * 0.5, wide + soft))
                * ramp(mirror[..., 2], 0.1 - soft, 0.35 + soft)
            )
        columns.append(room)
    columns.append(0.04 + 0.7 * (1 - np.clip(facing, 0, 1)) ** 5)
    return np.stack(columns, axis=-1).astype(np.float32).reshape(-1, 7)


def _direction(rng: np.random.Generator, up: float) -> Plane:
    v = rng.standard_normal(3) * (1, 1, up)
    return (v / np.linalg.norm(v)).astype(np.float32)


def shadow(surface: Surface, lamp: Vector) -> Plane:
    """How much of the lamp reaches each point, 0..1, (SHADOW_PX, SHADOW_PX)."""
    low, per_unit = surface.low, SHADOW_PX / (2 * FAR)
    flat = float(np.hypot(lamp[0], lamp[1]))
    slope = float(lamp[2]) / flat
    longest = float(low.max()) / slope
    darkest = np.full_like(low, -1.0)
    for t in np.linspace(0.02, longest, int(np.clip(longest * per_unit / 2.5, 12, 44))):
        dx, dy = (round(float(t * v / flat * per_unit)) for v in lamp[:2])
        to_y, from_y, to_x, from_x = *_overlap(dy), *_overlap(dx)
        ray = low[to_y, to_x] + t * slope
        blocked = np.minimum(low[from_y, from_x] - ray, ray - surface.low_under[from_y, from_x] + 0.15)
        np.maximum(darkest[to_y, to_x], blocked / (0.03 + 0.16 * t), out=darkest[to_y, to_x])
    return np.clip(1 - smooth(ramp(darkest, -0.35, 0.6), 2), 0, 1)


def _overlap(shift: int) -> tuple[slice, slice]:
    """Where to write and where to read so that written[i] comes from read[i + shift]."""
    if shift >= 0:
        return slice(0, SHADOW_PX - shift), slice(shift, SHADOW_PX)
    return slice(-shift, SHADOW_PX), slice(0, SHADOW_PX + shift)


def shade(surface: Surface, shot: Shot, lit: Plane, rng: np.random.Generator) -> Plane:
    """Linear light (m, 3) of all points of the part."""
    t = np.ascontiguousarray(np.take(tables(shot, rng), surface.facing, axis=0).T)
    shadow = np.take(lit, surface.shaded_by)
    *body, metal, rough, openness = surface.skin
    lamp_shine, room_shine = t[3] + (t[2] - t[3]) * rough, t[5] + (t[4] - t[5]) * rough
    coat = t[6] * (1 - metal) * (1 - 0.8 * rough)
    lamp_body, lamp_coat = t[0] + metal * (lamp_shine - 0.75 * t[0]), coat * lamp_shine
    room_body, room_coat = t[1] + metal * (room_shine - t[1]), coat * room_shine
    room_light = openness * (0.55 + 0.45 * shadow)
    lamp, room = shot.key * shot.exposure, (shot.fill + 0.25 * shot.key * metal.mean()) * shot.exposure
    light = np.empty((len(surface.where), 3), np.float32)
    for i in range(3):
        light[:, i] = (body[i] * lamp_body + lamp_coat) * shadow * np.float32(lamp[i])
        light[:, i] += (body[i] * room_body + room_coat) * room_light * np.float32(room[i])
    return light


def tone(light: NDArray[Any]) -> NDArray[np.uint8]:
    """Linear light to sRGB bytes, with a soft shoulder."""
    light = np.maximum(light, 0)
    value = np.clip(light * (1 + light / 14) / (1 + 0.55 * light), 0, 1) ** (1 / 2.2)
    value += 0.09 * np.sin((value - 0.5) * 2 * np.pi) / 2  # more contrast, as phones like it
    return np.asarray(value * 255 + 0.5).clip(0, 255).astype(np.uint8)


TONES = tone(np.linspace(0, 4, 4096))
GAMMA = (np.linspace(0, 1, 1024) ** (1 / 2.2) * 255).astype(np.uint8)
