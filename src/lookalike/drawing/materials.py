"""What the drawn parts are made of."""

from __future__ import annotations

from dataclasses import dataclass

Color = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface takes light.

    Attributes:
        color: Linear RGB, 0..1: of the reflection for metal, of the body for everything else.
        metal: 0 (paint, rubber, rust) to 1 (bare metal).
        rough: 0 (mirror) to 1 (chalk).
        wears: 1 rusts, chips and scratches; 0.5 does not rust; 0 (glass, ceramic, rubber) stays as it is.
    """

    color: Color
    metal: float = 0.0
    rough: float = 0.5
    wears: float = 1.0


STEEL = Material((0.58, 0.57, 0.56), 1.0, 0.42)
BRIGHT = Material((0.64, 0.63, 0.61), 1.0, 0.18)
DARK_STEEL = Material((0.20, 0.20, 0.21), 0.9, 0.40)
BLACK_OXIDE = Material((0.045, 0.045, 0.05), 0.6, 0.40)
CAST_IRON = Material((0.13, 0.125, 0.12), 0.55, 0.75)
BRASS = Material((0.80, 0.56, 0.20), 1.0, 0.30, 0.5)
BRONZE = Material((0.52, 0.31, 0.13), 1.0, 0.42, 0.5)
COPPER = Material((0.82, 0.42, 0.26), 1.0, 0.30, 0.5)
ZINC = Material((0.56, 0.60, 0.64), 1.0, 0.55)
YELLOW_ZINC = Material((0.66, 0.52, 0.22), 1.0, 0.35)
ALUMINIUM = Material((0.60, 0.61, 0.63), 1.0, 0.48, 0.5)
RUST = Material((0.24, 0.085, 0.03), 0.0, 0.95)
RUBBER = Material((0.022, 0.022, 0.024), 0.0, 0.65, 0.0)
GOLD = Material((0.95, 0.68, 0.25), 1.0, 0.25, 0.5)
WHITE = Material((0.80, 0.79, 0.75), 0.0, 0.30, 0.0)
BLACK = Material((0.015, 0.015, 0.017), 0.0, 0.40, 0.0)
RED = Material((0.48, 0.025, 0.02), 0.0, 0.22)
BLUE = Material((0.02, 0.10, 0.36), 0.0, 0.25)
GREEN = Material((0.02, 0.19, 0.075), 0.0, 0.28)
YELLOW = Material((0.72, 0.42, 0.015), 0.0, 0.25)
ORANGE = Material((0.68, 0.17, 0.015), 0.0, 0.25)
GREY = Material((0.22, 0.24, 0.26), 0.0, 0.35)
