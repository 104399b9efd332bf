"""Round parts seen from above: gear, nut, bearing, flange, hand wheel, washers, impeller.

Each takes a `Piece` and builds one individual with the piece's own chance: sizes, counts, materials, marks. Lengths are
in units of the plane; a part fits into radius 1.1. Ours, no source; proportions are those of ordinary catalogue parts.
"""

from __future__ import annotations

import numpy as np

from lookalike.drawing import materials as m
from lookalike.drawing.piece import Piece, Plane, around, box, distance_to, dome, only, plane, polygon, slab, window

PAINTS = (m.RED, m.BLUE, m.GREEN, m.YELLOW, m.ORANGE, m.GREY)
SEALS = (m.RUBBER, m.BLUE, m.Material((0.30, 0.05, 0.03), 0, 0.5, 0.0), m.DARK_STEEL)


def gear(piece: Piece) -> None:
    """A spur gear: straight teeth, a web with holes, a hub with a keyway."""
    rng, (x, y, r, a) = piece.rng, plane()
    teeth, outer = int(piece.one_of(14, 18, 22, 28, 36, 48)), rng.uniform(0.85, 1.05)
    tooth = min(0.16, 2.3 * outer / teeth)
    metal = piece.one_of(m.STEEL, m.BRASS, m.CAST_IRON, m.DARK_STEEL, m.BRONZE)
    wave = np.abs((a * teeth / (2 * np.pi)) % 1 - 0.5) * 4 - 1  # a triangle, -1..1 over one tooth
    flank = outer - tooth / 2 + np.clip(wave * 1.5, -1, 1) * tooth / 2
    top = rng.uniform(0.22, 0.34)
    rim, hub, bore = outer - tooth - rng.uniform(0.08, 0.14), rng.uniform(0.26, 0.36), rng.uniform(0.10, 0.17)
    piece.add(slab(r - flank, top, 0.025), metal)
    if rim - hub > 0.2:
        piece.cut((r < rim) & (r > hub), top - rng.uniform(0.06, 0.14))
    holes, middle = int(piece.one_of(0, 3, 4, 5, 6)), (rim + hub) / 2
    for hx, hy in around(holes, middle, rng.uniform(0, 6)):
        piece.cut(distance_to(hx, hy) < min((rim - hub) * 0.36, 2.2 * middle / max(holes, 3) * 0.55))
    piece.add(slab(r - hub, top + rng.uniform(0.0, 0.10), 0.02), metal)
    piece.cut(r < bore)
    piece.cut(box(x, y + bore, bore * 0.28, bore * 0.45) < 0)
    mark = piece.text(piece.serial(), (0, 0), 0.085, arc=rim + 0.055 if rim < 0.8 else (hub + bore) / 2)
    piece.emboss(np.where(mark, -0.006, 0))


def nut(piece: Piece) -> None:
    """A hexagon nut from above, with chamfered corners and a threaded hole; some with a flange or a nylon ring."""
    rng, (_, _, r, a) = piece.rng, plane()
    metal = piece.one_of(m.ZINC, m.YELLOW_ZINC, m.BLACK_OXIDE, m.BRIGHT, m.BRASS)
    apothem, top, hole = rng.uniform(0.66, 0.78), rng.uniform(0.42, 0.6), rng.uniform(0.36, 0.46)
    style = piece.one_of("plain", "flange", "nylon", "castle")
    if style == "flange":
        piece.add(slab(r - 1.05, 0.12, 0.05) + np.clip(1.05 - r, 0, 0.3) * 0.25, metal)
    body = slab(polygon(6, apothem), top, 0.012)
    piece.add(only(body > 0, np.minimum(body, top - np.clip(r - apothem * 0.97, 0, 1) * 0.55)), metal)
    if style == "nylon":
        collar = np.abs(r - hole - 0.12)
        piece.add(only(collar < 0.12, top + 0.10 - collar * 0.5), metal)
        piece.mark(np.abs(r - hole - 0.035) < 0.05, piece.one_of(m.BLUE, m.WHITE, m.GREEN))
    if style == "castle":
        slot = np.abs(((a + np.pi / 6) * 6 / (2 * np.pi)) % 1 - 0.5) * (2 * np.pi / 6) * r
        piece.cut((slot < 0.11) & (r > hole), top - 0.2)
    thread = (a / (2 * np.pi) + r / 0.042) % 1
    piece.cut(r < hole, top - (hole - r) * 2.2 + 0.03 * np.abs(thread - 0.5))
    piece.cut(r < hole - 0.13)


def bearing(piece: Piece) -> None:
    """A ball bearing: two rings, and between them balls in a cage, or a seal."""
    rng, (_, _, r, _) = piece.rng, plane()
    outer, bore, top = rng.uniform(0.92, 1.05), rng.uniform(0.30, 0.48), rng.uniform(0.24, 0.36)
    wall = (outer - bore) * rng.uniform(0.24, 0.30)
    inner_edge, outer_edge = bore + wall, outer - wall
    for middle in (bore + wall / 2, outer - wall / 2):
        piece.add(slab(np.abs(r - middle) - wall / 2, top, 0.03), m.BRIGHT)
    groove = (r > inner_edge) & (r < outer_edge)
    if piece.one_of(True, False):
        level = top - 0.035 - 0.03 * np.cos((r - inner_edge) / (outer_edge - inner_edge) * 2 * np.pi)
        piece.add(only(groove, level), piece.one_of(*SEALS))
    else:
        middle, ball = (inner_edge + outer_edge) / 2, (outer_edge - inner_edge) * 0.56
        count = int(middle * 2 * np.pi / (ball * rng.uniform(2.3, 3.0)))
        piece.add(only(groove, 0.04), m.BLACK)
        cage = piece.one_of(m.BRASS, m.STEEL, m.Material((0.55, 0.42, 0.2), 0, 0.5))
        ripple = np.full_like(r, np.inf)
        for bx, by in around(count, middle, rng.uniform(0, 1)):
            np.minimum(ripple, distance_to(bx, by), out=ripple)
        piece.add(only(np.abs(r - middle) < ball * 0.62, top * 0.52), cage)
        piece.add(dome(ripple, ball, top * 0.5), m.BRIGHT)
        piece.cut((np.abs(ripple - ball * 1.08) < ball * 0.10) & groove, top * 0.40)
    name = f"{piece.one_of(60, 62, 63, 72)}{rng.integers(0, 12):02d}{piece.one_of('', '-2RS', '-Z', ' C3')}"
    letters = piece.text(
        f"{name} {piece.serial()}", (0, 0), wall * 0.42, arc=outer - wall / 2, turn_degrees=float(rng.uniform(0, 360))
    )
    piece.mark(letters, m.DARK_STEEL)


def flange(piece: Piece) -> None:
    """A pipe flange: bolt holes around a raised face with fine grooves, and the bore."""
    rng, (_, _, r, _) = piece.rng, plane()
    metal = piece.one_of(m.STEEL, m.CAST_IRON, m.RUST, m.GREY, m.BLUE, m.ZINC)
    holes, outer, top = int(piece.one_of(4, 6, 8, 10, 12)), rng.uniform(0.95, 1.06), rng.uniform(0.16, 0.26)
    face, bore = rng.uniform(0.55, 0.66), rng.uniform(0.26, 0.42)
    piece.add(slab(r - outer, top, 0.03), metal)
    piece.add(slab(r - face, top + 0.045, 0.012), m.STEEL if rng.random() < 0.7 else metal)
    piece.emboss(np.where((r < face - 0.03) & (r > bore + 0.05), 0.004 * np.sin(r * 2 * np.pi / 0.022), 0))
    if rng.random() < 0.5:  # a welding neck
        piece.add(only((r < bore + 0.09) & (r > bore), top + 0.22 - np.clip(r - bore - 0.05, 0, 1) * 2), metal)
    piece.cut(r < bore)
    circle, size = (outer + face) / 2, min(0.095, 1.6 * (outer + face) / 2 / holes)
    left_in = int(rng.integers(0, holes)) if rng.random() < 0.4 else -1
    for i, (hx, hy) in enumerate(around(holes, circle, np.pi / holes)):
        near = window(hx, hy, 0.2)
        if i == left_in:  # one bolt is still there
            piece.add(slab(_bolt_head(hx, hy, size * 1.25)[near], top + 0.12, 0.015), m.ZINC, part=near)
        else:
            piece.cut(distance_to(hx, hy, near) < size, part=near)
    name = f"DN{piece.one_of(50, 65, 80, 100, 150)} PN{piece.one_of(10, 16, 40)} {piece.serial()}"
    letters = piece.text(name, (0, 0), 0.07, arc=face - 0.08)
    piece.emboss(np.where(letters, -0.010, 0))


def _bolt_head(x: float, y: float, apothem: float) -> Plane:
    px, py, _, _ = plane()
    u, v = np.abs(px - x), np.abs(py - y)
    return np.asarray(np.maximum(v, u * 0.866 + v * 0.5) - apothem)


def hand_wheel(piece: Piece) -> None:
    """A valve's hand wheel: a round rim, spokes that rise to the hub, a nut in the middle."""
    rng, (_, _, r, a) = piece.rng, plane()
    paint = piece.one_of(*PAINTS, m.BLACK_OXIDE)
    rim, thick, spokes = rng.uniform(0.82, 0.92), rng.uniform(0.085, 0.13), int(piece.one_of(3, 4, 5, 6))
    bend, base = rng.uniform(-0.9, 0.9) * (rng.random() < 0.6), 0.22
    ring = dome(r - rim, thick, base)
    if rng.random() < 0.4:  # finger grips
        ring = only(ring > 0, ring - 0.03 * (1 + np.cos(a * int(rng.integers(10, 20)))) * (r > rim))
    piece.add(ring, paint, base)
    t = np.linspace(0, 1, 14)
    for sx, sy in around(spokes, 1.0):
        angle = np.arctan2(sy, sx) + bend * t * (1 - t) * 2
        path = np.stack([rim * t * np.cos(angle), rim * t * np.sin(angle), base + 0.10 * (1 - t) ** 2], axis=1)
        piece.add_bar(path, thick * 0.62, paint)
    hub = rng.uniform(0.17, 0.24)
    piece.add(slab(r - hub, base + 0.22, 0.04), paint)
    piece.add(slab(r - hub * 0.72, base + 0.235, 0.01), m.ZINC)
    piece.add(slab(polygon(6, hub * 0.52), base + 0.34, 0.02), piece.one_of(m.ZINC, m.BRASS, m.RUST))
    piece.add(slab(r - hub * 0.26, base + 0.40, 0.02), m.STEEL)
    if rng.random() < 0.6:
        letters = piece.text("OPEN" if rng.random() < 0.5 else "SHUT", (0, 0), 0.11, arc=rim)
        piece.mark(letters, m.WHITE)


def washers(piece: Piece) -> None:
    """A small pile of washers: plain, split or toothed."""
    piece.grain = "brushed"
    rng, (px, py, _, _) = piece.rng, plane()
    metal = piece.one_of(m.ZINC, m.BRIGHT, m.YELLOW_ZINC, m.COPPER, m.BLACK_OXIDE, m.BRASS)
    style, ratio, size = piece.one_of("plain", "split", "toothed"), rng.uniform(0.42, 0.62), rng.uniform(0.40, 0.52)
    for i, (x, y) in enumerate(around(int(rng.integers(2, 6)), rng.uniform(0.42, 0.56), rng.uniform(0, 6))):
        d, a = distance_to(x, y), np.arctan2(py - y, px - x)
        tilt = rng.uniform(-0.06, 0.06, 2)
        edge = d - size
        if style == "toothed":
            edge = edge + 0.05 * (1 + np.sign(np.cos(a * 14)))
        ring = only((edge < 0) & (d > size * ratio), slab(edge, 0.07 + 0.05 * i, 0.012))
        lift = tilt[0] * (px - x) + tilt[1] * (py - y)
        if style == "split":
            turn = (a - rng.uniform(0, 6)) % (2 * np.pi)
            lift = lift + 0.07 * turn / (2 * np.pi)
            ring = only(turn > 0.12, ring + 0.02)
        piece.add(only(ring > 0, ring + lift), metal)


def impeller(piece: Piece) -> None:
    """A pump's impeller: curved vanes on a disc, a hub with a keyway."""
    rng, (x, y, r, a) = piece.rng, plane()
    metal = piece.one_of(m.BRONZE, m.ALUMINIUM, m.CAST_IRON, m.STEEL, m.BLUE)
    vanes, sweep, outer = int(piece.one_of(5, 6, 7, 8, 9, 12)), rng.uniform(0.9, 1.8) * piece.one_of(-1, 1), 1.03
    hub, thick = rng.uniform(0.2, 0.28), rng.uniform(0.028, 0.05)
    piece.add(slab(r - outer, 0.10, 0.02) + np.clip(0.6 - r, 0, 1) ** 2 * 0.35, metal)
    phase = (a - sweep * np.log(np.maximum(r, 0.05) / outer)) * vanes / (2 * np.pi)
    near = np.abs(phase - np.round(phase)) * 2 * np.pi / vanes * r / np.sqrt(1 + sweep**2)
    vane = slab(near - thick, 0.20, 0.02) + np.clip(0.95 - r, 0, 1) * 0.36
    piece.add(only((near < thick) & (r < outer - 0.02) & (r > hub * 0.9), vane), metal)
    piece.add(slab(r - hub, 0.56, 0.04), metal)
    bore = hub * 0.5
    piece.cut((r < bore) | (box(x, y + bore, bore * 0.3, bore * 0.4) < 0), 0.05, m.BLACK)
