"""Parts with a face to read: pressure gauge, circuit board, weld seam.

Each takes a `Piece` and builds one individual with the piece's own chance: sizes, counts, materials, marks. Lengths are
in units of the plane; a part fits into radius 1.1. Ours, no source; proportions are those of ordinary catalogue parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lookalike.drawing import materials as m
from lookalike.drawing.piece import (
    PX_PER_UNIT,
    REACH,
    SIZE_PX,
    Piece,
    Plane,
    Window,
    box,
    distance_to,
    dome,
    only,
    plane,
    slab,
    window,
)

DIAL = m.Material((0.78, 0.77, 0.72), 0, 0.25, 0.0)
BOARDS = ((0.012, 0.10, 0.03), (0.01, 0.035, 0.16), (0.22, 0.01, 0.015), (0.012, 0.013, 0.015))
SLEEVES = (m.BLACK, m.Material(m.BLUE.color, 0, 0.3, 0.0), m.Material((0.10, 0.04, 0.12), 0, 0.4, 0.0))
CERAMIC = m.Material((0.32, 0.22, 0.12), 0, 0.4, 0.0)
LEGS = m.Material(m.BRIGHT.color, 1.0, 0.25, 0.0)
LEG_PITCH = 0.052


def gauge(piece: Piece) -> None:
    """A pressure gauge: bezel, white dial with a scale and a needle, a threaded stem."""
    rng, (x, y, _, _) = piece.rng, plane()
    case = piece.one_of(m.BRIGHT, m.BLACK_OXIDE, m.BRASS, m.STEEL)
    size, cy, axis = float(rng.uniform(0.66, 0.76)), -0.22, 0.2
    d = np.abs(x)
    piece.add(only((d < 0.13) & (y > 0.3) & (y < 0.8), dome(d, 0.13, axis)), m.BRASS, axis)
    thread = dome(d, 0.10, axis) - 0.02 * np.abs((y / 0.035) % 1 - 0.5)
    piece.add(only((d < 0.10) & (y > 0.8) & (y < 1.08), thread), m.BRASS, axis)
    piece.add(only((d < 0.17) & (np.abs(y - 0.7) < 0.1), 0.36 - np.clip(d - 0.085, 0, 1) * 0.9), m.BRASS, axis)
    r = distance_to(0, cy)
    piece.add(slab(r - size - 0.12, 0.36, 0.05), case)
    piece.cut(r < size, 0.30, DIAL)
    _scale(piece, size, cy)
    angle = np.radians(135 + 270 * rng.uniform(0, 0.9))
    u = x * np.cos(angle) + (y - cy) * np.sin(angle)
    v = -x * np.sin(angle) + (y - cy) * np.cos(angle)
    needle = (np.abs(v) < 0.030 * np.clip(1 - u / (size * 0.86), 0.1, 1)) & (u > -0.16) & (u < size * 0.84)
    hand = piece.one_of(m.BLACK, m.Material(m.RED.color, 0, 0.3, 0.0))
    piece.add(only(needle, 0.33), hand)
    piece.add(slab(r - 0.06, 0.34, 0.02), hand)


def _scale(piece: Piece, size: float, cy: float) -> None:
    """Strokes, numbers and unit of a dial around (0, cy)."""
    rng, (x, y, _, _), r = piece.rng, plane(), distance_to(0, cy)
    sweep, low = np.radians(270), np.radians(135)
    place = (np.arctan2(y - cy, x) - low) % (2 * np.pi) / sweep
    steps, top = piece.one_of((4, 10), (5, 10), (6, 6), (4, 16), (5, 25), (8, 40), (6, 60), (10, 100))
    for count, inner, width in ((steps * 5, 0.87, 0.006), (steps, 0.78, 0.013)):
        nearest = np.abs(place * count - np.round(place * count)) * sweep / count * r
        piece.mark((nearest < width) & (r < size * 0.95) & (r > size * inner) & (place < 1.01), m.BLACK)
    if rng.random() < 0.6:
        warn = rng.uniform(0.6, 0.85)
        red = m.Material(m.RED.color, 0, 0.3, 0.0)
        piece.mark((r < size * 0.95) & (r > size * 0.90) & (place > warn) & (place < 1), red)
    for i in range(steps + 1):
        angle = low + sweep * i / steps
        at = (float(size * 0.62 * np.cos(angle)), float(cy + size * 0.62 * np.sin(angle)))
        piece.mark(piece.text(f"{top * i / steps:g}", at, 0.105), m.BLACK)
    piece.mark(piece.text(piece.one_of("bar", "psi", "kPa", "MPa"), (0, cy + size * 0.30), 0.12), m.BLACK)
    piece.mark(piece.text(piece.serial(), (0, cy + size * 0.55), 0.07), m.BLACK)


@dataclass
class _Board:
    """A board that is being filled: half its size, and the boxes (x, y, half width, half height) that are taken."""

    piece: Piece
    w: float
    h: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def place(self, half_x: float, half_y: float) -> tuple[float, float] | None:
        """A free place for something of that size; None where there is none."""
        for _ in range(40):
            x, y = self.piece.rng.uniform(-1, 1, 2) * (self.w - 0.06 - half_x, self.h - 0.13 - half_y)
            if all(
                abs(x - tx) > half_x + tw + 0.02 or abs(y - ty) > half_y + th + 0.02 for tx, ty, tw, th in self.taken
            ):
                self.taken.append((float(x), float(y), half_x, half_y))
                return float(x), float(y)
        return None


def circuit_board(piece: Piece) -> None:
    """A printed circuit board: traces, pads, chips, capacitors, small parts, mounting holes."""
    piece.grain = "brushed"
    rng, (x, y, _, _) = piece.rng, plane()
    red, green, blue = piece.one_of(*BOARDS)
    board = _Board(piece, float(rng.uniform(0.85, 1.05)), float(rng.uniform(0.5, 0.75)))
    w, h = board.w, board.h
    piece.add(slab(box(x, y, w, h, 0.05), 0.08, 0.006), m.Material((red, green, blue), 0, 0.30, 0.0))
    trace = m.Material((red * 1.9 + 0.01, green * 1.9 + 0.01, blue * 1.9 + 0.005), 0, 0.28, 0.0)
    for _ in range(int(rng.integers(18, 34))):
        _trace(board, trace)
    for sx, sy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        _pad(piece, sx * (w - 0.09), sy * (h - 0.09), 0.075, 0.045)
        board.taken.append((sx * (w - 0.09), sy * (h - 0.09), 0.09, 0.09))
    for make, count in (
        (_chip, rng.integers(2, 5)),
        (_capacitor, rng.integers(2, 6)),
        (_small_part, rng.integers(14, 30)),
    ):
        for _ in range(int(count)):
            make(board)
    piece.mark(piece.text(piece.serial(), (0.0, h - 0.07), 0.07), m.WHITE)
    pins = int(rng.integers(6, 16))
    for i in range(pins):
        _pad(piece, (i - (pins - 1) / 2) * 0.075, -h + 0.07, 0.028, 0.012)


def _pad(piece: Piece, x: float, y: float, size: float, hole: float) -> None:
    part = window(x, y, size)
    d = distance_to(x, y, part)
    piece.mark(d < size, m.GOLD, part)
    piece.cut(d < hole, part=part)


def _trace(board: _Board, material: m.Material) -> None:
    """A conductor that runs straight and turns by 45 degrees."""
    from PIL import Image, ImageDraw

    rng, edge = board.piece.rng, np.array([board.w, board.h]) - 0.05
    points = [rng.uniform(-1, 1, 2) * (edge - 0.05)]
    for _ in range(int(rng.integers(2, 5))):
        angle = rng.integers(0, 8) * np.pi / 4
        step = rng.uniform(0.1, 0.5) * np.array([np.cos(angle), np.sin(angle)])
        points.append(np.clip(points[-1] + step, -edge, edge))
    sheet = Image.new("1", (SIZE_PX, SIZE_PX))
    pixels = [(float(x), float(y)) for x, y in (np.array(points) + REACH) * PX_PER_UNIT]
    ImageDraw.Draw(sheet).line(pixels, 1, int(rng.choice([3, 4, 6, 9])), "curve")
    line = np.asarray(sheet)
    board.piece.emboss(np.where(line, np.float32(0.003), np.float32(0)))
    board.piece.mark(line, material)


def _local(x: float, y: float, half_x: float, half_y: float) -> tuple[Window, Plane, Plane]:
    """The window of a small part, and x and y in it from the part's middle."""
    part, (px, py, _, _) = window(x, y, half_x, half_y), plane()
    return part, px[part] - x, py[part] - y


def _chip(board: _Board) -> None:
    piece, rng = board.piece, board.piece.rng
    square = rng.random() < 0.4
    half_x = float(rng.integers(4, 11) * LEG_PITCH / 2 + 0.02)
    half_y = half_x if square else float(rng.uniform(0.07, 0.13))
    place = board.place(half_x + 0.05 * square, half_y + 0.05)
    if place is None:
        return
    part, u, v = _local(*place, half_x + 0.06, half_y + 0.06)
    for along, across, long, wide in ((u, v, half_x, half_y), (v, u, half_y, half_x))[: 1 + square]:
        leg = np.abs((along / LEG_PITCH) % 1 - 0.5) < 0.26
        leg &= (np.abs(along) < long - 0.01) & (np.abs(across) < wide + 0.05)
        piece.add(only(leg, 0.105), LEGS, part=part)
    piece.add(slab(box(u, v, half_x, half_y, 0.01), 0.16, 0.012), m.BLACK, part=part)
    piece.cut(np.sqrt((u + half_x - 0.04) ** 2 + (v + half_y - 0.04) ** 2) < 0.016, 0.152, part=part)
    piece.mark(piece.text(piece.serial(), place, min(0.06, half_y * 0.5)), m.GREY)


def _capacitor(board: _Board) -> None:
    piece, size = board.piece, float(board.piece.rng.uniform(0.06, 0.12))
    place = board.place(size, size)
    if place is None:
        return
    part, u, v = _local(*place, size, size)
    d = np.sqrt(u * u + v * v)
    piece.add(slab(d - size, 0.30, 0.02), piece.one_of(*SLEEVES), part=part)
    piece.mark(d < size * 0.82, m.ALUMINIUM, part)
    piece.mark((d > size * 0.82) & (u > size * 0.6) & (d < size), m.WHITE, part)


def _small_part(board: _Board) -> None:
    piece, lying = board.piece, board.piece.rng.random() < 0.5
    size = (0.045, 0.022) if lying else (0.022, 0.045)
    place = board.place(*size)
    if place is None:
        return
    part, u, v = _local(*place, *size)
    inside = box(u, v, *size)
    piece.add(slab(inside, 0.11, 0.006), m.BLACK if piece.rng.random() < 0.5 else CERAMIC, part=part)
    piece.mark((inside < 0) & (np.abs(u if lying else v) > 0.028), LEGS, part)


def weld(piece: Piece) -> None:
    """Two plates joined by a weld seam, with heat colours and spatter."""
    piece.grain = "brushed"
    rng, (x, y, _, _) = piece.rng, plane()
    metal = piece.one_of(m.STEEL, m.DARK_STEEL, m.ZINC)
    half, step = rng.uniform(0.6, 0.85), rng.uniform(0.0, 0.07)
    across = y - 0.02 * np.sin(x * rng.uniform(2, 5) + rng.uniform(0, 6))
    plate = slab(box(x, y, 1.05, half, 0.02), 0.12, 0.01)
    piece.add(only(plate > 0, plate + step * (across > 0)), metal)
    cold, straw, blue = np.array(metal.color), np.array([0.40, 0.27, 0.14]), np.array([0.17, 0.18, 0.30])
    for t in np.linspace(0, 1, 16):  # heat colours: straw, then blue, then scale
        hue = cold + (straw - cold) * min(2 * t, 1) + (blue - straw) * max(2 * t - 1, 0)
        color = (float(hue[0]), float(hue[1]), float(hue[2]))
        piece.mark(np.abs(across) < 0.36 - 0.18 * t, m.Material(color, 1.0, 0.42))
    piece.mark(np.abs(across) < 0.155, m.Material((0.20, 0.18, 0.17), 0.9, 0.55))
    width, ripple = rng.uniform(0.07, 0.12), rng.uniform(0.035, 0.06)
    start, end = rng.uniform(-1.0, -0.8), rng.uniform(0.8, 1.0)
    phase = ((x - 0.8 * across**2 / width) / ripple) % 1
    bead = dome(np.abs(across), width, 0.05) * 0.75 + 0.09 + step * 0.5 + 0.022 * phase**0.6
    bead_here = (np.abs(across) < width * 0.99) & (x > start) & (x < end)
    piece.add(only(bead_here, bead), m.Material((0.42, 0.41, 0.42), 1.0, 0.38))
    for _ in range(int(rng.integers(10, 60))):
        sx, sy, size = float(rng.uniform(-0.95, 0.95)), float(rng.normal(0, 0.25)), float(rng.uniform(0.008, 0.022))
        if abs(sy) < half - 0.05:
            part = window(sx, sy, size)
            piece.add(dome(distance_to(sx, sy, part), size, 0.12 + step * (sy > 0)), m.DARK_STEEL, part=part)
    if rng.random() < 0.7:
        at, slant = (float(rng.uniform(-0.4, 0.4)), float(half * 0.68)), float(rng.uniform(-8, 8))
        piece.mark(piece.text(piece.serial(), at, 0.16, turn_degrees=slant), piece.one_of(m.WHITE, m.YELLOW))
