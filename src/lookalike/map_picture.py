"""A map as one picture: dots with a legend, or a wall of small pictures."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.display import display_text
from lookalike.map_view import MapGroup, MapView

if TYPE_CHECKING:
    from PIL import Image

_MAP_PX, _LEGEND_PX, _EDGE_PX = 2400, 520, 80  # twice what a screen shows
_FINER = 2  # drawn larger by this and scaled down, so that edges are smooth
_GROUND, _TEXT, _MUTED = (250, 250, 248), (30, 33, 36), (98, 103, 108)
_TITLE_PX, _LINE_PX, _FONT_PX, _NAME_PX = 52, 46, 30, 34
_MOST_LINES, _MOST_NAMES, _MOST_LETTERS = 44, 40, 26
_OPACITY = 215
_WALL_PX, _LEAST_TILE_PX, _MOST_TILE_PX = 2880, 40, 160
_TILES_PER_POINT = 2.2  # maps have empty parts: so many tiles for each point
_EDGE_TILES = 1.5
_REACH_TILES = 4  # how far from its place a picture may go


def dots(view: MapView) -> bytes:
    """A PNG of the map with a dot for each point, names of groups and a legend."""
    from PIL import Image, ImageDraw

    side = _MAP_PX * _FINER
    large = Image.new("RGB", (side, side), _GROUND)
    pen = ImageDraw.Draw(large, "RGBA")
    radius = max(1.6, min(10.0, 0.17 * _MAP_PX / math.sqrt(max(1, len(view.xy))))) * _FINER
    tones = [(*_rgb(group.colour), _OPACITY) for group in view.groups]
    places = _places(view, _EDGE_PX * _FINER, side)
    for (x, y), group in zip(places.tolist(), view.group_of.tolist(), strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tones[group])
    has_legend = len(view.groups) > 1
    picture = Image.new("RGB", (_MAP_PX + has_legend * _LEGEND_PX, _MAP_PX), _GROUND)
    picture.paste(large.resize((_MAP_PX, _MAP_PX), Image.Resampling.BOX), (0, 0))
    if view.named and has_legend:
        _write_names(picture, view)
    if has_legend:
        _write_legend(picture, view)
    return _png(picture)


def wall(view: MapView, thumbnail_of: Callable[[int, tuple[int, int]], Any]) -> bytes:
    """A PNG of small pictures in a grid, each as near to its place as the grid allows; it says how many it shows.

    Args:
        view: What to show.
        thumbnail_of: Gives the picture of a point at a size (width, height) px, None where there is none.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = math.ceil(math.sqrt(_TILES_PER_POINT * max(1, len(view.xy))))
    tile = max(_LEAST_TILE_PX, min(_MOST_TILE_PX, _WALL_PX // columns))
    columns = min(columns, _WALL_PX // tile)
    picture = Image.new("RGB", (columns * tile, columns * tile + 2 * _LINE_PX), _GROUND)
    shown, inner = 0, tile - 2
    for row, (column, line) in _tiles(view, columns):
        aspect = float(view.aspects[row])
        size = round(inner * max(1.0, aspect)), round(inner * max(1.0, 1 / aspect))  # its middle fills the tile
        small = thumbnail_of(row, size)
        if small is not None:
            left, top = (size[0] - inner) // 2, (size[1] - inner) // 2
            picture.paste(small.crop((left, top, left + inner, top + inner)), (column * tile + 1, line * tile + 1))
            shown += 1
    said = f"{shown:,} of {len(view.xy):,} pictures"
    font = ImageFont.load_default(min(_FONT_PX, columns * tile // 12))
    ImageDraw.Draw(picture).text((tile / 2, columns * tile + _LINE_PX), said, _MUTED, font, anchor="lm")
    return _png(picture)


def _tiles(view: MapView, columns: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """(row of a point, (column, line) of its tile): its own, or the nearest free one close by; else it has none."""
    margin = min(_EDGE_TILES, columns / 8)
    exact = margin + (view.xy * [1, -1] + [0, 1]) * (columns - 2 * margin) * (1 - 1e-9)
    off_centre = np.hypot(*(exact % 1 - 0.5).T)
    taken = np.zeros((columns, columns), bool)
    reach = range(-_REACH_TILES, _REACH_TILES + 1)
    steps = sorted(((a, b) for a in reach for b in reach), key=lambda step: (math.hypot(*step), step))
    for row in np.argsort(off_centre, kind="stable").tolist():
        own = int(exact[row, 0]), int(exact[row, 1])
        for a, b in steps:
            column, line = own[0] + a, own[1] + b
            if 0 <= column < columns and 0 <= line < columns and not taken[column, line]:
                taken[column, line] = True
                yield row, (column, line)
                break


def _places(view: MapView, edge: float, side: float) -> NDArray[np.float64]:
    """(n, 2) px of the points, y downwards."""
    return np.asarray(edge + (view.xy * [1, -1] + [0, 1]) * (side - 2 * edge), np.float64)


def _write_names(picture: Image.Image, view: MapView) -> None:
    from PIL import ImageDraw, ImageFont

    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_NAME_PX)
    places = _places(view, _EDGE_PX, _MAP_PX)
    taken: list[tuple[float, float, float, float]] = []
    for number, group in enumerate(view.groups[:_MOST_NAMES]):
        own = places[view.group_of == number]
        if group.rest or not len(own):
            continue
        x, y = _densest(own)
        name = _short(group)
        box = pen.textbbox((x, y), name, font, anchor="mm")
        if not any(a[0] < box[2] and box[0] < a[2] and a[1] < box[3] and box[1] < a[3] for a in taken):
            taken.append(box)
            pen.text((x, y), name, _TEXT, font, anchor="mm", stroke_width=5, stroke_fill=_GROUND)


def _densest(places: NDArray[np.float64]) -> tuple[float, float]:
    """Where most of a group lies: the middle of those about the point that has most about it."""
    some = places[:: max(1, len(places) // 500)]
    near = np.hypot(*(some[:, None] - some).transpose(2, 0, 1)) < _MAP_PX / 16
    x, y = some[near[near.sum(axis=1).argmax()]].mean(axis=0)
    return float(x), float(y)


def _write_legend(picture: Image.Image, view: MapView) -> None:
    from PIL import ImageDraw, ImageFont

    pen = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(_FONT_PX), ImageFont.load_default(_FONT_PX - 4)
    left, top = _MAP_PX, _EDGE_PX
    pen.text((left, top), display_text(view.coloured_by), _MUTED, small, anchor="lm")
    shown = view.groups if len(view.groups) <= _MOST_LINES else view.groups[: _MOST_LINES - 1]
    for line, group in enumerate(shown, 1):
        y = top + line * _LINE_PX
        pen.ellipse((left, y - 9, left + 18, y + 9), fill=_rgb(group.colour))
        pen.text((left + 34, y), _short(group), _TEXT, font, anchor="lm")
        pen.text((left + _LEGEND_PX - 40, y), f"{group.count:,}", _MUTED, small, anchor="rm")
    if len(shown) < len(view.groups):
        y = top + (len(shown) + 1) * _LINE_PX
        pen.text((left, y), f"and {len(view.groups) - len(shown):,} more", _MUTED, font, anchor="lm")


def _short(group: MapGroup) -> str:
    name = display_text(group.name)
    return name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 3] + "..."


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
