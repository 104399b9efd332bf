"""The kinds of industrial part that the demo draws: one function per kind, one call per individual."""

from __future__ import annotations

from collections.abc import Callable

from lookalike.drawing.piece import Piece
from lookalike.drawing.plates import circuit_board, gauge, weld
from lookalike.drawing.rods import bolt, chain, elbow, spark_plug, spring
from lookalike.drawing.wheels import bearing, flange, gear, hand_wheel, impeller, nut, washers

KINDS: dict[str, Callable[[Piece], None]] = {
    "gear": gear,
    "hex bolt": bolt,
    "hex nut": nut,
    "ball bearing": bearing,
    "pipe flange": flange,
    "hand wheel": hand_wheel,
    "coil spring": spring,
    "washers": washers,
    "pipe elbow": elbow,
    "pressure gauge": gauge,
    "circuit board": circuit_board,
    "weld seam": weld,
    "impeller": impeller,
    "spark plug": spark_plug,
    "roller chain": chain,
}
