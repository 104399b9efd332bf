"""One shot: where the camera stands, what the lamp does, and the geometry that follows from it. Ours, no source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
DISTANCE = 5.0  # of the camera from the middle of the picture, in units


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One photo: where the camera stands, what the light does.

    Attributes:
        size: Width and height of the picture in pixels.
        turn: Which way the part is turned, radians.
        tilt: Of the camera from straight above, radians.
        roll: Of the camera, radians.
        scale_px: Pixels per unit in the middle of the picture.
        target: The point of the ground in the middle of the picture.
        ground_at: Which part of the ground's texture is used, -1..1 each way.
        light: Azimuth (in the picture) and elevation of the main lamp, radians.
        key: Linear RGB of the main lamp.
        fill: Linear RGB of everything else.
        exposure: 1 is right.
        blur_px: Of the lens.
        noise: Of the sensor, about 0..8 of 255.
    """

    size: tuple[int, int]
    turn: float
    tilt: float
    roll: float
    scale_px: float
    target: tuple[float, float]
    ground_at: tuple[float, float]
    light: tuple[float, float]
    key: Vector
    fill: Vector
    exposure: float
    blur_px: float
    noise: float

    def frame(self) -> tuple[Vector, Vector, Vector]:
        """The camera's right, down and backward directions in the part's coordinates."""
        ct, st, ca, sa = np.cos(self.tilt), np.sin(self.tilt), np.cos(self.turn), np.sin(self.turn)
        right, down = np.array([sa, -ca, 0.0]), np.array([ct * ca, ct * sa, -st])
        back = np.array([st * ca, st * sa, ct])
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        return cr * right + sr * down, cr * down - sr * right, back

    def lens(self) -> Matrix:
        """The 3 x 3 matrix that takes a pixel of the picture to a point of the ground."""
        right, down, back = self.frame()
        target = np.array([*self.target, 0.0])
        rows = []
        for axis, middle in ((right, self.size[0] / 2), (down, self.size[1] / 2)):
            # pixel * depth = scale * DISTANCE * axis.(p - target) + middle * depth
            # with depth = DISTANCE - back.(p - target)
            forward = self.scale_px * DISTANCE * axis - middle * back
            rows.append([forward[0], forward[1], middle * DISTANCE - forward @ target])
        rows.append([-back[0], -back[1], back @ target + DISTANCE])
        return np.asarray(np.linalg.inv(np.array(rows)))

    def lamp(self) -> Vector:
        """The direction towards the main lamp in the part's coordinates."""
        azimuth, elevation = self.light
        angle = self.turn - np.pi / 2 + azimuth  # the picture's right lies at turn - 90 degrees
        flat = np.cos(elevation)
        return np.array([flat * np.cos(angle), flat * np.sin(angle), np.sin(elevation)])

    def reach(self) -> float:
        """How far from the target the ground is seen, in units."""
        w, h = self.size
        corners = self.lens() @ np.array([[0, w, 0, w], [0, 0, h, h], [1, 1, 1, 1]])
        return float(np.hypot(*(corners[:2] / corners[2] - np.array(self.target)[:, None])).max()) + 0.02
