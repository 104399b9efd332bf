"""Long parts that lie on their side: bolt, spring, elbow, spark plug, chain.

Each takes a `Piece` and builds one individual with the piece's own chance: sizes, counts, materials, marks. Lengths are
in units of the plane; a part fits into radius 1.1. Ours, no source; proportions are those of ordinary catalogue parts.
"""

from __future__ import annotations

import numpy as np

from lookalike.drawing import materials as m
from lookalike.drawing.piece import Piece, Plane, distance_to, dome, only, plane, slab, tube


def bolt(piece: Piece) -> None:
    """A hexagon bolt lying on its side: head, plain shank, thread, pointed end."""
    piece.grain = "along"
    rng, (x, y, _, _) = piece.rng, plane()
    metal = piece.one_of(m.ZINC, m.YELLOW_ZINC, m.BLACK_OXIDE, m.BRIGHT, m.STEEL, m.BRASS)
    radius, pitch = rng.uniform(0.14, 0.24), rng.uniform(0.045, 0.085)
    head, across = radius * rng.uniform(1.2, 1.5), radius * rng.uniform(1.55, 1.75)
    start, end = -0.98, rng.uniform(0.55, 1.0)
    thread_from = start + head + (end - start - head) * rng.uniform(0.05, 0.5)
    saw = np.abs(((x + 0.12 * y) / pitch) % 1 - 0.5) * 2
    depth = np.where((x > thread_from) & (x < end), pitch * 0.62 * saw, 0)
    lip = np.clip((x - (end - radius * 0.35)) / (radius * 0.35), 0, 1) * radius * 0.35
    shank = dome(np.abs(y), radius, across) - depth - lip
    piece.add(only((x > start + head * 0.8) & (x < end) & (shank > 0), shank), metal, across)
    chamfer = np.clip(np.abs(x - (start + head / 2)) - head * 0.38, 0, 1) * 0.5
    flat = np.where(np.abs(y) < across * 0.577, across * 2, across * 2 - (np.abs(y) - across * 0.577) * 1.732)
    piece.add(only((np.abs(y) < across * 1.155) & (x > start) & (x < start + head), flat - chamfer), metal, across)
    if rng.random() < 0.5:
        collar = dome(np.abs(y), across * 1.22, across)
        piece.add(only((x > start + head) & (x < start + head + 0.05), collar), metal, across)


def spring(piece: Piece) -> None:
    """A coil spring lying on its side."""
    piece.grain = "along"
    rng = piece.rng
    metal = piece.one_of(m.STEEL, m.BRIGHT, m.BLACK_OXIDE, m.RED, m.BLUE, m.YELLOW, m.YELLOW_ZINC)
    turns, radius, wire = int(rng.integers(5, 12)), rng.uniform(0.24, 0.36), rng.uniform(0.04, 0.075)
    wire = min(wire, 0.75 / turns)
    taper = rng.uniform(0, 0.45) * (rng.random() < 0.4)
    t = np.linspace(0, 1, turns * 44)
    # The end coils are wound closer, as in a ground compression spring.
    along = np.interp(t, [0, 1.2 / turns, 1 - 1.2 / turns, 1], [-0.95, -0.95 + 2.2 * wire, 0.95 - 2.2 * wire, 0.95])
    phi, size = 2 * np.pi * turns * t, radius * (1 - taper * t)
    path = np.stack([along, size * np.cos(phi), radius + wire + size * np.sin(phi) * 0.999], axis=1)
    piece.add_bar(path, wire, metal)
    if rng.random() < 0.35:
        x, _, _, _ = plane()
        piece.mark(np.abs(x - rng.uniform(-0.4, 0.4)) < 0.07, piece.one_of(m.WHITE, m.GREEN, m.YELLOW))


def elbow(piece: Piece) -> None:
    """A pipe elbow with a collar and a thread or a flare at both ends."""
    piece.grain = "along"
    rng = piece.rng
    metal = piece.one_of(m.COPPER, m.BRASS, m.ZINC, m.CAST_IRON, m.BRIGHT)
    radius, bend = rng.uniform(0.22, 0.30), rng.uniform(0.5, 0.68)
    arc = np.linspace(0, np.pi / 2, 40)
    z, corner = radius * 1.28, (-0.62, 0.62)
    path = np.stack([corner[0] + bend * 1.25 * np.sin(arc), corner[1] - bend * 1.25 * np.cos(arc)], axis=1)
    path = np.vstack([[-0.98, path[0, 1]], path, [path[-1, 0], 0.98]])
    path = np.column_stack([path, np.full(len(path), z)])
    x, y, _, _ = plane()
    piece.add(only((x > -0.98) & (y < 0.98), tube(path, radius)[0]), metal, z)
    collar = rng.uniform(0.16, 0.30)
    for along, across, centre in ((x, y, float(path[0, 1])), (-y, x, float(path[-1, 0]))):
        d, end = np.abs(across - centre), along + 0.98
        ring = dome(d, radius * 1.26, z)
        piece.add(only((end > 0) & (end < collar), ring - np.clip(end - collar + 0.04, 0, 1) * 0.8), metal, z)
        if rng.random() < 0.5:  # a lock nut
            hexagon = z + np.minimum(radius * 1.5, (radius * 1.733 - d * 0.577) * 1.5)
            piece.add(only((end > collar) & (end < collar + 0.14) & (d < radius * 1.6), hexagon), metal, z)
        saw = np.abs((end / 0.035) % 1 - 0.5)
        piece.emboss(np.where((end < 0.14) & (end > 0) & (d < radius * 1.3), -0.02 * saw, 0))


def spark_plug(piece: Piece) -> None:
    """A spark plug: terminal, ribbed ceramic, hexagon, thread, electrode."""
    piece.grain = "along"
    rng, (x, y, _, _) = piece.rng, plane()
    scale, z, x0 = rng.uniform(0.9, 1.1), 0.34, -1.0
    length, hexagon = rng.uniform(0.55, 0.8), rng.uniform(0.26, 0.31) * scale
    ribs, ceramic = rng.uniform(0.06, 0.11), piece.one_of(m.WHITE, m.WHITE, m.Material((0.30, 0.09, 0.04), 0, 0.2))
    shell = piece.one_of(m.ZINC, m.BRIGHT, m.YELLOW_ZINC)
    d = np.abs(y)

    def turned(start: float, end: float, radius: Plane | float, material: m.Material) -> None:
        square = np.square(radius) - d * d
        piece.add(only((x >= start) & (x < end) & (square > 0), z + np.sqrt(np.maximum(square, 0))), material, z)

    turned(x0, x0 + 0.14, 0.085 - 0.03 * np.cos((x - x0) / 0.14 * 2 * np.pi) * 0.6, shell)
    rib = np.where(x < x0 + 0.14 + length * 0.7, 0.018 * np.cos((x - x0) / ribs * 2 * np.pi), 0)
    turned(x0 + 0.14, x0 + 0.14 + length, (0.155 + 0.02 * (x + 1)) * scale + rib, ceramic)
    x1 = x0 + 0.14 + length
    height = np.where(d < hexagon * 0.577, hexagon, hexagon - (d - hexagon * 0.577) * 1.732)
    edge = np.clip(np.abs(x - x1 - 0.12) - 0.10, 0, 1)
    piece.add(only((d < hexagon * 1.155) & (x > x1) & (x < x1 + 0.24), z + height - edge), shell, z)
    turned(x1 + 0.24, x1 + 0.31, 0.24 * scale, shell)
    turned(x1 + 0.31, x1 + 0.36, 0.22 * scale, m.COPPER)
    end = min(x1 + rng.uniform(0.70, 0.85), 0.98)
    saw = np.abs(((x + 0.08 * y) / 0.05) % 1 - 0.5) * 2
    turned(x1 + 0.36, end, 0.17 * scale - 0.028 * saw, shell)
    turned(end, end + 0.05, 0.05, ceramic)
    turned(end + 0.05, end + 0.07, 0.022, m.COPPER)
    path = np.array([[end - 0.02, 0.12, z], [end + 0.10, 0.12, z], [end + 0.13, 0.06, z], [end + 0.13, -0.04, z]])
    piece.add_bar(path, 0.028, m.STEEL)
    letters = piece.text(piece.serial(), (x0 + 0.16 + length * 0.84, 0), 0.075, turn_degrees=90)
    piece.mark(letters & (x < x1), m.GREEN if rng.random() < 0.5 else m.RED)


def chain(piece: Piece) -> None:
    """A length of roller chain: outer and inner plates on pins and rollers."""
    piece.grain = "along"
    rng, (x, y, _, _) = piece.rng, plane()
    metal = piece.one_of(m.STEEL, m.DARK_STEEL, m.BLACK_OXIDE, m.BRASS, m.BRIGHT)
    links = int(rng.integers(5, 9))
    curve, pitch = rng.uniform(-0.35, 0.35), 2.0 / links
    px = -1.0 + pitch * (np.arange(links) + 0.5)
    py = curve * np.cos(px * 2.0) - curve * 0.5
    size = pitch * rng.uniform(0.34, 0.42)
    for i in range(links):
        piece.add(slab(distance_to(px[i], py[i]) - size * 0.62, 0.20, 0.02), m.BRIGHT)
    for i in range(links - 1):
        dx, dy = px[i + 1] - px[i], py[i + 1] - py[i]
        long = float(np.hypot(dx, dy))
        u = ((x - px[i]) * dx + (y - py[i]) * dy) / long
        v = (-(x - px[i]) * dy + (y - py[i]) * dx) / long
        end = np.sqrt((u - np.clip(u, 0, long)) ** 2 + v * v)
        waist = size * (0.80 + 0.20 * np.cos(np.clip(u / long, 0, 1) * 2 * np.pi))
        piece.add(slab(end - waist, 0.28 if i % 2 else 0.34, 0.02), metal)
    for i in range(links):
        piece.add(slab(distance_to(px[i], py[i]) - size * 0.34, 0.385, 0.03), m.BRIGHT)
