"""Photographing a drawn part: ground, part, lens and sensor.

Ours, no source. A tilted camera sees the height map through one layer per pixel of parallax. The part is drawn at
twice the size and averaged down.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.drawing.camera import Matrix, Shot
from lookalike.drawing.light import GAMMA, TONES, shade, shadow, tone
from lookalike.drawing.piece import PX_PER_UNIT, REACH, SIZE_PX, Plane
from lookalike.drawing.wear import FAR, SHADOW_PX, Surface

if TYPE_CHECKING:
    from PIL.Image import Image


def photograph(surface: Surface, ground: Image, shot: Shot, rng: np.random.Generator) -> Image:
    """One photo of the part on the ground, as Pillow image of ``shot.size``."""
    from PIL import Image, ImageChops

    bright = float(np.mean((np.asarray(ground.reduce(64)) / 255.0) ** 2.2))
    shot = replace(shot, exposure=shot.exposure * 0.78 / (bright + 0.12) ** 0.55)  # as the camera's meter would
    lens, lit = shot.lens(), shadow(surface, shot.lamp())
    picture = _ground(surface, ground, shot, lens, lit)
    colors, cover, corner = _part(surface, shot, lens, lit, rng)
    part = Image.fromarray(colors).reduce(2)
    hole = Image.fromarray(255 - cover).reduce(2)
    place = (*corner, corner[0] + part.width, corner[1] + part.height)
    under = ImageChops.multiply(picture.crop(place), Image.merge("RGB", (hole, hole, hole)))
    picture.paste(ImageChops.add(under, part), corner)
    return _develop(picture, shot, rng)


def _ground(surface: Surface, ground: Image, shot: Shot, lens: Matrix, lit: Plane) -> Image:
    from PIL import Image, ImageChops

    lamp = shot.lamp()
    full = (shot.key * lamp[2] + shot.fill) * shot.exposure
    linear = (np.arange(256) / 255) ** 2.2
    curve = np.concatenate([tone(linear * f) for f in full])
    turn, reach = np.arctan2(lamp[1], lamp[0]), shot.reach()
    per_unit = min(ground.width / 7.0, ground.width / 2 / reach)
    slack = ground.width / 2 - reach * per_unit
    at = np.array([ground.width / 2 + slack * v for v in shot.ground_at])
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * per_unit  # it was lit from +x
    to_ground = np.eye(3)
    to_ground[:2, :2], to_ground[:2, 2] = spin, at - spin @ shot.target
    picture = _look(ground, shot.size, to_ground @ lens).point(curve.tolist())
    left = (shot.key * lamp[2] * lit[..., None] + shot.fill * (1 - 0.75 * surface.near)[..., None]) / (
        shot.key * lamp[2] + shot.fill
    )
    shade = Image.fromarray(GAMMA[(np.clip(left, 0, 1) * 1023).astype(np.int16)])
    k = SHADOW_PX / (2 * FAR)
    to_shade = np.array([[k, 0, SHADOW_PX / 2], [0, k, SHADOW_PX / 2], [0, 0, 1]])
    half = (-(-shot.size[0] // 2), -(-shot.size[1] // 2))  # shadows are soft: half the size will do
    soft = _look(shade, half, to_shade @ lens @ np.diag([shot.size[0] / half[0], shot.size[1] / half[1], 1]))
    return ImageChops.multiply(picture, soft.resize(shot.size, Image.Resampling.BICUBIC))


def _look(flat: Image, size: tuple[int, int], matrix: Matrix) -> Image:
    """A flat picture as the camera sees it; white around it."""
    from PIL import Image

    m = tuple((matrix / matrix[2, 2]).ravel()[:8])
    white = (255, 255, 255)
    return flat.transform(size, Image.Transform.PERSPECTIVE, m, Image.Resampling.BILINEAR, fillcolor=white)


def _part(
    surface: Surface, shot: Shot, lens: Matrix, lit: Plane, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[int, int]]:
    """The part alone at twice the size: colours on black, cover 0 or 255, and the corner of its box in the picture."""
    seen, (first_row, first_column), shifts = _parallax(surface, shot)
    k = PX_PER_UNIT
    to_seen = np.array([[k, 0, k * REACH - first_column], [0, k, k * REACH - first_row], [0, 0, 1]]) @ lens
    x0, y0, x1, y1 = _bounds(seen.shape, shot, to_seen)
    u = (np.arange(x0 * 2, x1 * 2, dtype=np.float32) + 0.5) / 2
    v = ((np.arange(y0 * 2, y1 * 2, dtype=np.float32) + 0.5) / 2)[:, None]
    a = to_seen.astype(np.float32)
    w = 1 / (a[2, 0] * u + (a[2, 1] * v + a[2, 2]))
    column, row = (
        np.clip((a[i, 0] * u + (a[i, 1] * v + a[i, 2])) * w, 0, seen.shape[1 - i] - 1).astype(np.int32) for i in (0, 1)
    )
    layers = np.take(seen, row * seen.shape[1] + column)
    inside = np.flatnonzero(layers)
    layer = layers.ravel()[inside]
    texel = (row.ravel()[inside] + first_row) * SIZE_PX + column.ravel()[inside] + first_column + shifts[layer]
    deep = np.take(surface.height, texel) - layer * np.float32(surface.height.max() / (len(shifts) - 1))
    light = shade(surface, shot, lit, rng)
    texture = np.zeros((SIZE_PX * SIZE_PX, 3), np.uint8)
    texture[surface.where] = TONES[np.clip(light * (4095 / 4), 0, 4095).astype(np.int16)]
    shown = np.take(texture, texel, axis=0)
    walls = np.flatnonzero(deep > 0.01)
    shown[walls] = (shown[walls] * (1 - 0.34 * np.minimum(deep[walls] / 0.3, 1))[:, None]).astype(np.uint8)
    colors = np.zeros((layers.size, 3), np.uint8)
    colors[inside] = shown
    cover = (layers > 0).astype(np.uint8) * np.uint8(255)
    return colors.reshape(*layers.shape, 3), cover, (x0, y0)


def _bounds(shape: tuple[int, ...], shot: Shot, to_seen: Matrix) -> tuple[int, int, int, int]:
    """The box of the picture that shows an array: left, top, right, bottom, at least one pixel each way."""
    corners = np.array([[0, shape[1], 0, shape[1]], [0, 0, shape[0], shape[0]], [1, 1, 1, 1]])
    pixels = np.linalg.inv(to_seen) @ corners
    u, v = pixels[:2] / pixels[2]
    w, h = shot.size
    x0, y0 = int(np.clip(u.min(), 0, w - 1)), int(np.clip(v.min(), 0, h - 1))
    return x0, y0, int(np.clip(u.max() + 1, x0 + 1, w)), int(np.clip(v.max() + 1, y0 + 1, h))


def _parallax(surface: Surface, shot: Shot) -> tuple[NDArray[np.uint8], tuple[int, int], NDArray[np.int64]]:
    """What the tilted camera sees above each point of the ground.

    Returns:
        The layer of the height map (0: none), the row and column of its first point in the flat map (they may lie
        outside), and for each layer how far along the flattened map its surface lies.
    """
    back = shot.frame()[2]
    way = back[:2] / back[2] * PX_PER_UNIT  # pixels per unit of height
    cover = surface.height > 0
    box = tuple(
        slice(int(i[0]), int(i[-1]) + 1) for i in (np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0)))
    )
    top = float(surface.height.max())
    layers = int(np.clip(np.ceil(np.hypot(*way) * top / 1.3), 1, 120))
    level = np.minimum(np.ceil(surface.height[box] / top * layers), layers).astype(np.uint8)
    under = np.floor(surface.under[box] / top * layers).astype(np.uint8)
    hollow = bool(under.any())
    middles = (np.arange(layers + 1) - 0.5) * top / layers
    dx, dy = (np.round(v * middles).astype(int) for v in way)
    dx[0] = dy[0] = 0
    up, left = int(max(dy.max(), 0)) + 1, int(max(dx.max(), 0)) + 1
    h, w = level.shape
    seen = np.zeros((h + up + 1 - int(min(dy.min(), 0)), w + left + 1 - int(min(dx.min(), 0))), np.uint8)
    hit, high, scratch = np.empty(level.shape, bool), np.empty(level.shape, bool), np.empty_like(level)
    for k in range(1, layers + 1):
        np.greater_equal(level, k, out=hit)
        if hollow:
            np.logical_and(hit, np.less(under, k, out=high), out=hit)
        np.multiply(hit.view(np.uint8), np.uint8(k), out=scratch)
        view = seen[up - dy[k] : up - dy[k] + h, left - dx[k] : left - dx[k] + w]
        np.maximum(view, scratch, out=view)
    return seen, (box[0].start - up, box[1].start - left), dy.astype(np.int64) * SIZE_PX + dx


def _develop(picture: Image, shot: Shot, rng: np.random.Generator) -> Image:
    """Lens and sensor: light that falls off, blur, noise."""
    from PIL import Image, ImageChops, ImageFilter

    w, h = shot.size
    gx, gy = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 48))
    azimuth = shot.light[0]
    fall = 0.93 + 0.10 * (np.cos(azimuth) * gx + np.sin(azimuth) * gy) - rng.uniform(0.05, 0.22) * (gx**2 + gy**2) / 2
    shade = Image.fromarray((np.clip(fall, 0, 1) * 255).astype(np.uint8)).resize((w, h), Image.Resampling.BICUBIC)
    picture = ImageChops.multiply(picture, Image.merge("RGB", (shade, shade, shade)))
    if shot.blur_px > 0.3:
        side = np.exp(-0.5 / shot.blur_px**2)
        weights = np.outer([side, 1, side], [side, 1, side]).ravel()
        picture = picture.filter(ImageFilter.Kernel((3, 3), (weights / weights.sum()).tolist()))
    pixels = np.asarray(picture).astype(np.float32)
    pixels += shot.noise * rng.standard_normal((h, w, 1), dtype=np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
